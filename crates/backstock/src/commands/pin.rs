//! `backstock pin` and `unpin`: what a person wants kept.

use backstock_catalog::Backup;
use backstock_operations::{pin, unpin as take_pin_back};
use serde::Serialize;

use super::{Document, Result, meant_backup};
use crate::arguments::{PinArguments, UnpinArguments};
use crate::exit::Code;
use crate::session::Session;

/// What became of a pin.
#[derive(Serialize)]
struct Pinned {
    backup: String,
    is_pinned: bool,
}

pub(super) fn run(session: &Session, arguments: &PinArguments) -> Result {
    let environment = session.open()?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    pin(&environment, &backup, &arguments.note)?;
    Ok(show(session, &backup, true))
}

pub(super) fn unpin(session: &Session, arguments: &UnpinArguments) -> Result {
    let environment = session.open()?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    if !take_pin_back(&environment, &backup)? {
        session.terminal.say(&format!("backup {} was not pinned", backup.id.short()));
    }
    Ok(show(session, &backup, false))
}

fn show(session: &Session, backup: &Backup, is_pinned: bool) -> Code {
    let terminal = &session.terminal;
    if terminal.json() {
        let pinned = Pinned { backup: backup.id.to_string(), is_pinned };
        terminal.document(&Document::new("backstock.pin/1", pinned));
    } else {
        let word = if is_pinned { "is kept, whatever the policy says" } else { "follows the policy" };
        terminal.data(&format!("backup {} {word}", backup.id.short()));
    }
    Code::Done
}
