//! Engines that keep no rows of their own (C56), and history that no SQL can write again (C45).

use backstock_testbed::ServerKind;
use backstock_testbed::torture_database::build_cases;

use super::*;
use crate::record::{Contents, DumpedObject};

/// Definitions come back, rows are nobody's; and the password of the other server is in the dump's text alone.
#[test]
fn tables_that_lie_elsewhere_keep_their_definitions() {
    // The packages of MariaDB's server that the tests use hold neither engine.
    let options = ServerOptions::with(&["--federated"]);
    let Some(server) = Server::for_test(ServerKind::MySql, &options) else { return };
    server.client("", "CREATE DATABASE shop").unwrap();
    let tables = "CREATE TABLE hole (id INT NOT NULL PRIMARY KEY, v TEXT) ENGINE=BLACKHOLE; INSERT INTO hole VALUES (1, 'x');
        CREATE TABLE far (id INT NOT NULL PRIMARY KEY) ENGINE=FEDERATED CONNECTION='mysql://u:hidden@127.0.0.1:9/d/far';
        CREATE TABLE near (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB; INSERT INTO near VALUES (1);";
    server.client("shop", tables).unwrap();
    let before = picture(&server, "shop");
    let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
    assert_eq!(report.problems, []);
    for object in &report.objects {
        let DumpedObject::Table(record) = object else { continue };
        let kept = *record.name == b"near"[..];
        assert_eq!(record.contents == Contents::Included, kept, "{}", record.name);
        let noted =
            report.notes.iter().any(|note| note.contains(&format!("table {}: the engine", record.name)));
        assert_eq!(noted, !kept, "{:?}", report.notes);
    }
    assert!(!format!("{:?}", report.notes).contains("hidden"));
    let text = target.text();
    assert!(text.windows(6).any(|part| part == b"hidden"), "the definition is in the dump");
    server.client("shop", "DROP TABLE far, hole; DELETE FROM near").unwrap();
    let plan = plan_load(&settings(&server), &request(&report, "shop")).unwrap();
    let told = plan.warnings.join("\n");
    assert!(told.contains("table far: its engine") && told.contains("table hole: its engine"), "{told}");
    let lines = load(&settings(&server), &plan, &target).unwrap().lines;
    let notes = forward(&mut connect(&server), &plan).unwrap();
    assert!(!format!("{told}{lines:?}{notes:?}").contains("hidden"));
    assert_same(&picture(&server, "shop"), &before);
}

/// C45: the current rows come back, the history is named as missing when the backup is made.
#[test]
fn history_by_transactions_is_named_and_the_current_rows_come_back() {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        build_cases(&server, "shop", |case| case.number == "C45").unwrap();
        let shown = || server.client("shop", "SELECT id, v FROM c45_transactions").unwrap();
        let before = shown();
        let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
        let problems = &report.problems;
        assert!(
            matches!(&problems[..], [problem] if problem.object == "history of table c45_transactions"),
            "{problems:#?}"
        );
        server.client("shop", "DROP TABLE c45_transactions").unwrap();
        let plan = plan_load(&settings(&server), &request(&report, "shop")).unwrap();
        load(&settings(&server), &plan, &target).unwrap();
        forward(&mut connect(&server), &plan).unwrap();
        assert_eq!(shown(), before);
        // Through the stock client too.
        server.client("", "CREATE DATABASE back").unwrap();
        server.client("back", target.text()).unwrap();
        assert_eq!(server.client("back", "SELECT id, v FROM c45_transactions").unwrap(), before);
    }
}
