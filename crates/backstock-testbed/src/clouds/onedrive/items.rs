//! What lies in an account of OneDrive: a tree in which a name is taken whatever the case of its letters.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::quick_xor::quick_xor;
use crate::clouds::token;

/// The longest path, in characters.
pub(super) const PATH_LIMIT_CHARACTERS: usize = 400;
const ROOT: &str = "root-id";

/// A file or a folder.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    name: String,
    pub(super) parent: String,
    /// None for folders.
    pub(super) bytes: Option<Vec<u8>>,
    hash: String,
    /// How often it was looked at.
    looks: Cell<u32>,
    number: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Items {
    by_id: BTreeMap<String, Item>,
    count: u64,
    /// After how many looks a hash is told.
    pub(super) hash_after: Option<u32>,
    pub(super) damages_next: bool,
}

/// Whether OneDrive takes no such name.
pub(super) fn is_forbidden(name: &str) -> bool {
    let small = name.to_lowercase();
    let is_port = (small.starts_with("com") || small.starts_with("lpt"))
        && small.len() == 4
        && small.ends_with(|letter: char| letter.is_ascii_digit());
    name.is_empty()
        || name.contains(|letter: char| "\"*:<>?/\\|".contains(letter) || letter.is_control())
        || name.starts_with([' ', '~'])
        || name.ends_with([' ', '.'])
        || is_port
        || small.contains("_vti_")
        || ["con", "prn", "aux", "nul", ".lock", "desktop.ini"].contains(&small.as_str())
}

impl Items {
    pub(super) fn new() -> Self {
        let root = Item {
            id: ROOT.to_owned(),
            name: "root".to_owned(),
            parent: String::new(),
            bytes: None,
            hash: String::new(),
            looks: Cell::new(0),
            number: 0,
        };
        let by_id = BTreeMap::from([(ROOT.to_owned(), root)]);
        Self { by_id, count: 0, hash_after: Some(0), damages_next: false }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Item> {
        self.by_id.get(id)
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len() - 1
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.by_id.values().filter_map(|item| item.bytes.as_ref()).map(|bytes| bytes.len() as u64).sum()
    }

    /// What is in a folder, by name.
    pub(super) fn children(&self, id: &str) -> impl Iterator<Item = &Item> {
        let mut children: Vec<_> = self.by_id.values().filter(|item| item.parent == id).collect();
        children.sort_by(|one, other| one.name.cmp(&other.name));
        children.into_iter()
    }

    /// The id of what has a name in a folder.
    pub(super) fn child(&self, above: &str, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        self.children(above).find(|item| item.name.to_lowercase() == wanted).map(|item| item.id.clone())
    }

    /// The id of what is at a path. The folder of applications makes itself.
    pub(super) fn at(&mut self, path: &str) -> Option<String> {
        if path == "Apps/Backstock" {
            return Some(self.folders(path));
        }
        let mut steps = path.split('/').filter(|step| !step.is_empty());
        steps.try_fold(ROOT.to_owned(), |above, step| self.child(&above, step))
    }

    /// The id of the folder of a path, and the last step of it.
    pub(super) fn above(&mut self, path: &str) -> Option<(String, String)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.at(folder)?;
        self.by_id.get(&above).is_some_and(|item| item.bytes.is_none()).then(|| (above, name.to_owned()))
    }

    fn folders(&mut self, path: &str) -> String {
        let mut above = ROOT.to_owned();
        for step in path.split('/').filter(|step| !step.is_empty()) {
            above = match self.child(&above, step) {
                Some(id) => id,
                None => self.add(&above, step, None),
            };
        }
        above
    }

    pub(super) fn add(&mut self, above: &str, name: &str, bytes: Option<Vec<u8>>) -> String {
        self.count += 1;
        let id = token("01", self.count);
        let hash = bytes.as_deref().map(quick_xor).unwrap_or_default();
        let (name, parent, number) = (name.to_owned(), above.to_owned(), self.count);
        let item = Item { id: id.clone(), name, parent, bytes, hash, looks: Cell::new(0), number };
        self.by_id.insert(id.clone(), item);
        id
    }

    /// Gives a file other bytes.
    pub(super) fn replace(&mut self, id: &str, bytes: Vec<u8>) {
        self.count += 1;
        if let Some(item) = self.by_id.get_mut(id) {
            item.hash = quick_xor(&bytes);
            (item.bytes, item.number) = (Some(bytes), self.count);
            item.looks.set(0);
        }
    }

    pub(super) fn put_file(&mut self, path: &str, bytes: &[u8]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.folders(folder);
        match self.child(&above, name) {
            Some(id) => self.replace(&id, bytes.to_vec()),
            None => drop(self.add(&above, name, Some(bytes.to_vec()))),
        }
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) {
        if let Some(item) = self.by_id.get_mut(id) {
            name.clone_into(&mut item.name);
        }
    }

    /// Deletes something with all that is below it.
    pub(super) fn remove(&mut self, id: &str) {
        let below: Vec<_> = self.children(id).map(|item| item.id.clone()).collect();
        for id in below {
            self.remove(&id);
        }
        self.by_id.remove(id);
    }

    /// Takes the bytes of an upload that is done.
    pub(super) fn received(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if std::mem::take(&mut self.damages_next)
            && let Some(byte) = bytes.last_mut()
        {
            *byte ^= 1;
        }
        bytes
    }

    /// An item with the fields that were asked for.
    pub(super) fn shown(&self, id: &str, select: Option<&str>) -> Value {
        let Some(item) = self.get(id) else { return Value::Null };
        item.looks.set(item.looks.get() + 1);
        self.shown_as_child(item, select)
    }

    pub(super) fn shown_as_child(&self, item: &Item, select: Option<&str>) -> Value {
        let mut all =
            json!({ "id": item.id, "name": item.name, "eTag": format!("\"{{{}}},1\"", item.number) });
        match &item.bytes {
            Some(bytes) => {
                all["size"] = bytes.len().into();
                all["file"] = json!({ "mimeType": "application/octet-stream" });
                if self.hash_after.is_some_and(|after| item.looks.get() > after) {
                    all["file"]["hashes"] = json!({ "quickXorHash": item.hash });
                }
            }
            None => {
                all["size"] = 0.into();
                all["folder"] = json!({ "childCount": self.children(&item.id).count() });
            }
        }
        let Some(select) = select else { return all };
        let wanted: Vec<_> = select.split(',').collect();
        let shown = all.as_object().into_iter().flatten().filter(|(name, _)| wanted.contains(&name.as_str()));
        Value::Object(shown.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}
