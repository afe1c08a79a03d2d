//! Buffers of what is sent, which come back when it is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that come back: fresh memory costs as much as hashing what is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty one, or one with what was in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Lends one to whoever sends what is in it.
    pub(crate) fn lend(&self, block: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { block, buffers: self.clone() })
    }
}

/// A buffer while somebody has it.
struct Lent {
    block: Vec<u8>,
    buffers: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.buffers.0.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }
}
