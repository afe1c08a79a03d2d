//! What the platform asks for after the sides were exchanged: clear caches, run the shop's own commands, tell.
//!
//! The platform describes, this file acts. A step that fails makes the restore's outcome `partial`, never undone: the
//! shop is whole, and the report says what is left to do by hand.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstock_database::Connection;
use backstock_host::child;
use backstock_platform::{ShopLayout, ShopPath, Step};
use serde::Serialize;

use crate::error::chain;
use crate::subject::ShopDatabase;

/// A pattern may stand for at most so many paths.
const MATCH_LIMIT: usize = 10_000;

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum StepResult {
    /// Done.
    Done {
        /// What was done.
        what: String,
    },
    /// Something for a person to know; whether there is anything to do only they can see.
    Told {
        /// What to know.
        what: String,
    },
    /// Left to a person.
    Left {
        /// What to do.
        what: String,
        /// Why it was not done.
        why: String,
    },
}

/// Does every step, in order.
pub(crate) fn perform(layout: &ShopLayout, database: Option<&ShopDatabase>) -> Vec<StepResult> {
    layout.after_restore.iter().map(|step| perform_one(layout, database, step)).collect()
}

/// Clears the caches alone: after an undo they hold the side that went away, and nothing else may be touched.
pub(crate) fn clear_caches(layout: &ShopLayout) -> Vec<StepResult> {
    let is_cache = |step: &&Step| matches!(step, Step::ClearFolder { .. });
    layout.after_restore.iter().filter(is_cache).map(|step| perform_one(layout, None, step)).collect()
}

/// What every step would do, for the plan.
pub(crate) fn describe(step: &Step) -> String {
    match step {
        Step::ClearFolder { path, .. } => format!("clear {}", place(path)),
        Step::RemoveFile { path, .. } => format!("remove {}", place(path)),
        Step::Run { program, arguments, .. } => format!("run {program} {}", arguments.join(" ")),
        Step::Sql { statement, .. } => format!("run the statement {statement}"),
        Step::Tell(text) => text.clone(),
    }
}

fn place(path: &ShopPath) -> String {
    match &path.within {
        None => path.path.clone(),
        Some(label) => format!("{label}:{}", path.path),
    }
}

fn perform_one(layout: &ShopLayout, database: Option<&ShopDatabase>, step: &Step) -> StepResult {
    let what = describe(step);
    if matches!(step, Step::Tell(_)) {
        return StepResult::Told { what };
    }
    let result = match step {
        Step::ClearFolder { path, keep, .. } => clear(layout, path, keep).map_err(|error| chain(&error)),
        Step::RemoveFile { path, .. } => remove(layout, path).map_err(|error| chain(&error)),
        Step::Run { program, arguments, folder, .. } => run(layout, program, arguments, folder),
        Step::Sql { statement, .. } => run_sql(database, statement),
        Step::Tell(_) => Ok(()),
    };
    match result {
        Ok(()) => StepResult::Done { what },
        Err(why) => StepResult::Left { what, why },
    }
}

fn clear(layout: &ShopLayout, path: &ShopPath, keep: &[String]) -> io::Result<()> {
    for folder in matches(layout, path)? {
        // A link is not followed: what it points at may not be a cache.
        if !fs::symlink_metadata(&folder)?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if keep.iter().any(|name| entry.file_name() == name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn remove(layout: &ShopLayout, path: &ShopPath) -> io::Result<()> {
    for file in matches(layout, path)? {
        if !fs::symlink_metadata(&file)?.is_dir() {
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

/// The paths that a place stands for; `*` is any characters of one name.
fn matches(layout: &ShopLayout, path: &ShopPath) -> io::Result<Vec<PathBuf>> {
    let base = ShopPath { within: path.within.clone(), path: String::new() };
    let Some(base) = layout.resolve(&base) else { return Ok(Vec::new()) };
    let mut found = vec![base];
    for component in path.path.split('/').filter(|component| !component.is_empty()) {
        if component == ".." {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a step may not leave the shop"));
        }
        let mut next = Vec::new();
        for folder in &found {
            if !component.contains('*') {
                let candidate = folder.join(component);
                if fs::symlink_metadata(&candidate).is_ok() {
                    next.push(candidate);
                }
                continue;
            }
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                if is_match(component.as_bytes(), entry.file_name().as_encoded_bytes())
                    && next.len() < MATCH_LIMIT
                {
                    next.push(entry.path());
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether a name is what a pattern with `*` stands for.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| is_match(rest, &name[skipped..])),
        Some((first, rest)) => name.first() == Some(first) && is_match(rest, &name[1..]),
    }
}

/// Runs a program of the shop as the owner of the shop's folder: code of a shop never runs as root.
fn run(layout: &ShopLayout, program: &str, arguments: &[String], folder: &ShopPath) -> Result<(), String> {
    let folder = layout.resolve(folder).ok_or("its folder is not known")?;
    let program = find_program(program).ok_or_else(|| format!("{program} is not on this machine"))?;
    let owner = fs::metadata(&folder).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    child::keep_our_variables_from(&mut command);
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, text.lines().next().unwrap_or("it said nothing")))
}

fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

fn run_sql(database: Option<&ShopDatabase>, statement: &str) -> Result<(), String> {
    let database = database.ok_or("the database is not known")?;
    let mut connection =
        Connection::open(&database.server, Some(&database.name)).map_err(|error| chain(&error))?;
    connection.execute(statement.as_bytes()).map_err(|error| chain(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout_of(folder: &Path) -> ShopLayout {
        crate::subject::detect(folder).unwrap().layout
    }

    #[test]
    fn a_cache_is_cleared_but_for_what_is_kept_and_links_are_not_followed() {
        let shop = tempfile::tempdir().unwrap();
        let precious = tempfile::tempdir().unwrap();
        fs::write(precious.path().join("order.txt"), "1").unwrap();
        fs::create_dir_all(shop.path().join("var/cache/deep")).unwrap();
        fs::write(shop.path().join("var/cache/deep/a"), "a").unwrap();
        fs::write(shop.path().join("var/cache/index.php"), "").unwrap();
        std::os::unix::fs::symlink(precious.path(), shop.path().join("var/cache/link")).unwrap();
        std::os::unix::fs::symlink(precious.path(), shop.path().join("var/cache2")).unwrap();
        let layout = layout_of(shop.path());
        clear(&layout, &ShopPath::root("var/cache*"), &["index.php".to_owned()]).unwrap();
        let left: Vec<_> = fs::read_dir(shop.path().join("var/cache")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(precious.path().join("order.txt").exists());
        assert!(clear(&layout, &ShopPath::root("../x"), &[]).is_err());
    }

    #[test]
    fn stars_match_within_one_name() {
        assert!(is_match(b"*.php", b"a.php") && is_match(b"cache.*", b"cache.") && is_match(b"a*c", b"abbc"));
        assert!(!is_match(b"*.php", b"a.txt") && !is_match(b"a", b"ab"));
    }

    #[test]
    fn a_program_that_is_not_there_is_left_to_a_person() {
        let shop = tempfile::tempdir().unwrap();
        let layout = layout_of(shop.path());
        let why = run(&layout, "no-such-program-here", &[], &ShopPath::root("")).unwrap_err();
        assert!(why.contains("not on this machine"), "{why}");
    }
}
