//! Backups of one vendor or version on a server of another: what is called exact is so, what changes is told, and nothing is
//! lost without a word.

mod schemas;

use std::collections::BTreeMap;

use backstock_testbed::ServerKind;

use super::ways::{Notes, loads};
use super::*;
use crate::error::Error;
use crate::transfer::Fidelity;

/// A dumped database of one server, loaded into another.
struct Moved {
    plan: LoadPlan,
    report: LoadReport,
    notes: Vec<String>,
    /// How many statements brought rows in bulk.
    bulk: u64,
    before: Snapshot,
    after: Snapshot,
}

fn moved(from: &Server, to: &Server, sql: &str) -> Moved {
    from.client("", "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop COLLATE utf8mb4_general_ci").unwrap();
    to.client("", "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop").unwrap();
    from.client(
        "shop",
        format!("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci; SET sql_mode='ALLOW_INVALID_DATES';{sql}"),
    )
    .unwrap();
    let before = picture(from, "shop");
    let (dumped, target) = dump_with(&settings(from), &DumpRequest::whole("shop")).unwrap();
    assert_eq!(dumped.problems, []);
    let plan = plan_load(&settings(to), &request(&dumped, "shop")).unwrap();
    let (watch, loaded_before) = (Notes::default(), loads(to));
    let report = load_aside(&Host::real(), &settings(to), &plan, &target, &watch).unwrap();
    let bulk = loads(to) - loaded_before;
    // A table that goes in bulk does so to its end, whatever its columns have become.
    assert_eq!(watch.taken(), Vec::<String>::new());
    let mut connection = connect(to);
    let notes = forward(&mut connection, &plan).unwrap();
    accept(&mut connection, &plan).unwrap();
    Moved { after: picture(to, "shop"), plan, report, notes, bulk, before }
}

impl Moved {
    fn fidelity(&self) -> BTreeMap<&str, Fidelity> {
        self.plan.transfers.iter().map(|transfer| (transfer.object.as_str(), transfer.fidelity)).collect()
    }

    fn reasons(&self, object: &str) -> String {
        let found = self.plan.transfers.iter().find(|transfer| transfer.object == object);
        found.unwrap_or_else(|| panic!("no {object}")).reasons.join("; ")
    }

    /// Rows of these tables are the same through the second way to read them.
    fn assert_rows(&self, tables: &[&str]) {
        for table in tables {
            let rows = |picture: &Snapshot| picture.things[&format!("table {table}")]["rows"].clone();
            assert_eq!(rows(&self.before), rows(&self.after), "table {table}");
        }
    }

    fn assert_fidelity(&self, wanted: &[(&str, Fidelity)]) {
        let found = self.fidelity();
        for (object, fidelity) in wanted {
            assert_eq!(found.get(object), Some(fidelity), "{object}: {:#?}", self.plan.transfers);
        }
        for line in self.plan.transfer_lines() {
            assert!(self.report.lines.contains(&line), "{line} is not reported");
        }
    }
}

fn pair(from: ServerKind, to: ServerKind) -> Option<(Server, Server)> {
    let start = |kind| Server::for_test(kind, &ServerOptions::default());
    Some((start(from)?, start(to)?))
}

/// What shops are made of goes either way exactly, and code with it.
#[test]
fn plain_shops_go_between_vendors_exactly() {
    let (Some((mariadb, mysql)), Some(newer)) = (
        pair(ServerKind::MariaDb, ServerKind::MySql),
        Server::for_test(ServerKind::MariaDb118, &ServerOptions::default()),
    ) else {
        return;
    };
    let pairs = [
        (&mariadb, &mysql, true),
        (&mysql, &mariadb, true),
        (&newer, &mysql, true),
        (&mysql, &newer, true),
        (&newer, &mariadb, true),
        (&mariadb, &mysql, false),
        (&mysql, &mariadb, false),
    ];
    for (from, to, in_bulk) in pairs {
        to.client("", format!("SET GLOBAL local_infile={}", u8::from(in_bulk))).unwrap();
        let moved = moved(from, to, schemas::PLAIN);
        assert_eq!(moved.bulk > 10, in_bulk, "{}", moved.bulk);
        let pair = format!("{:?} -> {:?}", from.kind(), to.kind());
        let other: Vec<String> = moved.plan.transfer_lines();
        assert_eq!(other, Vec::<String>::new(), "{pair}");
        assert_eq!(moved.report.lines, Vec::<String>::new(), "{pair}");
        assert_eq!(moved.notes, Vec::<String>::new(), "{pair}");
        let tables: Vec<&str> =
            moved.before.things.keys().filter_map(|thing| thing.strip_prefix("table ")).collect();
        assert!(tables.len() > 10);
        moved.assert_rows(&tables);
        for code in
            ["trigger wp_stamp", "function ps_price", "procedure oc_touch", "view mg_names", "event wp_clean"]
        {
            let kind = code.split(' ').next().unwrap();
            assert!(
                moved.after.things.keys().any(|thing| thing.contains(code)),
                "{pair}: no {kind} {code}: {:?} {:#?}",
                moved.notes,
                moved.after.things.keys()
            );
        }
        let refused = to.client("shop", "INSERT INTO mg_value VALUES (99, 77, 'x')").unwrap_err().to_string();
        assert!(refused.contains("foreign key"), "{pair}: {refused}");
    }
}

/// C84: what MySQL alone has.
#[test]
fn a_shop_of_mysql_on_mariadb_is_told_part_by_part() {
    use Fidelity::{Changed, Dropped, Exact};
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118] {
        let Some((from, to)) = pair(ServerKind::MySql, kind) else { continue };
        let moved = moved(&from, &to, schemas::MYSQL);
        let collation = if kind == ServerKind::MariaDb { Changed } else { Exact };
        moved.assert_fidelity(&[
            ("table collated", collation),
            ("table hidden", Exact),
            ("table hidden_bare", Changed),
            ("table documents", Changed),
            ("table computed", Exact),
            ("table functional", Changed),
            ("table placed", Changed),
            ("table lax", Changed),
            ("table defaulted", Exact),
            ("table several", Changed),
            ("table extended", Exact),
            ("view plain_view", Exact),
            ("view returning_view", Dropped),
            ("view member_view", Dropped),
            ("view pattern_view", Dropped),
            ("function arrow", Dropped),
        ]);
        moved.assert_rows(&[
            "collated",
            "hidden",
            "hidden_bare",
            "documents",
            "computed",
            "functional",
            "placed",
            "lax",
            "defaulted",
            "several",
            "extended",
        ]);
        assert!(moved.reasons("table several").contains("a key over an expression is left out"));
        let shown = |table: &str| {
            String::from_utf8_lossy(&to.client("shop", format!("SHOW CREATE TABLE {table}")).unwrap())
                .into_owned()
        };
        assert!(
            shown("hidden").contains("INVISIBLE") && shown("hidden").contains("IGNORED"),
            "{}",
            shown("hidden")
        );
        assert!(!shown("lax").contains("not_now") && shown("lax").contains("always"), "{}", shown("lax"));
        if kind == ServerKind::MariaDb {
            assert!(shown("collated").contains("utf8mb4_uca1400_nopad_ai_ci"), "{}", shown("collated"));
            assert!(moved.reasons("table vectors").contains("VARBINARY"));
        }
        assert!(moved.reasons("table placed").contains("4326"));
        assert!(!moved.after.things.keys().any(|thing| thing.contains("pattern_view")));
    }
}

/// C85: what MariaDB alone has.
#[test]
fn a_shop_of_mariadb_on_mysql_is_told_part_by_part() {
    use Fidelity::{Changed, Dropped, Exact};
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118] {
        let Some((from, to)) = pair(kind, ServerKind::MySql) else { continue };
        let is_newer = kind == ServerKind::MariaDb118;
        let newer = if is_newer { schemas::NEWER_MARIADB } else { "" };
        let moved = moved(&from, &to, &[newer, schemas::MARIADB].concat());
        if is_newer {
            assert!(moved.reasons("table vectors").contains("a key of vectors is left out"));
            moved.assert_rows(&["vectors"]);
        }
        moved.assert_fidelity(&[
            ("table collated", Changed),
            ("table hidden", Exact),
            ("table documents", Exact),
            ("table defaulted", Exact),
            ("table numbered", Changed),
            ("table addresses", Changed),
            ("table kept", Changed),
            ("table declared", Changed),
            ("table booked", Changed),
            ("table aria", Changed),
            ("table parted_isam", Changed),
            ("table long_unique", Changed),
            ("table compressed", Changed),
            ("table checked_a", Exact),
            ("table checked_b", Exact),
            ("sequence numbers", Dropped),
            ("package pack", Dropped),
            ("view sequence_view", Dropped),
        ]);
        let all = [
            "collated",
            "hidden",
            "documents",
            "defaulted",
            "numbered",
            "addresses",
            "booked",
            "aria",
            "parted_isam",
            "long_unique",
            "compressed",
            "checked_a",
            "checked_b",
        ];
        moved.assert_rows(&all);
        // Of history the current rows.
        assert_eq!(to.client("shop", "SELECT id, v FROM kept ORDER BY id").unwrap(), b"id\tv\n1\t3\n2\t1\n");
        assert_eq!(to.client("shop", "SELECT id, v FROM declared ORDER BY id").unwrap(), b"id\tv\n1\t2\n");
        let refused = to.client("shop", "INSERT INTO checked_b VALUES (2, -1)").unwrap_err().to_string();
        assert!(refused.contains("Check constraint"), "{refused}");
        assert!(to.client("shop", "INSERT INTO documents (id, doc) VALUES (7, 'no json')").is_err());
        to.client("shop", "INSERT INTO defaulted (id) VALUES (9)").unwrap();
        assert_eq!(to.client("shop", "SELECT t, c FROM defaulted WHERE id = 9").unwrap(), b"t\tc\n{}\tab\n");
    }
}

/// C86: an older server of the same vendor.
#[test]
fn a_newer_mariadb_goes_to_an_older_one() {
    let Some((from, to)) = pair(ServerKind::MariaDb118, ServerKind::MariaDb) else { return };
    let sql = "CREATE TABLE newer (id INT NOT NULL PRIMARY KEY, v VECTOR(2) NOT NULL, t VARCHAR(9) COLLATE utf8mb4_0900_ai_ci) ENGINE=InnoDB;
        INSERT INTO newer VALUES (1, VEC_FromText('[1,2]'), 'x');
        CREATE TABLE kept (id INT PRIMARY KEY, v INT) ENGINE=InnoDB WITH SYSTEM VERSIONING; INSERT INTO kept VALUES (1,1);
        UPDATE kept SET v = 2;";
    let moved = moved(&from, &to, sql);
    moved.assert_fidelity(&[("table newer", Fidelity::Changed), ("table kept", Fidelity::Exact)]);
    moved.assert_rows(&["newer", "kept"]);
    let history = |picture: &Snapshot| picture.things["table kept"]["rows of history"].clone();
    assert_eq!(history(&moved.before), history(&moved.after));
}

/// What cannot be there at all stops the plan, by name.
#[test]
fn what_a_server_cannot_hold_is_refused_with_its_reason() {
    let Some((from, to)) = pair(ServerKind::MySql, ServerKind::MariaDb) else { return };
    from.client("", "CREATE DATABASE shop").unwrap();
    to.client("", "CREATE DATABASE shop").unwrap();
    from.client(
        "shop",
        "CREATE TABLE chinese (a VARCHAR(9) CHARACTER SET gb18030) ENGINE=InnoDB;
        CREATE TABLE matched (a VARCHAR(9), b INT AS (regexp_like(a, 'x')) STORED) ENGINE=InnoDB;
        CREATE TABLE plain (a INT) ENGINE=InnoDB;",
    )
    .unwrap();
    let (dumped, _) = dump_with(&settings(&from), &DumpRequest::whole("shop")).unwrap();
    let refused = plan_load(&settings(&to), &request(&dumped, "shop")).unwrap_err().to_string();
    assert!(refused.contains("table chinese (this server has no character set gb18030"), "{refused}");
    assert!(
        refused.contains("table matched (column `b` is computed with the function regexp_like"),
        "{refused}"
    );
    assert!(!refused.contains("plain"), "{refused}");
}

/// C94: a word that is reserved on the other server stands in a body; the object is left out aloud, with word and line.
#[test]
fn code_that_the_server_does_not_read_is_dropped_aloud() {
    let Some((mariadb, mysql)) = pair(ServerKind::MariaDb, ServerKind::MySql) else { return };
    for (from, to, word) in [(&mariadb, &mysql, "system"), (&mysql, &mariadb, "offset")] {
        let sql = format!(
            "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, `{word}` INT) ENGINE=InnoDB DEFAULT CHARSET=latin1; \
             INSERT INTO t VALUES (1, 2); CREATE PROCEDURE reserved() SELECT {word} FROM t; CREATE PROCEDURE fine() SELECT 1;"
        );
        let moved = moved(from, to, &sql);
        moved.assert_rows(&["t"]);
        let dropped: Vec<&String> = moved.notes.iter().filter(|note| note.contains("is dropped")).collect();
        let is_told = |note: &str| {
            [word, "procedure reserved", "1064", " at line "].iter().all(|part| note.contains(part))
        };
        assert!(matches!(&dropped[..], [note] if is_told(note)), "{:#?}", moved.notes);
        assert!(moved.after.things.keys().any(|thing| thing.contains("procedure fine")));
    }
}

/// C95: rows that are too long in their format, which only a lenient server ever took, and keys that only Aria takes.
#[test]
fn sizes_that_a_server_refuses_change_the_format_of_rows_aloud() {
    let Some((mariadb, mysql)) = pair(ServerKind::MariaDb, ServerKind::MySql) else { return };
    let columns: Vec<String> = (1..=12).map(|number| format!("c{number} TEXT")).collect();
    let wide = format!(
        "SET innodb_strict_mode=0; CREATE TABLE wide (id INT NOT NULL PRIMARY KEY, {}) ENGINE=InnoDB ROW_FORMAT=COMPACT \
         DEFAULT CHARSET=latin1; INSERT INTO wide (id, c1, c12) VALUES (1, 'x', REPEAT('y', 2000));",
        columns.join(", ")
    );
    let long = "CREATE TABLE long_key (a VARCHAR(450) NOT NULL, KEY (a)) ENGINE=Aria DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin; \
        INSERT INTO long_key VALUES ('x');";
    for (from, to) in [(&mariadb, &mysql), (&mysql, &mariadb)] {
        let is_mariadb = from.kind() == ServerKind::MariaDb;
        let moved = moved(from, to, &[wide.as_str(), if is_mariadb { long } else { "" }].concat());
        moved.assert_rows(if is_mariadb { &["wide", "long_key"] } else { &["wide"] });
        let told = moved.report.lines.iter().any(|line| {
            line.starts_with("table wide: changed to ROW_FORMAT=DYNAMIC")
                && line.contains("Row size too large")
        });
        assert!(told, "{:#?}", moved.report.lines);
    }
}

/// C96: accounts and their ways to log in are no part of a shop; code keeps the names of its definers.
#[test]
fn accounts_stay_where_they_are() {
    let Some((from, to)) = pair(ServerKind::MariaDb, ServerKind::MySql) else { return };
    let sql = "CREATE USER seller@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('secret'); \
        GRANT ALL ON shop.* TO seller@localhost; CREATE DEFINER=seller@localhost FUNCTION owned() RETURNS INT DETERMINISTIC RETURN 1; \
        CREATE DEFINER=seller@localhost VIEW shown AS SELECT 1 AS n;";
    let moved = moved(&from, &to, sql);
    assert_eq!(moved.plan.transfers.len(), 2, "{:#?}", moved.plan.transfers);
    assert_eq!(to.client("", "SELECT user FROM mysql.user WHERE user = 'seller'").unwrap(), b"");
    let definer =
        to.client("", "SELECT definer FROM information_schema.ROUTINES WHERE routine_name = 'owned'");
    assert!(String::from_utf8_lossy(&definer.unwrap()).contains("seller@localhost"));
}

/// Loads a table that the other server cannot take; gives what is said, sources included.
fn refused(from: &Server, to: &Server, sql: &str) -> String {
    for server in [from, to] {
        server.client("", "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop").unwrap();
    }
    from.client("shop", sql).unwrap();
    let (dumped, target) = dump_with(&settings(from), &DumpRequest::whole("shop")).unwrap();
    let plan = plan_load(&settings(to), &request(&dumped, "shop")).unwrap();
    let error = load(&settings(to), &plan, &target).unwrap_err();
    assert!(matches!(error, Error::NotTaken { .. }), "{error:?}");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    discard_aside(&settings(to), &plan).unwrap();
    assert_eq!(to.client("shop", "SHOW TABLES").unwrap(), b"");
    format!("{error}: {source}")
}

/// Rows that a mapped collation holds for the same stop the load before anything is seen of it, each of them by name.
#[test]
fn rows_that_would_collide_are_listed_and_never_dropped() {
    let Some((from, to)) = pair(ServerKind::MariaDb, ServerKind::MySql) else { return };
    let sql = "CREATE TABLE padded (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, shop INT NOT NULL, a VARCHAR(20) NOT NULL, \
        UNIQUE KEY name (shop, a)) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_nopad_ci; \
        INSERT INTO padded (shop, a) VALUES (1,'x'),(1,'x '),(2,'x'),(3,'y'),(3,'y  ');";
    let said = refused(&from, &to, sql);
    assert!(said.contains("the table padded") && said.contains("UNIQUE KEY `name`"), "{said}");
    assert!(said.contains("'1', 'x' and '1', 'x '") && said.contains("'3', 'y' and '3', 'y  '"), "{said}");
    assert!(!said.contains("'2'") && !said.contains("_bn"), "{said}");
    let sql = "CREATE TABLE padded (a VARCHAR(20) NOT NULL PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=latin1 \
        COLLATE=latin1_swedish_nopad_ci; INSERT INTO padded VALUES ('x'),('x ');";
    let said = refused(&from, &to, sql);
    assert!(said.contains("for PRIMARY KEY (`a`) these rows are the same here: 'x' and 'x '"), "{said}");
}

/// C12, C85, C86: a moment that only newer servers of MariaDB can hold is never made another one.
#[test]
fn a_time_after_2038_is_refused_by_name() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some((from, to)) = pair(ServerKind::MariaDb118, kind) else { return };
        let sql = "CREATE TABLE late (id INT NOT NULL PRIMARY KEY, t TIMESTAMP NULL) ENGINE=InnoDB DEFAULT CHARSET=latin1; \
            INSERT INTO late VALUES (1, '2020-01-01'), (2, '2100-01-01');";
        let said = refused(&from, &to, sql);
        assert!(
            said.contains("the table late") && said.contains("2038") && said.contains("2100-01-01"),
            "{said}"
        );
    }
}
