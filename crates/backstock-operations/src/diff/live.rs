//! What differs between a backup and the shop as it is now: every file, every definition, and of rows their number where
//! counting is cheap. No dump is taken, and nothing is changed.

use backstock_archive::IndexEntry;
use backstock_archive::index::compare_keys;
use backstock_archive::tree::{TreeRequest, compare_with_live};
use backstock_catalog::Backup;
use backstock_database::{DumpedObject, look_at_database};
use backstock_vocabulary::ArtifactKind;

use super::database::{BlindSpots, DatabaseDiff, DatabaseRules, RowSources};
use super::difference::{DatabaseCounts, DiffSide, DiffSummary, FileCounts};
use super::files::FilesDiff;
use super::item::{Namer, ToldDifference};
use super::merge::merge;
use super::rows::{LiveRows, StoredRows};
use super::{entries, file_rules, layout_of, side};
use crate::backup::{DatabaseHeader, DatabaseSummary, interrupted, object_key};
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::monitor::{Expected, Monitor, Phase, TreeWatch};
use crate::restore::{aside_names, match_roots, open_restores};
use crate::stored::StoredBackup;
use crate::subject::Subject;

/// Live tables whose rows the server estimates to be larger are not counted, bytes: counting reads a whole key.
pub(crate) const COUNTED_BYTES: u64 = 16 << 20;

/// Compares a backup with the live shop. Every difference goes to `sink` as it is found, as with two backups.
///
/// # Errors
/// [`crate::ErrorKind::Damaged`] where an index is; where a root of the shop cannot be read or its database cannot be reached.
pub fn diff_with_live(
    environment: &Environment,
    before: Backup,
    subject: &Subject,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(ToldDifference),
) -> Result<DiffSummary> {
    let started = environment.host.clock.now();
    let stored = StoredBackup::open(environment, before)?;
    let look = Look { environment, namer: Namer::of(&environment.key), stored: &stored, subject, monitor };
    let mut notes = Vec::new();
    let has = |kind| stored.has(kind);
    let files = if has(ArtifactKind::FilesIndex) { Some(look.files(sink)?) } else { None };
    let database =
        if has(ArtifactKind::DatabaseIndex) { Some(look.database(sink, &mut notes)?) } else { None };
    Ok(DiffSummary {
        shop: subject.title.clone(),
        before: side(&stored),
        after: DiffSide { backup: None, started },
        files,
        database,
        notes,
        read_bytes: environment.reads.bytes(),
    })
}

/// A backup and the shop that it is held against.
struct Look<'a> {
    environment: &'a Environment,
    namer: Namer,
    stored: &'a StoredBackup,
    subject: &'a Subject,
    monitor: &'a dyn Monitor,
}

impl Look<'_> {
    fn files(&self, sink: &mut dyn FnMut(ToldDifference)) -> Result<FileCounts> {
        let index = self.stored.index(self.environment, ArtifactKind::FilesIndex)?;
        let header = self.stored.files_header(&index)?;
        // The live side is walked by the rules that the backup was made by.
        let rules = file_rules(&header, &header)?;
        let walked = TreeRequest {
            roots: match_roots(self.subject, &header.roots)?,
            exclusions: header.exclusions,
            never: self.stored.never_of_a_shop(self.environment),
            started: self.stored.signed.manifest.started,
            readers: 1,
        };
        let total = Some(index.entry_count());
        self.monitor.phase(Phase::Comparing, Expected { bytes: None, items: total });
        let mut diff = FilesDiff::new(&rules, &self.namer, sink);
        compare_with_live(&index, &walked, &TreeWatch(self.monitor), &mut |path, before, live| {
            diff.path(path, before, live);
            Ok(())
        })
        .doing(format!("comparing the files of {} with the backup", self.subject.title))?;
        Ok(diff.counts())
    }

    fn database(
        &self,
        sink: &mut dyn FnMut(ToldDifference),
        notes: &mut Vec<String>,
    ) -> Result<DatabaseCounts> {
        let index = self.stored.index(self.environment, ArtifactKind::DatabaseIndex)?;
        let act = || format!("reading the database index of {}", self.stored.folder);
        let early: DatabaseSummary = index.summary().doing(act())?;
        let header: DatabaseHeader = index.header().doing(act())?;
        let database = self.subject.require_database()?;
        let mut not_ours = Vec::new();
        for journal in open_restores(self.environment)? {
            not_ours.extend(aside_names(self.environment, &journal)?);
        }
        self.monitor.phase(Phase::Comparing, Expected::default());
        let live = look_at_database(&database.server, &database.name, &not_ours, COUNTED_BYTES)
            .doing(format!("looking at the database of {}", self.subject.title))?;
        notes.push(
            "the rows of live tables are compared by their number alone, but for those of the tables that matter"
                .to_owned(),
        );
        if live.uncounted > 0 {
            notes.push(format!(
                "{} tables are larger than {} MiB and were not counted",
                live.uncounted,
                COUNTED_BYTES >> 20
            ));
        }
        let is_cancelled = || self.monitor.is_cancelled();
        let stored_rows = StoredRows::new(self.environment, self.stored, &is_cancelled);
        let live_rows = LiveRows::new(database, &is_cancelled);
        let rules = DatabaseRules {
            layout: layout_of(&header.shop)?,
            before_blind: BlindSpots::of(&early.problems),
            after_blind: BlindSpots::of_look(&live.problems),
            before_asked: header.selection,
            after_asked: None,
            same_vendor: early.server.vendor == live.server.vendor,
            counts_alone: true,
            rows: Some(RowSources { before: &stored_rows, after: &live_rows }),
        };
        let mut objects: Vec<IndexEntry<DumpedObject>> =
            live.objects.into_iter().map(|entry| IndexEntry { key: object_key(&entry), entry }).collect();
        objects.sort_by(|one, other| compare_keys(&one.key, &other.key));
        let mut diff = DatabaseDiff::new(&rules, &self.namer, sink);
        diff.defaults(&early.database, &live.database);
        merge(
            entries::<DumpedObject>(&index, self.stored),
            objects.into_iter().map(Ok),
            &mut |key, before, live| {
                diff.object(&key, before.as_ref(), live.as_ref())?;
                if self.monitor.is_cancelled() { Err(interrupted()) } else { Ok(()) }
            },
        )?;
        Ok(diff.counts())
    }
}
