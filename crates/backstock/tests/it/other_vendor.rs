//! A backup of one vendor's server restored on the other's, from the command line: the plan says what becomes of each object,
//! the report too, and what is called exact is so.

use backstock_testbed::{Server, ServerKind, ServerOptions, database};

use super::plain_shop::PlainShop;

/// The rows of a table through another client.
fn rows(server: &Server, name: &str, table: &str) -> String {
    let picture = database::read(&mut server.connect("").unwrap(), name).unwrap();
    picture.things[&format!("table {table}")]["rows"].clone()
}

/// Backs a shop up on one server with more in it and restores it on another; expects an exit code and these words.
fn over(from: ServerKind, to: ServerKind, more: &str, code: i32, planned: &[&str]) {
    let Some(shop) = PlainShop::new(from) else { return };
    let Some(server) = Server::for_test(to, &ServerOptions::default()) else { return };
    shop.server.client("plain", more).unwrap();
    shop.back_up();
    server.client("", "CREATE DATABASE plain; CREATE DATABASE other").unwrap();
    let (target, socket) = (shop.place.folder().join("elsewhere"), server.socket());
    let mut arguments = vec!["restore", "latest", "--to", target.to_str().unwrap(), "--database", "other"];
    arguments.extend(["--database-name", "plain", "--database-user", "root", "--database-socket"]);
    arguments.push(socket.to_str().unwrap());
    let with = |more: &'static str| [&arguments[..], &[more]].concat();
    let shown = shop.place.run(&with("--dry-run")).expect(0).stdout;
    for words in planned {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let listed = server.client("other", "SHOW TABLES").unwrap();
    assert!(listed.is_empty(), "a dry run made something: {listed:?}");
    let run = shop.place.run(&with("--yes")).expect(code);
    for words in &planned[1..] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    shop.place.run(&["restore", "--accept"]).expect(0);
    for table in ["item", "cart", "log_line", "special"] {
        assert_eq!(
            rows(&shop.server, "plain", table),
            rows(&server, "other", table),
            "{from:?} -> {to:?}: {table}"
        );
    }
    let refused = server.client("other", "INSERT INTO cart VALUES (999999, 999999)").unwrap_err().to_string();
    assert!(refused.contains("foreign key"), "{refused}");
    server.client("other", "INSERT INTO item (name) VALUES ('  trimmed ')").unwrap();
    let trimmed = server.client("other", "SELECT COUNT(*) FROM named WHERE name = 'trimmed'").unwrap();
    assert_eq!(trimmed, b"COUNT(*)\n1\n");
}

#[test]
fn a_backup_of_mariadb_is_restored_on_mysql() {
    let more = "CREATE SEQUENCE numbers; CREATE TABLE special (id UUID NOT NULL PRIMARY KEY, n INT DEFAULT NEXTVAL(numbers)) \
                ENGINE=InnoDB; INSERT INTO special (id) VALUES ('123e4567-e89b-12d3-a456-426655440000');";
    let planned =
        ["exact, 1 changed, 1 dropped", "column `id`: uuid becomes char(36)", "MySQL has no sequences"];
    over(ServerKind::MariaDb, ServerKind::MySql, more, 3, &planned);
}

#[test]
fn a_backup_of_mysql_is_restored_on_mariadb() {
    let more = "CREATE TABLE special (id INT NOT NULL PRIMARY KEY, doc JSON, KEY lowered ((id + 1))) ENGINE=InnoDB; \
                INSERT INTO special VALUES (1, '{\"a\": [1, 2]}');";
    let planned = ["exact, ", "JSON becomes a text that is checked", "a key over an expression is left out"];
    over(ServerKind::MySql, ServerKind::MariaDb, more, 0, &planned);
}
