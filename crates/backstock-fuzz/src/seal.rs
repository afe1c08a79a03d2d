//! Sealed parts and private halves of identities: bytes that somebody else may have written.

use std::sync::Arc;

use backstock_archive::Sha256;
use backstock_archive::seal::{
    HEADER_LIMIT_BYTES, OpenedPart, PrivateIdentity, RECIPIENTS_LIMIT, SealedHeader, SegmentCache,
};

/// The private half that opens what is kept in `fixtures/seal`, so that wrapped keys are reached too.
const IDENTITY: &[u8] = include_bytes!("../../../fixtures/seal/x25519.identity.json");

/// Reads the bytes as a sealed part, as they are and with the hash of their header mended: whoever writes one can do so.
pub(crate) fn sealed(bytes: &[u8]) {
    open(bytes.to_vec());
    let mut mended = bytes.to_vec();
    let told = bytes.get(12..16).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
    let ends = told.and_then(|told| usize::try_from(told).ok()).unwrap_or(0);
    if (64..=mended.len()).contains(&ends) {
        let hash = Sha256::of(&mended[..ends - 32]);
        mended[ends - 32..ends].copy_from_slice(&hash.0);
        open(mended);
    }
    // A file that a person names as a key.
    let _ = PrivateIdentity::of_file(bytes, "fuzzed");
}

fn open(bytes: Vec<u8>) {
    let Ok(header) = SealedHeader::read(&bytes, "fuzzed") else { return };
    assert!(header.bytes().len() <= HEADER_LIMIT_BYTES && bytes.starts_with(header.bytes()));
    assert!((1..=RECIPIENTS_LIMIT).contains(&header.recipients().len()));
    let Ok(identity) = PrivateIdentity::of_file(IDENTITY, "kept") else { return };
    let Ok(Some(key)) = header.open_key(&identity, "fuzzed") else { return };
    let stored_bytes = bytes.len();
    let cache = Arc::new(SegmentCache::default());
    let opened = OpenedPart::open(Box::new(bytes), "fuzzed", &header, &key, 1, &cache);
    let mut text_bytes = 0;
    let read = opened.and_then(|opened| {
        opened.read_whole(|text| {
            text_bytes += text.len();
            Ok(())
        })
    });
    assert!(read.is_err() || text_bytes < stored_bytes, "text came of nothing");
}
