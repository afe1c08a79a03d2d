//! One stored object, opened for reading at any position: a file of this machine, or by ranges.

use std::io;
use std::sync::Arc;

use backstock_archive::ReadAt;
use backstock_storage::{ObjectName, Storage};
use tokio::runtime::Handle;

use super::Place;
use crate::environment::Environment;
use crate::error::{Doing, Result};

impl Place {
    /// Opens an object for reading at any position; `None` when it is not there.
    pub(crate) fn open_object(
        &self,
        environment: &Environment,
        name: &ObjectName,
    ) -> Result<Option<Box<dyn ReadAt>>> {
        let act = || format!("opening {name} at {}", self.record.title);
        if let Some(path) = self.storage.local_path(name) {
            return match environment.host.files.open(&path) {
                Ok(file) => Ok(Some(environment.reads.watch(Box::new(file)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).doing(act()),
            };
        }
        let Some(facts) = environment.wait(self.storage.stat(name)).doing(act())? else { return Ok(None) };
        Ok(Some(environment.reads.watch(Box::new(StoredPart {
            storage: self.storage.clone(),
            handle: environment.handle(),
            name: name.clone(),
            size_bytes: facts.size_bytes,
        }))))
    }
}

/// A stored part, read by ranges.
struct StoredPart {
    storage: Arc<dyn Storage>,
    handle: Handle,
    name: ObjectName,
    size_bytes: u64,
}

impl ReadAt for StoredPart {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let wanted =
            buffer.len().min(usize::try_from(backstock_storage::RANGE_LIMIT_BYTES).unwrap_or(usize::MAX));
        let read = self.storage.read_range(&self.name, offset, wanted as u64);
        let bytes = self.handle.block_on(read).map_err(io::Error::other)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.size_bytes)
    }
}
