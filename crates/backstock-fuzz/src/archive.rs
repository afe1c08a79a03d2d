//! The bytes of a backup: tar members, compression frames, indexes, manifests.

use std::path::Path;
use std::sync::LazyLock;

use backstock_archive::artifact::{Frame, decode_frame};
use backstock_archive::digest::FrameHash;
use backstock_archive::tar::padding_bytes;
use backstock_archive::tar::read::{ReadKind, is_safe_path, read_member};
use backstock_archive::tree::FileEntry;
use backstock_archive::{IndexReader, Manifest, Owner, SignedManifest, Tombstone};
use backstock_database::DumpedObject;
use backstock_host::{InstanceKey, SimulatedHost};
use backstock_vocabulary::Codec;
use serde_json::Value;

/// Members of a tar archive to its end, each of which can only name something below the target.
pub(crate) fn tar(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(member)) = read_member(&mut rest) {
        let is_root = member.path.is_empty() && member.kind == ReadKind::Folder;
        assert!(is_root || is_safe_path(&member.path), "a path that leads elsewhere");
        if let ReadKind::HardLink(first) = &member.kind {
            assert!(is_safe_path(first), "a further name of something elsewhere");
        }
        assert!(member.mode <= 0o7777 && member.modified.1 < 1_000_000_000, "{member:?}");
        assert_eq!(member.padding_bytes, padding_bytes(member.data_bytes), "{member:?}");
        let body = member.data_bytes.saturating_add(member.padding_bytes as u64);
        let Some(after) = usize::try_from(body).ok().and_then(|body| rest.get(body..)) else { return };
        rest = after;
    }
}

/// A stored frame behind a codec and the length that a table claims for its text.
pub(crate) fn frame(bytes: &[u8]) {
    let Some(([codec, high, middle, low], stored)) = bytes.split_first_chunk::<4>() else { return };
    let codec = if codec & 1 == 0 { Codec::Zstd } else { Codec::Gzip };
    let plaintext_bytes = u32::from_be_bytes([0, *high, *middle, *low]);
    let stored_bytes = u32::try_from(stored.len()).unwrap_or(u32::MAX);
    let frame = Frame { stored_offset: 0, stored_bytes, plaintext_bytes, hash: FrameHash::of(stored) };
    if let Ok(text) = decode_frame(codec, stored, &frame) {
        assert_eq!(text.len(), plaintext_bytes as usize, "another length than the table tells");
    }
}

/// A whole index, with everything that is asked of one.
pub(crate) fn index(bytes: &[u8]) {
    let Ok(index) = IndexReader::open_unsigned(bytes.to_vec(), "index.zst") else { return };
    let _ = index.header::<Value>();
    let _ = index.summary::<Value>();
    let _ = index.frame_table();
    let _ = index.find::<Value>(b"index.php");
    for line in index.entries::<Value>().take(100_000) {
        if line.is_err() {
            return;
        }
    }
}

/// One line of the files index or of the database index: what is read is written again, and read as the same.
pub(crate) fn index_line(bytes: &[u8]) {
    if let Ok(entry) = serde_json::from_slice::<FileEntry>(bytes) {
        let again = serde_json::to_vec(&entry).expect("an entry can be written");
        assert_eq!(serde_json::from_slice::<FileEntry>(&again).expect("it can be read again"), entry);
    }
    if let Ok(object) = serde_json::from_slice::<DumpedObject>(bytes) {
        let again = serde_json::to_vec(&object).expect("an object can be written");
        assert_eq!(serde_json::from_slice::<DumpedObject>(&again).expect("it can be read again"), object);
    }
}

/// A key, so that no signature keeps the fuzzer out of what it signs.
static KEY: LazyLock<InstanceKey> = LazyLock::new(|| {
    let host = SimulatedHost::new(1).host;
    InstanceKey::load_or_create(&host, Path::new("/key")).expect("a simulated disk works")
});

/// A signed document; a manifest's payload, signed here.
pub(crate) fn manifest(bytes: &[u8]) {
    let _ = SignedManifest::parse(bytes);
    let _ = Owner::parse(bytes, "owner-1.json");
    let _ = Tombstone::parse(bytes, "catalog/tombstone-000000001-abababab.json");
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        // Whoever has the key may sign what no reader takes; what is taken is what was signed.
        if let Ok(signed) = manifest.sign(&KEY)
            && let Ok(read) = SignedManifest::parse(&signed)
        {
            assert_eq!(read.manifest.artifacts, manifest.artifacts);
            let _ = read.manifest.stored_bytes();
        }
        for artifact in &manifest.artifacts {
            let _ = (artifact.path(), artifact.stored_bytes());
        }
    }
}
