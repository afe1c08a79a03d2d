//! Every command, one line each.

mod backup;
mod catalog;
mod confirm;
mod delete;
mod detect;
mod diff;
mod drill;
mod key;
mod list;
mod notifier;
mod open;
mod pin;
mod prune;
mod replicate;
mod restore;
mod restore_dump;
mod serve;
mod set;
mod settings;
mod show;
mod storage;
mod undo;
mod verify;

use std::ffi::OsStr;

use backstock_catalog::Backup;
use backstock_operations::{Environment, chain, find_backup, find_shop, forget_old_history, troubled_links};

use crate::arguments::{Arguments, CatalogCommand, Command};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{Terminal, printable};

/// What every command returns.
pub(crate) type Result = std::result::Result<Code, CommandError>;

/// Runs the command that was typed.
pub(crate) fn run(arguments: &Arguments, terminal: Terminal) -> Result {
    let session = Session::new(&arguments.common, terminal)?;
    let result = run_command(&session, &arguments.command);
    if session.tells_people() && may_change_what_stands(&arguments.command) && !session.is_interrupted() {
        notifier::tell_after(&session);
    }
    result
}

/// Whether people may have to be told something after a command.
fn may_change_what_stands(command: &Command) -> bool {
    match command {
        Command::Backup(arguments) => !arguments.dry_run,
        Command::Prune(arguments) => !arguments.dry_run,
        Command::Replicate(_) | Command::Storage(_) => true,
        _ => false,
    }
}

fn run_command(session: &Session, command: &Command) -> Result {
    match command {
        Command::Detect(arguments) => detect::run(session, arguments),
        Command::Backup(arguments) => backup::run(session, arguments),
        Command::List(arguments) => list::run(session, arguments),
        Command::Show(arguments) => show::run(session, arguments),
        Command::Diff(arguments) => diff::run(session, arguments),
        Command::Verify(arguments) => verify::run(session, arguments),
        Command::Drill(arguments) => drill::run(session, arguments),
        Command::Open(arguments) => open::run(session, arguments),
        Command::Restore(arguments) => restore::run(session, arguments),
        Command::Undo(arguments) => undo::run(session, arguments),
        Command::Prune(arguments) => prune::run(session, arguments),
        Command::Delete(arguments) => delete::run(session, arguments),
        Command::Pin(arguments) => pin::run(session, arguments),
        Command::Unpin(arguments) => pin::unpin(session, arguments),
        Command::Confirm(arguments) => confirm::run(session, arguments),
        Command::Key(command) => key::run(session, command),
        Command::Storage(command) => storage::run(session, command),
        Command::Set(command) => set::run(session, command),
        Command::Replicate(arguments) => replicate::run(session, arguments),
        Command::Recover(arguments) => catalog::recover(session, arguments),
        Command::Notifier(command) => notifier::run(session, command),
        Command::Serve(arguments) => serve::run(session, arguments),
        Command::Catalog(CatalogCommand::Rebuild(arguments)) => catalog::rebuild(session, arguments),
    }
}

/// The backup that a person means, of the shop that was named, if one was.
fn meant_backup(
    environment: &Environment,
    id: &str,
    shop: Option<&OsStr>,
) -> std::result::Result<Backup, CommandError> {
    let shop = shop.map(|text| find_shop(environment, text)).transpose()?;
    Ok(find_backup(environment, id, shop.map(|shop| shop.id))?)
}

/// Forgets old runs, where that is due. Nobody's work fails for it.
fn forget_history(session: &Session, environment: &Environment) {
    if let Err(error) = forget_old_history(environment) {
        session.terminal.warn(&printable(&chain(&error)));
    }
}

/// Says which links with accounts are not as they should be, before it matters. Nobody's work fails for it.
fn tell_of_links(session: &Session, environment: &Environment) {
    match troubled_links(environment) {
        Ok(links) => links.iter().for_each(|(title, link)| {
            storage::warn_of_link(session.terminal, &printable(title), Some(link));
        }),
        Err(error) => session.terminal.warn(&printable(&chain(&error))),
    }
}

/// Asks before something is changed. An error unless a person agrees.
fn confirm(session: &Session, question: &str) -> std::result::Result<(), CommandError> {
    match session.terminal.ask(question) {
        Some(true) => Ok(()),
        Some(false) => Err(CommandError::declined("nothing was changed")),
        None => Err(CommandError::usage("there is nobody to ask", "give --yes to go on without a question")),
    }
}

/// A document with the name of its form in front.
#[derive(serde::Serialize)]
pub(crate) struct Document<T> {
    schema: &'static str,
    #[serde(flatten)]
    body: T,
}

/// A report and what each phase before it did.
#[derive(serde::Serialize)]
pub(crate) struct WithPhases<'a, R> {
    #[serde(flatten)]
    pub(crate) report: &'a R,
    pub(crate) phases: &'a [PhaseAccount],
}

impl<T> Document<T> {
    pub(crate) fn new(schema: &'static str, body: T) -> Self {
        Self { schema, body }
    }
}
