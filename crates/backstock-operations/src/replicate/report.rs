//! What came of copying to each destination, as the command line and the API show it.

use backstock_vocabulary::{BackupId, LinkState, Outcome, Proof};
use serde::Serialize;

/// What came of copying the backups of a set to its destinations.
#[derive(Debug, Clone, Serialize)]
pub struct ReplicationReport {
    /// The shop.
    pub shop: String,
    /// The set.
    pub set: String,
    /// Each destination that is on.
    pub destinations: Vec<DestinationReport>,
}

impl ReplicationReport {
    /// What all of it came to.
    pub fn outcome(&self) -> Outcome {
        super::outcome_of(&self.destinations)
    }

    /// Whether there was something to do.
    pub fn had_work(&self) -> bool {
        self.destinations.iter().any(|report| !report.copied.is_empty() || !report.left.is_empty())
    }
}

/// What came of copying to one destination.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationReport {
    /// The title of its storage.
    pub storage: String,
    /// The set's folder there.
    pub folder: String,
    /// `success`: nothing is owed to it; `partial`: something was copied, and something is still owed; `failed`: nothing was.
    pub outcome: Outcome,
    /// What is there now, the oldest first.
    pub copied: Vec<CopiedBackup>,
    /// What is still owed to it.
    pub left: Vec<BackupId>,
    /// What was sent, in bytes: what a place had of an earlier try is not sent again.
    pub sent_bytes: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// How its link with an account is, where that is why something is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkState>,
    /// Why something is left, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One backup that a destination has now.
#[derive(Debug, Clone, Serialize)]
pub struct CopiedBackup {
    /// The backup.
    pub backup: BackupId,
    /// Its length in bytes.
    pub stored_bytes: u64,
    /// What the statement that it is there rests on.
    pub proof: Proof,
}

impl DestinationReport {
    /// One line for the log.
    pub(super) fn message(&self) -> String {
        self.problem.clone().unwrap_or_else(|| self.folder.clone())
    }

    pub(super) fn close(mut self) -> Self {
        self.outcome = match (self.copied.is_empty(), self.left.is_empty() && self.problem.is_none()) {
            (_, true) => Outcome::Success,
            (false, false) => Outcome::Partial,
            (true, false) => Outcome::Failed,
        };
        self
    }
}
