//! What a drill came to: a value that is shown, kept as JSON and rendered as a page. It never holds a value of a row but those
//! that the checks of a working shop show, and no account or password.

use backstock_catalog::Backup;
use backstock_vocabulary::{BackupId, Content, Level, Outcome, RunId};
use jiff::Timestamp;
use serde::Serialize;

/// At most this many faults, exceptions and notes each are told; more are counted.
const LINES_LIMIT: usize = 500;

/// What is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillVerdict {
    /// Everything that the backup has was restored and is what it was.
    Proven,
    /// The same, but for what the exceptions name.
    ProvenExcept,
    /// Everything that could be opened was restored and is what it was; what the backup builds on could not be opened, so that
    /// it is not proven restorable.
    ProvenInPart,
    /// Something cannot be restored, or is not what it was.
    NotRestorable,
}

impl DrillVerdict {
    /// The outcome of its run.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Proven => Outcome::Success,
            Self::ProvenExcept | Self::ProvenInPart => Outcome::Partial,
            Self::NotRestorable => Outcome::Failed,
        }
    }
}

/// What a drill came to.
#[derive(Debug, Clone, Serialize)]
pub struct DrillReport {
    /// Its run.
    pub run: RunId,
    /// The backup.
    pub backup: BackupId,
    /// Its short form.
    pub short: String,
    /// The shop.
    pub shop: String,
    /// When the backup was begun.
    pub made: Timestamp,
    /// Its level.
    pub level: Level,
    /// What it was called worth when it was made.
    pub content: Content,
    /// The replica's folder at its storage.
    pub folder: String,
    /// Length of the backup in bytes.
    pub stored_bytes: u64,
    /// When the drill was begun.
    pub started: Timestamp,
    /// When everything was compared.
    pub finished: Timestamp,
    /// How long that took, in milliseconds.
    pub elapsed_ms: u64,
    /// What is proven.
    pub verdict: DrillVerdict,
    /// Whether stored bytes are damaged.
    pub is_damaged: bool,
    /// Files that were not restored, since they lie in backups that this one builds on and nothing opens those. None: all were.
    pub unopened_files: Option<u64>,
    /// The steps and how long each took.
    pub steps: Vec<DrillStep>,
    /// The database, where the backup has one.
    pub database: Option<DrilledDatabase>,
    /// The files, where the backup has them.
    pub files: Option<DrilledFiles>,
    /// Whether it is a working shop.
    pub checks: Vec<SanityResult>,
    /// What is wrong.
    pub faults: Vec<String>,
    /// What is not proven, and why.
    pub exceptions: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Lines that were left out of the three lists.
    pub left_out: u64,
}

/// One step and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrillStep {
    /// What was done.
    pub what: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What was compared of the database.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DrilledDatabase {
    /// The scratch server: vendor and version, and whether it was a private one.
    pub server: String,
    /// The server that was dumped.
    pub source_server: String,
    /// Tables whose rows were counted and whose checksum was compared.
    pub tables: Vec<DrilledTable>,
    /// Rows read back, of all tables.
    pub rows: u64,
    /// Definitions of tables, views, triggers, routines, events and sequences that are equal.
    pub definitions: u64,
}

/// One table that was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrilledTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Their checksum, as the index has it.
    pub checksum: String,
}

/// What was compared of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DrilledFiles {
    /// Files whose content, length and mode were compared.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links and further names.
    pub links: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// What one look at the restored shop found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SanityResult {
    /// What was looked for.
    pub what: &'static str,
    /// How it stands.
    pub state: SanityState,
    /// What was found, or why nothing.
    pub found: String,
}

/// How one look stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SanityState {
    /// It is there.
    Found,
    /// There is none, and a shop may have none.
    None,
    /// There is none, and a working shop has it.
    Missing,
    /// It cannot be known: the backup does not have the table, or not its rows.
    NotAsked,
}

impl DrillReport {
    pub(super) fn new(run: RunId, backup: &Backup, shop: String, now: Timestamp) -> Self {
        Self {
            run,
            backup: backup.id,
            short: backup.id.short(),
            shop,
            made: backup.started,
            level: backup.level,
            content: backup.content,
            folder: backup.folder.clone(),
            stored_bytes: backup.stored_bytes,
            started: now,
            finished: now,
            elapsed_ms: 0,
            verdict: DrillVerdict::NotRestorable,
            is_damaged: false,
            unopened_files: None,
            steps: Vec::new(),
            database: None,
            files: None,
            checks: Vec::new(),
            faults: Vec::new(),
            exceptions: Vec::new(),
            notes: Vec::new(),
            left_out: 0,
        }
    }

    fn add(list: &mut Vec<String>, left_out: &mut u64, text: String) {
        if list.len() < LINES_LIMIT {
            list.push(text);
        } else {
            *left_out += 1;
        }
    }

    /// Something is not what it was.
    pub(super) fn fault(&mut self, text: String) {
        Self::add(&mut self.faults, &mut self.left_out, text);
    }

    /// Stored bytes are damaged.
    pub(super) fn damage(&mut self, text: String) {
        self.is_damaged = true;
        self.fault(text);
    }

    /// Something is not proven.
    pub(super) fn exception(&mut self, text: String) {
        Self::add(&mut self.exceptions, &mut self.left_out, text);
    }

    /// Something worth knowing.
    pub(super) fn note(&mut self, text: String) {
        Self::add(&mut self.notes, &mut self.left_out, text);
    }

    /// Decides from what was found.
    pub(super) fn judge(&mut self) {
        for check in self.checks.iter().filter(|check| check.state == SanityState::Missing) {
            let line = format!("{}: {}", check.what, check.found);
            if !self.exceptions.contains(&line) {
                self.exceptions.push(line);
            }
        }
        self.verdict = if !self.faults.is_empty() {
            DrillVerdict::NotRestorable
        } else if self.unopened_files.is_some() {
            DrillVerdict::ProvenInPart
        } else if !self.exceptions.is_empty() || self.content != Content::Whole {
            DrillVerdict::ProvenExcept
        } else {
            DrillVerdict::Proven
        };
    }
}
