//! Putting broken parts together from whoever has each block, and letting them take the damaged ones' places. Data can be
//! lost here: see the order in the room's own words.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use backstock_archive::layout::MANIFEST_NAME;
use backstock_archive::{Part, ReadAt, Sha256, check_part, read_block};
use backstock_host::failpoint;
use backstock_storage::SpooledPart;
use backstock_vocabulary::{Outcome, ReplicaState, RunKind, VerifyLevel};

use super::copies::Copy;
use super::{BrokenPart, MendedPart, RefusedSource, RepairPlan, RepairReport, ReplicaPlan, TakenBlock};
use crate::backup::RESERVE_BYTES;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, RunSubject};
use crate::spool_folder::SpoolFolder;
use crate::verify::{Finding, mark, record_levels};

/// Mends what the plan has found. What no copy has stays as it is, and is told.
///
/// # Errors
/// [`ErrorKind::Storage`] and [`ErrorKind::Failed`] where there is no room or a write fails: every part is then either what
/// it was or whole.
pub fn repair(
    environment: &Environment,
    mut plan: RepairPlan,
    monitor: &dyn Monitor,
) -> Result<Vec<RepairReport>> {
    let Some(lock) = plan.lock.take() else {
        let message = "a plan that is only looked at is not acted on";
        return Err(OperationError::plain(ErrorKind::Failed, message));
    };
    let subject = RunSubject {
        kind: RunKind::Verify,
        shop: plan.backup.shop,
        shop_title: plan.shop.clone(),
        set: Some(plan.backup.set),
        set_title: String::new(),
    };
    let detail = serde_json::json!({ "backup": plan.backup.id, "repair": true });
    let run = RunRecord::start_locked(environment, &subject, detail, lock)?;
    let spool = SpoolFolder::create(environment, run.id);
    let mended: Result<Vec<RepairReport>> = spool.and_then(|spool| {
        let mend = |replica| Mending { environment, plan: replica, spool: spool.path(), monitor }.run(&plan);
        let mended: Result<Vec<_>> = plan.replicas.iter().map(mend).collect();
        let path = spool.path();
        let removed = environment.host.files.remove_tree(path).doing(format!("removing {}", path.display()));
        mended.and_then(|mended| removed.map(|()| mended))
    });
    match mended {
        Ok(reports) => {
            let is_whole = reports.iter().all(|report| report.left.is_empty());
            run.finish(environment, if is_whole { Outcome::Success } else { Outcome::Partial })?;
            Ok(reports)
        }
        Err(error) => {
            run.fail(environment, &error);
            Err(error)
        }
    }
}

/// One replica that is being mended.
struct Mending<'a> {
    environment: &'a Environment,
    plan: &'a ReplicaPlan,
    spool: &'a Path,
    monitor: &'a dyn Monitor,
}

impl Mending<'_> {
    fn run(&self, whole: &RepairPlan) -> Result<RepairReport> {
        let plan = self.plan;
        let mut report = RepairReport {
            backup: plan.backup,
            storage: plan.storage.clone(),
            folder: plan.folder.clone(),
            mended: Vec::new(),
            is_manifest_mended: false,
            left: Vec::new(),
            refused: plan.refused.clone(),
            fetched_bytes: 0,
            state: plan.replica.state,
        };
        let total = plan.parts.iter().map(|part| part.size_bytes).sum();
        self.monitor.phase(Phase::Putting, Expected { bytes: Some(total), items: None });
        for broken in &plan.parts {
            match self.mend(broken, &mut report)? {
                Some(mended) => report.mended.push(mended),
                None => report.left.push(broken.clone()),
            }
        }
        if report.left.is_empty() && plan.manifest.is_some() {
            self.put_manifest()?;
            report.is_manifest_mended = true;
        }
        let is_whole = report.left.is_empty();
        let (finding, state) = match is_whole {
            // All of it was read in this run: what was right before, and what was put, after it was put.
            true => (Finding::ReadBack, ReplicaState::Verified),
            false => (Finding::Damaged, ReplicaState::Damaged),
        };
        mark(self.environment, &whole.backup, Some(&plan.replica), finding)?;
        record_levels(self.environment, &whole.backup, Some(&plan.replica), VerifyLevel::Bytes)?;
        report.state = state;
        Ok(report)
    }

    /// Mends one part; `None` where a block of it is nowhere good.
    fn mend(&self, broken: &BrokenPart, report: &mut RepairReport) -> Result<Option<MendedPart>> {
        let mut parts = self.plan.signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts);
        let Some(part) = parts.find(|part| part.name == broken.part) else { return Ok(None) };
        self.require_room(part)?;
        let path = self.spool.join("part");
        let act = || format!("putting {} together in {}", part.name, path.display());
        self.environment.host.files.remove_file(&path).doing(act())?;
        let Some(blocks) = self.put_together(part, broken, &path, report)? else {
            self.environment.host.files.remove_file(&path).doing(act())?;
            return Ok(None);
        };
        // What the disk gives back is what goes, not what was handed to it.
        let spooled = self.environment.host.files.open(&path).doing(act())?;
        self.require_right(&spooled, part, "the part that was put together")?;
        drop(spooled);
        failpoint::reach("repair.before_replace").doing(act())?;
        self.replace(&part.name, &path, part.size_bytes, part.sha256)?;
        failpoint::reach("repair.after_replace").doing(act())?;
        let stored = self.plan.target.open(self.environment, part)?;
        let stored = stored.ok_or_else(|| {
            let message = format!("{} was put at {} and is not there", part.name, self.plan.storage);
            OperationError::plain(ErrorKind::Storage, message)
        })?;
        self.require_right(&*stored, part, "the part that was put")?;
        Ok(Some(MendedPart { part: part.name.clone(), blocks }))
    }

    fn require_room(&self, part: &Part) -> Result<()> {
        let files = &self.environment.host.files;
        let act = format!("mending {} of {}", part.name, self.plan.folder);
        files.require_space(self.spool, part.size_bytes, RESERVE_BYTES).doing(act)?;
        let storage = &self.plan.target.place.storage;
        let act = || format!("asking for the free space of {}", self.plan.storage);
        let free_bytes = self.environment.wait(storage.free_bytes()).doing(act())?;
        if let Some(free_bytes) =
            free_bytes.filter(|free| free.saturating_sub(RESERVE_BYTES) < part.size_bytes)
        {
            return Err(OperationError::hinted(
                ErrorKind::Storage,
                format!(
                    "{} has {} bytes, {free_bytes} are free at {} and {RESERVE_BYTES} of them stay in reserve",
                    part.name, part.size_bytes, self.plan.storage
                ),
                "make room there; nothing was changed",
            ));
        }
        Ok(())
    }

    /// Writes a part into the spool: its own good blocks, and the others from whoever has them.
    fn put_together(
        &self,
        part: &Part,
        broken: &BrokenPart,
        path: &Path,
        report: &mut RepairReport,
    ) -> Result<Option<Vec<TakenBlock>>> {
        let act = || format!("putting {} together in {}", part.name, path.display());
        let own = self.plan.target.open(self.environment, part)?;
        let mut sources: Vec<(&Copy, Option<Box<dyn ReadAt>>)> = Vec::new();
        for copy in &self.plan.copies {
            sources.push((copy, copy.open(self.environment, part)?));
        }
        let mut file = self.environment.host.files.create_long(path).doing(act())?;
        let (mut block, mut taken) = (Vec::new(), Vec::new());
        for number in 0..part.block_count() {
            let (offset_bytes, size_bytes) = part.block(number);
            let is_broken = broken.blocks.iter().any(|broken| broken.block == number);
            let is_own = !is_broken
                && own.as_ref().is_some_and(|own| {
                    self.read(&**own, part, number, &mut block).is_ok_and(|wrong| wrong.is_none())
                });
            if !is_own {
                let mut source = None;
                for (copy, opened) in &sources {
                    let wrong = match opened {
                        None => Some("it is not there".to_owned()),
                        Some(opened) => self.read(&**opened, part, number, &mut block)?,
                    };
                    let Some(why) = wrong else {
                        source = Some(copy.title.clone());
                        break;
                    };
                    let (source, part) = (copy.title.clone(), Some(part.name.clone()));
                    report.refused.push(RefusedSource {
                        source,
                        part,
                        offset_bytes: Some(offset_bytes),
                        why,
                    });
                }
                let Some(source) = source else { return Ok(None) };
                report.fetched_bytes += size_bytes;
                taken.push(TakenBlock { offset_bytes, size_bytes, source });
            }
            if self.monitor.is_cancelled() {
                return Err(crate::backup::interrupted());
            }
            file.write_all(&block).doing(act())?;
            failpoint::reach("repair.block").doing(act())?;
            self.monitor.bytes(size_bytes);
        }
        file.sync().doing(act())?;
        Ok(Some(taken))
    }

    fn read(
        &self,
        source: &dyn ReadAt,
        part: &Part,
        number: usize,
        block: &mut Vec<u8>,
    ) -> Result<Option<String>> {
        let mut progress = |_| match self.monitor.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        read_block(source, part, number, block, &mut progress)
            .doing(format!("reading a block of {}", part.name))
    }

    /// Reads a whole part, and compares every block and the whole.
    fn require_right(&self, source: &dyn ReadAt, part: &Part, which: &str) -> Result<()> {
        let act = || format!("reading {} back", part.name);
        let wrong = check_part(source, part, &mut |_| ControlFlow::Continue(())).doing(act())?;
        wrong.first().map_or(Ok(()), |wrong| {
            let message = format!("{which} does not read back as it was written: {}", chain(wrong));
            Err(OperationError::hinted(ErrorKind::Damaged, message, "look at that disk"))
        })
    }

    fn replace(&self, path: &str, spooled: &Path, size_bytes: u64, sha256: Sha256) -> Result<()> {
        let target = &self.plan.target;
        let name = target.object(path)?;
        let part =
            SpooledPart { path: spooled, size_bytes, sha256: sha256.0, blocks: &[], may_consume: true };
        let act = format!("replacing {path} at {}", target.title);
        self.environment.wait(target.place.storage.replace(&name, &part)).doing(act).map(drop)
    }

    fn put_manifest(&self) -> Result<()> {
        let path = self.spool.join("manifest");
        let bytes = &self.plan.manifest_bytes;
        let act = || format!("mending the manifest of {}", self.plan.folder);
        self.environment.host.files.write_durably(&path, bytes).doing(act())?;
        failpoint::reach("repair.before_manifest").doing(act())?;
        self.replace(MANIFEST_NAME, &path, bytes.len() as u64, self.plan.signed.sha256)
    }
}
