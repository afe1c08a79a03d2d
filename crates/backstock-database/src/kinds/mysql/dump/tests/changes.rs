//! A database whose definitions change while it is dumped: never a mixture, nobody waits for us, never endless.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backstock_host::Host;
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::{MemoryTarget, dump, settings, settings_of, table};
use crate::Connection;
use crate::dump::{DumpPhase, DumpReport, DumpRequest};
use crate::error::Error;
use crate::monitor::DatabaseMonitor;
use crate::raw_text::RawText;
use crate::settings::ServerSettings;

/// Slows the dump down, so that changes meet it.
pub(super) struct Slow {
    per_table: Duration,
    per_look: Duration,
    looks: AtomicU64,
    cancel_at_look: Option<u64>,
}

impl Slow {
    pub(super) fn new(per_table_ms: u64, per_look_ms: u64) -> Self {
        let [per_table, per_look] = [per_table_ms, per_look_ms].map(Duration::from_millis);
        Self { per_table, per_look, looks: AtomicU64::new(0), cancel_at_look: None }
    }
}

impl DatabaseMonitor<DumpPhase> for Slow {
    fn phase(&self, _: DumpPhase) {}
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, _: &RawText, _: u64) {
        std::thread::sleep(self.per_table);
    }
    fn rows(&self, _: &RawText, _: u64, _: u64) {
        self.looks.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.per_look);
    }
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        self.cancel_at_look.is_some_and(|at| self.looks.load(Ordering::SeqCst) >= at)
    }
}

/// Holds each table up until the changes beside the dump went round once more, however slow this machine is.
struct Beside<'a> {
    rounds: &'a AtomicU64,
    /// How long to wait for changes that may stand behind the locks of the dump itself.
    patience: Duration,
}

impl DatabaseMonitor<DumpPhase> for Beside<'_> {
    fn phase(&self, _: DumpPhase) {}
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, _: &RawText, _: u64) {
        // Of the round under way perhaps nothing is left to come; the one after it is whole.
        let (asked, enough) = (Instant::now(), self.rounds.load(Ordering::SeqCst) + 2);
        while self.rounds.load(Ordering::SeqCst) < enough && asked.elapsed() < self.patience {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    fn rows(&self, _: &RawText, _: u64, _: u64) {}
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Dumps the database `shop`.
pub(super) fn dump_slowly(
    settings: &ServerSettings,
    monitor: &dyn DatabaseMonitor<DumpPhase>,
    attempts: u32,
) -> crate::Result<DumpReport> {
    let request = DumpRequest { attempts, ..DumpRequest::whole("shop") };
    dump(&Host::real(), settings, &request, &MemoryTarget::default(), monitor)
}

/// Two tables that could trade places without a trace, and a partitioned one: what later attempts pin.
fn twins(server: &Server) {
    let tables = "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT PRIMARY KEY); \
                  CREATE TABLE c (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2; \
                  INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); INSERT INTO c VALUES (3), (4);";
    server
        .client(
            "",
            format!("CREATE DATABASE shop; CREATE DATABASE other; USE shop; {tables} USE other; {tables}"),
        )
        .unwrap();
    server.client("", "CREATE USER owner IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO owner;").unwrap();
}

/// Longer than any round takes that meets no lock of the dump.
const PATIENT: Duration = Duration::from_secs(30);

/// Dumps the shop with its own account while statements run one after the other in a database without a pause between
/// their rounds that would let a dump through; each table waits for a round, with this patience.
fn dump_beside(
    server: &Server,
    database: &[u8],
    round: &[&str],
    patience: Duration,
) -> crate::Result<DumpReport> {
    twins(server);
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut noisy = Connection::open(&settings(server), Some(database)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                for statement in round {
                    // One that meets the locks of a dump is tried again in the next round.
                    let _ = noisy.execute(statement.as_bytes());
                }
                rounds.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        while rounds.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let owner = settings_of(server, "owner", "p");
        let dumped =
            dump_slowly(&owner, &Beside { rounds: &rounds, patience }, DumpRequest::DEFAULT_ATTEMPTS);
        stop.store(true, Ordering::Relaxed);
        dumped
    })
}

fn expect_dump(kind: ServerKind, dumped: crate::Result<DumpReport>, counters_move: bool) {
    let report = dumped.unwrap_or_else(|error| panic!("{kind:?}: {error}: {error:?}"));
    let counts = ["a", "b", "c"].map(|name| table(&report, name).row_count);
    assert_eq!(counts, [1, 1, 2], "{kind:?}");
    assert_eq!(report.attempts, if counters_move { 3 } else { 1 }, "{kind:?}: {:?}", report.notes);
    let is_told = report.notes.iter().any(|note| note.contains("stayed as it was"));
    assert_eq!(is_told, counters_move, "{kind:?}: {:?}", report.notes);
}

/// Temporary tables of the shop itself move MySQL's counters all the time (MariaDB counts them apart): that delays a
/// dump and does not prevent it.
#[test]
fn a_shop_that_makes_temporary_tables_all_day_gets_its_dump() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let round =
            ["CREATE TEMPORARY TABLE x (a INT)", "INSERT INTO x VALUES (1)", "DROP TEMPORARY TABLE x"];
        let dumped = dump_beside(&server, b"shop", &round, PATIENT);
        expect_dump(kind, dumped, kind.is_mysql());
    }
}

#[test]
fn a_neighbour_that_changes_definitions_all_day_does_not_prevent_a_dump() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let round = [
            "CREATE TABLE x (a INT)",
            "ALTER TABLE x ADD COLUMN b INT",
            "DROP TABLE x",
            "RENAME TABLE a TO x, b TO a, x TO b",
        ];
        let dumped = dump_beside(&server, b"other", &round, PATIENT);
        expect_dump(kind, dumped, true);
    }
}

/// Changes of its own tables without a pause: there is no moment that a dump could show, so it ends and says why.
#[test]
fn changes_of_its_own_tables_without_a_pause_end_as_failed_with_that_reason() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let round =
            ["RENAME TABLE a TO x, b TO a, x TO b", "ALTER TABLE c COMMENT='1'", "ALTER TABLE c COMMENT='2'"];
        // What the dump holds cannot change meanwhile: there the changes wait for it, and it gives way to them.
        let patience = Duration::from_millis(200);
        let failed =
            dump_beside(&server, b"shop", &round, patience).expect_err("a dump of what never stood still");
        assert!(matches!(failed, Error::KeptChanging { .. }), "{kind:?}: {failed}: {failed:?}");
        let text = failed.to_string();
        assert!(text.starts_with("the database shop kept changing while it was read: "), "{kind:?}: {text}");
    }
}

fn long_table(server: &Server) {
    server
        .client(
            "",
            "CREATE DATABASE shop; USE shop;\n\
             CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(1000));\n\
             INSERT INTO a (v) VALUES (REPEAT('a', 900)), (REPEAT('b', 900)), (REPEAT('c', 900));\n\
             INSERT INTO a (v) SELECT x.v FROM a x, a y, a z, a w, a u, a t, a s, a r, a q LIMIT 30000;\n",
        )
        .unwrap();
}

/// A definition that someone wants to change while we read its table: we give way within two seconds (F39).
#[test]
fn nobody_waits_for_a_dump() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        long_table(&server);
        let monitor = Slow::new(0, 700);
        let (report, waited) = std::thread::scope(|scope| {
            let dumping = scope.spawn(|| dump_slowly(&settings(&server), &monitor, 4));
            while monitor.looks.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            let mut shop = Connection::open(&settings(&server), Some(b"shop")).unwrap();
            let asked = Instant::now();
            shop.execute(b"ALTER TABLE a ADD COLUMN w INT").unwrap();
            let waited = asked.elapsed();
            (dumping.join().unwrap(), waited)
        });
        assert!(waited < Duration::from_secs(2), "{kind:?}: {waited:?}");
        let report = report.unwrap();
        assert!(report.attempts > 1, "{kind:?}: the change did not meet the dump");
        assert_eq!(table(&report, "a").columns.len(), 3);
    }
}

#[test]
fn a_dump_that_is_stopped_ends_at_once() {
    let Some(server) = Server::for_test(ServerKind::MariaDb, &ServerOptions::default()) else { return };
    long_table(&server);
    let monitor = Slow { cancel_at_look: Some(2), ..Slow::new(0, 0) };
    assert!(matches!(dump_slowly(&settings(&server), &monitor, 4), Err(Error::Cancelled { .. })));
    assert!(monitor.looks.load(Ordering::SeqCst) < 5);
}
