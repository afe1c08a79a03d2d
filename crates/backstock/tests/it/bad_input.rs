//! What goes wrong outside: each a clear error with the documented exit code, nothing lost, nothing left over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use backstock_testbed::torture_database::{build_cases, create_accounts};
use backstock_testbed::{Server, ServerKind, ServerOptions};
use mysql::prelude::Queryable;

use super::harness::{Place, Run};
use super::plain_shop::{PASSWORD, PlainShop, leftovers, walk};

/// Replaces the value of one flag.
fn with<'a>(arguments: &[&'a str], flag: &str, value: &'a str) -> Vec<&'a str> {
    let mut arguments = arguments.to_vec();
    let at = arguments.iter().position(|argument| *argument == flag).unwrap();
    arguments[at + 1] = value;
    arguments
}

#[test]
fn a_database_that_cannot_be_had_is_a_clear_error() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let place = &shop.place;
    fs::write(place.folder().join("wrong"), "guessed").unwrap();
    let arguments = shop.backup_arguments(&[]);
    let run = |arguments: &[&str], words: &[&str]| {
        let run = place.run(arguments).expect_error(1, words);
        assert!(!run.stderr.contains(PASSWORD) && !run.stderr.contains("guessed"), "{}", run.stderr);
        assert_eq!(place.list().len(), 1);
        assert_eq!(leftovers(place), Vec::<String>::new());
    };
    let wrong = with(&arguments, "--database-password-file", "wrong");
    run(&wrong, &["because: cannot log in", "owner", "error 1045", "hint: check the account"]);
    let gone = with(&arguments, "--database-socket", "/nowhere/mysql.sock");
    run(
        &gone,
        &["because: cannot reach the database server at", "/nowhere/mysql.sock", "hint: check that the"],
    );
    run(&with(&arguments, "--database-name", "other"), &["other", "hint: check "]);
    let mut by_port: Vec<&str> = with(&arguments, "--database-socket", "127.0.0.1");
    let at = by_port.iter().position(|argument| *argument == "--database-socket").unwrap();
    by_port[at] = "--database-host";
    by_port.extend(["--database-port", "9"]);
    run(&by_port, &["cannot reach the database server at 127.0.0.1:9"]);
    let missing = with(&arguments, "--database-password-file", "no such file");
    run(&missing, &["reading the password file no such file"]);
    // A picker that picks nothing is a mistake, not an empty backup.
    let mut nothing = arguments.clone();
    nothing.extend(["--table", "nosuch"]);
    place.run(&nothing).expect_error(10, &["no table of plain is called nosuch"]);
    assert_eq!((place.list().len(), leftovers(place)), (1, Vec::new()));
    // Nor is a database that holds nothing a whole one.
    shop.server.client("", "CREATE DATABASE hollow; GRANT ALL ON hollow.* TO owner;").unwrap();
    let hollow = place.run(&with(&arguments, "--database-name", "hollow")).expect(3);
    assert!(hollow.stderr.contains("hollow: it holds nothing at all"), "{}", hollow.stderr);
    shop.server.stop();
    place.run(&arguments).expect_error(1, &["cannot reach the database server"]);
    assert_eq!((place.list().len(), leftovers(place)), (2, Vec::new()));
}

#[test]
fn things_that_are_not_there_are_named() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir(&shop).unwrap();
    fs::write(shop.join("a"), "a").unwrap();
    place.run(&["backup", "/nowhere/at/all"]).expect_error(10, &["/nowhere/at/all"]);
    place.run(&["detect", "/nowhere/at/all"]).expect_error(10, &["/nowhere/at/all"]);
    place.run(&["backup", shop.join("a").to_str().unwrap()]).expect_error(10, &["is not a folder"]);
    place.run(&["backup", "unknown-shop"]).expect_error(10, &["unknown-shop"]);
    for command in ["show", "verify"] {
        place.run(&[command, "latest"]).expect_error(10, &["there is no backup yet", "hint: "]);
    }
    place.run(&["backup", shop.to_str().unwrap()]).expect(0);
    for id in ["ffffffff", "no-such-id", "'; DROP TABLE backup; --", ""] {
        for command in [&["show", id][..], &["verify", id], &["restore", id, "--yes"]] {
            place.run(command).expect_error(10, &["hint: `backstock list`"]);
        }
    }
    for flag in ["--exclude", "--table", "--exclude-table"] {
        let files_alone = if flag == "--exclude" { "files" } else { "database" };
        let by_hand = ["--database-name", "x", "--database-user", "y", "--only", files_alone];
        let arguments = [&["backup", shop.to_str().unwrap(), flag, "["], &by_hand[..]].concat();
        place.run(&arguments).expect_error(2, &["\"[\""]);
    }
    place.run(&["backup"]).expect_error(2, &["--database-name", "hint: "]);
    place.run(&["backup", shop.to_str().unwrap(), "--only", "database"]).expect_error(2, &["hint: "]);
    place.run(&["catalog", "rebuild", "/nowhere"]).expect_error(10, &["/nowhere"]);
    fs::write(place.configuration(), "bakcups = \"/x\"\n").unwrap();
    place.run(&["list"]).expect_error(2, &["bakcups", "backstock.toml"]);
}

#[test]
fn backups_are_not_kept_where_a_web_server_shows_them() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir_all(shop.join("inside")).unwrap();
    fs::write(shop.join("a"), "a").unwrap();
    let hosting = place.folder().join("public_html/x");
    fs::create_dir_all(&hosting).unwrap();
    let link = place.folder().join("innocent");
    std::os::unix::fs::symlink(shop.join("inside"), &link).unwrap();
    let root = shop.to_str().unwrap();
    // What a web server follows: a published folder that is a link to somewhere harmless.
    let published = place.folder().join("htdocs");
    fs::create_dir(place.folder().join("harmless")).unwrap();
    std::os::unix::fs::symlink(place.folder().join("harmless"), &published).unwrap();
    let bad =
        [shop.clone(), shop.join("inside/deep"), hosting.clone(), link.join("backups"), published.join("b")];
    for folder in bad {
        place
            .run(&["backup", root, "--to", folder.to_str().unwrap()])
            .expect_error(15, &["backups may not be kept there", "hint: "]);
    }
    assert_eq!(walk(&shop).into_keys().collect::<Vec<_>>(), ["a", "inside"]);
    // The spool holds what the backups hold.
    let state = shop.join("inside/state");
    let arguments = ["backup", root, "--state", state.to_str().unwrap()];
    place.run(&arguments).expect_error(15, &["state may not be kept there", "--state"]);
    assert!(!state.exists());
    assert_eq!(walk(&hosting).len(), 0);
    assert_eq!(place.list().len(), 0);
}

/// A disk that fills up while a run writes: the reserve stays free, and nothing is left. A mount of its own needs root.
#[test]
fn a_disk_that_fills_up_keeps_its_reserve() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir(&shop).unwrap();
    let noise = Command::new("sh")
        .args(["-c", "head -c 40000000 /dev/urandom > \"$1\"/noise.jpg", "sh"])
        .arg(&shop)
        .status()
        .unwrap();
    assert!(noise.success());
    for folder in ["state", "backups"] {
        let script = "mkdir -p \"$1\" && mount -t tmpfs -o size=80m none \"$1\" && shift && \"$@\"; code=$?; \
                      df --output=avail -k \"$MOUNTED\" | tail -1; find \"$MOUNTED\" -type f -size +200k ! -name 'catalog.*'; exit $code";
        let mounted = place.folder().join(folder);
        let mut through = Command::new("unshare");
        through.args(["-m", "sh", "-c", script, "sh"]).arg(&mounted).env("MOUNTED", &mounted);
        let run = place.run_through(through, &["backup", shop.to_str().unwrap()]);
        let code = run.code;
        assert!(matches!(code, Some(1 | 14)), "{folder}: {run:?}");
        let run = run.expect_error(code.unwrap(), &["hint: make room on that disk"]);
        // What is printed last: free KiB, and files that are too large to be anything but leftovers.
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "{folder}: {lines:?}");
        let free: u64 = lines[0].trim().parse().unwrap();
        assert!(free > 64 * 1024, "{folder}: {free} KiB are free");
        let _ = fs::remove_dir_all(place.state());
        let _ = fs::remove_dir_all(place.backups());
    }
}

/// The accounts of every level of rights: complete, or partial with every missing right named.
fn accounts_are_complete_or_name_what_is_missing(kind: ServerKind) {
    let Some(server) = Server::for_test(kind, &ServerOptions { binary_log: false, ..Default::default() })
    else {
        return;
    };
    build_cases(&server, "rights", |case| ["C68", "C70"].contains(&case.number)).unwrap();
    server
        .client(
            "rights",
            "CREATE TRIGGER tr BEFORE INSERT ON c70_five FOR EACH ROW SET @a=1;\n\
             CREATE VIEW vw AS SELECT * FROM c70_five;\nCREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;\n",
        )
        .unwrap();
    let place = Place::new();
    let accounts = create_accounts(&server, "rights").unwrap();
    // A shop's own routines: those of others no account sees without a right beyond the schema.
    server
        .connect_as("rights", "bk_schema", accounts[0].password)
        .unwrap()
        .query_drop("CREATE PROCEDURE pr() SELECT 1")
        .unwrap();
    let everyone = accounts.iter().map(|account| (account.user, account.password, account.is_enough));
    let mut named = std::collections::BTreeMap::new();
    for (user, password, is_enough) in everyone.chain([("root", "", true)]) {
        fs::write(place.folder().join("password"), password).unwrap();
        let socket = server.socket();
        let mut arguments = vec!["backup", "--database-name", "rights", "--database-user", user];
        arguments.extend(["--database-password-file", "password", "--database-socket"]);
        arguments.extend([socket.to_str().unwrap(), "--json"]);
        let run = place.run(&arguments);
        assert!(!password.is_empty() || user == "root");
        assert!(password.is_empty() || !format!("{}{}", run.stdout, run.stderr).contains(password));
        let report = run.json();
        let problems = report["problems"].as_array().unwrap();
        let missing = problems.iter().filter(|problem| problem["is_exception"] == true);
        let words: Vec<String> =
            missing.map(|problem| problem["message"].as_str().unwrap().to_owned()).collect();
        let complete = words.is_empty();
        assert_eq!(run.code, Some(if complete { 0 } else { 3 }), "{user}: {}", run.stderr);
        assert_eq!(report["content"] == "whole", complete, "{user}");
        assert!(!is_enough || complete || user == "bk_reader", "{kind:?} {user}: {words:#?}");
        assert!(is_enough || !complete, "{kind:?} {user} cannot see everything");
        assert!(words.iter().all(|words| !words.is_empty()));
        let listed = place.list();
        let newest = &listed[0];
        assert_eq!(newest["exceptions"].as_u64().unwrap(), words.len() as u64);
        named.insert(user, words.join("\n"));
        place.run(&["verify", newest["backup"].as_str().unwrap()]).expect(0);
    }
    for right in ["TRIGGER", "EVENT", "SHOW VIEW"] {
        assert!(named["bk_select"].contains(right), "{kind:?}: {right} is not in {}", named["bk_select"]);
    }
}

#[test]
fn accounts_are_complete_or_name_what_is_missing_on_mariadb() {
    accounts_are_complete_or_name_what_is_missing(ServerKind::MariaDb);
}

#[test]
fn accounts_are_complete_or_name_what_is_missing_on_mysql() {
    accounts_are_complete_or_name_what_is_missing(ServerKind::MySql);
}

/// Files that the account may not read: whole except them, partial, and named. Root reads everything: become nobody.
#[test]
fn an_unreadable_file_makes_the_backup_partial() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir(&shop).unwrap();
    for name in ["readable", "secret", "locked/inside"] {
        fs::create_dir_all(shop.join(name).parent().unwrap()).unwrap();
        fs::write(shop.join(name), name).unwrap();
    }
    fs::set_permissions(shop.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(shop.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let run = place.run_as_nobody(&["backup", shop.to_str().unwrap(), "--json"]).expect(3);
    let report = run.json();
    assert_eq!(report["content"], "whole-except");
    let problems = report["problems"].as_array().unwrap().iter();
    let mut named: Vec<&str> = problems.map(|problem| problem["subject"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["locked", "secret"]);
    assert_eq!(place.list()[0]["exceptions"], 2);
    place.run(&["verify"]).expect(0);
    fs::set_permissions(shop.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// Configuration files are read, never run; what they do not tell is asked for.
#[test]
fn a_hostile_configuration_file_harms_nothing() {
    let place = Place::new();
    let mark = place.folder().join("executed");
    let hostile = [
        format!(
            "<?php system('touch {0}'); `touch {0}`; define('DB_DATABASE', file_get_contents('/etc/passwd'));",
            mark.display()
        ),
        format!("<?php define('DB_HOSTNAME', {}'x'{});", "(".repeat(20_000), ")".repeat(20_000)),
        format!("<?php define('DB_HOSTNAME', {}'x');", "'a'.".repeat(200_000)),
        "<?php define('DB_DATABASE', DB_DATABASE); define('DB_USERNAME', eval('return 1;')); while(true){}"
            .to_owned(),
        "\0\u{1}\u{202e}<?php define(".to_owned(),
        String::new(),
        "x".repeat(40_000_000),
    ];
    for (number, text) in hostile.iter().enumerate() {
        let shop = place.folder().join(format!("shop-{number}"));
        for folder in ["admin", "catalog/controller", "system/engine", "system/library", "image"] {
            fs::create_dir_all(shop.join(folder)).unwrap();
        }
        fs::write(shop.join("index.php"), "<?php define('VERSION', '4.0.2.3'); require_once('config.php');")
            .unwrap();
        fs::write(shop.join("system/startup.php"), "<?php").unwrap();
        for file in ["config.php", "admin/config.php"] {
            fs::write(shop.join(file), text).unwrap();
        }
        let root = shop.to_str().unwrap();
        let detected = place.run(&["detect", root]);
        assert!(matches!(detected.code, Some(0 | 2 | 3 | 10)), "{number}: {detected:?}");
        assert!(!detected.stderr.contains("panicked"), "{number}: {}", detected.stderr);
        assert!(!detected.stdout.contains('\u{202e}') && !detected.stdout.contains("root:x:0"), "{number}");
        place.run(&["backup", root]).expect_error(2, &["hint: give --database-name"]);
        assert_eq!(place.list().len(), number, "{number}");
        place.run(&["backup", root, "--only", "files"]).expect(0);
    }
    assert!(!mark.exists());
    assert_eq!(leftovers(&place), Vec::<String>::new());
}

/// A table that goes away while the dump runs: tried again without it, or a clear error; never a torn backup.
#[cfg(feature = "failpoints")]
#[test]
fn a_table_that_disappears_tears_nothing() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(shop) = PlainShop::new(kind) else { continue };
        let log = shop.place.folder().join("paused.log");
        let child = shop
            .place
            .command(&shop.backup_arguments(&["--only", "database"]))
            .env("BACKSTOCK_FAILPOINT", "backup.frame=sleep:1:1500")
            .env("BACKSTOCK_FAILPOINT_LOG", &log)
            .spawn()
            .unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !fs::read_to_string(&log).is_ok_and(|text| text.contains("backup.frame")) {
            assert!(std::time::Instant::now() < until, "the dump did not begin");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let before = std::time::Instant::now();
        let mut connection = shop.server.connect("plain").unwrap();
        connection.query_drop("DROP TABLE log_line").unwrap();
        let waited = before.elapsed();
        assert!(waited < std::time::Duration::from_secs(4), "{kind:?}: the shop waited {waited:?}");
        Run::of(&child.wait_with_output().unwrap()).expect(0);
        shop.place.run(&["verify"]).expect(0);
        let shown = shop.place.run(&["show", "latest", "--contents", "--json"]).expect(0).json();
        let tables = shown["tables"].as_array().unwrap();
        let rows = |name: &str| {
            tables.iter().find(|table| table["name"] == name).map(|table| table["rows"].as_u64())
        };
        assert_eq!(rows("item"), Some(Some(84)));
        assert!(rows("log_line").is_none_or(|rows| rows == Some(1)), "{kind:?}: {tables:?}");
    }
}

/// No secret in any file that the program writes or in any word that it says.
#[test]
fn no_password_is_ever_written_or_said() {
    let Some(scene) = super::harness::Scene::with_demo_shop(ServerKind::MariaDb, 10) else { return };
    let secret = "it's a demo";
    let mut said = Vec::new();
    let root = scene.root();
    for arguments in [
        &["detect", &root][..],
        &["detect", &root, "--json"],
        &["backup", &root, "--dry-run"],
        &["backup", &root],
        &["list", "--json"],
        &["show", "latest", "--contents", "--json"],
        &["verify"],
    ] {
        said.push(scene.place.run(arguments).expect(0));
    }
    let plan = scene.place.run(&["restore", "latest", "--dry-run"]).expect(0);
    let restored = scene.place.run(&["restore", "latest", "--yes", "--without-maintenance"]).expect(0);
    said.extend([plan, restored]);
    for run in &said {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }
    let mut looked = 0;
    for folder in [scene.place.state(), scene.place.backups()] {
        for name in walk(&folder).into_keys() {
            let path = folder.join(&name);
            if path.is_file() && !name.ends_with("files.tar.zst") {
                assert!(!holds(&path, secret), "{}", path.display());
                looked += 1;
            }
        }
    }
    assert!(looked > 10, "{looked}");
    assert!(holds(&scene.shop.root().join("config.php"), secret), "the search finds what is there");
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = if path.extension().is_some_and(|extension| extension == "zst") {
        Command::new("zstd").arg("-dcf").arg(path).output().unwrap().stdout
    } else {
        fs::read(path).unwrap()
    };
    // In JSON and PHP a quote may be escaped.
    let unescaped: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\\').collect();
    unescaped.windows(text.len()).any(|window| window == text.as_bytes())
}
