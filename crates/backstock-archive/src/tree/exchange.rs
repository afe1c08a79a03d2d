//! Exchanging a shop's files for those of a backup, entry by entry, so that it can be taken back.
//!
//! Data can be lost here. The order is: *plan* (compare the live tree with the index; nothing is touched), *stage*
//! (write what is needed into a folder beside each root, checked and durable), then *forward* (each entry in one
//! atomic step), and either *discard* or *backward*. What is live and what lies aside change places; nothing is
//! deleted before *discard*. Where a step stands is told by which inode lies in which slot, never by a journal alone, so
//! both directions can be run again after a kill at any point, from any position.

mod compare;
mod discard;
mod live;
mod merge;
mod paths;
mod plan_file;
mod planner;
mod request;
mod roots;
mod run;
mod slots;
mod stage;
mod step;

#[cfg(test)]
mod tests;

pub use discard::{FileChange, changed_since, discard};
pub use live::{LiveSink, compare_with_live};
pub use paths::{changed_paths, replaced_paths};
pub use planner::plan_exchange;
pub use request::{ExchangePlan, ExchangeRequest, ExchangeSummary, PlannedRoot};
pub use run::{ExchangeReport, exchange_backward, exchange_forward};
pub use stage::{StageReport, stage};
