//! The part of a plan about servers of another vendor or version: what becomes of each object there.

use super::super::transfer::{Crossing, read_target};
use super::plan::Live;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, NewSide};
use crate::record::DumpedObject;
use crate::transfer::Fidelity;

/// Gives the objects as the target gets them, without those that it cannot hold.
///
/// # Errors
/// [`Error::Plan`] with every object that is refused; those of the server.
pub(super) fn convert(
    plan: &mut LoadPlan,
    live: &mut Live,
    objects: Vec<DumpedObject>,
) -> Result<Vec<DumpedObject>> {
    if plan.is_same_version() {
        return Ok(objects);
    }
    let target = read_target(&mut live.connection, &objects)?;
    let source = plan.source_server.clone();
    let mut crossing = Crossing::new(&source, &target);
    let (defaults, reason) = crossing.defaults(&plan.source);
    plan.source = defaults;
    plan.warnings.extend(reason.filter(|reason| !reason.is_empty()));
    let mut taken = Vec::new();
    for object in objects {
        let (transfer, new) = crossing.transfer(&object)?;
        plan.transfers.push(transfer);
        taken.extend(new);
    }
    let refused: Vec<String> = plan
        .transfers
        .iter()
        .filter(|transfer| transfer.fidelity == Fidelity::Refused)
        .map(|transfer| format!("{} ({})", transfer.object, transfer.reasons.join("; ")))
        .collect();
    if refused.is_empty() {
        return Ok(taken);
    }
    let reason = format!(
        "the backup is of {}, and {} cannot hold {}",
        plan.source_server.version_text,
        plan.server.version_text,
        refused.join(", ")
    );
    Err(Error::Plan { database: plan.target.name.to_string(), reason })
}

/// Notes at each table how much of it stays.
pub(super) fn mark(plan: &mut LoadPlan) {
    for table in &mut plan.tables {
        let Some(NewSide::Table(record)) = &table.new else { continue };
        let label = format!("table {}", record.name);
        if let Some(transfer) = plan.transfers.iter().find(|transfer| transfer.object == label) {
            table.fidelity = transfer.fidelity;
            table.current_rows_only = transfer.current_rows_only;
        }
    }
}
