//! The TOML file: the instance's settings, and sets that are managed by file (read-only for everyone else).

mod destination;
mod notifier;
mod serve;

use std::path::{Path, PathBuf};

use backstock_operations::{
    DrillSettings, LevelSettings, NewDestination, PartSize, RetentionSettings, SetSettings, ShopOverrides,
    VerifySettings,
};
use serde::Deserialize;

use destination::DestinationTable;
use notifier::NotifierTable;
use serve::ServeTable;

/// A configuration file of more bytes is none.
const SIZE_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// The file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// It could not be read.
    #[error("reading the configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error("the configuration file {path} has {size_bytes} bytes; at most {SIZE_LIMIT_BYTES} are expected")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// It is not what it should be; the cause shows the line.
    #[error("understanding the configuration file {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// The state folder.
    pub(crate) state: Option<PathBuf>,
    /// The folder in which backups are kept.
    pub(crate) backups: Option<PathBuf>,
    /// What this machine is known by, where `/etc/machine-id` does not stay: in containers.
    pub(crate) machine_id: Option<String>,
    /// Which backups are kept, where a set says nothing else.
    #[serde(default)]
    pub(crate) retention: RetentionSettings,
    /// How many whole copies of a backup there must be, where a set says nothing else [default: 1].
    pub(crate) required_copies: Option<u32>,
    /// Whether backups are sealed, where a set says nothing else [default: where there is an identity].
    pub(crate) sealed: Option<bool>,
    /// Whether backups are decoded once they are made, where a set says nothing else [default: those that are sealed].
    pub(crate) read_back: Option<bool>,
    /// How long a part may become, where a set says nothing else [default: 4 GB].
    pub(crate) part_size: Option<PartSize>,
    /// Which backups are full ones, where a set says nothing else.
    #[serde(default)]
    pub(crate) levels: LevelSettings,
    /// How often backups are checked, where a set says nothing else.
    #[serde(default)]
    pub(crate) verify: VerifySettings,
    /// Which new backups are drilled, where a set says nothing else.
    #[serde(default)]
    pub(crate) drill: DrillSettings,
    /// Where the daemon listens, and how browsers reach it.
    #[serde(default)]
    pub(crate) serve: ServeTable,
    /// Who is told of what goes wrong.
    #[serde(default, rename = "notifier")]
    pub(crate) notifiers: Vec<NotifierTable>,
    /// Sets that are managed by file.
    #[serde(default, rename = "set")]
    pub(crate) sets: Vec<SetTable>,
}

/// One `[[set]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetTable {
    /// The name that the command line takes.
    pub(crate) title: String,
    /// The shop's folder. Absent for a database alone.
    pub(crate) shop: Option<PathBuf>,
    /// Paths and globs to leave out.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// Tables whose contents are left out.
    #[serde(default)]
    pub(crate) exclude_table: Vec<String>,
    /// Tables that are left out entirely.
    #[serde(default)]
    pub(crate) exclude_table_entirely: Vec<String>,
    /// Folders of the shop outside its own: names and places.
    #[serde(default)]
    pub(crate) outside_folder: std::collections::BTreeMap<String, PathBuf>,
    /// Whether its backups are sealed, instead of what is said for all.
    pub(crate) sealed: Option<bool>,
    /// Whether its backups are decoded once they are made, instead of what is said for all.
    pub(crate) read_back: Option<bool>,
    /// How long a part of its backups may become, instead of what is said for all.
    pub(crate) part_size: Option<PartSize>,
    /// How many whole copies of its newest backup there must be, instead of what is said for all.
    pub(crate) required_copies: Option<u32>,
    /// Which backups of it are kept, instead of what is said for all.
    pub(crate) retention: Option<RetentionSettings>,
    /// Which backups of it are full ones, instead of what is said for all.
    pub(crate) levels: Option<LevelSettings>,
    /// How often its backups are checked, instead of what is said for all.
    pub(crate) verify: Option<VerifySettings>,
    /// Which new backups of it are drilled, instead of what is said for all.
    pub(crate) drill: Option<DrillSettings>,
    /// Where else its backups go; absent: what the catalog says.
    pub(crate) destination: Option<Vec<DestinationTable>>,
    /// The database, where it cannot be read from the shop's own files.
    #[serde(default)]
    pub(crate) database: DatabaseTable,
}

/// `[set.database]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseTable {
    host: Option<String>,
    port: Option<u16>,
    socket: Option<PathBuf>,
    name: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    table_prefix: Option<String>,
}

impl Configuration {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let failed = |source| ConfigurationError::Read { path: path.to_owned(), source };
        let size_bytes = std::fs::metadata(path).map_err(failed)?.len();
        if size_bytes > SIZE_LIMIT_BYTES {
            return Err(ConfigurationError::TooLarge { path: path.to_owned(), size_bytes });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        toml::from_str(&text)
            .map_err(|source| ConfigurationError::Parse { path: path.to_owned(), source: Box::new(source) })
    }

    /// The set with this title.
    pub(crate) fn set(&self, title: &str) -> Option<SetSettings> {
        self.sets.iter().find(|set| set.title == title).map(SetTable::settings)
    }

    /// What is kept of a shop that is known by this folder or title: what its set says, else what is said for all.
    pub(crate) fn retention(&self, folder: Option<&Path>, title: &str) -> RetentionSettings {
        let set = self.set_of(folder, title);
        let settings = set.and_then(|set| set.retention).unwrap_or(self.retention);
        let required_copies = set.and_then(|set| set.required_copies).or(self.required_copies);
        RetentionSettings { required_copies, ..settings }
    }

    /// Which backups of such a shop are full ones.
    pub(crate) fn levels(&self, folder: Option<&Path>, title: &str) -> &LevelSettings {
        self.set_of(folder, title).and_then(|set| set.levels.as_ref()).unwrap_or(&self.levels)
    }

    /// How long a part of such a shop's backups may become.
    pub(crate) fn part_size(&self, folder: Option<&Path>, title: &str) -> PartSize {
        let of_set = self.set_of(folder, title).and_then(|set| set.part_size);
        of_set.or(self.part_size).unwrap_or_default()
    }

    /// How often backups of such a shop are checked.
    pub(crate) fn verify(&self, folder: Option<&Path>, title: &str) -> VerifySettings {
        self.set_of(folder, title).and_then(|set| set.verify).unwrap_or(self.verify)
    }

    /// Which new backups of such a shop are drilled.
    pub(crate) fn drill(&self, folder: Option<&Path>, title: &str) -> &DrillSettings {
        self.set_of(folder, title).and_then(|set| set.drill.as_ref()).unwrap_or(&self.drill)
    }

    /// Where else the backups of such a shop go, if the file says it.
    pub(crate) fn destinations(&self, folder: Option<&Path>, title: &str) -> Option<Vec<NewDestination>> {
        let rows = self.set_of(folder, title)?.destination.as_ref()?;
        Some(rows.iter().map(DestinationTable::destination).collect())
    }

    fn set_of(&self, folder: Option<&Path>, title: &str) -> Option<&SetTable> {
        let of_folder = self.sets.iter().find(|set| set.shop.is_some() && set.shop.as_deref() == folder);
        of_folder.or_else(|| self.sets.iter().find(|set| set.title == title))
    }

    /// The set whose shop is this folder.
    pub(crate) fn set_of_folder(&self, folder: &Path) -> Option<SetSettings> {
        self.sets.iter().find(|set| set.shop.as_deref() == Some(folder)).map(SetTable::settings)
    }
}

impl SetTable {
    fn settings(&self) -> SetSettings {
        let database = self.database.clone();
        SetSettings {
            title: self.title.clone(),
            folder: self.shop.clone(),
            exclude: self.exclude.clone(),
            exclude_table: self.exclude_table.clone(),
            exclude_table_entirely: self.exclude_table_entirely.clone(),
            sealed: self.sealed,
            part_size: self.part_size,
            read_back: self.read_back,
            by_hand: ShopOverrides {
                host: database.host,
                port: database.port,
                socket: database.socket,
                name: database.name,
                user: database.user,
                password_file: database.password_file,
                password: None,
                table_prefix: database.table_prefix,
                outside_folders: self.outside_folder.clone().into_iter().collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_found_by_title_and_by_folder() {
        let text = "backups = \"/srv/backups\"\n[[set]]\ntitle = \"acme\"\nshop = \"/var/www/acme\"\n\
                    exclude = [\"tmp\"]\n[set.database]\nname = \"acme\"\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        assert_eq!(configuration.backups.as_deref(), Some(Path::new("/srv/backups")));
        let set = configuration.set("acme").unwrap();
        assert_eq!(set.exclude, ["tmp"]);
        assert_eq!(set.by_hand.name.as_deref(), Some("acme"));
        assert!(configuration.set_of_folder(Path::new("/var/www/acme")).is_some());
        assert!(configuration.set("other").is_none());
    }

    #[test]
    fn a_set_may_keep_other_backups_than_the_rest() {
        let text = "[retention]\nkeep_last = 5\n[[set]]\ntitle = \"acme\"\nshop = \"/var/www/acme\"\n\
                    [set.retention]\ndaily = 3\n[[set]]\ntitle = \"plain\"\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        let of = |folder: Option<&str>, title| configuration.retention(folder.map(Path::new), title);
        assert_eq!((of(Some("/var/www/acme"), "shop").daily, of(None, "acme").keep_last), (Some(3), None));
        assert_eq!((of(Some("/srv/x"), "x").keep_last, of(None, "plain").keep_last), (Some(5), Some(5)));
        let text =
            "required_copies = 2\n[retention]\ndaily = 3\n[[set]]\ntitle = \"acme\"\nrequired_copies = 3\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        let copies = |title| configuration.retention(None, title).required_copies;
        assert_eq!((copies("acme"), copies("other")), (Some(3), Some(2)));
        assert!(toml::from_str::<Configuration>("[retention]\nrequired_copies = 2").is_err());
        let negative = toml::from_str::<Configuration>("[retention]\nkeep_last = -1").unwrap_err();
        assert!(negative.to_string().contains("keep_last"), "{negative}");
    }

    #[test]
    fn a_set_may_have_another_plan_of_levels_than_the_rest() {
        let text = "[levels]\nmax_chain_length = 5\n[[set]]\ntitle = \"acme\"\n\
                    [set.levels]\nfull = [\"sunday\", \"monthly\"]\notherwise = \"differential\"\nrehash_mib = 0\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        assert_eq!(configuration.levels(None, "other").max_chain_length, Some(5));
        let acme = configuration.levels(None, "acme");
        assert_eq!((acme.max_chain_length, acme.rehash_mib), (None, Some(0)));
        assert!(acme.full.is_some() && acme.rules().is_ok());
        let error = toml::from_str::<Configuration>("[levels]\nfull = \"someday\"").unwrap_err();
        assert!(error.to_string().contains("someday"), "{error}");
    }

    #[test]
    fn a_set_may_have_other_parts_than_the_rest() {
        let text = "part_size = \"64 MiB\"\n[[set]]\ntitle = \"acme\"\npart_size = \"2 GB\"\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        assert_eq!(configuration.part_size(None, "acme").bytes(), 2_000_000_000);
        assert_eq!(configuration.part_size(None, "other").bytes(), 64 << 20);
        assert_eq!(Configuration::default().part_size(None, "other"), PartSize::default());
        let error = toml::from_str::<Configuration>("part_size = \"5 kB\"").unwrap_err();
        assert!(error.to_string().contains("5 kB is too small"), "{error}");
    }

    #[test]
    fn a_set_may_be_checked_at_other_times_than_the_rest() {
        let text =
            "[verify]\nbytes_days = 14\n[[set]]\ntitle = \"acme\"\n[set.verify]\nbytes_days = \"off\"\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        let of = |title| configuration.verify(None, title).schedule().unwrap();
        assert_eq!((of("other").bytes_days, of("acme").bytes_days), (Some(14), None));
        assert_eq!((of("other").present_days, of("acme").present_days), (Some(7), Some(7)));
        for wrong in ["bytes_days = 0", "present_days = -3", "decoded_days = \"sometimes\""] {
            let error = toml::from_str::<Configuration>(&format!("[verify]\n{wrong}")).unwrap_err();
            assert!(error.to_string().contains("\"off\""), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_is_an_error_that_names_it() {
        let error = toml::from_str::<Configuration>("bakcups = \"/srv\"").unwrap_err();
        assert!(error.to_string().contains("bakcups"));
    }
}
