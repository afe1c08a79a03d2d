//! Dumps while definitions change at random, compared with every state that the database was ever in (F36, F37, F38).
//!
//! `BACKSTOCK_TEST_DDL_DUMPS=300` asks for so many dumps on each server instead of a few, and says what came of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::changes::{Slow, dump_slowly};
use super::{settings, settings_of, tables};
use crate::Connection;
use crate::dump::DumpReport;
use crate::error::Error;
use crate::record::Checksum;
use crate::settings::ServerSettings;

/// Dumps on each server, unless more are asked for.
const DUMPS: u32 = 5;
/// Attempts of each dump.
const ATTEMPTS: u32 = 6;
/// Tables, all made in one second, so that creation times tell nothing. The last one is partitioned.
const TABLES: usize = 8;
const ROWS: u32 = 20;

/// One table in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    /// Columns in their order: `id`, `v` or `w`, and perhaps `extra`.
    columns: Vec<&'static str>,
    /// The default of `extra`, which all rows have: they are filled anew with each default.
    extra: u32,
    /// What the rows say, if there are any.
    label: Option<u32>,
    has_key: bool,
}

type State = BTreeMap<String, (Vec<String>, u64, Checksum)>;

/// The state that a dump must show as a whole: of each table its columns, the number of its rows and their checksum.
fn state(models: &BTreeMap<String, Model>) -> State {
    let one = |(name, model): (&String, &Model)| {
        let (mut checksum, mut count) = (Checksum::default(), 0);
        if let Some(label) = model.label {
            for id in 1..=ROWS {
                let value = |column: &&str| match *column {
                    "id" => id.to_string(),
                    "extra" => model.extra.to_string(),
                    _ => format!("'label {label}'"),
                };
                let row: Vec<String> = model.columns.iter().map(value).collect();
                checksum.add_row(row.join(",").as_bytes());
                count += 1;
            }
        }
        let columns = model.columns.iter().map(|column| (*column).to_owned()).collect();
        (name.clone(), (columns, count, checksum))
    };
    models.iter().map(one).collect()
}

fn state_of(report: &DumpReport) -> State {
    let names = |table: &crate::record::TableRecord| {
        table.columns.iter().map(|column| column.name.to_string()).collect()
    };
    tables(report)
        .map(|table| (table.name.to_string(), (names(table), table.row_count, table.checksum)))
        .collect()
}

/// Small, repeatable choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Changes definitions at random and writes down every state that the database is ever in.
struct Changer<'a> {
    connection: Connection,
    models: BTreeMap<String, Model>,
    history: &'a Mutex<Vec<State>>,
    choices: Choices,
    next_label: u32,
    kinds: BTreeMap<&'static str, u32>,
}

impl<'a> Changer<'a> {
    fn new(server: &Server, history: &'a Mutex<Vec<State>>, seed: u64) -> Self {
        server.client("", "CREATE DATABASE shop").unwrap();
        let connection = Connection::open(&settings(server), Some(b"shop")).unwrap();
        let (models, kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut changer = Self { connection, models, history, choices: Choices(seed), next_label: 0, kinds };
        // At the beginning of a second, so that all are made in it.
        changer.connection.execute(b"DO SLEEP(1 - MICROSECOND(NOW(6)) / 1000000)").unwrap();
        for at in 0..TABLES {
            changer.create(&format!("t{at}"), at + 1 == TABLES);
        }
        for at in 0..TABLES {
            changer.fill(&format!("t{at}"));
        }
        changer
    }

    /// One statement and the state after it: nobody looks at the history in between.
    fn run(&mut self, sql: &str, change: impl FnOnce(&mut BTreeMap<String, Model>)) {
        let mut history = self.history.lock().unwrap();
        let mut tries = 0;
        // A definition that someone reads for long cannot be changed yet, as the shop's owner knows.
        while let Err(error) = self.connection.execute(sql.as_bytes()) {
            tries += 1;
            assert!(matches!(error.code(), Some(1205 | 1213)) && tries < 30, "{sql}: {error}: {error:?}");
        }
        change(&mut self.models);
        history.push(state(&self.models));
    }

    fn create(&mut self, name: &str, partitioned: bool) {
        let parts =
            if partitioned { " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1000))" } else { "" };
        let model = Model { columns: vec!["id", "v"], extra: 0, label: None, has_key: false };
        let sql = format!("CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(40)) ENGINE=InnoDB{parts}");
        self.run(&sql, |models| {
            models.insert(name.to_owned(), model);
        });
    }

    fn fill(&mut self, name: &str) {
        self.next_label += 1;
        let (label, text) = (self.next_label, self.models[name].columns.iter().find(|c| "vw".contains(**c)));
        let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id},'label {label}')")).collect();
        let sql = format!("INSERT INTO {name} (id,{}) VALUES {}", text.unwrap(), rows.join(","));
        self.run(&sql, |models| models.get_mut(name).unwrap().label = Some(label));
    }

    /// A statement that leaves rows and columns as they are.
    fn touch(&mut self, sql: &str) {
        self.run(sql, |_| {});
    }

    fn swap(&mut self, one: &str, other: &str) {
        self.run(&format!("RENAME TABLE {one} TO aside, {other} TO {one}, aside TO {other}"), |models| {
            let (left, right) = (models.remove(one).unwrap(), models.remove(other).unwrap());
            models.extend([(one.to_owned(), right), (other.to_owned(), left)]);
        });
    }

    /// As tools that change large tables do: a copy with other rows takes the name of the first.
    fn shadow(&mut self, name: &str) {
        let copy = self.models[name].clone();
        self.run(&format!("CREATE TABLE shadow LIKE {name}"), |models| {
            models.insert("shadow".to_owned(), Model { label: None, ..copy });
        });
        self.fill("shadow");
        self.run(&format!("RENAME TABLE {name} TO gone, shadow TO {name}"), |models| {
            let (old, new) = (models.remove(name).unwrap(), models.remove("shadow").unwrap());
            models.extend([("gone".to_owned(), old), (name.to_owned(), new)]);
        });
        self.run("DROP TABLE gone", |models| {
            models.remove("gone");
        });
    }

    fn extra(&mut self, name: &str) {
        let default = 1 + u32::try_from(self.choices.below(9)).unwrap();
        let has_extra = self.models[name].columns.contains(&"extra");
        let add = format!("ADD COLUMN extra INT DEFAULT {default}");
        let change = |models: &mut BTreeMap<String, Model>, there: bool| {
            let model = models.get_mut(name).unwrap();
            model.columns.retain(|column| *column != "extra");
            model.columns.extend(there.then_some("extra"));
            model.extra = default;
        };
        match (has_extra, self.choices.below(2)) {
            (false, _) => self.run(&format!("ALTER TABLE {name} {add}"), |models| change(models, true)),
            (true, 0) => {
                self.run(&format!("ALTER TABLE {name} DROP COLUMN extra"), |models| change(models, false));
            }
            // Dropped and added again in one: the definition may be the same, the values are not.
            _ => self
                .run(&format!("ALTER TABLE {name} DROP COLUMN extra, {add}"), |models| change(models, true)),
        }
    }

    fn columns(&mut self, name: &str) {
        let columns = self.models[name].columns.clone();
        let text = *columns.iter().find(|column| "vw".contains(**column)).unwrap();
        let other = if text == "v" { "w" } else { "v" };
        match self.choices.below(3) {
            0 => {
                self.run(&format!("ALTER TABLE {name} CHANGE COLUMN {text} {other} VARCHAR(40)"), |models| {
                    let columns = &mut models.get_mut(name).unwrap().columns;
                    columns.iter_mut().filter(|column| **column == text).for_each(|column| *column = other);
                });
            }
            1 => self.run(&format!("ALTER TABLE {name} MODIFY COLUMN {text} VARCHAR(40) FIRST"), |models| {
                let columns = &mut models.get_mut(name).unwrap().columns;
                columns.retain(|column| *column != text);
                columns.insert(0, text);
            }),
            _ => self
                .touch(&format!("ALTER TABLE {name} ALTER COLUMN {text} SET DEFAULT 'd{}'", self.next_label)),
        }
    }

    fn key(&mut self, name: &str) {
        let has_key = self.models[name].has_key;
        let text = *self.models[name].columns.iter().find(|column| "vw".contains(**column)).unwrap();
        let sql = match (has_key, self.choices.below(2)) {
            (false, _) => format!("ALTER TABLE {name} ADD INDEX k ({text})"),
            (true, 0) => format!("ALTER TABLE {name} DROP INDEX k"),
            _ => format!("ALTER TABLE {name} DROP INDEX k, ADD INDEX k ({text})"),
        };
        let stays = !sql.ends_with("DROP INDEX k");
        self.run(&sql, |models| models.get_mut(name).unwrap().has_key = stays);
    }

    fn rebuild(&mut self, name: &str) {
        let sql = match self.choices.below(4) {
            0 => format!("ALTER TABLE {name} FORCE, ALGORITHM=COPY"),
            1 => format!("ALTER TABLE {name} FORCE, ALGORITHM=INPLACE"),
            2 => format!("OPTIMIZE TABLE {name}"),
            _ => format!("ALTER TABLE {name} COMMENT='{}'", self.next_label),
        };
        if sql.starts_with("OPTIMIZE") {
            // It answers with rows.
            let _history = self.history.lock().unwrap();
            self.connection.query(sql.as_bytes()).unwrap();
        } else {
            self.touch(&sql);
        }
    }

    fn make_anew(&mut self, name: &str) {
        self.run(&format!("DROP TABLE {name}"), |models| {
            models.remove(name);
        });
        self.create(name, false);
        self.fill(name);
    }

    fn empty(&mut self, name: &str) {
        self.run(&format!("TRUNCATE TABLE {name}"), |models| models.get_mut(name).unwrap().label = None);
        if self.choices.below(2) == 0 {
            self.fill(name);
        }
    }

    fn exchange(&mut self, partitioned: &str, name: &str) {
        let shape = |model: &Model| (model.columns.clone(), model.extra, model.has_key);
        let plain = Model { columns: vec!["id", "v"], extra: 0, label: None, has_key: false };
        if shape(&self.models[name]) != shape(&plain) {
            self.make_anew(name);
        }
        let sql = format!("ALTER TABLE {partitioned} EXCHANGE PARTITION p0 WITH TABLE {name}");
        self.run(&sql, |models| {
            let label = models[partitioned].label;
            models.get_mut(partitioned).unwrap().label = models[name].label;
            models.get_mut(name).unwrap().label = label;
        });
    }

    fn away_and_back(&mut self, name: &str) {
        for (from, to) in [(name, "away"), ("away", name)] {
            self.run(&format!("RENAME TABLE {from} TO {to}"), |models| {
                let model = models.remove(from).unwrap();
                models.insert(to.to_owned(), model);
            });
        }
    }

    fn change(&mut self) {
        let plain = TABLES - 1;
        let (one, step) = (self.choices.below(plain), self.choices.below(plain - 1) + 1);
        let (other, one) = (format!("t{}", (one + step) % plain), format!("t{one}"));
        let (what, act): (&'static str, &dyn Fn(&mut Self)) = match self.choices.below(11) {
            0 | 1 => ("swap of names", &|this| this.swap(&one, &other)),
            2 => ("shadow table", &|this| this.shadow(&one)),
            3 => ("column added or dropped", &|this| this.extra(&one)),
            4 => ("column renamed, moved or changed", &|this| this.columns(&one)),
            5 => ("index", &|this| this.key(&one)),
            6 => ("rebuild", &|this| this.rebuild(&one)),
            7 => ("dropped and made anew", &|this| this.make_anew(&one)),
            8 => ("emptied", &|this| this.empty(&one)),
            9 => ("away and back", &|this| this.away_and_back(&one)),
            _ => ("partition exchanged", &|this| this.exchange(&format!("t{plain}"), &one)),
        };
        act(self);
        *self.kinds.entry(what).or_default() += 1;
    }
}

/// Holds definitions for 0.3 to 2 s now and then, as long reads of a shop do: changes wait behind them and begin before
/// a dump that they meet.
fn hold_definitions(server: &Server, stop: &AtomicBool, seed: u64) {
    let mut choices = Choices(seed);
    let mut shop = Connection::open(&settings(server), Some(b"shop")).unwrap();
    while !stop.load(Ordering::Relaxed) {
        shop.execute(b"START TRANSACTION").unwrap();
        let _ = shop.query(format!("SELECT 1 FROM t{} LIMIT 1", choices.below(TABLES)).as_bytes());
        std::thread::sleep(Duration::from_millis(300 + choices.below(1700) as u64));
        shop.execute(b"ROLLBACK").unwrap();
        std::thread::sleep(Duration::from_millis(choices.below(3000) as u64));
    }
}

/// What came of the dumps of one server.
#[derive(Debug, Default)]
struct Tally {
    dumps: u32,
    right_at_once: u32,
    right_after_restarts: u32,
    restarts: u32,
    failed: BTreeMap<String, u32>,
    silent_errors: u32,
}

impl Tally {
    fn add(&mut self, result: crate::Result<DumpReport>, history: &Mutex<Vec<State>>) {
        self.dumps += 1;
        match result {
            Ok(report) => {
                // A change holds the history from before it until its state is written down.
                let is_known = history.lock().unwrap().contains(&state_of(&report));
                self.silent_errors += u32::from(!is_known);
                self.restarts += report.attempts - 1;
                let right = if report.attempts == 1 {
                    &mut self.right_at_once
                } else {
                    &mut self.right_after_restarts
                };
                *right += u32::from(is_known);
            }
            // Loud: it kept changing, or a definition was never to be had behind those who hold and change it.
            Err(error) => {
                assert!(
                    matches!(error, Error::KeptChanging { .. }) || matches!(error.code(), Some(1205 | 1213)),
                    "{error:?}"
                );
                self.restarts += ATTEMPTS - 1;
                *self.failed.entry(error.to_string()).or_default() += 1;
            }
        }
    }
}

fn dump_under_random_changes(kind: ServerKind, dumps: u32, seed: u64) -> Option<Tally> {
    let server = Server::for_test(kind, &ServerOptions::default())?;
    let history = Mutex::new(Vec::new());
    let mut changer = Changer::new(&server, &history, seed);
    server
        .client(
            "",
            "CREATE USER plain IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO plain;\n\
             CREATE USER lockless IDENTIFIED BY 'p'; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.* TO lockless;",
        )
        .unwrap();
    let accounts: [ServerSettings; 2] = ["plain", "lockless"].map(|user| settings_of(&server, user, "p"));
    let stop = AtomicBool::new(false);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let pause_ms = 50 + changer.choices.below(1500) as u64;
                std::thread::sleep(Duration::from_millis(pause_ms));
                changer.change();
            }
        });
        scope.spawn(|| hold_definitions(&server, &stop, seed ^ 1));
        let finished = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // A few more when changes met every one of them: a test in which no dump came through shows little.
            while tally.dumps < dumps
                || (tally.right_at_once + tally.right_after_restarts == 0 && tally.dumps < dumps + 20)
            {
                assert!(!changing.is_finished(), "the changes ended");
                let account = &accounts[tally.dumps as usize % 2];
                tally.add(dump_slowly(account, &Slow::new(120, 0), ATTEMPTS), &history);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = finished {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(changer.kinds.len() > 1, "{:?}", changer.kinds);
    Some(tally)
}

fn no_dump_is_silently_wrong(kind: ServerKind, seed: u64) {
    let asked = std::env::var("BACKSTOCK_TEST_DDL_DUMPS").ok().and_then(|count| count.parse().ok());
    let Some(tally) = dump_under_random_changes(kind, asked.unwrap_or(DUMPS), seed) else { return };
    if asked.is_some() {
        // Not a print macro: those are swallowed for tests that pass.
        let _ = writeln!(std::io::stderr(), "{}: {tally:#?}", kind.name());
    }
    assert_eq!(tally.silent_errors, 0, "{tally:#?}");
    assert!(tally.right_at_once + tally.right_after_restarts > 0, "{tally:#?}");
}

#[test]
fn no_dump_under_random_changes_is_silently_wrong_on_mariadb() {
    no_dump_is_silently_wrong(ServerKind::MariaDb, 7);
}

#[test]
fn no_dump_under_random_changes_is_silently_wrong_on_mysql() {
    no_dump_is_silently_wrong(ServerKind::MySql, 8);
}
