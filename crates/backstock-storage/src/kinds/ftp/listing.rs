//! What a server tells of files: in the form for programs (RFC 3659, section 7), else in whatever form `ls -l` has.

use suppaftp::list::ListParser;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::connection::Lease;
use crate::remote_tree::{Entry, EntryKind};
use crate::{Error, LIST_LIMIT_OBJECTS, Result};

/// The longest line of a listing, in bytes: a name and its facts.
const LINE_LIMIT_BYTES: usize = 16 << 10;

/// The type and length in a line of facts: `type=file;size=17;… name`.
pub(super) fn facts(line: &str) -> Option<(EntryKind, u64)> {
    let facts = line.trim_start().split(' ').next()?;
    let mut kind = None;
    let mut size_bytes = 0;
    for (name, value) in facts.split(';').filter_map(|fact| fact.split_once('=')) {
        match name.to_ascii_lowercase().as_str() {
            "type" => {
                kind = Some(match value.to_ascii_lowercase().as_str() {
                    "file" => EntryKind::File,
                    "dir" | "cdir" | "pdir" => EntryKind::Folder,
                    _ => EntryKind::Other,
                });
            }
            "size" => size_bytes = value.parse().ok()?,
            _ => {}
        }
    }
    Some((kind?, size_bytes))
}

fn from_facts(line: &str) -> Option<Entry> {
    let (kind, size_bytes) = facts(line)?;
    let step = line.split_once(' ')?.1.to_owned();
    Some(Entry { step, kind, size_bytes })
}

/// A line for people. Links and what cannot be read are passed over.
fn from_long_line(line: &str) -> Option<Entry> {
    let file = ListParser::parse_posix(line).or_else(|_| ListParser::parse_dos(line)).ok()?;
    let kind = if file.is_directory() {
        EntryKind::Folder
    } else if file.is_file() {
        EntryKind::File
    } else {
        EntryKind::Other
    };
    Some(Entry { step: file.name().to_owned(), kind, size_bytes: file.size() as u64 })
}

/// After so many lines servers use to cut a listing off (Pure-FTPd's `LimitRecursion`), and say so where the library does not hear
/// it (F94).
const CUT_OFF_LINES: usize = 10_000;

/// What is in a folder. One that is not there holds nothing.
pub(super) async fn entries(lease: &mut Lease<'_>, folder: &str) -> Result<Vec<Entry>> {
    // In the folder itself: servers read blanks and dashes in an argument each in its own way.
    let told = lease.patience().answer(lease.ftp().cwd(folder)).await;
    match lease.note("list", folder, told) {
        Ok(()) => {}
        Err(failure) if failure.says_absent() => return Ok(Vec::new()),
        Err(failure) => return Err(failure.into()),
    }
    let mut entries = if lease.features().mlst {
        lines(lease, folder, "MLSD").await?.iter().filter_map(|line| from_facts(line)).collect()
    } else {
        // Names that begin with a dot are shown only when asked for.
        let told = match lines(lease, folder, "LIST -a").await {
            Err(Error::Refused { .. }) => lines(lease, folder, "LIST").await?,
            other => other?,
        };
        told.iter().filter_map(|line| from_long_line(line)).collect::<Vec<_>>()
    };
    entries.retain(|entry| !matches!(entry.step.as_str(), "." | ".."));
    Ok(entries)
}

async fn lines(lease: &mut Lease<'_>, folder: &str, command: &str) -> Result<Vec<String>> {
    use suppaftp::Status::{AboutToSend, AlreadyOpen};
    let patience = lease.patience();
    let transfer = loop {
        let opened =
            patience.answer(lease.ftp().custom_data_command(command, &[AboutToSend, AlreadyOpen])).await;
        match lease.note("list", folder, opened) {
            Err(failure) if failure.is_unknown_command() && lease.use_older_passive_mode() => {}
            other => break other?.1,
        }
    };
    let place = lease.pool_place();
    let name = folder.to_owned();
    lease.ftp();
    let failed = |source| Error::Io { act: "list", name: name.clone(), place: place.clone(), source };
    let mut reader = BufReader::new(transfer);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        let count = patience.answer(reader.read_until(b'\n', &mut line)).await;
        let count = count.and_then(|count| count).map_err(failed)?;
        if count == 0 {
            break;
        }
        if count > LINE_LIMIT_BYTES || lines.len() > LIST_LIMIT_OBJECTS {
            return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
        }
        let line = String::from_utf8_lossy(&line);
        lines.push(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let finished = patience.answer(reader.into_inner().finish()).await;
    lease.note("list", folder, finished)?;
    if lines.len() >= CUT_OFF_LINES {
        let count = lines.len();
        tracing::warn!(
            "{folder} at {place} has {count} entries or more: many servers list no more than that"
        );
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_for_programs() {
        let entry =
            from_facts("type=file;size=17;modify=20261120030000;UNIX.mode=0600; naïve name (1) ").unwrap();
        assert_eq!(
            (entry.step.as_str(), entry.kind, entry.size_bytes),
            ("naïve name (1) ", EntryKind::File, 17)
        );
        assert_eq!(from_facts("Type=dir;Modify=1; db").unwrap().kind, EntryKind::Folder);
        assert_eq!(from_facts("type=OS.unix=slink:/x; l").unwrap().kind, EntryKind::Other);
        assert_eq!(facts(" Type=file;Size=9; /a/b"), Some((EntryKind::File, 9)));
        for broken in ["", "size=1; a", "type=file;size=x; a", "226 done"] {
            assert_eq!(from_facts(broken), None, "{broken}");
        }
    }

    #[test]
    fn lines_for_people() {
        let entry =
            from_long_line("-rw-------    1 0        0         2101473 Nov 22 10:40 db.sql zst.001").unwrap();
        assert_eq!(
            (entry.step.as_str(), entry.kind, entry.size_bytes),
            ("db.sql zst.001", EntryKind::File, 2_101_473)
        );
        let entry = from_long_line("drwx------    2 1000     1000         4096 Jan 01  2024 files").unwrap();
        assert_eq!((entry.step.as_str(), entry.kind), ("files", EntryKind::Folder));
        assert_eq!(from_long_line("total 17"), None);
    }
}
