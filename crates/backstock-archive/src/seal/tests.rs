//! Tests of sealing: sealed parts made of nothing but a text, and opened again.

mod artifacts;
mod by_script;
mod damage;
mod identities;
mod keys;
mod parts;
mod vectors;

use std::sync::Arc;

use backstock_host::Random;
use backstock_vocabulary::{ArtifactKind, BackupId, IdentityId};

use super::sealer::PartSealer;
use super::{ArtifactSeal, BackupSeal, OpenedPart, PrivateIdentity, SealedHeader, SegmentCache, Suite};
use crate::error::Result;

/// Bytes that look random and are the same each time: SHA-256 of a seed and a counter.
#[derive(Debug)]
pub(super) struct Predictable {
    pub(super) seed: u64,
    pub(super) taken: std::sync::atomic::AtomicU64,
}

impl Predictable {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, taken: 0.into() }
    }
}

impl Random for Predictable {
    fn fill(&self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(32) {
            let taken = self.taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let block = crate::Sha256::of(format!("{} {taken}", self.seed).as_bytes());
            piece.copy_from_slice(&block.0[..piece.len()]);
        }
    }
}

pub(super) fn backup_id(number: u8) -> BackupId {
    BackupId::from_parts(1_795_000_000_000, [number; 10])
}

/// An identity and a seal for it alone.
pub(super) fn seal_for(
    random: &Predictable,
    suite: Suite,
    backup: BackupId,
) -> (PrivateIdentity, Arc<BackupSeal>) {
    let id = IdentityId::from_parts(1_795_000_000_000, [7; 10]);
    let identity = PrivateIdentity::new(random, id, suite);
    let recipient = identity.public(jiff::Timestamp::UNIX_EPOCH).unwrap().recipient();
    let seal = BackupSeal::new(random, backup, &[recipient]).unwrap();
    (identity, Arc::new(seal))
}

/// The stored bytes of one part.
pub(super) fn sealed(random: &Predictable, seal: &Arc<BackupSeal>, number: usize, text: &[u8]) -> Vec<u8> {
    let seal = ArtifactSeal::of(seal, ArtifactKind::Files);
    let (mut sealer, mut bytes) = PartSealer::begin(random, &seal, number).unwrap();
    let mut keep = |segment: Vec<u8>| {
        bytes.extend_from_slice(&segment);
        Ok(segment)
    };
    // In pieces of odd lengths, as frames come.
    for piece in text.chunks(70_001) {
        sealer.push(piece, &mut keep).unwrap();
    }
    sealer.finish(&mut keep).unwrap();
    bytes
}

/// Reads the whole text with the data key at hand.
pub(super) fn open_whole(bytes: Vec<u8>, seal: &BackupSeal) -> Result<Vec<u8>> {
    let header = SealedHeader::read(&bytes, "files/x.bks")?;
    let cache = Arc::new(SegmentCache::default());
    let part = OpenedPart::open(Box::new(bytes), "files/x.bks", &header, seal.key(), 1, &cache)?;
    let mut text = Vec::new();
    part.read_whole(|segment| {
        text.extend_from_slice(segment);
        Ok(())
    })?;
    Ok(text)
}

/// A text that does not compress and differs everywhere.
pub(super) fn text_of(size_bytes: usize) -> Vec<u8> {
    let mut text = vec![0; size_bytes];
    Predictable::of(99).fill(&mut text);
    text
}
