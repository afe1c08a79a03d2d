//! The order of keys: component by component, so that a folder stands directly before everything below it.

use std::cmp::Ordering;

/// Compares two keys bytewise, except that `/` is lower than every other byte.
pub fn compare_keys(left: &[u8], right: &[u8]) -> Ordering {
    let at = left.iter().zip(right).position(|(a, b)| a != b);
    match at {
        None => left.len().cmp(&right.len()),
        Some(at) => match (left[at], right[at]) {
            (b'/', _) => Ordering::Less,
            (_, b'/') => Ordering::Greater,
            (a, b) => a.cmp(&b),
        },
    }
}

/// Whether a key is this one or lies below it. Everything lies below the empty key.
pub fn is_at_or_below(key: &[u8], ancestor: &[u8]) -> bool {
    match key.strip_prefix(ancestor) {
        Some(rest) => ancestor.is_empty() || rest.is_empty() || rest[0] == b'/' || ancestor.ends_with(b"/"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_folder_stands_before_its_content_and_before_its_neighbours() {
        let sorted: [&[u8]; 6] = [b"", b"a", b"a/b", b"a/b/c", b"a.b", b"ab"];
        for pair in sorted.windows(2) {
            assert_eq!(compare_keys(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert!(is_at_or_below(b"a/b", b"a") && is_at_or_below(b"a", b"a") && is_at_or_below(b"x", b""));
        assert!(!is_at_or_below(b"ab", b"a") && !is_at_or_below(b"a", b"a/b"));
    }

    proptest! {
        #[test]
        fn it_is_the_order_of_the_lists_of_components(left in "[/a.!]{0,8}", right in "[/a.!]{0,8}") {
            let model = left.split('/').cmp(right.split('/'));
            prop_assert_eq!(compare_keys(left.as_bytes(), right.as_bytes()), model);
        }
    }
}
