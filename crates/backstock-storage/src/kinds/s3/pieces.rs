//! The pieces of a long part: where each begins, and the hash that is sent with it, of a batch of pieces at once.

use std::io;

use backstock_host::ReadFile;
use md5::{Digest, Md5};

use super::md5_lanes::{BLOCK_BYTES, LANES, Md5Lanes};
use crate::check::Check;
use crate::http::{read_exactly, read_span};

/// The usual length of a piece, in bytes. S3 takes none below 5 MiB but the last.
const PIECE_BYTES: u64 = 10 << 20;
/// The shortest piece that S3 takes, in bytes.
pub(super) const SHORTEST_PIECE_BYTES: u64 = 5 << 20;
/// The most pieces of one upload.
pub(super) const PIECES_LIMIT: u64 = 10_000;
/// Lengths of pieces are multiples of this many bytes.
const PIECE_STEP_BYTES: u64 = 1 << 20;
/// The longest batch of several pieces, in bytes: what is read twice shall still be in the cache.
const BATCH_LIMIT_BYTES: u64 = 128 << 20;
/// Bytes of each piece that are hashed at a time.
const SLICE_BYTES: usize = 128 << 10;

/// A piece that was hashed and may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) number: u64,
    pub(super) offset_bytes: u64,
    pub(super) length_bytes: u64,
    pub(super) md5: [u8; 16],
}

/// How a part is cut into pieces. Numbers begin with 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    /// The length of the part.
    pub(super) size_bytes: u64,
    /// The length of all pieces but the last.
    pub(super) piece_bytes: u64,
}

impl Spans {
    /// The usual ones, or longer ones for a part so long that the usual ones would be too many.
    pub(super) fn of_part(size_bytes: u64) -> Self {
        let piece_bytes =
            PIECE_BYTES.max(size_bytes.div_ceil(PIECES_LIMIT).next_multiple_of(PIECE_STEP_BYTES));
        Self { size_bytes, piece_bytes }
    }

    /// Where a piece begins and how long it is; none behind the end.
    pub(super) fn of(self, number: u64) -> (u64, u64) {
        let offset = self.bytes_before(number);
        (offset, self.piece_bytes.min(self.size_bytes - offset))
    }

    /// How many bytes come before a piece.
    pub(super) fn bytes_before(self, number: u64) -> u64 {
        (number - 1).saturating_mul(self.piece_bytes).min(self.size_bytes)
    }
}

/// Hashes the next pieces, as many as can be hashed at once, and checks all their bytes.
///
/// They are read twice: in their order for the check, and side by side, out of the cache, for MD5, which alone would take
/// longer than all else that an upload does.
///
/// # Errors
///
/// What reading brings; `UnexpectedEof` where the part is shorter than was said.
pub(super) fn hash_batch(
    file: &dyn ReadFile,
    spans: Spans,
    first: u64,
    mut check: Check,
) -> io::Result<(Check, Vec<Hashed>)> {
    let most = (BATCH_LIMIT_BYTES / spans.piece_bytes).clamp(1, LANES as u64);
    let numbers = first..first.saturating_add(most);
    let batch: Vec<_> = numbers.map(|number| (number, spans.of(number))).collect();
    let batch: Vec<_> = batch.into_iter().filter(|(_, (_, length_bytes))| *length_bytes > 0).collect();
    let (begin, end) = (spans.bytes_before(first), spans.bytes_before(first + batch.len() as u64));
    read_span(file, begin, end - begin, |bytes| check.see(bytes))?;
    let is_whole = |length_bytes: u64| length_bytes == spans.piece_bytes;
    let whole: Vec<u64> = batch.iter().filter(|(_, span)| is_whole(span.1)).map(|(_, span)| span.0).collect();
    let together = match whole.len() {
        2.. if spans.piece_bytes.is_multiple_of(BLOCK_BYTES as u64) => {
            hash_together(file, &whole, spans.piece_bytes)?
        }
        _ => Vec::new(),
    };
    let mut together = together.into_iter();
    let hashed = batch.into_iter().map(|(number, (offset_bytes, length_bytes))| {
        let md5 = match together.next() {
            Some(md5) => md5,
            None => hash_alone(file, offset_bytes, length_bytes)?,
        };
        Ok(Hashed { number, offset_bytes, length_bytes, md5 })
    });
    let hashed = hashed.collect::<io::Result<_>>()?;
    Ok((check, hashed))
}

/// The hashes of pieces of one length, which begin at these positions: at most [`LANES`].
fn hash_together(file: &dyn ReadFile, offsets: &[u64], length_bytes: u64) -> io::Result<Vec<[u8; 16]>> {
    let mut hashes = Md5Lanes::new();
    let mut slices = vec![Vec::new(); offsets.len()];
    let mut done = 0;
    while done < length_bytes {
        let wanted = usize::try_from(length_bytes - done).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        for (slice, offset) in slices.iter_mut().zip(offsets) {
            slice.resize(wanted, 0);
            read_exactly(file, offset + done, slice)?;
        }
        // A lane that nobody needs repeats the first.
        hashes.update(std::array::from_fn(|lane| slices.get(lane).unwrap_or(&slices[0]).as_slice()));
        done += wanted as u64;
    }
    Ok(hashes.finish().into_iter().take(offsets.len()).collect())
}

fn hash_alone(file: &dyn ReadFile, offset_bytes: u64, length_bytes: u64) -> io::Result<[u8; 16]> {
    let mut md5 = Md5::new();
    read_span(file, offset_bytes, length_bytes, |bytes| md5.update(bytes))?;
    Ok(md5.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_every_part_and_are_never_too_many(size_bytes in 1..(5_u64 << 40)) {
            let spans = Spans::of_part(size_bytes);
            let piece = spans.piece_bytes;
            prop_assert!((SHORTEST_PIECE_BYTES..=(5 << 30)).contains(&piece));
            let count = size_bytes.div_ceil(piece);
            prop_assert!(count <= PIECES_LIMIT);
            let (offset, length) = spans.of(count);
            prop_assert_eq!(offset + length, size_bytes);
            prop_assert!(length > 0);
            prop_assert_eq!(spans.of(count + 1).1, 0);
            prop_assert_eq!(spans.of(1), (0, piece.min(size_bytes)));
        }
    }

    struct InMemory(Vec<u8>);

    impl io::Read for InMemory {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl ReadFile for InMemory {
        fn size_bytes(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let from = usize::try_from(offset).unwrap().min(self.0.len());
            let count = buffer.len().min(self.0.len() - from);
            buffer[..count].copy_from_slice(&self.0[from..from + count]);
            Ok(count)
        }
    }

    #[test]
    fn batches_give_every_piece_its_hash_and_the_check_all_bytes() {
        // A step of a piece of 1 MiB, and one that no block of the hash fits into.
        for (piece_bytes, size_bytes) in [
            (1_u64 << 20, 1_u64),
            (1 << 20, 1 << 20),
            (1 << 20, 2 << 20),
            (1 << 20, (8 << 20) + 77),
            (1 << 20, 19 << 20),
            ((1 << 20) + 3, (5 << 20) + 1),
        ] {
            let bytes: Vec<u8> =
                (0..size_bytes).map(|at| ((at * 2_654_435_761) >> 11).to_le_bytes()[0]).collect();
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
            let (file, spans) = (InMemory(bytes), Spans { size_bytes, piece_bytes });
            let (mut check, mut hashed) = (Check::new(sha256, &[]), Vec::new());
            while spans.bytes_before(hashed.len() as u64 + 1) < size_bytes {
                let (after, batch) = hash_batch(&file, spans, hashed.len() as u64 + 1, check).unwrap();
                assert!((1..=LANES).contains(&batch.len()));
                (check, _) = (after, hashed.extend(batch));
            }
            assert!(check.end(), "{size_bytes} bytes in pieces of {piece_bytes}");
            let wanted: Vec<Hashed> = (1..)
                .zip(file.0.chunks(usize::try_from(piece_bytes).unwrap()))
                .map(|(number, piece)| Hashed {
                    number,
                    offset_bytes: (number - 1) * piece_bytes,
                    length_bytes: piece.len() as u64,
                    md5: Md5::digest(piece).into(),
                })
                .collect();
            assert_eq!(hashed, wanted, "{size_bytes} bytes in pieces of {piece_bytes}");
            let short = InMemory(file.0[..file.0.len() - 1].to_vec());
            let last = wanted.len() as u64;
            let error = hash_batch(&short, spans, last, Check::new(sha256, &[])).map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
