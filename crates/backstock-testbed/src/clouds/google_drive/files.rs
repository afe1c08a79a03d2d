//! What lies in an account of Drive: files and folders by id, several of one name side by side.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{FOLDER_TYPE, default_fields, not_found, refusal};
use crate::clouds::range::range_of;
use crate::clouds::server::Response;
use crate::clouds::token;

/// A file or a folder.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) parent: String,
    /// None for what has none: folders and documents of Google's own.
    pub(super) bytes: Option<Vec<u8>>,
    /// Whether it was put there itself, not a folder above it.
    pub(super) is_trashed: bool,
    /// In which order it was made.
    number: u64,
    sha256: String,
    md5: String,
}

impl File {
    fn hash(&mut self) {
        if let Some(bytes) = &self.bytes {
            (self.sha256, self.md5) = (hex(digest(&SHA256, bytes).as_ref()), hex(&Md5::digest(bytes)));
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Files {
    by_id: BTreeMap<String, File>,
    roots: Vec<String>,
    count: u64,
    tells_sha256: bool,
    tells_md5: bool,
    /// Whether the next upload is stored with a wrong byte.
    pub(super) damages_next: bool,
}

impl Files {
    pub(super) fn new(roots: &[&str]) -> Self {
        let roots = roots.iter().map(|id| (*id).to_owned()).collect();
        Self {
            by_id: BTreeMap::new(),
            roots,
            count: 0,
            tells_sha256: true,
            tells_md5: true,
            damages_next: false,
        }
    }

    pub(super) fn set_hashes(&mut self, sha256: bool, md5: bool) {
        (self.tells_sha256, self.tells_md5) = (sha256, md5);
    }

    pub(super) fn get(&self, id: &str) -> Option<&File> {
        self.by_id.get(id)
    }

    /// The oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &File> {
        let mut files: Vec<_> = self.by_id.values().collect();
        files.sort_by_key(|file| file.number);
        files.into_iter()
    }

    pub(super) fn has_folder(&self, id: &str) -> bool {
        self.roots.iter().any(|root| root == id)
            || self.get(id).is_some_and(|file| file.mime_type == FOLDER_TYPE)
    }

    /// The ids of the folders above something, the nearest first, itself before them.
    fn way_up(&self, id: &str) -> Vec<String> {
        let above = |id: &String| self.get(id).map(|file| file.parent.clone());
        std::iter::successors(Some(id.to_owned()), above).collect()
    }

    /// The top folder that something lies below.
    pub(super) fn drive_of(&self, id: &str) -> String {
        self.way_up(id).pop().unwrap_or_default()
    }

    pub(super) fn is_trashed(&self, id: &str) -> bool {
        self.way_up(id).iter().any(|id| self.get(id).is_some_and(|file| file.is_trashed))
    }

    pub(super) fn used_bytes(&self) -> u64 {
        // What lies in the trash counts.
        self.by_id.values().filter_map(|file| file.bytes.as_ref()).map(|bytes| bytes.len() as u64).sum()
    }

    pub(super) fn add(
        &mut self,
        parent: &str,
        name: &str,
        mime_type: &str,
        bytes: Option<Vec<u8>>,
    ) -> String {
        self.count += 1;
        let id = token("1", self.count);
        let mut file = File {
            id: id.clone(),
            name: name.to_owned(),
            mime_type: mime_type.to_owned(),
            parent: parent.to_owned(),
            bytes,
            is_trashed: false,
            number: self.count,
            sha256: String::new(),
            md5: String::new(),
        };
        file.hash();
        self.by_id.insert(id.clone(), file);
        id
    }

    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut File)) {
        if let Some(file) = self.by_id.get_mut(id) {
            change(file);
            file.hash();
        }
    }

    /// Deletes something with all that is below it.
    pub(super) fn remove(&mut self, id: &str) {
        let below: Vec<_> = self
            .by_id
            .keys()
            .filter(|other| self.way_up(other).iter().any(|above| above == id))
            .cloned()
            .collect();
        for id in below {
            self.by_id.remove(&id);
        }
    }

    /// The folder that a description of something new names.
    pub(super) fn parent(&self, described: &Value, root: &str) -> Result<String, Response> {
        let named: Vec<_> = described["parents"].as_array().into_iter().flatten().collect();
        match named[..] {
            [] => Ok(root.to_owned()),
            [id] => {
                let id = id.as_str().unwrap_or_default();
                let id = if id == "root" { root } else { id };
                if self.has_folder(id) { Ok(id.to_owned()) } else { Err(not_found(id)) }
            }
            _ => Err(refusal(400, "invalidParent", "A file may have one parent only.")),
        }
    }

    /// Takes the bytes of an upload that is done.
    pub(super) fn received(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if std::mem::take(&mut self.damages_next)
            && let Some(byte) = bytes.last_mut()
        {
            *byte ^= 1;
        }
        bytes
    }

    /// A file with the fields that were asked for; whole numbers of 64 bits are texts.
    pub(super) fn shown(&self, file: &File, fields: &[String]) -> Value {
        let mut all = json!({
            "kind": "drive#file", "id": file.id, "name": file.name, "mimeType": file.mime_type,
        });
        let seconds = file.number / 1000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let milliseconds = file.number % 1000;
        all["createdTime"] =
            format!("2026-11-22T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z").into();
        all["trashed"] = self.is_trashed(&file.id).into();
        all["parents"] = vec![Value::from(file.parent.as_str())].into();
        if let Some(bytes) = &file.bytes {
            all["size"] = bytes.len().to_string().into();
            if self.tells_sha256 {
                all["sha256Checksum"] = file.sha256.as_str().into();
            }
            if self.tells_md5 {
                all["md5Checksum"] = file.md5.as_str().into();
            }
        }
        let wanted = |name: &String| fields.contains(name) || fields.iter().any(|field| field == "*");
        let shown = all.as_object().into_iter().flatten().filter(|(name, _)| wanted(name));
        Value::Object(shown.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The answer that describes a file.
    pub(super) fn answer(&self, id: &str, fields: Option<&str>) -> Response {
        let fields =
            fields.map_or_else(default_fields, |fields| fields.split(',').map(str::to_owned).collect());
        match self.get(id) {
            Some(file) => Response::json(200, &self.shown(file, &fields)),
            None => not_found(id),
        }
    }

    /// The answer with the bytes of a file, or a range of them.
    pub(super) fn media(&self, id: &str, range: Option<&str>) -> Response {
        let Some(bytes) = self.get(id).and_then(|file| file.bytes.as_ref()) else {
            return refusal(403, "fileNotDownloadable", "Only files with binary content can be downloaded.");
        };
        let Some(range) = range else {
            return Response { status: 200, body: bytes.clone(), ..Response::default() };
        };
        range_of(bytes, range).unwrap_or_else(|| {
            refusal(416, "requestedRangeNotSatisfiable", "Requested range not satisfiable")
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
