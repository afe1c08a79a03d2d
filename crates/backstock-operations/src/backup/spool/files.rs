//! The files of a shop, archived into the spool.

use std::thread;

use backstock_archive::index::{CRITICAL_HELD_BY, IndexOptions};
use backstock_archive::manifest::ManifestArtifact;
use backstock_archive::tree::{
    self, Baseline, DEFAULT_READERS, TreeMonitor, TreeNote, TreeReport, TreeRequest,
};
use backstock_archive::{ArtifactOptions, ArtifactWriter, IndexWriter};
use backstock_database::RawText;
use backstock_vocabulary::ArtifactKind;

use super::super::plan::FilesPlan;
use super::super::report::ReportedProblem;
use super::{FilesHeader, FilesSummary, Gathered, RootHeader, Spooling, artifact_place, shop_header};
use crate::error::{Doing, Result};
use crate::levels::{self, ParentBackup, can_be_a_parent};
use crate::monitor::{Expected, Monitor, Phase, TreeWatch};

/// Archives the files into an artifact, with its index.
pub(super) fn spool(spooling: &Spooling<'_>, files: &FilesPlan, monitor: &dyn Monitor) -> Result<Gathered> {
    let Spooling { environment, plan, .. } = spooling;
    let (folder, file) = artifact_place(spooling.folder, ArtifactKind::Files, plan.codec);
    environment.host.files.create_folder(&folder).doing(format!("making the folder {}", folder.display()))?;
    let request = TreeRequest {
        roots: files.roots.clone(),
        exclusions: files.exclusions.clone(),
        never: files.never.clone(),
        started: environment.host.clock.now(),
        readers: DEFAULT_READERS,
    };
    let act = || format!("archiving the files of {}", plan.shop.title);
    let options = spooling.options(ArtifactKind::Files, ArtifactOptions::of);
    let options = ArtifactOptions { ended: spooling.ended(ArtifactKind::Files), ..options };
    let artifact = ArtifactWriter::create_in(&spooling.room, &environment.host, &folder, file, &options);
    let artifact = artifact.doing(act())?;
    let roots = files.roots.iter().map(|root| RootHeader {
        prefix: RawText(root.prefix.clone()),
        folder: RawText(root.path.as_os_str().as_encoded_bytes().to_vec()),
    });
    let parent = spooling.chosen.parent.as_ref();
    let header = FilesHeader {
        shop: shop_header(plan),
        roots: roots.collect(),
        exclusions: files.exclusions.clone(),
        definition: plan.definition.inputs.clone(),
        chain: parent.map(|parent| parent.chain.clone()).unwrap_or_default(),
    };
    let critical: &[&str] = if parent.is_some() { &[CRITICAL_HELD_BY] } else { &[] };
    let seal = spooling.seal(ArtifactKind::FilesIndex);
    let options = IndexOptions { critical, seal: seal.as_ref() };
    let index = IndexWriter::create_with(&environment.host, &folder, &options, &header);
    let mut index = index.doing(act())?;
    let baseline = parent.map(baseline).transpose()?;
    let report = thread::scope(|scope| {
        if monitor.wants_totals() {
            scope.spawn(|| tell_totals(&request, monitor));
        }
        tree::archive_tree(&request, baseline, &artifact, &mut index, &TreeWatch(monitor)).doing(act())
    })?;
    let artifact = artifact.finish().doing(act())?;
    let part = index.finish(&artifact.frames, &FilesSummary { report: report.clone() }).doing(act())?;
    if can_be_a_parent(plan.reason) {
        let index = spooling.written_text(&folder, &part)?;
        levels::keep(environment, plan.set.id, spooling.backup, &*index)?;
    }
    spooling.offer(ArtifactKind::FilesIndex, std::slice::from_ref(&part));
    let mut gathered = Gathered {
        artifacts: vec![
            ManifestArtifact::data(ArtifactKind::Files, &artifact),
            ManifestArtifact::index(ArtifactKind::FilesIndex, &part),
        ],
        files: report.files,
        content_bytes: report.content_bytes,
        unchanged_files: report.unchanged,
        removed_files: report.removed.count,
        ..Gathered::default()
    };
    gathered.exceptions.files = report.unreadable.count + report.stale.count;
    gathered.exceptions.notes = report.vanished.count + report.changed.count + report.hidden.count;
    add_file_problems(&report, &mut gathered.problems);
    Ok(gathered)
}

/// The backup before, as the archive of files takes it.
fn baseline(parent: &ParentBackup) -> Result<Baseline<'_>> {
    let rehash = levels::sample_begin(&parent.index, parent.rehash_bytes)?;
    let own_number = u32::try_from(parent.chain.len()).unwrap_or(u32::MAX);
    Ok(Baseline::new(&parent.index, own_number, parent.stored.signed.manifest.started, rehash))
}

/// Counts what there is while it is already being read. The names that this walk warms up are read soon after.
fn tell_totals(request: &TreeRequest, monitor: &dyn Monitor) {
    if let Ok(count) = tree::count_tree(request, &Counting(monitor)) {
        monitor.phase(Phase::Archiving, Expected { bytes: Some(count.bytes), items: Some(count.files) });
    }
}

/// Lets a count be stopped, and tells nothing of it.
struct Counting<'a>(&'a dyn Monitor);

impl TreeMonitor for Counting<'_> {
    fn file(&self, _path: &[u8], _bytes: u64) {}

    fn note(&self, _note: &TreeNote) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

pub(crate) fn add_file_problems(report: &TreeReport, problems: &mut Vec<ReportedProblem>) {
    let lists = [
        ("unreadable", true, &report.unreadable, "could not be read"),
        ("stale", true, &report.stale, "could not be read; an earlier version is kept"),
        ("hidden-change", false, &report.hidden, "changed behind the same length and times"),
        ("vanished", false, &report.vanished, "was gone before it could be read"),
        ("changed", false, &report.changed, "was written to while it was read"),
        ("skipped", false, &report.skipped, "is of a kind that is not kept"),
    ];
    for (kind, is_exception, list, what) in lists {
        for named in &list.first {
            let message = named.reason.clone().unwrap_or_else(|| what.to_owned());
            let problem = ReportedProblem::note(kind, named.path.clone(), message);
            problems.push(ReportedProblem { is_exception, ..problem });
        }
        let beyond = list.count - list.first.len() as u64;
        if beyond > 0 {
            let problem = ReportedProblem::note(
                kind,
                format!("{beyond} more"),
                format!("{what}; the index names them"),
            );
            problems.push(ReportedProblem { is_exception, ..problem });
        }
    }
}
