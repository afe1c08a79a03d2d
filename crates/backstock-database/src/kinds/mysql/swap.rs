//! The swap: small steps from the old side to the new and back, each of which looks at the database first.
//!
//! Data can be lost here. What holds at every statement: the old tables are under their own names or aside, and
//! nothing but `accept` drops one; every step can be repeated after a kill in the middle of it, in either direction.
//! An undo is the steps backward in reverse order; the new side then lies aside and can come back.

mod accept;
mod changes;
mod code;
mod constraints;
mod context;
mod defaults;
pub(crate) mod in_place_code;
mod rename;
mod worker;

pub use accept::{accept, discard_aside};
pub use changes::{changed_since_swap, mark_swap, write_setting};

pub(crate) use changes::{select_of, update_of};
pub(crate) use constraints::wanted_foreign_keys;
#[cfg(test)]
pub(crate) use worker::budget;
pub(crate) use worker::{Worker, warnings};

use crate::Connection;
use crate::error::Result;
use crate::load::{LoadPlan, StepReport, SwapStep};

/// The steps of a plan's swap, in order. None for a plan that works in place.
pub fn swap_steps(plan: &LoadPlan) -> Vec<SwapStep> {
    if plan.in_place.is_some() { Vec::new() } else { SwapStep::ALL.to_vec() }
}

/// Does what is missing of a step on the way to the new side. Returns what the report should say.
///
/// # Errors
/// The server's; whatever was done stays done, and the step can be repeated or taken back.
pub fn step_forward(connection: &mut Connection, plan: &LoadPlan, step: SwapStep) -> Result<StepReport> {
    let mut worker = Worker::new(connection, plan, step.name())?;
    rename::expect_new_side(&mut worker)?;
    if step > SwapStep::Rename {
        let names = worker.names()?;
        rename::expect_new(&worker, &names)?;
    }
    match step {
        SwapStep::OldEvents => code::remove_old_events(&mut worker)?,
        SwapStep::Rename => rename::forward(&mut worker)?,
        SwapStep::FreeNames => constraints::free_names(&mut worker)?,
        SwapStep::NewNames => {
            constraints::name_new(&mut worker)?;
            defaults::name_sequences(&mut worker)?;
        }
        SwapStep::NewChildren => constraints::point_children(&mut worker)?,
        SwapStep::NewRoutines => code::replace(&mut worker, code::Side::New, code::is_routine)?,
        SwapStep::NewTriggers => code::replace(&mut worker, code::Side::New, code::is_trigger)?,
        SwapStep::NewViews => code::replace(&mut worker, code::Side::New, code::is_view)?,
        SwapStep::NewEvents => code::replace(&mut worker, code::Side::New, code::is_event)?,
        SwapStep::NewDefaults => defaults::database(&mut worker, &plan.source)?,
        SwapStep::OldDefaults
        | SwapStep::OldViews
        | SwapStep::OldTriggers
        | SwapStep::OldRoutines
        | SwapStep::OldChildren
        | SwapStep::OldNames => {}
    }
    Ok(StepReport { lines: worker.notes, dropped: worker.dropped })
}

/// Does what is missing of a step on the way back to the old side. Returns what the report should say.
///
/// # Errors
/// As for [`step_forward`].
pub fn step_backward(connection: &mut Connection, plan: &LoadPlan, step: SwapStep) -> Result<Vec<String>> {
    let mut worker = Worker::new(connection, plan, step.name())?;
    rename::expect_old_side(&mut worker)?;
    if step < SwapStep::Rename {
        let names = worker.names()?;
        rename::expect_old(&worker, &names)?;
    }
    match step {
        SwapStep::NewEvents => code::remove_new(&mut worker, code::is_event)?,
        // A view may have the name of an old table.
        SwapStep::NewViews => code::exchange_views_back(&mut worker)?,
        SwapStep::NewTriggers => code::remove_new(&mut worker, code::is_trigger)?,
        SwapStep::NewNames => constraints::unname_new(&mut worker)?,
        SwapStep::Rename => rename::backward(&mut worker)?,
        SwapStep::OldNames => constraints::name_old(&mut worker)?,
        SwapStep::OldChildren => constraints::point_children(&mut worker)?,
        SwapStep::OldRoutines => code::replace(&mut worker, code::Side::Old, code::is_routine)?,
        SwapStep::OldTriggers => code::replace(&mut worker, code::Side::Old, code::is_trigger)?,
        SwapStep::OldViews => code::replace(&mut worker, code::Side::Old, code::is_view)?,
        SwapStep::OldEvents => code::replace(&mut worker, code::Side::Old, code::is_event)?,
        SwapStep::OldDefaults => defaults::database(&mut worker, &plan.target)?,
        SwapStep::FreeNames | SwapStep::NewChildren | SwapStep::NewRoutines | SwapStep::NewDefaults => {}
    }
    Ok(worker.notes)
}
