//! Indexes made to hurt (F134): huge lengths, bombs, depth, disorder. Each is refused, with little memory.

use proptest::prelude::*;

use super::*;
use crate::Error;
use crate::digest::Digest;
use crate::index::directory::{Page, Trailer};
use crate::index::line::PageKind;

const HEADER: &str = r#"{"format":{"major":1,"minor":0,"critical":[]},"header":"h"}"#;
const SUMMARY: &str = r#"{"summary":1}"#;

/// A file of these pages with right hashes, except for what `change` does to the directory's pages.
fn forge(pages: &[(PageKind, &[u8], &[u8])], change: impl Fn(usize, &mut Page)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (at, (kind, first_key, text)) in pages.iter().enumerate() {
        let stored = zstd::bulk::compress(text, 3).unwrap();
        let mut page = Page {
            kind: *kind,
            offset: bytes.len() as u64,
            stored_bytes: u32::try_from(stored.len()).unwrap(),
            plaintext_bytes: u32::try_from(text.len()).unwrap(),
            lines: 1,
            hash: FrameHash::of(&stored),
            first_key: first_key.to_vec(),
        };
        bytes.extend(stored);
        change(at, &mut page);
        page.write_line(&mut directory).unwrap();
    }
    end(bytes, &directory)
}

fn end(mut bytes: Vec<u8>, directory: &[u8]) -> Vec<u8> {
    let stored = zstd::bulk::compress(directory, 3).unwrap();
    let trailer = Trailer {
        directory_offset: bytes.len() as u64,
        directory_stored_bytes: u32::try_from(stored.len()).unwrap(),
        directory_plaintext_bytes: u32::try_from(directory.len()).unwrap(),
        directory_hash: Digest(*blake3::hash(&stored).as_bytes()),
    };
    bytes.extend(stored);
    bytes.extend(trailer.to_bytes());
    bytes
}

fn error(bytes: &Vec<u8>) -> Error {
    IndexReader::open_unsigned(bytes, "index.zst")
        .and_then(|reader| read_all(&reader).map(|_| ()))
        .unwrap_err()
}

/// An index of three pages whose entries are this text.
fn with_entries(first_key: &[u8], text: &[u8]) -> Vec<u8> {
    let pages = [
        (PageKind::Header, &b""[..], HEADER.as_bytes()),
        (PageKind::Entries, first_key, text),
        (PageKind::Summary, b"", SUMMARY.as_bytes()),
    ];
    forge(&pages, |_, _| ())
}

#[test]
fn the_forger_can_forge_a_good_one() {
    let good = with_entries(b"a", br#"{"key":"a","entry":{"size_bytes":1,"note":""}}"#);
    let reader = IndexReader::open_unsigned(&good, "index.zst").unwrap();
    assert_eq!(read_all(&reader).unwrap().1.len(), 1);
}

#[test]
fn entries_that_no_index_holds_are_refused() {
    let deep = [b"{\"key\":\"a\",\"entry\":".to_vec(), vec![b'['; 100_000]].concat();
    for text in [
        &b"{}"[..],
        b"not json",
        b"\xff\xfe",
        br#"{"key":"a"}"#,
        br#"{"entry":{"size_bytes":1,"note":""}}"#,
        br#"{"key":"a","key_base64":"YQ==","entry":{"size_bytes":1,"note":""}}"#,
        br#"{"key_base64":"?","entry":{"size_bytes":1,"note":""}}"#,
        br#"{"key":"a","key":"b","entry":{"size_bytes":1,"note":""}}"#,
        br#"{"key":"b","entry":{"size_bytes":1,"note":""}}"#,
        &deep,
    ] {
        let error = error(&with_entries(b"a", text));
        assert!(error.is_damage(), "{error}");
    }
    let disorder = b"{\"key\":\"b\",\"entry\":{\"size_bytes\":1,\"note\":\"\"}}\n\
        {\"key\":\"a\",\"entry\":{\"size_bytes\":1,\"note\":\"\"}}\n";
    assert!(error(&with_entries(b"b", disorder)).to_string().contains("order"));
}

#[test]
fn lengths_that_are_not_true_are_refused() {
    let entry = br#"{"key":"a","entry":{"size_bytes":1,"note":""}}"#;
    let pages = [
        (PageKind::Header, &b""[..], HEADER.as_bytes()),
        (PageKind::Entries, b"a", entry),
        (PageKind::Summary, b"", SUMMARY.as_bytes()),
    ];
    let changes: [fn(&mut Page); 7] = [
        |page| page.plaintext_bytes = u32::MAX,
        |page| page.plaintext_bytes += 1,
        |page| page.plaintext_bytes -= 1,
        |page| page.stored_bytes = u32::MAX,
        |page| page.stored_bytes += 1,
        |page| page.kind = PageKind::Summary,
        |page| page.kind = PageKind::Header,
    ];
    for change in changes {
        let bytes = forge(&pages, |at, page| {
            if at == 1 {
                change(page);
            }
        });
        assert!(error(&bytes).is_damage());
    }
}

/// 64 KiB that become 2 GiB: the directory's length is what counts, and it is too short for the text.
#[test]
fn a_bomb_is_refused_at_its_told_length() {
    let bomb = zstd::bulk::compress(&vec![b' '; 300 << 20], 1).unwrap();
    let header = zstd::bulk::compress(HEADER.as_bytes(), 1).unwrap();
    let summary = zstd::bulk::compress(SUMMARY.as_bytes(), 1).unwrap();
    for claimed in [60_u32 << 20, 300 << 20] {
        let mut directory = Vec::new();
        let mut offset = 0;
        for (kind, stored, plaintext_bytes) in [
            (PageKind::Header, &header, u32::try_from(HEADER.len()).unwrap()),
            (PageKind::Entries, &bomb, claimed),
            (PageKind::Summary, &summary, u32::try_from(SUMMARY.len()).unwrap()),
        ] {
            let stored_bytes = u32::try_from(stored.len()).unwrap();
            let hash = FrameHash::of(stored);
            let page = Page {
                kind,
                offset,
                stored_bytes,
                plaintext_bytes,
                lines: 1,
                hash,
                first_key: b"a".to_vec(),
            };
            page.write_line(&mut directory).unwrap();
            offset += u64::from(stored_bytes);
        }
        let bytes = end([header.clone(), bomb.clone(), summary.clone()].concat(), &directory);
        assert!(error(&bytes).is_damage(), "{claimed}");
    }
}

#[test]
fn directories_that_are_not_one_are_refused() {
    for directory in [&b""[..], b"\n", b"{}", b"[]", b"{\"page\":{}}", &vec![b'['; 100_000]] {
        assert!(error(&end(Vec::new(), directory)).is_damage());
    }
}

#[test]
fn a_newer_form_is_told_as_such() {
    for header in [
        r#"{"format":{"major":2,"minor":0,"critical":[]},"header":{"new":1}}"#,
        r#"{"format":{"major":1,"minor":7,"critical":["paths are hashes"]},"header":"h"}"#,
    ] {
        let pages =
            [(PageKind::Header, &b""[..], header.as_bytes()), (PageKind::Summary, b"", SUMMARY.as_bytes())];
        let error = error(&forge(&pages, |_, _| ()));
        assert!(matches!(error, Error::NewerFormat { .. }), "{error}");
    }
    let header = r#"{"format":{"major":1,"minor":7,"critical":[],"later":1},"header":"h","more":2}"#;
    let pages =
        [(PageKind::Header, &b""[..], header.as_bytes()), (PageKind::Summary, b"", SUMMARY.as_bytes())];
    let bytes = forge(&pages, |_, _| ());
    assert_eq!(IndexReader::open_unsigned(&bytes, "index.zst").unwrap().header::<String>().unwrap(), "h");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), real_end in any::<bool>()) {
        if real_end {
            bytes = end(Vec::new(), &bytes);
        }
        let reader = IndexReader::open_unsigned(&bytes, "index.zst");
        prop_assert!(reader.is_err());
    }

    #[test]
    fn any_entries_are_read_or_refused(text in r#"(\{("key"|"entry"|"key_base64"|1|:|,|"a"|\{|\}|\[|\]|\n){0,12}\}\n){0,3}"#) {
        let bytes = with_entries(b"a", text.as_bytes());
        let reader = IndexReader::open_unsigned(&bytes, "index.zst").unwrap();
        let read: Vec<_> = reader.entries::<serde_json::Value>().collect();
        let good: Vec<_> = read.iter().filter_map(|entry| entry.as_ref().ok()).collect();
        prop_assert!(good.windows(2).all(|pair| compare_keys(&pair[0].key, &pair[1].key).is_lt()));
        prop_assert!(read.len() - good.len() <= 1);
    }
}
