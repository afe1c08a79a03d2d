//! The one statement that the shop sees: all tables of a plan change sides at once.
//!
//! Which side a table is on is never taken from a journal: it is read from the names that exist. Servers before MySQL
//! 8.0 and MariaDB 10.6 can leave a mixture behind when they crash; the names that are missing are then renamed.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::super::ddl::Text;
use super::Worker;
use crate::RawText;
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, TablePlan};

/// How often the rename is tried; each try waits for at most a second for running queries.
const TRIES: u32 = 30;
/// Pause between two tries, in which the queries that queued up behind the try run.
const PAUSE: Duration = Duration::from_millis(700);
/// The server's error for a lock that was not granted in time.
const ERROR_LOCK_WAIT: u16 = 1205;

/// The names of a database and what they stand for.
pub(super) type Names = BTreeMap<Vec<u8>, TableKind>;

/// Whether the names show that the new side is in place.
pub(super) fn is_swapped(worker: &Worker<'_>, names: &Names) -> bool {
    let moved = |table: &TablePlan| {
        let old = table.old.is_none() || names.contains_key(&worker.plan.old_name(table).0);
        let new = table.new.is_none() || !names.contains_key(&worker.plan.new_name(table).0);
        old && new
    };
    worker.plan.tables.iter().all(moved)
}

/// Whether every table of the old side is under its own name.
pub(super) fn is_old(worker: &Worker<'_>, names: &Names) -> bool {
    let stays = |table: &TablePlan| {
        let aside = names.contains_key(&worker.plan.old_name(table).0);
        let here = names.contains_key(&table.name.0);
        !aside && (table.old.is_none() || here)
    };
    worker.plan.tables.iter().all(stays)
}

/// The name under which a table's new side is now, if it is anywhere.
pub(super) fn new_side_name(plan: &LoadPlan, names: &Names, table: &TablePlan) -> Option<RawText> {
    let aside = plan.new_name(table);
    if names.contains_key(&aside.0) {
        return Some(aside);
    }
    let old_is_away = table.old.is_none() || names.contains_key(&plan.old_name(table).0);
    (table.new.is_some() && old_is_away && names.contains_key(&table.name.0)).then(|| table.name.clone())
}

/// Refuses any step forward where the new side of a table is neither aside nor in place.
pub(super) fn expect_new_side(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    let plan = worker.plan;
    let gone = |table: &&TablePlan| table.new.is_some() && new_side_name(plan, &names, table).is_none();
    match plan.tables.iter().find(gone) {
        None => Ok(()),
        Some(table) => Err(side_gone(table, &plan.new_name(table).to_string())),
    }
}

/// Refuses any step backward where the old side of a table is neither aside nor in place: after acceptance.
pub(super) fn expect_old_side(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    let plan = worker.plan;
    let gone = |table: &&TablePlan| {
        let new_is_aside = table.new.is_none() || names.contains_key(&plan.new_name(table).0);
        let in_place = new_is_aside && names.contains_key(&table.name.0);
        table.old.is_some() && !names.contains_key(&plan.old_name(table).0) && !in_place
    };
    match plan.tables.iter().find(gone) {
        None => Ok(()),
        Some(table) => Err(side_gone(table, &plan.old_name(table).to_string())),
    }
}

/// Refuses to go on where a step rests on the new tables and they are not in place.
pub(super) fn expect_new(worker: &Worker<'_>, names: &Names) -> Result<()> {
    if is_swapped(worker, names) {
        return Ok(());
    }
    let reason = "the new tables are not in place".to_owned();
    Err(Error::Plan { database: worker.plan.target.name.to_string(), reason })
}

/// Refuses to accept while any new table is still, or again, aside.
pub(super) fn expect_none_aside(worker: &Worker<'_>, names: &Names) -> Result<()> {
    let aside = |table: &TablePlan| names.contains_key(&worker.plan.new_name(table).0);
    if !worker.plan.tables.iter().any(aside) {
        return Ok(());
    }
    let reason = "the new tables are not in place".to_owned();
    Err(Error::Plan { database: worker.plan.target.name.to_string(), reason })
}

/// Refuses to go on where a step rests on the old tables and they are not in place.
pub(super) fn expect_old(worker: &Worker<'_>, names: &Names) -> Result<()> {
    if is_old(worker, names) {
        return Ok(());
    }
    let reason = "the old tables are not in place".to_owned();
    Err(Error::Plan { database: worker.plan.target.name.to_string(), reason })
}

pub(super) fn forward(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    let mut moves = Vec::new();
    for table in &worker.plan.tables {
        let (new, old) = (worker.plan.new_name(table), worker.plan.old_name(table));
        let has = |name: &[u8]| names.contains_key(name);
        let mut leaves = false;
        if table.old.is_some() && !has(&old) {
            if !has(&table.name) {
                return Err(side_gone(table, &old.to_string()));
            }
            moves.push((table.name.clone(), old));
            leaves = true;
        }
        if table.new.is_some() && has(&new) {
            moves.push((new, table.name.clone()));
        } else if table.new.is_some() && (leaves || !has(&table.name)) {
            // Nothing may move away while its replacement is missing.
            return Err(side_gone(table, &new.to_string()));
        }
    }
    rename(worker, &moves)
}

pub(super) fn backward(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    let mut moves = Vec::new();
    for table in &worker.plan.tables {
        let (new, old) = (worker.plan.new_name(table), worker.plan.old_name(table));
        let has = |name: &[u8]| names.contains_key(name);
        let new_is_in_place = table.new.is_some() && !has(&new);
        if table.old.is_some() && !has(&old) && (new_is_in_place || !has(&table.name)) {
            return Err(side_gone(table, &old.to_string()));
        }
        if new_is_in_place && has(&table.name) {
            moves.push((table.name.clone(), new));
        }
        if table.old.is_some() && has(&old) {
            moves.push((old, table.name.clone()));
        }
    }
    rename(worker, &moves)
}

fn side_gone(table: &TablePlan, aside: &str) -> Error {
    Error::SideGone { table: table.name.to_string(), aside: aside.to_owned() }
}

fn rename(worker: &mut Worker<'_>, moves: &[(RawText, RawText)]) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut statement = Text::new("RENAME TABLE ");
    for (at, (from, to)) in moves.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        statement = statement.sql(comma).name(from).sql(" TO ").name(to);
    }
    let statement = statement.bytes();
    // A rename that waits makes every query behind it wait too: better short and often.
    worker.connection.execute(b"SET lock_wait_timeout=1")?;
    for left in (0..TRIES).rev() {
        match worker.run(&statement) {
            Ok(_) => break,
            Err(error) if error.code() == Some(ERROR_LOCK_WAIT) && left > 0 => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    super::super::load::session::set_lock_wait(worker.connection)
}
