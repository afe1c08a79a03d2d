//! `backstock notifier`: who is told of what goes wrong; and the telling after other commands.

use backstock_operations::{
    ListedNotifier, ToldNotice, ToldNotices, chain, list_notifiers, tell_due, test_notifier,
};
use serde::Serialize;

use super::{Document, Result};
use crate::arguments::{NotifierCommand, TestNotifierArguments};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{Terminal, printable};

pub(super) fn run(session: &Session, command: &NotifierCommand) -> Result {
    match command {
        NotifierCommand::List => list(session),
        NotifierCommand::Test(arguments) => test(session, arguments),
        NotifierCommand::Due => due(session),
    }
}

fn list(session: &Session) -> Result {
    #[derive(Serialize)]
    struct Listed<'a> {
        notifiers: &'a [ListedNotifier],
    }
    let notifiers = list_notifiers(&session.open()?)?;
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.notifier-list/1", Listed { notifiers: &notifiers }));
        return Ok(Code::Done);
    }
    if notifiers.is_empty() {
        terminal.say("nobody is told: write a [[notifier]] into the configuration file (docs/notices.md)");
    }
    for notifier in &notifiers {
        terminal.data(&format!("{} ({})", printable(&notifier.title), notifier.kind));
        notifier.told.iter().for_each(|told| terminal.data(&format!("  told: {}", printable(told))));
        if let Some(problem) = &notifier.problem {
            terminal.warn(&format!(
                "{}: the last message did not go out: {}",
                printable(&notifier.title),
                printable(problem)
            ));
        }
    }
    Ok(Code::Done)
}

fn test(session: &Session, arguments: &TestNotifierArguments) -> Result {
    #[derive(Serialize)]
    struct Tested<'a> {
        sent: &'a [ToldNotice],
    }
    let environment = session.open()?;
    let titles = match &arguments.title {
        Some(title) => vec![title.clone()],
        None => environment.notifiers.iter().map(|notifier| notifier.title.clone()).collect(),
    };
    if titles.is_empty() {
        let hint = "write a [[notifier]] into the configuration file (docs/notices.md)";
        return Err(CommandError::usage("there is no notifier to be tested", hint));
    }
    let sent = titles.iter().map(|title| test_notifier(&environment, title));
    let sent = sent.collect::<backstock_operations::Result<Vec<ToldNotice>>>()?;
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.notifier-test/1", Tested { sent: &sent }));
    } else {
        for told in &sent {
            terminal.data(&format!("{}: the test message was handed over", printable(&told.notifier)));
        }
    }
    sent.iter().for_each(|told| warn_of_refused(terminal, told));
    Ok(if sent.iter().all(|told| told.refused.is_empty()) { Code::Done } else { Code::Partial })
}

fn due(session: &Session) -> Result {
    let told = tell_due(&session.open()?)?;
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.notifier-due/1", &told));
    }
    show(terminal, &told);
    Ok(if !told.failed.is_empty() {
        Code::Partial
    } else if told.told.is_empty() {
        Code::NothingDue
    } else {
        Code::Done
    })
}

/// Tells what is due after a command that may have changed it. Nobody's work fails for it.
pub(super) fn tell_after(session: &Session) {
    let terminal = session.terminal;
    let told = session.open_silently().and_then(|environment| Ok(tell_due(&environment)?));
    match told {
        Ok(told) => show(terminal, &told),
        Err(error) => {
            let problem = printable(&chain(error.as_ref()));
            terminal.warn(&format!("nobody was told of what stands: {problem}"));
        }
    }
}

fn show(terminal: Terminal, told: &ToldNotices) {
    for told in &told.told {
        let subjects = told.subjects.join("; ");
        terminal.say(&format!("{} was told: {}", printable(&told.notifier), printable(&subjects)));
        warn_of_refused(terminal, told);
    }
    lines_of_failed(told).iter().for_each(|line| terminal.warn(&printable(line)));
}

fn warn_of_refused(terminal: Terminal, told: &ToldNotice) {
    for refused in &told.refused {
        terminal.warn(&format!("{}: refused for {}", printable(&told.notifier), printable(refused)));
    }
}

/// What is worth a warning of messages that did not go out.
pub(super) fn lines_of_failed(told: &ToldNotices) -> Vec<String> {
    let line = |failed: &backstock_operations::FailedNotice| {
        format!("{} was NOT told, and will be later: {}", failed.notifier, failed.problem)
    };
    told.failed.iter().map(line).collect()
}
