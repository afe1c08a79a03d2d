//! What a person has looked at and found right: taking the suspicion off a backup, and accepting what it lacks. The signed
//! manifest never changes; a catalog that is made anew knows nothing of it, and protects again.

use backstock_archive::tree::printable;
use backstock_catalog::{AcceptedException, Backup, Problem};
use backstock_vocabulary::{BackupId, Content};
use serde::Serialize;

use crate::accepted::{Accepted, exceptions_of, key_of};
use crate::backup::SUSPECT;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::show::shop_of;

/// What a person wants to confirm of a backup. By default all that there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfirmWish {
    /// That it is no more suspect, and nothing of its exceptions unless they are named.
    pub only_suspicion: bool,
    /// These exceptions, by what they are about as `show` tells it.
    pub exceptions: Vec<String>,
    /// Every suspect backup of the set before it too.
    pub with_earlier: bool,
}

/// What would be confirmed, to be shown and asked about.
#[derive(Debug, Clone, Serialize)]
pub struct ConfirmPlan {
    /// The backup.
    pub backup: BackupId,
    /// The shop.
    pub shop: String,
    /// What it is worth by its manifest.
    pub content: Content,
    /// Why it is suspect, as far as that is known still.
    pub suspicions: Vec<String>,
    /// What it lacks.
    pub exceptions: Vec<ListedException>,
    /// The suspect backups that would be confirmed, itself among them.
    pub confirms: Vec<BackupId>,
    /// Older suspect backups of the set that stay as they are, and protect what is older.
    pub still_suspect: Vec<BackupId>,
    /// Whether the backup would count afterwards.
    pub counts_then: bool,
    #[serde(skip)]
    accepts: Vec<AcceptedException>,
}

/// One thing that a backup lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedException {
    /// What it is, in one word.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub message: String,
    /// Whether it was accepted before.
    pub is_accepted: bool,
    /// Whether it would be accepted now.
    pub is_chosen: bool,
}

impl ConfirmPlan {
    /// Whether there is anything to be confirmed.
    pub fn has_work(&self) -> bool {
        !self.confirms.is_empty() || !self.accepts.is_empty()
    }
}

/// What is to be confirmed of a backup. Writes nothing.
///
/// # Errors
/// [`ErrorKind::Refused`] for what cannot count whatever anybody says: an unusable backup, one that a stranger signed, and
/// exceptions whose names are not known here. [`ErrorKind::NotFound`] for an exception that the backup does not have.
pub fn plan_confirm(environment: &Environment, backup: &Backup, wish: &ConfirmWish) -> Result<ConfirmPlan> {
    refuse_what_never_counts(environment, backup)?;
    let accepted = Accepted::read(environment)?;
    let problems = exceptions_of(environment, backup)?;
    refuse_unknown_names(backup, wish, &problems)?;
    let is_all = !wish.only_suspicion && wish.exceptions.is_empty();
    let exceptions: Vec<ListedException> = problems
        .iter()
        .map(|problem| {
            let subject = printable(&problem.subject);
            let is_accepted = accepted.is_accepted(&key_of(backup, problem));
            let is_chosen = !is_accepted && (is_all || wish.exceptions.contains(&subject));
            let (kind, message) = (problem.kind.clone(), problem.message.clone());
            ListedException { kind, subject, message, is_accepted, is_chosen }
        })
        .collect();
    let chosen = problems.iter().zip(&exceptions).filter(|(_, listed)| listed.is_chosen);
    let accepts: Vec<AcceptedException> = chosen.map(|(problem, _)| key_of(backup, problem)).collect();
    let suspects = open_suspects(environment, backup, &accepted)?;
    let is_about_suspicion = wish.only_suspicion || wish.exceptions.is_empty();
    let (confirms, still_suspect): (Vec<BackupId>, Vec<BackupId>) = suspects
        .iter()
        .map(|suspect| suspect.id)
        .partition(|id| is_about_suspicion && (*id == backup.id || wish.with_earlier));
    let is_plausible = backup.content != Content::Suspect
        || accepted.is_confirmed(backup.id)
        || confirms.contains(&backup.id);
    let is_complete = backup.exceptions == 0
        || (!exceptions.is_empty() && exceptions.iter().all(|one| one.is_accepted || one.is_chosen));
    Ok(ConfirmPlan {
        backup: backup.id,
        shop: shop_of(environment, backup.shop)?.title,
        content: backup.content,
        suspicions: suspicions_of(environment, backup)?,
        exceptions,
        confirms,
        still_suspect,
        counts_then: is_plausible && is_complete,
        accepts,
    })
}

/// Records what a person has confirmed.
pub fn confirm(environment: &Environment, plan: &ConfirmPlan) -> Result<()> {
    let now = environment.host.clock.now();
    environment
        .wait(environment.catalog.accept(&plan.confirms, &plan.accepts, now))
        .doing(format!("confirming the backup {}", plan.backup.short()))
}

fn refuse_what_never_counts(environment: &Environment, backup: &Backup) -> Result<()> {
    let short = backup.id.short();
    if backup.content == Content::Unusable {
        let message = format!("the backup {short} is unusable: it was made in the middle of a restore");
        return Err(OperationError::plain(ErrorKind::Refused, message));
    }
    let strangers = environment.wait(environment.catalog.list_strangers());
    if strangers.doing("looking who signed the backup")?.contains(&backup.id) {
        let message = format!("the backup {short} is signed by a key that nobody vouches for");
        return Err(OperationError::plain(ErrorKind::Refused, message));
    }
    Ok(())
}

fn refuse_unknown_names(backup: &Backup, wish: &ConfirmWish, problems: &[Problem]) -> Result<()> {
    let short = backup.id.short();
    if backup.exceptions > 0 && problems.is_empty() && !wish.only_suspicion {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            format!(
                "{} things are missing from the backup {short}, and their names are not known here",
                backup.exceptions
            ),
            "`backstock catalog rebuild` with its key at hand learns them; --only-suspicion leaves them aside",
        ));
    }
    let has = |name: &&String| problems.iter().any(|problem| printable(&problem.subject) == **name);
    match wish.exceptions.iter().find(|name| !has(name)) {
        None => Ok(()),
        Some(name) => Err(OperationError::hinted(
            ErrorKind::NotFound,
            format!("the backup {short} has no exception called {name}"),
            "`backstock confirm <id> --dry-run` lists them",
        )),
    }
}

/// Every suspect backup of the set up to this one that nobody has confirmed, the oldest first.
fn open_suspects(environment: &Environment, backup: &Backup, accepted: &Accepted) -> Result<Vec<Backup>> {
    let listed = environment.wait(environment.catalog.list_backups(Some(backup.shop)));
    let mut listed = listed.doing("looking for suspect backups")?;
    listed.retain(|other| {
        other.set == backup.set
            && other.content == Content::Suspect
            && other.sequence <= backup.sequence
            && !accepted.is_confirmed(other.id)
    });
    listed.sort_by_key(|other| other.sequence);
    Ok(listed)
}

/// Why a backup is suspect, as it was told when it was made.
fn suspicions_of(environment: &Environment, backup: &Backup) -> Result<Vec<String>> {
    let problems = environment.wait(environment.catalog.problems_of_backup(backup.id));
    let problems = problems.doing("looking why the backup is suspect")?;
    let told = problems.iter().filter(|problem| problem.kind == SUSPECT);
    Ok(told.map(|problem| format!("{}: {}", printable(&problem.subject), problem.message)).collect())
}
