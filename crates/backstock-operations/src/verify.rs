//! Reading a backup back and checking it, to an honest depth: what was not reached is never reported as reached.

mod drilled;
mod due;
mod read_back;
mod record;
mod schedule;

use std::collections::HashMap;
use std::ops::ControlFlow;

use backstock_archive::manifest::ManifestArtifact;
use backstock_archive::tree::{check_archive, check_held};
use backstock_archive::{Part, check_part};
use backstock_catalog::{Backup, Replica};
use backstock_database::{
    Checksum, Contents, DumpedObject, RawText, check_rows_frame, check_statements, readable,
};
use backstock_vocabulary::{ArtifactKind, BackupId, VerifyLevel};
use serde::Serialize;

pub use drilled::verify_drilled;
pub use due::{DueFailure, DuePlan, DueReport, plan_due, verify_due};
pub use read_back::ReadBack;
pub(crate) use read_back::{record_decoded, require_decoded};
pub use schedule::{DueCheck, Every, KnownReplica, VerifyPlan, VerifySchedule, VerifySettings, plan_verify};

use crate::backup::FilesSummary;
use crate::drill::DrillReport;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, Result, chain};
use crate::levels::{ancestors, files_of};
use crate::monitor::{Expected, Monitor, Phase, TreeWatch};
use crate::stored::StoredBackup;
use crate::succession::Irregularity;
pub(crate) use record::{Finding, mark, record_levels};

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// The backup.
    pub backup: BackupId,
    /// How deep it was asked to go.
    pub wanted: VerifyLevel,
    /// How deep it went, with everything right down to there. `None` when not even the parts are there.
    pub reached: Option<VerifyLevel>,
    /// What is wrong.
    pub damage: Vec<Damage>,
    /// Why it did not go as deep as asked, where nothing is wrong.
    pub stopped: Option<String>,
    /// Bytes read.
    pub read_bytes: u64,
    /// Tables whose rows were counted and whose checksum was compared.
    pub tables: u64,
    /// Rows counted.
    pub rows: u64,
    /// Files whose content was compared.
    pub files: u64,
    /// What does not agree among the backups of the set at that place: nothing is wrong with this one by itself.
    pub irregularities: Vec<Irregularity>,
    /// What the drill came to, where it was asked for and everything before it is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Box<DrillReport>>,
}

/// One thing that is wrong with stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The artifact or part.
    pub part: String,
    /// What is wrong, and where.
    pub what: String,
}

impl VerifyReport {
    fn begun(backup: BackupId, wanted: VerifyLevel) -> Self {
        Self {
            backup,
            wanted,
            reached: None,
            damage: Vec::new(),
            stopped: None,
            read_bytes: 0,
            tables: 0,
            rows: 0,
            files: 0,
            irregularities: Vec::new(),
            drill: None,
        }
    }

    /// Whether everything that was asked for was reached and is right.
    pub fn is_good(&self) -> bool {
        self.damage.is_empty() && self.reached >= Some(self.wanted)
    }
}

/// What is looked at; each reaches further than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// The backup alone.
    Itself,
    /// The backup and all that it builds on.
    Chain,
    /// These, and the numbers of all backups of its set at that place.
    Set,
}

/// Checks a backup down to a level, with all that it builds on, and tells what does not agree among the backups of its set.
/// Nothing is restored here: that is [`verify_drilled`].
pub fn verify(
    environment: &Environment,
    backup: Backup,
    level: VerifyLevel,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    verify_reach(environment, (backup, None), (level, Reach::Set), monitor)
}

/// Checks a backup down to a level, with all that it builds on.
pub(crate) fn verify_chain(
    environment: &Environment,
    backup: Backup,
    level: VerifyLevel,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    verify_reach(environment, (backup, None), (level, Reach::Chain), monitor)
}

/// Reads the parts of one backup back (of that replica, else of the best one), and of those that it builds on none: whoever has proven these before need not read them
/// again with each backup.
pub(crate) fn read_back_itself(
    environment: &Environment,
    backup: Backup,
    replica: Option<Replica>,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    verify_reach(environment, (backup, replica), (VerifyLevel::Bytes, Reach::Itself), monitor)
}

/// Checks one replica by itself; where everything is decoded, with what it builds on.
fn verify_replica(
    environment: &Environment,
    backup: Backup,
    replica: Replica,
    level: VerifyLevel,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let reach = if level >= VerifyLevel::Decoded { Reach::Chain } else { Reach::Itself };
    verify_reach(environment, (backup, Some(replica)), (level, reach), monitor)
}

fn verify_reach(
    environment: &Environment,
    (backup, replica): (Backup, Option<Replica>),
    (level, reach): (VerifyLevel, Reach),
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::begun(backup.id, level);
    let record = backup.clone();
    let opened = match replica.clone() {
        Some(replica) => StoredBackup::open_replica(environment, backup, replica),
        None => StoredBackup::open(environment, backup),
    };
    let stored = match opened {
        Ok(stored) => stored,
        Err(error) if error.kind() == ErrorKind::Damaged => {
            report.damage.push(Damage { part: "manifest.json".to_owned(), what: chain(&error) });
            mark(environment, &record, replica.as_ref(), Finding::Damaged)?;
            record_levels(environment, &record, replica.as_ref(), level)?;
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let others = match ancestors(environment, &stored) {
        Ok(others) => others,
        Err(error) if error.kind() == ErrorKind::Damaged => {
            report.damage.push(Damage { part: "chain".to_owned(), what: chain(&error) });
            mark(environment, &record, Some(&stored.replica), Finding::Unproven)?;
            record_levels(environment, &record, Some(&stored.replica), level)?;
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let others = if reach >= Reach::Chain { others } else { Vec::new() };
    let mut members: Vec<Member<'_>> =
        others.iter().map(|stored| Member { stored, is_other: true, is_damaged: false }).collect();
    members.push(Member { stored: &stored, is_other: false, is_damaged: false });
    check_levels(environment, &mut members, level, &mut report, monitor)?;
    let are_others_good = members.iter().all(|member| !member.is_other || !member.is_damaged);
    for member in &members {
        let finding = match (member.is_damaged, member.is_other) {
            (true, _) => Finding::Damaged,
            // Of these only the files were looked at.
            (false, true) => continue,
            (false, false) if !are_others_good => Finding::Unproven,
            (false, false) if report.reached >= Some(VerifyLevel::Bytes) => Finding::ReadBack,
            (false, false) => continue,
        };
        mark(environment, &member.stored.record, Some(&member.stored.replica), finding)?;
    }
    // Damage that is found early is found: deeper it would be the same.
    let looked = if report.damage.is_empty() { report.reached } else { Some(level) };
    if let Some(looked) = looked {
        record_levels(environment, &stored.record, Some(&stored.replica), looked)?;
    }
    if reach >= Reach::Set {
        report.irregularities = stored.set_folder.irregularities(environment)?;
    }
    Ok(report)
}

/// One backup of the chain that is checked; the last is the one that was asked for.
struct Member<'a> {
    stored: &'a StoredBackup,
    /// It is one of those that the backup builds on: its files count, its database does not.
    is_other: bool,
    is_damaged: bool,
}

impl<'a> Member<'a> {
    /// The parts that a restore needs.
    fn parts(&self) -> impl Iterator<Item = &'a Part> + use<'a> {
        let is_other = self.is_other;
        let is_of_files = |kind| matches!(kind, ArtifactKind::Files | ArtifactKind::FilesIndex);
        let artifacts = self.stored.signed.manifest.artifacts.iter();
        artifacts
            .filter(move |artifact| !is_other || is_of_files(artifact.kind))
            .flat_map(|artifact| &artifact.parts)
    }

    fn damage(&mut self, report: &mut VerifyReport, part: &str, what: String) {
        self.is_damaged = true;
        let part = if self.is_other { format!("{}/{part}", self.stored.folder) } else { part.to_owned() };
        report.damage.push(Damage { part, what });
    }
}

fn check_levels(
    environment: &Environment,
    members: &mut [Member<'_>],
    level: VerifyLevel,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    for member in members.iter_mut() {
        check_present(environment, member, report)?;
    }
    if !report.damage.is_empty() {
        return Ok(());
    }
    report.reached = Some(VerifyLevel::Present);
    if level >= VerifyLevel::Bytes {
        let total = members.iter().flat_map(Member::parts).map(|part| part.size_bytes).sum();
        monitor.phase(Phase::Checking, Expected { bytes: Some(total), items: None });
        for member in members.iter_mut() {
            check_bytes(environment, member, report, monitor)?;
        }
        if !report.damage.is_empty() {
            return Ok(());
        }
        report.reached = Some(VerifyLevel::Bytes);
    }
    if level >= VerifyLevel::Decoded {
        monitor.phase(Phase::Checking, Expected::default());
        let act = check_decoded(environment, members, report, monitor);
        if let Err(error) = act {
            if error.kind() == ErrorKind::Locked {
                let hint = error.hint().unwrap_or_default();
                report.stopped = Some(format!("{}: {hint}", chain(&error)));
                return Ok(());
            }
            if error.kind() != ErrorKind::Damaged {
                return Err(error);
            }
            if let Some(own) = members.last_mut() {
                let folder = own.stored.folder.clone();
                own.damage(report, &folder, chain(&error));
            }
        }
        if !report.damage.is_empty() {
            return Ok(());
        }
        report.reached = Some(VerifyLevel::Decoded);
    }
    Ok(())
}

fn check_present(
    environment: &Environment,
    member: &mut Member<'_>,
    report: &mut VerifyReport,
) -> Result<()> {
    for part in member.parts() {
        let stored = member.stored;
        let what = match stored.set_folder.part_size(environment, &stored.folder, part)? {
            Some(size_bytes) if size_bytes == part.size_bytes => continue,
            Some(size_bytes) => format!("{size_bytes} bytes are there, {} should be", part.size_bytes),
            None => "it is not there".to_owned(),
        };
        member.damage(report, &part.name, what);
    }
    Ok(())
}

fn check_bytes(
    environment: &Environment,
    member: &mut Member<'_>,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    for part in member.parts() {
        let stored = member.stored;
        let source = stored.set_folder.open_part(environment, &stored.folder, part)?;
        let mut progress = |count: u64| {
            monitor.bytes(count);
            if monitor.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let checked = check_part(&source, part, &mut progress);
        if monitor.is_cancelled() {
            return Err(crate::backup::interrupted());
        }
        let wrong = checked.doing(format!("reading {} of {}", part.name, stored.folder))?;
        report.read_bytes += part.size_bytes;
        for error in &wrong {
            member.damage(report, &part.name, chain(error));
        }
    }
    Ok(())
}

fn check_decoded(
    environment: &Environment,
    members: &mut [Member<'_>],
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let Some((own, others)) = members.split_last_mut() else { return Ok(()) };
    let stored = own.stored;
    if let Some(artifact) = stored.signed.manifest.artifact(ArtifactKind::Database) {
        let before = report.damage.len();
        check_database(environment, stored, artifact, report, monitor)?;
        own.is_damaged |= report.damage.len() > before;
    }
    if !stored.has(ArtifactKind::Files) {
        return Ok(());
    }
    let (source, index) = files_of(environment, stored)?;
    let watch = TreeWatch(monitor);
    let act = || format!("decoding the files of {}", stored.folder);
    let found = check_archive(&source, &index, &watch).doing(act())?;
    report.files = found.files;
    for what in found.faults {
        own.damage(report, "files", what);
    }
    // Alone it holds a part of the files that its index names.
    let are_all_here = others.len() == usize::try_from(source.own_number()).unwrap_or(usize::MAX);
    for (number, other) in (0..).zip(others) {
        let held = check_held(&source, &index, number, &watch).doing(act())?;
        report.files += held.files;
        for what in held.faults {
            other.damage(report, "files", what);
        }
    }
    let summary: FilesSummary = index.summary().doing(act())?;
    if are_all_here && report.damage.is_empty() && report.files != summary.report.files {
        let what = format!("{} files are in it, {} were written", report.files, summary.report.files);
        own.damage(report, "files", what);
    }
    Ok(())
}

/// Every frame is decoded, every statement tokenised; rows and checksums are compared with the index, frame by frame.
fn check_database(
    environment: &Environment,
    stored: &StoredBackup,
    artifact: &ManifestArtifact,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let (reader, index) = stored.artifact(environment, ArtifactKind::Database)?;
    let act = || format!("decoding {} of {}", artifact.path(), stored.folder);
    let mut expected: HashMap<u64, (RawText, u64, Checksum)> = HashMap::new();
    for line in index.entries::<DumpedObject>() {
        let DumpedObject::Table(table) = line.doing(act())?.entry else { continue };
        if table.contents == Contents::Included {
            report.tables += 1;
        }
        for frame in table.frames {
            expected.insert(frame.frame, (table.name.clone(), frame.row_count, frame.checksum));
        }
    }
    let mut damage = |what: String| report.damage.push(Damage { part: artifact.path(), what });
    let mut plaintext_bytes = 0;
    for number in 0..reader.frames().len() {
        if monitor.is_cancelled() {
            return Err(crate::backup::interrupted());
        }
        let text = reader.read_frame(number).doing(act())?;
        plaintext_bytes += text.len() as u64;
        monitor.bytes(text.len() as u64);
        let Some((name, rows, checksum)) = expected.remove(&number) else {
            if let Err(error) = check_statements(&text) {
                damage(format!("frame {number}: {}", chain(&error)));
            }
            continue;
        };
        match check_rows_frame(&text, checksum.row_hash()) {
            Ok(facts) if facts.table == name.0 && facts.row_count == rows && facts.checksum == checksum => {
                report.rows += rows;
            }
            Ok(facts) => damage(format!(
                "frame {number} holds {} rows of {} (checksum {}), the index tells {rows} of {name} (checksum {checksum})",
                facts.row_count,
                readable(&facts.table),
                facts.checksum
            )),
            Err(error) => damage(format!("frame {number}: {}", chain(&error))),
        }
    }
    for (number, (name, ..)) in expected {
        damage(format!("frame {number} of the table {name} is not there"));
    }
    if artifact.plaintext_bytes.is_some_and(|bytes| bytes != plaintext_bytes) {
        damage(format!("it holds {plaintext_bytes} bytes of text, the manifest tells another number"));
    }
    Ok(())
}
