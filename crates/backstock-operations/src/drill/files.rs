//! The files part of a drill: extracted as for `restore --to`, then read back from the disk and compared with the index.

use backstock_archive::tree::{
    Exclusions, ExtractOptions, FileEntry, FileKind, FileState, NameList, Rights, Selection, TreeRequest,
    TreeRoot, compare_with_live, extract, printable,
};
use backstock_host::failpoint;
use backstock_vocabulary::ArtifactKind;

use super::Drilling;
use super::report::{DrillReport, DrilledFiles};
use super::scratch::Scratch;
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::levels::files_of;
use crate::monitor::{Expected, Phase, TreeWatch};
use crate::stored::{StoredBackup, StoredIndex};

/// What each file costs besides its content, at most, bytes.
const OVERHEAD_BYTES: u64 = 4096;

/// How much room the files need.
pub(super) fn needed_bytes(
    environment: &Environment,
    stored: &StoredBackup,
    own_archive_only: bool,
) -> Result<u64> {
    if !stored.has(ArtifactKind::Files) {
        return Ok(0);
    }
    let index = stored.index(environment, ArtifactKind::FilesIndex)?;
    let own_number = own_number(stored, &index)?;
    let mut bytes = 0_u64;
    for line in index.entries::<FileEntry>() {
        let entry = line.doing(format!("reading the files index of {}", stored.folder))?.entry;
        let is_passed_over = own_archive_only && entry.is_elsewhere(own_number);
        let content = if entry.kind == FileKind::File && !is_passed_over { entry.size_bytes } else { 0 };
        bytes = bytes.saturating_add(content).saturating_add(OVERHEAD_BYTES);
    }
    Ok(bytes)
}

/// The number of the backup itself within its chain.
fn own_number(stored: &StoredBackup, index: &StoredIndex) -> Result<u32> {
    Ok(u32::try_from(stored.files_header(index)?.chain.len()).unwrap_or(u32::MAX))
}

/// Extracts the files and compares them.
pub(super) fn drill(drilling: &mut Drilling<'_>, stored: &StoredBackup, scratch: &Scratch) -> Result<()> {
    let target = scratch.files();
    let environment = drilling.environment;
    let own_archive_only = drilling.report.unopened_files.is_some();
    drilling.timed("files restored", |drilling| {
        let (reader, index) = files_of(environment, stored)?;
        drilling.monitor.phase(Phase::Staging, Expected { bytes: None, items: Some(index.entry_count()) });
        let options = ExtractOptions { rights: rights(), own_archive_only, ..ExtractOptions::default() };
        let watch = TreeWatch(drilling.monitor);
        let extracted = extract(&reader, &index, &Selection::Everything, &target, &options, &watch)
            .doing(format!("extracting the backup {} into {}", stored.record.id.short(), target.display()))?;
        let report = &mut drilling.report;
        tell(&extracted.damaged, "damaged", &mut |line| report.damage(line));
        tell(&extracted.refused, "refused", &mut |line| report.damage(line));
        tell(&extracted.absent, "not in the backup", &mut |line| report.exception(line));
        tell(&extracted.incomplete, "not as it was", &mut |line| report.exception(line));
        report.files = Some(DrilledFiles {
            bytes: extracted.bytes,
            links: extracted.hard_links,
            ..DrilledFiles::default()
        });
        failpoint::reach("drill.extracted").doing("extracting the files")
    })?;
    drilling.timed("files compared", |drilling| compare(drilling, stored, scratch))
}

/// Setuid bits too: nobody but the owner can reach what lies in the scratch folder.
fn rights() -> Rights {
    Rights { setuid: true, ..Rights::usual() }
}

fn tell(list: &NameList, what: &str, each: &mut dyn FnMut(String)) {
    for named in &list.first {
        let reason = named.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        each(format!("{what}: {}{reason}", named.path));
    }
    let more = list.count - list.first.len() as u64;
    if more > 0 {
        each(format!("{what}: {more} more"));
    }
}

fn compare(drilling: &mut Drilling<'_>, stored: &StoredBackup, scratch: &Scratch) -> Result<()> {
    let index = stored.index(drilling.environment, ArtifactKind::FilesIndex)?;
    let header = stored.files_header(&index)?;
    let walked = TreeRequest {
        roots: vec![TreeRoot { prefix: Vec::new(), path: scratch.files() }],
        exclusions: Exclusions::default(),
        never: Vec::new(),
        started: drilling.report.started,
        readers: 1,
    };
    drilling.monitor.phase(Phase::Comparing, Expected { bytes: None, items: Some(index.entry_count()) });
    let prefixes: Vec<Vec<u8>> = header.roots.iter().map(|root| root.prefix.to_vec()).collect();
    let own_number = match drilling.report.unopened_files {
        Some(_) => Some(own_number(stored, &index)?),
        None => None,
    };
    let mut comparing =
        Comparing { report: &mut drilling.report, prefixes: &prefixes, closed: None, own_number };
    compare_with_live(&index, &walked, &TreeWatch(drilling.monitor), &mut |path, before, found| {
        comparing.path(&path, before.as_ref(), found.as_ref());
        Ok(())
    })
    .doing(format!("comparing {} with the backup", scratch.files().display()))?;
    if drilling.monitor.is_cancelled() { Err(crate::backup::interrupted()) } else { Ok(()) }
}

/// The comparison of one extracted tree.
struct Comparing<'a> {
    report: &'a mut DrillReport,
    /// The places of the roots in the backup: the folders above them are in no index.
    prefixes: &'a [Vec<u8>],
    /// A folder that its own mode keeps us out of, since we are not root.
    closed: Option<Vec<u8>>,
    /// The number of the backup in its chain, where only its own archive was opened.
    own_number: Option<u32>,
}

impl Comparing<'_> {
    fn path(&mut self, path: &[u8], before: Option<&FileEntry>, found: Option<&FileEntry>) {
        match (before, found) {
            (Some(before), _) if !before.is_stored() && before.kind != FileKind::HardLink => {}
            (Some(before), None) if self.own_number.is_some_and(|own| before.is_elsewhere(own)) => {
                *self.report.unopened_files.get_or_insert_default() += 1;
            }
            (Some(before), Some(found)) => self.both(path, before, found),
            (Some(_), None) if self.is_closed(path) => {}
            (Some(_), None) => self.fault(path, "it is not there after the restore"),
            (None, Some(_)) if self.is_above_a_root(path) => {}
            (None, Some(_)) => self.fault(path, "the restore has made it, and the backup does not have it"),
            (None, None) => {}
        }
    }

    fn fault(&mut self, path: &[u8], what: &str) {
        self.report.fault(format!("{}: {what}", printable(path)));
    }

    fn is_above_a_root(&self, path: &[u8]) -> bool {
        let is_above =
            |prefix: &Vec<u8>| prefix.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'));
        path.is_empty() || self.prefixes.iter().any(is_above)
    }

    fn is_closed(&self, path: &[u8]) -> bool {
        let closed = self.closed.as_deref();
        closed.is_some_and(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/')))
    }

    fn both(&mut self, path: &[u8], before: &FileEntry, found: &FileEntry) {
        if found.state == FileState::Unreadable {
            let reason = found.reason.as_deref().unwrap_or("it cannot be read");
            self.report.exception(format!("{} could not be read back: {reason}", printable(path)));
            self.closed = Some(path.to_vec());
            return;
        }
        if before.kind != found.kind {
            return self.fault(path, "it is of another kind after the restore");
        }
        let counted = self.report.files.get_or_insert_default();
        match before.kind {
            FileKind::File => counted.files += 1,
            FileKind::Folder => counted.folders += 1,
            _ => counted.links += 1,
        }
        if before.kind == FileKind::File {
            if before.size_bytes != found.size_bytes {
                let what = format!("it has {} bytes instead of {}", found.size_bytes, before.size_bytes);
                self.fault(path, &what);
            } else if before.blake3 != found.blake3 {
                self.fault(path, "its content is another");
            }
        }
        if before.kind == FileKind::Symlink && before.link != found.link {
            self.fault(path, "it leads elsewhere");
        }
        if before.kind != FileKind::Symlink && before.mode & 0o7777 != found.mode & 0o7777 {
            let what =
                format!("its mode is {:04o} instead of {:04o}", found.mode & 0o7777, before.mode & 0o7777);
            self.fault(path, &what);
        }
        if rights().owners && (before.uid, before.gid) != (found.uid, found.gid) {
            self.fault(path, "its owner is another");
        }
    }
}
