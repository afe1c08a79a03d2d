//! What every platform must answer, whatever the shop: checked for every fixture, and for a real shop on request.

use std::collections::BTreeSet;
use std::path::Path;

use crate::layout::{Obstacle, ShopLayout};
use crate::pattern::{TablePattern, intersect};
use crate::step::{Maintenance, ShopPath, Step};

/// Everything that is wrong with a layout; nothing for a good one.
pub fn problems(layout: &ShopLayout) -> Vec<String> {
    let mut problems = Vec::new();
    places(layout, &mut problems);
    exclusions(layout, &mut problems);
    tables(layout, &mut problems);
    sanity(layout, &mut problems);
    paths(layout, &mut problems);
    answers(layout, &mut problems);
    problems
}

fn places(layout: &ShopLayout, problems: &mut Vec<String>) {
    if !layout.root.is_absolute() {
        problems.push(format!("the root {} is not absolute", layout.root.display()));
    }
    let mut labels = BTreeSet::new();
    let folders = layout.outside_folders.iter().map(|folder| (&folder.label, &folder.path));
    let files = layout.outside_files.iter().map(|file| (&file.label, &file.path));
    for (label, path) in folders.chain(files) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if label.is_empty() || !label.chars().all(plain) || label.starts_with('.') {
            problems.push(format!("the label {label} is not plain"));
        }
        if !labels.insert(label.clone()) {
            problems.push(format!("the label {label} occurs twice"));
        }
        if !path.is_absolute() || path.starts_with(&layout.root) || layout.root.starts_with(path) {
            problems.push(format!("{} is not outside the root", path.display()));
        }
    }
}

fn exclusions(layout: &ShopLayout, problems: &mut Vec<String>) {
    for excluded in &layout.excluded_paths {
        let known = |label: &String| layout.outside_folders.iter().any(|folder| &folder.label == label);
        if excluded.within.as_ref().is_some_and(|label| !known(label)) {
            problems.push(format!("{} lies in a folder that is not named", excluded.pattern));
        }
        if !is_relative(&excluded.pattern) || excluded.why.is_empty() {
            problems.push(format!("the exclusion {} is no relative path with a reason", excluded.pattern));
        }
        let configuration =
            layout.config_files.iter().filter_map(|file| file.strip_prefix(&layout.root).ok());
        for file in configuration.filter_map(Path::to_str) {
            if excluded.within.is_none() && excluded.covers(file) && !file.starts_with("bootstrap/cache/") {
                problems
                    .push(format!("the exclusion {} leaves out the configuration {file}", excluded.pattern));
            }
        }
    }
}

fn tables(layout: &ShopLayout, problems: &mut Vec<String>) {
    let prefix = layout.table_prefix.as_deref().unwrap_or_default();
    let patterns = layout.excluded_contents.iter().chain(&layout.protected_tables);
    let names = patterns
        .clone()
        .map(|rule| rule.pattern.as_str())
        .chain(layout.important_tables.iter().map(String::as_str));
    for name in names {
        if !name.starts_with(prefix) || name.len() == prefix.len() || name == format!("{prefix}*") {
            problems.push(format!("the table {name} has no name after the prefix {prefix}"));
        }
    }
    problems.extend(
        patterns.filter(|rule| rule.why.is_empty()).map(|rule| format!("{} has no reason", rule.pattern)),
    );
    for excluded in &layout.excluded_contents {
        // A default that names one table may take it out of a protected family; a family must not take a named table.
        let hits = |protected: &&TablePattern| {
            (protected.is_exact() || !excluded.is_exact()) && intersect(&excluded.pattern, &protected.pattern)
        };
        for protected in layout.protected_tables.iter().filter(hits) {
            problems
                .push(format!("the default {} hits the protected {}", excluded.pattern, protected.pattern));
        }
    }
    for table in &layout.important_tables {
        if layout.exclusion(table.as_bytes()).is_some() {
            problems.push(format!("the important table {table} is left out by default"));
        }
        if layout.protection(table.as_bytes()).is_none() {
            problems.push(format!("the important table {table} is not protected"));
        }
    }
}

/// What is looked for in a restored database must be in it: in tables of the prefix whose rows a backup takes.
fn sanity(layout: &ShopLayout, problems: &mut Vec<String>) {
    let prefix = layout.table_prefix.as_deref().unwrap_or_default();
    let checks = crate::kinds::kind(layout.platform).map(|kind| kind.sanity(layout)).unwrap_or_default();
    for source in checks.iter().flat_map(|check| &check.sources) {
        let table = &source.table;
        if !table.starts_with(prefix) || layout.exclusion(table.as_bytes()).is_some() {
            problems.push(format!("the table {table}, which is looked at after a drill, is not in a backup"));
        }
    }
}

fn paths(layout: &ShopLayout, problems: &mut Vec<String>) {
    let mut check = |path: &ShopPath, may_be_root: bool| {
        if layout.resolve(path).is_none() || !(is_relative(&path.path) || may_be_root && path.path.is_empty())
        {
            problems.push(format!("{} is no place in the shop", path.path));
        }
    };
    match &layout.maintenance {
        Maintenance::File { path, also_remove, .. } => {
            check(path, false);
            also_remove.iter().for_each(|path| check(path, false));
        }
        Maintenance::Setting { .. } | Maintenance::None { .. } => {}
    }
    for step in &layout.after_restore {
        match step {
            // Emptying the root itself would empty the shop; an outside cache folder may be emptied.
            Step::ClearFolder { path, .. } => check(path, path.within.is_some()),
            Step::RemoveFile { path, .. } => check(path, false),
            Step::Run { folder, .. } => check(folder, true),
            Step::Sql { .. } | Step::Tell(_) => {}
        }
    }
    if let Maintenance::Setting { on, off, matching, .. } = &layout.maintenance
        && (on == off || matching.is_empty())
    {
        problems.push("the maintenance switch switches nothing".to_owned());
    }
}

fn answers(layout: &ShopLayout, problems: &mut Vec<String>) {
    if layout.database.is_none() && layout.unclear.is_empty() {
        problems.push("there is no database and no reason".to_owned());
    }
    for unclear in &layout.unclear {
        if unclear.what.is_empty() || unclear.why.is_empty() {
            problems.push("something is unclear without saying what and why".to_owned());
        }
        if unclear.flags.is_empty() && unclear.obstacle != Obstacle::Unsupported {
            problems.push(format!("no flag says {}", unclear.what));
        }
    }
}

fn is_relative(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}
