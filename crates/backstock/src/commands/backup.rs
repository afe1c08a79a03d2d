//! `backstock backup`: database and files of a shop.

use backstock_operations::{
    AfterBackup, BackupPlan, BackupReport, BackupRequest, DrillReport, DueReport, Environment, ErrorKind,
    ForeseenLevel, LevelChoice, LevelRules, LockReport, OperationError, PruneReport, ReadBack,
    RetentionPolicy, Sealing, SetSettings, SettingsExport, Subject, Unwatched, accept_expired, backup, chain,
    foresee_level, lock_kept, plan_backup, prune_after_backup, recovered_rules_of, refuse_bad_places,
};
use backstock_vocabulary::{Codec, Content, IdentityId, Reason, Scope};
use serde::Serialize;

use super::drill::drill_after_backup;
use super::prune::{settings_of, show_locks, what_was_done};
use super::replicate::show_destination;
use super::set::follow_file_before_backup;
use super::settings::export_after;
use super::verify::{after_backup, schedule_after_backup, show_after_backup};
use super::{Document, Result, WithPhases, forget_history, tell_of_links};
use crate::arguments::{BackupArguments, BackupLevel, CodecArgument, Only};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, contents_text, count_text, duration_text, printable};

pub(super) fn run(session: &Session, arguments: &BackupArguments) -> Result {
    let overrides = arguments.by_hand.overrides();
    let by_itself = session.subject_by_itself(arguments.shop.as_deref(), overrides.clone())?;
    if let Some((subject, set)) = &by_itself {
        // Before the state folder is made: it might be made in the shop.
        refuse_bad_places(session.state(), subject, &request(session, arguments, set.clone()))?;
    }
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    tell_of_links(session, &environment);
    if !arguments.dry_run {
        accept_and_forget(session, &environment)?;
    }
    let (subject, set) = match (by_itself, &arguments.shop) {
        (Some(found), _) => found,
        (None, shop) => {
            let name = shop.clone().unwrap_or_default();
            (session.known_subject(&environment, &name, &overrides)?, SetSettings::default())
        }
    };
    for note in &subject.notes {
        session.terminal.say(&format!("note: {}", printable(note)));
    }
    let is_known = arguments.dry_run || follow_file_before_backup(session, &environment, &subject)?;
    let request =
        said_of_set(session, &environment, &subject, &set, request(session, arguments, set.clone()))?;
    let plan = plan_backup(&environment, &subject, &request)?;
    let (policy, retention) = retention(session, &environment, arguments, &plan)?;
    let schedule = schedule_after_backup(session, &environment, &plan.shop)?;
    if arguments.dry_run {
        show_plan(session, &plan, foresee_level(&environment, &plan)?);
        return Ok(Code::Done);
    }
    let shop = plan.shop.clone();
    let progress = session.progress();
    let result = backup(&environment, plan, &progress).map(|report| {
        let act = |policy| prune_after_backup(&environment, &shop, report.backup, policy, &progress);
        let pruned = retention.filter(|_| is_known && report.unread_destinations.is_empty()).map(act);
        let locked = lock_kept(&environment, &shop, policy);
        let check = |schedule| after_backup(&environment, &shop, schedule, &progress);
        let checked = schedule.map_or(Ok(None), check);
        let new = (report.backup, report.content, arguments.drill);
        let drilled = drill_after_backup(session, &environment, &shop, new, &progress);
        Followed { report, pruned: pruned.transpose(), locked, checked, drilled }
    });
    let phases = progress.close();
    let followed = result?;
    let settings = export_after(session, &environment, &shop);
    followed.tell(session, &settings, &phases, is_known)
}

/// A backup, and what came of all that follows it.
struct Followed {
    report: BackupReport,
    pruned: std::result::Result<Option<AfterBackup>, OperationError>,
    locked: std::result::Result<Vec<LockReport>, OperationError>,
    checked: std::result::Result<Option<DueReport>, OperationError>,
    drilled: std::result::Result<Option<DrillReport>, OperationError>,
}

impl Followed {
    /// Tells all of it. `is_known` says whether every place that the configuration file names is known.
    fn tell(
        self,
        session: &Session,
        settings: &[SettingsExport],
        phases: &[PhaseAccount],
        is_known: bool,
    ) -> Result {
        let Self { report, pruned, locked, checked, drilled } = self;
        let locks = locked?;
        let made = Made {
            report: &report,
            retention: pruned.as_ref().ok().and_then(Option::as_ref).map(|pruned| &pruned.report),
            checks: checked.as_ref().ok().and_then(Option::as_ref),
            drill: drilled.as_ref().ok().and_then(Option::as_ref),
            settings,
            locks: &locks,
        };
        show(session, &made, pruned.as_ref().ok().and_then(Option::as_ref), phases);
        let found = show_after_backup(session, &checked);
        let drilled = super::drill::show_after_backup(session, &drilled);
        // Damage weighs more than anything that could not be done.
        let found = found.filter(|code| *code == Code::Damaged).or(drilled).or(found);
        let is_locked = show_locks(session, &locks);
        let is_whole = report.content == Content::Whole && report.is_everywhere();
        let code = if is_known && is_locked && is_whole { Code::Done } else { Code::Partial };
        let code = found.unwrap_or(code);
        report.require_copies()?;
        match pruned {
            Ok(_) => Ok(code),
            Err(error) => {
                left_undone(session, error).map(|undone| if undone == Code::Done { code } else { undone })
            }
        }
    }
}

/// Ends restores whose time to be undone is over, and what was logged long ago.
fn accept_and_forget(
    session: &Session,
    environment: &Environment,
) -> std::result::Result<(), OperationError> {
    for line in accept_expired(environment, &Unwatched)? {
        session.terminal.warn(&printable(&line));
    }
    forget_history(session, environment);
    Ok(())
}

/// The backup stands, and older ones could not be let go.
fn left_undone(session: &Session, error: OperationError) -> Result {
    match error.kind() {
        ErrorKind::Damaged => Err(error.into()),
        // Whoever has the shop now, or the next backup, lets older ones go.
        ErrorKind::Busy | ErrorKind::Interrupted => Ok(Code::Done),
        _ => {
            session.terminal.warn(&format!("no older backup was let go: {}", printable(&chain(&error))));
            if let Some(hint) = error.hint() {
                session.terminal.warn(&format!("hint: {hint}"));
            }
            Ok(Code::Partial)
        }
    }
}

/// The policy, checked before the backup: a contradiction is told at once; and again where it acts after it.
fn retention(
    session: &Session,
    environment: &Environment,
    arguments: &BackupArguments,
    plan: &BackupPlan,
) -> std::result::Result<(RetentionPolicy, Option<RetentionPolicy>), CommandError> {
    let settings = settings_of(session, environment, &plan.shop)?;
    let policy = settings.policy()?;
    Ok((policy, (settings.acts_after_backup() && !arguments.no_prune).then_some(policy)))
}

fn request(session: &Session, arguments: &BackupArguments, set: SetSettings) -> BackupRequest {
    let joined = |mut first: Vec<String>, second: &[String]| {
        first.extend_from_slice(second);
        first
    };
    BackupRequest {
        scope: scope_of(arguments.only),
        exclude: joined(set.exclude, &arguments.exclude),
        only_tables: arguments.table.clone(),
        exclude_table: joined(set.exclude_table, &arguments.exclude_table),
        exclude_table_entirely: joined(set.exclude_table_entirely, &arguments.exclude_table_entirely),
        default_exclusions: !arguments.no_default_exclusions,
        codec: match arguments.codec {
            CodecArgument::Zstd => Codec::Zstd,
            CodecArgument::Gzip => Codec::Gzip,
        },
        backups: session.backups(arguments.to.as_deref()),
        reason: Reason::Manual,
        part_size: (arguments.part_size.or(set.part_size))
            .or(session.configuration.part_size)
            .unwrap_or_default(),
        take_over: arguments.take_over,
        web_roots: Vec::new(),
        level: arguments.level.map(|level| match level {
            BackupLevel::Full => LevelChoice::Full,
            BackupLevel::Differential => LevelChoice::Differential,
            BackupLevel::Incremental => LevelChoice::Incremental,
            BackupLevel::Auto => LevelChoice::Auto,
        }),
        levels: LevelRules::default(),
        read_back: match set.read_back.or(session.configuration.read_back) {
            Some(true) => ReadBack::Always,
            Some(false) => ReadBack::Never,
            None => ReadBack::Sealed,
        },
        sealing: match set.sealed.or(session.configuration.sealed) {
            _ if arguments.unsealed => Sealing::Never,
            Some(true) => Sealing::Always,
            Some(false) => Sealing::Never,
            None => Sealing::WithAnIdentity,
        },
        count_exceptions: false,
        required_copies: 1,
    }
}

/// The request with what the configuration says of the levels of a shop's backups, and of which count.
fn said_of_set(
    session: &Session,
    environment: &Environment,
    subject: &Subject,
    set: &SetSettings,
    request: BackupRequest,
) -> std::result::Result<BackupRequest, CommandError> {
    let folder = subject.layout.as_ref().map(|layout| layout.root.as_path());
    let title = if set.title.is_empty() { &subject.title } else { &set.title };
    let levels = session.configuration.levels(folder, title).rules()?;
    let written = session.configuration.retention(folder, title);
    let policy = written.or_recovered(recovered_rules_of(environment, subject)?.policy).policy()?;
    let (count_exceptions, required_copies) = (policy.count_exceptions, policy.required_copies);
    Ok(BackupRequest { levels, count_exceptions, required_copies, ..request })
}

pub(super) fn scope_of(only: Option<Only>) -> Scope {
    match only {
        None => Scope::Everything,
        Some(Only::Database) => Scope::Database,
        Some(Only::Files) => Scope::Files,
    }
}

fn show_plan(session: &Session, plan: &BackupPlan, level: ForeseenLevel) {
    #[derive(Serialize)]
    struct Planned {
        shop: String,
        scope: Scope,
        roots: Vec<String>,
        left_out: Vec<String>,
        rows_left_out: Vec<String>,
        backups: String,
        set_folder: String,
        sealed_for: Vec<IdentityId>,
        part_size_bytes: u64,
        #[serde(flatten)]
        level: ForeseenLevel,
    }
    let files = plan.files.as_ref();
    let planned = Planned {
        shop: plan.shop.title.clone(),
        scope: plan.scope,
        roots: files
            .map(|files| files.roots.iter().map(|root| root.path.display().to_string()).collect())
            .unwrap_or_default(),
        left_out: files
            .map(|files| {
                let places = files.exclusions.renewable.iter().map(|place| place.pattern.clone());
                places.chain(files.exclusions.globs.iter().cloned()).collect()
            })
            .unwrap_or_default(),
        rows_left_out: plan
            .database
            .as_ref()
            .map(|database| {
                database
                    .selection
                    .contents_excluded
                    .iter()
                    .map(|pattern| pattern.as_str().to_owned())
                    .collect()
            })
            .unwrap_or_default(),
        backups: plan.made_at(),
        set_folder: plan.folder_at_place(),
        part_size_bytes: plan.part_size.bytes(),
        sealed_for: plan.recipients.iter().map(|recipient| recipient.identity).collect(),
        level,
    };
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.backup-plan/1", planned));
        return;
    }
    session.terminal.data(&format!("would back up {} of {}", planned.scope, printable(&planned.shop)));
    for (name, values) in [
        ("folder", &planned.roots),
        ("left out", &planned.left_out),
        ("rows left out", &planned.rows_left_out),
    ] {
        for value in values {
            session.terminal.data(&format!("  {name:<14} {}", printable(value)));
        }
    }
    for identity in &planned.sealed_for {
        session.terminal.data(&format!("  {:<14} {}", "sealed for", identity.short()));
    }
    session.terminal.data(&format!("  {:<14} {}/{}", "into", planned.backups, planned.set_folder));
    let level = &planned.level;
    let parent = level.parent.map(|parent| format!(" on {}", parent.short())).unwrap_or_default();
    let why = level.why_full.as_ref().map(|why| format!(", since {why}")).unwrap_or_default();
    session.terminal.data(&format!("  {:<14} {}{parent}{}", "level", level.level, printable(&why)));
}

/// What was made, and what was let go after it.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    report: &'a BackupReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<&'a PruneReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'a DueReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<&'a DrillReport>,
    settings: &'a [SettingsExport],
    #[serde(skip_serializing_if = "<[LockReport]>::is_empty")]
    locks: &'a [LockReport],
}

fn show(session: &Session, made: &Made<'_>, pruned: Option<&AfterBackup>, phases: &[PhaseAccount]) {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.backup/1", WithPhases { report: made, phases }));
        return;
    }
    let report = made.report;
    for problem in report.problems.iter().filter(|problem| !problem.is_suspicion()) {
        let weight = if problem.is_exception { "missing" } else { "note" };
        terminal.say(&format!("{weight}: {}: {}", printable(&problem.subject), printable(&problem.message)));
    }
    show_suspicions(session, report);
    if let Some(cut) = &report.grace_cut {
        terminal.warn(&format!(
            "{} was full: {} ({}) went before their grace was over",
            printable(&report.storage),
            count_text(cut.deleted.len() as u64, "marked backup"),
            bytes_text(cut.freed_bytes)
        ));
    }
    if let Some(why) = &report.why_full {
        terminal.warn(&format!("this backup is a full one: {}", printable(why)));
    }
    terminal.data(&format!(
        "backup {} of {} is {}",
        report.backup.short(),
        printable(&report.shop),
        report.content
    ));
    if let Some(parent) = report.parent {
        terminal.data(&format!(
            "  {} on {}: {} files are as they were, {} things are gone",
            report.level,
            parent.short(),
            report.unchanged_files,
            report.removed_files
        ));
    }
    terminal.data(&format!(
        "  {}",
        contents_text(report.tables, report.rows, report.files, Some(report.content_bytes))
    ));
    terminal.data(&format!(
        "  {} in {}/{} after {}",
        bytes_text(report.stored_bytes),
        report.storage,
        report.folder,
        duration_text(report.elapsed_ms)
    ));
    for destination in &report.destinations {
        show_destination(session, destination);
    }
    for unread in &report.unread_destinations {
        terminal.warn(&format!(
            "no older backup goes in this run: what {} holds cannot be read, and it may hold a newer one: {}",
            printable(&unread.storage),
            printable(&unread.problem)
        ));
    }
    if let Some(pruned) = pruned {
        show_retention(session, pruned);
    }
}

/// Why the backup is suspect, where it is: also to whoever wants little told.
fn show_suspicions(session: &Session, report: &BackupReport) {
    for suspicion in &report.suspicions {
        let text = format!("{}: {}", suspicion.subject, suspicion.message());
        session.terminal.warn(&format!("SUSPECT: {}", printable(&text)));
    }
    if report.content == Content::Suspect {
        session.terminal.warn(&format!(
            "against the last backup that counts, implausibly much is gone or rewritten; this one is kept and does not count, \
             and no older one goes until somebody has looked: `backstock diff`, then `backstock confirm {}`",
            report.backup.short()
        ));
    }
}

/// What became of older backups, where anything did.
fn show_retention(session: &Session, pruned: &AfterBackup) {
    if let Some(policy) = pruned.begun {
        session.terminal.say(&format!("from now on: {policy}; `backstock prune --dry-run` tells what goes"));
    }
    for destination in &pruned.report.destinations {
        let storage = printable(&destination.storage);
        if !destination.held_by.is_empty() {
            let why: Vec<String> = destination.held_by.iter().map(ToString::to_string).collect();
            session.terminal.warn(&format!(
                "no older backup goes at {storage}: {}; `backstock prune` shows what would, and asks",
                why.join("; ")
            ));
        } else if [&destination.marked, &destination.kept_again, &destination.deleted]
            .iter()
            .any(|ids| !ids.is_empty())
        {
            session
                .terminal
                .say(&format!("older backups at {storage}: {}", what_was_done(destination).join(", ")));
        }
    }
}
