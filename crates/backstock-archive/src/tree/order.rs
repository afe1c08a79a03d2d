//! The order of paths: component by component, so that `/` sorts below every other byte and a folder's contents follow
//! it at once. A sorted walk visits in this order, and the index is kept in it.

pub use crate::index::compare_keys as compare_paths;

/// Whether `path` lies below `folder` (the empty path is above all others).
pub fn is_below(path: &[u8], folder: &[u8]) -> bool {
    if folder.is_empty() {
        return !path.is_empty();
    }
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// A folder's path and a name in it, joined.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// The folder a path lies in, and its last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_follow_their_folder_at_once() {
        let mut paths: Vec<&[u8]> = vec![b"a-b", b"a/z", b"b", b"a", b"", b"a!", b"a/b/c", b"a/b", b"a/b-"];
        paths.sort_by(|left, right| compare_paths(left, right));
        let expected: Vec<&[u8]> = vec![b"", b"a", b"a/b", b"a/b/c", b"a/b-", b"a/z", b"a!", b"a-b", b"b"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn below_means_below() {
        assert!(
            is_below(b"a/b", b"a") && is_below(b"a", b"") && !is_below(b"ab", b"a") && !is_below(b"a", b"a")
        );
        assert_eq!((split(b"a/b/c"), split(b"c")), ((&b"a/b"[..], &b"c"[..]), (&b""[..], &b"c"[..])));
        assert_eq!((join(b"", b"x"), join(b"a", b"x")), (b"x".to_vec(), b"a/x".to_vec()));
    }
}
