//! Ranges of bytes (RFC 9110, 14), as the servers of clouds give them.

use super::server::Response;

/// A range of these bytes, with status 206. None where there is no such range, or it cannot be understood.
pub(super) fn range_of(bytes: &[u8], range: &str) -> Option<Response> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last: usize = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    let end = last.saturating_add(1).min(bytes.len());
    let body = bytes.get(first..end).filter(|body| !body.is_empty())?.to_vec();
    let told = format!("bytes {first}-{}/{}", end - 1, bytes.len());
    Some(Response { status: 206, body, ..Response::default() }.with("Content-Range", told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end() {
        let body = |range| range_of(b"0123456789", range).map(|answer| answer.body);
        assert_eq!(body("bytes=2-4"), Some(b"234".to_vec()));
        assert_eq!(body("bytes=8-99"), Some(b"89".to_vec()));
        assert_eq!(body("bytes=8-"), Some(b"89".to_vec()));
        assert_eq!([body("bytes=10-11"), body("bytes=4-2"), body("2-4")], [None, None, None]);
    }
}
