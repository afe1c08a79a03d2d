//! A file or folder as Drive describes it: the fields of the resource `files` that matter here.

use backstock_host::hex;
use serde::{Deserialize, Deserializer};

/// The fields that are asked for.
pub(super) const FIELDS: &str =
    "id,name,mimeType,size,sha256Checksum,md5Checksum,createdTime,trashed,parents";
/// What a folder is, to Drive.
pub(super) const FOLDER_TYPE: &str = "application/vnd.google-apps.folder";

/// A file or a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    mime_type: String,
    /// None for what has no bytes: folders, shortcuts, documents of Google's own.
    #[serde(default, deserialize_with = "number_in_text")]
    size: Option<u64>,
    pub(super) sha256_checksum: Option<String>,
    pub(super) md5_checksum: Option<String>,
    #[serde(default)]
    created_time: String,
    /// Whether it, or a folder above it, lies in the trash.
    #[serde(default)]
    pub(super) trashed: bool,
    #[serde(default)]
    pub(super) parents: Vec<String>,
}

/// Drive writes whole numbers of 64 bits as texts.
fn number_in_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

impl File {
    pub(super) fn is_folder(&self) -> bool {
        self.mime_type == FOLDER_TYPE
    }

    /// Whether it has bytes.
    pub(super) fn is_object(&self) -> bool {
        !self.is_folder() && self.size.is_some()
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size.unwrap_or(0)
    }

    /// By age, the oldest first; where that is the same, every reader has the same order still.
    pub(super) fn age(&self) -> (&str, &str) {
        (&self.created_time, &self.id)
    }

    /// Whether Drive says that both hold the same bytes.
    pub(super) fn has_bytes_of(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => Some(one.eq_ignore_ascii_case(other)),
            _ => None,
        };
        let by_hash = same(&self.sha256_checksum, &other.sha256_checksum)
            .or_else(|| same(&self.md5_checksum, &other.md5_checksum));
        self.size == other.size && by_hash == Some(true)
    }

    /// Whether Drive says that it holds bytes of this SHA-256, or of this MD5 where it says nothing of the former. None where
    /// it says nothing at all.
    pub(super) fn has_hash(&self, sha256: &[u8; 32], md5: Option<[u8; 16]>) -> Option<bool> {
        let is = |told: &String, hash: &[u8]| told.eq_ignore_ascii_case(&hex::encode(hash));
        match (&self.sha256_checksum, &self.md5_checksum, md5) {
            (Some(told), _, _) => Some(is(told, sha256)),
            (None, Some(told), Some(md5)) => Some(is(told, &md5)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_drive_writes_it() {
        let text =
            r#"{"id":"1","name":"a","mimeType":"application/zstd","size":"5368709120","md5Checksum":"AB"}"#;
        let file: File = serde_json::from_str(text).unwrap();
        assert!(file.is_object() && file.size_bytes() == 5 << 30);
        assert_eq!(file.has_hash(&[0; 32], Some([0xab; 16])), Some(false));
        assert_eq!(file.has_hash(&[0; 32], None), None);
        assert!(serde_json::from_str::<File>(&text.replace("5368709120", "many")).is_err());
        assert!(serde_json::from_str::<File>(&text.replace("\"id\":\"1\",", "")).is_err());
    }

    #[test]
    fn the_same_bytes_are_those_of_one_length_and_one_hash() {
        let file = |size, sha256: Option<&str>, md5: Option<&str>| File {
            size: Some(size),
            sha256_checksum: sha256.map(str::to_owned),
            md5_checksum: md5.map(str::to_owned),
            ..File::default()
        };
        let one = file(1, Some("ab"), Some("cd"));
        assert!(one.has_bytes_of(&file(1, Some("AB"), None)));
        assert!(one.has_bytes_of(&file(1, None, Some("cd"))));
        assert!(!one.has_bytes_of(&file(2, Some("ab"), Some("cd"))));
        assert!(!one.has_bytes_of(&file(1, Some("ac"), Some("cd"))));
        assert!(!one.has_bytes_of(&file(1, None, None)));
    }
}
