//! Everything that a database can hold comes back: dump, stock client, comparison.

use backstock_testbed::torture_database::{self, Survives};
use backstock_testbed::{Server, ServerKind, ServerOptions, assert_same, database};

use super::{check_records, dump_with, for_each_server, settings};
use crate::dump::DumpRequest;
use crate::record::{DumpedObject, FrameRecord};

/// The cases that a stock client can load, on all servers, read by several connections.
#[test]
fn the_torture_database_comes_back_through_the_stock_client() {
    for_each_server(&ServerOptions::default(), |server| {
        torture_database::build(server, "torture", Survives::StockClient).unwrap();
        let before = database::read(&mut server.connect("").unwrap(), "torture").unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("torture")).unwrap();
        assert!(report.problems.is_empty(), "{:?}: {:#?}", server.kind(), report.problems);
        assert_eq!(report.attempts, 1, "{:?}", report.notes);
        check_records(server, "torture", &report, &target);
        server.client("", "CREATE DATABASE back CHARACTER SET utf8mb4").unwrap();
        if let Err(error) = server.client("back", target.text()) {
            let error: String = error.to_string().chars().take(2000).collect();
            panic!("{:?}: {error}", server.kind());
        }
        let after = database::read(&mut server.connect("").unwrap(), "back").unwrap();
        assert_same(&before, &after);
    });
}

/// What no stock client or no SQL can load is in the dump all the same, or it is named.
#[test]
fn what_cannot_be_loaded_is_dumped_or_named() {
    for_each_server(&ServerOptions::default(), |server| {
        torture_database::build(server, "torture", Survives::ReportOnly).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("torture")).unwrap();
        check_records(server, "torture", &report, &target);
        let told = format!("{:?} {:?}", report.problems, report.notes);
        let listed = crate::list_tables(&settings(server), b"torture").unwrap();
        // Invalid bytes from outside SQL, history by transaction numbers, a table that is a hole.
        for thing in ["c26_", "c45_", "c56_"] {
            let held = listed.iter().any(|line| line.name.starts_with(thing.as_bytes()));
            assert!(!held || told.contains(thing), "{:?}: {thing} is not told: {told}", server.kind());
        }
        for line in listed {
            let known = report.objects.iter().any(|object| *object.name() == line.name);
            assert!(
                known || told.contains(&line.name.to_string()),
                "{:?}: {} vanished",
                server.kind(),
                line.name
            );
        }
        assert!(
            report.objects.iter().any(|object| matches!(object, DumpedObject::View(view) if view.broken))
        );
    });
}

/// A key of several columns: ranges of its first one, among which rows with the same number never part.
#[test]
fn a_large_table_with_a_key_of_several_columns_is_read_in_ranges() {
    let Some(server) = Server::for_test(ServerKind::MariaDb, &ServerOptions::default()) else { return };
    server
        .client(
            "",
            "CREATE DATABASE shop; USE shop;\n\
             CREATE TABLE big (a INT UNSIGNED, b VARCHAR(20), v VARCHAR(1000), PRIMARY KEY (a, b DESC));\n\
             INSERT INTO big SELECT seq DIV 37, seq, REPEAT('abcdefgh', 100) FROM seq_1_to_90000;\n\
             INSERT INTO big SELECT 1000, seq, REPEAT('klmnopqr', 100) FROM seq_100001_to_130000;\n\
             ANALYZE TABLE big;\n",
        )
        .unwrap();
    let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
    check_records(&server, "shop", &report, &target);
    let table = super::table(&report, "big");
    assert_eq!(table.row_count, 120_000);
    let numbers: Vec<u64> = table.frames.iter().map(|frame| frame.frame).collect();
    assert!(!numbers.is_sorted(), "several connections wrote at the same time: {numbers:?}");
}

/// A table above 64 MB is read in ranges of its key by several connections: no row is lost or doubled at their edges.
#[test]
fn a_large_table_is_read_in_ranges() {
    let Some(server) = Server::for_test(ServerKind::MariaDb, &ServerOptions::default()) else { return };
    server
        .client(
            "",
            "CREATE DATABASE shop; USE shop;\n\
             CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(1000));\n\
             INSERT INTO big (v) SELECT REPEAT('abcdefgh', 100) FROM seq_1_to_90000;\n\
             DELETE FROM big WHERE id BETWEEN 20000 AND 60000 AND id % 7 <> 3;\n\
             UPDATE big SET id = -id WHERE id < 100;\n\
             INSERT INTO big (v) SELECT REPEAT('ijklmnop', 100) FROM seq_1_to_40000;\n\
             ANALYZE TABLE big;\n",
        )
        .unwrap();
    let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
    check_records(&server, "shop", &report, &target);
    let table = super::table(&report, "big");
    assert!(table.estimated_bytes > 64 * 1024 * 1024, "{}", table.estimated_bytes);
    // Frames are in key order, whichever connection wrote them.
    let frames = target.frames.lock().unwrap();
    let first = |frame: &FrameRecord| {
        let text = &frames[usize::try_from(frame.frame).unwrap()];
        let start = text.windows(2).position(|part| part == b"\n(").unwrap() + 2;
        let digits: Vec<u8> = text[start..].iter().copied().take_while(|byte| *byte != b',').collect();
        String::from_utf8(digits).unwrap().parse::<i64>().unwrap()
    };
    let firsts: Vec<i64> = table.frames.iter().map(first).collect();
    assert!(firsts.is_sorted() && firsts.len() > 10, "{firsts:?}");
    let numbers: Vec<u64> = table.frames.iter().map(|frame| frame.frame).collect();
    assert!(!numbers.is_sorted(), "several connections wrote at the same time: {numbers:?}");
}
