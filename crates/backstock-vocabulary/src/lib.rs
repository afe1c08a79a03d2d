//! The words of the product as types: ids, levels, outcomes, contents, states. No I/O and no behaviour.
//!
//! Each word has one meaning, given in `docs/words.md`. A run's [`Outcome`], a backup's [`Content`] and a
//! replica's [`ReplicaState`] are three different facts and never share a word.

mod backup;
mod id;
mod link;
pub mod path_bytes;
pub mod raw_text;
mod replica;
mod run;
mod word;

pub use backup::{ArtifactKind, Codec, Content, Level, Reason, Scope};
pub use id::{
    BackupId, DestinationId, IdentityId, InstanceId, LeaseId, ParseIdError, RunId, SetId, ShopId, StorageId,
};
pub use link::LinkState;
pub use raw_text::{RawText, readable};
pub use replica::{MarkCause, Proof, ReplicaState, VerifyLevel};
pub use run::{ErrorClass, Outcome, RunKind};
pub use word::UnknownWord;
