//! Words about a replica: its state, what proves it, and how deep a check went.

use crate::word::words;

words! {
    /// The state of one backup at one destination.
    pub enum ReplicaState {
        /// It is not there and never was.
        Absent = "absent",
        /// Its parts are being put.
        Uploading = "uploading",
        /// Its manifest may not be put before its parent's is there.
        WaitingForParent = "waiting-for-parent",
        /// Its manifest is there.
        Present = "present",
        /// It was read back and found right.
        Verified = "verified",
        /// Bytes at rest differ from the manifest.
        Damaged = "damaged",
        /// It was there and is not any more.
        Lost = "lost",
        /// It should be gone, and the storage keeps it.
        RetainedByStorage = "retained-by-storage",
        /// It is being deleted.
        Deleting = "deleting",
    }

    /// Why a replica is marked for deletion.
    pub enum MarkCause {
        /// No rule of the policy keeps it.
        Policy = "policy",
        /// A person asked for it.
        ByHand = "by-hand",
    }

    /// What a statement about stored bytes rests on.
    pub enum Proof {
        /// The size agrees.
        Size = "size",
        /// A hash computed by the storage agrees.
        ProviderHash = "provider-hash",
        /// The bytes were read back and hashed here.
        ReadBack = "read-back",
        /// It was restored into a scratch place and compared there.
        Drilled = "drilled",
    }

    /// How deep a verification goes. Each level includes the ones before it.
    pub enum VerifyLevel {
        /// Every part is there with its size.
        Present = "present",
        /// Every part was read and hashed.
        Bytes = "bytes",
        /// Every frame, tar entry and SQL statement was decoded and compared with the index.
        Decoded = "decoded",
        /// It was restored into a scratch place and compared.
        Drilled = "drilled",
    }
}

impl ReplicaState {
    /// Whether manifest and parts are there, as far as is known, and are to stay.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Present | Self::Verified)
    }

    /// Whether it is to be gone: its deletion has begun, and may have been refused.
    pub fn is_going(self) -> bool {
        matches!(self, Self::Deleting | Self::RetainedByStorage)
    }
}
