//! `backstock set`: where the backups of each shop go.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstock_catalog::{Set, Shop};
use backstock_operations::{
    ChangedDestination, Environment, Limits, ListedDestination, ListedSet, NewDestination, ShopOverrides,
    Subject, add_destination, change_destination, find_set, follow_written, keep_local, known_set,
    listed_set, remove_destination, shops, written_elsewhere,
};
use backstock_vocabulary::LinkState;
use serde::Serialize;

use super::prune::shop_of_set;
use super::{Document, Result};
use crate::arguments::{
    AddDestinationArguments, ChangeDestinationArguments, DestinationCommand, LocalArguments,
    RemoveDestinationArguments, SetCommand, ShownSetArguments,
};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{bytes_text, link_text, printable, table_text};

pub(super) fn run(session: &Session, command: &SetCommand) -> Result {
    match command {
        SetCommand::List => list(session),
        SetCommand::Show(arguments) => show(session, arguments),
        SetCommand::Local(arguments) => local(session, arguments),
        SetCommand::Destination(DestinationCommand::Add(arguments)) => add(session, arguments),
        SetCommand::Destination(DestinationCommand::Change(arguments)) => change(session, arguments),
        SetCommand::Destination(DestinationCommand::Remove(arguments)) => remove(session, arguments),
    }
}

fn list(session: &Session) -> Result {
    let environment = session.open()?;
    let mut sets = Vec::new();
    for shop in shops(&environment)? {
        // A shop that was only looked at has none.
        if let Ok(set) = find_set(&environment, &shop) {
            follow_file(session, &environment, &shop, &set)?;
            sets.push(listed_set(&environment, &shop, &set)?);
        }
    }
    show_sets(session, &sets)
}

fn show(session: &Session, arguments: &ShownSetArguments) -> Result {
    let environment = session.open()?;
    let (shop, set) = on_record(session, &environment, &arguments.shop)?;
    follow_file(session, &environment, &shop, &set)?;
    show_sets(session, &[listed_set(&environment, &shop, &set)?])
}

fn add(session: &Session, arguments: &AddDestinationArguments) -> Result {
    let found = session.subject_by_itself(Some(&arguments.shop), ShopOverrides::default())?;
    let environment = session.open()?;
    // A shop may get its destinations before its first backup.
    let (shop, set) = match &found {
        Some((subject, _)) => known_set(&environment, subject)?,
        None => on_record(session, &environment, &arguments.shop)?,
    };
    require_unwritten(session, &shop)?;
    let new = NewDestination {
        storage: arguments.storage.clone(),
        path: arguments.path.clone(),
        copies: arguments.copies,
        limits: Limits { bytes_per_second: arguments.limit, hours: arguments.hours },
    };
    add_destination(&environment, &set, &new)?;
    show_sets(session, &[listed_set(&environment, &shop, &set)?])
}

fn change(session: &Session, arguments: &ChangeDestinationArguments) -> Result {
    let environment = session.open()?;
    let (shop, set) = on_record(session, &environment, &arguments.shop)?;
    require_unwritten(session, &shop)?;
    let change = ChangedDestination {
        copies: arguments.copies.map(|copies| copies.0),
        is_on: (arguments.on || arguments.off).then_some(arguments.on),
        bytes_per_second: arguments.limit.map(|limit| limit.0),
        hours: arguments.hours.map(|hours| hours.0),
    };
    change_destination(&environment, &set, &arguments.storage, change)?;
    show_sets(session, &[listed_set(&environment, &shop, &set)?])
}

fn local(session: &Session, arguments: &LocalArguments) -> Result {
    let environment = session.open()?;
    let (shop, mut set) = on_record(session, &environment, &arguments.shop)?;
    follow_file(session, &environment, &shop, &set)?;
    keep_local(&environment, &mut set, arguments.on)?;
    show_sets(session, &[listed_set(&environment, &shop, &set)?])
}

fn remove(session: &Session, arguments: &RemoveDestinationArguments) -> Result {
    let environment = session.open()?;
    let (shop, set) = on_record(session, &environment, &arguments.shop)?;
    require_unwritten(session, &shop)?;
    remove_destination(&environment, &set, &arguments.storage)?;
    show_sets(session, &[listed_set(&environment, &shop, &set)?])
}

/// Where the backups of a shop go, if the configuration file says it.
fn written(session: &Session, shop: &Shop) -> Option<Vec<NewDestination>> {
    let folder = shop.root.as_deref().map(|root| Path::new(OsStr::from_bytes(root)));
    session.configuration.destinations(folder, &shop.title)
}

/// What the configuration file says is changed there.
fn require_unwritten(session: &Session, shop: &Shop) -> std::result::Result<(), CommandError> {
    match written(session, shop) {
        None => Ok(()),
        Some(_) => Err(written_elsewhere(&shop.title).into()),
    }
}

/// Makes the destinations of a set those that the configuration file names, where it names any. Tells of storages that are not known
/// here, and whether there are none.
pub(super) fn follow_file(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
    set: &Set,
) -> std::result::Result<bool, CommandError> {
    let Some(written) = written(session, shop) else { return Ok(true) };
    let unknown = follow_written(environment, set, &written)?;
    for title in &unknown {
        session.terminal.warn(&printable(&format!(
            "the configuration file sends the backups of {} to {title}, and no storage is called that: nothing goes there until \
             `backstock storage add` defines it",
            shop.title
        )));
    }
    Ok(unknown.is_empty())
}

/// The same before a backup, which may be the first one of its shop.
pub(super) fn follow_file_before_backup(
    session: &Session,
    environment: &Environment,
    subject: &Subject,
) -> std::result::Result<bool, CommandError> {
    let folder = subject.layout.as_ref().map(|layout| layout.root.as_path());
    if session.configuration.destinations(folder, &subject.title).is_none() {
        return Ok(true);
    }
    let (shop, set) = known_set(environment, subject)?;
    follow_file(session, environment, &shop, &set)
}

fn on_record(
    session: &Session,
    environment: &Environment,
    given: &OsStr,
) -> std::result::Result<(Shop, Set), CommandError> {
    let shop = shop_of_set(session, environment, given)?;
    let set = find_set(environment, &shop)?;
    Ok((shop, set))
}

fn show_sets(session: &Session, sets: &[ListedSet]) -> Result {
    #[derive(Serialize)]
    struct Listed<'a> {
        sets: &'a [ListedSet],
    }
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.sets/1", Listed { sets }));
        return Ok(Code::Done);
    }
    if sets.is_empty() {
        terminal.say("there is no set yet; the first backup of a shop makes one");
    }
    for set in sets {
        terminal.data(&format!(
            "{} (set {}): folder {}",
            printable(&set.shop),
            printable(&set.set),
            printable(&set.folder)
        ));
        if !set.keeps_local {
            terminal.data("  its backups are not kept on this machine");
        }
        if set.destinations.is_empty() {
            terminal.data("  its backups go nowhere else than where they are made");
            continue;
        }
        let rows: Vec<Vec<String>> = set.destinations.iter().map(row).collect();
        for line in table_text(&["  storage", "kind", "path", "copies", "limits", "there", "owed"], &rows) {
            terminal.data(&line);
        }
    }
    Ok(Code::Done)
}

fn row(destination: &ListedDestination) -> Vec<String> {
    let limits = &destination.limits;
    let speed = limits.bytes_per_second.map(|limit| format!("{}/s", bytes_text(limit.bytes())));
    let limits: Vec<String> = speed.into_iter().chain(limits.hours.map(|hours| hours.to_string())).collect();
    let is_on = if destination.is_on { "" } else { " (off)" };
    let link = destination.link.as_ref().filter(|link| link.state != LinkState::Ok);
    let link = link.map(|link| format!(" (link {})", link_text(link))).unwrap_or_default();
    vec![
        format!("  {}{is_on}{link}", printable(&destination.storage)),
        destination.kind.clone(),
        printable(if destination.path.is_empty() { "/" } else { &destination.path }),
        destination.copies.map_or_else(|| "by policy".to_owned(), |copies| copies.to_string()),
        if limits.is_empty() { "none".to_owned() } else { limits.join(", ") },
        destination.held.to_string(),
        destination.owed.to_string(),
    ]
}
