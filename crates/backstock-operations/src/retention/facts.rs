//! What a plan rests on: what the catalog knows of the backups of one set at one destination.

use std::collections::BTreeSet;

use backstock_vocabulary::{BackupId, Content, Level, MarkCause, Reason, ReplicaState};
use jiff::Timestamp;

use super::copies::Shortage;
use super::policy::RetentionPolicy;

/// One backup at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBackup {
    /// The backup.
    pub id: BackupId,
    /// Its number within the set: the order that counts.
    pub sequence: u64,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// The backup that it builds on.
    pub parent: Option<BackupId>,
    /// Why it was made.
    pub reason: Reason,
    /// What it is worth.
    pub content: Content,
    /// When it was started, as the clock of then said.
    pub started: Timestamp,
    /// The state of its replica at this destination.
    pub state: ReplicaState,
    /// Whether a person wants it kept.
    pub is_pinned: bool,
    /// Whether a restore that was not accepted yet needs it.
    pub is_needed: bool,
    /// Whether somebody reads it just now, or a backup that builds on it.
    pub is_being_read: bool,
    /// Whether somebody has looked at it, where it is suspect.
    pub is_confirmed: bool,
    /// Whether it lacks something that nobody has accepted.
    pub has_open_exceptions: bool,
    /// Why it is marked for deletion, where it is.
    pub mark: Option<MarkCause>,
}

/// What the last prune that a person or the brake let through has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The policy then; none where it cannot be understood any more.
    pub policy: Option<RetentionPolicy>,
    /// The highest sequence number then.
    pub sequence: u64,
    /// What the clock said.
    pub acted: Timestamp,
    /// How much time has passed since by the machine's own count, in milliseconds, which setting the clock does not change;
    /// none where it was started anew since.
    pub passed_ms: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// What the policy says.
    Policy,
    /// These backups, and nothing else.
    ByHand(BTreeSet<BackupId>),
}

/// All that a plan rests on. The order of the backups does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionFacts {
    /// The policy.
    pub policy: RetentionPolicy,
    /// What is asked for.
    pub wish: Wish,
    /// What copies the newest backup of the set lacks, wherever they should be.
    pub shortage: Option<Shortage>,
    /// Every backup of the set that the catalog has at the destination.
    pub backups: Vec<KnownBackup>,
    /// What the clock says. It ages nothing; it only shows what it contradicts.
    pub now: Timestamp,
    /// What was confirmed before. None after a catalog was made anew: then everything waits for a person.
    pub remembered: Option<Remembered>,
}

impl KnownBackup {
    /// Whether a manifest and all parts are there, as far as is known.
    pub(super) fn is_there(&self) -> bool {
        self.state.is_there()
    }
}
