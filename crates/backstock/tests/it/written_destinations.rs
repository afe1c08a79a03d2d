//! Destinations that the configuration file names: the catalog follows it, commands do not contradict it, and what is missing is named.

use std::fs;
use std::path::Path;

use super::away::Away;
use super::destinations::{hours_from_now, sets};
use super::harness::Place;
use super::sealed::folder_of_files;

/// A set with these destinations, as the file says it.
fn write(place: &Place, root: &str, destinations: &str) {
    let text = format!("[[set]]\ntitle = \"acme\"\nshop = \"{root}\"\n{destinations}");
    fs::write(place.configuration(), text).unwrap();
}

fn row(storage: &str, more: &str) -> String {
    format!("[[set.destination]]\nstorage = \"{storage}\"\n{more}\n")
}

/// Two storages that are known, and nothing that says what they are for.
fn with_two_storages() -> (Place, String, [Away; 2]) {
    let place = Place::new();
    let root = folder_of_files(&place);
    let folder = |name: &str| place.folder().join(name);
    let both = [Away::folder(&folder("disk")), Away::folder(&folder("second")).called("second")];
    for away in &both {
        away.typed(&place, &["storage", "add"], &[]).expect(0);
    }
    (place, root, both)
}

fn titles(place: &Place, root: &str) -> Vec<String> {
    sets(place, root).iter().map(|row| row["storage"].as_str().unwrap().to_owned()).collect()
}

fn manifests(folder: &Path) -> usize {
    let files = if folder.exists() { super::sealed::every_file(folder) } else { Vec::new() };
    files.iter().filter(|file| file.file_name().unwrap() == "manifest.json").count()
}

#[test]
fn the_file_says_where_backups_go_and_the_catalog_follows_it() {
    let (place, root, [disk, second]) = with_two_storages();
    let hours = hours_from_now(-1, 3);
    let more = format!("path = \"customers/acme\"\ncopies = 3\nlimit = \"5 MB\"\nhours = \"{hours}\"");
    write(&place, &root, &row("disk", &more));
    // The first backup of the shop, by the set's title.
    place.run(&["backup", "acme"]).expect(0);
    assert_eq!((manifests(&disk.objects.join("customers/acme")), manifests(&second.objects)), (1, 0));
    let rows = sets(&place, &root);
    assert_eq!((&rows[0]["path"], &rows[0]["copies"]), (&"customers/acme".into(), &3.into()));
    assert_eq!(
        (&rows[0]["limits"]["bytes_per_second"], &rows[0]["limits"]["hours"]),
        (&5_000_000.into(), &hours.into())
    );
    // One comes, one changes; nothing is done in a dry run.
    let both = row("disk", "path = \"customers/acme\"") + &row("second", "");
    write(&place, &root, &both);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    place.run(&["backup", "acme", "--dry-run"]).expect(0);
    place.run(&["backup", "acme", "--level", "incremental"]).expect(0);
    assert_eq!((manifests(&disk.objects), manifests(&second.objects)), (2, 2), "with what it builds on");
    let rows = sets(&place, &root);
    assert_eq!((&rows[0]["copies"], &rows[0]["limits"]), (&serde_json::Value::Null, &serde_json::json!({})));
    // One goes, and what lies there stays.
    write(&place, &root, &row("second", ""));
    assert_eq!(titles(&place, &root), ["second"]);
    place.run(&["backup", "acme", "--level", "full"]).expect(0);
    assert_eq!((manifests(&disk.objects), manifests(&second.objects)), (2, 3));
    write(&place, &root, "destination = []\n");
    assert!(titles(&place, &root).is_empty());
    // Without a word of it the catalog counts again.
    write(&place, &root, "");
    place.run(&["set", "destination", "add", &root, "disk"]).expect(0);
    assert_eq!(titles(&place, &root), ["disk"]);
}

#[test]
fn commands_do_not_contradict_the_file_and_the_file_not_itself() {
    let (place, root, [disk, _]) = with_two_storages();
    write(&place, &root, &row("disk", ""));
    place.run(&["backup", "acme"]).expect(0);
    for command in
        [&["add", &root, "second"][..], &["change", &root, "disk", "--off"], &["remove", &root, "disk"]]
    {
        let refused = place.run(&[&["set", "destination"], command].concat());
        refused.expect_error(15, &["the configuration file", "hint: ", "[[set.destination]]"]);
    }
    assert_eq!(titles(&place, &root), ["disk"]);
    write(&place, &root, &(row("disk", "") + &row("disk", "copies = 2")));
    place.run(&["backup", "acme"]).expect_error(15, &["disk is written twice"]);
    write(&place, &root, &row("disk", "path = \"elsewhere\""));
    place.run(&["backup", "acme"]).expect_error(15, &["\"elsewhere\" is written", "hint: "]);
    write(&place, &root, &row("disk", "copies = 0"));
    place.run(&["backup", "acme"]).expect_error(15, &["0 copies"]);
    write(&place, &root, &row("disk", "hours = \"always\""));
    place.run(&["backup", "acme"]).expect_error(2, &["always"]);
    assert_eq!(manifests(&disk.objects), 1, "none of these was a backup");
}

/// A row whose storage is not known is named each time, and holds nothing up but what would go.
#[test]
fn a_row_whose_storage_is_gone_is_named_and_the_others_go_on() {
    let (place, root, [disk, _]) = with_two_storages();
    let retention = "[set.retention]\nkeep_last = 1\ngrace_hours = 0\n";
    write(&place, &root, &(row("disk", "") + retention));
    place.run(&["backup", "acme", "--level", "full"]).expect(0);
    write(&place, &root, &(row("disk", "") + &row("offsite", "") + retention));
    for number in 2..4 {
        fs::write(Path::new(&root).join("page"), format!("{number}")).unwrap();
        let run = place.run(&["backup", "acme", "--level", "full"]).expect(3);
        assert!(run.stderr.contains("offsite") && run.stderr.contains("storage add"), "{}", run.stderr);
        assert_eq!((manifests(&place.backups()), manifests(&disk.objects)), (number, number), "nothing goes");
    }
    let run = place.run(&["replicate", &root]).expect(3);
    assert!(run.stderr.contains("offsite"), "{}", run.stderr);
    let offsite = Away::folder(&place.folder().join("offsite")).called("offsite");
    offsite.typed(&place, &["storage", "add"], &[]).expect(0);
    place.run(&["backup", "acme", "--level", "full"]).expect(0);
    assert_eq!((manifests(&disk.objects), manifests(&offsite.objects)), (1, 1), "now older ones go");
}
