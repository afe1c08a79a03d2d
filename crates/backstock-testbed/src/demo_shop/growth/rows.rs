//! Fills the growing tables over two connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mysql::Conn;

use super::tables::{GrowingTable, TABLES};
use super::text::Language;
use crate::demo_shop::{Choices, DemoShop, PREFIX, query};
use crate::error::TestbedError;

/// Two are as many as a small machine has cores for.
const CONNECTIONS: usize = 2;
/// A statement ends when it has grown to this size, far below any server's largest packet.
const STATEMENT_BYTES: usize = 1 << 20;
/// Statements to a transaction.
const STATEMENTS_PER_COMMIT: usize = 8;

/// Adds rows of about `sql_bytes` to all growing tables.
pub(super) fn grow(shop: &DemoShop, sql_bytes: u64) -> Result<(), TestbedError> {
    let languages = Language::all(shop.seed);
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), TestbedError> {
        let mut connection = shop.connect_as_shop()?;
        for statement in
            ["SET sql_mode='NO_ENGINE_SUBSTITUTION'", "SET time_zone='+00:00'", "SET autocommit=0"]
        {
            query(&mut connection, statement)?;
        }
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(table) = TABLES.get(number) else { return Ok(()) };
            // Each table has choices of its own: which connection fills it makes no difference.
            let mut choices = Choices(shop.seed ^ (number as u64 + 1) << 32);
            fill(&mut connection, table, sql_bytes * table.percent / 100, &languages, &mut choices)?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn fill(
    connection: &mut Conn,
    table: &GrowingTable,
    sql_bytes: u64,
    languages: &[Language],
    choices: &mut Choices,
) -> Result<(), TestbedError> {
    let name = format!("`{PREFIX}{}`", table.name);
    if !table.definition.is_empty() {
        let definition = format!(
            "CREATE TABLE {name} ({}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
            table.definition
        );
        query(connection, &definition)?;
    }
    let head = format!("INSERT INTO {name} ({}) VALUES ", table.columns);
    let mut sql = head.clone();
    let (mut written_bytes, mut statements) = (0, 0);
    for number in 0.. {
        let before = sql.len();
        (table.row)(number, languages, choices, &mut sql);
        written_bytes += (sql.len() - before) as u64;
        let is_last = written_bytes >= sql_bytes;
        if is_last || sql.len() >= STATEMENT_BYTES {
            query(connection, &sql)?;
            statements += 1;
            if is_last || statements % STATEMENTS_PER_COMMIT == 0 {
                query(connection, "COMMIT")?;
            }
            if is_last {
                break;
            }
            sql.clone_from(&head);
        } else {
            sql.push(',');
        }
    }
    if table.keys.is_empty() {
        Ok(())
    } else {
        query(connection, &format!("ALTER TABLE {name} {}", table.keys))
    }
}
