//! Known answers, fixed for good: a sealed part and an identity of version 1, made from a seed, are these bytes.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Predictable, backup_id, seal_for, sealed, text_of};
use crate::seal::{OpenedPart, PrivateIdentity, SealedHeader, SegmentCache, Suite};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/seal").join(name)
}

/// What is made must be what is kept. With `BACKSTOCK_TEST_KEEP=1` a file that is not there yet is made.
fn same_as_kept(name: &str, made: &[u8]) {
    let path = fixture(name);
    if std::env::var_os("BACKSTOCK_TEST_KEEP").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(kept == made, "{name} is made otherwise than it was");
}

#[test]
fn what_is_sealed_from_a_seed_stays_the_same_to_the_bit() {
    for suite in Suite::ALL {
        let random = Predictable::of(20_261_122);
        let (identity, seal) = seal_for(&random, suite, backup_id(0x11));
        let name = suite.name();
        same_as_kept(&format!("{name}.identity.json"), &identity.to_file().unwrap());
        same_as_kept(&format!("{name}.part.bks"), &sealed(&random, &seal, 2, &text_of(1000)));
    }
}

/// By the kept files alone: what was sealed once is opened by every later version.
#[test]
fn what_was_sealed_is_opened() {
    for suite in Suite::ALL {
        let name = suite.name();
        let file = std::fs::read(fixture(&format!("{name}.identity.json"))).unwrap();
        let identity = PrivateIdentity::of_file(&file, name).unwrap();
        let part = std::fs::read(fixture(&format!("{name}.part.bks"))).unwrap();
        let header = SealedHeader::read(&part, name).unwrap();
        let key = header.open_key(&identity, name).unwrap().unwrap();
        let cache = Arc::new(SegmentCache::default());
        let opened = OpenedPart::open(Box::new(part), name, &header, &key, 2, &cache).unwrap();
        let mut text = Vec::new();
        let read = opened.read_whole(|segment| {
            text.extend_from_slice(segment);
            Ok(())
        });
        read.unwrap();
        assert!(text == text_of(1000), "{name}");
    }
}
