//! A folder of this machine: a local disk or whatever is mounted there. Files are 0600, folders 0700.

mod folder;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, hex};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::folder::{Entry, Folder};
use super::Kind;
use crate::{
    Error, KeepSecrets, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Properties, PutReceipt, Result,
    SpooledPart, Storage, Upload, probe,
};

pub(crate) const KIND: Kind = Kind {
    name: "local",
    title: "Folder on this machine",
    schema: || schema_for!(LocalSettings),
    open,
    resumes: true,
    link: None,
};

/// The settings of a folder of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {
    /// The folder, as an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// The folder's bytes in hexadecimal digits, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder_hex: Option<String>,
}

impl LocalSettings {
    /// Settings for this folder.
    pub fn new(folder: &Path) -> Self {
        match folder.to_str() {
            Some(text) => Self { folder: Some(text.to_owned()), folder_hex: None },
            None => Self { folder: None, folder_hex: Some(hex::encode(bytes_of(folder))) },
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let pairs = [("folder", &self.folder), ("folder_hex", &self.folder_hex)];
        pairs
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (key.to_owned(), value.clone().into())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn path(&self) -> std::result::Result<PathBuf, String> {
        let path = match (&self.folder, &self.folder_hex) {
            (Some(text), None) => PathBuf::from(text),
            (None, Some(digits)) => path_of(hex::decode(digits).map_err(|error| error.to_string())?),
            _ => return Err("exactly one of folder and folder_hex is needed".to_owned()),
        };
        if path.is_absolute() { Ok(path) } else { Err("the folder must be an absolute path".to_owned()) }
    }
}

fn bytes_of(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

fn open(host: &Host, settings: &serde_json::Value, _keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = LocalSettings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    let path = settings.path().map_err(fault)?;
    let folder = Folder { files: host.files.clone(), random: host.random.clone(), path };
    Ok(Arc::new(Local { folder }))
}

/// A storage in a folder of this machine.
#[derive(Debug)]
struct Local {
    folder: Folder,
}

impl Local {
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.folder.clone();
        let place = folder.place();
        match tokio::task::spawn_blocking(move || act(&folder)).await {
            Ok(result) => result,
            Err(error) => Err(Error::Io {
                act: "finish the work on",
                name: String::new(),
                place,
                source: io::Error::other(error),
            }),
        }
    }
}

#[async_trait]
impl Storage for Local {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        _upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let (name, path) = (name.clone(), part.path.to_owned());
        let (size_bytes, sha256, may_consume) = (part.size_bytes, part.sha256, part.may_consume);
        self.act(move |folder| {
            folder.put(&name, &SpooledPart { path: &path, size_bytes, sha256, blocks: &[], may_consume })
        })
        .await
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let (name, bytes) = (name.clone(), bytes.to_owned());
        self.act(move |folder| folder.put_small(&name, &bytes)).await
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let (name, path) = (name.clone(), part.path.to_owned());
        let (size_bytes, sha256, may_consume) = (part.size_bytes, part.sha256, part.may_consume);
        self.act(move |folder| {
            folder.replace(&name, &SpooledPart { path: &path, size_bytes, sha256, blocks: &[], may_consume })
        })
        .await
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let (name, bytes) = (name.clone(), bytes.to_owned());
        self.act(move |folder| folder.replace_small(&name, &bytes)).await
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let name = name.clone();
        self.act(move |folder| folder.stat(&name)).await
    }

    async fn list(&self, below: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        let below = below.cloned();
        self.act(move |folder| {
            let mut found = Vec::new();
            folder.walk(below.as_ref(), &mut |entry| {
                let Entry::Object(facts) = entry else { return Ok(()) };
                if found.len() == LIST_LIMIT_OBJECTS {
                    return Err(Error::TooMany { place: folder.place(), limit: LIST_LIMIT_OBJECTS });
                }
                found.push(facts);
                Ok(())
            })?;
            found.sort_by(|left, right| left.name.cmp(&right.name));
            Ok(found)
        })
        .await
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        let name = name.clone();
        self.act(move |folder| folder.read_range(&name, offset_bytes, length_bytes)).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        let name = name.clone();
        self.act(move |folder| folder.delete(&name)).await
    }

    async fn delete_leftovers(&self, below: Option<&ObjectName>) -> Result<u64> {
        let below = below.cloned();
        self.act(move |folder| {
            let mut leftovers = Vec::new();
            folder.walk(below.as_ref(), &mut |entry| {
                match entry {
                    Entry::Unfinished(path) => leftovers.push(path),
                    Entry::Object(facts) if probe::is_probe(&facts.name) => {
                        leftovers.push(folder.path_of(&facts.name));
                    }
                    Entry::Object(_) => {}
                }
                Ok(())
            })?;
            for path in &leftovers {
                folder.remove(path)?;
            }
            folder.remove_empty_folders(below.as_ref())?;
            Ok(leftovers.len() as u64)
        })
        .await
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        probe::rights(self, &self.folder.place(), folder, &*self.folder.random).await?;
        Ok(Properties::local())
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.act(|folder| folder.free_bytes().map(Some)).await
    }

    fn local_path(&self, name: &ObjectName) -> Option<PathBuf> {
        Some(self.folder.path_of(name))
    }
}

#[cfg(test)]
mod tests;
