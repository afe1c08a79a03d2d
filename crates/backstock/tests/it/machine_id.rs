//! What a machine is known by: the system's own identifier, or the one that its owner has set, as containers need it.

use std::fs;
use std::process::Command;

use super::harness::{Place, Run};

fn shop(place: &Place) -> String {
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("page"), "hello").unwrap();
    root.to_str().unwrap().to_owned()
}

/// Runs a command where `/etc/machine-id` holds something else, as after the restart of a container.
fn on_another_machine(place: &Place, command: &Command, id: &str) -> Run {
    let file = place.folder().join("machine-id");
    fs::write(&file, format!("{id}\n")).unwrap();
    let script = "mount --bind \"$1\" /etc/machine-id && shift && exec \"$@\"";
    let mut outer = Command::new("unshare");
    outer
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&file)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    Run::of(&outer.current_dir(place.folder()).output().unwrap())
}

#[test]
fn a_machine_is_known_by_what_its_owner_says() {
    let place = Place::new();
    let root = shop(&place);
    let backup = |more: &[&str]| place.run(&[&["backup", root.as_str()][..], more].concat());
    backup(&["--machine-id", "web-1"]).expect(0);
    // Another one is a copy of this instance: it is told so, with both ways out.
    for id in ["web-2", "web-1 "] {
        let code = if id.trim() == "web-1" { 0 } else { 15 };
        backup(&["--machine-id", id]).expect(code);
    }
    backup(&[]).expect_error(15, &["a copy of this instance on the machine", "--take-over", "--machine-id"]);
    // The environment and the configuration file say it as well; the command line is nearest, the file farthest.
    Run::of(&place.command(&["backup", &root]).env("BACKSTOCK_MACHINE_ID", "web-1").output().unwrap())
        .expect(0);
    fs::write(place.configuration(), "machine_id = \"web-1\"\n").unwrap();
    backup(&[]).expect(0);
    Run::of(&place.command(&["backup", &root]).env("BACKSTOCK_MACHINE_ID", "web-9").output().unwrap())
        .expect(15);
    fs::write(place.configuration(), "machine_id = \"web-9\"\n").unwrap();
    backup(&["--machine-id", "web-1"]).expect(0);
    // Whoever takes over is the one from then on.
    backup(&["--take-over"]).expect(0);
    backup(&["--machine-id", "web-1"]).expect_error(15, &["a copy of this instance"]);
    backup(&[]).expect(0);
}

/// A container gets another `/etc/machine-id` at every start. A mount of its own needs root.
#[test]
fn an_identifier_that_was_set_outlives_the_system_s_own() {
    if !rustix::process::geteuid().is_root() || !std::path::Path::new("/etc/machine-id").exists() {
        return;
    }
    let place = Place::new();
    let root = shop(&place);
    let ids = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];
    let backup = |id: &str, more: &[&str]| {
        let command = place.command(&[&["backup", root.as_str()][..], more].concat());
        on_another_machine(&place, &command, id)
    };
    backup(ids[0], &[]).expect(0);
    backup(ids[1], &[]).expect_error(15, &["a copy of this instance", "--machine-id"]);
    backup(ids[1], &["--machine-id", "shop-server", "--take-over"]).expect(0);
    backup(ids[0], &["--machine-id", "shop-server"]).expect(0);
    backup(ids[1], &["--machine-id", "shop-server"]).expect(0);
}
