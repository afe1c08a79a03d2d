//! How each backup stands before any rule of the policy: which count, and which are a matter of their own.

use backstock_vocabulary::{Content, MarkCause, Reason};

use super::chains::Chains;
use super::dates;
use super::facts::{RetentionFacts, Wish};

/// How a backup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its deletion has begun, whether or not the storage lets go of it: for everything else it is not there any more.
    UnderWay,
    /// A person asked for its deletion: nothing rests on it.
    ByHand,
    /// Its date cannot be right.
    Undated,
    /// A safety snapshot, with a number of its own.
    Snapshot(Reason),
    /// Made of a dump by others.
    Imported,
    /// Must not be restored.
    Unusable,
    /// A person must look at it: it counts for nothing, and what is older than the first such one is protected.
    Suspect,
    /// Something of it is missing or damaged: it takes nobody's place, and goes when even among its like no rule keeps
    /// it.
    Lesser,
    /// A restore point that counts.
    Counted,
}

/// How each backup stands, in the order of the chains.
pub(super) fn standings(facts: &RetentionFacts, chains: &Chains) -> Vec<Standing> {
    let undated = dates::undated(&chains.backups, facts.now);
    (0..chains.backups.len()).map(|at| standing(facts, chains, at, undated[at])).collect()
}

fn standing(facts: &RetentionFacts, chains: &Chains, at: usize, is_undated: bool) -> Standing {
    let backup = &chains.backups[at];
    let is_asked = match &facts.wish {
        Wish::Policy => false,
        Wish::ByHand(ids) => ids.contains(&backup.id),
    };
    let is_suspect = backup.content == Content::Suspect && !backup.is_confirmed;
    let is_whole = facts.policy.count_exceptions || !backup.has_open_exceptions;
    if backup.state.is_going() {
        Standing::UnderWay
    } else if is_asked || backup.mark == Some(MarkCause::ByHand) {
        Standing::ByHand
    } else if is_undated {
        Standing::Undated
    } else if matches!(backup.reason, Reason::PreRestore | Reason::PreUpgrade) {
        Standing::Snapshot(backup.reason)
    } else if backup.reason == Reason::Imported {
        Standing::Imported
    } else if backup.content == Content::Unusable {
        Standing::Unusable
    } else if is_suspect {
        Standing::Suspect
    } else if is_whole && backup.is_there() && chains.is_closed(at) {
        Standing::Counted
    } else {
        Standing::Lesser
    }
}
