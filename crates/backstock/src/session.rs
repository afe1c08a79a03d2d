//! What every command needs: the configuration, the state folder, the terminal, and the wish to stop.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backstock_host::Host;
use backstock_operations::{
    Environment, Journal, NamedNotifier, PartSize, SetSettings, ShopOverrides, Stage, Subject, UsualPlaces,
    find_shop, open_restores, refuse_published_state, sweep_dead_drills,
};

use crate::arguments::CommonArguments;
use crate::configuration::Configuration;
use crate::exit::CommandError;
use crate::progress::Progress;
use crate::terminal::{Terminal, printable};
use crate::unlock::{GivenKeys, given_instance_key};

/// What every command needs.
pub(crate) struct Session {
    pub(crate) terminal: Terminal,
    pub(crate) configuration: Configuration,
    state: PathBuf,
    usual_backups: PathBuf,
    host: Host,
    keys: GivenKeys,
    notifiers: Vec<NamedNotifier>,
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
        let host = match common.machine_id.as_ref().or(configuration.machine_id.as_ref()) {
            Some(id) => Host::real().with_machine_id(id),
            None => Host::real(),
        };
        let host = match given_instance_key(&host)? {
            Some(key) => host.with_key(key),
            None => host,
        };
        let keys = GivenKeys {
            terminal,
            passphrase_file: common.passphrase_file.clone(),
            identity_file: common.identity_file.clone(),
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        heed_signals(&interrupted);
        let (state, notifiers) = (absolute(&state), notifiers_of(terminal, &configuration));
        Ok(Self { terminal, configuration, state, usual_backups, host, keys, notifiers, interrupted })
    }

    /// The state folder.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Opens the state folder and tells of restores that wait for somebody.
    pub(crate) fn open(&self) -> Result<Environment, CommandError> {
        let environment = self.open_silently()?;
        for line in sweep_dead_drills(&environment)? {
            self.terminal.warn(&printable(&line));
        }
        self.tell_of_open_restores(&environment)?;
        Ok(environment)
    }

    /// Opens the state folder for whoever deals with the restores that wait.
    pub(crate) fn open_silently(&self) -> Result<Environment, CommandError> {
        self.refuse_published_state()?;
        Ok(self.with_keys(Environment::open(&self.host, &self.state)?))
    }

    /// Opens the state folder for a plan that is only shown: nothing is written.
    pub(crate) fn open_to_look(&self) -> Result<Environment, CommandError> {
        let environment = self.with_keys(Environment::open_to_look(&self.host, &self.state)?);
        self.tell_of_open_restores(&environment)?;
        Ok(environment)
    }

    /// With what only this session knows: who can be asked for keys, and who is told.
    fn with_keys(&self, environment: Environment) -> Environment {
        environment.with_unlocker(Box::new(self.keys.clone())).with_notifiers(self.notifiers.clone())
    }

    /// Whether anybody is told of what goes wrong.
    pub(crate) fn tells_people(&self) -> bool {
        !self.notifiers.is_empty()
    }

    /// A state folder is not made where a web server hands it out.
    fn refuse_published_state(&self) -> Result<(), CommandError> {
        if self.state.exists() { Ok(()) } else { Ok(refuse_published_state(&self.state)?) }
    }

    fn tell_of_open_restores(&self, environment: &Environment) -> Result<(), CommandError> {
        for journal in open_restores(environment)? {
            if let Some(line) = waiting(&journal) {
                self.terminal.warn(&line);
            }
        }
        Ok(())
    }

    /// Opens the state folder to make the catalog anew, even when the present one is damaged.
    pub(crate) fn open_for_rebuild(&self) -> Result<Environment, CommandError> {
        self.refuse_published_state()?;
        Ok(self.with_keys(Environment::open_for_rebuild(&self.host, &self.state)?))
    }

    /// Watches an operation.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.terminal, self.interrupted.clone())
    }

    /// Whether a signal asks to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Where backups are kept.
    pub(crate) fn backups(&self, given: Option<&Path>) -> PathBuf {
        absolute(given.unwrap_or(&self.usual_backups))
    }

    /// The shop that a person means, when it is a set of the configuration file, a folder, or a database alone; `None` for
    /// a name that only the catalog can know.
    pub(crate) fn subject_by_itself(
        &self,
        given: Option<&OsStr>,
        overrides: ShopOverrides,
    ) -> Result<Option<(Subject, SetSettings)>, CommandError> {
        let Some(given) = given else {
            return Ok(Some((Subject::of_database(None, &overrides)?, SetSettings::default())));
        };
        // The name of a folder need not be text; that of a set or a shop is.
        let folder = PathBuf::from(given);
        let text = &*given.to_string_lossy();
        let set = self.configuration.set(text);
        let set = set.or_else(|| self.configuration.set_of_folder(&absolute(&folder))).unwrap_or_default();
        let overrides = overrides.or(set.by_hand.clone());
        let title = Some(set.title.as_str()).filter(|title| !title.is_empty());
        let subject = if let Some(folder) = &set.folder {
            Subject::of_folder(folder, title, &overrides)?
        } else if !set.title.is_empty() {
            Subject::of_database(title, &overrides)?
        } else if folder.is_dir() || text.contains('/') {
            Subject::of_folder(&folder, None, &overrides)?
        } else {
            return Ok(None);
        };
        Ok(Some((subject, set)))
    }

    /// How long parts may become of what is kept of a shop.
    pub(crate) fn part_size(&self, subject: &Subject) -> PartSize {
        let folder = subject.layout.as_ref().map(|layout| layout.root.as_path());
        self.configuration.part_size(folder, &subject.title)
    }

    /// The shop of the catalog that a person means.
    pub(crate) fn known_subject(
        &self,
        environment: &Environment,
        given: &OsStr,
        overrides: &ShopOverrides,
    ) -> Result<Subject, CommandError> {
        let shop = find_shop(environment, given)?;
        Ok(Subject::of_shop(environment, &shop, overrides)?)
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

pub(crate) fn absolute(path: &Path) -> PathBuf {
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

/// Who is told. One who cannot be is named, and keeps no work back.
fn notifiers_of(terminal: Terminal, configuration: &Configuration) -> Vec<NamedNotifier> {
    let mut notifiers: Vec<NamedNotifier> = Vec::new();
    for table in &configuration.notifiers {
        match table.notifier() {
            Ok(notifier) if notifiers.iter().any(|other| other.title == notifier.title) => {
                terminal.warn(&format!("there are two notifiers called {}", printable(&notifier.title)));
            }
            Ok(notifier) => notifiers.push(notifier),
            Err(problem) => terminal.warn(&printable(&problem)),
        }
    }
    notifiers
}
