//! Rules of the documents: they name only paths that exist, and nothing of the machine they were written on.

use super::{TidyFile, expect_none, files, root};

/// Beginnings of the words in documents that are paths of the repository.
const TOPS: &[&str] = &["crates/", "docs/", "ci/", "bench/", "fixtures/", ".ci/", ".config/", "./", "../"];

#[test]
fn documents_name_only_paths_that_exist() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        for path in paths(file) {
            let from_root = root().join(&path);
            let beside = root().join(&file.path).with_file_name(&path);
            if !from_root.exists() && !beside.exists() {
                broken.push(format!("{}: {path}", file.path));
            }
        }
    }
    expect_none("documents name only paths that exist", &broken);
}

/// Paths in backticks and in links, outside blocks of code.
fn paths(file: &TidyFile) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_block = false;
    for line in file.text.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        }
        if is_block {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for (word, is_link) in quoted.map(|word| (word, false)).chain(linked.map(|word| (word, true))) {
            // A command's first word, a link without its anchor, a place without its line.
            let path = word.split([' ', '#']).next().unwrap_or("");
            let path = path.split("::").next().unwrap_or(path);
            let is_ours = TOPS.iter().any(|top| path.starts_with(top)) || (is_link && !path.contains(':'));
            let is_pattern = path.contains(['*', '<', '…', '{', '$']);
            if is_ours && !is_pattern && !path.is_empty() {
                found.push(path.trim_end_matches([',', '.', ';']).to_owned());
            }
        }
    }
    found
}

#[test]
fn paths_are_found_in_documents() {
    let text = "See `crates/x/src/y.rs::z`, [words](docs/words.md#a), `./demo --keep`, [web](https://x.example/).\n```\ncrates/no\n```\n`a/b`";
    let file = TidyFile { path: "README.md".into(), text: text.into() };
    assert_eq!(paths(&file), ["crates/x/src/y.rs", "./demo", "docs/words.md"]);
}

#[test]
fn nothing_of_the_workplace_is_named() {
    // In two parts, so that this file does not break its own rule.
    let words = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "brief"),
        concat!("sha", "red/DESIGN"),
        concat!("sha", "red/research"),
        concat!("sha", "red/fixtures"),
        concat!("/tmp/", "target-"),
    ];
    let mut broken = Vec::new();
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|&&word| line.contains(word)) {
                broken.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    expect_none("the repository speaks of the project alone", &broken);
}
