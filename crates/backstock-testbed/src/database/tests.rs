//! The reader must see what it exists to see: each change below is invisible to some well-known way of comparing.

use crate::server::{Server, ServerKind, ServerOptions};
use crate::snapshot::compare;

/// Makes the same small database twice, the second time with one change; every change must be noticed.
#[test]
fn every_small_change_is_noticed() {
    const START: &str = "CREATE DATABASE d CHARACTER SET utf8mb4; USE d;
        CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, f FLOAT, e ENUM('', 'x'), a VARCHAR(9), b VARCHAR(9),
            s SET('m','n'), d DATETIME(6) NULL, l VARCHAR(9) CHARACTER SET latin1);
        INSERT INTO t VALUES (1, 1.0, 1, 'a', 'bc', 3, '2024-01-01 00:00:00.000001', 'x');
        CREATE TABLE u (n INT); INSERT INTO u VALUES (1), (1), (2);
        CREATE VIEW v AS SELECT id FROM t;
        CREATE TRIGGER g1 BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'one';
        CREATE TRIGGER g2 BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 'two';
        CREATE PROCEDURE p() SELECT 1;
        CREATE EVENT w ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE DO SELECT 1;";
    const CHANGES: &[&str] = &[
        "UPDATE t SET f = 1.0000001",
        "UPDATE t SET e = 2",
        "UPDATE t SET a = 'ab', b = 'c'",
        "UPDATE t SET s = 1",
        "UPDATE t SET d = '2024-01-01 00:00:00.000002'",
        "UPDATE t SET l = _binary'\\x81'",
        "ALTER TABLE t AUTO_INCREMENT = 77",
        "INSERT INTO u VALUES (2)",
        "UPDATE u SET n = 2 WHERE n = 1 LIMIT 1",
        "CREATE OR REPLACE VIEW v AS SELECT id + 0 AS id FROM t",
        "CREATE OR REPLACE SQL SECURITY INVOKER VIEW v AS SELECT id FROM t",
        "DROP TRIGGER g1; CREATE TRIGGER g1 BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'one'",
        "DROP PROCEDURE p; SET sql_mode = ''; CREATE PROCEDURE p() SELECT 1",
        "ALTER EVENT w ENABLE",
        "ALTER TABLE t COMMENT = 'x'",
        "ALTER DATABASE d COLLATE utf8mb4_bin",
        "DROP TABLE u",
    ];
    for kind in ServerKind::KINDS {
        let Some(server) =
            Server::for_test(kind, &ServerOptions::with(&["--log-bin-trust-function-creators=1"]))
        else {
            continue;
        };
        let picture = || super::read(&mut server.connect("d").unwrap(), "d").unwrap();
        server.client("", START).unwrap();
        let before = picture();
        assert_eq!(compare(&before, &picture()), [], "{kind:?}: reading changes nothing");
        for change in CHANGES {
            server.client("d", change).unwrap();
            assert!(!compare(&before, &picture()).is_empty(), "{kind:?}: not noticed: {change}");
            server.client("", format!("DROP DATABASE d; {START}")).unwrap();
            let again = compare(&before, &picture());
            assert_eq!(again, [], "{kind:?}: the same database again after {change}");
        }
    }
}

#[test]
fn only_tables_of_a_restore_are_set_aside() {
    for (thing, expected) in [
        ("table _bo97dbd012_12", true),
        ("table _bn00000000_1", true),
        ("table _bo97dbd012_", false),
        ("table _bo_shop_1", false),
        ("table _books", false),
        ("view _bo97dbd012_1", false),
    ] {
        assert_eq!(super::is_set_aside(thing), expected, "{thing}");
    }
}
