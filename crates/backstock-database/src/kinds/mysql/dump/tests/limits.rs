//! The sizes and moments at which a dump could hurt: a busy shop, one very long row.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backstock_host::Host;
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::{dump, dump_with, settings, table};
use crate::dump::{DumpRequest, DumpSink, DumpTarget};
use crate::record::RowHash;
use crate::{Connection, Unwatched};

/// The longest that a query of the shop may wait for a backup.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Asks again and again until told to stop, and returns the longest time that an answer took.
fn probe(server: &Server, statements: &[&str], stop: &AtomicBool, asked: &AtomicU64) -> Duration {
    let mut shop = Connection::open(&settings(server), Some(b"shop")).unwrap();
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::SeqCst) {
        for statement in statements {
            let before = Instant::now();
            shop.query(statement.as_bytes()).unwrap();
            longest = longest.max(before.elapsed());
        }
        asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
    }
    longest
}

/// A report that runs for seconds and a transaction that stays open: the common point waits for its moment, and
/// queries of the shop do not wait for it.
#[test]
fn the_shop_never_waits_for_the_common_point() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        server
            .client(
                "",
                "CREATE DATABASE shop; USE shop;\n\
                 CREATE TABLE aa_orders (id INT PRIMARY KEY, n INT); INSERT INTO aa_orders VALUES (1, 0), (2, 0);\n\
                 CREATE TABLE mm_report (id INT PRIMARY KEY); INSERT INTO mm_report VALUES (1);\n\
                 CREATE TABLE zz_stock (id INT PRIMARY KEY, n INT); INSERT INTO zz_stock VALUES (1, 0), (2, 0);\n",
            )
            .unwrap();
        let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
        let (report, longest, tries) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let statements = [
                    "UPDATE aa_orders SET n = n + 1 WHERE id = 1",
                    "UPDATE zz_stock SET n = n + 1 WHERE id = 1",
                ];
                probe(&server, &statements, &stop, &asked)
            });
            let reading = scope.spawn(|| {
                let statements =
                    ["SELECT * FROM aa_orders", "SELECT * FROM zz_stock", "SELECT * FROM mm_report"];
                probe(&server, &statements, &stop, &asked)
            });
            let report_query = scope.spawn(|| {
                let mut shop = Connection::open(&settings(&server), Some(b"shop")).unwrap();
                shop.query(b"SELECT SLEEP(4) FROM mm_report").unwrap();
            });
            let mut open = Connection::open(&settings(&server), Some(b"shop")).unwrap();
            open.execute(b"START TRANSACTION").unwrap();
            open.execute(b"UPDATE zz_stock SET n = 7 WHERE id = 2").unwrap();
            let dumping =
                scope.spawn(|| dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap().0);
            std::thread::sleep(Duration::from_secs(3));
            let still_waiting = !dumping.is_finished();
            open.execute(b"COMMIT").unwrap();
            let report = dumping.join().unwrap();
            report_query.join().unwrap();
            stop.store(true, Ordering::SeqCst);
            (report, writing.join().unwrap().max(reading.join().unwrap()), still_waiting)
        });
        assert!(tries, "{kind:?}: the dump did not wait for the open transaction");
        assert!(asked.load(Ordering::SeqCst) > 20, "{kind:?}: the shop was hardly asked");
        assert!(longest < LONGEST_WAIT, "{kind:?}: a query of the shop waited {longest:?}");
        assert_eq!((report.attempts, report.rows), (1, 5), "{kind:?}: {:?}", report.notes);
        assert!(report.one_point_in_time);
        assert!(!report.notes.iter().any(|note| note.contains("one reads")), "{kind:?}: {:?}", report.notes);
    }
}

/// Adds up what the frames of rows hold and keeps none of them.
#[derive(Default)]
struct Summing {
    largest: AtomicU64,
    rows: Mutex<Vec<(u64, String)>>,
}

struct SummingSink<'a>(&'a Summing);

impl DumpTarget for Summing {
    fn begin(&self, _: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        Ok(Box::new(SummingSink(self)))
    }
}

impl DumpSink for SummingSink<'_> {
    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        self.0.largest.fetch_max(text.len() as u64, Ordering::SeqCst);
        let mut rows = self.0.rows.lock().unwrap();
        if let Ok(facts) = super::super::super::sql::check_rows_frame(&text, RowHash::default()) {
            rows.push((facts.row_count, facts.checksum.to_string()));
        } else {
            rows.push((0, String::new()));
        }
        Ok(rows.len() as u64 - 1)
    }
}

/// A row that is far longer than a frame stands whole in a frame of its own, between those before and after it.
#[test]
fn a_row_of_a_hundred_mebibytes_is_dumped() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let options = ServerOptions::with(&[
            "--max-allowed-packet=512M",
            "--loose-innodb-log-file-size=512M",
            "--loose-innodb-redo-log-capacity=1G",
        ]);
        let Some(server) = Server::for_test(kind, &options) else { continue };
        server
            .client(
                "",
                "CREATE DATABASE shop; USE shop;\n\
                 CREATE TABLE blobs (id INT PRIMARY KEY, v LONGBLOB);\n\
                 INSERT INTO blobs VALUES (1, 'before'), (3, 'after');\n\
                 INSERT INTO blobs VALUES (2, REPEAT('0123456789abcde\\'', 6553600));\n",
            )
            .unwrap();
        let target = Summing::default();
        let report =
            dump(&Host::real(), &settings(&server), &DumpRequest::whole("shop"), &target, &Unwatched)
                .unwrap();
        let blobs = table(&report, "blobs");
        assert_eq!((report.attempts, blobs.row_count, blobs.frames.len()), (1, 3, 3), "{kind:?}");
        let row_bytes = 6_553_600 * 17 + "2,_binary''".len() as u64;
        let around = target.largest.load(Ordering::SeqCst) - row_bytes;
        assert!(around < 100, "{kind:?}: {around} bytes stand around the row");
        let rows = target.rows.lock().unwrap();
        for frame in &blobs.frames {
            let found = &rows[usize::try_from(frame.frame).unwrap()];
            assert_eq!(*found, (frame.row_count, frame.checksum.to_string()), "{kind:?}");
        }
        let mut connection = Connection::open(&settings(&server), Some(b"shop")).unwrap();
        super::super::prepare_to_read(&mut connection).unwrap();
        let again = super::checksum_table(&mut connection, blobs, None).unwrap();
        assert_eq!(again, (3, blobs.checksum), "{kind:?}");
    }
}
