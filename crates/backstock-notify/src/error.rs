//! What can go wrong when somebody is told, and what to do about it.

use std::io;

use backstock_vocabulary::ErrorClass;

/// The result of telling somebody.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong when somebody is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network refused an act, or broke off.
    #[error("cannot {act} {place}")]
    Io {
        /// The act, as a verb.
        act: &'static str,
        /// Where it was to go.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server refused an act, or answered with something else than was asked.
    #[error("cannot {act} {place}: {cause}: {answer}")]
    Refused {
        /// The act, as a verb.
        act: &'static str,
        /// Where it was to go.
        place: String,
        /// What it means for us.
        cause: Cause,
        /// What the server said, or what was wrong with that: one line, cut, without secrets.
        answer: String,
    },
    /// It was not done in time: the server hangs, or answers for ever.
    #[error("{place} has not taken the message within {limit_seconds} seconds")]
    Late {
        /// Where it was to go.
        place: String,
        /// The limit, in seconds.
        limit_seconds: u64,
    },
    /// There is no such kind of notifier.
    #[error("there is no kind of notifier called \"{kind}\"; known are: {}", crate::kinds::known())]
    UnknownKind {
        /// The kind that was asked for.
        kind: String,
    },
    /// The settings do not fit the kind.
    #[error("the settings of the notifier (kind {kind}) cannot be used: {problem}")]
    Settings {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// What the refusal of a server means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It is overloaded, restarting, or has had enough of us for now: the same may go well later.
    Busy,
    /// It does not accept who we say we are.
    SignIn,
    /// It knows us, and does not take this message.
    Denied,
    /// It cannot prove who it is.
    Untrusted,
    /// It does not encrypt, and nothing goes there unencrypted.
    Unencrypted,
    /// The answer makes no sense to us.
    Unexpected,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Busy => "it is busy",
            Self::SignIn => "it does not accept the credentials",
            Self::Denied => "it does not take the message",
            Self::Untrusted => "it cannot be trusted",
            Self::Unencrypted => "it does not encrypt",
            Self::Unexpected => "its answer is not understood",
        })
    }
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } | Self::Late { .. } | Self::Refused { cause: Cause::Busy, .. } => {
                ErrorClass::Retry
            }
            Self::Refused { cause: Cause::Unexpected, .. } => ErrorClass::Stop,
            Self::Refused { .. } | Self::UnknownKind { .. } | Self::Settings { .. } => ErrorClass::Ask,
        }
    }
}
