//! What an exchange is asked to do, and the plan that comes of it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::report::NameList;
use super::super::request::{Exclusions, TreeRoot};
use super::super::restore_file::Rights;
use super::super::selection::Selection;

/// What to exchange.
#[derive(Debug, Clone)]
pub struct ExchangeRequest {
    /// The live folders, with the places in the backup that they belong to.
    pub roots: Vec<TreeRoot>,
    /// Which files are meant.
    pub selection: Selection,
    /// What the backup left out: it is neither compared nor ever taken for extra.
    pub exclusions: Exclusions,
    /// Folders that are never entered, recognised by device and inode.
    pub never: Vec<PathBuf>,
    /// Whether what the backup does not have is put aside too. Otherwise it is left alone.
    pub exact: bool,
    /// What is brought back besides content.
    pub rights: Rights,
    /// When the backup's run started: files not touched since two seconds before it are known by inode and times, all
    /// others are read and compared by hash. `None` reads all.
    pub backup_started: Option<Timestamp>,
    /// The folder in which the staging folders are made, on the file system of every root and inside none of them: for
    /// a root whose parent folder is served too. `None` is beside each root.
    pub aside: Option<PathBuf>,
    /// A few letters or digits that no other exchange of these roots has: part of the staging folders' names.
    pub tag: String,
    /// Where the plan is kept: a folder of the state folder, which exists. Takes `exchange.*`.
    pub folder: PathBuf,
}

/// One root in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRoot {
    /// Its place in the backup, as base64 of its bytes.
    pub prefix_base64: String,
    /// Where it lies, links resolved.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub path: PathBuf,
    /// Where things lie aside: beside it, on the same device, never inside it.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub staging: PathBuf,
    /// The root's device number.
    pub device: u64,
    /// The root's inode number.
    pub inode: u64,
    /// Bytes of content to be staged, each file counted in whole blocks of 4096.
    pub needed_bytes: u64,
}

/// What a plan would do, in numbers and first names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeSummary {
    /// Entries that are as the backup has them.
    pub unchanged: u64,
    /// Files and links whose content is replaced.
    pub replaced: NameList,
    /// Entries that only get owner, mode, attributes or times.
    pub metadata: NameList,
    /// Entries that are missing and put there.
    pub added: NameList,
    /// What the backup does not have: left alone, or put aside when the exchange is exact.
    pub extra: NameList,
    /// Entries that change their kind, a folder for a file or the other way round; counted in `replaced` too. What a
    /// folder held goes aside with it.
    pub kind_changed: NameList,
    /// Entries that cannot be exchanged, and why. They stay as they are.
    pub blocked: NameList,
    /// Entries that the backup names but does not hold. They stay as they are.
    pub absent: NameList,
    /// Files that do not get their setuid or setgid bits or capabilities back, since nobody agreed to it.
    pub without_setuid: NameList,
    /// Bytes of content to be staged, in whole blocks of 4096.
    pub needed_bytes: u64,
    /// How many steps there are.
    pub steps: u64,
}

/// A plan: kept in the restore's journal. The steps themselves are in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangePlan {
    /// The roots.
    pub roots: Vec<PlannedRoot>,
    /// Where `exchange.*` lie.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub folder: PathBuf,
    /// Whether what the backup does not have is put aside.
    pub exact: bool,
    /// Whether owners are brought back.
    pub owners: bool,
    /// Whether setuid bits are brought back.
    pub setuid: bool,
    /// Numbers and first names.
    pub summary: ExchangeSummary,
}

impl ExchangePlan {
    /// What is brought back besides content.
    pub fn rights(&self) -> Rights {
        Rights { owners: self.owners, setuid: self.setuid }
    }

    pub(crate) fn steps_path(&self) -> PathBuf {
        self.folder.join("exchange.jsonl")
    }

    pub(crate) fn staged_path(&self) -> PathBuf {
        self.folder.join("exchange.staged")
    }

    pub(crate) fn surprises_path(&self) -> PathBuf {
        self.folder.join("exchange.surprises")
    }
}
