//! What may be deleted. Data is lost here, on purpose: everything is decided by one pure function, and done by one act.
//!
//! [`plan_retention`] takes what the catalog knows of one set at one destination and gives a verdict with reasons for
//! every backup. It looks at no storage, no file time and no clock; `prune --dry-run` shows the very value that `prune`
//! acts on, and a deletion by hand is such a plan too. What it rests on:
//!
//! - **Floor**: the newest backup whose whole chain is verified stays, and its chain with it. If there is none, nothing
//!   goes at all.
//! - **Closure**: what a kept backup builds on stays.
//! - **Order** is that of sequence numbers; **age** counts back from the newest verified backup; what is implausibly
//!   dated is undated: it is kept and counts for nothing.
//! - **Copies**: nothing goes anywhere while the newest backup has fewer whole replicas than its set requires.
//! - **Brake**: more than usual, another policy, or a clock that jumped must be confirmed by a person.
//!
//! Acting goes from the catalog to the data: mark → grace → *being deleted* → manifest → data → forget. A process that
//! dies anywhere goes on at the next prune; a lost catalog knows no marks, so what still has its manifest is kept.

mod act;
mod after_backup;
mod begun;
mod brake;
mod chains;
mod copies;
mod cut_grace;
mod dates;
mod deletion;
mod facts;
mod finish;
mod gather;
mod lock;
mod locks;
mod pin;
mod plan;
mod policy;
mod reasons;
mod slots;
mod standing;

#[cfg(test)]
mod tests;

pub use act::{PruneReport, Pruned, prune};
pub use after_backup::{AfterBackup, prune_after_backup};
pub use brake::Brake;
pub use copies::Shortage;
pub(crate) use copies::shortage_of;
pub use cut_grace::GraceCut;
pub(crate) use cut_grace::cut_grace;
pub use facts::{KnownBackup, Remembered, RetentionFacts, Wish};
pub use finish::{Buried, BuriedInSet, FinishPlan, FinishReport, finish, plan_finish};
pub use gather::{DestinationPlan, PrunePlan, plan_delete, plan_prune};
pub use lock::{LockReport, lock_kept};
pub use pin::{pin, unpin};
pub use plan::{RetentionPlan, Verdict, plan_retention};
pub use policy::{RetentionPolicy, RetentionSettings};
pub use reasons::{Decision, GoReason, KeepReason, SlotRule};
