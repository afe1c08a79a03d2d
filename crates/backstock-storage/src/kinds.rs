//! Every kind of storage, in the order in which the screens show them.

mod dropbox;
pub(crate) mod ftp;
mod google_drive;
pub(crate) mod local;
mod onedrive;
mod s3;
pub(crate) mod sftp;
mod webdav;

use std::path::Path;
use std::sync::Arc;

use backstock_host::{Host, settings};
use schemars::Schema;
use serde::{Deserialize, Serialize};

use crate::{Field, KeepSecrets, Link, Result, Storage, oauth};

/// Opens a storage of one kind.
pub(crate) type Open = fn(&Host, &serde_json::Value, Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>>;

/// One kind of storage, as it describes itself.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name in settings; it never changes.
    pub name: &'static str,
    /// Its title on screens.
    pub title: &'static str,
    /// What it needs to know, as JSON Schema.
    pub schema: fn() -> Schema,
    /// Opens one with settings in JSON, secrets among them.
    pub open: Open,
    /// Whether an upload that was cut off can go on where it stopped, as far as the protocol knows a way.
    pub resumes: bool,
    /// How it is linked with an account, with the same settings; what comes of that need not be among them yet. None where
    /// there is nothing to link.
    pub link: Option<fn(&Host, &serde_json::Value) -> Result<Link>>,
}

impl Kind {
    /// What it needs to know, setting by setting.
    pub fn fields(&self) -> Vec<Field> {
        settings::fields(&(self.schema)())
    }

    /// The secret that comes of linking it with an account, by the name of its setting; none where there is nothing to link.
    pub fn linked_secret(&self) -> Option<&'static str> {
        self.link.map(|_| oauth::REFRESH_TOKEN)
    }
}

/// Every kind of storage.
pub const KINDS: &[Kind] = &[
    local::KIND,
    s3::KIND,
    sftp::KIND,
    ftp::KIND,
    webdav::KIND,
    dropbox::KIND,
    google_drive::KIND,
    onedrive::KIND,
];

/// Which kind of storage, and its settings as that kind reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageSettings {
    /// A name in [`KINDS`].
    pub kind: String,
    /// What the kind needs to know, secrets among them: for memory alone.
    pub settings: serde_json::Value,
}

impl StorageSettings {
    /// A folder of this machine.
    pub fn local(folder: &Path) -> Self {
        Self { kind: local::KIND.name.to_owned(), settings: local::LocalSettings::new(folder).to_json() }
    }
}

pub(crate) fn known() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeptNowhere;

    #[test]
    fn every_file_of_a_kind_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .collect();
        files.sort();
        let mut listed: Vec<_> = KINDS.iter().map(|kind| kind.name.to_owned()).collect();
        listed.sort();
        assert_eq!(files, listed);
    }

    #[test]
    fn every_setting_of_every_kind_is_explained() {
        for kind in KINDS {
            for field in kind.fields() {
                assert!(field.help.ends_with('.'), "{}: {field:?}", kind.name);
                assert!(!field.takes.is_empty() || !field.words.is_empty(), "{}: {field:?}", kind.name);
            }
        }
    }

    #[test]
    fn what_linking_gives_is_a_secret_of_the_kind() {
        let linked: Vec<_> = KINDS.iter().filter(|kind| kind.linked_secret().is_some()).collect();
        assert_eq!(
            linked.iter().map(|kind| kind.name).collect::<Vec<_>>(),
            ["dropbox", "google_drive", "onedrive"]
        );
        for kind in linked {
            let is_it = |field: &Field| Some(field.name.as_str()) == kind.linked_secret() && field.is_secret;
            assert!(kind.fields().iter().any(is_it), "{}", kind.name);
        }
    }

    #[test]
    fn an_unknown_kind_names_the_known_ones() {
        let settings = StorageSettings { kind: "tape".into(), settings: serde_json::Value::Null };
        let error = crate::open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no kind of storage called \"tape\"; known are: local, s3, sftp, ftp, webdav, dropbox, \
             google_drive, onedrive"
        );
    }
}
