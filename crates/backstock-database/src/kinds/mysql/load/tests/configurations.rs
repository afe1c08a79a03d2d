//! Servers that are set up otherwise than the one that was dumped: the torture database goes round in each, and what a
//! setting does change is said aloud.

use backstock_testbed::ServerKind;
use backstock_testbed::time_zone::add_berlin;
use backstock_testbed::torture_database::{self, Survives};

use super::super::super::dump::tests::{essence, settings_of};
use super::*;

/// Global settings that an unprepared session would feel, for both vendors. The second group wins over the first.
const SETTINGS: [&[&str]; 2] = [
    &[
        "sql_mode=''",
        "time_zone='Europe/Berlin'",
        "character_set_server=utf16",
        "collation_server=utf16_bin",
        "explicit_defaults_for_timestamp=0",
        "innodb_strict_mode=0",
        "event_scheduler=1",
        "max_allowed_packet=1048576",
        "default_storage_engine=MyISAM",
        "auto_increment_increment=3",
        "auto_increment_offset=2",
        "sql_auto_is_null=1",
        "sql_safe_updates=1",
        "lock_wait_timeout=1",
        "completion_type=1",
        "sql_select_limit=2",
        "unique_checks=0",
        "foreign_key_checks=1",
        "transaction_isolation='SERIALIZABLE'",
    ],
    &["time_zone='+05:30'", "character_set_server=latin1", "read_only=1"],
];

const MARIADB: [&[&str]; 2] = [
    &[
        "system_versioning_asof='2001-01-01'",
        "system_versioning_alter_history='ERROR'",
        "check_constraint_checks=1",
        "max_statement_time=2",
        "idle_transaction_timeout=1",
    ],
    &["sql_mode='ORACLE,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL'"],
];

const MYSQL: [&[&str]; 2] = [
    &[
        "sql_require_primary_key=1",
        "show_gipk_in_create_table_and_information_schema=0",
        "information_schema_stats_expiry=86400",
        "restrict_fk_on_non_standard_key=1",
        "max_execution_time=2000",
    ],
    &["sql_mode='ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'", "sql_generate_invisible_primary_key=1"],
];

#[test]
fn the_torture_database_goes_round_under_other_settings() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let extra: &[&str] = if kind.is_mysql() { &[] } else { &["--secure-timestamp=SUPER"] };
        let Some(server) = Server::for_test(kind, &ServerOptions::with(extra)) else { continue };
        add_berlin(&server).unwrap();
        // Large values and whole character sets take long; what is in memory ends with the server.
        let others = ["C19", "C20", "C21", "C23", "C24", "C54"];
        let quick = |case: &torture_database::Case| {
            case.survives <= Survives::OwnRestore && !others.contains(&case.number)
        };
        torture_database::build_cases(&server, "torture", quick).unwrap();
        let before = picture(&server, "torture");
        let (first, _) = dump_with(&settings(&server), &DumpRequest::whole("torture")).unwrap();
        for (both, own) in SETTINGS.into_iter().zip(if kind.is_mysql() { MYSQL } else { MARIADB }) {
            let mut admin = connect(&server);
            for assignment in both.iter().chain(own) {
                // Isolation has two names, of which each server knows one.
                let name = match kind {
                    ServerKind::MySql => (*assignment).to_owned(),
                    _ => assignment.replace("transaction_isolation", "tx_isolation"),
                };
                admin.execute(format!("SET GLOBAL {name}").as_bytes()).unwrap();
            }
            let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("torture")).unwrap();
            assert_eq!(report.problems, [], "{kind:?} {own:?}");
            let (found, wanted) = (essence(&report), essence(&first));
            assert_eq!(found.len(), wanted.len(), "{kind:?} {own:?}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(found, wanted, "{kind:?} {own:?}");
            }
            let plan = plan_load(&settings(&server), &request(&report, "torture")).unwrap();
            load(&settings(&server), &plan, &target).unwrap();
            let mut connection = connect(&server);
            forward(&mut connection, &plan).unwrap();
            accept(&mut connection, &plan).unwrap();
        }
        server.restart().unwrap();
        assert_same(&picture(&server, "torture"), &before);
    }
}

const MIXED: &str = "CREATE TABLE Parents (Id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB;
    CREATE TABLE Children (id INT NOT NULL PRIMARY KEY, p INT, CONSTRAINT To_Parent FOREIGN KEY (p) REFERENCES Parents (Id))
        ENGINE=InnoDB;
    INSERT INTO Parents VALUES (1),(2); INSERT INTO Children VALUES (1,1),(2,2);
    CREATE TRIGGER Watch BEFORE INSERT ON Children FOR EACH ROW SET NEW.id = NEW.id + 1;
    CREATE VIEW Both_Of AS SELECT c.id FROM Children c JOIN Parents p ON p.Id = c.p;";

/// Names in mixed case on a server that folds them, and folded names on one that does not.
#[test]
fn names_change_their_case_aloud() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let folding = ServerOptions { folds_names: true, ..ServerOptions::default() };
        let Some(exact) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let Some(folding) = Server::for_test(kind, &folding) else { continue };
        take_mixed_names(&exact, &folding, true);
        take_mixed_names(&folding, &exact, false);
        // C90: two names that would become one are refused before anything is touched.
        exact.client("shop", "CREATE TABLE PARENTS (a INT); CREATE TABLE Both_OF (a INT)").unwrap();
        let (report, _) = dump_with(&settings(&exact), &DumpRequest::whole("shop")).unwrap();
        let refused = plan_load(&settings(&folding), &request(&report, "shop")).unwrap_err().to_string();
        assert!(
            refused.contains("one name on this server: ")
                && refused.contains("parents")
                && refused.contains("both_of"),
            "{refused}"
        );
    }
}

/// Takes [`MIXED`] from one server to another, there, back and there again.
fn take_mixed_names(from: &Server, to: &Server, folds: bool) {
    for server in [from, to] {
        server.client("", "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop").unwrap();
    }
    from.client("shop", MIXED).unwrap();
    let (report, target) = dump_with(&settings(from), &DumpRequest::whole("shop")).unwrap();
    to.client("shop", "CREATE TABLE parents (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB").unwrap();
    let old = picture(to, "shop");
    let plan = plan_load(&settings(to), &request(&report, "shop")).unwrap();
    let told = plan.warnings.join("\n");
    if folds {
        assert!(told.contains("small letters") && told.contains("Children, Parents"), "{told}");
    } else {
        assert!(told.contains("will not find it"), "{told}");
    }
    assert_eq!(load(&settings(to), &plan, &target).unwrap().lines, Vec::<String>::new());
    let mut connection = connect(to);
    forward(&mut connection, &plan).unwrap();
    assert_eq!(names(to, "shop").iter().filter(|name| !name.starts_with("_b")).count(), 4);
    let refused = to.client("shop", "INSERT INTO children VALUES (7, 9)").unwrap_err().to_string();
    assert!(refused.contains("foreign key"), "{refused}");
    to.client("shop", "INSERT INTO children VALUES (7, 2)").unwrap();
    assert_eq!(to.client("shop", "SELECT id FROM children WHERE id > 2").unwrap(), b"id\n8\n");
    to.client("shop", "DELETE FROM children WHERE id > 2").unwrap();
    backward(&mut connection, &plan).unwrap();
    assert_same(&picture(to, "shop"), &old);
    forward(&mut connection, &plan).unwrap();
    accept(&mut connection, &plan).unwrap();
}

/// C36: a format of rows that the target refuses, or for which it would shorten a key.
#[test]
fn a_refused_row_format_becomes_dynamic_and_is_told() {
    for_each_server(&ServerOptions::default(), |server| {
        server
            .client(
                "",
                "CREATE DATABASE shop; CREATE USER owner IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO owner;",
            )
            .unwrap();
        let tables = "SET NAMES utf8mb4; CREATE TABLE long_key (id INT NOT NULL PRIMARY KEY, a VARCHAR(768) CHARACTER SET utf8mb4, KEY a (a)) \
                      ENGINE=InnoDB; INSERT INTO long_key VALUES (1, REPEAT('😀', 768)), (2, NULL);
                      CREATE TABLE short_key (id INT NOT NULL PRIMARY KEY, a VARCHAR(20), KEY a (a)) ENGINE=InnoDB;
                      INSERT INTO short_key VALUES (1, 'x');";
        server.client("shop", tables).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        // The dump names no format, and the default of this server is another now.
        server
            .client("", "SET GLOBAL innodb_default_row_format=compact; SET GLOBAL innodb_strict_mode=0;")
            .unwrap();
        for account in [settings(server), settings_of(server, "owner", "p")] {
            let plan = plan_load(&account, &request(&report, "shop")).unwrap();
            let lines = load(&account, &plan, &target).unwrap().lines;
            let [line] = &lines[..] else { panic!("{:?}: {lines:#?}", server.kind()) };
            assert!(line.contains("table long_key: changed to ROW_FORMAT=DYNAMIC"), "{line}");
            let mut connection = connect(server);
            forward(&mut connection, &plan).unwrap();
            let shown = server.client("shop", "SHOW CREATE TABLE long_key").unwrap();
            let shown = String::from_utf8_lossy(&shown).into_owned();
            assert!(shown.contains("KEY `a` (`a`)") && shown.contains("ROW_FORMAT=DYNAMIC"), "{shown}");
            accept(&mut connection, &plan).unwrap();
        }
    });
}
