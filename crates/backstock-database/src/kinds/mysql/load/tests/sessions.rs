//! The session of a load: what makes it fast and exact holds in it, whatever the server's own settings are, and nothing
//! of that stays behind on the server.

use super::super::session::{prepare_to_load, reset_context, set_lenient_mode};
use super::*;

/// Global settings under which a load would be slow, for both vendors.
const SLOW: &[&str] =
    &["autocommit=0", "foreign_key_checks=1", "unique_checks=0", "lock_wait_timeout=1", "completion_type=1"];
const SLOW_MARIADB: &[&str] = &["alter_algorithm='COPY'", "max_statement_time=1"];
const SLOW_MYSQL: &[&str] = &["old_alter_table=1", "max_execution_time=1", "innodb_ddl_buffer_size=65536"];

/// What a load needs in their place.
const FAST: &[(&str, &str)] = &[
    ("autocommit", "1"),
    ("foreign_key_checks", "0"),
    ("unique_checks", "1"),
    ("lock_wait_timeout", "20"),
    ("completion_type", "NO_CHAIN"),
];
const FAST_MARIADB: &[(&str, &str)] = &[("max_statement_time", "0.000000")];
const FAST_MYSQL: &[(&str, &str)] =
    &[("old_alter_table", "0"), ("max_execution_time", "0"), ("innodb_ddl_buffer_size", "16777216")];

fn variable(connection: &mut Connection, name: &str) -> String {
    let result = connection.query(format!("SELECT @@SESSION.{name}").as_bytes()).unwrap();
    String::from_utf8_lossy(result.single().unwrap_or_default()).into_owned()
}

/// What literals and definitions depend on.
fn context(connection: &mut Connection) -> [String; 4] {
    let names = ["sql_mode", "time_zone", "character_set_client", "collation_connection"];
    names.map(|name| variable(connection, name))
}

/// All global variables but those that tell how far the binary log is.
fn globals(server: &Server) -> Vec<String> {
    let shown = server.client("", "SHOW GLOBAL VARIABLES").unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    shown.lines().filter(|line| !line.starts_with("gtid_")).map(str::to_owned).collect()
}

#[test]
fn what_makes_a_load_fast_holds_in_its_sessions_and_nowhere_else() {
    for_each_server(&ServerOptions::default(), |server| {
        let shop = fixtures::two_states(server);
        let mysql = server.kind().is_mysql();
        let mut admin = connect(server);
        for assignment in SLOW.iter().chain(if mysql { SLOW_MYSQL } else { SLOW_MARIADB }) {
            admin.execute(format!("SET GLOBAL {assignment}").as_bytes()).unwrap();
        }
        let before = globals(server);
        let plan = plan_load(&settings(server), &request(&shop.report, "shop")).unwrap();
        load(&settings(server), &plan, &shop.target).unwrap();
        assert_eq!(globals(server), before, "{}", server.kind().name());
        let mut connection = connect(server);
        prepare_to_load(&mut connection).unwrap();
        for (name, wanted) in FAST.iter().chain(if mysql { FAST_MYSQL } else { FAST_MARIADB }) {
            assert_eq!(variable(&mut connection, name), *wanted, "{name} of {}", server.kind().name());
        }
        // 11.5 and later choose the fastest way themselves, and only remember the name.
        let algorithm = connection.query(b"SELECT @@SESSION.alter_algorithm");
        if server.kind() == backstock_testbed::ServerKind::MariaDb {
            assert_eq!(algorithm.unwrap().single(), Some(&b"DEFAULT"[..]));
        }
    });
}

#[test]
fn a_session_is_that_of_a_load_again_after_a_statement_that_needed_another() {
    for_each_server(&ServerOptions::default(), |server| {
        let mut connection = connect(server);
        prepare_to_load(&mut connection).unwrap();
        let before = context(&mut connection);
        assert!(before[0].contains("STRICT_ALL_TABLES"), "{before:?}");
        set_lenient_mode(&mut connection).unwrap();
        connection.execute(b"SET NAMES latin1").unwrap();
        connection.execute(b"SET time_zone='+05:30'").unwrap();
        reset_context(&mut connection).unwrap();
        assert_eq!(context(&mut connection), before, "{}", server.kind().name());
    });
}
