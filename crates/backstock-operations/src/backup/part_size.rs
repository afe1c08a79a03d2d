//! How long a part may become: what a set says of it, or a person.

use std::fmt;
use std::str::FromStr;

use backstock_archive::artifact::PART_SIZE_BYTES;
use backstock_catalog::Set;
use backstock_storage::KINDS;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::sets::keeps_local;
use crate::size::{UNITS_TEXT, parse_bytes};

/// The length that a part does not exceed, unless a single frame is longer. It is read and written as text, as in `64 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartSize(u64);

impl PartSize {
    /// The least that may be asked for, in bytes: below it the parts of a shop would soon be more than can be numbered, and a
    /// frame of stored files fills more than one.
    pub const LEAST_BYTES: u64 = 1 << 20;

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// How long a part may be where an upload that was cut off begins anew, in bytes.
const WITHOUT_RESUME_BYTES: u64 = 64 << 20;

/// How long a part may be of a set that keeps nothing on this machine, in bytes: a few of them wait in the spool.
const THROUGH_SPOOL_BYTES: u64 = 256 << 20;

/// The part size that every destination of a set can live with: what is asked for, or less where one of them cannot go on with an
/// upload that was cut off.
pub(super) fn part_size_for(environment: &Environment, set: &Set, asked: PartSize) -> Result<PartSize> {
    let act = || "looking at the destinations of the set";
    let asked = if keeps_local(set) { asked } else { PartSize(asked.0.min(THROUGH_SPOOL_BYTES)) };
    for destination in environment.wait(environment.catalog.destinations(set.id)).doing(act())? {
        let storage = environment.wait(environment.catalog.find_storage(destination.storage)).doing(act())?;
        let kind = storage.and_then(|storage| KINDS.iter().find(|kind| kind.name == storage.kind));
        if destination.is_on && kind.is_some_and(|kind| !kind.resumes) {
            return Ok(PartSize(asked.0.min(WITHOUT_RESUME_BYTES)));
        }
    }
    Ok(asked)
}

impl Default for PartSize {
    fn default() -> Self {
        Self(PART_SIZE_BYTES)
    }
}

impl fmt::Display for PartSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B", self.0)
    }
}

impl From<PartSize> for String {
    fn from(size: PartSize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for PartSize {
    type Error = OperationError;

    fn try_from(text: String) -> std::result::Result<Self, OperationError> {
        text.parse()
    }
}

impl FromStr for PartSize {
    type Err = OperationError;

    /// Reads a whole number and a unit.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for anything else, and for less than [`Self::LEAST_BYTES`].
    fn from_str(text: &str) -> std::result::Result<Self, OperationError> {
        let refused = |message: String| OperationError::plain(ErrorKind::Refused, message);
        let bytes = parse_bytes(text).ok_or_else(|| {
            refused(format!("{text:?} is no part size: give a whole number with {UNITS_TEXT}"))
        })?;
        if bytes < Self::LEAST_BYTES {
            return Err(refused(format!("a part size of {text} is too small: give 1 MiB or more")));
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units_and_come_back() {
        for (text, bytes) in [
            ("1 MiB", 1 << 20),
            ("64MiB", 64 << 20),
            (" 4 GB ", 4_000_000_000),
            ("1048576 b", 1 << 20),
            ("2000kb", 2_000_000),
            ("1 tib", 1 << 40),
        ] {
            let size: PartSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string().parse::<PartSize>().unwrap(), size);
        }
        assert_eq!(PartSize::default().bytes(), PART_SIZE_BYTES);
    }

    #[test]
    fn what_is_no_size_or_too_small_is_refused_by_name() {
        for text in
            ["", "MiB", "64", "64M", "1.5 GB", "-1 GB", "4 GB!", "99999999999 TB", "18446744073709551616 B"]
        {
            let error = text.parse::<PartSize>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("MiB"), "{error}");
        }
        for text in ["0 B", "1048575 B", "1 MB", "64 KiB"] {
            let error = text.parse::<PartSize>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("1 MiB or more"), "{error}");
        }
    }
}
