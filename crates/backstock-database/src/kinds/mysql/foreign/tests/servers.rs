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
    ("SELECT 1 /*!50003 + /* ; */ 1 */", "2"),
    ("SELECT 1 /*!99999 it's; /* ' */ ; */", "1"),
    ("SELECT 1 /*M!999999 it's ; \" */", "1"),
    ("/*M!999999 it's ; */ SELECT 7", "7"),
    ("SELECT 0x3B", ";"),
    ("SELECT _utf8mb4 /* ' */ ';'", ";"),
    ("SELECT '#;' # '\n", "#;"),
    ("SELECT '--' ' ;' -- ' ;\n", "-- ;"),
    ("SELECT '\\0' = CHAR(0)", "1"),
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

pub(super) fn connect(server: &Server) -> Connection {
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
fn split(text: &[u8], connection: &Connection, modes: Modes) -> Vec<Vec<u8>> {
    let mut script = Script::open("script", Box::new(text), modes).map_err(Error::from).unwrap();
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
                let found = split(script.as_bytes(), &connection, Modes::default());
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

/// A list of modes, a text, and what it gives as one statement in these modes.
const PIECES_OF_MODES: &[(&str, &str, &str)] = &[
    ("ANSI_QUOTES", r#"SELECT "x;\" FROM (SELECT 1 AS "x;\") AS "t'""#, "1"),
    ("ANSI_QUOTES", r#"SELECT "a"";" FROM (SELECT ';' AS "a"";") AS t"#, ";"),
    ("ANSI_QUOTES", r#"SELECT 'a\';' "b;'""#, "a';"),
    ("ANSI", r#"SELECT 1 AS ";'""#, "1"),
    ("NO_BACKSLASH_ESCAPES", r"SELECT ';\'", r";\"),
    ("NO_BACKSLASH_ESCAPES", r#"SELECT ";\" '''\'"#, r";\'\"),
    ("NO_BACKSLASH_ESCAPES,ANSI_QUOTES", r#"SELECT '\' AS "\;""#, r"\"),
    ("PIPES_AS_CONCAT", r#"SELECT '\';' || ";""#, "';;"),
];

#[test]
fn modes_move_the_end_of_a_quote_as_in_the_server() {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut connection = connect(&server);
        for (modes, text, value) in PIECES_OF_MODES {
            connection.execute(format!("SET sql_mode='{modes}'").as_bytes()).unwrap();
            let script = [text, ";\n", text, ";"].concat();
            let found = split(script.as_bytes(), &connection, Modes::from_list(modes.as_bytes()));
            assert_eq!(found.len(), 2, "{kind:?} {modes} {text}");
            for statement in &found {
                let result = connection.query(statement).unwrap();
                let got = String::from_utf8_lossy(result.single().unwrap()).into_owned();
                assert_eq!(got, *value, "{kind:?} {modes} {text}");
            }
        }
    }
}

/// DELIMITER is a command of the client: where it cuts, we cut.
const WITH_DELIMITERS: &str = r"CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, t varchar(99));
DELIMITER ;;
CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW BEGIN
  SET @a = ';;'; -- ;; '
  SET NEW.t = CONCAT(NEW.t, '!');
END;;
delimiter $$
INSERT INTO a (t) VALUES ('$;')$$ INSERT INTO a (t) VALUES ('$$')$$
-- $$
INSERT INTO a (t) VALUES ('b'), /* $$ */ ('c')
$$
Delimiter //EOF
INSERT INTO a (t) VALUES ('x//')//EOF
DELIMITER ';'
INSERT INTO a (t) VALUES ('quoted');
# DELIMITER no
/*
DELIMITER no
*/
INSERT INTO a (t) VALUES ('
DELIMITER no
');
DELIMITER 	|
INSERT INTO a (t) VALUES ('one;')|
DELIMITER ;
INSERT INTO a (t) VALUES ('end');
";

#[test]
fn delimiters_end_statements_where_the_client_ends_them() {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut connection = connect(&server);
        connection.execute(b"CREATE DATABASE by_client").unwrap();
        connection.execute(b"CREATE DATABASE by_us").unwrap();
        server.client("by_client", WITH_DELIMITERS).unwrap();
        connection.execute(b"USE by_us").unwrap();
        for statement in split(WITH_DELIMITERS.as_bytes(), &connection, Modes::default()) {
            connection.execute(&statement).unwrap();
        }
        let mut seen = Vec::new();
        for database in ["by_client", "by_us"] {
            connection.execute(format!("USE {database}").as_bytes()).unwrap();
            let rows = connection.query(b"SELECT id, t FROM a ORDER BY id").unwrap().rows;
            let body =
                "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=DATABASE()";
            seen.push((rows, connection.query(body.as_bytes()).unwrap().rows));
        }
        assert_eq!((seen[0].0.len(), seen[0].1.len()), (9, 1), "{kind:?}");
        assert!(seen[0] == seen[1], "{kind:?}: {seen:?}");
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
