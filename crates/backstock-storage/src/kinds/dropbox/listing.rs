//! What lies below a folder: lists of several pages, names as they are spelled, folders that hold nothing. Data can be lost
//! here.
//!
//! Dropbox spells only the last step of a path as it is; how the steps before it are spelled, the entries of those folders
//! tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Dropbox;
use super::account::Metadata;
use crate::http::Act;
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Result};

/// Entries of one page: the most that the service gives.
const PAGE_ENTRIES: u32 = 2000;
/// How often a list may be begun anew because the service has forgotten how far it was.
const RESTARTS_LIMIT: u32 = 3;

#[derive(Debug, Deserialize)]
struct Page {
    entries: Vec<Metadata>,
    cursor: String,
    has_more: bool,
}

/// What a walk has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sorted by name.
    pub(super) objects: Vec<ObjectFacts>,
    /// Folders below the one that was walked in which no file lies, however deep: paths in small letters, as the service
    /// writes them.
    empty_folders: BTreeSet<String>,
}

impl Dropbox {
    /// Everything below a folder; nothing where there is none.
    pub(super) async fn walk(&self, folder: Option<&ObjectName>) -> Result<Found> {
        let top = folder.map_or_else(|| self.root.clone(), |folder| self.path(folder));
        let act = Act { verb: "list", name: folder.map_or("", ObjectName::as_str) };
        for _ in 0..RESTARTS_LIMIT {
            if let Some(entries) = self.entries(act, &top).await? {
                return Ok(self.found(folder, &top, &entries));
            }
        }
        let problem = "it forgets how far the list was, again and again";
        Err(self.account.http.refused(act, Cause::Busy, problem, None))
    }

    /// The entries of a list; none where the service has forgotten how far it was.
    async fn entries(&self, act: Act<'_>, top: &str) -> Result<Option<Vec<Metadata>>> {
        let http = &self.account.http;
        let first = json!({ "path": top, "recursive": true, "limit": PAGE_ENTRIES });
        let mut told = self.account.call(act, "files/list_folder", &first).await?;
        let (mut entries, mut cursor) = (Vec::new(), String::new());
        loop {
            let page: Page = match told {
                Ok(page) => page,
                Err(refusal) if refusal.is_missing_folder() => return Ok(Some(Vec::new())),
                Err(refusal) if refusal.says("reset") => return Ok(None),
                Err(refusal) => return Err(refusal.into_error(http, act)),
            };
            entries.extend(page.entries);
            if entries.len() > LIST_LIMIT_OBJECTS {
                let place = http.place().to_owned();
                return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
            if !page.has_more {
                return Ok(Some(entries));
            }
            if page.cursor == cursor {
                return Err(http.refused(act, Cause::Unexpected, "its list does not go on", None));
            }
            cursor = page.cursor;
            let next = json!({ "cursor": cursor });
            told = self.account.call(act, "files/list_folder/continue", &next).await?;
        }
    }

    fn found(&self, folder: Option<&ObjectName>, top: &str, entries: &[Metadata]) -> Found {
        let spelled = Spelled::of(entries);
        let (own_steps, top_steps) = (steps(&self.root), steps(top));
        let mut found = Found::default();
        let mut folders = BTreeSet::new();
        let mut used = BTreeSet::new();
        for entry in entries {
            let Some(path) = &entry.path_lower else { continue };
            match entry.tag.as_deref() {
                Some("folder") if steps(path) > top_steps => {
                    folders.insert(path.clone());
                }
                Some("file") => {
                    used.extend(ancestors(path).map(str::to_owned));
                    let name = ObjectName::new(&spelled.spell(path, own_steps));
                    if let (Ok(name), Some(size_bytes)) = (name, entry.size)
                        && folder.is_none_or(|folder| name.is_below(folder))
                    {
                        found.objects.push(ObjectFacts { name, size_bytes });
                    }
                }
                _ => {}
            }
        }
        found.objects.sort_by(|left, right| left.name.cmp(&right.name));
        found.objects.dedup();
        found.empty_folders = folders.difference(&used).cloned().collect();
        found
    }

    /// Removes folders in which no file lies. Dropbox deletes a folder with all that is in it: each is looked into once more
    /// first, and whoever calls this is the only one who writes there.
    pub(super) async fn remove_empty_folders(&self, found: &Found) -> Result<()> {
        // Deeper ones first: an outer one is empty only then.
        for path in found.empty_folders.iter().rev() {
            let act = Act { verb: "remove the folder", name: path };
            let first = json!({ "path": path, "limit": 1 });
            match self.account.call(act, "files/list_folder", &first).await? {
                Ok(Page { entries, has_more: false, .. }) if entries.is_empty() => {}
                // It is gone, or in use again: then it stays.
                _ => continue,
            }
            let _alone = self.changing.lock().await;
            match self.account.call::<Value>(act, "files/delete_v2", &json!({ "path": path })).await? {
                Err(refusal) if refusal.is_missing_file() || refusal.cause() == Cause::Denied => {}
                Err(refusal) => return Err(refusal.into_error(&self.account.http, act)),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// How the steps of paths are spelled, by the paths in small letters.
struct Spelled<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Spelled<'a> {
    fn of(entries: &'a [Metadata]) -> Self {
        Self(
            entries
                .iter()
                .filter_map(|entry| Some((entry.path_lower.as_deref()?, entry.name.as_str())))
                .collect(),
        )
    }

    /// A path as it is spelled, without its first steps.
    fn spell(&self, path: &str, without_steps: usize) -> String {
        let mut spelled: Vec<&str> = ancestors(path)
            .chain([path])
            .skip(without_steps)
            .map(|path| self.0.get(path).copied().unwrap_or_else(|| last_step(path)))
            .collect();
        spelled.retain(|step| !step.is_empty());
        spelled.join("/")
    }
}

fn last_step(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn steps(path: &str) -> usize {
    path.matches('/').count()
}

/// The folders above a path, the outermost first, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: &str, path: &str, name: &str) -> Metadata {
        Metadata {
            tag: Some(tag.to_owned()),
            name: name.to_owned(),
            path_lower: Some(path.to_owned()),
            rev: None,
            size: Some(1),
            content_hash: None,
        }
    }

    #[test]
    fn paths_are_spelled_as_each_of_their_steps_is() {
        let entries =
            [entry("folder", "/top/shop one", "Shop One"), entry("file", "/top/shop one/a.sql", "A.sql")];
        let spelled = Spelled::of(&entries);
        assert_eq!(spelled.spell("/top/shop one/a.sql", 1), "Shop One/A.sql");
        assert_eq!(spelled.spell("/top/shop one/unknown/a.sql", 0), "top/Shop One/unknown/a.sql");
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a", "/a/b"]);
        assert_eq!(steps(""), 0);
        assert_eq!(steps("/a/b"), 2);
    }
}
