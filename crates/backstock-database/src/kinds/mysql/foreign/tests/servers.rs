//! The splitter against the servers themselves: what they take as one statement is what it cuts off.

use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::super::script::Script;
use super::super::statement::Statement;
use super::*;
use crate::Connection;
use crate::kinds::mysql::sql::Modes;
use crate::settings::{Address, Secret, ServerSettings, Tls};

/// A text, and what it gives as one statement.
const PIECES: &[(&str, &str)] = &[
    ("SELECT 'a;b'", "a;b"),
    ("SELECT 'it''s; \\'q\\' \\\\'", r"it's; 'q' \"),
    ("SELECT \"a;'b\"\"c\\\"\"", "a;'b\"c\""),
    ("SELECT `x;``y` FROM (SELECT 1 AS `x;``y`) AS `t;`", "1"),
    ("SELECT 1 -- ; '\n+ 1", "2"),
    ("SELECT 5--1", "6"),
    ("SELECT 1 # ;'\"\n + 2", "3"),
    ("SELECT /* ; ' */ 4", "4"),
    ("SELECT /* a /* b ; */ 5", "5"),
    ("SELECT 1 /*!50003 + 1 */", "2"),
    ("SELECT 1 /*!050003 + 1 */", "2"),
    ("SELECT 1 /*!99999 + 1; */", "1"),
    ("SELECT /*!50003 ';' */", ";"),
    ("SELECT /*!50003 '*/;' */", "*/;"),
    ("SELECT x'3B', 1", ";"),
    ("SELECT _utf8mb4';'", ";"),
    ("SELECT N';\\''", ";'"),
    ("SELECT '\\Z;\\%' = CONCAT(CHAR(26), ';', '\\\\', '%')", "1"),
    ("SELECT 'a' ';' 'b'", "a;b"),
    ("SELECT 2e-1*10 ; ", "2"),
    ("/* lead */ SELECT 9", "9"),
    ("SELECT '-- ' /*+ no hint */", "-- "),
    ("SELECT\r\n'a\r\nb'", "a\r\nb"),
];

fn connect(server: &Server) -> Connection {
    let settings = ServerSettings {
        address: Address::Socket(server.socket()),
        user: "root".to_owned(),
        password: Secret::default(),
        tls: Tls::Off,
    };
    let mut connection = Connection::open(&settings, None).unwrap();
    connection.execute(b"SET NAMES utf8mb4").unwrap();
    connection
}

/// The statements of a script, as they would be sent.
fn split(text: &[u8], connection: &Connection) -> Vec<Vec<u8>> {
    let mut script = Script::open("script", Box::new(text), Modes::default()).map_err(Error::from).unwrap();
    let mut found = Vec::new();
    while script.find_statement().map_err(Error::from).unwrap() {
        let read = Statement::read(&mut script, connection.vendor(), connection.version());
        found.push(read.map_err(Error::from).unwrap().text);
    }
    found
}

#[test]
fn what_a_server_takes_as_one_statement_is_cut_off_as_one() {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut connection = connect(&server);
        for (first, _) in PIECES {
            for (second, _) in PIECES {
                let script = [first, ";\n", second, "\n;"].concat();
                let wanted: Vec<&str> = [first, second].iter().filter_map(|text| expected(text)).collect();
                let found = split(script.as_bytes(), &connection);
                assert_eq!(found.len(), wanted.len(), "{script:?}");
                for (statement, value) in found.iter().zip(wanted) {
                    let result =
                        connection.query(statement).unwrap_or_else(|error| panic!("{script:?}: {error:?}"));
                    let got = result.rows[0][0].clone().unwrap_or_default();
                    let got = String::from_utf8_lossy(&got).trim_end_matches(".0").to_owned();
                    assert_eq!(got, value, "{kind:?} {script:?}");
                }
                // Together they are no statement: nothing that slips through runs.
                assert!(connection.query(script.as_bytes()).is_err(), "{kind:?} {script:?}");
            }
        }
    }
}

fn expected(text: &str) -> Option<&'static str> {
    PIECES.iter().find(|(piece, _)| *piece == text).map(|(_, value)| *value)
}

/// What servers do not read as one thing is refused, or not cut in two.
#[test]
fn versioned_comments_mean_what_the_server_says() {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut connection = connect(&server);
        for mark in [
            "/*!",
            "/*!50003",
            "/*!050003",
            "/*!50699",
            "/*!50700",
            "/*!80000",
            "/*!80400",
            "/*!090000",
            "/*!99999",
            "/*!100100",
            "/*!101100",
            "/*!110400",
            "/*!120000",
            "/*!999999",
            "/*M!",
            "/*M!50003",
            "/*M!100301",
            "/*M!110400",
            "/*M!120000",
        ] {
            let sql = format!("SELECT 1 {mark} + 1 */");
            let result = connection.query(sql.as_bytes()).unwrap();
            let did_run = result.single() == Some(b"2");
            let said =
                super::super::statement::runs(mark.as_bytes(), connection.vendor(), connection.version());
            assert_eq!(said, Some(did_run), "{kind:?} {mark}");
        }
    }
}
