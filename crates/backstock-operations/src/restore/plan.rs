//! The plan of a restore: what will be replaced, added, left alone; what it needs; what a person must agree to.

use std::path::PathBuf;

use backstock_catalog::{Backup, Shop};
use backstock_database::{InPlace, LoadPlan, Transfer};
use backstock_host::lock::Lock;
use backstock_vocabulary::{ArtifactKind, Content, RunId, Scope};
use serde::Serialize;

use super::after;
use super::database::{self, DatabaseWish};
use super::files::{self, FilesPart};
use super::from_diff::{PickedItems, PickedPart};
use super::journal::{Journal, JournalFolder, Stage, open_journals};
use super::maintenance::Switch;
use super::planted;
use crate::backup::{PartSize, RESERVE_BYTES};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::Monitor;
use crate::run::{close_dead_runs, lock_shop};
use crate::stored::StoredBackup;
use crate::subject::{ShopDatabase, Subject};

/// The load plan beside the journal.
pub(super) const DATABASE_PLAN: &str = "database.json";
/// The plan of the exchange of files beside the journal.
pub(super) const FILES_PLAN: &str = "files.json";
/// The maintenance switch and its former state beside the journal.
pub(super) const SWITCH: &str = "switch.json";
/// How the restore was asked for, beside the journal.
pub(super) const OPTIONS: &str = "options.json";
/// Names that a summary shows.
const SHOWN_NAMES: usize = 12;

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// What to bring back.
    pub scope: Scope,
    /// Tables to bring back, if not all.
    pub tables: Vec<String>,
    /// Files to bring back, if not all.
    pub files: Vec<String>,
    /// Another database to load into.
    pub other_database: Option<String>,
    /// Whether what the backup lacks is moved out of the way.
    pub exact: bool,
    /// Consent to give tables an invisible primary key where the server demands one of every table.
    pub add_keys: bool,
    /// Whether setuid and setgid bits of files come back.
    pub setuid: bool,
    /// Whether to take a safety snapshot first.
    pub snapshot: bool,
    /// The folder in which the snapshot is made, where the backup itself lies in none of this machine.
    pub snapshots: PathBuf,
    /// How long a part of the snapshot may become.
    pub part_size: PartSize,
    /// Consent to go on although visitors cannot be kept out.
    pub without_maintenance: bool,
    /// Single differences of the database, which [`super::plan_from_diff`] has found.
    pub picked: Option<PickedItems>,
}

/// A restore, ready to be done. Holds the shop's lock.
#[derive(Debug)]
pub struct RestorePlan {
    pub(super) run: RunId,
    pub(super) backup: Backup,
    pub(super) shop: Shop,
    pub(super) subject: Subject,
    pub(super) target: Option<ShopDatabase>,
    pub(super) scope: Scope,
    pub(super) tag: String,
    pub(super) database: Option<LoadPlan>,
    pub(super) files: Option<FilesPart>,
    pub(super) switch: Switch,
    pub(super) options: ActOptions,
    pub(super) folder: JournalFolder,
    pub(super) lock: Lock,
    /// What it comes to.
    pub summary: RestoreSummary,
}

/// What of the request matters until the end.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub(super) struct ActOptions {
    pub(super) snapshot: bool,
    /// Not known of a restore that an older version began: its backup lies in a folder of this machine.
    #[serde(default, with = "backstock_vocabulary::path_bytes")]
    pub(super) snapshots: Option<PathBuf>,
    #[serde(default)]
    pub(super) part_size: PartSize,
    pub(super) setuid: bool,
    pub(super) is_elsewhere: bool,
    /// Whether the rows to load lie beside the journal, and not in the backup.
    #[serde(default)]
    pub(super) own_rows: bool,
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub(super) root: Option<PathBuf>,
    pub(super) after: Vec<String>,
}

impl ActOptions {
    fn of(request: &RestoreRequest, subject: &Subject) -> Self {
        Self {
            snapshot: request.snapshot,
            snapshots: Some(request.snapshots.clone()),
            part_size: request.part_size,
            setuid: request.setuid,
            is_elsewhere: request.other_database.is_some(),
            own_rows: request.picked.as_ref().is_some_and(PickedItems::has_rows),
            root: subject.layout.as_ref().map(|layout| layout.root.clone()),
            after: Vec::new(),
        }
    }
}

/// A plan as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreSummary {
    /// The backup's short id.
    pub backup: String,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// Why it is less than whole, if it is.
    pub content: Content,
    /// The shop.
    pub shop: String,
    /// The database that is loaded into.
    pub database: Option<String>,
    /// Tables that get another content.
    pub tables_replaced: Vec<String>,
    /// Tables that are new.
    pub tables_added: Vec<String>,
    /// Tables that go until an undo.
    pub tables_removed: Vec<String>,
    /// Tables that stay as they are.
    pub tables_left_alone: u64,
    /// What becomes of each object, where the server is of another vendor or version.
    pub transfers: Vec<Transfer>,
    /// Why live tables are changed statement by statement, if they are.
    pub in_place: Option<String>,
    /// The files.
    pub files: Option<files::FilesSummary>,
    /// Space that is needed while both sides are there, in bytes.
    pub needed_bytes: u64,
    /// Space that is there for the files, in bytes; `None` when none are brought back.
    pub free_bytes: Option<u64>,
    /// Whether visitors can be kept out meanwhile.
    pub has_maintenance_switch: bool,
    /// Whether a safety snapshot is taken first.
    pub takes_snapshot: bool,
    /// What will be done afterwards.
    pub afterwards: Vec<String>,
    /// What will differ or may go wrong.
    pub warnings: Vec<String>,
}

/// Plans a restore into the shop that the backup was made of, or its database part into another database. Changes nothing.
pub fn plan_restore(
    environment: &Environment,
    backup: Backup,
    subject: Subject,
    request: &RestoreRequest,
    monitor: &dyn Monitor,
) -> Result<RestorePlan> {
    let shop = crate::show::shop_of(environment, backup.shop)?;
    let lock = lock_shop(environment, shop.id, &shop.title)?;
    close_dead_runs(environment, Some(shop.id))?;
    refuse_while_another_is_open(environment, &shop)?;
    if backup.content == Content::Unusable {
        let message = format!("the backup {} is marked unusable", backup.id.short());
        return Err(OperationError::plain(ErrorKind::Refused, message));
    }
    let stored = StoredBackup::open(environment, backup.clone())?;
    let scope = scope_of(&stored, request)?;
    let is_elsewhere = request.other_database.is_some();
    let target = target_of(&subject, scope, request)?;
    let switch_of = |subject: &Subject| Switch::find(subject.layout.as_ref(), subject.database.as_ref());
    let switch = if is_elsewhere { Switch::None } else { switch_of(&subject)? };
    let planted = planted::warnings(environment, &stored, scope, &request.files)?;
    let run = environment.host.new_id(RunId::from_parts);
    let tag = run.short()[2..].to_owned();
    let folder = JournalFolder::of(&environment.host, &environment.state, run);
    folder.create(shop.id)?;
    let parts = Parts { stored: &stored, subject: &subject, request, tag: &tag, folder: &folder };
    let planned = parts.plan(environment, scope, target.as_ref(), &switch, monitor);
    let (database, files) = match planned {
        Ok(planned) => planned,
        Err(error) => {
            folder.remove()?;
            return Err(error);
        }
    };
    let options = ActOptions::of(request, &subject);
    let mut plan = RestorePlan {
        run,
        summary: RestoreSummary::of(&backup, &shop, database.as_ref(), files.as_ref()),
        backup,
        shop,
        subject,
        target,
        scope,
        tag,
        database,
        files,
        switch,
        options,
        folder,
        lock,
    };
    plan.summary.warnings.extend(planted);
    plan.complete_summary(environment, request)?;
    match plan.check(request) {
        Err(error) if environment.may_write => {
            plan.abandon()?;
            return Err(error);
        }
        Err(error) => plan.summary.warnings.push(refusal_text(&error)),
        Ok(()) => {}
    }
    Ok(plan)
}

/// What is only shown is shown even where it would be refused, with what is missing.
fn refusal_text(error: &OperationError) -> String {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("this would be refused: {error}{hint}")
}

/// What the two parts of a plan share.
pub(super) struct Parts<'a> {
    /// The backup.
    pub(super) stored: &'a StoredBackup,
    /// The shop.
    pub(super) subject: &'a Subject,
    /// What is asked for.
    pub(super) request: &'a RestoreRequest,
    /// What the aside names carry.
    pub(super) tag: &'a str,
    /// Where the plan is kept.
    pub(super) folder: &'a JournalFolder,
}

impl Parts<'_> {
    /// Plans the parts that are in the scope.
    fn plan(
        &self,
        environment: &Environment,
        scope: Scope,
        target: Option<&ShopDatabase>,
        switch: &Switch,
        monitor: &dyn Monitor,
    ) -> Result<(Option<LoadPlan>, Option<FilesPart>)> {
        let mut database_plan = None;
        let picked = self.request.picked.as_ref();
        if let (Some(target), Some(picked)) = (target.filter(|_| scope.has_database()), picked) {
            let Parts { stored, tag, folder, .. } = *self;
            let part = PickedPart { environment, stored, target, tag, folder, switch, monitor };
            database_plan = Some(part.plan(picked)?);
        } else if let Some(target) = target.filter(|_| scope.has_database()) {
            let wish = DatabaseWish {
                tables: self.request.tables.clone(),
                code: Vec::new(),
                is_named: self.request.other_database.is_some(),
                exact: self.request.exact,
                in_place: InPlace::WhenNeeded,
                add_keys: self.request.add_keys,
                tag: self.tag.to_owned(),
            };
            database_plan = Some(database::plan(environment, self.stored, target, &wish, switch)?);
        }
        let files = scope.has_files().then(|| files::plan(environment, self, monitor)).transpose()?;
        Ok((database_plan, files))
    }
}

pub(super) fn refuse_while_another_is_open(environment: &Environment, shop: &Shop) -> Result<()> {
    let journals = open_journals(&environment.host, &environment.state)?;
    let Some(open) = journals.into_iter().find(|journal| journal.shop == shop.id) else { return Ok(()) };
    let (message, hint) = match open.stage {
        Stage::Restored => (
            format!("the last restore of {} is not accepted yet: its old side still takes room", shop.title),
            "look at the shop; then `backstock restore --accept` keeps it, or `backstock undo` takes it back",
        ),
        Stage::Undone => (
            format!("the last restore of {} was undone, and what it had brought is still kept", shop.title),
            "`backstock restore --accept` lets it go; `backstock undo` brings it back once more",
        ),
        _ => (
            format!("a restore of {} is unfinished", shop.title),
            "`backstock restore --resume` finishes it, `backstock undo` takes it back",
        ),
    };
    Err(OperationError::hinted(ErrorKind::Refused, message, hint))
}

fn scope_of(stored: &StoredBackup, request: &RestoreRequest) -> Result<Scope> {
    let has = (stored.has(ArtifactKind::Database), stored.has(ArtifactKind::Files));
    let mut scope = request.scope;
    for (is_picked, flag, other, other_word) in [
        (!request.tables.is_empty(), "--table", Scope::Files, "files"),
        (!request.files.is_empty(), "--file", Scope::Database, "database"),
    ] {
        if is_picked && scope == other {
            let message = format!("{flag} and --only {other_word} leave nothing to restore");
            return Err(OperationError::hinted(ErrorKind::Declined, message, "leave one of them out"));
        }
    }
    match (request.tables.is_empty(), request.files.is_empty()) {
        _ if request.picked.is_some() => {}
        (false, true) => scope = Scope::Database,
        (true, false) => scope = Scope::Files,
        _ => {}
    }
    if request.other_database.is_some() {
        scope = Scope::Database;
    }
    Ok(match (scope, has) {
        (Scope::Everything, (true, false)) => Scope::Database,
        (Scope::Everything, (false, true)) => Scope::Files,
        (Scope::Database, (false, _)) => {
            stored.require(ArtifactKind::Database)?;
            scope
        }
        (Scope::Files, (_, false)) => {
            stored.require(ArtifactKind::Files)?;
            scope
        }
        _ => scope,
    })
}

pub(super) fn target_of(
    subject: &Subject,
    scope: Scope,
    request: &RestoreRequest,
) -> Result<Option<ShopDatabase>> {
    if !scope.has_database() {
        return Ok(subject.database.clone());
    }
    let database = subject.require_database()?.clone();
    Ok(Some(match &request.other_database {
        None => database,
        Some(name) if name.as_bytes() == database.name => {
            let message = format!("{name} is the shop's own database");
            let hint = "leave --database out to restore into it";
            return Err(OperationError::hinted(ErrorKind::Declined, message, hint));
        }
        Some(name) => ShopDatabase { server: database.server, name: name.clone().into_bytes() },
    }))
}

/// Where visitors cannot be kept out, somebody must say that nobody writes meanwhile.
pub(super) fn refuse_without_switch(
    switch: &Switch,
    shop: &Shop,
    request: &RestoreRequest,
    replaces_something: bool,
) -> Result<()> {
    let is_elsewhere = request.other_database.is_some();
    if switch.is_there() || is_elsewhere || request.without_maintenance || !replaces_something {
        return Ok(());
    }
    Err(OperationError::hinted(
        ErrorKind::Declined,
        format!("{} has no maintenance switch: an order that arrives meanwhile would be lost", shop.title),
        "stop whatever writes to the shop, then say so with --without-maintenance",
    ))
}

impl RestorePlan {
    /// Whether the shop is already as the backup has it, as far as it is asked for.
    pub fn is_nothing(&self) -> bool {
        self.database.is_none() && self.files.as_ref().is_none_or(FilesPart::is_nothing)
    }

    /// Forgets the plan: nothing was changed, nothing stays.
    pub fn abandon(self) -> Result<()> {
        if let Some(files) = &self.files {
            files.remove_made();
        }
        self.folder.remove()
    }

    fn complete_summary(&mut self, environment: &Environment, request: &RestoreRequest) -> Result<()> {
        self.summary.database =
            self.target.as_ref().filter(|_| self.database.is_some()).map(|target| {
                format!("{} at {}", String::from_utf8_lossy(&target.name), target.server.address)
            });
        self.summary.has_maintenance_switch = self.switch.is_there();
        self.summary.takes_snapshot = request.snapshot && self.replaces_something();
        if let Some(layout) = self.subject.layout.as_ref().filter(|_| !self.options.is_elsewhere) {
            self.summary.afterwards = layout.after_restore.iter().map(after::describe).collect();
        }
        // The shop's folder need not be there when only its tables are brought back.
        if let Some(layout) = self.subject.layout.as_ref().filter(|_| self.files.is_some()) {
            let act = format!("measuring the free space at {}", layout.root.display());
            self.summary.free_bytes = Some(environment.host.files.free_bytes(&layout.root).doing(act)?);
        }
        Ok(())
    }

    pub(super) fn replaces_something(&self) -> bool {
        let tables = self
            .database
            .as_ref()
            .is_some_and(|plan| !plan.replaced().is_empty() || !plan.removed().is_empty());
        tables || self.files.as_ref().is_some_and(FilesPart::replaces_something)
    }

    fn check(&self, request: &RestoreRequest) -> Result<()> {
        let files_bytes = self.summary.files.as_ref().map_or(0, |files| files.needed_bytes);
        if let Some(free) = self.summary.free_bytes
            && files_bytes + RESERVE_BYTES > free
        {
            return Err(OperationError::hinted(
                ErrorKind::Failed,
                format!(
                    "{files_bytes} bytes are needed beside the shop while both sides are there; {free} are free"
                ),
                "make room, or restore fewer files with --file",
            ));
        }
        let is_in_place = self.database.as_ref().is_some_and(|plan| plan.in_place.is_some());
        if is_in_place && !request.snapshot {
            return Err(OperationError::hinted(
                ErrorKind::Declined,
                "the live tables would be changed in place: the safety snapshot is the only way back",
                "leave --without-snapshot out, or give an account that may make tables",
            ));
        }
        refuse_without_switch(&self.switch, &self.shop, request, self.replaces_something())
    }

    /// The journal that this plan begins with.
    pub(super) fn journal(&self, environment: &Environment) -> Journal {
        Journal {
            format: 1,
            run: self.run,
            shop: self.shop.id,
            shop_title: self.shop.title.clone(),
            backup: self.backup.id,
            scope: self.scope,
            tag: self.tag.clone(),
            started: environment.host.clock.now(),
            stage: Stage::Planned,
            restored: None,
            snapshot: None,
            has_database: self.database.is_some(),
            has_files: self.files.is_some(),
            lets_new_side_go: false,
        }
    }
}

impl RestoreSummary {
    fn of(backup: &Backup, shop: &Shop, database: Option<&LoadPlan>, files: Option<&FilesPart>) -> Self {
        let names = |names: Vec<&backstock_database::RawText>| {
            let mut texts: Vec<String> = names.iter().take(SHOWN_NAMES).map(ToString::to_string).collect();
            if names.len() > SHOWN_NAMES {
                texts.push(format!("and {} more", names.len() - SHOWN_NAMES));
            }
            texts
        };
        Self {
            backup: backup.id.short(),
            made: backup.started,
            content: backup.content,
            shop: shop.title.clone(),
            database: None,
            tables_replaced: database.map(|plan| names(plan.replaced())).unwrap_or_default(),
            tables_added: database.map(|plan| names(plan.added())).unwrap_or_default(),
            tables_removed: database.map(|plan| names(plan.removed())).unwrap_or_default(),
            tables_left_alone: database.map_or(0, |plan| plan.left_alone.len() as u64),
            transfers: database.map(|plan| plan.transfers.clone()).unwrap_or_default(),
            in_place: database.and_then(|plan| plan.in_place.clone()),
            files: files.map(|files| files.summary().clone()),
            needed_bytes: database.map_or(0, |plan| plan.estimated_bytes)
                + files.map_or(0, |files| files.summary().needed_bytes),
            free_bytes: None,
            has_maintenance_switch: false,
            takes_snapshot: false,
            afterwards: Vec::new(),
            warnings: database
                .map(|plan| plan.warnings.iter().chain(&plan.missing_rights).cloned().collect())
                .unwrap_or_default(),
        }
    }
}
