//! Finding the programs of a database server on this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstock_host::child;

use super::super::connection::{Vendor, Version};
use crate::error::{Error, Result};
use crate::readable;

/// Where packages and vendors put server programs, besides PATH.
const USUAL_FOLDERS: [&str; 8] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/opt/mysql/bin",
];
/// Where in a folder that was given they may lie.
const BELOW: [&str; 5] = ["", "bin", "sbin", "libexec", "scripts"];
/// The names of a server's program.
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];
/// The names of MariaDB's program that makes a data folder.
const INSTALLERS: [&str; 2] = ["mariadb-install-db", "mysql_install_db"];

/// The programs of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPrograms {
    /// The server.
    pub server: PathBuf,
    /// What makes a data folder, for MariaDB.
    pub install: Option<PathBuf>,
    /// Whose it is.
    pub vendor: Vendor,
    /// Its version.
    pub version: Version,
}

impl ServerPrograms {
    /// The programs that are nearest to a server of this vendor and version: of the same vendor and version, of the same
    /// vendor and a later version, of the same vendor, any. With a folder, those in it alone.
    ///
    /// # Errors
    /// [`Error::NoPrograms`] with the places that were searched.
    pub fn find(given: Option<&Path>, vendor: Vendor, version: Version) -> Result<Self> {
        let folders = match given {
            Some(folder) => BELOW.iter().map(|below| folder.join(below)).collect(),
            None => usual_folders(),
        };
        let found = folders.iter().flat_map(|folder| in_folder(folder, &folders));
        let distance = |programs: &Self| {
            let (one, two) = (programs.version, version);
            let is_other = programs.vendor != vendor;
            (is_other, (one.0, one.1) != (two.0, two.1), (one.0, one.1) < (two.0, two.1))
        };
        found.min_by_key(distance).ok_or_else(|| Error::NoPrograms {
            searched: match given {
                Some(folder) => folder.display().to_string(),
                None => format!("PATH and {}", USUAL_FOLDERS.join(", ")),
            },
        })
    }
}

fn usual_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in env::split_paths(&path).chain(USUAL_FOLDERS.iter().map(PathBuf::from)) {
        // A relative step of PATH means another folder everywhere.
        if folder.is_absolute() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn in_folder(folder: &Path, all: &[PathBuf]) -> Vec<ServerPrograms> {
    let servers = SERVERS.iter().map(|name| folder.join(name)).filter(|program| program.is_file());
    servers
        .filter_map(|server| {
            let (vendor, version) = version_of(&server)?;
            // What is beside the server is of its version; elsewhere it may be of another.
            let beside = server.parent().into_iter().map(Path::to_owned);
            let near = beside.clone().flat_map(|folder| {
                [folder.clone(), folder.with_file_name("bin"), folder.with_file_name("scripts")]
            });
            let install = near
                .chain(all.iter().cloned())
                .flat_map(|folder| INSTALLERS.map(|name| folder.join(name)))
                .find(|program| program.is_file());
            let install = install.filter(|_| vendor == Vendor::MariaDb);
            Some(ServerPrograms { server, install, vendor, version })
        })
        .collect()
}

/// Asks the program itself; a name says little, `mysqld` may be either vendor's.
fn version_of(server: &Path) -> Option<(Vendor, Version)> {
    let mut command = Command::new(server);
    command.args(["--no-defaults", "--version"]).stdin(Stdio::null()).stderr(Stdio::null());
    child::keep_our_variables_from(&mut command);
    let output = command.output().ok()?;
    parse(&readable(&output.stdout))
}

/// `mariadbd  Ver 10.11.18-MariaDB-…`, `/usr/sbin/mysqld  Ver 9.7.4 for Linux …`.
fn parse(text: &str) -> Option<(Vendor, Version)> {
    let (_, rest) = text.split_once("Ver ")?;
    let number = rest.split_whitespace().next()?;
    let vendor = if number.contains("MariaDB") { Vendor::MariaDb } else { Vendor::MySql };
    let mut steps = number.split(|character: char| !character.is_ascii_digit());
    let mut step = || steps.next()?.parse::<u16>().ok();
    Some((vendor, Version(step()?, step()?, step().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_servers_tell_it() {
        let mariadb =
            parse("mariadbd  Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)");
        assert_eq!(mariadb, Some((Vendor::MariaDb, Version(10, 11, 18))));
        let mysql = parse("/usr/sbin/mysqld  Ver 8.0.36-0ubuntu0.22.04.1 for Linux on x86_64 ((Ubuntu))");
        assert_eq!(mysql, Some((Vendor::MySql, Version(8, 0, 36))));
        assert_eq!(parse("no version"), None);
        assert_eq!(parse("Ver x"), None);
    }

    #[test]
    fn a_folder_without_programs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            ServerPrograms::find(Some(folder.path()), Vendor::MariaDb, Version(11, 8, 0)).unwrap_err();
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
}
