//! Servers that demand a primary key of every table (C41) or make one (C40), and rows without their parents (C50).

use backstock_testbed::ServerKind;

use super::super::super::dump::tests::settings_of;
use super::*;

const KEYLESS: &str = "CREATE TABLE keyless (a INT, b VARCHAR(9), KEY a (a)) ENGINE=InnoDB;
    INSERT INTO keyless VALUES (1,'x'),(1,'x'),(NULL,NULL);
    CREATE TABLE keyed (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB; INSERT INTO keyed VALUES (5);";

/// The rows as a shop reads them.
fn rows(server: &Server) -> Vec<u8> {
    server.client("shop", "SELECT * FROM keyless ORDER BY a; SELECT * FROM keyed").unwrap()
}

#[test]
fn a_demanded_key_is_added_where_the_owner_agrees() {
    for_each_server(&ServerOptions::default(), |server| {
        let owner =
            "CREATE DATABASE shop; CREATE USER owner IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO owner;";
        server.client("", owner).unwrap();
        server.client("shop", KEYLESS).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        let old = picture(server, "shop");
        let before = rows(server);
        let demand =
            if server.kind().is_mysql() { "sql_require_primary_key" } else { "innodb_force_primary_key" };
        server.client("", format!("SET GLOBAL {demand}=1")).unwrap();
        let owner = settings_of(server, "owner", "p");
        let asked = request(&report, "shop");
        let refused = plan_load(&owner, &asked).unwrap_err().to_string();
        assert!(refused.contains(": keyless;") && refused.contains("--add-keys"), "{refused}");
        let plan = plan_load(&owner, &LoadRequest { invisible_keys: true, ..asked.clone() }).unwrap();
        assert_eq!(plan.added_keys, [crate::RawText::from("keyless")]);
        assert!(plan.warnings.iter().any(|line| line.contains("my_row_id")), "{:?}", plan.warnings);
        let lines = load(&owner, &plan, &target).unwrap().lines;
        assert!(matches!(&lines[..], [line] if line.contains("my_row_id")), "{lines:#?}");
        // What is aside and whole is kept.
        load(&owner, &plan, &target).unwrap();
        let mut connection = Connection::open(&owner, None).unwrap();
        forward(&mut connection, &plan).unwrap();
        assert_eq!(rows(server), before);
        let shown = server.client("shop", "SHOW CREATE TABLE keyless").unwrap();
        assert!(String::from_utf8_lossy(&shown).contains("PRIMARY KEY (`my_row_id`)"));
        backward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &old);
        discard_aside(&owner, &plan).unwrap();
        // Root may switch MySQL's demand off for its session, and then nothing is added.
        let plan = plan_load(&settings(server), &asked);
        assert_eq!(plan.is_ok_and(|plan| plan.added_keys.is_empty()), server.kind().is_mysql());
    });
}

#[test]
fn a_key_that_cannot_be_added_is_told_before_anything_happens() {
    let Some(server) = Server::for_test(ServerKind::MySql, &ServerOptions::default()) else { return };
    server
        .client(
            "",
            "CREATE DATABASE shop; CREATE USER owner IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO owner;",
        )
        .unwrap();
    let tables = "CREATE TABLE numbered (n INT NOT NULL AUTO_INCREMENT, KEY n (n)) ENGINE=InnoDB;
        CREATE TABLE parted (a INT) ENGINE=InnoDB PARTITION BY HASH (a) PARTITIONS 2;";
    server.client("shop", tables).unwrap();
    let (report, _) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
    server.client("", "SET GLOBAL sql_require_primary_key=1").unwrap();
    let asked = LoadRequest { invisible_keys: true, ..request(&report, "shop") };
    let refused = plan_load(&settings_of(&server, "owner", "p"), &asked).unwrap_err().to_string();
    assert!(refused.contains("cannot be given an invisible one: numbered, parted"), "{refused}");
}

/// C40: a server that makes keys by itself, for an account that cannot keep it from that.
#[test]
fn a_key_that_the_server_makes_is_told() {
    let Some(server) = Server::for_test(ServerKind::MySql, &ServerOptions::default()) else { return };
    server
        .client(
            "",
            "CREATE DATABASE shop; CREATE USER owner IDENTIFIED BY 'p'; GRANT ALL ON shop.* TO owner;",
        )
        .unwrap();
    server.client("shop", KEYLESS).unwrap();
    let (report, target) = dump_with(&settings(&server), &DumpRequest::whole("shop")).unwrap();
    let (old, before) = (picture(&server, "shop"), rows(&server));
    server.client("", "SET GLOBAL sql_generate_invisible_primary_key=1, sql_require_primary_key=1").unwrap();
    let owner = settings_of(&server, "owner", "p");
    let plan = plan_load(&owner, &request(&report, "shop")).unwrap();
    assert!(plan.warnings.iter().any(|line| line.contains("my_row_id: keyless")), "{:?}", plan.warnings);
    let lines = load(&owner, &plan, &target).unwrap().lines;
    assert!(matches!(&lines[..], [line] if line.contains("gives it the invisible key")), "{lines:#?}");
    let mut connection = Connection::open(&owner, None).unwrap();
    forward(&mut connection, &plan).unwrap();
    assert_eq!(rows(&server), before);
    // A dump of that table has the key and its values, and comes back as it is.
    let not_ours = plan.aside_names().into_iter().map(|name| name.0).collect();
    let (again, target) = dump_with(&owner, &DumpRequest { not_ours, ..DumpRequest::whole("shop") }).unwrap();
    backward(&mut connection, &plan).unwrap();
    assert_same(&picture(&server, "shop"), &old);
    discard_aside(&owner, &plan).unwrap();
    let plan = plan_load(&owner, &request(&again, "shop")).unwrap();
    assert_eq!(load(&owner, &plan, &target).unwrap().lines, Vec::<String>::new());
}

#[test]
fn rows_without_a_parent_are_counted_and_kept() {
    for_each_server(&ServerOptions::default(), |server| {
        server.client("", "CREATE DATABASE shop").unwrap();
        let tables = "SET foreign_key_checks=0;
            CREATE TABLE parent (id INT NOT NULL PRIMARY KEY, b INT NOT NULL, UNIQUE KEY u (id, b)) ENGINE=InnoDB;
            CREATE TABLE child (id INT NOT NULL PRIMARY KEY, p INT, b INT, CONSTRAINT pair FOREIGN KEY (p, b) REFERENCES \
                parent (id, b), CONSTRAINT own FOREIGN KEY (p) REFERENCES parent (id)) ENGINE=InnoDB;
            INSERT INTO parent VALUES (1,1),(2,2); INSERT INTO child VALUES (1,1,1),(2,2,1),(3,9,9),(4,NULL,9),(5,1,NULL);";
        server.client("shop", tables).unwrap();
        let before = picture(server, "shop");
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
        let plan = plan_load(&settings(server), &request(&report, "shop")).unwrap();
        let mut lines = load(&settings(server), &plan, &target).unwrap().lines;
        lines.sort();
        let wanted = [
            "table child: 1 rows have no parent in parent by the foreign key own; they are kept",
            "table child: 2 rows have no parent in parent by the foreign key pair; they are kept",
        ];
        assert_eq!(lines, wanted);
        forward(&mut connect(server), &plan).unwrap();
        assert_same(&picture(server, "shop"), &before);
    });
}
