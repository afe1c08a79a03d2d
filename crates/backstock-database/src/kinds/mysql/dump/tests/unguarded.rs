//! Accounts that do not see who waits for them: their transactions are short, and what that costs is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backstock_host::Host;
use backstock_testbed::{Server, ServerOptions};

use super::{MemoryTarget, check_records, dump, for_each_server, settings, settings_of, tables};
use crate::Connection;
use crate::dump::{DumpPhase, DumpReport, DumpRequest};
use crate::error::Result;
use crate::monitor::DatabaseMonitor;
use crate::raw_text::RawText;

/// Runs a statement of another account when the reading of a table begins.
struct Other<'a> {
    server: &'a Server,
    at: &'a str,
    statement: &'a str,
    done: AtomicBool,
    refused: AtomicBool,
}

impl DatabaseMonitor<DumpPhase> for Other<'_> {
    fn phase(&self, _: DumpPhase) {}
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, name: &RawText, _: u64) {
        if name.as_bytes() == self.at.as_bytes() && !self.done.swap(true, Ordering::SeqCst) {
            let mut root = Connection::open(&settings(self.server), Some(b"shop")).unwrap();
            root.execute(b"SET lock_wait_timeout=5").unwrap();
            let outcome = root.execute(self.statement.as_bytes());
            self.refused.store(outcome.is_err(), Ordering::SeqCst);
        }
    }
    fn rows(&self, _: &RawText, _: u64, _: u64) {}
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn made(server: &Server) {
    server
        .client(
            "",
            "CREATE DATABASE shop; CREATE USER plain IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO plain; USE shop;
             CREATE TABLE t1 (id INT NOT NULL PRIMARY KEY, v LONGTEXT) ENGINE=InnoDB; INSERT INTO t1 VALUES (1, REPEAT('x', 400000));
             CREATE TABLE t2 (id INT NOT NULL PRIMARY KEY, v LONGTEXT) ENGINE=InnoDB; INSERT INTO t2 VALUES (1, REPEAT('x', 300000));
             CREATE TABLE t3 (id INT NOT NULL PRIMARY KEY, v LONGTEXT) ENGINE=InnoDB; INSERT INTO t3 VALUES (1, REPEAT('x', 200000));
             CREATE TABLE t4 (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB; INSERT INTO t4 VALUES (1);
             CREATE TABLE parted (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 2;
             ANALYZE TABLE t1, t2, t3, t4;",
        )
        .unwrap();
}

/// Dumps with one connection as an account without PROCESS, while root does something in between.
fn dumped(server: &Server, at: &str, statement: &str, limit: Duration) -> Result<(DumpReport, bool)> {
    let other =
        Other { server, at, statement, done: AtomicBool::new(false), refused: AtomicBool::new(false) };
    let request = DumpRequest { connections: 1, unguarded_transaction: limit, ..DumpRequest::whole("shop") };
    let target = MemoryTarget::default();
    let report = dump(&Host::real(), &settings_of(server, "plain", "p"), &request, &target, &other)?;
    assert!(other.done.load(Ordering::SeqCst) && !report.guarded);
    let note = report.notes.iter().find(|note| note.contains("exchange of a partition"));
    assert!(note.is_some_and(|note| note.ends_with(": parted")), "{:?}", report.notes);
    if statement.starts_with("ALTER") {
        check_records(server, "shop", &report, &target);
    }
    Ok((report, other.refused.load(Ordering::SeqCst)))
}

/// No statement of another account waits for a table that was read already.
#[test]
fn a_table_that_was_read_is_free_again() {
    for_each_server(&ServerOptions::default(), |server| {
        made(server);
        let alter = "ALTER TABLE t1 ADD COLUMN c INT";
        let (report, refused) = dumped(server, "t4", alter, Duration::ZERO).unwrap();
        assert!(!refused, "{:?}: it waited for the dump", server.kind());
        assert!(report.attempts > 1, "the change was not seen");
        // A long transaction would have held it on the servers that this is for.
        let (_, refused) =
            dumped(server, "t4", "ALTER TABLE t1 DROP COLUMN c", Duration::from_secs(3600)).unwrap();
        assert_eq!(refused, !server.kind().is_mysql(), "{:?}", server.kind());
    });
}

/// Short transactions show one moment as long as nothing is written, which is proven, and are labelled otherwise.
#[test]
fn short_transactions_are_of_one_moment_or_labelled() {
    for_each_server(&ServerOptions::default(), |server| {
        made(server);
        let (report, _) = dumped(server, "t4", "SELECT 1", Duration::ZERO).unwrap();
        assert!(report.one_point_in_time, "{:?}: {:?}", server.kind(), report.not_in_snapshot);
        let insert = "INSERT INTO t4 VALUES (2)";
        let (report, refused) = dumped(server, "t3", insert, Duration::ZERO).unwrap();
        assert!(!refused && report.attempts == 1);
        let later: Vec<String> = report.not_in_snapshot.iter().map(ToString::to_string).collect();
        let t4 = tables(&report).find(|table| *table.name == b"t4"[..]).unwrap();
        if server.kind().is_mysql() {
            // It holds no lock on what was read: its transaction is as long as the dump.
            assert_eq!((later.len(), t4.row_count), (0, 1));
        } else {
            assert_eq!((&later[..], t4.row_count), (&["parted".to_owned(), "t4".to_owned()][..], 2));
            assert!(!report.one_point_in_time);
        }
    });
}
