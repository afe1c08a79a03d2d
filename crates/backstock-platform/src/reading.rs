//! From values of a configuration to the layout: what is known is set, what is not becomes `unclear`.

use std::path::{Component, Path, PathBuf};

use crate::database_host;
use crate::folder::{Folder, path_of};
use crate::layout::{ExcludedPath, Obstacle, OutsideFile, OutsideFolder, ShopLayout, Unclear};
use crate::pattern::TablePattern;
use crate::php_config::{Unread, Value};
use crate::settings::{Certainty, DatabaseSettings, Password};

/// The flags that say by hand where the database is. The password comes from a file, never from an argument.
pub(crate) const DATABASE_FLAGS: &[&str] = &[
    "--database-host",
    "--database-port",
    "--database-socket",
    "--database-name",
    "--database-user",
    "--database-password-file",
];
/// The flag that says the table prefix.
pub(crate) const PREFIX_FLAG: &str = "--table-prefix";
/// The flag that names a further folder of the shop.
pub(crate) const OUTSIDE_FLAG: &str = "--outside-folder";

/// How the shop's driver treats a port beside the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalPort {
    /// `localhost` is the driver's socket whatever the port (PDO, and mysqli with separate arguments).
    Ignored,
    /// A port inside the host text makes it TCP (mysqli with `host:port` in one text).
    InHostIsTcp,
}

/// The database values of a configuration.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) host: Value,
    pub(crate) port: Option<Value>,
    pub(crate) socket: Option<Value>,
    pub(crate) name: Value,
    pub(crate) user: Value,
    pub(crate) password: Value,
    pub(crate) local_port: LocalPort,
}

impl Credentials {
    /// The settings, or everything that is not clear about them.
    pub(crate) fn settings(
        &self,
        source: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<DatabaseSettings, Vec<Unclear>> {
        let mut unclear = Vec::new();
        let mut text = |what: &str, flag: &str, value: &Value, may_be_empty: bool| match value.to_text() {
            Some(bytes) if may_be_empty || !bytes.is_empty() => bytes.to_vec(),
            Some(_) => {
                unclear.push(missing(what, &[flag], format!("{} states an empty one", source.display())));
                Vec::new()
            }
            None => {
                unclear.push(not_clear(what, &[flag], value));
                Vec::new()
            }
        };
        let name = text("the database's name", "--database-name", &self.name, false);
        let user = text("the database's user", "--database-user", &self.user, false);
        let password = text("the database's password", "--database-password-file", &self.password, true);
        let host = text("the database's host", "--database-host", &self.host, true);
        let socket =
            self.socket.as_ref().map(|value| text("the database's socket", "--database-socket", value, true));
        let port =
            self.port.as_ref().map(|value| text("the database's port", "--database-port", value, true));
        let mut parsed = match database_host::parse(&host) {
            Ok(parsed) => parsed,
            Err(why) => {
                unclear.push(missing("the database's host", &["--database-host", "--database-port"], why));
                database_host::DatabaseHost::default()
            }
        };
        let port = port.map_or(Ok(None), |bytes| separate_port(&bytes));
        if let Err(why) = &port {
            unclear.push(missing("the database's port", &["--database-port"], why.clone()));
        }
        if !unclear.is_empty() {
            return Err(unclear);
        }
        if let Some(path) = socket.as_deref().and_then(path_of) {
            parsed.socket = Some(path);
        }
        self.settle_port(&mut parsed, port.unwrap_or(None), warnings);
        Ok(DatabaseSettings {
            host: parsed.host,
            port: parsed.port,
            socket: parsed.socket,
            name,
            user,
            password: Password::new(password),
            source: source.to_owned(),
            certainty: self.certainty(),
        })
    }

    /// Which port counts, as the shop's driver decides it.
    fn settle_port(
        &self,
        parsed: &mut database_host::DatabaseHost,
        separate: Option<u16>,
        warnings: &mut Vec<String>,
    ) {
        let local = parsed.host.as_deref().is_none_or(|host| host.eq_ignore_ascii_case("localhost"));
        let in_host = parsed.port;
        if local && !(in_host.is_some() && self.local_port == LocalPort::InHostIsTcp) {
            parsed.port = None;
            if let Some(port) = in_host.or(separate).filter(|port| *port != 3306)
                && parsed.socket.is_none()
            {
                warnings.push(format!(
                    "the database's host is localhost, for which PHP uses its default Unix socket and ignores port {port}"
                ));
            }
            return;
        }
        parsed.port = in_host.or(separate);
        if let (Some(in_host), Some(separate)) = (in_host, separate)
            && in_host != separate
            && separate != 3306
        {
            warnings.push(format!(
                "the database's host names port {in_host}, so the separate port {separate} is ignored"
            ));
        }
    }

    fn certainty(&self) -> Certainty {
        let values = [Some(&self.host), self.port.as_ref(), self.socket.as_ref(), Some(&self.name)];
        let mut sentences = Vec::new();
        for value in values.into_iter().flatten().chain([&self.user, &self.password]) {
            for sentence in value.assumptions() {
                if !sentences.contains(&sentence) {
                    sentences.push(sentence);
                }
            }
        }
        if sentences.is_empty() { Certainty::Stated } else { Certainty::Assumed(sentences) }
    }
}

fn separate_port(bytes: &[u8]) -> Result<Option<u16>, String> {
    let text = String::from_utf8_lossy(bytes);
    match text.trim() {
        "" | "0" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "it is no port number".to_owned()),
    }
}

/// Something unknown, with its own reason.
pub(crate) fn not_clear(what: &str, flags: &[&str], value: &Value) -> Unclear {
    let obstacle = if matches!(value.data, crate::php_config::Data::Absent(_)) {
        Obstacle::Missing
    } else {
        Obstacle::Undecidable
    };
    let why = value.why_unknown().unwrap_or_else(|| "it is no text".to_owned());
    Unclear { what: what.to_owned(), why, obstacle, flags: owned(flags) }
}

/// Something that is not there.
pub(crate) fn missing(what: &str, flags: &[&str], why: impl Into<String>) -> Unclear {
    Unclear { what: what.to_owned(), why: why.into(), obstacle: Obstacle::Missing, flags: owned(flags) }
}

fn owned(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

impl ShopLayout {
    /// The leading configuration could not be read: the database and the prefix must be given by hand.
    pub(crate) fn configuration_unread(&mut self, file: &Path, unread: Unread) {
        let mut flags = owned(DATABASE_FLAGS);
        flags.push(PREFIX_FLAG.to_owned());
        self.unclear.push(Unclear {
            what: format!("the configuration {}", file.display()),
            why: unread.why,
            obstacle: unread.obstacle,
            flags,
        });
    }

    /// Takes the database settings, or what is not clear about them.
    pub(crate) fn take_database(&mut self, credentials: &Credentials, source: &Path) {
        match credentials.settings(source, &mut self.warnings) {
            Ok(settings) => self.database = Some(settings),
            Err(unclear) => self.unclear.extend(unclear),
        }
    }

    /// Takes the table prefix.
    pub(crate) fn take_prefix(&mut self, value: &Value) {
        match value.to_text().map(|bytes| String::from_utf8(bytes.to_vec())) {
            Some(Ok(prefix)) if !prefix.contains('*') => self.table_prefix = Some(prefix),
            Some(_) => self.unclear.push(missing("the table prefix", &[PREFIX_FLAG], "it is no plain text")),
            None => self.unclear.push(not_clear("the table prefix", &[PREFIX_FLAG], value)),
        }
    }

    /// Takes an address that stands in a file.
    pub(crate) fn take_base_url(&mut self, value: &Value) {
        if let Some(Ok(url)) = value.to_text().map(|bytes| String::from_utf8(bytes.to_vec()))
            && url.contains("//")
            && !self.base_urls.contains(&url)
        {
            self.base_urls.push(url);
        }
    }

    /// The prefix, empty where it is not known.
    pub(crate) fn prefix(&self) -> &str {
        self.table_prefix.as_deref().unwrap_or_default()
    }

    /// Sets the exclusions of contents and the protected and important tables; names get the prefix.
    pub(crate) fn set_tables(
        &mut self,
        excluded: &[(&str, &str)],
        protected: &[(&str, &str)],
        important: &[&str],
    ) {
        let prefix = self.prefix().to_owned();
        let patterns = |rules: &[(&str, &str)]| {
            let names =
                rules.iter().flat_map(|(names, why)| names.split_whitespace().map(move |name| (name, *why)));
            names
                .map(|(name, why)| TablePattern { pattern: format!("{prefix}{name}"), why: why.to_owned() })
                .collect()
        };
        self.excluded_contents = patterns(excluded);
        self.protected_tables = patterns(protected);
        self.important_tables = important.iter().map(|name| format!("{prefix}{name}")).collect();
        if self.table_prefix.is_none() {
            self.excluded_contents.clear();
        }
    }

    /// Leaves out what lies at a pattern below the root.
    pub(crate) fn exclude(&mut self, pattern: &str, why: &str, keep_folder: bool, keep_names: &[&str]) {
        self.exclude_within(None, pattern, why, keep_folder, keep_names);
    }

    /// Leaves out what lies at a pattern below the root or an outside folder.
    pub(crate) fn exclude_within(
        &mut self,
        within: Option<&str>,
        pattern: &str,
        why: &str,
        keep_folder: bool,
        keep_names: &[&str],
    ) {
        let known = |known: &ExcludedPath| known.pattern == pattern && known.within.as_deref() == within;
        if pattern.is_empty() || self.excluded_paths.iter().any(known) {
            return;
        }
        self.excluded_paths.push(ExcludedPath {
            within: within.map(str::to_owned),
            pattern: pattern.to_owned(),
            why: why.to_owned(),
            keep_folder,
            keep_names: owned(keep_names),
        });
    }

    /// Takes a folder that the configuration names. Gives where it is: the label of an outside folder (`None` for the
    /// root) and the path below it; nothing when it is not known.
    pub(crate) fn take_folder(
        &mut self,
        folder: &Folder,
        label: &str,
        value: &Value,
        why: &str,
    ) -> Option<(Option<String>, String)> {
        let Some(path) = value.to_text().as_deref().and_then(path_of) else {
            self.unclear.push(not_clear(&format!("where {why} is"), &[OUTSIDE_FLAG], value));
            return None;
        };
        let path = if path.is_absolute() { path } else { folder.root().join(path) };
        let real = settled(&path);
        if folder.holds(&real) {
            return Some((None, relative(folder.root(), &real)?));
        }
        // Inside one that is known already, such as the cache inside the storage.
        for known in &self.outside_folders {
            if real.starts_with(&known.path) {
                return Some((Some(known.label.clone()), relative(&known.path, &real)?));
            }
        }
        match folder.accept_outside(&path) {
            Ok(path) => {
                self.add_outside(label, path, why);
                Some((Some(label.to_owned()), String::new()))
            }
            Err(error) => {
                let unread = Unread::from(error);
                self.unclear.push(Unclear {
                    what: format!("{why} ({})", path.display()),
                    why: unread.why,
                    obstacle: unread.obstacle,
                    flags: owned(&[OUTSIDE_FLAG]),
                });
                None
            }
        }
    }

    pub(crate) fn add_outside(&mut self, label: &str, path: PathBuf, why: &str) {
        if !self.outside_folders.iter().any(|known| path.starts_with(&known.path)) {
            self.outside_folders.push(OutsideFolder { label: label.to_owned(), path, why: why.to_owned() });
        }
    }

    pub(crate) fn add_outside_file(&mut self, label: &str, path: PathBuf, why: &str) {
        if !self.outside_files.iter().any(|known| known.path == path) {
            self.outside_files.push(OutsideFile { label: label.to_owned(), path, why: why.to_owned() });
        }
    }
}

/// The path with links resolved as far as it exists, and without `.` and `..` after that.
fn settled(path: &Path) -> PathBuf {
    let mut real = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => {
                real.push(name);
                if let Ok(resolved) = real.canonicalize() {
                    real = resolved;
                }
            }
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    real
}

fn relative(base: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(base).ok()?.to_str().map(str::to_owned)
}
