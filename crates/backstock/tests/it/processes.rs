//! What anybody on the machine can see of a running Backstock: the arguments and the environment of its processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::harness::{Place, Run};
use super::plain_shop::{DATABASE, PASSWORD};

/// The fixture whose platform runs programs of the shop after a restore.
const MAGENTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/shops/magento-2.4");
/// Stands for PHP: keeps what it was given, and lives long enough to be looked at.
const PHP: &str = "#!/bin/sh\n{ env; echo \"$@\"; } >> \"$0.log\"\nsleep 0.3\n";
const LOOK_EVERY: Duration = Duration::from_millis(5);

fn make_shop(place: &Place, server: &Server) -> String {
    let root = place.folder().join("shop");
    for file in ["app/etc/config.php", "composer.lock", "pub/index.php", "bin/magento"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::copy(Path::new(MAGENTO).join(file), root.join(file)).unwrap();
    }
    let settings = format!(
        "<?php return ['db' => ['table_prefix' => '', 'connection' => ['default' => ['host' => '127.0.0.1:{}', \
         'dbname' => 'plain', 'username' => 'owner', 'password' => '{PASSWORD}', 'active' => '1']]]];",
        server.port().unwrap()
    );
    fs::write(root.join("app/etc/env.php"), settings).unwrap();
    fs::create_dir(place.folder().join("bin")).unwrap();
    let php = place.folder().join("bin/php");
    fs::write(&php, PHP).unwrap();
    fs::set_permissions(&php, fs::Permissions::from_mode(0o755)).unwrap();
    root.to_str().unwrap().to_owned()
}

/// The process and everything that it started, by their numbers.
fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The parent stands behind the name, which ends with the last bracket (proc_pid_stat(5)).
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let parent = behind.split_whitespace().nth(1).and_then(|text| text.parse::<u32>().ok());
        parents.push((id, parent.unwrap_or(0)));
    }
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        at += 1;
    }
    found
}

/// The program that a process runs, as proc_pid_exe(5) names it; none once it ended.
fn program(id: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{id}/exe")).ok()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Waits for the end and looks at the arguments and the environment of every process meanwhile. Gives how many looks
/// there were, and how many at processes that were started by it.
fn watch(mut child: Child, environment_of_the_first: bool) -> (Run, usize, usize) {
    let (mut looks, mut at_others) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        let first = program(child.id());
        for id in tree(child.id()) {
            // Between its fork and its own program a process shares the memory of the first, and shows what is there.
            let is_first = id == child.id() || program(id) == first;
            for (file, looked_at) in [("cmdline", true), ("environ", !is_first || environment_of_the_first)] {
                let Ok(bytes) = fs::read(format!("/proc/{id}/{file}")) else { continue };
                assert!(!looked_at || !holds(&bytes, PASSWORD), "{file} of {id} shows the password");
                looks += usize::from(looked_at && !bytes.is_empty());
            }
            at_others += usize::from(!is_first);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    (Run::of(&child.wait_with_output().unwrap()), looks, at_others)
}

#[test]
fn no_process_shows_a_password() {
    let options = ServerOptions { tcp: true, binary_log: false, ..ServerOptions::default() };
    let Some(server) = Server::for_test(ServerKind::MariaDb, &options) else { return };
    server.client("", DATABASE).unwrap();
    let place = Place::new();
    let root = make_shop(&place, &server);
    let path = format!("{}:{}", place.folder().join("bin").display(), std::env::var("PATH").unwrap());
    let start = |arguments: &[&str]| place.command(arguments).env("PATH", &path).spawn().unwrap();
    let (run, looks, _) = watch(start(&["backup", &root]), true);
    run.expect(0);
    assert!(looks > 4, "{looks}");
    server.client("plain", "DELETE FROM cart").unwrap();
    let (run, looks, at_others) = watch(start(&["restore", "latest", "--yes"]), true);
    run.expect(0);
    assert!(looks > 4 && at_others > 4, "{looks} looks, {at_others} at others");
    let log = place.folder().join("bin/php.log");
    let told = fs::read_to_string(&log).unwrap();
    assert!(told.contains("bin/magento cache:flush"), "the shop's own program was run: {told}");
    place.run(&["restore", "--accept"]).expect(0);

    // A password that came through the environment is not handed on.
    fs::remove_file(&log).unwrap();
    server.client("plain", "DELETE FROM cart").unwrap();
    let arguments = ["restore", "latest", "--yes", "--database-name", "plain"];
    let child =
        place.command(&arguments).env("PATH", &path).env("BACKSTOCK_DATABASE_PASSWORD", PASSWORD).spawn();
    let (run, ..) = watch(child.unwrap(), false);
    run.expect(0);
    let told = fs::read(&log).unwrap();
    assert!(holds(&told, "PATH=") && !holds(&told, PASSWORD) && !holds(&told, "BACKSTOCK_"));
}
