//! The disk behind simulated files: what everyone sees, what is durable, and what is under way between the two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::FileStat;
use crate::simulated::Dice;

/// What survives of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerLoss {
    /// Everything: a process was killed, the machine runs on.
    NothingLost,
    /// Nothing.
    EverythingUnsynced,
    /// Names up to some moment; data cut anywhere.
    InOrder,
    /// Any names, the later ones perhaps without the earlier; data cut anywhere or, beyond it, zeros.
    AnyOrder,
}

impl PowerLoss {
    /// Every way, for sweeps.
    pub const ALL: &[Self] = &[Self::NothingLost, Self::EverythingUnsynced, Self::InOrder, Self::AnyOrder];
}

/// The data of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Data(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// How much of `seen` a sync has been tried for. A failed one leaves zeros there for ever.
    tried: usize,
    /// `seen`, as the disk will get it.
    written: Vec<u8>,
}

impl Data {
    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> u64 {
        self.lock().seen.len() as u64
    }

    pub(super) fn append(&self, bytes: &[u8]) {
        let mut data = self.lock();
        data.seen.extend_from_slice(bytes);
        data.written.extend_from_slice(bytes);
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let data = self.lock();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.seen.len());
        let count = buffer.len().min(data.seen.len() - start);
        buffer[..count].copy_from_slice(&data.seen[start..start + count]);
        count
    }

    pub(super) fn sync(&self, succeeds: bool) {
        let mut data = self.lock();
        let tried = data.tried;
        data.tried = data.seen.len();
        if succeeds {
            data.durable = data.written.clone();
        } else {
            data.written[tried..].fill(0);
        }
    }

    pub(super) fn rot(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut data = self.lock();
        change(&mut data.seen);
        data.durable = data.seen.clone();
        data.written = data.seen.clone();
        data.tried = data.seen.len();
    }

    /// The file as it is after a power loss.
    fn survivor(&self, loss: PowerLoss, dice: &mut Dice) -> Self {
        let data = self.lock();
        let (durable, written) = (data.durable.len(), data.written.len());
        let kept = match loss {
            PowerLoss::EverythingUnsynced => durable,
            _ => durable.min(written) + dice.below(written.saturating_sub(durable) + 1),
        };
        let mut bytes = if kept <= durable { data.durable.clone() } else { data.written[..kept].to_vec() };
        if loss == PowerLoss::AnyOrder && dice.below(4) == 0 {
            bytes.resize(written.max(bytes.len()), 0);
        }
        let tried = bytes.len();
        Self(Arc::new(Mutex::new(Bytes {
            seen: bytes.clone(),
            durable: bytes.clone(),
            tried,
            written: bytes,
        })))
    }
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Data),
    Folder(u64),
}

impl Node {
    pub(super) fn stat(&self) -> FileStat {
        match self {
            Self::File(data) => FileStat { size_bytes: data.len(), is_folder: false, is_file: true },
            Self::Folder(_) => FileStat { size_bytes: 0, is_folder: true, is_file: false },
        }
    }
}

type Names = BTreeMap<OsString, Node>;

/// A change of names that the disk does not have yet. A move between folders is an addition, and a removal that needs
/// it.
#[derive(Debug, Clone)]
struct Change {
    folder: u64,
    added: Option<(OsString, Node)>,
    removed: Option<OsString>,
    /// The number of the change that must be on the disk before this one.
    needs: Option<u64>,
    number: u64,
}

impl Change {
    fn names(&self) -> impl Iterator<Item = &OsString> {
        self.added.iter().map(|(name, _)| name).chain(&self.removed)
    }

    fn apply(&self, folders: &mut HashMap<u64, Names>) {
        let names = folders.entry(self.folder).or_default();
        if let Some(name) = &self.removed {
            names.remove(name);
        }
        if let Some((name, node)) = &self.added {
            names.insert(name.clone(), node.clone());
        }
    }
}

/// The folder that everything lies in.
const TOP: u64 = 0;

#[derive(Debug)]
pub(super) struct Disk {
    seen: HashMap<u64, Names>,
    durable: HashMap<u64, Names>,
    under_way: Vec<Change>,
    last_number: u64,
    boots: u64,
    dice: Dice,
}

fn failed<T>(kind: io::ErrorKind) -> io::Result<T> {
    Err(kind.into())
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let top = HashMap::from([(TOP, Names::new())]);
        let dice = Dice::new(seed);
        Self { seen: top.clone(), durable: top, under_way: Vec::new(), last_number: 0, boots: 0, dice }
    }

    /// How often the power has come back: a file opened before that is void.
    pub(super) fn boot(&self) -> u64 {
        self.boots
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.seen.values().flat_map(Names::values).map(|node| node.stat().size_bytes).sum()
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Node>> {
        let mut node = Node::Folder(TOP);
        for step in path.components() {
            let name = match step {
                Component::RootDir => continue,
                Component::Normal(name) => name,
                _ => return failed(io::ErrorKind::InvalidInput),
            };
            let Node::Folder(folder) = node else { return failed(io::ErrorKind::NotADirectory) };
            match self.seen.get(&folder).and_then(|names| names.get(name)) {
                Some(found) => node = found.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Data> {
        match self.find(path)? {
            Some(Node::File(data)) => Ok(data),
            Some(Node::Folder(_)) => failed(io::ErrorKind::IsADirectory),
            None => failed(io::ErrorKind::NotFound),
        }
    }

    fn folder(&self, path: &Path) -> io::Result<u64> {
        match self.find(path)? {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => failed(io::ErrorKind::NotADirectory),
            None => failed(io::ErrorKind::NotFound),
        }
    }

    /// The folder that a path lies in, and its last step.
    fn place<'path>(&self, path: &'path Path) -> io::Result<(u64, &'path OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return failed(io::ErrorKind::InvalidInput);
        };
        Ok((self.folder(parent)?, name))
    }

    fn change(
        &mut self,
        folder: u64,
        added: Option<(OsString, Node)>,
        removed: Option<OsString>,
        needs: Option<u64>,
    ) -> u64 {
        self.last_number += 1;
        let change = Change { folder, added, removed, needs, number: self.last_number };
        change.apply(&mut self.seen);
        self.under_way.push(change);
        self.last_number
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Data> {
        let (folder, name) = self.place(path)?;
        if self.find(path)?.is_some() {
            return failed(io::ErrorKind::AlreadyExists);
        }
        let data = Data::default();
        self.change(folder, Some((name.to_owned(), Node::File(data.clone()))), None, None);
        Ok(data)
    }

    /// Makes a folder, durably.
    pub(super) fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        match self.find(path)? {
            Some(Node::Folder(_)) => return Ok(()),
            Some(Node::File(_)) => return failed(io::ErrorKind::AlreadyExists),
            None => {}
        }
        self.last_number += 1;
        let folder = self.last_number;
        self.seen.insert(folder, Names::new());
        self.durable.insert(folder, Names::new());
        self.change(parent, Some((name.to_owned(), Node::Folder(folder))), None, None);
        self.settle(parent, u64::MAX);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((source, old), (target, new)) = (self.place(from)?, self.place(to)?);
        let Some(node) = self.find(from)? else { return failed(io::ErrorKind::NotFound) };
        match (&node, self.find(to)?) {
            (_, None) | (Node::File(_), Some(Node::File(_))) => {}
            (Node::File(_), Some(Node::Folder(_))) => return failed(io::ErrorKind::IsADirectory),
            (Node::Folder(_), Some(Node::File(_))) => return failed(io::ErrorKind::NotADirectory),
            (Node::Folder(_), Some(Node::Folder(there))) => {
                if self.seen.get(&there).is_some_and(|names| !names.is_empty()) {
                    return failed(io::ErrorKind::DirectoryNotEmpty);
                }
            }
        }
        let added = Some((new.to_owned(), node));
        if source == target {
            let removed = (old != new).then(|| old.to_owned());
            self.change(source, added, removed, None);
        } else {
            let addition = self.change(target, added, None, None);
            self.change(source, None, Some(old.to_owned()), Some(addition));
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        match self.find(path)? {
            None => Ok(()),
            Some(Node::Folder(_)) => failed(io::ErrorKind::IsADirectory),
            Some(Node::File(_)) => {
                let (folder, name) = self.place(path)?;
                self.change(folder, None, Some(name.to_owned()), None);
                Ok(())
            }
        }
    }

    pub(super) fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        match self.find(path)? {
            None => Ok(()),
            Some(Node::File(_)) => failed(io::ErrorKind::NotADirectory),
            Some(Node::Folder(folder)) => {
                if self.seen.get(&folder).is_some_and(|names| !names.is_empty()) {
                    return failed(io::ErrorKind::DirectoryNotEmpty);
                }
                let (parent, name) = self.place(path)?;
                self.change(parent, None, Some(name.to_owned()), None);
                Ok(())
            }
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileStat)>> {
        let folder = self.folder(path)?;
        let names = self.seen.get(&folder).into_iter().flatten();
        Ok(names.map(|(name, node)| (path.join(name), node.stat())).collect())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.folder(path)?;
        self.settle(folder, u64::MAX);
        Ok(())
    }

    /// Puts the changes of a folder on the disk, up to one number, and before them what they need elsewhere.
    fn settle(&mut self, folder: u64, up_to: u64) {
        let ours: Vec<Change> = self
            .under_way
            .iter()
            .filter(|change| change.folder == folder && change.number <= up_to)
            .cloned()
            .collect();
        for change in ours {
            if let Some(needed) = change.needs
                && let Some(other) = self.under_way.iter().find(|other| other.number == needed)
            {
                self.settle(other.folder, needed);
            }
            change.apply(&mut self.durable);
            self.under_way.retain(|other| other.number != change.number);
        }
    }

    pub(super) fn lose_power(&mut self, loss: PowerLoss) {
        self.boots += 1;
        if loss == PowerLoss::NothingLost {
            return;
        }
        let changes = std::mem::take(&mut self.under_way);
        let survive_until = match loss {
            PowerLoss::EverythingUnsynced => 0,
            PowerLoss::InOrder => self.dice.below(changes.len() + 1),
            _ => changes.len(),
        };
        let mut lost_numbers = HashSet::new();
        let mut lost_names: HashSet<(u64, OsString)> = HashSet::new();
        for (change, index) in changes.iter().zip(0..) {
            let is_lost = index >= survive_until
                || (loss == PowerLoss::AnyOrder && self.dice.below(2) == 0)
                || change.needs.is_some_and(|needed| lost_numbers.contains(&needed))
                || change.names().any(|name| lost_names.contains(&(change.folder, name.clone())));
            if is_lost {
                lost_numbers.insert(change.number);
                lost_names.extend(change.names().map(|name| (change.folder, name.clone())));
            } else {
                change.apply(&mut self.durable);
            }
        }
        let dice = &mut self.dice;
        for node in self.durable.values_mut().flat_map(Names::values_mut) {
            if let Node::File(data) = node {
                *data = data.survivor(loss, dice);
            }
        }
        self.seen = self.durable.clone();
    }
}
