//! Parts come back as they were, from any position, at the lengths around a segment.

use std::sync::Arc;

use super::{Predictable, backup_id, open_whole, seal_for, sealed, text_of};
use crate::read_at::{ReadAt, read_fully};
use crate::seal::stream::stored_bytes;
use crate::seal::{OpenedPart, SealedHeader, SegmentCache, Suite};

const FIRST: usize = (64 << 10) - 40 - 16;
const NEXT: usize = (64 << 10) - 16;

#[test]
fn a_part_comes_back_at_every_length_around_a_segment() {
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    for size_bytes in [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + NEXT - 1, FIRST + NEXT, FIRST + NEXT + 1] {
        let text = text_of(size_bytes);
        let bytes = sealed(&random, &seal, 1, &text);
        assert_eq!(bytes.len() as u64, 4096 + stored_bytes(size_bytes as u64), "{size_bytes}");
        assert!(open_whole(bytes, &seal).unwrap() == text, "{size_bytes}");
    }
}

#[test]
fn any_range_is_read_as_if_nothing_were_sealed() {
    let random = Predictable::of(2);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    // More than is read at once.
    let text = text_of(FIRST + 40 * NEXT + 12_345);
    let bytes = sealed(&random, &seal, 3, &text);
    let header = SealedHeader::read(&bytes, "x").unwrap();
    let cache = Arc::new(SegmentCache::default());
    let stored = bytes.len() as u64;
    let part = OpenedPart::open(Box::new(bytes), "x", &header, seal.key(), 3, &cache).unwrap();
    assert_eq!((part.size_bytes().unwrap(), part.stored_bytes().unwrap()), (text.len() as u64, stored));
    for begins in [0, 1, FIRST - 1, FIRST, FIRST + NEXT - 7, FIRST + 30 * NEXT, text.len() - 1, text.len()] {
        for length in [1, 7, 65_536, NEXT + 1, 3 * NEXT, 17 * NEXT + 3, 41 * NEXT] {
            let mut buffer = vec![0; length];
            let count = read_fully(&part, &mut buffer, begins as u64).unwrap();
            assert_eq!(count, length.min(text.len() - begins), "{begins} {length}");
            assert!(buffer[..count] == text[begins..begins + count], "{begins} {length}");
        }
    }
    assert_eq!(part.read_at(&mut [0; 9], u64::MAX).unwrap(), 0);
}
