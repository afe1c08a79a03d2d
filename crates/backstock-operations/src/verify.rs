//! Reading a backup back and checking it, to an honest depth: what was not reached is never reported as reached.

use std::collections::HashMap;
use std::ops::ControlFlow;

use backstock_archive::check_part;
use backstock_archive::manifest::ManifestArtifact;
use backstock_catalog::{Backup, Replica};
use backstock_database::{
    Checksum, Contents, DumpedObject, RawText, check_rows_frame, check_statements, readable,
};
use backstock_vocabulary::{ArtifactKind, BackupId, Proof, ReplicaState, VerifyLevel};
use serde::Serialize;

use crate::backup::FilesSummary;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, Result, chain};
use crate::monitor::{Expected, Monitor, Phase, TreeWatch};
use crate::stored::StoredBackup;
use crate::succession::Irregularity;

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
    /// Whether everything that was asked for was reached and is right.
    pub fn is_good(&self) -> bool {
        self.damage.is_empty() && self.reached >= Some(self.wanted)
    }
}

/// Checks a backup down to a level.
pub fn verify(
    environment: &Environment,
    backup: Backup,
    level: VerifyLevel,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let mut report = VerifyReport {
        backup: backup.id,
        wanted: level,
        reached: None,
        damage: Vec::new(),
        stopped: None,
        read_bytes: 0,
        tables: 0,
        rows: 0,
        files: 0,
        irregularities: Vec::new(),
    };
    let record = backup.clone();
    let stored = match StoredBackup::open(environment, backup) {
        Ok(stored) => stored,
        Err(error) if error.kind() == ErrorKind::Damaged => {
            report.damage.push(Damage { part: "manifest.json".to_owned(), what: chain(&error) });
            mark(environment, &record, None, &report)?;
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    check_levels(environment, &stored, level, &mut report, monitor)?;
    mark(environment, &record, Some(&stored.replica), &report)?;
    report.irregularities = stored.set_folder.irregularities(environment)?;
    Ok(report)
}

fn check_levels(
    environment: &Environment,
    stored: &StoredBackup,
    level: VerifyLevel,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    check_present(environment, stored, report)?;
    if !report.damage.is_empty() {
        return Ok(());
    }
    report.reached = Some(VerifyLevel::Present);
    if level >= VerifyLevel::Bytes {
        let total = stored.signed.manifest.stored_bytes();
        monitor.phase(Phase::Checking, Expected { bytes: Some(total), items: None });
        check_bytes(environment, stored, report, monitor)?;
        if !report.damage.is_empty() {
            return Ok(());
        }
        report.reached = Some(VerifyLevel::Bytes);
    }
    if level >= VerifyLevel::Decoded {
        monitor.phase(Phase::Checking, Expected::default());
        let act = check_decoded(environment, stored, report, monitor);
        if let Err(error) = act {
            if error.kind() != ErrorKind::Damaged {
                return Err(error);
            }
            report.damage.push(Damage { part: stored.folder.clone(), what: chain(&error) });
        }
        if !report.damage.is_empty() {
            return Ok(());
        }
        report.reached = Some(VerifyLevel::Decoded);
    }
    if level >= VerifyLevel::Drilled {
        report.stopped = Some(
            "this version restores nothing into a scratch place by itself: every byte was decoded instead"
                .to_owned(),
        );
    }
    Ok(())
}

/// What was found goes to the catalog: a damaged replica never counts as a copy.
fn mark(
    environment: &Environment,
    backup: &Backup,
    replica: Option<&Replica>,
    report: &VerifyReport,
) -> Result<()> {
    let replicas = match replica {
        Some(replica) => vec![replica.clone()],
        None => environment
            .wait(environment.catalog.replicas(backup.id))
            .doing(format!("looking for the replicas of backup {}", backup.id.short()))?,
    };
    for mut replica in replicas {
        if !report.damage.is_empty() {
            replica.state = ReplicaState::Damaged;
        } else if report.reached >= Some(VerifyLevel::Bytes) {
            replica.state = ReplicaState::Verified;
            replica.proof = Some(Proof::ReadBack);
        } else {
            continue;
        }
        replica.checked = Some(environment.host.clock.now());
        environment
            .wait(environment.catalog.save_replica(&replica))
            .doing("recording what the check found")?;
    }
    Ok(())
}

fn check_present(environment: &Environment, stored: &StoredBackup, report: &mut VerifyReport) -> Result<()> {
    for part in stored.signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts) {
        let what = match stored.set_folder.part_size(environment, &stored.folder, part)? {
            Some(size_bytes) if size_bytes == part.size_bytes => continue,
            Some(size_bytes) => format!("{size_bytes} bytes are there, {} should be", part.size_bytes),
            None => "it is not there".to_owned(),
        };
        report.damage.push(Damage { part: part.name.clone(), what });
    }
    Ok(())
}

fn check_bytes(
    environment: &Environment,
    stored: &StoredBackup,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    for part in stored.signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts) {
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
        report
            .damage
            .extend(wrong.iter().map(|error| Damage { part: part.name.clone(), what: chain(error) }));
    }
    Ok(())
}

fn check_decoded(
    environment: &Environment,
    stored: &StoredBackup,
    report: &mut VerifyReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    if let Some(artifact) = stored.signed.manifest.artifact(ArtifactKind::Database) {
        check_database(environment, stored, artifact, report, monitor)?;
    }
    if stored.has(ArtifactKind::Files) {
        let (reader, index) = stored.artifact(environment, ArtifactKind::Files)?;
        let act = || format!("decoding the files of {}", stored.folder);
        let found =
            backstock_archive::tree::check_archive(&reader, &index, &TreeWatch(monitor)).doing(act())?;
        let summary: FilesSummary = index.summary().doing(act())?;
        report.files = found.files;
        report
            .damage
            .extend(found.faults.iter().map(|what| Damage { part: "files".to_owned(), what: what.clone() }));
        if found.files != summary.report.files {
            let what = format!("{} files are in it, {} were written", found.files, summary.report.files);
            report.damage.push(Damage { part: "files".to_owned(), what });
        }
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
