//! What came of a backup, as the command line and the API show it.

use backstock_catalog::Severity;
use backstock_vocabulary::{BackupId, Content, Level, Outcome};
use serde::{Deserialize, Serialize};

use super::numbers::UnreadDestination;
use crate::error::{ErrorKind, OperationError, Result};
use crate::replicate::DestinationReport;
use crate::retention::{GraceCut, Shortage};
use crate::suspicion::Suspicion;

/// The kind of a problem that tells why a backup is suspect.
pub(crate) const SUSPECT: &str = "suspect";

/// What came of a backup.
#[derive(Debug, Clone, Serialize)]
pub struct BackupReport {
    /// The backup.
    pub backup: BackupId,
    /// The shop's name.
    pub shop: String,
    /// Its number within the set.
    pub sequence: u64,
    /// Where it lies: the storage and the folder in it.
    pub storage: String,
    /// The folder in that storage.
    pub folder: String,
    /// How much of the files it holds itself.
    pub level: Level,
    /// The backup that it builds on.
    pub parent: Option<BackupId>,
    /// Why it is full although something else was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_full: Option<String>,
    /// What it is worth.
    pub content: Content,
    /// What copies it lacks that its set requires; the run failed then, and nothing older goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortage: Option<Shortage>,
    /// Destinations whose numbers could not be read: one of them may hold a newer backup, and nothing older is to go after this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread_destinations: Vec<UnreadDestination>,
    /// What went before its grace was over, to make room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_cut: Option<GraceCut>,
    /// What came of copying it, and what was still owed, to the other destinations of its set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<DestinationReport>,
    /// Length of all artifacts in bytes.
    pub stored_bytes: u64,
    /// Tables whose rows are in it.
    pub tables: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Files in it, with those that lie in the backups that it builds on.
    pub files: u64,
    /// Files that are as they were, and lie in the backups that it builds on.
    pub unchanged_files: u64,
    /// What the backup before has and is gone.
    pub removed_files: u64,
    /// Length of those files in bytes.
    pub content_bytes: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Why it is suspect, where it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
    /// What is missing, and what is worth knowing.
    pub problems: Vec<ReportedProblem>,
}

impl BackupReport {
    /// Whether every destination of the set has it.
    pub fn is_everywhere(&self) -> bool {
        self.destinations.iter().all(|destination| destination.outcome == Outcome::Success)
    }

    /// Whether the backup has the copies that its set requires.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] where it lacks some.
    pub fn require_copies(&self) -> Result<()> {
        match &self.shortage {
            None => Ok(()),
            Some(shortage) => Err(OperationError::hinted(
                ErrorKind::Failed,
                format!("{shortage}; nothing older is deleted anywhere until it has"),
                "`backstock set destination add` names another place for copies, `backstock replicate` tries one again that failed",
            )),
        }
    }
}

/// Something that is missing from a backup, or worth knowing about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedProblem {
    /// What it is, in one word.
    pub kind: String,
    /// Whether the backup is less than whole because of it.
    pub is_exception: bool,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub message: String,
}

impl ReportedProblem {
    pub(crate) fn note(kind: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), is_exception: false, subject: subject.into(), message: message.into() }
    }

    pub(crate) fn exception(kind: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { is_exception: true, ..Self::note(kind, subject, message) }
    }

    /// Whether it tells why the backup is suspect.
    pub fn is_suspicion(&self) -> bool {
        self.kind == SUSPECT
    }

    pub(crate) fn severity(&self) -> Severity {
        if self.is_exception { Severity::Exception } else { Severity::Note }
    }
}
