//! Parts of a dump, other databases, other accounts, and the fallback in place.

use super::super::super::dump::tests::settings_of;
use super::super::super::swap::{changed_since_swap, mark_swap, write_setting};
use super::super::load_in_place;
use super::*;
use crate::dump::Pattern;
use crate::load::SettingPatch;

fn made(server: &Server, sql: &str) -> (DumpReport, MemoryTarget) {
    server.client("", "CREATE DATABASE shop").unwrap();
    server.client("shop", sql).unwrap();
    dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap()
}

const FAMILY: &str = "CREATE TABLE parent (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB;
    CREATE TABLE child (id INT NOT NULL PRIMARY KEY, p INT, CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id))
        ENGINE=InnoDB;
    INSERT INTO parent VALUES (1),(2); INSERT INTO child VALUES (1,1),(2,2);
    CREATE TRIGGER t BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id + 1;
    CREATE VIEW v AS SELECT id FROM parent;
    CREATE TABLE settings (name VARCHAR(20) NOT NULL PRIMARY KEY, value VARCHAR(20)) ENGINE=InnoDB;
    INSERT INTO settings VALUES ('maintenance','0');";

#[test]
fn one_table_is_restored_and_its_children_follow() {
    for_each_server(&ServerOptions::default(), |server| {
        let (report, target) = made(server, FAMILY);
        let new = picture(server, "shop");
        server
            .client("shop", "SET foreign_key_checks=0; DELETE FROM parent; INSERT INTO parent VALUES (9)")
            .unwrap();
        let old = picture(server, "shop");
        let selection = LoadSelection::Tables(vec![Pattern::new("par*").unwrap()]);
        let plan =
            plan_load(&settings(server), &LoadRequest { selection, ..request(&report, "shop") }).unwrap();
        assert_eq!(plan.replaced(), [&crate::RawText::from("parent")]);
        assert_eq!(plan.outside_children.len(), 1);
        load(&settings(server), &plan, &target).unwrap();
        let mut connection = connect(server);
        forward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &new);
        let broken = server.client("shop", "INSERT INTO child VALUES (7, 9)").unwrap_err().to_string();
        assert!(broken.contains("foreign key"), "{broken}");
        backward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &old);
        forward(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &new);
    });
}

#[test]
fn a_maintenance_flag_is_on_after_the_swap_and_changes_are_counted() {
    for_each_server(&ServerOptions::default(), |server| {
        let (report, target) = made(server, FAMILY);
        let new = picture(server, "shop");
        let patch = SettingPatch {
            table: "settings".into(),
            key: vec![("name".into(), "maintenance".into())],
            column: "value".into(),
            value: Some("1".into()),
        };
        let request = LoadRequest { maintenance_value: Some(patch), ..request(&report, "shop") };
        let plan = plan_load(&settings(server), &request).unwrap();
        let report = load(&settings(server), &plan, &target).unwrap();
        let mut connection = connect(server);
        forward(&mut connection, &plan).unwrap();
        let flag = server.client("shop", "SELECT value FROM settings").unwrap();
        assert_eq!(flag, b"value\n1\n");
        write_setting(&mut connection, &plan, report.former_setting.as_ref().unwrap()).unwrap();
        assert_same(&picture(server, "shop"), &new);
        let marks = mark_swap(&mut connection, &plan, &report).unwrap();
        assert_eq!(changed_since_swap(&mut connection, &plan, &marks).unwrap(), []);
        server.client("shop", "DELETE FROM child WHERE id = 2").unwrap();
        let changes = changed_since_swap(&mut connection, &plan, &marks).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].rows_then, changes[0].rows_now), (2, 1));
    });
}

#[test]
fn another_database_takes_the_dump_under_its_own_name() {
    for_each_server(&ServerOptions::default(), |server| {
        let (report, target) = made(server, FAMILY);
        let new = picture(server, "shop");
        server.client("", "CREATE DATABASE copy").unwrap();
        let plan = plan_load(&settings(server), &request(&report, "copy")).unwrap();
        load(&settings(server), &plan, &target).unwrap();
        let mut connection = connect(server);
        forward(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "copy"), &new);
        assert_same(&picture(server, "shop"), &new);
        assert!(matches!(
            plan_load(&settings(server), &request(&report, "nowhere")),
            Err(crate::Error::NoDatabase { .. })
        ));
    });
}

#[test]
fn accounts_do_what_their_rights_allow() {
    for_each_server(&ServerOptions::default(), |server| {
        let plain = "CREATE TABLE a (id INT NOT NULL PRIMARY KEY, b INT) ENGINE=InnoDB; INSERT INTO a VALUES (1,1),(2,2);
            CREATE VIEW v AS SELECT id FROM a;";
        let (report, target) = made(server, plain);
        let new = picture(server, "shop");
        server
            .client(
                "",
                "CREATE USER owner@localhost IDENTIFIED BY 'x'; GRANT ALL ON shop.* TO owner@localhost;
                 CREATE USER rows_only@localhost IDENTIFIED BY 'x';
                 GRANT SELECT, INSERT, UPDATE, DELETE, SHOW VIEW ON shop.* TO rows_only@localhost;",
            )
            .unwrap();
        server.client("shop", "DELETE FROM a; INSERT INTO a VALUES (3,3)").unwrap();
        let rows_only = settings_of(server, "rows_only", "x");
        let asked = request(&report, "shop");
        let refused = plan_load(&rows_only, &asked).unwrap_err().to_string();
        assert!(refused.contains("CREATE"), "{refused}");
        let asked = LoadRequest { in_place: InPlace::WhenNeeded, ..asked };
        let plan = plan_load(&rows_only, &asked).unwrap();
        assert!(plan.in_place.as_ref().unwrap().contains("CREATE"), "{:?}", plan.in_place);
        assert!(swap_steps(&plan).is_empty());
        load_in_place(&rows_only, &plan, &target, &Unwatched).unwrap();
        load_in_place(&rows_only, &plan, &target, &Unwatched).unwrap();
        assert_same(&picture(server, "shop"), &new);
        server.client("shop", "DELETE FROM a; ALTER TABLE a ADD COLUMN c INT").unwrap();
        let owner = settings_of(server, "owner", "x");
        let plan = plan_load(&owner, &asked).unwrap();
        assert_eq!(plan.in_place, None);
        load(&owner, &plan, &target).unwrap();
        let mut connection = Connection::open(&owner, None).unwrap();
        forward(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &new);
    });
}

#[test]
fn everything_in_place_is_exact_too_and_can_be_repeated() {
    for_each_server(&ServerOptions::default(), |server| {
        let shop = fixtures::two_states(server);
        let asked = LoadRequest { in_place: InPlace::Always, exact: false, ..request(&shop.report, "shop") };
        // Its constraints have names that the backup wants too; the test after this one is about that.
        server.client("shop", "DROP VIEW late_view; DROP TABLE added").unwrap();
        // Only names that stay what they are: in place, a view in the way of a table is for a person.
        server.client("shop", "DROP TABLE a_view; DROP VIEW ring_b").unwrap();
        let plan = plan_load(&settings(server), &asked).unwrap();
        for _ in 0..2 {
            load_in_place(&settings(server), &plan, &shop.target, &Unwatched).unwrap();
            let found = picture(server, "shop");
            let kept = found.without(|thing, _| !shop.new.things.contains_key(thing));
            assert_same(&kept, &shop.new);
        }
    });
}

#[test]
fn a_table_that_stays_keeps_its_constraint_names() {
    for_each_server(&ServerOptions::default(), |server| {
        let (report, target) = made(server, FAMILY);
        let stays = "RENAME TABLE child TO child_before; CREATE TABLE child (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB";
        server.client("shop", stays).unwrap();
        let old = picture(server, "shop");
        let asked = LoadRequest { exact: false, ..request(&report, "shop") };
        let plan = plan_load(&settings(server), &asked).unwrap();
        assert!(plan.warnings.iter().any(|warning| warning.contains("to_parent")), "{:?}", plan.warnings);
        load(&settings(server), &plan, &target).unwrap();
        let mut connection = connect(server);
        forward(&mut connection, &plan).unwrap();
        let definition = server.client("shop", "SHOW CREATE TABLE child").unwrap();
        let definition = String::from_utf8_lossy(&definition).into_owned();
        assert!(definition.contains("`to_parent_0a1b2c` FOREIGN KEY"), "{definition}");
        backward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &old);
    });
}

#[test]
fn a_row_larger_than_a_packet_is_loaded_all_the_same() {
    for_each_server(&ServerOptions::with(&["--max-allowed-packet=2M"]), |server| {
        let (report, target) = made(
            server,
            "CREATE TABLE big (id INT NOT NULL PRIMARY KEY, b LONGBLOB, t VARCHAR(10), e ENUM('x','y'), d DATE) ENGINE=InnoDB;
             INSERT INTO big VALUES (1, REPEAT(x'5C270A09001A', 150000), 'ä', 'y', '2024-02-29'), (2, 'small', NULL, NULL, NULL);
             UPDATE big SET b = CONCAT(b, REPEAT('x', 900000)) WHERE id = 1;
             CREATE TABLE many (id INT NOT NULL PRIMARY KEY, b BLOB) ENGINE=InnoDB;
             INSERT INTO many SELECT 1, REPEAT('z', 60000); INSERT INTO many SELECT id + 1, b FROM many;
             INSERT INTO many SELECT id + 2, b FROM many; INSERT INTO many SELECT id + 4, b FROM many;
             INSERT INTO many SELECT id + 8, b FROM many;",
        );
        let new = picture(server, "shop");
        server.client("", "SET GLOBAL max_allowed_packet=1048576").unwrap();
        let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
        load(&settings(server), &plan, &target).unwrap();
        let mut connection = connect(server);
        forward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &new);
        backward(&mut connection, &plan).unwrap();
        server.client("", "SET GLOBAL local_infile=0").unwrap();
        let refused = load(&settings(server), &plan, &target);
        assert!(refused.is_ok(), "what is aside and whole is kept");
        discard_aside(&settings(server), &plan).unwrap();
        let refused = load(&settings(server), &plan, &target).unwrap_err().to_string();
        assert!(refused.contains("max_allowed_packet"), "{refused}");
    });
}

/// The account of a function is gone, and with it whatever is built upon the function: told, and no obstacle to the rest.
#[test]
fn a_view_upon_the_function_of_an_account_that_is_gone_is_told() {
    for_each_server(&ServerOptions::default(), |server| {
        let sql = "CREATE DATABASE shop; CREATE USER gone@localhost; GRANT ALL ON *.* TO gone@localhost; USE shop; \
            CREATE DEFINER=gone@localhost FUNCTION owned() RETURNS INT DETERMINISTIC RETURN 1; \
            CREATE DEFINER=gone@localhost VIEW used AS SELECT owned() AS n; CREATE VIEW built AS SELECT n FROM used; \
            CREATE VIEW fine AS SELECT 2 AS n";
        server.client("", sql).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        server.client("", "DROP USER gone@localhost; DROP DATABASE shop; CREATE DATABASE shop").unwrap();
        let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
        load(&settings(server), &plan, &target).unwrap();
        let notes = forward(&mut connect(server), &plan).unwrap();
        for view in ["used", "built"] {
            let start = format!("view {view} is dropped: ");
            let told = notes.iter().any(|note| note.starts_with(&start) && note.contains("1449"));
            assert!(told, "{}: {notes:?}", server.kind().name());
        }
        assert_eq!(server.client("shop", "SELECT n FROM fine").unwrap(), b"n\n2\n");
        accept(&mut connect(server), &plan).unwrap();
    });
}
