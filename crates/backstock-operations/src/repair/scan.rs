//! Reading one replica whole, block by block: what of it is not what was written.

use std::ops::ControlFlow;

use backstock_archive::manifest::SignedManifest;
use backstock_archive::{Part, ReadAt, read_block};
use backstock_catalog::{Backup, Replica};

use super::copies::{Copy, FoundManifest};
use super::{BrokenBlock, BrokenPart, RefusedSource, ReplicaPlan};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{Expected, Monitor, Phase};

pub(super) fn scan(
    environment: &Environment,
    (backup, replica): (&Backup, Replica),
    target: Copy,
    (copies, refused): (Vec<Copy>, Vec<RefusedSource>),
    monitor: &dyn Monitor,
) -> Result<ReplicaPlan> {
    let (wrong, signed, manifest_bytes) = right_manifest(environment, backup, &target, &copies)?;
    let parts = || signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts);
    let total = parts().map(|part| part.size_bytes).sum();
    monitor.phase(Phase::Checking, Expected { bytes: Some(total), items: None });
    let mut broken = Vec::new();
    for part in parts() {
        broken.extend(broken_part(environment, &target, part, monitor)?);
    }
    Ok(ReplicaPlan {
        backup: backup.id,
        storage: target.title.clone(),
        folder: replica.folder.clone(),
        manifest: wrong,
        parts: broken,
        sources: copies.iter().map(|copy| copy.title.clone()).collect(),
        refused,
        read_bytes: total,
        replica,
        target,
        copies,
        signed,
        manifest_bytes,
    })
}

/// The manifest on record, from the replica itself or from any copy that has it; and what is wrong with the replica's own.
fn right_manifest(
    environment: &Environment,
    backup: &Backup,
    target: &Copy,
    copies: &[Copy],
) -> Result<(Option<String>, SignedManifest, Vec<u8>)> {
    let why = match target.manifest(environment, backup)? {
        FoundManifest::Right(signed, bytes) => return Ok((None, *signed, bytes)),
        // Whatever it is, somebody has put it there: it is not ours to overwrite.
        FoundManifest::Foreign(why) => {
            return Err(OperationError::hinted(
                ErrorKind::Refused,
                format!("the folder of the backup {} at {}: {why}", backup.id.short(), target.title),
                "look at that folder, and move what does not belong there away",
            ));
        }
        FoundManifest::Wrong(why) => why,
    };
    for copy in copies {
        if let FoundManifest::Right(signed, bytes) = copy.manifest(environment, backup)? {
            return Ok((Some(why), *signed, bytes));
        }
    }
    Err(OperationError::hinted(
        ErrorKind::Damaged,
        format!("no copy has the manifest of the backup {}: {why}", backup.id.short()),
        "name another copy of the folder with --from",
    ))
}

fn broken_part(
    environment: &Environment,
    target: &Copy,
    part: &Part,
    monitor: &dyn Monitor,
) -> Result<Option<BrokenPart>> {
    let act = || format!("reading {} at {}", part.name, target.title);
    let source = target.open(environment, part)?;
    let found = source.as_ref().map(ReadAt::size_bytes).transpose().doing(act())?;
    let what = match found {
        None => Some("it is not there".to_owned()),
        Some(found) if found != part.size_bytes => {
            Some(format!("{found} bytes are there, {} should be", part.size_bytes))
        }
        Some(_) => None,
    };
    let nothing: Box<dyn ReadAt> = Box::new(Vec::new());
    let source = source.unwrap_or(nothing);
    let mut blocks = Vec::new();
    let mut buffer = Vec::new();
    let mut progress = |count: u64| {
        monitor.bytes(count);
        if monitor.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    for block in 0..part.block_count() {
        let wrong = read_block(&*source, part, block, &mut buffer, &mut progress).doing(act())?;
        let (offset_bytes, size_bytes) = part.block(block);
        blocks.extend(wrong.map(|what| BrokenBlock { block, offset_bytes, size_bytes, what }));
    }
    let is_right = what.is_none() && blocks.is_empty();
    let (name, size_bytes) = (part.name.clone(), part.size_bytes);
    Ok((!is_right).then_some(BrokenPart { part: name, size_bytes, what, blocks }))
}
