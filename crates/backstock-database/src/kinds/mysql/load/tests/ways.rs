//! The ways of rows into a table: in bulk, by INSERT, over several connections, and from one way to the other.

use std::sync::Mutex;

use super::super::super::sql::check_rows_frame;
use super::*;
use crate::RawText;
use crate::load::LoadPhase;
use crate::monitor::DatabaseMonitor;
use crate::record::{Checksum, DumpedObject, FrameRecord, RowHash};

/// Keeps what is told, such as that a table's rows did not go in bulk.
#[derive(Default)]
pub(super) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl DatabaseMonitor<LoadPhase> for Notes {
    fn phase(&self, _: LoadPhase) {}
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, _: &RawText, _: u64) {}
    fn rows(&self, _: &RawText, _: u64, _: u64) {}
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// How many LOAD DATA statements the server has run.
pub(super) fn loads(server: &Server) -> u64 {
    let shown = server.client("", "SHOW GLOBAL STATUS LIKE 'Com_load'").unwrap();
    let text = String::from_utf8_lossy(&shown).into_owned();
    text.split_whitespace().last().unwrap().parse().unwrap()
}

/// Puts these statements in the place of a table's frames, one frame each.
fn refill(report: &mut DumpReport, target: &MemoryTarget, table: &str, statements: &[String]) {
    let mut frames = target.frames.lock().unwrap();
    let found = report.objects.iter_mut().find_map(|object| match object {
        DumpedObject::Table(record) if record.name.as_bytes() == table.as_bytes() => Some(record),
        _ => None,
    });
    let record = found.unwrap();
    (record.frames, record.row_count, record.checksum) = (Vec::new(), 0, Checksum::default());
    for statement in statements {
        let facts = check_rows_frame(statement.as_bytes(), RowHash::Xxh3).unwrap();
        let frame = frames.len() as u64;
        frames.push(statement.clone().into_bytes());
        record.frames.push(FrameRecord { frame, row_count: facts.row_count, checksum: facts.checksum });
        record.row_count += facts.row_count;
        record.checksum.add(facts.checksum);
    }
}

const TABLES: &str = "CREATE TABLE numbered (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, t VARCHAR(40), KEY t (t)) ENGINE=InnoDB;
    CREATE TABLE keyed (id INT NOT NULL PRIMARY KEY, t VARCHAR(40), UNIQUE KEY t (t)) ENGINE=InnoDB;
    CREATE TABLE keyless (id INT NOT NULL, t VARCHAR(40), KEY t (t)) ENGINE=InnoDB;
    CREATE TABLE plain (id INT NOT NULL PRIMARY KEY, t VARCHAR(40), KEY t (t)) ENGINE=MyISAM;";

/// Thirty frames of fifty rows.
fn many_frames(table: &str) -> Vec<String> {
    let row = |id: u32| format!("({id},'row {id} it\\'s')");
    let frame = |at: u32| {
        let rows: Vec<String> = (1 + at * 50..=50 + at * 50).map(row).collect();
        format!("INSERT INTO `{table}` (`id`,`t`) VALUES\n{};\n", rows.join(",\n"))
    };
    (0..30).map(frame).collect()
}

#[test]
fn tables_of_many_frames_are_loaded_over_several_connections() {
    for local_infile in [true, false] {
        let options = ServerOptions { local_infile, ..ServerOptions::default() };
        for_each_server(&options, |server| {
            server.client("", "CREATE DATABASE shop").unwrap();
            server.client("shop", TABLES).unwrap();
            let (mut report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
            for table in ["numbered", "keyed", "keyless", "plain"] {
                refill(&mut report, &target, table, &many_frames(table));
            }
            let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
            let (notes, before) = (Notes::default(), loads(server));
            let loaded = load_aside(&Host::real(), &settings(server), &plan, &target, &notes).unwrap();
            assert!(loaded.tables.iter().all(|table| table.row_count == 1500));
            assert_eq!((loaded.lines, notes.taken()), (vec![], vec![]), "{}", server.kind().name());
            // One for each frame of the three tables with transactions, and the question whether it may be.
            assert_eq!(loads(server) - before, if local_infile { 91 } else { 0 });
            forward(&mut connect(server), &plan).unwrap();
            let count = server.client("shop", "SELECT SUM(id), COUNT(DISTINCT t) FROM keyed USE INDEX (t)");
            assert!(String::from_utf8_lossy(&count.unwrap()).contains("1125750\t1500"));
        });
    }
}

#[test]
fn rows_that_have_no_bulk_form_go_in_by_insert() {
    for_each_server(&ServerOptions::default(), |server| {
        server.client("", "CREATE DATABASE shop").unwrap();
        let table = "CREATE TABLE odd (id INT NOT NULL PRIMARY KEY, b VARBINARY(9)) ENGINE=InnoDB;
            INSERT INTO odd VALUES (1,'a'),(2,'b')";
        server.client("shop", table).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        // The second row in another form, of the same meaning: the first is in bulk already when it is met.
        for frame in target.frames.lock().unwrap().iter_mut() {
            *frame = String::from_utf8(frame.clone()).unwrap().replace("_binary'b'", "x'62'").into_bytes();
        }
        let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
        let notes = Notes::default();
        let loaded = load_aside(&Host::real(), &settings(server), &plan, &target, &notes).unwrap();
        assert_eq!(loaded.tables[0].row_count, 2);
        assert_eq!(notes.taken().len(), 1, "{}", server.kind().name());
    });
}

#[test]
fn a_row_that_breaks_a_rule_is_no_less_an_error_in_bulk() {
    for_each_server(&ServerOptions::default(), |server| {
        server.client("", "CREATE DATABASE shop").unwrap();
        let table = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n TINYINT, KEY n (n)) ENGINE=InnoDB; INSERT INTO t VALUES (1,1)";
        server.client("shop", table).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        for rows in ["(1,1),\n(1,2)", "(1,1),\n(2,300)", "(1,1),\n(NULL,1)"] {
            let mut report = report.clone();
            let statement = format!("INSERT INTO `t` (`id`,`n`) VALUES\n{rows};\n");
            refill(&mut report, &target, "t", &[statement]);
            let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
            let error = load(&settings(server), &plan, &target).unwrap_err();
            assert!(error.code().is_some(), "{rows}: {error:?}");
            discard_aside(&settings(server), &plan).unwrap();
        }
    });
}
