//! Holds the rules of the house that a machine can check; each message says which rule, where, and what to do.

use std::fs;
use std::path::{Path, PathBuf};

mod documents;
mod exceptions;
mod layout;
mod source;

/// A file of the repository.
pub(crate) struct TidyFile {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TidyFile {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds tests and nothing else.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Name of the crate it belongs to, or nothing.
    pub(crate) fn of_crate(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("")
    }
}

pub(crate) fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).map(Path::to_path_buf).expect("the crate lies two folders below the root")
}

/// All text files of the repository, without what it ignores.
pub(crate) fn files() -> Vec<TidyFile> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 50, "the walk finds the repository: {} files", found.len());
    found
}

fn walk(folder: &Path, below: &str, found: &mut Vec<TidyFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if matches!(path.as_str(), "target" | ".git" | "demo-shop") {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), &path, found);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            found.push(TidyFile { path, text });
        }
    }
}

/// Fails with one line for each thing that breaks the rule.
#[track_caller]
pub(crate) fn expect_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}
