//! What an application sees of an account: its own, in some clouds nothing else. So nothing to be seen is not nothing there.

use backstock_catalog::Storage as StorageRecord;
use serde::Serialize;
use serde_json::Value;

use super::{find, storage_kind};
use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result};

/// Settings that say nothing of the place: by which way it is reached, from one machine.
const WAYS: [&str; 3] = ["endpoint", "ca_file", "proxy"];

/// The application through which a storage is seen, and where in its account the storage is. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageClient {
    /// The name of the kind.
    pub kind: String,
    /// The id of the application.
    pub client_id: String,
    /// The folder in what the application may see; empty is all of that.
    pub folder: String,
    /// What else the kind must be told, as it is typed: `shared_drive=…`.
    pub settings: Vec<String>,
}

/// The application of a storage; none for kinds that need none.
pub(crate) fn client_of(record: &StorageRecord) -> Option<StorageClient> {
    let kind = storage_kind(&record.kind).ok().filter(|kind| kind.linked_secret().is_some())?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let setting = |name: &str| record.settings.get(name).map(text);
    let default = || {
        let field = kind.fields().into_iter().find(|field| field.name == "folder");
        field.and_then(|field| field.default).map(|default| text(&default))
    };
    let others = record.settings.as_object().into_iter().flatten();
    let is_other = |name: &str| name != "client_id" && name != "folder" && !WAYS.contains(&name);
    Some(StorageClient {
        kind: record.kind.clone(),
        client_id: setting("client_id")?,
        folder: setting("folder").or_else(default).unwrap_or_default(),
        settings: others
            .filter(|(name, _)| is_other(name))
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect(),
    })
}

/// The application of the storage with a title; none where its kind needs none.
pub fn storage_client(environment: &Environment, title: &str) -> Result<Option<StorageClient>> {
    Ok(client_of(&find(environment, title)?))
}

impl StorageClient {
    /// That nothing is seen, of what should be there.
    pub fn sees_nothing(&self, what: &str) -> String {
        format!("nothing visible to client {} {what}", self.client_id)
    }

    /// What that may mean.
    pub fn why_nothing(&self) -> &'static str {
        "what another client id, or another account, keeps there is not shown to this one: take the client id of the recovery \
         kit, and link with the account that has the backups"
    }
}

/// Nothing of what should be in a storage is seen there.
pub(crate) fn nothing_seen(record: &StorageRecord, what: &str) -> OperationError {
    let title = &record.title;
    match client_of(record) {
        Some(client) => {
            let message = client.sees_nothing(&format!("{what} at {title}"));
            OperationError::hinted(ErrorKind::Storage, message, client.why_nothing())
        }
        None => OperationError::hinted(
            ErrorKind::Storage,
            format!("nothing {what} is at {title}"),
            "check that the disk is mounted, or that the folder was not moved",
        ),
    }
}

#[cfg(test)]
mod tests {
    use backstock_vocabulary::StorageId;
    use serde_json::json;

    use super::*;

    fn record(kind: &str, settings: Value) -> StorageRecord {
        StorageRecord {
            id: StorageId::from_parts(1, [1; 10]),
            title: "offsite".to_owned(),
            kind: kind.to_owned(),
            settings,
            sealed_secrets: None,
            created: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn nothing_to_be_seen_names_the_client_where_that_matters() {
        let cloud =
            record("google_drive", json!({ "client_id": "id-1", "shared_drive": "0A", "ca_file": "/x" }));
        let client = client_of(&cloud).unwrap();
        assert_eq!((client.client_id.as_str(), client.folder.as_str()), ("id-1", "Backstock"));
        assert_eq!(client.settings, ["shared_drive=0A"]);
        let error = nothing_seen(&cloud, "of the set shop");
        assert_eq!(error.to_string(), "nothing visible to client id-1 of the set shop at offsite");
        let folder = record("local", json!({ "folder": "/mnt/disk" }));
        assert_eq!(client_of(&folder), None);
        assert_eq!(
            nothing_seen(&folder, "of the set shop").to_string(),
            "nothing of the set shop is at offsite"
        );
    }
}
