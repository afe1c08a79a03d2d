//! Paths in JSON: a string where they are UTF-8, else base64, as [`RawText`] has it. For `#[serde(with = "path_bytes")]`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::RawText;

/// What holds paths and stands in a kept or printed document.
pub trait Paths: Sized {
    /// The same with bytes in place of paths.
    type Bytes: Serialize + for<'de> Deserialize<'de>;

    /// The bytes of the paths.
    fn to_bytes(&self) -> Self::Bytes;

    /// The paths of these bytes.
    fn from_bytes(bytes: Self::Bytes) -> Self;
}

fn bytes_of(path: &Path) -> RawText {
    RawText(path.as_os_str().as_bytes().to_vec())
}

fn path_of(bytes: RawText) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.0))
}

impl Paths for PathBuf {
    type Bytes = RawText;

    fn to_bytes(&self) -> RawText {
        bytes_of(self)
    }

    fn from_bytes(bytes: RawText) -> Self {
        path_of(bytes)
    }
}

impl Paths for Option<PathBuf> {
    type Bytes = Option<RawText>;

    fn to_bytes(&self) -> Self::Bytes {
        self.as_deref().map(bytes_of)
    }

    fn from_bytes(bytes: Self::Bytes) -> Self {
        bytes.map(path_of)
    }
}

impl Paths for Vec<PathBuf> {
    type Bytes = Vec<RawText>;

    fn to_bytes(&self) -> Self::Bytes {
        self.iter().map(|path| bytes_of(path)).collect()
    }

    fn from_bytes(bytes: Self::Bytes) -> Self {
        bytes.into_iter().map(path_of).collect()
    }
}

/// Writes paths.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<P: Paths, S: Serializer>(paths: &P, serializer: S) -> Result<S::Ok, S::Error> {
    paths.to_bytes().serialize(serializer)
}

/// Reads paths.
///
/// # Errors
/// When what is there is neither text nor base64.
pub fn deserialize<'de, P: Paths, D: Deserializer<'de>>(deserializer: D) -> Result<P, D::Error> {
    P::Bytes::deserialize(deserializer).map(P::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Kept {
        #[serde(with = "crate::path_bytes")]
        one: PathBuf,
        #[serde(with = "crate::path_bytes")]
        maybe: Option<PathBuf>,
        #[serde(with = "crate::path_bytes")]
        many: Vec<PathBuf>,
    }

    #[test]
    fn paths_of_any_bytes_go_both_ways_and_text_stays_text() {
        let odd = PathBuf::from(OsString::from_vec(b"/srv/caf\xe9".to_vec()));
        let kept = Kept { one: "/srv/shop".into(), maybe: Some(odd.clone()), many: vec![odd, "/x".into()] };
        let text = serde_json::to_string(&kept).unwrap();
        assert!(text.starts_with(r#"{"one":"/srv/shop","maybe":{"base64":"#), "{text}");
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        let none: Kept = serde_json::from_str(r#"{"one":"a","maybe":null,"many":[]}"#).unwrap();
        assert_eq!(none, Kept { one: "a".into(), maybe: None, many: Vec::new() });
    }
}
