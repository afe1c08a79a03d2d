//! A shop, its backup, and an exchange between the two.

use std::path::{Path, PathBuf};

use backstock_host::Host;
use backstock_vocabulary::Codec;

use super::super::super::tests::fixture::{Backup, back_up, request};
use super::super::super::tests::snapshot::{Snapshot, snapshot};
use super::super::super::*;

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) host: Host,
    pub(super) backup: Backup,
}

pub(super) struct Exchange<'a> {
    pub(super) bench: &'a Bench,
    pub(super) plan: ExchangePlan,
}

impl Bench {
    /// Makes a shop, backs it up, and changes it.
    pub(super) fn new(make: impl Fn(&Path), change: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = folder.path().join("shop");
        std::fs::create_dir(&shop).unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        make(&shop);
        let backup = back_up(&request(&shop), Codec::Zstd);
        change(&shop);
        Self { folder, host: Host::real(), backup }
    }

    pub(super) fn shop(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    pub(super) fn see(&self) -> Snapshot {
        snapshot(&self.shop())
    }

    pub(super) fn request(&self, exact: bool) -> ExchangeRequest {
        ExchangeRequest {
            roots: vec![TreeRoot { prefix: Vec::new(), path: self.shop() }],
            selection: Selection::Everything,
            exclusions: Exclusions::default(),
            never: Vec::new(),
            exact,
            rights: Rights { setuid: true, ..Rights::usual() },
            backup_started: None,
            aside: None,
            tag: "a1b2c3".to_owned(),
            folder: self.folder.path().join("state"),
        }
    }

    pub(super) fn plan(&self, request: &ExchangeRequest) -> Exchange<'_> {
        let plan = plan_exchange(&self.host, &self.backup.index(), request, &NoMonitor).unwrap();
        Exchange { bench: self, plan }
    }

    pub(super) fn staged(&self, exact: bool) -> Exchange<'_> {
        let exchange = self.plan(&self.request(exact));
        exchange.stage();
        exchange
    }
}

impl Exchange<'_> {
    pub(super) fn stage(&self) -> StageReport {
        stage(&self.bench.host, &self.plan, &self.bench.backup.reader(), 2, &NoMonitor).unwrap()
    }

    pub(super) fn forward(&self) -> crate::Result<ExchangeReport> {
        exchange_forward(&self.bench.host, &self.plan, 0, &mut |_| Ok(()), &NoMonitor)
    }

    pub(super) fn backward(&self) -> crate::Result<ExchangeReport> {
        exchange_backward(&self.bench.host, &self.plan, &NoMonitor)
    }

    pub(super) fn changed(&self) -> FileChange {
        changed_since(&self.bench.host, &self.plan, &NoMonitor).unwrap()
    }

    pub(super) fn discard(&self) -> Vec<PathBuf> {
        discard(&self.bench.host, &self.plan).unwrap()
    }
}
