//! What differs between two backups of a shop, or between one and the live shop. Of backups the indexes are read, and of
//! the archives nothing but the frames of those tables that differ and whose rows matter on the shop's platform.
//!
//! The indexes are sorted by path and by object, so that both are read once, side by side, with a page of each in
//! memory. Each difference goes to the caller as it is found; nothing is collected here but counts.

mod database;
mod difference;
mod files;
mod item;
mod lines;
mod live;
mod merge;
mod rows;
#[cfg(test)]
mod tests;

use backstock_archive::tree::{Exclusions, FileEntry, FileKind, LeftOut, TreeRoot, as_path, printable};
use backstock_catalog::Backup;
use backstock_database::DumpedObject;
use backstock_platform::ShopLayout;
use backstock_vocabulary::ArtifactKind;
use serde::de::DeserializeOwned;

pub use difference::{
    DatabaseCounts, DiffSide, DiffSummary, Difference, FileChange, FileCounts, ObjectName, OneFile, Side,
};
pub use item::ToldDifference;
pub use lines::LineChange;
pub(crate) use live::COUNTED_BYTES;
pub use live::diff_with_live;
pub use rows::{NamedValue, RowName, ShownValue, ValueChange};

use crate::backup::{
    DatabaseHeader, DatabaseSummary, FilesHeader, RootHeader, ShopHeader, interrupted, renewable_places,
};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{Expected, Monitor, Phase};
use crate::show::shop_of;
use crate::stored::{StoredBackup, StoredIndex};
use database::{BlindSpots, DatabaseDiff, DatabaseRules, RowSources};
use files::{FileRules, FilesDiff};
use item::Namer;
use merge::merge;
pub(crate) use rows::{StoredRows, TablePair, WantedRow};

/// Compares two backups of one shop. Every difference goes to `sink` as it is found: files first, in the order of their
/// paths, then the database.
///
/// # Errors
/// [`ErrorKind::Declined`] for backups of two shops, [`ErrorKind::NotFound`] where they have nothing that could be
/// compared, [`ErrorKind::Damaged`] where an index is; those of the storages and of the catalog. What was found until
/// then has gone to the sink.
pub fn diff(
    environment: &Environment,
    before: Backup,
    after: Backup,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(ToldDifference),
) -> Result<DiffSummary> {
    if before.shop != after.shop {
        let message = format!("{} and {} are backups of two shops", before.id.short(), after.id.short());
        return Err(OperationError::plain(ErrorKind::Declined, message));
    }
    let shop = shop_of(environment, before.shop)?;
    let before = StoredBackup::open(environment, before)?;
    let after = StoredBackup::open(environment, after)?;
    let both = |kind| before.has(kind) && after.has(kind);
    let (has_files, has_database) = (both(ArtifactKind::FilesIndex), both(ArtifactKind::DatabaseIndex));
    if !has_files && !has_database {
        let message = "one of the two backups has the files alone, the other one the database";
        return Err(OperationError::plain(ErrorKind::NotFound, message));
    }
    let namer = Namer::of(&environment.key);
    let pair = Pair { environment, namer, before: &before, after: &after, monitor };
    let mut notes = Vec::new();
    let files = if has_files { Some(pair.files(sink, &mut notes)?) } else { None };
    let database = if has_database { Some(pair.database(sink, &mut notes)?) } else { None };
    for (kind, what) in [(ArtifactKind::FilesIndex, "files"), (ArtifactKind::DatabaseIndex, "database")] {
        if before.has(kind) != after.has(kind) {
            notes.push(format!("the {what} cannot be compared: one of the two backups was made without"));
        }
    }
    Ok(DiffSummary {
        shop: shop.title,
        before: side(&before),
        after: side(&after),
        files,
        database,
        notes,
        read_bytes: environment.reads.bytes(),
    })
}

/// Compares two indexes of files that are open already: every path goes to `each` with what either has
/// there, and what differs there to `sink` next.
pub(crate) fn compare_file_indexes(
    environment: &Environment,
    (before, after): (&StoredIndex, &StoredIndex),
    each: &mut dyn FnMut(Option<&FileEntry>, Option<&FileEntry>),
    sink: &mut dyn FnMut(ToldDifference),
    monitor: &dyn Monitor,
) -> Result<()> {
    let act = "comparing the files with those of the backup before";
    let rules = file_rules(&before.header().doing(act)?, &after.header().doing(act)?)?;
    let namer = Namer::of(&environment.key);
    let mut diff = FilesDiff::new(&rules, &namer, sink);
    let before = before.entries::<FileEntry>().map(|line| line.doing(act));
    let after = after.entries::<FileEntry>().map(|line| line.doing(act));
    merge(before, after, &mut |path, one, other| {
        each(one.as_ref(), other.as_ref());
        diff.path(path, one, other);
        if monitor.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    })
}

fn side(stored: &StoredBackup) -> DiffSide {
    DiffSide { backup: Some(stored.record.id), started: stored.signed.manifest.started }
}

/// The two backups, opened.
struct Pair<'a> {
    environment: &'a Environment,
    namer: Namer,
    before: &'a StoredBackup,
    after: &'a StoredBackup,
    monitor: &'a dyn Monitor,
}

impl Pair<'_> {
    fn indexes(&self, kind: ArtifactKind) -> Result<(StoredIndex, StoredIndex)> {
        Ok((self.before.index(self.environment, kind)?, self.after.index(self.environment, kind)?))
    }

    fn files(&self, sink: &mut dyn FnMut(ToldDifference), notes: &mut Vec<String>) -> Result<FileCounts> {
        let (before, after) = self.indexes(ArtifactKind::FilesIndex)?;
        let headers = (self.before.files_header(&before)?, self.after.files_header(&after)?);
        let rules = file_rules(&headers.0, &headers.1)?;
        notes.extend(rules.before_roots.iter().chain(&rules.after_roots).map(|root| {
            format!(
                "{} is in one of the two backups alone: its files are counted and not named",
                printable(root)
            )
        }));
        let total = before.entry_count().max(after.entry_count());
        self.monitor.phase(Phase::Comparing, Expected { bytes: None, items: Some(total) });
        let mut diff = FilesDiff::new(&rules, &self.namer, sink);
        merge(
            entries::<FileEntry>(&before, self.before),
            entries::<FileEntry>(&after, self.after),
            &mut |path, mut one, mut other| {
                if let (Some(one), Some(other)) = (&mut one, &mut other)
                    && one.link != other.link
                {
                    self.look_through(&before, one)?;
                    self.look_through(&after, other)?;
                }
                diff.path(path, one, other);
                self.go_on()
            },
        )?;
        Ok(diff.counts())
    }

    /// A further name of a file becomes the file itself: which of its names comes first changes with the others.
    fn look_through(&self, index: &StoredIndex, entry: &mut FileEntry) -> Result<()> {
        if entry.kind != FileKind::HardLink {
            return Ok(());
        }
        let first = index.find::<FileEntry>(entry.link.as_deref().unwrap_or_default());
        if let Some(first) = first.doing("looking for the first name of a file")? {
            *entry = FileEntry { path: std::mem::take(&mut entry.path), ..first };
        }
        Ok(())
    }

    fn database(
        &self,
        sink: &mut dyn FnMut(ToldDifference),
        notes: &mut Vec<String>,
    ) -> Result<DatabaseCounts> {
        let (before, after) = self.indexes(ArtifactKind::DatabaseIndex)?;
        let summary = |index: &StoredIndex, stored: &StoredBackup| {
            index
                .summary::<DatabaseSummary>()
                .doing(format!("reading the database index of {}", stored.folder))
        };
        let (early, late) = (summary(&before, self.before)?, summary(&after, self.after)?);
        let header = |index: &StoredIndex, stored: &StoredBackup| {
            index.header::<DatabaseHeader>().doing(format!("reading the database index of {}", stored.folder))
        };
        let (early_header, header) = (header(&before, self.before)?, header(&after, self.after)?);
        let is_told = early_header.selection.is_some() && header.selection.is_some();
        let is_cancelled = || self.monitor.is_cancelled();
        let rows = |stored| StoredRows::new(self.environment, stored, &is_cancelled);
        let (early_rows, late_rows) = (rows(self.before), rows(self.after));
        let rules = DatabaseRules {
            layout: layout_of(&header.shop)?,
            before_blind: BlindSpots::of(&early.problems),
            after_blind: BlindSpots::of(&late.problems),
            before_asked: early_header.selection,
            after_asked: header.selection,
            same_vendor: early.server.vendor == late.server.vendor,
            counts_alone: false,
            rows: Some(RowSources { before: &early_rows, after: &late_rows }),
        };
        self.monitor.phase(Phase::Comparing, Expected::default());
        let mut diff = DatabaseDiff::new(&rules, &self.namer, sink);
        diff.defaults(&early.database, &late.database);
        merge(
            entries::<DumpedObject>(&before, self.before),
            entries::<DumpedObject>(&after, self.after),
            &mut |key, before, after| {
                diff.object(&key, before.as_ref(), after.as_ref())?;
                self.go_on()
            },
        )?;
        let counts = diff.counts();
        let asked = |stored: &StoredBackup| stored.signed.manifest.definition_sha256;
        if !is_told && counts.added + counts.removed > 0 && asked(self.before) != asked(self.after) {
            notes.push(
                "the two backups were not asked for the same things: a table that one of them was told to leave out \
                 looks added or removed"
                    .to_owned(),
            );
        }
        Ok(counts)
    }

    fn go_on(&self) -> Result<()> {
        if self.monitor.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }
}

fn entries<'a, E: DeserializeOwned + 'a>(
    index: &'a StoredIndex,
    stored: &'a StoredBackup,
) -> impl Iterator<Item = Result<backstock_archive::IndexEntry<E>>> + 'a {
    index.entries::<E>().map(|line| line.doing(format!("reading an index of {}", stored.folder)))
}

pub(crate) fn layout_of(shop: &ShopHeader) -> Result<Option<ShopLayout>> {
    let layout = shop.layout.clone().map(serde_json::from_value).transpose();
    layout.doing("reading what a backup remembers of the shop")
}

/// What must be known to read two indexes of files side by side.
fn file_rules(before: &FilesHeader, after: &FilesHeader) -> Result<FileRules> {
    let act = "reading what a backup left out";
    let mut rules = FileRules::default();
    if let Some(layout) = layout_of(&after.shop)? {
        let places = renewable_places(&layout, &tree_roots(&after.roots));
        let exclusions = Exclusions { renewable: places, ..Exclusions::default() };
        rules.renewable = Some(LeftOut::new(&exclusions).doing(act)?);
    }
    if before.exclusions != after.exclusions {
        rules.before_left_out = Some(LeftOut::new(&before.exclusions).doing(act)?);
        rules.after_left_out = Some(LeftOut::new(&after.exclusions).doing(act)?);
    }
    rules.before_roots = missing_roots(&before.roots, &after.roots);
    rules.after_roots = missing_roots(&after.roots, &before.roots);
    Ok(rules)
}

fn tree_roots(roots: &[RootHeader]) -> Vec<TreeRoot> {
    let root = |root: &RootHeader| TreeRoot {
        prefix: root.prefix.to_vec(),
        path: as_path(root.folder.as_bytes()).to_owned(),
    };
    roots.iter().map(root).collect()
}

/// The places of the first side's roots that the second one does not have.
fn missing_roots(roots: &[RootHeader], others: &[RootHeader]) -> Vec<Vec<u8>> {
    let missing = roots.iter().filter(|root| others.iter().all(|other| other.prefix != root.prefix));
    missing.map(|root| root.prefix.to_vec()).filter(|prefix| !prefix.is_empty()).collect()
}
