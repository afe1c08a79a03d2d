//! Whether implausibly much is gone or rewritten. A new backup is held against the last one of its set that counts, before
//! its manifest is written: more than 30 % of the files or of the rows gone, a table gone or empty without which it is not
//! this shop, or more than half of the media files with other content makes it *suspect*. It is kept and does not count,
//! and everything older stays until somebody has looked.
//!
//! What the earlier state was is known without opening its sealed archives: from the copy of its files index in the state
//! folder ([`crate::levels`]), and from the number of rows of each of its tables, sealed there with the instance's key.
//! Where either cannot be had, the report says so, and nothing is called suspect for it. Few files or rows tell nothing:
//! fewer than [`FEWEST_FILES`] or [`FEWEST_ROWS`] that are gone are not implausible, unless nothing is left.

mod confirm;
mod files;
mod reference;
mod table_counts;
mod tables;
#[cfg(test)]
mod tests;

use backstock_vocabulary::BackupId;
use serde::Serialize;

pub use confirm::{ConfirmPlan, ConfirmWish, ListedException, confirm, plan_confirm};
pub(crate) use files::FilesSeen;
pub(crate) use reference::{References, references};
pub(crate) use table_counts::{TableCounts, keep};

use crate::backup::{BackupPlan, ReportedProblem};
use crate::environment::Environment;
use crate::error::{ErrorKind, Result, chain};
use crate::levels::can_be_a_parent;
use crate::monitor::Monitor;

/// Fewer files that are gone, or media files that are rewritten, are not implausible.
pub(crate) const FEWEST_FILES: u64 = 10;
/// Fewer rows that are gone are not implausible.
pub(crate) const FEWEST_ROWS: u64 = 100;

/// One reason why a backup is suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspicion {
    /// What it is.
    pub kind: SuspicionKind,
    /// What it is about: `files`, `rows`, `media files`, or a table by its name.
    pub subject: String,
    /// How many there were in the last backup that counts.
    pub was: u64,
    /// How many of them are left, or as they were.
    pub left: u64,
}

/// What makes a backup suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspicionKind {
    /// More than 30 % of the files are gone.
    FilesGone,
    /// More than 30 % of the rows of all tables are gone.
    RowsGone,
    /// A table without which it is not this shop is gone.
    TableGone,
    /// Such a table is empty, and was not.
    TableEmpty,
    /// More than half of the media files have other content.
    MediaRewritten,
}

impl Suspicion {
    /// What happened, in words.
    pub fn message(&self) -> String {
        let Self { was, left, .. } = self;
        match self.kind {
            SuspicionKind::FilesGone => format!("of {was} files {left} are left"),
            SuspicionKind::RowsGone => format!("of {was} rows {left} are left"),
            SuspicionKind::TableGone => format!("it had {was} rows and is gone"),
            SuspicionKind::TableEmpty => format!("it had {was} rows and is empty"),
            SuspicionKind::MediaRewritten => {
                format!("of {was} media files {left} are as they were; the others have other content")
            }
        }
    }
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Why the backup is suspect; it is not where there is no reason.
    pub(crate) suspicions: Vec<Suspicion>,
    /// What could not be compared.
    pub(crate) notes: Vec<ReportedProblem>,
}

/// What is known of a new backup before its manifest is written.
pub(crate) struct NewBackup<'a> {
    pub(crate) backup: BackupId,
    /// What it builds on.
    pub(crate) parent: Option<BackupId>,
    pub(crate) tables: Option<&'a TableCounts>,
    pub(crate) files: FilesSeen,
}

/// Holds a new backup against the last ones of its set that count. What goes wrong here never fails a backup.
///
/// # Errors
/// [`ErrorKind::Interrupted`] alone.
pub(crate) fn judge(
    environment: &Environment,
    plan: &BackupPlan,
    new: &NewBackup<'_>,
    monitor: &dyn Monitor,
) -> Result<Judged> {
    let mut judged = Judged::default();
    if !can_be_a_parent(plan.reason) || plan.unusable.is_some() {
        return Ok(judged);
    }
    let References { files, database } = match references(environment, plan) {
        Ok(references) => references,
        Err(error) => {
            judged.notes.push(not_compared("backup", &chain(&error)));
            return Ok(judged);
        }
    };
    if let (Some(reference), Some(after)) = (&database, new.tables) {
        match table_counts::open(environment, reference) {
            Ok(before) => judged.suspicions.extend(tables::judge(&before, after, plan)),
            Err(why) => judged.notes.push(not_compared("tables", &why)),
        }
    }
    if let (Some(reference), true) = (&files, plan.files.is_some()) {
        match files::judge(environment, plan, reference, new, monitor) {
            Ok(suspicions) => judged.suspicions.extend(suspicions),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => judged.notes.push(not_compared("files", &chain(&error))),
        }
    }
    Ok(judged)
}

fn not_compared(subject: &str, why: &str) -> ReportedProblem {
    let message = format!("whether much is gone since the last backup could not be told: {why}");
    ReportedProblem::note("not-compared", subject, message)
}

/// Whether more than 30 % are gone, and enough of them to mean something.
fn is_implausible(was: u64, left: u64, fewest: u64) -> bool {
    let gone = was.saturating_sub(left);
    let is_much = u128::from(gone) * 10 > u128::from(was) * 3;
    is_much && (gone >= fewest || left == 0)
}
