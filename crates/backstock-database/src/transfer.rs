//! What becomes of an object on another server: as a value, before anything is done.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::raw_text::RawText;
use crate::{Vendor, Version};

/// How much of an object's meaning another server keeps. The variants go from better to worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// All of it: what is loaded is compared with the dump.
    #[default]
    Exact,
    /// It is there, and means something else in places. Never called verified.
    Changed,
    /// It is left out.
    Dropped,
    /// It cannot be there, and nothing is restored because of that.
    Refused,
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Changed => "changed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        })
    }
}

/// What becomes of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its kind and name, readable.
    pub object: String,
    /// How much of its meaning stays.
    pub fidelity: Fidelity,
    /// What changes, and why; empty where it is exact.
    pub reasons: Vec<String>,
    /// The definition that the other server gets; of what is dropped or refused, the one that it does not get.
    pub definition: RawText,
    /// Whether of a table with history the current rows alone go over.
    pub current_rows_only: bool,
}

/// What a server can hold, as far as it decides what becomes of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whose it is.
    pub vendor: Vendor,
    /// Its version.
    pub version: Version,
    /// Its collations, by their full names in small letters.
    pub collations: BTreeSet<String>,
    /// Its character sets, in small letters.
    pub character_sets: BTreeSet<String>,
    /// Its storage engines, in small letters.
    pub engines: BTreeSet<String>,
}
