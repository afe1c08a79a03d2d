//! Decoding a whole archive from its first byte to its last and comparing every member with the index, in order.

use std::io::Read;

use super::cursor::{FrameCursor, error_of};
use super::entry::{FileEntry, FileKind};
use super::report::{TreeMonitor, printable};
use super::restore_file::{ARTIFACT, compare, read_content, read_entry};
use super::source::FilesSource;
use crate::tar::read::read_member;
use crate::{Error, IndexReader, ReadAt, Result};

/// So many faults of one archive are told.
const FAULTS_LIMIT: usize = 20;

/// What a check of an archive found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Files whose content has the hash that the index tells.
    pub files: u64,
    /// Members of any kind.
    pub members: u64,
    /// What is wrong. What follows the first fault was not looked at.
    pub faults: Vec<String>,
}

/// Reads every member in order. Nothing may be missing, doubled, in another place, or behind the last one.
///
/// # Errors
/// When the index or a frame cannot be read for a reason other than damage, or when the monitor stops it.
pub fn check_archive<R: ReadAt>(
    source: &FilesSource<'_>,
    index: &IndexReader<R>,
    monitor: &dyn TreeMonitor,
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let mut cursor = FrameCursor::new(source);
    for line in index.entries::<FileEntry>() {
        if monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let entry = line?.entry;
        let is_own = entry.frame.is_some() && entry.held_by == source.own_number();
        let checked = match entry.filler_frame {
            Some(frame) => check_filler(&mut cursor, &entry, frame),
            None if is_own => check_member(&mut cursor, &entry, monitor),
            None => continue,
        };
        match checked {
            Ok(()) => {
                report.members += 1;
                report.files += u64::from(is_own && entry.kind == FileKind::File && entry.is_stored());
                monitor.file(&entry.path, entry.size_bytes);
            }
            Err(error) if error.is_damage() => {
                report.faults.push(format!("{}: {}", printable(&entry.path), with_causes(&error)));
                return Ok(report);
            }
            Err(error) => return Err(error),
        }
    }
    match read_member(&mut cursor) {
        Ok(None) => {
            if cursor.position()?.is_some() {
                report.faults.push("something lies behind the end of the archive".to_owned());
            }
        }
        Ok(Some(member)) => {
            report
                .faults
                .push(format!("the archive holds {} beyond what the index names", printable(&member.path)));
        }
        Err(error) => report.faults.push(format!("the end of the archive: {error}")),
    }
    Ok(report)
}

/// Reads every member of a backup that lies in the archive of one that it builds on, given by its number in the chain: what a
/// restore would read there.
///
/// # Errors
/// As [`check_archive`].
pub fn check_held<R: ReadAt>(
    source: &FilesSource<'_>,
    index: &IndexReader<R>,
    number: u32,
    monitor: &dyn TreeMonitor,
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let mut cursor = FrameCursor::new(source);
    for line in index.entries::<FileEntry>() {
        if monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let entry = line?.entry;
        if entry.held_by != number || !entry.is_stored() {
            continue;
        }
        let checked = read_entry(&mut cursor, &entry).and_then(|member| match entry.kind {
            FileKind::File => read_content(&mut cursor, &entry, &member, &mut |_, bytes| {
                monitor.bytes(bytes.len() as u64);
                Ok(())
            }),
            _ => Ok(()),
        });
        match checked {
            Ok(()) => {
                report.members += 1;
                report.files += u64::from(entry.kind == FileKind::File);
                monitor.file(&entry.path, entry.size_bytes);
            }
            Err(error) if error.is_damage() && report.faults.len() < FAULTS_LIMIT => {
                report.faults.push(format!("{}: {}", printable(&entry.path), with_causes(&error)));
            }
            Err(error) if error.is_damage() => return Ok(report),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn check_member(cursor: &mut FrameCursor<'_>, entry: &FileEntry, monitor: &dyn TreeMonitor) -> Result<()> {
    let fault = |what: &str| Error::Entry {
        artifact: ARTIFACT.to_owned(),
        path: printable(&entry.path),
        what: what.to_owned(),
    };
    if cursor.position()? != entry.frame.map(|frame| (frame, entry.offset_bytes)) {
        return Err(fault("the index says that it is in another place"));
    }
    let member = read_member(cursor)
        .map_err(|error| error_of(error, ARTIFACT, &entry.path))?
        .ok_or_else(|| fault("the archive ends where it should begin"))?;
    compare(entry, &member).map_err(fault)?;
    if entry.kind == FileKind::File && !entry.is_stored() {
        // It could not be read to its end: what stands here only keeps its place.
        return skip(cursor, member.data_bytes + member.padding_bytes as u64, entry);
    }
    if entry.kind == FileKind::Folder {
        // Its names, where they are too long for the header.
        skip(cursor, member.data_bytes, entry)?;
    }
    if entry.kind == FileKind::File {
        read_content(cursor, entry, &member, &mut |_, bytes| {
            monitor.bytes(bytes.len() as u64);
            Ok(())
        })?;
    }
    let mut padding = vec![0; member.padding_bytes];
    cursor.read_exact(&mut padding).map_err(|error| error_of(error, ARTIFACT, &entry.path))
}

/// What could be read of a file whose earlier version is carried on: nobody takes it for a file, but it has its place.
fn check_filler(cursor: &mut FrameCursor<'_>, entry: &FileEntry, frame: u64) -> Result<()> {
    let fault = |what: &str| Error::Entry {
        artifact: ARTIFACT.to_owned(),
        path: printable(&entry.path),
        what: what.to_owned(),
    };
    if cursor.position()? != Some((frame, 0)) {
        return Err(fault("the index says that what could be read of it is in another place"));
    }
    let member = read_member(cursor).map_err(|error| error_of(error, ARTIFACT, &entry.path))?;
    let member = member.filter(|member| member.path == entry.path);
    let member = member.ok_or_else(|| fault("the archive has another path there"))?;
    skip(cursor, member.data_bytes + member.padding_bytes as u64, entry)
}

fn skip(cursor: &mut FrameCursor<'_>, mut bytes: u64, entry: &FileEntry) -> Result<()> {
    while bytes > 0 {
        let count = cursor.take(bytes)?.len() as u64;
        if count == 0 {
            return Err(error_of(std::io::ErrorKind::UnexpectedEof.into(), ARTIFACT, &entry.path));
        }
        bytes -= count;
    }
    Ok(())
}
