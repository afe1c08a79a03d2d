//! Chains of backups of a tree that changes at random: every point of them comes back as it was, through our own extraction and
//! through stock `tar`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec, Level};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::*;
use super::fixture::{Backup, request, set_time};
use super::snapshot::{Snapshot, assert_same, snapshot};
use crate::artifact::{ArtifactOptions, ArtifactWriter};
use crate::index::{CRITICAL_HELD_BY, IndexOptions, IndexWriter};

/// Longer than the file system's clock ticks: a change after this has other times.
const TICK: Duration = Duration::from_millis(12);

/// Backups, and for each which others it is made of, the full one first and itself last.
#[derive(Default)]
pub(super) struct Chains {
    pub(super) backups: Vec<Backup>,
    pub(super) made_of: Vec<Vec<usize>>,
}

/// How one backup of a chain is made.
pub(super) struct Step {
    pub(super) level: Level,
    pub(super) rehash: Rehash,
    /// When the backup before is said to have begun, seen from now.
    pub(super) parent_began: SignedDuration,
}

impl Step {
    /// Without a sample; nothing is too near to the backup before.
    pub(super) fn of(level: Level) -> Self {
        Self { level, rehash: Rehash::default(), parent_began: SignedDuration::from_secs(10) }
    }
}

impl Chains {
    /// Makes one more backup and gives its number.
    pub(super) fn back_up(&mut self, request: &TreeRequest, step: &Step) -> usize {
        let parent = match step.level {
            Level::Full => None,
            Level::Differential => self.made_of.last().map(|made_of| made_of[0]),
            Level::Incremental => self.backups.len().checked_sub(1),
        };
        let mut made_of = parent.map(|parent| self.made_of[parent].clone()).unwrap_or_default();
        let own_number = u32::try_from(made_of.len()).unwrap();
        let began = Host::real().clock.now() + step.parent_began;
        let index = parent.map(|parent| self.backups[parent].index());
        let baseline =
            index.as_ref().map(|index| Baseline::new(index, own_number, began, step.rehash.clone()));
        self.backups.push(write(request, baseline));
        made_of.push(self.backups.len() - 1);
        self.made_of.push(made_of);
        self.backups.len() - 1
    }

    pub(super) fn source(&self, number: usize) -> FilesSource<'_> {
        let others = &self.made_of[number][..self.made_of[number].len() - 1];
        FilesSource::building_on(others.len(), self.backups[number].archive(), |number| {
            Ok(self.backups[others[usize::try_from(number).unwrap()]].archive())
        })
    }

    /// Extracts a backup by ourselves.
    pub(super) fn extract(&self, number: usize, target: &Path) -> ExtractReport {
        let options = ExtractOptions {
            rights: Rights { setuid: true, ..Rights::usual() },
            workers: 2,
            own_archive_only: false,
        };
        let index = self.backups[number].index();
        extract(&self.source(number), &index, &Selection::Everything, target, &options, &NoMonitor).unwrap()
    }

    /// Extracts a backup as `docs/format.md` says: each archive of its chain, the oldest first.
    pub(super) fn stock_extract(&self, number: usize, target: &Path) {
        fs::create_dir_all(target).unwrap();
        for at in &self.made_of[number] {
            let output = Command::new("tar")
                .args(["--incremental", "--zstd", "--xattrs", "--acls", "--numeric-owner"])
                .args(["--warning=no-timestamp", "-xpf"])
                .arg(self.backups[*at].path())
                .arg("-C")
                .arg(target)
                .output()
                .unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && words.is_empty(), "{words}");
        }
    }

    /// Compares a backup, through both ways, with how the tree was.
    pub(super) fn check(&self, number: usize, frozen: &Snapshot) {
        let folder = tempfile::tempdir().unwrap();
        let stock = folder.path().join("stock");
        self.stock_extract(number, &stock);
        assert_same(frozen, &snapshot(&stock));
        self.check_own(number, frozen);
    }

    /// The same without stock tar.
    pub(super) fn check_own(&self, number: usize, frozen: &Snapshot) {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        let report = self.extract(number, &own);
        assert_eq!((report.refused.count, report.damaged.count), (0, 0), "{report:?}");
        assert_same(frozen, &snapshot(&own));
        let checked = check_archive(&self.source(number), &self.backups[number].index(), &NoMonitor).unwrap();
        assert_eq!(checked.faults, Vec::<String>::new());
    }
}

fn write(request: &TreeRequest, baseline: Option<Baseline<'_>>) -> Backup {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let options = ArtifactOptions::of(Codec::Zstd, 2);
    let writer = ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
    let critical: &[&str] = if baseline.is_some() { &[CRITICAL_HELD_BY] } else { &[] };
    let options = IndexOptions { critical, seal: None };
    let mut index = IndexWriter::create_with(&host, folder.path(), &options, &"header").unwrap();
    let report = archive_tree(request, baseline, &writer, &mut index, &NoMonitor).unwrap();
    let artifact = writer.finish().unwrap();
    let index = index.finish(&artifact.frames, &report).unwrap();
    let facts = crate::ManifestArtifact::data(ArtifactKind::Files, &artifact);
    assert_eq!(facts.parts.len(), artifact.parts.len());
    Backup { folder, artifact, index, report }
}

/// One change of a tree. What cannot be done there is left.
#[derive(Debug, Clone)]
enum Change {
    Write(String, u8, usize),
    SameSize(String, u8),
    Remove(String),
    Rename(String, String),
    MakeFolder(String),
    HardLink(String, String),
    Symlink(String, String),
    Mode(String, u32),
    Time(String, i64),
}

impl Change {
    fn apply(&self, root: &Path) {
        let at = |name: &String| root.join(name);
        let done = match self {
            Self::Write(name, byte, length) => {
                if at(name).is_dir() {
                    let _ = fs::remove_dir_all(at(name));
                }
                fs::write(at(name), vec![*byte; *length])
            }
            Self::SameSize(name, byte) => fs::read(at(name)).and_then(|content| {
                let file = File::options().write(true).open(at(name))?;
                std::os::unix::fs::FileExt::write_all_at(&file, &vec![*byte; content.len()], 0)
            }),
            Self::Remove(name) => fs::remove_file(at(name)).or_else(|_| fs::remove_dir_all(at(name))),
            Self::Rename(from, to) => fs::rename(at(from), at(to)),
            Self::MakeFolder(name) => {
                let _ = fs::remove_file(at(name));
                fs::create_dir_all(at(name))
            }
            Self::HardLink(from, to) => fs::hard_link(at(from), at(to)),
            Self::Symlink(name, target) => symlink(target, at(name)),
            Self::Mode(name, mode) => fs::set_permissions(at(name), Permissions::from_mode(*mode)),
            Self::Time(name, seconds) => {
                if at(name).symlink_metadata().is_ok() {
                    set_time(&at(name), *seconds, 5);
                }
                Ok(())
            }
        };
        // What is not possible in this tree is no change.
        drop(done);
    }
}

fn change() -> impl Strategy<Value = Change> {
    let name = || "(([xyz]/){0,2}[abxy])".prop_map(|name| name);
    prop_oneof![
        4 => (name(), any::<u8>(), prop_oneof![Just(0), 1_usize..3000, Just(70_000)]).prop_map(|(name, byte, length)| Change::Write(name, byte, length)),
        2 => (name(), any::<u8>()).prop_map(|(name, byte)| Change::SameSize(name, byte)),
        2 => name().prop_map(Change::Remove),
        2 => (name(), name()).prop_map(|(from, to)| Change::Rename(from, to)),
        3 => "[xyz](/[xyz])?".prop_map(Change::MakeFolder),
        2 => (name(), name()).prop_map(|(from, to)| Change::HardLink(from, to)),
        1 => (name(), name()).prop_map(|(name, target)| Change::Symlink(name, target)),
        1 => (name(), prop_oneof![Just(0o644), Just(0o755), Just(0o4711), Just(0o600)]).prop_map(|(name, mode)| Change::Mode(name, mode)),
        1 => (name(), 0_i64..2_000_000_000).prop_map(|(name, seconds)| Change::Time(name, seconds)),
    ]
}

/// How many trees are tried: a sample, or as many as `BACKSTOCK_TEST_CHAINS` says.
fn cases() -> u32 {
    std::env::var("BACKSTOCK_TEST_CHAINS").ok().and_then(|count| count.parse().ok()).unwrap_or(24)
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![1 => Just(Level::Full), 2 => Just(Level::Differential), 4 => Just(Level::Incremental)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn every_point_of_a_chain_comes_back(
        steps in prop::collection::vec((prop::collection::vec(change(), 0..14), level(), 0_u64..3000), 2..6)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shop");
        fs::create_dir_all(root.join("x/y")).unwrap();
        fs::write(root.join("x/a"), "first").unwrap();
        let mut chains = Chains::default();
        let mut frozen = Vec::new();
        let mut after = None;
        for (changes, level, budget_bytes) in &steps {
            for change in changes {
                change.apply(&root);
            }
            std::thread::sleep(TICK);
            let level = if frozen.is_empty() { Level::Full } else { *level };
            let rehash = Rehash { budget_bytes: *budget_bytes, after: after.take() };
            let step = Step { rehash, ..Step::of(level) };
            let number = chains.back_up(&request(&root), &step);
            let report = &chains.backups[number].report;
            prop_assert_eq!(report.hidden.count, 0);
            after = report.sampled_to.clone().map(|path| path.0);
            frozen.push(snapshot(&root));
            std::thread::sleep(TICK);
        }
        for (number, frozen) in frozen.iter().enumerate() {
            chains.check(number, frozen);
        }
    }
}
