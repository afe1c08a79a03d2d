//! Rules of the layout: no drawers, kinds are listed, crates stand on lower floors only, one integration binary.

use std::fs;

use super::{expect_none, files, root};

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] =
    &["core", "common", "util", "utils", "misc", "helper", "helpers", "base", "types", "manager"];

/// Each crate and its floor; a crate stands on lower ones only.
const FLOORS: &[(&str, u8)] = &[
    ("backstock-vocabulary", 0),
    ("backstock-host", 1),
    ("backstock-archive", 2),
    ("backstock-catalog", 2),
    ("backstock-database", 2),
    ("backstock-notify", 2),
    ("backstock-platform", 2),
    ("backstock-storage", 2),
    ("backstock-operations", 3),
    ("backstock-fuzz", 3),
    ("backstock-web", 4),
    ("backstock", 5),
    // Stands on nothing of ours: it is what the others are tested against.
    ("backstock-testbed", 0),
];

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

#[test]
fn no_drawers() {
    let mut broken = Vec::new();
    // Fixtures copy the layouts of other people's shops.
    for file in files().iter().filter(|file| !file.path.contains("fixtures/")) {
        for part in file.path.split('/') {
            let name = part.split('.').next().unwrap_or(part);
            let name = name.strip_prefix("backstock-").unwrap_or(name);
            if DRAWERS.contains(&name) {
                broken.push(format!("{}: {name}", file.path));
            }
        }
    }
    expect_none("a name says what is inside", &broken);
}

#[test]
fn every_kind_is_listed() {
    let mut families = 0;
    let mut broken = Vec::new();
    for crate_folder in fs::read_dir(root().join("crates")).unwrap() {
        let source = crate_folder.unwrap().path().join("src");
        if !source.join("kinds").is_dir() {
            continue;
        }
        families += 1;
        let text = fs::read_to_string(source.join("kinds.rs")).unwrap();
        let list = text
            .split("pub const KINDS")
            .nth(1)
            .and_then(|rest| rest.split("];").next())
            .unwrap_or("")
            .to_owned();
        for entry in fs::read_dir(source.join("kinds")).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            if name != "tests" && !list.contains(&name) {
                broken.push(format!("{}: {name}", source.join("kinds.rs").display()));
            }
        }
    }
    assert!(families >= 3, "the families are found: {families}");
    expect_none("every file of kinds/ is listed in KINDS", &broken);
}

#[test]
fn crates_stand_on_lower_floors_and_share_the_lints() {
    let mut broken = Vec::new();
    for file in
        files().iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"))
    {
        let name = file.of_crate();
        let Some(own) = floor(name) else {
            broken.push(format!("{name}: not in the list of floors in this test"));
            continue;
        };
        if !file.text.contains("[lints]\nworkspace = true") {
            broken.push(format!("{name}: does not share the lints of the workspace"));
        }
        let dependencies = file.text.split("\n[dependencies]\n").nth(1).unwrap_or("");
        let dependencies = dependencies.split("\n[").next().unwrap_or("");
        for line in dependencies.lines().filter(|line| line.starts_with("backstock")) {
            let below = line.split(['.', ' ', '=']).next().unwrap_or(line);
            if floor(below).is_none_or(|floor| floor >= own) || below == "backstock-testbed" {
                broken.push(format!("{name} stands on {below}"));
            }
        }
    }
    expect_none("arrows go down only", &broken);
}

#[test]
fn one_integration_binary() {
    let broken: Vec<String> = files()
        .into_iter()
        .filter(|file| {
            let parts: Vec<&str> = file.path.split('/').collect();
            file.is_rust()
                && parts.len() > 3
                && parts[2] == "tests"
                && !file.path.starts_with("crates/backstock/tests/it/")
        })
        .map(|file| file.path)
        .collect();
    expect_none("integration tests are modules of crates/backstock/tests/it", &broken);
}
