//! Where a storage keeps a secret that its provider has replaced by another one, and who hears how the link with an account is.

use std::fmt::Debug;
use std::io;

use jiff::Timestamp;

use crate::Secret;

/// How the link with an account is, as the provider has just told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkNews {
    /// It is good.
    Good {
        /// When it ends by itself, where the provider limits that and tells it with this call.
        ends: Option<Timestamp>,
    },
    /// Its owner, or the provider, has taken it back.
    Ended {
        /// What the provider says, without secrets.
        sentence: String,
    },
}

/// Where renewed secrets are kept: whoever opens a storage knows where its settings lie.
pub trait KeepSecrets: Send + Sync + Debug {
    /// Keeps a secret in the place of what the setting `name` holds. After `Ok` it is durable. It may block.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being durable. The storage does not use it before that has gone well.
    fn keep(&self, name: &str, secret: &Secret) -> io::Result<()>;

    /// What the setting `name` holds now, where that can be told: another process may have replaced it. It may block.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn kept(&self, _name: &str) -> io::Result<Option<Secret>> {
        Ok(None)
    }

    /// Hears how the link is, whenever the provider was asked. It may block; nothing waits for what comes of it.
    fn hear_of_link(&self, _news: &LinkNews, _at: Timestamp) {}
}

/// For storages that are in no catalog (yet): a secret that is renewed all the same is a failure, said before the old one
/// is lost for want of care.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeptNowhere;

impl KeepSecrets for KeptNowhere {
    fn keep(&self, name: &str, _secret: &Secret) -> io::Result<()> {
        let why = format!(
            "the provider replaced the {name}, and nothing is set up here that would keep the new one"
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}
