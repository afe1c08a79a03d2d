//! Names of objects: relative, portable to every kind of place, checked once when they are made.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes: what the least able kinds of place take, minus room for a prefix.
const NAME_LIMIT_BYTES: usize = 800;
/// The longest step of a name, in bytes. File systems end at 255; a kind may add marks of its own to it.
const STEP_LIMIT_BYTES: usize = 200;
/// Characters that some file system or service gives a meaning of its own.
const FORBIDDEN: &[char] = &['\\', ':', '*', '?', '"', '<', '>', '|'];

/// The name of an object: steps joined by `/`, relative to the storage's own folder.
///
/// No step is empty, begins with a dot (such names are the storages' own), ends with a dot or a blank, or holds a
/// control character or one of `\ : * ? " < > |`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

/// The text cannot name an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" cannot name an object: {reason}", text.escape_debug())]
pub struct ParseNameError {
    /// The text that was given, cut to a printable length.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One object that a storage holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub size_bytes: u64,
}

impl ObjectName {
    /// Checks a name.
    pub fn new(text: &str) -> Result<Self, ParseNameError> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(reason) => Err(ParseNameError { text: text.chars().take(120).collect(), reason }),
        }
    }

    /// The name below this one. `steps` may be several, joined by `/`.
    pub fn join(&self, steps: &str) -> Result<Self, ParseNameError> {
        Self::new(&format!("{}/{steps}", self.0))
    }

    /// The name in text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last step.
    pub fn last_step(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The name of the folder that it lies in, if it does not lie at the top.
    pub fn folder(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(folder, _)| Self(folder.to_owned()))
    }

    /// Whether it lies below that folder.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.len() > NAME_LIMIT_BYTES {
        return Some("it is longer than 800 bytes");
    }
    text.split('/').find_map(|step| {
        if step.is_empty() {
            Some("a step of it is empty")
        } else if step.len() > STEP_LIMIT_BYTES {
            Some("a step of it is longer than 200 bytes")
        } else if step.starts_with('.') {
            Some("a step of it begins with a dot")
        } else if step.ends_with(['.', ' ']) {
            Some("a step of it ends with a dot or a blank")
        } else if step.contains(FORBIDDEN) || step.contains(char::is_control) {
            Some("it holds a character that not every storage can keep")
        } else {
            None
        }
    })
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ObjectName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn the_names_of_a_backup_are_names() {
        for text in ["owner-1.json", "shop/2026-11-20T03.00.00Z-0a1b2c3d/db/db.sql.zst", "café/x"] {
            assert_eq!(ObjectName::new(text).map(|name| name.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn names_that_leave_the_folder_or_some_file_system_are_refused() {
        let long = "a".repeat(201);
        let deep = "ab/".repeat(300);
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            ".",
            "a/.hidden",
            "a\0b",
            "a\nb",
            "c:d",
            "a\\b",
            "a.",
            "a ",
            &long,
            &deep,
        ] {
            assert!(ObjectName::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn folders_and_steps() {
        let name = ObjectName::new("a/b/c.json").unwrap();
        assert_eq!(name.last_step(), "c.json");
        assert_eq!(name.folder().unwrap().as_str(), "a/b");
        assert!(name.is_below(&ObjectName::new("a").unwrap()));
        assert!(!name.is_below(&name));
        assert!(!ObjectName::new("ab/c").unwrap().is_below(&ObjectName::new("a").unwrap()));
        assert_eq!(ObjectName::new("a").unwrap().folder(), None);
        assert!(ObjectName::new("a").unwrap().join("../b").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_below_the_folder(text in "[./a\\\\ \\PC]{0,40}") {
            if let Ok(name) = ObjectName::new(&text) {
                let joined = Path::new("/root").join(name.as_str());
                prop_assert!(joined.starts_with("/root") && joined != Path::new("/root"));
                prop_assert!(joined.components().skip(1).all(|step| matches!(step, Component::Normal(_))));
                prop_assert_eq!(joined.components().count(), 2 + name.steps().count());
            }
        }
    }
}
