//! `backstock list`: what there is.

use backstock_operations::{ListedBackup, find_shop, list};
use serde::Serialize;

use super::{Document, Result, tell_of_links};
use crate::arguments::ListArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{bytes_text, drill_text, printable, replica_text, table_text};

pub(super) fn run(session: &Session, arguments: &ListArguments) -> Result {
    let environment = session.open()?;
    tell_of_links(session, &environment);
    let shop = arguments.shop.as_deref().map(|text| find_shop(&environment, text)).transpose()?;
    let backups = list(&environment, shop.map(|shop| shop.id))?;
    if session.terminal.json() {
        #[derive(Serialize)]
        struct Listed {
            backups: Vec<ListedBackup>,
        }
        session.terminal.document(&Document::new("backstock.list/1", Listed { backups }));
        return Ok(Code::Done);
    }
    if backups.is_empty() {
        session.terminal.say("there is no backup yet; `backstock backup <folder>` makes one");
        return Ok(Code::Done);
    }
    let rows: Vec<Vec<String>> = backups.iter().map(row).collect();
    let head = ["id", "shop", "made", "level", "reason", "content", "sealed", "size", "replicas"];
    for line in table_text(&head, &rows) {
        session.terminal.data(&line);
    }
    Ok(Code::Done)
}

fn row(backup: &ListedBackup) -> Vec<String> {
    let mut replicas: Vec<String> = backup
        .replicas
        .iter()
        .map(|replica| {
            format!("{}{}", replica_text(replica), if replica.marked.is_some() { " (marked)" } else { "" })
        })
        .collect();
    replicas.extend(backup.pin.as_ref().map(|note| match note.as_str() {
        "" => "pinned".to_owned(),
        note => format!("pinned: {}", printable(note)),
    }));
    if backup.is_strangers {
        replicas.push("signed by a stranger".to_owned());
    }
    replicas.extend(backup.drill.as_ref().map(drill_text));
    vec![
        backup.short.clone(),
        printable(&backup.shop),
        backup.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        backup.level.to_string(),
        backup.reason.to_string(),
        format!("{}{}", backup.content, if backup.is_confirmed { " (confirmed)" } else { "" }),
        if backup.sealed_for.is_empty() { "-" } else { "sealed" }.to_owned(),
        bytes_text(backup.stored_bytes),
        replicas.join(", "),
    ]
}
