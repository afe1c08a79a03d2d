//! The main job: what the executable backs up comes back whole through stock tools, and through its own restore.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstock_testbed::demo_shop::{DATABASE, DemoShop};
use backstock_testbed::torture_database::{self, Survives};
use backstock_testbed::{Server, ServerKind, ServerOptions, Snapshot, assert_same, database, tree};
use mysql::prelude::Queryable;

use super::harness::{Place, Scene};

/// Decompresses with a stock program and feeds the stock client. All parts of the file are put together before.
fn load_with_stock_tools(server: &Server, program: &str, file: &Path, database: &str) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("cat \"$0\"* | {program} -dc")])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    server.client_from(database, child.stdout.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success(), "{program} {}", file.display());
}

/// Extracts with stock tar. All parts of the archive are put together before.
fn untar(options: &[&str], archive: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    let script = "into=$1; shift; cat \"$0\"* | tar \"$@\" -xpf - -C \"$into\"";
    let output =
        Command::new("sh").args(["-c", script]).arg(archive).arg(into).args(options).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tar: {errors}");
}

/// Loads a backup of the demo shop with stock tools into an empty database and an empty folder, and gives the picture.
pub(crate) fn through_stock_tools(scene: &Scene, backup: &Path, codec: &str) -> Snapshot {
    chain_through_stock_tools(scene, &[backup.to_owned()], codec, codec)
}

/// The same for a backup that builds on others: their files, the full one's first, and its own database. All of it goes into
/// an empty folder of that name.
pub(crate) fn chain_through_stock_tools(
    scene: &Scene,
    chain: &[PathBuf],
    codec: &str,
    into: &str,
) -> Snapshot {
    let (program, sql, tar, archive): (_, _, &[&str], _) = match codec {
        "zstd" => ("zstd", "db/db.sql.zst", &["--zstd"], "files/files.tar.zst"),
        _ => ("gzip", "db/db.sql.gz", &["-z"], "files/files.tgz"),
    };
    scene
        .server
        .client("", format!("DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;"))
        .unwrap();
    load_with_stock_tools(&scene.server, program, &chain.last().unwrap().join(sql), DATABASE);
    let copy = DemoShop { folder: scene.place.folder().join(into), ..scene.shop.clone() };
    for backup in chain {
        let follows: &[&str] = if chain.len() > 1 { &["--incremental"] } else { &[] };
        untar(&[follows, tar].concat(), &backup.join(archive), &copy.root());
    }
    let outside = copy.root().join("@outside");
    let storage: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(storage.len(), 1, "{storage:?}");
    fs::rename(&storage[0], copy.storage()).unwrap();
    // Taking the outside folder away changes the time of the folder that it lay in.
    let modified = fs::metadata(scene.shop.root()).unwrap().modified().unwrap();
    fs::remove_dir(&outside).unwrap();
    fs::File::open(copy.root()).unwrap().set_modified(modified).unwrap();
    copy.picture().unwrap()
}

fn transient_rows(scene: &Scene) -> u64 {
    let mut connection = scene.server.connect(DATABASE).unwrap();
    connection.query_first("SELECT COUNT(*) FROM oc_session").unwrap().unwrap()
}

fn stock_tools_bring_the_demo_shop_back(kind: ServerKind) {
    let Some(scene) = Scene::with_demo_shop(kind, 90) else { return };
    let before = scene.picture();
    assert!(before.things.len() > 300 && transient_rows(&scene) > 0);
    let mut backups = Vec::new();
    for codec in ["zstd", "gzip"] {
        scene.on_shop("backup", &["--codec", codec]).expect(0);
        backups.push((codec, scene.place.newest_backup()));
        scene.place.run(&["verify", "--level", "decoded"]).expect(0);
    }
    assert_same(&scene.picture(), &before);
    for (codec, backup) in backups {
        assert_same(&through_stock_tools(&scene, &backup, codec), &before);
        // The structure of a session table is kept, its rows are left out; so are the folders of caches.
        assert_eq!(transient_rows(&scene), 0);
        let copy = scene.place.folder().join(codec);
        let cached = fs::read_dir(copy.join("www/shop/image/cache")).unwrap().count();
        assert!(cached <= 1, "{cached} entries in the image cache");
    }
}

#[test]
fn stock_tools_bring_the_demo_shop_back_on_mariadb() {
    stock_tools_bring_the_demo_shop_back(ServerKind::MariaDb);
}

#[test]
fn stock_tools_bring_the_demo_shop_back_on_mariadb_11_8() {
    stock_tools_bring_the_demo_shop_back(ServerKind::MariaDb118);
}

#[test]
fn stock_tools_bring_the_demo_shop_back_on_mysql() {
    stock_tools_bring_the_demo_shop_back(ServerKind::MySql);
}

/// Every case of the torture database that a stock client can load and the whole torture tree, in one shop: out
/// through the executable, back through stock tools and through the executable.
fn the_torture_shop_survives(kind: ServerKind) {
    let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { return };
    let place = Place::new();
    let shop = place.folder().join("shop");
    backstock_testbed::torture_tree::build(&shop).unwrap();
    torture_database::build(&server, "torture", Survives::StockClient).unwrap();
    let pictures = || {
        let rows = database::read(&mut server.connect("").unwrap(), "torture").unwrap();
        (rows.without(|thing, _| database::is_set_aside(thing)), tree::read(&shop).unwrap())
    };
    let (rows, files) = pictures();
    let socket = server.socket();
    let with_database = ["--database-name", "torture", "--database-user", "root", "--database-socket"];
    let mut arguments = vec!["backup", shop.to_str().unwrap()];
    arguments.extend(with_database);
    arguments.push(socket.to_str().unwrap());
    place.run(&arguments).expect(0);
    let backup = place.newest_backup();
    server.client("", "CREATE DATABASE back CHARACTER SET utf8mb4").unwrap();
    load_with_stock_tools(&server, "zstd", &backup.join("db/db.sql.zst"), "back");
    assert_same(&database::read(&mut server.connect("").unwrap(), "back").unwrap(), &rows);
    let extracted = place.folder().join("extracted");
    // No path that the kernel takes in one call leads to the bottom of `deep`: tar cannot make it, our restore can.
    let tar = ["--zstd", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--exclude=deep"];
    untar(&tar, &backup.join("files/files.tar.zst"), &extracted);
    // Sockets, fifos and devices are named, not kept.
    let not_kept = |thing: &str, aspect: &str| {
        let kind = files.things.get(thing).and_then(|aspects| aspects.get("kind"));
        let is_kept = kind.is_none_or(|kind| matches!(kind.as_str(), "file" | "folder" | "link"));
        !is_kept || (thing == "file ." && aspect == "modified")
    };
    let by_tar = |thing: &str, aspect: &str| not_kept(thing, aspect) || thing.starts_with("file ./deep");
    assert_same(&tree::read(&extracted).unwrap().without(by_tar), &files.without(by_tar));

    ruin(&server, &shop);
    place.run(&["restore", "latest", "--yes", "--without-maintenance", "--exact", "--setuid"]).expect(0);
    place.run(&["restore", "--accept", "--yes"]).expect(0);
    let (rows_now, files_now) = pictures();
    assert_same(&rows_now, &rows);
    assert_same(&files_now.without(not_kept), &files.without(not_kept));
    for folder in [&shop, &extracted] {
        backstock_testbed::torture_tree::remove(folder).unwrap();
    }
}

/// Empties every table that can be emptied, drops half of the views, deletes and rewrites files.
fn ruin(server: &Server, shop: &Path) {
    let mut connection = server.connect("torture").unwrap();
    connection.query_drop("SET foreign_key_checks=0").unwrap();
    let list =
        "SELECT table_name FROM information_schema.tables WHERE table_schema='torture' AND table_type=";
    let tables: Vec<Vec<u8>> = connection.query(format!("{list}'BASE TABLE' ORDER BY 1")).unwrap();
    let mut emptied = 0;
    for table in tables {
        let Ok(name) = String::from_utf8(table) else { continue };
        emptied +=
            usize::from(connection.query_drop(format!("TRUNCATE {}", database::quoted(&name))).is_ok());
    }
    assert!(emptied > 50, "{emptied} tables could be emptied");
    let views: Vec<String> = connection.query(format!("{list}'VIEW' ORDER BY 1")).unwrap();
    for view in views.iter().step_by(2) {
        connection.query_drop(format!("DROP VIEW {}", database::quoted(view))).unwrap();
    }
    let mut changed = 0;
    for entry in fs::read_dir(shop).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::write(entry.path(), "ruined").unwrap();
            changed += 1;
        }
    }
    fs::write(shop.join("an extra file"), "extra").unwrap();
    assert!(changed + emptied > 50);
}

#[test]
fn the_torture_shop_survives_on_mariadb() {
    the_torture_shop_survives(ServerKind::MariaDb);
}

#[test]
fn the_torture_shop_survives_on_mariadb_11_8() {
    the_torture_shop_survives(ServerKind::MariaDb118);
}

#[test]
fn the_torture_shop_survives_on_mysql() {
    the_torture_shop_survives(ServerKind::MySql);
}
