//! Identifiers: UUIDv7 as text, one Rust type for each thing that has one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an identifier (36 characters, 8-4-4-4-12 hexadecimal digits)")]
pub struct ParseIdError {
    /// The text that was given.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an identifier (UUID version 7, RFC 9562 section 5.7) from the time in milliseconds since
            /// the Unix epoch and ten random bytes.
            pub fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
            }

            /// The last eight hexadecimal digits, which folders and people use.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text[24..].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError { text: text.to_owned() })
            }
        }
    )*};
}

ids! {
    /// One installed online shop.
    ShopId;
    /// One backup set: what to take of a shop, when, where to, how many copies.
    SetId;
    /// A key pair that opens sealed backups.
    IdentityId;
    /// Credentials and address of one place.
    StorageId;
    /// One row of a set: a storage to which its backups go.
    DestinationId;
    /// One saved state of a shop.
    BackupId;
    /// One execution of anything.
    RunId;
    /// One holder of backups that must not go while they are read.
    LeaseId;
    /// One installation of Backstock: the owner of a key pair.
    InstanceId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_short_is_its_end() {
        let id = BackupId::from_parts(1_763_600_000_000, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xab]);
        let text = id.to_string();
        assert_eq!(text.parse::<BackupId>(), Ok(id));
        assert_eq!(text.len(), 36);
        assert!(text.ends_with(&id.short()));
        assert_eq!(id.short().len(), 8);
    }

    #[test]
    fn later_ids_sort_later() {
        let early = RunId::from_parts(1_000, [0xff; 10]);
        let late = RunId::from_parts(2_000, [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn other_text_is_refused_with_the_text() {
        let error = "latest".parse::<BackupId>().unwrap_err();
        assert!(error.to_string().contains("\"latest\""));
    }
}
