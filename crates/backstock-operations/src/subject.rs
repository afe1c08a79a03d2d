//! Which shop an operation is about: its folder, what its platform says, its database.

use std::path::{Path, PathBuf};

use backstock_catalog::{Backup, Shop};
use backstock_database::{Address, DEFAULT_PORT, Secret, ServerSettings, Tls};
use backstock_platform::{Detection, NoEnvironment, OutsideFolder, ShopLayout};

use crate::backup::{PartSize, connection_purpose};
use crate::connection;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::stored::StoredBackup;

/// Where servers put the socket that PHP means by `localhost`, on the systems we know.
const DEFAULT_SOCKETS: [&str; 4] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
];
/// A password of more bytes is none.
const PASSWORD_LIMIT_BYTES: usize = 4096;

/// What a person gives by hand about a shop; it beats what the shop's files say.
#[derive(Clone, Default)]
pub struct ShopOverrides {
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Unix socket.
    pub socket: Option<PathBuf>,
    /// Name of the database.
    pub name: Option<String>,
    /// Account.
    pub user: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// The password, when it came through the environment.
    pub password: Option<String>,
    /// What every table name begins with.
    pub table_prefix: Option<String>,
    /// Folders of the shop outside its root: a label and where it is.
    pub outside_folders: Vec<(String, PathBuf)>,
}

impl std::fmt::Debug for ShopOverrides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShopOverrides").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ShopOverrides {
    /// Whether anything of how to reach a database is given.
    fn tell_a_database(&self) -> bool {
        let place = self.host.is_some() || self.port.is_some() || self.socket.is_some();
        let account = self.user.is_some() || self.password_file.is_some() || self.password.is_some();
        place || account || self.name.is_some()
    }

    /// What is not given here is taken from there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let has_password = self.password_file.is_some() || self.password.is_some();
        Self {
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            socket: self.socket.or(other.socket),
            name: self.name.or(other.name),
            user: self.user.or(other.user),
            password_file: if has_password { self.password_file } else { other.password_file },
            password: if has_password { self.password } else { other.password },
            table_prefix: self.table_prefix.or(other.table_prefix),
            outside_folders: if self.outside_folders.is_empty() {
                other.outside_folders
            } else {
                self.outside_folders
            },
        }
    }
}

/// A set that is managed by file.
#[derive(Debug, Clone, Default)]
pub struct SetSettings {
    /// Its name.
    pub title: String,
    /// The shop's folder; absent for a database alone.
    pub folder: Option<PathBuf>,
    /// Paths and globs to leave out.
    pub exclude: Vec<String>,
    /// Tables whose contents are left out.
    pub exclude_table: Vec<String>,
    /// Tables that are left out entirely.
    pub exclude_table_entirely: Vec<String>,
    /// Whether its backups are sealed, where that is said.
    pub sealed: Option<bool>,
    /// Whether its backups are decoded once they are made, where that is said.
    pub read_back: Option<bool>,
    /// How long parts of its backups may become, where that is said.
    pub part_size: Option<PartSize>,
    /// What the shop's files do not tell.
    pub by_hand: ShopOverrides,
}

/// One database and how to reach it.
#[derive(Debug, Clone)]
pub struct ShopDatabase {
    /// The server and the account.
    pub server: ServerSettings,
    /// The database's name, as bytes.
    pub name: Vec<u8>,
}

/// The shop that an operation is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name for people.
    pub title: String,
    /// What its platform says. `None` for a database alone.
    pub layout: Option<ShopLayout>,
    /// What was noticed while looking.
    pub notes: Vec<String>,
    /// Its database, where it is known.
    pub database: Option<ShopDatabase>,
}

impl Subject {
    /// Looks at a folder, and lets what was given by hand beat what its files say.
    pub fn of_folder(folder: &Path, title: Option<&str>, overrides: &ShopOverrides) -> Result<Self> {
        let detection = detect(folder)?;
        let mut layout = detection.layout;
        add_outside_folders(&mut layout, overrides);
        if let Some(prefix) = &overrides.table_prefix {
            layout.table_prefix = Some(prefix.clone());
        }
        let database = database_of(Some(&layout), overrides)?;
        let name = layout.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let title = title.map(str::to_owned).or(name).unwrap_or_else(|| "shop".to_owned());
        Ok(Self { title, layout: Some(layout), notes: detection.notes, database })
    }

    /// A shop that the catalog knows. A database alone is reached as it was for its last backup, unless another way is given.
    pub fn of_shop(environment: &Environment, shop: &Shop, overrides: &ShopOverrides) -> Result<Self> {
        use std::os::unix::ffi::OsStrExt;
        let root = shop.root.as_deref().filter(|root| root.first() == Some(&b'/'));
        match root {
            Some(root) => {
                Self::of_folder(Path::new(std::ffi::OsStr::from_bytes(root)), Some(&shop.title), overrides)
            }
            None if overrides.tell_a_database() => Self::of_database(Some(&shop.title), overrides),
            None => match remembered(environment, shop)? {
                Some(database) => {
                    let title = shop.title.clone();
                    Ok(Self { title, layout: None, notes: Vec::new(), database: Some(database) })
                }
                None => Self::of_database(Some(&shop.title), overrides),
            },
        }
    }

    /// A shop that a backup is to be restored into. Where what is there cannot be recognised any more, what the backup
    /// and the state folder remember of it is used instead.
    pub fn of_backup(environment: &Environment, backup: &Backup, overrides: &ShopOverrides) -> Result<Self> {
        let shop = crate::show::shop_of(environment, backup.shop)?;
        let present = Self::of_shop(environment, &shop, overrides);
        if let Ok(subject) = &present
            && (subject.layout.is_none()
                || subject.layout.as_ref().is_some_and(|layout| layout.platform == shop.platform))
            && (subject.database.is_some() || !has_database(environment, &shop)?)
        {
            return present;
        }
        let stored = StoredBackup::open(environment, backup.clone())?;
        let Some(mut layout) = stored.layout(environment)? else { return present };
        if let Some(prefix) = &overrides.table_prefix {
            layout.table_prefix = Some(prefix.clone());
        }
        let database = match (overrides.name.is_some(), remembered(environment, &shop)?) {
            (false, Some(remembered)) => Some(remembered),
            _ => database_of(Some(&layout), overrides)?,
        };
        let note = format!(
            "what is in {} now cannot be recognised as {}: what the backup remembers of the shop is used",
            layout.root.display(),
            layout.title
        );
        Ok(Self { title: shop.title, layout: Some(layout), notes: vec![note], database })
    }

    /// A database without a folder.
    pub fn of_database(title: Option<&str>, overrides: &ShopOverrides) -> Result<Self> {
        let database = database_of(None, overrides)?.ok_or_else(|| {
            OperationError::hinted(
                ErrorKind::Declined,
                "neither a shop's folder nor a database was given",
                "give the shop's folder, or --database-name and --database-user",
            )
        })?;
        let title = title.map_or_else(|| String::from_utf8_lossy(&database.name).into_owned(), str::to_owned);
        Ok(Self { title, layout: None, notes: Vec::new(), database: Some(database) })
    }

    /// What the catalog knows the shop by: its folder, or its database's address.
    pub fn key(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        match (&self.layout, &self.database) {
            (Some(layout), _) => layout.root.as_os_str().as_bytes().to_vec(),
            (None, Some(database)) => {
                let mut key = format!("database:{}/", database.server.address).into_bytes();
                key.extend_from_slice(&database.name);
                key
            }
            (None, None) => Vec::new(),
        }
    }

    /// The database, or what is missing to reach it.
    pub fn require_database(&self) -> Result<&ShopDatabase> {
        self.database.as_ref().ok_or_else(|| {
            let why = self.layout.iter().flat_map(|layout| &layout.unclear);
            let why: Vec<String> = why.map(|item| format!("{} ({})", item.what, item.why)).collect();
            let message = if why.is_empty() {
                format!("it is not known where the database of {} is", self.title)
            } else {
                format!("the database settings of {} are not clear: {}", self.title, why.join("; "))
            };
            let hint = "give --database-name, --database-user, --database-host or --database-socket and \
                        --database-password-file, or take the files alone with --only files";
            OperationError::hinted(ErrorKind::Declined, message, hint)
        })
    }
}

/// How the database of a shop was reached when it was last backed up here.
fn remembered(environment: &Environment, shop: &Shop) -> Result<Option<ShopDatabase>> {
    connection::recall(environment, &environment.state.shop_connection(shop.id), &connection_purpose(shop.id))
}

/// Whether a database of this shop was ever backed up here.
pub(crate) fn has_database(environment: &Environment, shop: &Shop) -> Result<bool> {
    let file = environment.state.shop_connection(shop.id);
    Ok(environment.host.files.stat(&file).doing(format!("looking for {}", file.display()))?.is_some())
}

/// Folders that a person names beat those that the files tell under the same label.
fn add_outside_folders(layout: &mut ShopLayout, overrides: &ShopOverrides) {
    for (label, path) in &overrides.outside_folders {
        layout.outside_folders.retain(|folder| &folder.label != label);
        let why = "given by hand".to_owned();
        layout.outside_folders.push(OutsideFolder { label: label.clone(), path: path.clone(), why });
    }
}

/// What a folder holds, with the platform's own words.
pub fn detect(folder: &Path) -> Result<Detection> {
    backstock_platform::detect(folder, &NoEnvironment)
        .doing(format!("looking at the folder {}", folder.display()))
}

/// A server that is given by hand, without a database.
pub fn server_by_hand(overrides: &ShopOverrides) -> Result<ServerSettings> {
    let named = ShopOverrides { name: Some(String::new()), ..overrides.clone() };
    let database = database_of(None, &named)?;
    database
        .map(|database| database.server)
        .ok_or_else(|| OperationError::plain(ErrorKind::Declined, "it is not said where the server is"))
}

fn database_of(layout: Option<&ShopLayout>, overrides: &ShopOverrides) -> Result<Option<ShopDatabase>> {
    let stated = layout.and_then(|layout| layout.database.as_ref());
    let name = overrides.name.as_ref().map(|name| name.clone().into_bytes());
    let Some(name) = name.or_else(|| stated.map(|stated| stated.name.clone())) else { return Ok(None) };
    let user = overrides.user.clone();
    let user = user.or_else(|| stated.map(|stated| String::from_utf8_lossy(&stated.user).into_owned()));
    let password = match (&overrides.password_file, &overrides.password) {
        (Some(file), _) => password_in(file)?,
        (None, Some(password)) => Secret::new(password.as_str()),
        (None, None) => {
            Secret::new(stated.map(|stated| stated.password.expose().to_vec()).unwrap_or_default())
        }
    };
    let server = ServerSettings {
        address: address_of(stated, overrides),
        user: user.unwrap_or_default(),
        password,
        tls: Tls::default(),
    };
    Ok(Some(ShopDatabase { server, name }))
}

fn password_in(file: &Path) -> Result<Secret> {
    let act = || format!("reading the password file {}", file.display());
    let mut bytes = std::fs::read(file).doing(act())?;
    if bytes.len() > PASSWORD_LIMIT_BYTES {
        let message = format!("{} is too large to hold a password", file.display());
        return Err(OperationError::plain(ErrorKind::Declined, message));
    }
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Secret::new(bytes))
}

fn address_of(stated: Option<&backstock_platform::DatabaseSettings>, overrides: &ShopOverrides) -> Address {
    if let Some(socket) = &overrides.socket {
        return Address::Socket(socket.clone());
    }
    if overrides.host.is_none()
        && overrides.port.is_none()
        && let Some(socket) = stated.and_then(|stated| stated.socket.clone())
    {
        return Address::Socket(socket);
    }
    let host = overrides.host.clone().or_else(|| stated.and_then(|stated| stated.host.clone()));
    let port = overrides.port.or_else(|| stated.and_then(|stated| stated.port));
    match (host.as_deref(), port) {
        // PHP's drivers take `localhost` without a port as "the usual socket".
        (None | Some("localhost"), None) => {
            match DEFAULT_SOCKETS.iter().map(Path::new).find(|path| path.exists()) {
                Some(socket) => Address::Socket(socket.to_owned()),
                None => Address::Tcp { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT },
            }
        }
        (host, port) => {
            Address::Tcp { host: host.unwrap_or("127.0.0.1").to_owned(), port: port.unwrap_or(DEFAULT_PORT) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_beat_files_and_a_port_means_tcp() {
        let overrides = ShopOverrides {
            host: Some("localhost".to_owned()),
            port: Some(3307),
            name: Some("shop".to_owned()),
            user: Some("owner".to_owned()),
            password: Some("hunter2".to_owned()),
            ..ShopOverrides::default()
        };
        let subject = Subject::of_database(None, &overrides).unwrap();
        let database = subject.require_database().unwrap();
        assert_eq!(database.server.address, Address::Tcp { host: "localhost".to_owned(), port: 3307 });
        assert_eq!(subject.title, "shop");
        assert_eq!(subject.key(), b"database:localhost:3307/shop");
        assert!(!format!("{subject:?}{overrides:?}").contains("hunter2"));
    }

    #[test]
    fn a_folder_outside_the_root_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let storage = tempfile::tempdir().unwrap();
        let given = vec![("storage".to_owned(), storage.path().to_owned())];
        let overrides = ShopOverrides { outside_folders: given, ..ShopOverrides::default() };
        let subject = Subject::of_folder(folder.path(), None, &overrides).unwrap();
        let outside = &subject.layout.unwrap().outside_folders;
        assert_eq!((outside.len(), outside[0].path.as_path()), (1, storage.path()));
    }

    #[test]
    fn a_plain_folder_without_a_database_says_which_flags_to_give() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("readme.txt"), "hello").unwrap();
        let subject = Subject::of_folder(folder.path(), None, &ShopOverrides::default()).unwrap();
        let error = subject.require_database().unwrap_err();
        assert!(error.hint().unwrap().contains("--database-name"));
        assert_eq!(error.kind(), ErrorKind::Declined);
    }

    #[test]
    fn the_line_end_of_a_password_file_is_not_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "pass word\n").unwrap();
        assert_eq!(password_in(&file).unwrap().expose(), b"pass word");
    }
}
