//! What every command needs: the configuration, the state folder, the terminal, and the wish to stop.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use backstock_host::Host;
use backstock_operations::{
    DatabaseOverrides, Environment, Journal, SetSettings, Stage, Subject, UsualPlaces, find_shop,
    open_restores,
};

use crate::arguments::CommonArguments;
use crate::configuration::Configuration;
use crate::exit::CommandError;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// What every command needs.
pub(crate) struct Session {
    pub(crate) terminal: Terminal,
    pub(crate) configuration: Configuration,
    state: PathBuf,
    usual_backups: PathBuf,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Reads the configuration and decides on the places. Opens nothing yet.
    pub(crate) fn new(common: &CommonArguments, terminal: Terminal) -> Result<Self, CommandError> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let configuration = match configuration_file(common, home.as_deref()) {
            Some(file) => Configuration::read(&file)?,
            None => Configuration::default(),
        };
        let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let is_root = rustix::process::geteuid().is_root();
        let usual = UsualPlaces::for_user(is_root, xdg.as_deref(), home.as_deref());
        let state = common.state.clone().or_else(|| configuration.state.clone());
        let Some(state) = state.or_else(|| usual.as_ref().map(|usual| usual.state.clone())) else {
            return Err(CommandError::usage(
                "it is not known where to keep state: HOME is not set",
                "give --state",
            ));
        };
        let backups = configuration.backups.clone().or_else(|| usual.map(|usual| usual.backups));
        let usual_backups = backups.unwrap_or_else(|| state.with_file_name("backups"));
        let interrupted = Arc::new(AtomicBool::new(false));
        heed_signals(&interrupted);
        Ok(Self { terminal, configuration, state: absolute(&state), usual_backups, interrupted })
    }

    /// Opens the state folder and tells of restores that wait for somebody.
    pub(crate) fn open(&self) -> Result<Environment, CommandError> {
        let environment = Environment::open(&Host::real(), &self.state)?;
        for journal in open_restores(&environment)? {
            if let Some(line) = waiting(&journal) {
                self.terminal.warn(&line);
            }
        }
        Ok(environment)
    }

    /// Opens the state folder to make the catalog anew, even when the present one is damaged.
    pub(crate) fn open_for_rebuild(&self) -> Result<Environment, CommandError> {
        Ok(Environment::open_for_rebuild(&Host::real(), &self.state)?)
    }

    /// Watches an operation.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.terminal, self.interrupted.clone())
    }

    /// Where backups are kept.
    pub(crate) fn backups(&self, given: Option<&Path>) -> PathBuf {
        absolute(given.unwrap_or(&self.usual_backups))
    }

    /// The shop that a person means: a set of the configuration file, a folder, or a shop of the catalog.
    pub(crate) fn subject(
        &self,
        environment: &Environment,
        given: Option<&OsStr>,
        overrides: DatabaseOverrides,
    ) -> Result<(Subject, SetSettings), CommandError> {
        let Some(given) = given else {
            return Ok((Subject::of_database(None, &overrides)?, SetSettings::default()));
        };
        // The name of a folder need not be text; that of a set or a shop is.
        let folder = PathBuf::from(given);
        let text = &*given.to_string_lossy();
        let set = self.configuration.set(text);
        let set = set.or_else(|| self.configuration.set_of_folder(&absolute(&folder))).unwrap_or_default();
        let overrides = overrides.or(set.database.clone());
        let title = Some(set.title.as_str()).filter(|title| !title.is_empty());
        let subject = if let Some(folder) = &set.folder {
            Subject::of_folder(folder, title, &overrides)?
        } else if !set.title.is_empty() {
            Subject::of_database(title, &overrides)?
        } else if folder.is_dir() || text.contains('/') {
            Subject::of_folder(&folder, None, &overrides)?
        } else {
            let shop = find_shop(environment, text)?;
            Subject::of_shop(&shop, &overrides)?
        };
        Ok((subject, set))
    }
}

fn configuration_file(common: &CommonArguments, home: Option<&Path>) -> Option<PathBuf> {
    if common.config.is_some() {
        return common.config.clone();
    }
    let own = home.map(|home| home.join(".config/backstock/backstock.toml"));
    let usual = [own, Some(PathBuf::from("/etc/backstock/backstock.toml"))];
    usual.into_iter().flatten().find(|file| file.is_file())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Signals ask the running operation to stop at its next safe point; a file-size limit becomes an error, not a death.
fn heed_signals(interrupted: &Arc<AtomicBool>) {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the process at once.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, interrupted.clone());
        let _ = signal_hook::flag::register(signal, interrupted.clone());
    }
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

fn waiting(journal: &Journal) -> Option<String> {
    let shop = &journal.shop_title;
    match journal.stage {
        Stage::Restored => journal.undo_until().map(|until| {
            format!(
                "the restore of {shop} waits for `backstock restore --accept` (undo works until {until:.0})"
            )
        }),
        Stage::Undone => {
            Some(format!("the restore of {shop} was undone; `backstock restore --accept` frees its room"))
        }
        stage if stage.is_between() => Some(format!(
            "a restore of {shop} is unfinished and the shop is between two states: \
             `backstock restore --resume` finishes it, `backstock undo` takes it back"
        )),
        stage if stage.is_unfinished() => Some(format!(
            "a restore of {shop} was interrupted: `backstock restore --resume` goes on, `backstock undo` forgets it"
        )),
        _ => None,
    }
}
