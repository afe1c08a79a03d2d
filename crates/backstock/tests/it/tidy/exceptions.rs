//! The list of what is longer than the rules say; it may only shrink.

use std::collections::BTreeMap;
use std::fs;

use super::root;

const LIST: &str = "crates/backstock/tests/it/tidy/exceptions.txt";

/// The list, and which of its lines were needed.
pub(super) struct Exceptions {
    allowed: BTreeMap<String, usize>,
    seen: BTreeMap<String, usize>,
}

impl Exceptions {
    /// Reads lines of `path lines` and `path::function lines`; `#` begins a comment.
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(root().join(LIST)).unwrap();
        let allowed = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (place, lines) = line.split_once(' ').unwrap();
                (place.to_owned(), lines.trim().parse().unwrap())
            })
            .collect();
        Self { allowed, seen: BTreeMap::new() }
    }

    /// Whether so many lines are allowed here.
    pub(super) fn allows(&mut self, place: &str, lines: usize) -> bool {
        self.seen.insert(place.to_owned(), lines);
        self.allowed.get(place).is_some_and(|&limit| lines <= limit)
    }

    /// Lines of the list that nothing needs, or that allow more than there is.
    pub(super) fn unneeded(&self) -> Vec<String> {
        self.allowed
            .iter()
            .filter(|&(place, &limit)| self.seen.get(place).is_none_or(|&lines| lines < limit))
            .map(|(place, limit)| match self.seen.get(place) {
                Some(lines) => format!("{place} {limit}: it has {lines} lines now"),
                None => format!("{place} {limit}: within the rules now"),
            })
            .collect()
    }
}

#[test]
fn an_exception_that_is_not_needed_is_named() {
    let allowed = [("a.rs".to_owned(), 600), ("b.rs::f".to_owned(), 90)].into();
    let mut exceptions = Exceptions { allowed, seen: BTreeMap::new() };
    assert!(
        exceptions.allows("a.rs", 600) && !exceptions.allows("a.rs", 601) && !exceptions.allows("c.rs", 501)
    );
    assert!(exceptions.allows("b.rs::f", 80));
    assert_eq!(exceptions.unneeded(), ["b.rs::f 90: it has 80 lines now"]);
}
