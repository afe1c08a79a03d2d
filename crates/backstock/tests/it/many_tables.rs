//! Ten thousand tables: one dump of one moment in bounded memory, read back to its last statement, and one table restored.

use std::fmt::Write as _;

use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::harness::Place;

const TABLES: u32 = 10_000;

/// All tables in one file of the server, which never waits for the disk: they would take minutes to make.
fn server_with_tables(kind: ServerKind) -> Option<Server> {
    let options = ServerOptions {
        binary_log: false,
        ..ServerOptions::with(&[
            "--innodb-file-per-table=0",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
        ])
    };
    let server = Server::for_test(kind, &options)?;
    let mut script = String::from("CREATE DATABASE many; USE many;\n");
    for number in 0..TABLES {
        writeln!(
            script,
            "CREATE TABLE t{number:05} (id INT PRIMARY KEY, a VARCHAR(20)) ENGINE=InnoDB; \
             INSERT INTO t{number:05} VALUES (1, 'of {number}');"
        )
        .unwrap();
    }
    server.client("", script).unwrap();
    Some(server)
}

fn value_of(server: &Server, table: &str) -> String {
    let told = server.client("many", format!("SELECT a FROM {table}")).unwrap();
    String::from_utf8(told).unwrap()
}

#[test]
fn ten_thousand_tables_take_bounded_memory() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = server_with_tables(kind) else { continue };
        let place = Place::new();
        let socket = server.socket();
        let measured = |arguments: &[&str]| place.run_in_memory(arguments);
        let database = ["--database-name", "many", "--database-user", "root", "--database-socket"];
        let mut backup = vec!["backup"];
        backup.extend(database);
        backup.push(socket.to_str().unwrap());
        let run = measured(&backup);
        assert!(run.stdout.contains("10000 tables with 10000 rows"), "{}", run.stdout);
        measured(&["verify", "latest"]);
        server.client("many", "UPDATE t07777 SET a = 'ruined'; UPDATE t07778 SET a = 'kept'").unwrap();
        measured(&["restore", "latest", "--table", "t07777", "--yes", "--without-maintenance"]);
        assert_eq!(value_of(&server, "t07777"), "a\nof 7777\n");
        assert_eq!(value_of(&server, "t07778"), "a\nkept\n");
        measured(&["undo", "--yes"]);
        assert_eq!(value_of(&server, "t07777"), "a\nruined\n");
    }
}
