//! `backstock storage test --due`: links with accounts that nobody has used for a day are tried, before they are needed.

use backstock_operations::{DueLink, try_due_links};
use serde::Serialize;

use super::link::warn_of_link;
use super::{Document, Result};
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{link_text, printable};

pub(super) fn run(session: &Session) -> Result {
    #[derive(Serialize)]
    struct Links<'a> {
        links: &'a [DueLink],
    }
    let links = try_due_links(&session.open()?)?;
    let terminal = session.terminal;
    let code = code_of(&links);
    if terminal.json() {
        terminal.document(&Document::new("backstock.storage-test-due/1", Links { links: &links }));
        return Ok(code);
    }
    if links.is_empty() {
        terminal.say("no storage is linked with an account");
    }
    for due in &links {
        let title = printable(&due.title);
        let state = due.link.as_ref().map_or_else(|| "not known".to_owned(), link_text);
        let tried = if due.was_tried { "tried now" } else { "used within a day" };
        terminal.data(&format!("{title}: the link is {state} ({tried})"));
        warn_of_link(terminal, &title, due.link.as_ref());
        if let Some(sentence) = due.link.as_ref().and_then(|link| link.sentence.as_ref()) {
            terminal.say(&format!("{title}: {}", printable(sentence)));
        }
        if let Some(problem) = &due.problem {
            terminal.warn(&format!("{title}: {}", printable(problem)));
        }
    }
    Ok(code)
}

fn code_of(links: &[DueLink]) -> Code {
    if !links.iter().all(DueLink::is_ok) {
        Code::Partial
    } else if links.iter().any(|due| due.was_tried) {
        Code::Done
    } else {
        Code::NothingDue
    }
}
