//! Making a plan: the live tree and the index are walked side by side, both in the same order, and each difference
//! becomes a step. Nothing is touched, and neither tree is ever in memory.

use std::collections::HashMap;
use std::path::PathBuf;

use backstock_host::Host;

use super::super::archive::compile;
use super::super::entry::{FileEntry, FileKind, FileState};
use super::super::facts::Facts;
use super::super::order::is_below;
use super::super::report::TreeMonitor;
use super::super::request::TreeRequest;
use super::super::restore_file::mode_under;
use super::super::selection::{ChosenEntry, Matcher, chosen_entries};
use super::super::walk::{Found, Walk};
use super::compare::{Comparer, Difference};
use super::merge::{Pair, Side, SideSink, merge};
use super::plan_file::StepWriter;
use super::request::{ExchangePlan, ExchangeRequest, ExchangeSummary, PlannedRoot};
use super::roots::plan_roots;
use super::step::{Act, LiveFacts, Origin, Step};
use crate::Result;
use crate::index::IndexReader;
use crate::read_at::ReadAt;

const BLOCK_BYTES: u64 = 4096;

/// Compares the live folders with a backup and writes down what has to be done.
///
/// # Errors
/// When a root cannot be read, the index cannot be read, or the plan cannot be written.
pub fn plan_exchange<R: ReadAt>(
    host: &Host,
    index: &IndexReader<R>,
    request: &ExchangeRequest,
    monitor: &dyn TreeMonitor,
) -> Result<ExchangePlan> {
    let roots = plan_roots(request)?;
    let mut plan = ExchangePlan {
        roots,
        folder: request.folder.clone(),
        exact: request.exact,
        owners: request.rights.owners,
        setuid: request.rights.setuid,
        summary: ExchangeSummary::default(),
    };
    let walked = TreeRequest {
        roots: request.roots.clone(),
        exclusions: request.exclusions.clone(),
        never: request.never.clone(),
        started: jiff::Timestamp::UNIX_EPOCH,
        readers: 1,
    };
    let excluder = compile(&walked)?;
    let refused = |entry: &FileEntry| {
        let named = super::super::NamedPath {
            path: super::super::printable(&entry.path),
            reason: Some("its path leads outside".to_owned()),
        };
        monitor.note(&super::super::TreeNote { state: FileState::Unreadable, named });
    };
    let entries = chosen_entries(index, &request.selection, refused)?;
    let steps = StepWriter::create(host, &plan.steps_path())?;
    let comparer = Comparer { rights: request.rights, backup_started: request.backup_started, monitor };
    let mut planner = Planner {
        roots: &mut plan.roots,
        places: request.roots.iter().map(|root| root.prefix.clone()).collect(),
        matcher: Matcher::new(&request.selection)?,
        comparer: &comparer,
        exact: request.exact,
        summary: ExchangeSummary::default(),
        steps,
        folders: Vec::new(),
        moved: None,
        blocked: None,
        firsts: HashMap::new(),
        claimed: HashMap::new(),
        kept: request
            .never
            .iter()
            .chain(request.roots.iter().map(|root| &root.path))
            .filter_map(|path| std::fs::canonicalize(path).ok())
            .collect(),
        find: &|path| index.find::<FileEntry>(path),
    };
    merge(Walk::new(&walked, &excluder)?, entries, &comparer, &mut planner)?;
    planner.leave(None)?;
    let Planner { summary, steps, .. } = planner;
    plan.summary = summary;
    plan.summary.needed_bytes = plan.roots.iter().map(|root| root.needed_bytes).sum();
    steps.finish(host)?;
    Ok(plan)
}

/// A folder that the walk is in.
struct OpenFolder {
    path: Vec<u8>,
    entry: Option<FileEntry>,
    live: Option<LiveFacts>,
    device: u64,
    differs: bool,
    has_steps: bool,
}

/// Where the first name of an inode with several is going to be.
#[derive(Clone)]
enum First {
    Live(u64),
    Step(u64),
}

struct Planner<'a> {
    roots: &'a mut Vec<PlannedRoot>,
    places: Vec<Vec<u8>>,
    matcher: Matcher,
    comparer: &'a Comparer<'a>,
    exact: bool,
    summary: ExchangeSummary,
    steps: StepWriter,
    folders: Vec<OpenFolder>,
    /// A live folder that goes aside with everything in it.
    moved: Option<Vec<u8>>,
    /// A folder whose content cannot be exchanged, and why.
    blocked: Option<(Vec<u8>, String)>,
    firsts: HashMap<Vec<u8>, First>,
    /// Live inodes with several names, and the entry that keeps each.
    claimed: HashMap<u64, Vec<u8>>,
    /// Folders that must stay where they are, whatever is around them.
    kept: Vec<PathBuf>,
    find: &'a dyn Fn(&[u8]) -> Result<Option<FileEntry>>,
}

impl SideSink for Planner<'_> {
    fn side(&mut self, side: Side) -> Result<()> {
        match side {
            Side::Backup(chosen) => self.missing(chosen),
            Side::Live(found) => self.extra(&found),
            Side::Both(pair) => self.both(*pair),
        }
    }
}

impl Planner<'_> {
    /// Ends the folders that a path is not in.
    fn leave(&mut self, path: Option<&[u8]>) -> Result<()> {
        while self.folders.last().is_some_and(|folder| path.is_none_or(|path| !is_below(path, &folder.path)))
        {
            let Some(folder) = self.folders.pop() else { break };
            // A folder around what was chosen gets nothing of the backup, but its time back with an undo.
            let is_touched = folder.has_steps || folder.differs;
            if !is_touched || (folder.entry.is_none() && folder.live.is_none()) {
                continue;
            }
            let Some(root) = self.root_of(&folder.path) else { continue };
            if folder.live.is_some() && folder.differs {
                self.summary.metadata.add(&folder.path, None);
            }
            let mut step = self.step(root, Act::Metadata, &folder.path);
            step.entry = folder.entry;
            step.live = folder.live;
            self.emit(&step)?;
        }
        if let (Some(path), Some((blocked, _))) = (path, &self.blocked)
            && !is_below(path, blocked)
        {
            self.blocked = None;
        }
        Ok(())
    }

    fn root_of(&self, path: &[u8]) -> Option<usize> {
        let holds = |place: &Vec<u8>| path == place || is_below(path, place);
        let longest = self.places.iter().enumerate().filter(|(_, place)| holds(place));
        let root = longest.max_by_key(|(_, place)| place.len()).map(|(number, _)| number)?;
        (!self.places[root].is_empty() || !self.is_of_an_outside_root(path)).then_some(root)
    }

    /// `@outside/…` belongs to the shop's own root only where the shop has such a folder itself.
    fn is_of_an_outside_root(&self, path: &[u8]) -> bool {
        let mut components = path.splitn(2, |byte| *byte == b'/');
        let top = components.next().unwrap_or_default();
        top.starts_with(super::super::OUTSIDE)
            && components.next().is_some()
            && !self.folders.iter().any(|folder| folder.path == top)
    }

    fn step(&self, root: usize, act: Act, path: &[u8]) -> Step {
        let place = &self.places[root];
        let below = path.strip_prefix(place.as_slice()).unwrap_or(path);
        Step::new(self.summary.steps, root, act, below.strip_prefix(b"/").unwrap_or(below))
    }

    fn emit(&mut self, step: &Step) -> Result<()> {
        self.summary.steps += 1;
        self.steps.add(step)
    }

    fn note_change(&mut self) {
        if let Some(folder) = self.folders.last_mut() {
            folder.has_steps = true;
        }
    }

    fn is_around_kept(&self, root: usize, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.places[root].as_slice()).unwrap_or(path);
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let real = self.roots[root].path.join(super::super::as_path(below));
        self.kept.iter().any(|kept| kept.starts_with(&real))
    }

    /// Why nothing may be changed at a path.
    fn obstacle(&self, root: usize, device: Option<u64>) -> Option<String> {
        if let Some((_, reason)) = &self.blocked {
            return Some(reason.clone());
        }
        let device = device.or_else(|| self.folders.last().map(|folder| folder.device));
        if device.is_some_and(|device| device != self.roots[root].device) {
            return Some("it lies on another file system than its root".to_owned());
        }
        None
    }

    fn absent(&mut self, entry: &FileEntry) {
        if matches!(entry.state, FileState::Unreadable | FileState::Vanished) {
            self.summary.absent.add(&entry.path, entry.reason.as_deref());
        }
    }

    fn missing(&mut self, chosen: ChosenEntry) -> Result<()> {
        let entry = chosen.entry;
        self.leave(Some(&entry.path))?;
        if !entry.is_stored() {
            self.absent(&entry);
            return Ok(());
        }
        let Some(root) = self.root_of(&entry.path) else {
            self.summary.blocked.add(&entry.path, Some("its root is not given"));
            return Ok(());
        };
        if let Some(reason) = self.obstacle(root, None) {
            self.summary.blocked.add(&entry.path, Some(&reason));
            return Ok(());
        }
        self.summary.added.add(&entry.path, None);
        self.put(root, Act::Add, entry, None)
    }

    /// Emits the step that puts an entry where it belongs.
    fn put(&mut self, root: usize, act: Act, entry: FileEntry, live: Option<LiveFacts>) -> Result<()> {
        let mut step = self.step(root, act, &entry.path);
        let path = entry.path.clone();
        step.live = live;
        step.origin = Some(Origin::Archive);
        let mut content = entry;
        if content.kind == FileKind::HardLink {
            let first_path = content.link.clone().unwrap_or_default();
            match self.firsts.get(&first_path).cloned() {
                Some(First::Step(number)) => step.origin = Some(Origin::LinkToStep(number)),
                Some(First::Live(_)) => step.origin = Some(Origin::LinkToLive),
                None => {
                    // Its first name is not part of this exchange: it becomes a file, and the first for the others.
                    let Some(first) = (self.find)(&first_path)?.filter(FileEntry::is_stored) else {
                        self.summary.blocked.add(&path, Some("its other name is not in the backup"));
                        return Ok(());
                    };
                    self.firsts.insert(first_path, First::Step(step.number));
                    content = first;
                }
            }
        } else if content.kind.can_have_names() && content.links > 1 {
            self.firsts.insert(path.clone(), First::Step(step.number));
        }
        self.note_rights(&content, &path);
        if step.origin == Some(Origin::Archive) && content.kind == FileKind::File {
            let blocks = content.size_bytes.div_ceil(BLOCK_BYTES);
            self.roots[root].needed_bytes += blocks * BLOCK_BYTES;
        }
        self.note_change();
        if content.kind == FileKind::Folder {
            let device = self.roots[root].device;
            self.folders.push(OpenFolder {
                path,
                entry: Some(content.clone()),
                live: None,
                device,
                differs: true,
                has_steps: true,
            });
        }
        step.entry = Some(content);
        self.emit(&step)
    }

    fn note_rights(&mut self, entry: &FileEntry, path: &[u8]) {
        let rights = self.comparer.rights;
        let has_capability = entry.attributes.iter().any(|(name, _)| name == b"security.capability");
        if mode_under(entry, rights).1 || has_capability && !rights.setuid {
            self.summary.without_setuid.add(path, None);
        }
    }

    fn extra(&mut self, found: &Found) -> Result<()> {
        self.leave(Some(&found.path))?;
        if self.moved.as_ref().is_some_and(|moved| is_below(&found.path, moved)) {
            return Ok(());
        }
        self.moved = None;
        let Some(facts) = found.facts else { return Ok(()) };
        let is_folder = facts.kind == FileKind::Folder;
        let is_own = found.state == FileState::Skipped && is_folder;
        if is_own || found.state == FileState::Vanished || !self.matcher.is_selected(&found.path, is_folder) {
            return Ok(());
        }
        let Some(root) = self.root_of(&found.path) else { return Ok(()) };
        if found.path == self.places[root] {
            return Ok(());
        }
        if let (true, Some(reason)) = (self.exact, self.obstacle(root, Some(facts.device))) {
            self.summary.blocked.add(&found.path, Some(&reason));
            return Ok(());
        }
        self.summary.extra.add(&found.path, None);
        // A folder around backups, state or another root cannot go aside whole: what is in it goes one by one.
        if !self.exact || is_folder && self.is_around_kept(root, &found.path) {
            return Ok(());
        }
        if is_folder {
            self.moved = Some(found.path.clone());
        }
        self.note_change();
        let mut step = self.step(root, Act::Quarantine, &found.path);
        step.live = Some(LiveFacts::of(&facts, &found.attributes));
        self.emit(&step)
    }

    fn both(&mut self, pair: Pair) -> Result<()> {
        let Pair { chosen: ChosenEntry { entry, is_above }, mut found, difference: compared } = pair;
        self.leave(Some(&entry.path))?;
        self.moved = None;
        // Keeps the matcher's place, whose answers only extra paths ask for.
        self.matcher.is_selected(&found.path, entry.kind == FileKind::Folder);
        let Some(root) = self.root_of(&entry.path) else { return Ok(()) };
        let Some(facts) = found.facts else {
            self.summary.blocked.add(&entry.path, found.reason.as_deref());
            return Ok(());
        };
        if facts.kind == FileKind::Folder && entry.kind == FileKind::Folder {
            return self.both_folders(entry, is_above, &found, &facts);
        }
        if !entry.is_stored() {
            self.absent(&entry);
            // Whatever is there stays, and so does what is below it.
            self.moved = Some(entry.path);
            return Ok(());
        }
        let difference = self.difference(&entry, &mut found, &facts, compared);
        if difference == Difference::None {
            self.keep(&entry, &facts);
            self.summary.unchanged += 1;
            return Ok(());
        }
        if let Some(reason) = self.obstacle(root, Some(facts.device)) {
            self.summary.blocked.add(&entry.path, Some(&reason));
            self.moved = Some(entry.path);
            return Ok(());
        }
        let live = LiveFacts::of(&facts, &found.attributes);
        if difference == Difference::Metadata {
            self.keep(&entry, &facts);
            self.note_rights(&entry, &entry.path);
            self.summary.metadata.add(&entry.path, None);
            let mut step = self.step(root, Act::Metadata, &entry.path);
            step.entry = Some(entry);
            step.live = Some(live);
            return self.emit(&step);
        }
        self.summary.replaced.add(&entry.path, None);
        if (facts.kind == FileKind::Folder) != (entry.kind == FileKind::Folder) {
            self.summary.kind_changed.add(&entry.path, None);
        }
        if facts.kind == FileKind::Folder {
            self.moved = Some(entry.path.clone());
        }
        self.put(root, Act::Replace, entry, Some(live))
    }

    /// How two that are not both folders differ. Names of one inode must be names of one inode again, and no others.
    fn difference(
        &self,
        entry: &FileEntry,
        found: &mut Found,
        facts: &Facts,
        compared: Option<Difference>,
    ) -> Difference {
        match (entry.kind, facts.kind) {
            (FileKind::HardLink, FileKind::File | FileKind::Symlink) => {
                let first = entry.link.as_ref().and_then(|path| self.firsts.get(path));
                let same = matches!(first, Some(First::Live(inode)) if *inode == facts.inode);
                if same { Difference::None } else { Difference::Content }
            }
            (FileKind::File, FileKind::File) | (FileKind::Symlink, FileKind::Symlink)
                if self.claimed.contains_key(&facts.inode) =>
            {
                Difference::Content
            }
            (FileKind::File, FileKind::File) | (FileKind::Symlink, FileKind::Symlink) => {
                compared.unwrap_or_else(|| self.comparer.compare(entry, found, facts))
            }
            _ => Difference::Content,
        }
    }

    /// A live file stays: its further names may be linked to it, and no other file may share its inode.
    fn keep(&mut self, entry: &FileEntry, facts: &Facts) {
        if !entry.kind.can_have_names() {
            return;
        }
        if facts.links > 1 {
            self.claimed.insert(facts.inode, entry.path.clone());
        }
        if entry.links > 1 {
            self.firsts.insert(entry.path.clone(), First::Live(facts.inode));
        }
    }

    fn both_folders(&mut self, entry: FileEntry, is_above: bool, found: &Found, facts: &Facts) -> Result<()> {
        if matches!(found.state, FileState::Unreadable | FileState::Vanished) {
            let reason = found.reason.clone().unwrap_or_default();
            self.summary.blocked.add(&entry.path, Some(&reason));
            self.blocked = Some((entry.path.clone(), reason));
            return Ok(());
        }
        if found.state == FileState::Skipped {
            self.blocked = Some((entry.path.clone(), "backups or state are kept here".to_owned()));
            return Ok(());
        }
        let root_device = self.root_of(&entry.path).map(|root| self.roots[root].device);
        let differs = entry.is_stored()
            && !is_above
            && root_device == Some(facts.device)
            && !self.comparer.same_metadata(&entry, found, facts);
        if !differs && !is_above {
            self.summary.unchanged += 1;
        }
        let keeps_entry = entry.is_stored() && !is_above;
        self.folders.push(OpenFolder {
            path: entry.path.clone(),
            entry: keeps_entry.then_some(entry),
            live: Some(LiveFacts::of(facts, &found.attributes)),
            device: facts.device,
            differs,
            has_steps: false,
        });
        Ok(())
    }
}
