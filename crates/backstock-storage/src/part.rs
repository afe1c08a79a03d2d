//! What is handed to a storage, and what it tells about it.

use std::path::Path;

use backstock_vocabulary::Proof;

use crate::probe::Rights;

/// How much of a part one of its block hashes is over, in bytes.
pub const BLOCK_BYTES: u64 = 64 << 20;

/// A part that lies complete and synced on this machine, ready to be put.
#[derive(Debug, Clone, Copy)]
pub struct SpooledPart<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 over its bytes.
    pub sha256: [u8; 32],
    /// BLAKE3 over each [`BLOCK_BYTES`] of it, where that is known: what is sent is then checked by these, at a fraction of the cost.
    pub blocks: &'a [[u8; 32]],
    /// Whether the storage may take the file itself (by renaming it) instead of copying it.
    pub may_consume: bool,
}

/// What a storage tells about a part that it has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutReceipt {
    /// What the statement "it is there" rests on.
    pub proof: Proof,
}

impl PutReceipt {
    /// A receipt that rests on this proof.
    pub fn new(proof: Proof) -> Self {
        Self { proof }
    }
}

/// What a place can do: the differences between kinds that planning needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// Whether the objects are files of this machine: a local row of a set.
    pub is_local: bool,
    /// Whether an upload that was cut off can go on where it stopped. If not, parts are kept small.
    pub resumes: bool,
    /// Whether what was stored can be exchanged for other bytes with these credentials: what is damaged can be mended there.
    pub replaces: bool,
    /// Whether what was stored can be deleted with these credentials. If not, the place is append-only: a state, not an error.
    pub deletes: bool,
    /// Whether objects can be locked here: the settings ask for it, and the place can.
    pub locks: bool,
    /// The largest object it takes, in bytes, if there is a limit.
    pub largest_object_bytes: Option<u64>,
}

impl Properties {
    /// The properties of a folder of this machine.
    pub fn local() -> Self {
        Self {
            is_local: true,
            resumes: true,
            replaces: true,
            deletes: true,
            locks: false,
            largest_object_bytes: None,
        }
    }

    /// Those of a place elsewhere that knows no locks and no largest object.
    pub(crate) fn far(Rights { replaces, deletes }: Rights, resumes: bool) -> Self {
        Self { is_local: false, resumes, replaces, deletes, locks: false, largest_object_bytes: None }
    }
}
