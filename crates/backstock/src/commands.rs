//! Every command, one line each.

mod backup;
mod catalog;
mod delete;
mod detect;
mod diff;
mod list;
mod pin;
mod prune;
mod restore;
mod restore_dump;
mod show;
mod undo;
mod verify;

use crate::arguments::{Arguments, CatalogCommand, Command};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::Terminal;

/// What every command returns.
pub(crate) type Result = std::result::Result<Code, CommandError>;

/// Runs the command that was typed.
pub(crate) fn run(arguments: &Arguments, terminal: Terminal) -> Result {
    let session = Session::new(&arguments.common, terminal)?;
    match &arguments.command {
        Command::Detect(arguments) => detect::run(&session, arguments),
        Command::Backup(arguments) => backup::run(&session, arguments),
        Command::List(arguments) => list::run(&session, arguments),
        Command::Show(arguments) => show::run(&session, arguments),
        Command::Diff(arguments) => diff::run(&session, arguments),
        Command::Verify(arguments) => verify::run(&session, arguments),
        Command::Restore(arguments) => restore::run(&session, arguments),
        Command::Undo(arguments) => undo::run(&session, arguments),
        Command::Prune(arguments) => prune::run(&session, arguments),
        Command::Delete(arguments) => delete::run(&session, arguments),
        Command::Pin(arguments) => pin::run(&session, arguments),
        Command::Unpin(arguments) => pin::unpin(&session, arguments),
        Command::Catalog(CatalogCommand::Rebuild(arguments)) => catalog::rebuild(&session, arguments),
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
