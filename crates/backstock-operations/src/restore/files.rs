//! The files part of a restore: compare, write aside, exchange, undo, let go.

use std::path::{Path, PathBuf};

use backstock_archive::tree::{
    ExchangePlan, ExchangeReport, ExchangeRequest, ExchangeSummary, NameList, Rights, Selection, TreeRoot,
    as_path, changed_paths, changed_since, discard as discard_exchange, exchange_backward, exchange_forward,
    plan_exchange, replaced_paths, stage as stage_exchange,
};
use backstock_vocabulary::{ArtifactKind, RawText};
use serde::{Deserialize, Serialize};

use super::plan::Parts;
use crate::backup::roots_of;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels::files_of;
use crate::monitor::{Expected, Monitor, Phase, TreeWatch, UnstoppableTreeWatch};
use crate::stored::StoredBackup;
use crate::subject::Subject;

/// Threads that write files aside.
const STAGING_WORKERS: usize = 4;

/// What is said of an entry whose facts could not be brought back.
const INCOMPLETE: &str = "did not get its owner, mode, attributes or times";

/// What an exchange of files comes to, in numbers and first names.
pub(super) type FilesSummary = ExchangeSummary;

/// The files part of a restore, kept beside its journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FilesPart {
    pub(super) exchange: ExchangePlan,
    roots: Vec<KeptRoot>,
    /// Folders that were not there and had to be made, outermost first.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    made: Vec<PathBuf>,
    /// Whether anything live but the facts of folders is replaced, changed or put aside. Asked before the journal is
    /// there: an open restore of an earlier version need not tell.
    #[serde(default)]
    replaces: bool,
}

/// A live folder and its place in the backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptRoot {
    prefix: RawText,
    #[serde(with = "backstock_vocabulary::path_bytes")]
    path: PathBuf,
}

impl FilesPart {
    /// The live folders.
    pub(super) fn roots(&self) -> Vec<TreeRoot> {
        let root = |root: &KeptRoot| TreeRoot { prefix: root.prefix.to_vec(), path: root.path.clone() };
        self.roots.iter().map(root).collect()
    }

    /// Removes the folders that were missing, where they are empty again.
    pub(super) fn remove_made(&self) {
        remove_empty(&self.made);
    }

    /// Numbers and first names.
    pub(super) fn summary(&self) -> &FilesSummary {
        &self.exchange.summary
    }

    /// Whether anything live is replaced, changed or put aside. Owner, mode and times of a folder that stays are in the
    /// plan itself: for them alone no snapshot is needed.
    pub(super) fn replaces_something(&self) -> bool {
        self.replaces
    }

    /// Whether there is nothing to exchange at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.summary().steps == 0
    }

    /// The paths of everything live that goes away or is changed.
    pub(super) fn replaced_paths(&self, environment: &Environment) -> Result<Vec<Vec<u8>>> {
        replaced_paths(&environment.host, &self.exchange).doing("reading the plan of the exchange of files")
    }
}

/// Compares the live files with the backup's. Changes nothing.
pub(super) fn plan(environment: &Environment, parts: &Parts<'_>, monitor: &dyn Monitor) -> Result<FilesPart> {
    let Parts { stored, subject, request, tag, folder } = *parts;
    let index = stored.index(environment, ArtifactKind::FilesIndex)?;
    let header = stored.files_header(&index)?;
    let roots = match_roots(subject, &header.roots)?;
    let selection = if request.files.is_empty() {
        Selection::Everything
    } else {
        Selection::Globs(request.files.clone())
    };
    let kept: Vec<KeptRoot> = roots
        .iter()
        .map(|root| KeptRoot { prefix: RawText(root.prefix.clone()), path: root.path.clone() })
        .collect();
    let exchange = ExchangeRequest {
        roots,
        selection,
        exclusions: header.exclusions,
        never: stored.never_of_a_shop(environment),
        exact: request.exact,
        rights: Rights { setuid: request.setuid, ..Rights::usual() },
        backup_started: Some(stored.signed.manifest.started),
        aside: None,
        tag: tag.to_owned(),
        folder: folder.path().to_owned(),
    };
    let made = make_roots(&kept)?;
    monitor.phase(Phase::Comparing, Expected::default());
    let planned = plan_exchange(&environment.host, &index, &exchange, &TreeWatch(monitor))
        .doing(format!("comparing the files of {} with the backup", subject.title))
        .and_then(|exchange| {
            if request.files.is_empty() || exchange.summary.steps > 0 || exchange.summary.unchanged > 0 {
                return Ok(exchange);
            }
            let message = format!("the backup has no file like {}", request.files.join(", "));
            Err(OperationError::plain(ErrorKind::NotFound, message))
        });
    match planned {
        Ok(exchange) => {
            let replaced = replaced_paths(&environment.host, &exchange)
                .doing("reading the plan of the exchange of files")?;
            Ok(FilesPart { exchange, roots: kept, made, replaces: !replaced.is_empty() })
        }
        Err(error) => {
            remove_empty(&made);
            Err(error)
        }
    }
}

/// Makes roots that are gone altogether, empty: everything else is compared with them. They go again with the plan.
fn make_roots(roots: &[KeptRoot]) -> Result<Vec<PathBuf>> {
    let mut made: Vec<PathBuf> = Vec::new();
    for root in roots {
        let mut missing: Vec<&Path> =
            root.path.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).collect();
        missing.reverse();
        for folder in missing {
            if let Err(error) = std::fs::create_dir(folder) {
                remove_empty(&made);
                return Err(error).doing(format!("making the folder {}", folder.display()));
            }
            made.push(folder.to_owned());
        }
    }
    Ok(made)
}

fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        // One that is not empty is in use: by the new side, or by somebody else.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Where each root of the backup lies in the shop as it is now: by prefix, else where it was.
pub(crate) fn match_roots(
    subject: &Subject,
    backed_up: &[crate::backup::RootHeader],
) -> Result<Vec<TreeRoot>> {
    let layout = subject.layout.as_ref().ok_or_else(|| {
        OperationError::plain(ErrorKind::Declined, format!("{} has no folder to restore into", subject.title))
    })?;
    let live = roots_of(layout);
    let mut roots = Vec::new();
    for root in backed_up {
        let prefix = root.prefix.0.clone();
        let known = live.iter().find(|live| label_of(&live.prefix) == label_of(&prefix));
        let path = known.map_or_else(|| as_path(root.folder.as_bytes()).to_owned(), |live| live.path.clone());
        roots.push(TreeRoot { prefix, path });
    }
    Ok(roots)
}

/// What follows `@outside/` or `@outside-2/`; nothing for the shop's own root.
fn label_of(prefix: &[u8]) -> &[u8] {
    prefix.iter().position(|byte| *byte == b'/').map_or(&b""[..], |at| &prefix[at + 1..])
}

/// Writes what is needed beside each root. The shop sees nothing of it. May be repeated.
pub(super) fn stage(
    environment: &Environment,
    stored: &StoredBackup,
    part: &FilesPart,
    monitor: &dyn Monitor,
) -> Result<(u64, Vec<String>)> {
    let (reader, _) = files_of(environment, stored)?;
    monitor.phase(Phase::Staging, Expected { bytes: Some(part.summary().needed_bytes), items: None });
    let report =
        stage_exchange(&environment.host, &part.exchange, &reader, STAGING_WORKERS, &TreeWatch(monitor))
            .doing("writing the files aside")?;
    let mut lines = Vec::new();
    add_lines(&mut lines, &report.incomplete, INCOMPLETE);
    Ok((report.staged, lines))
}

/// Exchanges every entry, from wherever a kill left it. Tells what a person should know.
pub(super) fn forward(
    environment: &Environment,
    part: &FilesPart,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    let watch = watch_exchange(part, monitor);
    let mut journal = |_| Ok(());
    let report = exchange_forward(&environment.host, &part.exchange, 0, &mut journal, &watch)
        .doing("exchanging the files")?;
    Ok(lines(&report))
}

/// Exchanges every entry back.
pub(super) fn backward(
    environment: &Environment,
    part: &FilesPart,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    let watch = watch_exchange(part, monitor);
    let report =
        exchange_backward(&environment.host, &part.exchange, &watch).doing("exchanging the files back")?;
    Ok(lines(&report))
}

/// Begins the phase in which files change places.
fn watch_exchange<'a>(part: &FilesPart, monitor: &'a dyn Monitor) -> UnstoppableTreeWatch<'a> {
    monitor.phase(Phase::Exchanging, Expected { bytes: None, items: Some(part.summary().steps) });
    UnstoppableTreeWatch(monitor)
}

fn lines(report: &ExchangeReport) -> Vec<String> {
    let lists = [
        (&report.surprises, "was changed between the plan and the exchange; what was there is kept aside"),
        (&report.kept, "was put there after the exchange and was left"),
        (&report.incomplete, INCOMPLETE),
    ];
    let mut lines = Vec::new();
    for (list, what) in lists {
        add_lines(&mut lines, list, what);
    }
    lines
}

fn add_lines(lines: &mut Vec<String>, list: &NameList, what: &str) {
    lines.extend(list.first.iter().map(|named| {
        let reason = named.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{}: {what}{reason}", named.path)
    }));
    let shown = list.first.len() as u64;
    if list.count > shown {
        lines.push(format!("{} more: {what}", list.count - shown));
    }
}

/// What was changed since the exchange: how many, and the first names.
pub(super) fn changed(
    environment: &Environment,
    part: &FilesPart,
    monitor: &dyn Monitor,
) -> Result<(u64, Vec<String>)> {
    monitor.phase(Phase::Comparing, Expected::default());
    let change = changed_since(&environment.host, &part.exchange, &TreeWatch(monitor))
        .doing("looking for files that changed since the restore")?;
    let lists = [&change.modified, &change.replaced, &change.removed, &change.added];
    let count = lists.iter().map(|list| list.count).sum();
    let names = lists.iter().flat_map(|list| list.first.iter().map(|named| named.path.clone()));
    Ok((count, names.collect()))
}

/// Copies what was put or written there since the exchange into a folder.
pub(super) fn export_changed(
    environment: &Environment,
    part: &FilesPart,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    let act = || format!("copying changed files into {}", folder.display());
    let paths = changed_paths(&environment.host, &part.exchange, &TreeWatch(monitor)).doing(act())?;
    for (root, path, place) in paths {
        let target = folder.join(root.to_string()).join(as_path(&path));
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).doing(act())?;
        }
        if std::fs::symlink_metadata(&place).doing(act())?.is_file() {
            std::fs::copy(&place, &target).doing(act())?;
        }
    }
    Ok(())
}

/// Removes what lies aside: the old side at acceptance, the new one before the exchange or after an undo.
pub(super) fn discard(environment: &Environment, part: &FilesPart) -> Result<()> {
    let left =
        discard_exchange(&environment.host, &part.exchange).doing("removing the files that lie aside")?;
    for path in left {
        tracing::warn!(path = %path.display(), "something was put there by somebody else; it was left");
    }
    part.remove_made();
    Ok(())
}
