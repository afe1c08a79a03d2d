//! A database whose definitions change while it is dumped: never a mixture, nobody waits for us, never endless.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backstock_host::Host;
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::{MemoryTarget, dump, settings, table, tables};
use crate::Connection;
use crate::dump::{DumpPhase, DumpReport, DumpRequest};
use crate::error::Error;
use crate::monitor::DatabaseMonitor;
use crate::raw_text::RawText;
use crate::record::Checksum;

/// Slows the dump down, so that changes meet it.
struct Slow {
    per_table: Duration,
    per_look: Duration,
    looks: AtomicU64,
    cancel_at_look: Option<u64>,
}

impl Slow {
    fn new(per_table_ms: u64, per_look_ms: u64) -> Self {
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

fn dump_slowly(server: &Server, monitor: &Slow, attempts: u32) -> crate::Result<DumpReport> {
    let request = DumpRequest { attempts, ..DumpRequest::whole("shop") };
    dump(&Host::real(), &settings(server), &request, &MemoryTarget::default(), monitor)
}

/// One table in the model: whether it has the extra column, and the label of its rows, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    extra: bool,
    label: Option<u32>,
}

type State = BTreeMap<String, (Vec<String>, u64, Checksum)>;

const ROWS: u32 = 20;

fn state(models: &[Model]) -> State {
    let one = |at: usize, model: &Model| {
        let mut checksum = Checksum::default();
        let mut count = 0;
        if let Some(label) = model.label {
            for id in 1..=ROWS {
                let extra = if model.extra { ",7" } else { "" };
                checksum.add_row(format!("{id},'label {label}'{extra}").as_bytes());
                count += 1;
            }
        }
        let mut columns = vec!["id".to_owned(), "v".to_owned()];
        columns.extend(model.extra.then(|| "extra".to_owned()));
        (format!("t{at}"), (columns, count, checksum))
    };
    models.iter().enumerate().map(|(at, model)| one(at, model)).collect()
}

fn state_of(report: &DumpReport) -> State {
    let names = |table: &crate::record::TableRecord| {
        table.columns.iter().map(|column| column.name.to_string()).collect()
    };
    tables(report)
        .map(|table| (table.name.to_string(), (names(table), table.row_count, table.checksum)))
        .collect()
}

/// Changes definitions at random and writes down every state that the database was ever in.
struct Changer {
    connection: Connection,
    models: Vec<Model>,
    seed: u64,
    next_label: u32,
}

/// The last table is partitioned.
const TABLES: usize = 6;

impl Changer {
    fn new(server: &Server) -> Self {
        server.client("", "CREATE DATABASE shop").unwrap();
        let connection = Connection::open(&settings(server), Some(b"shop")).unwrap();
        let mut changer = Self { connection, models: Vec::new(), seed: 7, next_label: 0 };
        for at in 0..TABLES {
            let parts = if at + 1 == TABLES {
                " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1000))"
            } else {
                ""
            };
            changer
                .run(&format!("CREATE TABLE t{at} (id INT PRIMARY KEY, v VARCHAR(40)) ENGINE=InnoDB{parts}"));
            changer.models.push(Model { extra: false, label: None });
            changer.fill(at);
        }
        changer
    }

    fn run(&mut self, sql: &str) {
        self.connection.execute(sql.as_bytes()).unwrap();
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % below
    }

    fn fill(&mut self, at: usize) {
        self.next_label += 1;
        let label = self.next_label;
        let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id},'label {label}')")).collect();
        self.run(&format!("INSERT INTO t{at} (id,v) VALUES {}", rows.join(",")));
        self.models[at].label = Some(label);
    }

    fn change(&mut self) {
        let plain = TABLES - 1;
        let (one, step) = (self.random(plain), self.random(plain - 1) + 1);
        let other = (one + step) % plain;
        match self.random(6) {
            0 | 1 => {
                self.run(&format!("RENAME TABLE t{one} TO aside, t{other} TO t{one}, aside TO t{other}"));
                self.models.swap(one, other);
            }
            2 if self.models[one].label.is_some() => {
                self.run(&format!("TRUNCATE t{one}"));
                self.models[one].label = None;
            }
            3 if self.models[one].extra => {
                self.run(&format!("ALTER TABLE t{one} DROP COLUMN extra"));
                self.models[one].extra = false;
            }
            3 => {
                self.run(&format!("ALTER TABLE t{one} ADD COLUMN extra INT DEFAULT 7"));
                self.models[one].extra = true;
            }
            4 if !self.models[one].extra => {
                self.run(&format!("ALTER TABLE t{plain} EXCHANGE PARTITION p0 WITH TABLE t{one}"));
                self.models.swap(plain, one);
            }
            _ if self.models[one].label.is_none() => self.fill(one),
            _ => self.run(&format!("ALTER TABLE t{one} COMMENT='{}'", self.seed)),
        }
    }
}

#[test]
fn a_dump_under_random_changes_is_one_state_as_a_whole_or_none() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut changer = Changer::new(&server);
        let history = Mutex::new(vec![state(&changer.models)]);
        let stop = AtomicBool::new(false);
        let (mut accepted, mut given_up) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let pause_ms = 20 + changer.random(700) as u64;
                    std::thread::sleep(Duration::from_millis(pause_ms));
                    changer.change();
                    history.lock().unwrap().push(state(&changer.models));
                }
            });
            let until = Instant::now() + Duration::from_secs(12);
            while Instant::now() < until || accepted == 0 {
                match dump_slowly(&server, &Slow::new(25, 0), 3) {
                    Ok(report) => {
                        // The change that the dump saw may be written down a moment after it.
                        std::thread::sleep(Duration::from_millis(50));
                        let found = state_of(&report);
                        let known = history.lock().unwrap().contains(&found);
                        stop.fetch_or(!known, Ordering::Relaxed);
                        assert!(known, "{kind:?}: a mixture after {accepted} dumps: {found:#?}");
                        accepted += 1;
                    }
                    Err(Error::KeptChanging { .. } | Error::Statement { .. } | Error::Definition { .. }) => {
                        given_up += 1;
                    }
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        panic!("{kind:?}: {error}: {error:?}");
                    }
                }
                if given_up > 60 {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{kind:?}: no dump came through");
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(accepted > 0, "{kind:?}: {given_up} given up");
    }
}

/// Others' temporary tables move the server's counters all the time: that delays a dump and does not prevent it.
#[test]
fn temporary_tables_of_others_do_not_prevent_a_dump() {
    let Some(server) = Server::for_test(ServerKind::MySql, &ServerOptions::default()) else { return };
    let _changer = Changer::new(&server);
    server.client("", "CREATE DATABASE other").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut noisy = Connection::open(&settings(&server), Some(b"other")).unwrap();
            while !stop.load(Ordering::Relaxed) {
                noisy.execute(b"CREATE TEMPORARY TABLE x (a INT)").unwrap();
                noisy.execute(b"DROP TEMPORARY TABLE x").unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let report = dump_slowly(&server, &Slow::new(5, 0), 4);
        stop.store(true, Ordering::Relaxed);
        let report = report.unwrap();
        assert_eq!(report.attempts, 3);
        assert!(report.notes.iter().any(|note| note.contains("stayed as it was")), "{:?}", report.notes);
    });
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
            let dumping = scope.spawn(|| dump_slowly(&server, &monitor, 4));
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
    assert!(matches!(dump_slowly(&server, &monitor, 4), Err(Error::Cancelled { .. })));
    assert!(monitor.looks.load(Ordering::SeqCst) < 5);
}
