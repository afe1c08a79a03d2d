//! Sample records, with identifiers and times from a simulated machine.

use std::path::PathBuf;

use backstock_host::{Host, SimulatedHost};
use backstock_vocabulary::{
    BackupId, Content, InstanceId, Level, Outcome, Proof, Reason, ReplicaState, RunId, RunKind, SetId,
    ShopId, StorageId,
};
use jiff::SignedDuration;

use crate::{Backup, Catalog, Replica, Run, RunDestination, RunEnd, Set, Shop, Storage};

/// A catalog in a folder that goes away with it.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("state/catalog.sqlite")
    }

    pub(crate) async fn open(&self) -> Catalog {
        Catalog::open(&Host::real(), &self.path()).await.unwrap()
    }
}

/// Makes records. Time passes with each.
pub(crate) struct Sample {
    machine: SimulatedHost,
}

impl Sample {
    pub(crate) fn new(seed: u64) -> Self {
        Self { machine: SimulatedHost::new(seed) }
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.machine.clock.advance(SignedDuration::from_millis(1001));
        self.machine.host.clock.now()
    }

    fn id<Id>(&self, from_parts: fn(u64, [u8; 10]) -> Id) -> Id {
        self.machine.host.new_id(from_parts)
    }

    pub(crate) fn shop(&self, root: &[u8]) -> Shop {
        Shop {
            id: self.id(ShopId::from_parts),
            root: Some(root.to_owned()),
            platform: "opencart".into(),
            title: "Candles".into(),
            created: self.now(),
        }
    }

    pub(crate) fn set(&self, shop: &Shop, title: &str) -> Set {
        Set {
            id: self.id(SetId::from_parts),
            shop: shop.id,
            title: title.into(),
            definition: serde_json::json!({"keep": [7, 4, 12, 1]}),
            created: self.now(),
        }
    }

    pub(crate) fn storage(&self, folder: &str) -> Storage {
        Storage {
            id: self.id(StorageId::from_parts),
            title: format!("Folder {folder}"),
            kind: "local".into(),
            settings: serde_json::json!({"folder": folder}),
            sealed_secrets: None,
            created: self.now(),
        }
    }

    pub(crate) fn run(&self, set: &Set) -> Run {
        Run {
            id: self.id(RunId::from_parts),
            kind: RunKind::Backup,
            shop: Some(set.shop),
            set: Some(set.id),
            set_title: set.title.clone(),
            outcome: Outcome::Running,
            started: self.now(),
            finished: None,
            elapsed_ms: None,
            error: None,
            detail: serde_json::json!({}),
            process_id: 4711,
            boot_id: self.machine.host.machine.boot_id(),
        }
    }

    pub(crate) fn destination(&self, storage: &Storage, status: Outcome) -> RunDestination {
        RunDestination {
            storage: Some(storage.id),
            title: storage.title.clone(),
            kind: storage.kind.clone(),
            status,
            message: String::new(),
        }
    }

    pub(crate) fn end(&self, outcome: Outcome) -> RunEnd {
        RunEnd {
            outcome,
            finished: self.now(),
            elapsed_ms: 1500,
            error: None,
            detail: serde_json::json!({"frames": 3}),
            destinations: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    pub(crate) fn backup(&self, set: &Set, sequence: u64) -> Backup {
        let id: BackupId = self.id(BackupId::from_parts);
        Backup {
            id,
            shop: set.shop,
            set: set.id,
            run: self.id(RunId::from_parts),
            instance: InstanceId::from_parts(0, [1; 10]),
            sequence,
            level: Level::Full,
            reason: Reason::Manual,
            content: Content::Whole,
            started: self.now(),
            finished: self.now(),
            parent: None,
            folder: format!("2026-11-20T03.00.00Z-{}", id.short()),
            definition_hash: "d".repeat(64),
            manifest_hash: format!("{sequence:064x}"),
            stored_bytes: 123_456_789_012,
            exceptions: 0,
            notes: 2,
            detail: serde_json::json!({"artifacts": ["db/db.sql.zst"]}),
        }
    }

    pub(crate) fn replica(&self, backup: &Backup, storage: &Storage) -> Replica {
        Replica {
            backup: backup.id,
            storage: storage.id,
            folder: format!("shop/{}", backup.folder),
            state: ReplicaState::Present,
            proof: Some(Proof::Size),
            checked: Some(self.now()),
        }
    }

    /// A shop with the set `default` and a storage, on record.
    pub(crate) async fn settle(&self, catalog: &Catalog) -> (Shop, Set, Storage) {
        let shop = self.shop(b"/srv/candles");
        let (set, storage) = (self.set(&shop, "default"), self.storage("/backups"));
        catalog.save_shop(&shop).await.unwrap();
        catalog.save_set(&set).await.unwrap();
        catalog.save_storage(&storage).await.unwrap();
        (shop, set, storage)
    }
}
