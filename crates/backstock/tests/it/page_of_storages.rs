//! The page on storages, followed: the commands of `docs/storages.md` are taken out of it and run, with the addresses and secrets of the
//! test servers in the place of those that it shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::away::{Away, every_kind};
use super::destinations::same_folders;
use super::harness::{Place, Run};
use super::links::Linking;
use super::sealed::folder_of_files;

/// The shop that the page shows.
const SHOWN_SHOP: &str = "/var/www/shop";
/// The section that holds for all kinds.
const FOR_ALL: &str = "Every kind in the same way";

/// Cuts a line into words as a shell does, without its comment: that begins after two spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut is_quoted, mut word) = (Vec::new(), false, String::new());
    for letter in line.split("  ").next().unwrap_or_default().chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words
}

/// The commands in the indented blocks of each section, by its title, in their order.
fn page() -> BTreeMap<String, Vec<Vec<String>>> {
    let text = fs::read_to_string(super::tidy::root().join("docs/storages.md")).unwrap();
    let (mut section, mut found, mut begun) = (String::new(), BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let Some(indented) = line.strip_prefix("    ") else { continue };
        if begun.is_empty() && !indented.starts_with("backstock ") {
            continue;
        }
        begun.push_str(indented.trim_start());
        if let Some(goes_on) = begun.strip_suffix('\\') {
            begun = goes_on.to_owned();
            continue;
        }
        let commands: &mut Vec<Vec<String>> = found.entry(section.clone()).or_default();
        commands.push(words(&std::mem::take(&mut begun))[1..].to_vec());
    }
    found
}

/// The value behind a flag.
fn after<'a>(command: &'a [String], flag: &str) -> Option<&'a str> {
    let at = command.iter().position(|word| word == flag)?;
    command.get(at + 1).map(String::as_str)
}

/// The first line of each kind, by its name.
fn first_lines(page: &BTreeMap<String, Vec<Vec<String>>>) -> BTreeMap<String, Vec<String>> {
    let general = ["", "Links with accounts"];
    let of_kinds = page.iter().filter(|(section, _)| !general.contains(&section.as_str()));
    let lines = of_kinds.flat_map(|(_, commands)| commands);
    let adding = lines.filter(|command| command.starts_with(&["storage".to_owned(), "add".to_owned()]));
    adding.map(|command| (after(command, "--kind").unwrap().to_owned(), command.clone())).collect()
}

/// The line as it is typed for a test server: what the page shows as an example is what it is there, by the name of the setting; what
/// only tests need (a port, an authority of their own) comes behind it.
fn typed(line: &[String], away: &Away, place: &Place) -> Vec<String> {
    let (mut settings, mut secrets) = (away.settings(), away.secret_files(place));
    let mut typed = Vec::new();
    let mut words = line.iter();
    while let Some(word) = words.next() {
        typed.push(word.clone());
        let known = match word.as_str() {
            "--set" => &mut settings,
            "--secret-file" => &mut secrets,
            _ => continue,
        };
        let shown = words.next().unwrap();
        let (name, _) = shown.split_once('=').unwrap();
        let value = known.remove(name);
        typed.push(value.map_or_else(|| shown.clone(), |value| format!("{name}={value}")));
    }
    assert!(secrets.is_empty(), "the page does not tell of {secrets:?}");
    let only_here = ["port", "endpoint", "ca_file", "encryption", "folder"];
    for (name, value) in settings {
        assert!(only_here.contains(&name.as_str()), "the page does not tell of {name} at {}", away.title);
        typed.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    typed
}

/// Runs it; a cloud is linked by its owner in a browser, as the page says.
fn run(place: &Place, away: &Away, command: &[String]) -> Run {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    if !away.is_cloud() {
        return place.run(&arguments);
    }
    if after(command, "--kind") == Some("dropbox") {
        arguments.extend(["--code-file", "-"]);
        let linking = Linking::begin(place, &arguments);
        let code = linking.open().text;
        return linking.pasted(&code);
    }
    let linking = Linking::begin(place, &arguments);
    assert_eq!(linking.open().status, Some(200));
    linking.end()
}

#[test]
fn the_page_on_storages_is_followed_at_each_kind() {
    let page = page();
    let lines = first_lines(&page);
    let place = Place::new();
    let told = place.run(&["storage", "kinds"]).expect(0).stdout;
    let kinds = every_kind(&place);
    let with_servers: BTreeSet<&str> = kinds.iter().map(Away::kind).collect();
    assert!(lines.len() == 8 && lines.keys().all(|kind| told.contains(kind.as_str())), "{lines:?}\n{told}");
    assert!(with_servers.iter().all(|kind| lines.contains_key(*kind)), "{with_servers:?}");
    for away in &kinds {
        let (place, machine) = (Place::new(), Place::new());
        let root = folder_of_files(&place);
        let restored = machine.folder().join("restored");
        let line = &lines[away.kind()];
        run(&place, away, &typed(line, away, &place)).expect(0);
        let add = typed(line, away, &machine);
        let recover: Vec<String> = [&["recover".to_owned()], &add[2..]].concat();
        let is_recovering = |command: &[String]| matches!(command[0].as_str(), "list" | "verify" | "restore");
        let mut is_recovered = false;
        for command in &page[FOR_ALL] {
            if is_recovering(command) && !is_recovered {
                run(&machine, away, &recover).expect(0);
                is_recovered = true;
            }
            let (at, folder) = match is_recovered {
                true => (&machine, restored.to_str().unwrap()),
                false => (&place, root.as_str()),
            };
            let arguments: Vec<&str> =
                command.iter().map(|word| if word == SHOWN_SHOP { folder } else { word.as_str() }).collect();
            at.run(&arguments).expect(0);
        }
        assert_eq!(machine.list()[0]["replicas"][0]["storage"], "offsite", "{}", away.title);
        same_folders(Path::new(&root), &restored);
    }
}

/// What the page shows for all kinds, on a folder: each line ends as it says.
#[test]
fn the_lines_for_all_storages_are_followed() {
    let page = page();
    let place = Place::new();
    let root = folder_of_files(&place);
    let disk = Away::folder(&place.folder().join("disk"));
    run(&place, &disk, &typed(&first_lines(&page)["local"], &disk, &place)).expect(0);
    let open = super::destinations::hours_from_now(-1, 3);
    let follow = |section: &str, commands: &[Vec<String>]| {
        for command in commands {
            let real = |word: &String| match word.as_str() {
                SHOWN_SHOP => root.clone(),
                "22:00-06:00" => open.clone(),
                other => other.to_owned(),
            };
            let words: Vec<String> = command.iter().map(real).collect();
            let run = place.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            // Nothing is owed where a backup was never made.
            let codes: &[i32] = if words[0] == "replicate" { &[0, 4] } else { &[0] };
            assert!(run.code.is_some_and(|code| codes.contains(&code)), "{section}: {words:?}: {run:?}");
        }
    };
    let destinations = &page["Where the backups of a shop go"];
    assert_eq!(destinations.len(), 5, "{destinations:?}");
    follow("destinations", &destinations[..2]);
    place.run(&["backup", &root]).expect(0);
    follow("destinations", &destinations[2..]);
    place.run(&["set", "destination", "add", &root, "offsite", "--path", "customers/acme"]).expect(0);
    let local = &page["Nothing on this machine"];
    assert_eq!(local.len(), 2, "{local:?}");
    follow("local", local);
}

#[test]
fn commands_are_cut_as_a_shell_cuts_them() {
    assert_eq!(
        words("backstock a --limit '5 MB' b    tells  something"),
        ["backstock", "a", "--limit", "5 MB", "b"]
    );
}
