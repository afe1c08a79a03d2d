//! The environment variables of a shop, as far as they are known: they are passed in, never taken from our process.

use std::collections::BTreeMap;

/// What is known of one environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It has this value.
    Set(Vec<u8>),
    /// It is not set.
    NotSet,
    /// We cannot know.
    Unknown,
}

/// The environment in which the shop runs.
pub trait Environment: Send + Sync {
    /// Looks one variable up.
    fn lookup(&self, name: &[u8]) -> Lookup;
}

/// Nothing is known: a fallback in the file is used and said to be an assumption.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEnvironment;

impl Environment for NoEnvironment {
    fn lookup(&self, _name: &[u8]) -> Lookup {
        Lookup::Unknown
    }
}

/// Every variable is known, such as those of a running PHP process.
#[derive(Debug, Clone, Default)]
pub struct KnownEnvironment(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl Environment for KnownEnvironment {
    fn lookup(&self, name: &[u8]) -> Lookup {
        self.0.get(name).map_or(Lookup::NotSet, |value| Lookup::Set(value.clone()))
    }
}

/// A `.env` file below the real environment: real variables win, what neither names is not set.
pub(crate) struct Layered<'a> {
    /// The real environment.
    pub(crate) real: &'a dyn Environment,
    /// The file's values.
    pub(crate) file: &'a BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Environment for Layered<'_> {
    fn lookup(&self, name: &[u8]) -> Lookup {
        match self.real.lookup(name) {
            Lookup::Set(value) => Lookup::Set(value),
            _ => self.file.get(name).map_or(Lookup::NotSet, |value| Lookup::Set(value.clone())),
        }
    }
}
