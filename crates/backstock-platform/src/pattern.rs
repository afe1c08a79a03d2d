//! Names of tables with `*`, and how two such patterns relate.

use serde::Serialize;

/// A table name in which `*` stands for any characters, also none. Every other byte means itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (Some(a), Some(b)) if a == b => naive(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
