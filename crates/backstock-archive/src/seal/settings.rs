//! An export of settings, sealed: one sealed part whose text is the signed document.

use std::sync::Arc;

use backstock_host::Random;
use backstock_vocabulary::BackupId;
use zeroize::Zeroizing;

use super::backup_seal::{ArtifactSeal, BackupSeal, DataKey, Recipient};
use super::header::SealedHeader;
use super::opened::{OpenedPart, SegmentCache};
use super::sealer::PartSealer;
use crate::error::Result;

/// Seals the exact bytes of a document for its recipients. `export` is its own id, which stands where a part has that of its backup.
///
/// # Errors
/// As [`BackupSeal::new`].
pub fn seal_settings(
    random: &dyn Random,
    export: BackupId,
    recipients: &[Recipient],
    text: &[u8],
) -> Result<Vec<u8>> {
    let seal = Arc::new(BackupSeal::new(random, export, recipients)?);
    let (mut sealer, mut bytes) = PartSealer::begin(random, &ArtifactSeal::of_settings(&seal), 1)?;
    let mut keep = |segments: Vec<u8>| {
        bytes.extend_from_slice(&segments);
        Ok(segments)
    };
    sealer.push(text, &mut keep)?;
    sealer.finish(&mut keep)?;
    Ok(bytes)
}

/// The bytes of the document in a sealed export, which errors call `name`.
///
/// # Errors
/// [`crate::Error::Damaged`] when a byte is not what was sealed here, or the file is no export.
pub fn open_settings(
    bytes: Vec<u8>,
    name: &str,
    header: &SealedHeader,
    key: &DataKey,
) -> Result<Zeroizing<Vec<u8>>> {
    header.require_settings(name)?;
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let part = OpenedPart::open(Box::new(bytes), name, header, key, 1, &Arc::new(SegmentCache::default()))?;
    part.read_whole(|segment| {
        text.extend_from_slice(segment);
        Ok(())
    })?;
    Ok(text)
}
