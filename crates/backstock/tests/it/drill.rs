//! `drill`: a backup is restored into a scratch place, compared, and nothing of it is left, however it ends.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::{Place, Scene};
use super::plain_shop::{PASSWORD, PlainShop, walk};

/// The folder with the programs of the scene's own server.
pub(super) fn programs(server: &backstock_testbed::Server) -> String {
    server.programs().server().parent().unwrap().to_str().unwrap().to_owned()
}

/// The processes that have a folder below the place in their arguments as their data folder.
fn private_servers(place: &Place) -> Vec<u32> {
    let beginning = format!("--datadir={}", place.folder().display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if arguments.split(|byte| *byte == 0).any(|argument| argument.starts_with(beginning.as_bytes())) {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
    }
    found
}

#[track_caller]
pub(super) fn expect_nothing_left(place: &Place) {
    assert_eq!(walk(&place.state().join("drills")).keys().collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(walk(&place.state().join("leases")).len(), 0);
    assert_eq!(private_servers(place), Vec::<u32>::new());
}

fn schemas(shop: &PlainShop) -> String {
    String::from_utf8(shop.server.client("", "SHOW DATABASES LIKE 'backstock%'").unwrap()).unwrap()
}

fn check<'a>(report: &'a Value, what: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let found =
        checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("{what}: {checks:?}"));
    (found["state"].as_str().unwrap(), found["found"].as_str().unwrap())
}

#[test]
fn a_backup_is_proven_restorable_on_a_private_server_of_each_vendor() {
    for kind in ServerKind::KINDS {
        let Some(scene) = Scene::with_demo_shop(kind, 40) else { continue };
        scene.on_shop("backup", &[]).expect(0);
        let before = scene.picture();
        let kept = scene.place.folder().join("kept");
        let programs = programs(&scene.server);
        let arguments =
            ["drill", "--server-programs", &programs, "--report", kept.to_str().unwrap(), "--json"];
        let run = scene.place.run(&arguments).expect(0);
        let report = run.json();
        assert_eq!(report["schema"], "backstock.drill/1");
        assert_eq!(
            (&report["verdict"], &report["faults"]),
            (&"proven".into(), &serde_json::json!([])),
            "{report}"
        );
        assert_eq!(report["exceptions"], serde_json::json!([]));
        assert_eq!(check(&report, "active products"), ("found", "40"));
        assert_eq!(check(&report, "administrators"), ("found", "1"));
        assert!(check(&report, "newest order").1.contains("20"), "{report}");
        assert_eq!(check(&report, "address of the shop").0, "found");
        let shown = &scene.place.list()[0];
        assert_eq!(shown["drill"]["outcome"], "success");
        assert_eq!(
            (&shown["replicas"][0]["state"], &shown["drill"]["elapsed_ms"]),
            (&"verified".into(), &report["elapsed_ms"])
        );
        for command in [&["list"][..], &["show", "latest"][..]] {
            let told = scene.place.run(command).expect(0);
            assert!(told.stdout.contains("proven restorable on 20"), "{told:?}");
        }
        let tables = report["database"]["tables"].as_array().unwrap();
        assert!(tables.len() > 20 && report["database"]["rows"].as_u64().unwrap() > 200, "{report}");
        assert!(report["files"]["files"].as_u64().unwrap() > 20, "{report}");
        assert_eq!(
            serde_json::from_slice::<Value>(&fs::read(kept.join("report.json")).unwrap()).unwrap(),
            report
        );
        page(&fs::read_to_string(kept.join("report.html")).unwrap(), tables.len());
        scene.place.run(&arguments).expect_error(2, &["report.html is there already"]);
        assert_eq!(scene.picture(), before, "the shop itself is as it was");
        expect_nothing_left(&scene.place);
    }
}

/// The page needs nothing else, is well formed, and names every table.
fn page(html: &str, tables: usize) {
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    assert!(html.contains("Proven restorable on 20") && html.contains("@media print"));
    for outside in ["<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let tag = piece.split(['>', ' ', '\n']).next().unwrap();
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed)),
            None if tag.starts_with('!') || tag == "meta" => {}
            None => open.push(tag.to_owned()),
        }
    }
    assert_eq!(open, Vec::<String>::new());
    assert!(html.matches("<td><code>").count() >= tables, "every table stands in it");
}

/// A plain shop of a vendor, backed up, and what leads to its server's programs.
fn plain(kind: ServerKind) -> Option<(PlainShop, String)> {
    let shop = PlainShop::new(kind)?;
    let more = "CREATE EVENT plain.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM plain.log_line; \
                CREATE DEFINER=`owner`@`%` VIEW plain.defined AS SELECT name FROM plain.item; \
                CREATE DEFINER=`owner`@`%` FUNCTION plain.twice (n INT) RETURNS INT DETERMINISTIC RETURN 2 * n;";
    shop.server.client("plain", more).unwrap();
    shop.back_up();
    let programs = programs(&shop.server);
    Some((shop, programs))
}

/// On a server that is given, as an account that may make schemas and nothing that others have.
#[test]
fn a_schema_on_a_given_server_serves_too_and_is_dropped() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some((shop, _)) = plain(kind) else { continue };
        let socket = shop.server.socket().to_str().unwrap().to_owned();
        let given = ["--server-socket", &socket, "--server-user"];
        let kept = shop.place.folder().join("kept");
        let mut arguments = vec!["drill", "--json", "--report", kept.to_str().unwrap()];
        arguments.extend(given);
        arguments.push("root");
        let report = shop.place.run(&arguments).expect(0).json();
        assert_eq!(
            (&report["verdict"], &report["faults"]),
            (&"proven".into(), &serde_json::json!([])),
            "{report}"
        );
        assert!(report["database"]["server"].as_str().unwrap().ends_with("(given)"));
        assert_eq!(report["checks"], serde_json::json!([]), "of a plain folder nothing is known");
        assert_eq!(schemas(&shop), "");
        expect_nothing_left(&shop.place);
        // An account that may not make a schema is told so, and its password stands nowhere.
        let mut refused = vec!["drill", "--server-password-file", "password"];
        refused.extend(given);
        refused.push("owner");
        shop.place.run(&refused).expect_error(1, &["making the scratch database", "denied"]);
        expect_nothing_left(&shop.place);
        for name in ["report.html", "report.json"] {
            assert!(!fs::read_to_string(kept.join(name)).unwrap().contains(PASSWORD));
        }
        for (name, _) in walk(&shop.place.state()) {
            let bytes = fs::read(shop.place.state().join(&name)).unwrap_or_default();
            assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{name}");
        }
    }
}

fn flip(file: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn a_damaged_backup_is_not_called_restorable() {
    let Some((shop, programs)) = plain(ServerKind::MariaDb) else { return };
    let backup = shop.place.newest_backup();
    let drill = || shop.place.run(&["drill", "--server-programs", &programs, "--json"]);
    for part in ["db/db.sql.zst", "files/files.tar.zst", "db/index.zst", "manifest.json"] {
        let file = backup.join(part);
        let at = fs::metadata(&file).unwrap().len() / 2;
        flip(&file, at);
        let report = drill().expect(13).json();
        assert_eq!(
            (&report["verdict"], &report["is_damaged"]),
            (&"not-restorable".into(), &true.into()),
            "{part}"
        );
        assert!(!report["faults"].as_array().unwrap().is_empty(), "{part}: {report}");
        let listed = &shop.place.list()[0];
        assert_eq!(
            (&listed["replicas"][0]["state"], &listed["drill"]["outcome"]),
            (&"damaged".into(), &"failed".into())
        );
        flip(&file, at);
        expect_nothing_left(&shop.place);
    }
    let person = shop.place.run(&["list"]).expect(0);
    assert!(person.stdout.contains("not restorable in the drill of"), "{person:?}");
    drill().expect(0);
    let listed = &shop.place.list()[0];
    assert_eq!(
        (&listed["replicas"][0]["state"], &listed["drill"]["outcome"]),
        (&"verified".into(), &"success".into())
    );
}

#[test]
fn a_server_that_dies_ends_the_drill_and_says_nothing_about_the_backup() {
    let Some((shop, programs)) = plain(ServerKind::MariaDb) else { return };
    let arguments = ["drill", "--server-programs", &programs];
    let run = shop.place.paused("drill.server_started", 5000, &arguments, |_| {
        for process in private_servers(&shop.place) {
            let sent = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
            assert!(sent.unwrap().success());
        }
    });
    run.expect_error(1, &["database server"]);
    let listed = &shop.place.list()[0];
    assert_eq!((&listed["replicas"][0]["state"], &listed["drill"]), (&"present".into(), &Value::Null));
    expect_nothing_left(&shop.place);
}

/// Kills and stops the drill at each of its points, on a private server and in a schema of a given one.
#[test]
fn nothing_is_left_of_a_drill_that_is_killed_or_stopped() {
    let Some((shop, programs)) = plain(ServerKind::MariaDb) else { return };
    let socket = shop.server.socket().to_str().unwrap().to_owned();
    let private = ["drill", "--server-programs", &programs];
    let given = ["drill", "--server-socket", &socket, "--server-user", "root"];
    for (arguments, points) in [
        (&private[..], &["drill.prepared", "drill.server_started", "drill.extracted"][..]),
        (&given[..], &["drill.server_started", "drill.loaded", "drill.before_removal"][..]),
    ] {
        for point in points {
            shop.place.run_with(&format!("{point}=kill:1"), arguments).expect_killed();
            assert_ne!(walk(&shop.place.state().join("drills")).len(), 0, "{point}");
            shop.place.run(&["list"]).expect(0);
            // The lease of the dead one goes with the next prune.
            shop.place.run(&["prune", "--yes"]).expect(0);
            expect_nothing_left(&shop.place);
            assert_eq!(schemas(&shop), "", "{point}");
        }
        let run = shop.place.paused("drill.loaded", 5000, arguments, |process| {
            // A start beside it leaves it alone.
            shop.place.run(&["list"]).expect(0);
            let sent = Command::new("kill").args(["-INT", &process.to_string()]).status();
            assert!(sent.unwrap().success());
        });
        run.expect_error(130, &["stopped"]);
        expect_nothing_left(&shop.place);
        assert_eq!(schemas(&shop), "");
    }
    // While it is drilled it stays, and a backup may be made meanwhile.
    let id = shop.place.list()[0]["backup"].as_str().unwrap().to_owned();
    let run = shop.place.paused("drill.loaded", 12_000, &given, |_| {
        shop.back_up();
        shop.place.run(&["delete", &id, "--yes"]).expect_error(15, &["somebody reads it just now"]);
    });
    run.expect(0);
}

#[test]
fn what_is_missing_for_a_drill_is_named() {
    let Some((shop, programs)) = plain(ServerKind::MariaDb) else { return };
    let empty = shop.place.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    shop.place
        .run(&["drill", "--server-programs", empty])
        .expect_error(1, &["no database server's program", empty, "--server-programs", "--server-socket"]);
    let published = shop.root().join("scratch").to_str().unwrap().to_owned();
    shop.place
        .run(&["drill", "--server-programs", &programs, "--scratch", &published])
        .expect_error(15, &["may not be kept there", "--scratch"]);
    assert!(!Path::new(&published).exists());
    shop.place.run(&["drill", "nonesuch"]).expect_error(10, &["nonesuch"]);
    expect_nothing_left(&shop.place);
    // Files alone need no server; a place of one's own is left as it was.
    let place = Place::new();
    let (root, own) = (place.folder().join("shop"), place.folder().join("own"));
    for folder in [&root, &own] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(root.join("page"), "hello").unwrap();
    place.run(&["backup", root.to_str().unwrap()]).expect(0);
    let report = place.run(&["drill", "--scratch", own.to_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!((&report["verdict"], &report["files"]["files"]), (&"proven".into(), &1.into()));
    assert_eq!((&report["database"], walk(&own).len()), (&Value::Null, 0));
    // Of a chain each file is read from where it lies.
    fs::write(root.join("second"), "world").unwrap();
    place.run(&["backup", root.to_str().unwrap(), "--level", "incremental"]).expect(0);
    let report = place.run(&["drill", "--json"]).expect(0).json();
    assert_eq!((&report["level"], &report["verdict"]), (&"incremental".into(), &"proven".into()));
    assert_eq!(report["files"]["files"], 2);
    expect_nothing_left(&place);
}

#[test]
fn a_shop_without_an_administrator_is_proven_with_that_exception() {
    let Some(scene) = Scene::with_demo_shop(ServerKind::MariaDb, 10) else { return };
    let ruin = "DELETE FROM oc_user; DELETE FROM oc_order; DELETE FROM oc_order_history; UPDATE oc_product SET status = 0;";
    let database = scene
        .server
        .client("", "SELECT table_schema FROM information_schema.tables WHERE table_name = 'oc_user'");
    let text = String::from_utf8(database.unwrap()).unwrap();
    scene.server.client(text.lines().last().unwrap(), ruin).unwrap();
    scene.on_shop("backup", &[]).expect(0);
    let report =
        scene.place.run(&["drill", "--server-programs", &programs(&scene.server), "--json"]).expect(3).json();
    assert_eq!(report["verdict"], "proven-except");
    assert_eq!(check(&report, "administrators"), ("missing", "there is none"));
    assert_eq!(check(&report, "newest order"), ("none", "none, as in the backup"));
    assert_eq!(check(&report, "active products"), ("missing", "none, though oc_product has 10 rows"));
    let exceptions = report["exceptions"].as_array().unwrap();
    assert_eq!(exceptions.len(), 2, "{exceptions:?}");
    assert_eq!(scene.place.list()[0]["replicas"][0]["state"], "verified", "all that the backup has is there");
}
