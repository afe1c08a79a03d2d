//! Where Backstock keeps its own things: the state folder and what lies in it.

use std::path::{Path, PathBuf};

use backstock_vocabulary::{BackupId, RunId, SetId, ShopId, StorageId};

/// The state folder of one instance. Backups lie elsewhere (`backups`), never in it.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

impl StateFolder {
    /// The state folder at a place. Nothing is made yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The catalog's SQLite file.
    pub fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    /// The instance's secret key.
    pub fn key(&self) -> PathBuf {
        self.root.join("instance.key")
    }

    /// The kernel lock that stands for a shop.
    pub fn shop_lock(&self, shop: ShopId) -> PathBuf {
        self.root.join("locks").join(format!("{shop}.lock"))
    }

    /// The kernel lock of the checks that are due of a shop.
    pub fn checks_lock(&self, shop: ShopId) -> PathBuf {
        self.root.join("locks").join(format!("{shop}.checks.lock"))
    }

    /// The kernel lock that the daemon holds as long as it lives.
    pub fn daemon_lock(&self) -> PathBuf {
        self.root.join("locks").join("daemon.lock")
    }

    /// The kernel lock of whoever tells people at the moment.
    pub fn notices_lock(&self) -> PathBuf {
        self.root.join("locks").join("notices.lock")
    }

    /// Where browsers find the daemon.
    pub fn daemon_address(&self) -> PathBuf {
        self.root.join("daemon.address")
    }

    /// Where all spools lie.
    pub fn spools(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// The kernel lock under which spools are made and swept.
    pub fn spools_lock(&self) -> PathBuf {
        self.root.join("locks").join("spools.lock")
    }

    /// Where a run writes parts before they are put.
    pub fn spool(&self, run: RunId) -> PathBuf {
        self.spools().join(run.to_string())
    }

    /// Where all restore journals lie.
    pub fn journals(&self) -> PathBuf {
        self.root.join("journals")
    }

    /// Where a restore keeps its journal and plans.
    pub fn journal(&self, run: RunId) -> PathBuf {
        self.journals().join(run.to_string())
    }

    /// Where the unsealed copies of a set's files indexes lie.
    pub fn files_indexes(&self, set: SetId) -> PathBuf {
        self.root.join("index").join(set.to_string())
    }

    /// The unsealed copy of a backup's files index.
    pub fn files_index(&self, set: SetId, backup: BackupId) -> PathBuf {
        self.files_indexes(set).join(format!("{backup}.files.zst"))
    }

    /// How many rows each table of a backup has, sealed with the instance's key.
    pub fn table_counts(&self, set: SetId, backup: BackupId) -> PathBuf {
        self.files_indexes(set).join(format!("{backup}.tables.sealed"))
    }

    /// The sealed connection to the database of a shop.
    pub fn shop_connection(&self, shop: ShopId) -> PathBuf {
        self.root.join("connections").join(format!("{shop}.sealed"))
    }

    /// Where the locks of those lie who read a backup.
    pub fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    /// Where the journals of drills lie.
    pub fn drills(&self) -> PathBuf {
        self.root.join("drills")
    }

    /// Where a drill keeps its journal and, unless another place is given, everything that it makes.
    pub fn drill(&self, run: RunId) -> PathBuf {
        self.drills().join(run.to_string())
    }

    /// The kernel lock under which journals of drills are made and swept.
    pub fn drills_lock(&self) -> PathBuf {
        self.root.join("locks").join("drills.lock")
    }

    /// Where the journals of uploads to a storage lie.
    pub fn uploads(&self, storage: StorageId) -> PathBuf {
        self.root.join("uploads").join(storage.to_string())
    }

    /// The public halves of identities, their slots and certificates.
    pub fn identities(&self) -> PathBuf {
        self.root.join("identities")
    }

    /// Every folder that must be there.
    pub fn folders(&self) -> [PathBuf; 9] {
        ["locks", "spool", "journals", "index", "connections", "leases", "drills", "identities", "uploads"]
            .map(|name| self.root.join(name))
    }
}

/// The usual places for a user: `/var/lib/backstock` for root, `$XDG_STATE_HOME/backstock` (or
/// `~/.local/state/backstock`) for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsualPlaces {
    /// The state folder.
    pub state: PathBuf,
    /// The folder in which backups are kept.
    pub backups: PathBuf,
}

impl UsualPlaces {
    /// Decides from the user and the environment, which the caller read.
    pub fn for_user(is_root: bool, xdg_state_home: Option<&Path>, home: Option<&Path>) -> Option<Self> {
        let base = if is_root {
            PathBuf::from("/var/lib/backstock")
        } else if let Some(folder) = xdg_state_home.filter(|folder| folder.is_absolute()) {
            folder.join("backstock")
        } else {
            home?.join(".local/state/backstock")
        };
        Some(Self { state: base.join("state"), backups: base.join("backups") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_others_have_their_usual_places() {
        let root = UsualPlaces::for_user(true, None, None).unwrap();
        assert_eq!(root.backups, Path::new("/var/lib/backstock/backups"));
        let home = Path::new("/home/ann");
        let ann = UsualPlaces::for_user(false, None, Some(home)).unwrap();
        assert_eq!(ann.state, Path::new("/home/ann/.local/state/backstock/state"));
        let relative = UsualPlaces::for_user(false, Some(Path::new("state")), Some(home)).unwrap();
        assert_eq!(relative, ann, "a relative XDG_STATE_HOME is ignored, as its specification asks");
        assert_eq!(UsualPlaces::for_user(false, None, None), None);
    }
}
