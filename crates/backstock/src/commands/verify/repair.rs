//! `backstock verify --repair`: mend what is damaged from whoever has it whole.

use backstock_catalog::Backup;
use backstock_operations::{
    BrokenPart, Environment, RefusedSource, RepairPlan, RepairReport, ReplicaPlan, chain_to_repair,
    plan_repair, repair,
};
use serde::Serialize;

use super::super::{Document, Result, WithPhases};
use crate::arguments::VerifyArguments;
use crate::exit::Code;
use crate::progress::PhaseAccount;
use crate::session::{Session, absolute};
use crate::terminal::{bytes_text, count_text, printable};

pub(super) fn run(
    session: &Session,
    environment: &Environment,
    arguments: &VerifyArguments,
    backup: Backup,
) -> Result {
    let from: Vec<_> = arguments.from.iter().map(|folder| absolute(folder)).collect();
    let progress = session.progress();
    let mut plans: Vec<RepairPlan> = Vec::new();
    let mut reports: Vec<RepairReport> = Vec::new();
    let result = chain_to_repair(environment, backup).and_then(|backups| {
        for backup in backups {
            let plan = plan_repair(environment, backup, &from, &progress)?;
            if arguments.dry_run || !plan.has_work() {
                // What is only looked at needs the shop no longer.
                plans.push(plan.released());
            } else {
                reports.extend(repair(environment, plan, &progress)?);
            }
        }
        Ok(())
    });
    let phases = progress.close();
    if result.is_err() {
        show_reports(session, &reports);
    }
    result?;
    show(session, arguments, (&plans, &reports), &phases);
    Ok(if reports.iter().any(|report| !report.left.is_empty()) { Code::Damaged } else { Code::Done })
}

fn show(
    session: &Session,
    arguments: &VerifyArguments,
    (plans, reports): (&[RepairPlan], &[RepairReport]),
    phases: &[PhaseAccount],
) {
    let terminal = &session.terminal;
    let replicas: Vec<&ReplicaPlan> = plans.iter().flat_map(|plan| &plan.replicas).collect();
    if terminal.json() {
        #[derive(Serialize)]
        struct Planned<'a> {
            replicas: &'a [&'a ReplicaPlan],
        }
        #[derive(Serialize)]
        struct Repaired<'a> {
            replicas: &'a [RepairReport],
        }
        if arguments.dry_run {
            let report = &Planned { replicas: &replicas };
            terminal.document(&Document::new("backstock.repair-plan/1", WithPhases { report, phases }));
        } else {
            let report = &Repaired { replicas: reports };
            terminal.document(&Document::new("backstock.repair/1", WithPhases { report, phases }));
        }
        return;
    }
    for plan in replicas {
        show_plan(session, plan);
    }
    show_reports(session, reports);
}

fn show_plan(session: &Session, plan: &ReplicaPlan) {
    let terminal = &session.terminal;
    let (id, storage) = (plan.backup.short(), printable(&plan.storage));
    if plan.is_whole() {
        let read = bytes_text(plan.read_bytes);
        terminal.data(&format!("backup {id} at {storage} is whole: {read} read, nothing is to be mended"));
        return;
    }
    terminal.data(&format!("backup {id} at {storage} is damaged"));
    if let Some(what) = &plan.manifest {
        terminal.data(&format!("  manifest.json: {}", printable(what)));
    }
    plan.parts.iter().for_each(|part| show_part(session, part));
    show_refused(session, &plan.refused);
    for source in &plan.sources {
        terminal.data(&format!("  would be mended from {}", printable(source)));
    }
    if plan.sources.is_empty() {
        terminal.warn("there is no other copy: name one with --from");
    }
}

fn show_part(session: &Session, part: &BrokenPart) {
    let terminal = &session.terminal;
    if let Some(what) = &part.what {
        terminal.data(&format!("  {}: {}", printable(&part.part), printable(what)));
    }
    for block in &part.blocks {
        let (begins, ends) = (block.offset_bytes, block.offset_bytes + block.size_bytes);
        let (name, what) = (printable(&part.part), printable(&block.what));
        terminal.data(&format!("  {name}: bytes {begins} to {ends}: {what}"));
    }
}

fn show_refused(session: &Session, refused: &[RefusedSource]) {
    for refused in refused {
        let place = match (&refused.part, refused.offset_bytes) {
            (Some(part), Some(offset)) => format!("{part} from byte {offset} on"),
            (Some(part), None) => part.clone(),
            _ => "nothing".to_owned(),
        };
        let word = if refused.part.is_some() { "not taken" } else { "is taken" };
        let (source, place, why) = (printable(&refused.source), printable(&place), printable(&refused.why));
        session.terminal.say(&format!("from {source}: {place} {word}: {why}"));
    }
}

fn show_reports(session: &Session, reports: &[RepairReport]) {
    let terminal = &session.terminal;
    for report in reports {
        let (id, storage) = (report.backup.short(), printable(&report.storage));
        show_refused(session, &report.refused);
        for mended in &report.mended {
            let part = printable(&mended.part);
            for block in &mended.blocks {
                let (begins, ends) = (block.offset_bytes, block.offset_bytes + block.size_bytes);
                let source = printable(&block.source);
                terminal.data(&format!("mended: {part}: bytes {begins} to {ends} from {source}"));
            }
            if mended.blocks.is_empty() {
                terminal.data(&format!("mended: {part}: its length"));
            }
        }
        if report.is_manifest_mended {
            terminal.data("mended: manifest.json");
        }
        report.left.iter().for_each(|part| show_part(session, part));
        let fetched = bytes_text(report.fetched_bytes);
        terminal.data(&match report.left.len() as u64 {
            0 => format!("backup {id} at {storage} is whole again: {fetched} taken from other copies"),
            left => {
                let left = count_text(left, "part");
                format!("backup {id} at {storage} stays damaged: {left} nowhere whole, {fetched} taken")
            }
        });
    }
}
