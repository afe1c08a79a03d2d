//! Names of tables with `*`, and how two such patterns relate.

use serde::{Deserialize, Serialize};

/// A table name in which `*` stands for any characters, also none. Every other byte means itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePattern {
    /// The pattern, prefix applied.
    pub pattern: String,
    /// Why the tables are named here.
    pub why: String,
}

impl TablePattern {
    /// Whether a table's name fits. Upper and lower case differ: the server's own rule may be laxer.
    pub fn matches(&self, table: &[u8]) -> bool {
        matches(self.pattern.as_bytes(), table)
    }

    /// Whether the pattern is one plain name.
    pub fn is_exact(&self) -> bool {
        !self.pattern.contains('*')
    }
}

/// Whether `text` fits `pattern`, in time proportional to their product.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether some name fits both patterns.
pub(crate) fn intersect(one: &str, two: &str) -> bool {
    let (one, two) = (one.as_bytes(), two.as_bytes());
    // reach[b]: whether the patterns' first `a` and `b` bytes fit a common text.
    let mut reach = vec![false; two.len() + 1];
    reach[0] = true;
    for b in 0..two.len() {
        reach[b + 1] = reach[b] && two[b] == b'*';
    }
    for &byte in one {
        let mut next = vec![false; two.len() + 1];
        next[0] = reach[0] && byte == b'*';
        for (b, &other) in two.iter().enumerate() {
            next[b + 1] = match (byte, other) {
                (b'*', _) => next[b] || reach[b + 1],
                (_, b'*') => next[b] || reach[b + 1],
                (byte, other) => byte == other && reach[b],
            };
        }
        reach = next;
    }
    reach[two.len()]
}

#[cfg(test)]
mod tests {
    use super::{intersect, matches};
    use proptest::prelude::*;

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (Some(a), Some(b)) if a == b => naive(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    #[test]
    fn patterns_with_a_common_name() {
        for (one, two, common) in [
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("oc_order", "oc_order_*", false),
            ("oc_*", "oc_order_*", true),
            ("*_cl", "report_*", true),
            ("ab", "ab", true),
            ("", "*", true),
            ("a*c", "ab", false),
        ] {
            assert_eq!((intersect(one, two), intersect(two, one)), (common, common), "{one} {two}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_fits_both_shows_that_they_intersect(
            one in "[ab*]{0,5}", two in "[ab*]{0,5}", text in "[ab]{0,6}",
        ) {
            if matches(one.as_bytes(), text.as_bytes()) && matches(two.as_bytes(), text.as_bytes()) {
                prop_assert!(intersect(&one, &two));
            }
        }

        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
