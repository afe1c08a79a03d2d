//! Everything that a database can hold comes back: dump, stock client, comparison.

use backstock_testbed::torture_database::{self, Survives};
use backstock_testbed::{ServerOptions, assert_same, database};

use super::{check_records, dump_with, for_each_server, settings};
use crate::dump::DumpRequest;

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
            std::fs::write("/tmp/dump-failed.sql", target.text()).unwrap();
            panic!("{:?}: {error}", server.kind());
        }
        let after = database::read(&mut server.connect("").unwrap(), "back").unwrap();
        assert_same(&before, &after);
    });
}
