//! Restoring a shop: plan, safety snapshot, everything aside, then the visible steps; undo and acceptance afterwards.
//!
//! Data can be lost here. From the first visible step the [`journal`] is the only thing that knows both sides; every
//! visible step can be run forward and backward, from wherever a kill left it. See the journal's own page.

mod act;
mod after;
mod database;
mod elsewhere;
mod files;
mod from_diff;
mod imported;
mod journal;
mod maintenance;
mod plan;
mod planted;
mod snapshot;
mod transfers;
mod undo;

pub use act::{RestoreReport, restore, resume};
pub use after::StepResult;
pub use elsewhere::{ElsewherePlan, ElsewhereReport, plan_files_elsewhere, restore_files_elsewhere};
pub use from_diff::{PickedItems, plan_from_diff};
pub use imported::{DumpRequest, DumpSummary, DumpTable, PlannedDump, import_dump, plan_dump};
pub use journal::{Journal, Stage};
pub use plan::{RestorePlan, RestoreRequest, RestoreSummary, plan_restore};
pub use snapshot::Ask;
pub use transfers::transfer_rows;
pub use undo::{AcceptReport, ChangedSince, UndoPlan, UndoReport, accept, accept_expired, plan_undo, undo};

pub(crate) use files::match_roots;
pub(crate) use journal::{open_journals, remove_unbegun};
pub(crate) use planted::is_program_among_media;

use backstock_database::LoadPlan;

use crate::environment::Environment;
use crate::error::Result;
use journal::JournalFolder;

/// The tables that a restore which is not closed has made in the shop's database: they are not the shop's.
pub(crate) fn aside_names(environment: &Environment, journal: &Journal) -> Result<Vec<Vec<u8>>> {
    if !journal.has_database {
        return Ok(Vec::new());
    }
    let folder = JournalFolder::of(&environment.host, &environment.state, journal.run);
    let plan: LoadPlan = folder.read(plan::DATABASE_PLAN)?;
    Ok(plan.aside_names().into_iter().map(|name| name.0).collect())
}

/// Every restore of this instance that is not closed, for the warning that every command gives.
pub fn open_restores(environment: &Environment) -> Result<Vec<Journal>> {
    open_journals(&environment.host, &environment.state)
}
