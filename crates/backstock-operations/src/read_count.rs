//! How many bytes of stored backups were read: what is shown to whoever pays for a storage by the byte, and what tests
//! hold "only its frames" against.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backstock_archive::ReadAt;

/// Counts bytes that were read from storages. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadCount(Arc<AtomicU64>);

impl ReadCount {
    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Does something whose reads are not counted.
    pub(crate) fn without<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = self.bytes();
        let result = act();
        self.0.store(before, Ordering::Relaxed);
        result
    }

    /// A source whose reads are counted.
    pub(crate) fn watch(&self, source: Box<dyn ReadAt>) -> Box<dyn ReadAt> {
        Box::new(Counted { source, count: self.clone() })
    }
}

struct Counted {
    source: Box<dyn ReadAt>,
    count: ReadCount,
}

impl ReadAt for Counted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.source.read_at(buffer, offset)?;
        self.count.add(read as u64);
        Ok(read)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.source.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_counted_and_what_is_asked_for_is_not() {
        let count = ReadCount::default();
        let source = count.watch(Box::new(vec![7; 10]));
        let mut buffer = [0; 8];
        assert_eq!(
            (source.read_at(&mut buffer, 0).unwrap(), source.read_at(&mut buffer, 6).unwrap()),
            (8, 4)
        );
        assert_eq!((count.bytes(), source.size_bytes().unwrap()), (12, 10));
        count.without(|| source.read_at(&mut buffer, 0).map(drop)).unwrap();
        assert_eq!(count.bytes(), 12);
    }
}
