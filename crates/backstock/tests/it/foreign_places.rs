//! Two that would write to one destination: the second is refused by name and changes nothing there, until it says that it takes over;
//! then the first is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::away::Away;
use super::destinations::sets;
use super::harness::{Place, Run};
use super::retention::copy_folder;
use super::sealed::{every_file, folder_of_files};

/// What the machine of the second one is called.
const SECOND: [&str; 2] = ["--machine-id", "second-machine"];

/// Everything that lies at a destination.
fn contents(away: &Away) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = every_file(&away.objects).into_iter();
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// A place that is refused at the destination: by name, with the way out, and nothing changed there.
#[track_caller]
fn refused(away: &Away, code: i32, who: &str, act: impl FnOnce() -> Run) {
    let before = contents(away);
    let run = act().expect(code);
    for words in [&format!("{who} on the machine"), "writes to", "--take-over"] {
        assert!(run.stderr.contains(words), "{words:?} is not in:\n{}", run.stderr);
    }
    assert!(contents(away) == before, "something changed at the destination");
}

fn back_up(place: &Place, root: &str, more: &[&str]) -> Run {
    fs::write(Path::new(root).join("page"), format!("of {} {more:?}", place.folder().display())).unwrap();
    place.run(&[&["backup", root], more].concat())
}

/// A new server was set up from the storage while the old one still lives.
#[test]
fn another_instance_is_refused_at_a_destination_until_it_takes_over() {
    let Some(ssh) = Away::sftp() else { return };
    let (first, second) = (Place::new(), Place::new());
    let root = folder_of_files(&first);
    ssh.add(&first, &root, &[]);
    back_up(&first, &root, &[]).expect(0);
    ssh.typed(&second, &["recover"], &["--trust-settings"]).expect(0);
    assert_eq!(sets(&second, &root)[0]["is_on"], true);
    // It is made here all the same, and owed there.
    refused(&ssh, 3, "another instance", || {
        back_up(&second, &root, &[&SECOND[..], &["--level", "full"]].concat())
    });
    assert_eq!(sets(&second, &root)[0]["owed"], 1);
    refused(&ssh, 14, "another instance", || second.run(&[&["replicate", &root], &SECOND[..]].concat()));
    second.run(&[&["replicate", &root, "--take-over"], &SECOND[..]].concat()).expect(0);
    assert_eq!((&sets(&second, &root)[0]["owed"], &sets(&second, &root)[0]["held"]), (&0.into(), &2.into()));
    back_up(&second, &root, &SECOND).expect(0);
    // From then on it is the first one that must not.
    refused(&ssh, 3, "another instance", || back_up(&first, &root, &["--level", "full"]));
    back_up(&first, &root, &["--level", "full", "--take-over"]).expect(0);
    refused(&ssh, 3, "another instance", || {
        back_up(&second, &root, &[&SECOND[..], &["--level", "full"]].concat())
    });
    // No number was given twice: whoever recovers finds every backup of both that went there.
    let third = Place::new();
    let run = ssh.typed(&third, &["recover"], &["--without-settings", "--json"]);
    let numbers: Vec<u64> = third.list().iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1], "{run:?}");
    third.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// The state of a server as somebody copies its disk: the same key and the same catalog on a machine of another name.
fn copy_of(place: &Place) -> Place {
    let copy = Place::new();
    copy_folder(&place.state(), &copy.state());
    copy
}

#[test]
fn a_copied_server_is_refused_at_a_destination_until_it_takes_over() {
    let Some(ssh) = Away::sftp() else { return };
    let first = Place::new();
    let root = folder_of_files(&first);
    ssh.add(&first, &root, &[]);
    back_up(&first, &root, &[]).expect(0);
    let second = copy_of(&first);
    let full = [&SECOND[..], &["--level", "full"]].concat();
    refused(&ssh, 3, "a copy of this instance", || back_up(&second, &root, &full));
    back_up(&second, &root, &[&full[..], &["--take-over"]].concat()).expect(0);
    refused(&ssh, 3, "a copy of this instance", || back_up(&first, &root, &["--level", "full"]));
}

/// Where nothing is kept on this machine no backup is made at all.
#[test]
fn a_copied_server_that_keeps_nothing_makes_no_backup_until_it_takes_over() {
    let Some(ssh) = Away::sftp() else { return };
    let first = Place::new();
    let root = folder_of_files(&first);
    ssh.add(&first, &root, &[]);
    first.run(&["set", "local", &root, "--off"]).expect(0);
    back_up(&first, &root, &[]).expect(0);
    let second = copy_of(&first);
    refused(&ssh, 15, "a copy of this instance", || back_up(&second, &root, &SECOND));
    assert_eq!(second.list().len(), 1);
    back_up(&second, &root, &[&SECOND[..], &["--take-over"]].concat()).expect(0);
    refused(&ssh, 15, "a copy of this instance", || back_up(&first, &root, &[]));
    back_up(&first, &root, &["--take-over"]).expect(0);
}
