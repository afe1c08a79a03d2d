//! `backstock delete`: one backup, by the same rules and the same act as by policy.

use backstock_operations::{plan_delete, prune, shop_of};

use super::prune::{policy_of, show_report};
use super::{Document, Result, confirm, meant_backup};
use crate::arguments::DeleteArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::printable;

pub(super) fn run(session: &Session, arguments: &DeleteArguments) -> Result {
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let shop = shop_of(&environment, backup.shop)?;
    let policy = policy_of(session, &environment, &shop)?;
    let plan = plan_delete(&environment, &backup, policy)?;
    let terminal = &session.terminal;
    let when = if arguments.now { "at once" } else { &*format!("after {} hours", policy.grace_hours) };
    let what = format!("delete the backup {} of {} {when}", backup.id.short(), printable(&shop.title));
    if arguments.dry_run {
        terminal.data(&format!("would {what}"));
        return Ok(Code::Done);
    }
    if !arguments.yes {
        confirm(session, &format!("{what}?"))?;
    }
    let progress = session.progress();
    let result = prune(&environment, plan, true, arguments.now, &progress);
    progress.close();
    let report = result?;
    if terminal.json() {
        terminal.document(&Document::new("backstock.delete/1", &report));
    } else {
        show_report(session, &report);
        if !arguments.now {
            terminal.say("`backstock pin` takes the mark back; `backstock prune` deletes what is marked when its grace is over");
        }
    }
    Ok(Code::Done)
}
