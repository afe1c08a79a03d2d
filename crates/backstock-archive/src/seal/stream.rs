//! The stream of a sealed part: Tink's AES-GCM-HKDF streaming AEAD with segments of 64 KiB, byte for byte (Google Tink,
//! "AES-GCM-HKDF streaming AEAD"; the length of a segment is one of its parameters).
//!
//! 40 bytes (their number, a salt of 32, a nonce prefix of 7) and segments of 64 KiB, the first one 40 bytes shorter, each
//! with a tag of 16 bytes. A range is read in whole segments: with 64 KiB a page of an index or a small file costs little more
//! than itself (`docs/decisions/2026-11-22-sealed-segments-of-64-kib.md`). The key is HKDF-SHA256 of the data key with that salt and the associated data as info; a
//! segment's nonce is the prefix, its number as 32-bit big-endian, and 1 for the last segment or else 0. So a segment
//! that is missing, doubled, in another place or of another stream does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use super::backup_seal::DataKey;

/// The same as a length in memory.
pub(super) const SEGMENT: usize = 64 << 10;
/// How long a segment is as stored, in bytes, the stream's own header included for the first.
pub(super) const SEGMENT_BYTES: u64 = SEGMENT as u64;
/// How much longer a segment is than its text, in bytes.
pub(super) const TAG_BYTES: u64 = TAG as u64;
/// The same as a length in memory.
pub(super) const TAG: usize = 16;
/// The stream's own header in bytes.
pub(super) const STREAM_HEADER_BYTES: u64 = StreamHeader::BYTES as u64;
const SALT_BYTES: usize = 32;
const PREFIX_BYTES: usize = 7;

/// The random beginning of a stream.
pub(super) struct StreamHeader {
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) prefix: [u8; PREFIX_BYTES],
}

impl StreamHeader {
    /// Its length.
    pub(super) const BYTES: usize = 1 + SALT_BYTES + PREFIX_BYTES;

    pub(super) fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = STREAM_HEADER_BYTES.to_le_bytes()[0];
        bytes[1..=SALT_BYTES].copy_from_slice(&self.salt);
        bytes[1 + SALT_BYTES..].copy_from_slice(&self.prefix);
        bytes
    }

    /// What the bytes say. `None`: they are no stream's beginning.
    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        if u64::from(bytes[0]) != STREAM_HEADER_BYTES {
            return None;
        }
        let mut header = Self { salt: [0; SALT_BYTES], prefix: [0; PREFIX_BYTES] };
        header.salt.copy_from_slice(&bytes[1..=SALT_BYTES]);
        header.prefix.copy_from_slice(&bytes[1 + SALT_BYTES..]);
        Some(header)
    }
}

/// Seals and opens the segments of one stream.
pub(super) struct SegmentCipher {
    key: LessSafeKey,
    prefix: [u8; PREFIX_BYTES],
}

impl SegmentCipher {
    /// `None` only if the library refused a length that is fixed here.
    pub(super) fn new(key: &DataKey, header: &StreamHeader, associated_data: &[u8]) -> Option<Self> {
        let secret = Salt::new(HKDF_SHA256, &header.salt).extract(key.secret().bytes());
        let info = [associated_data];
        let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM).ok()?);
        Some(Self { key: LessSafeKey::new(key), prefix: header.prefix })
    }

    fn nonce(&self, number: u32, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..PREFIX_BYTES + 4].copy_from_slice(&number.to_be_bytes());
        nonce[NONCE_LEN - 1] = u8::from(is_last);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals what stands behind `begins` in place, and puts the tag behind it. `None`: the library refused.
    pub(super) fn seal(&self, number: u32, is_last: bool, bytes: &mut Vec<u8>, begins: usize) -> Option<()> {
        let nonce = self.nonce(number, is_last);
        let text = bytes.get_mut(begins..)?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), text).ok()?;
        bytes.extend_from_slice(tag.as_ref());
        Some(())
    }

    /// Opens a segment in place, and gives its text. `None`: it is not what was sealed here, and `bytes` mean nothing.
    pub(super) fn open<'b>(&self, number: u32, is_last: bool, bytes: &'b mut [u8]) -> Option<&'b [u8]> {
        self.key.open_in_place(self.nonce(number, is_last), Aad::empty(), bytes).ok().map(|text| &*text)
    }
}

/// Where the segments of a stream lie, from its stored length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    stream_bytes: u64,
    segments: u32,
}

impl Layout {
    /// `None`: no stream has that length.
    pub(super) fn of_stored(stream_bytes: u64) -> Option<Self> {
        let segments = u32::try_from(stream_bytes.div_ceil(SEGMENT_BYTES)).ok()?;
        let last_bytes = stream_bytes - u64::from(segments.checked_sub(1)?) * SEGMENT_BYTES;
        let least_bytes = if segments == 1 { STREAM_HEADER_BYTES + TAG_BYTES } else { TAG_BYTES + 1 };
        (last_bytes >= least_bytes).then_some(Self { stream_bytes, segments })
    }

    /// The length of the text.
    pub(super) fn text_bytes(self) -> u64 {
        self.stream_bytes - STREAM_HEADER_BYTES - u64::from(self.segments) * TAG_BYTES
    }

    /// The number of the last segment.
    pub(super) fn last(self) -> u32 {
        self.segments - 1
    }

    pub(super) fn is_last(self, segment: u32) -> bool {
        segment == self.last()
    }

    /// The segment that holds a byte of the text, and where in its text.
    pub(super) fn find(text_offset: u64) -> (u32, u64) {
        // As if the stream's header were text of the first segment.
        let per_segment = SEGMENT_BYTES - TAG_BYTES;
        let offset = text_offset + STREAM_HEADER_BYTES;
        let segment = u32::try_from(offset / per_segment).unwrap_or(u32::MAX);
        let within = offset % per_segment;
        (segment, if segment == 0 { within - STREAM_HEADER_BYTES } else { within })
    }

    /// Where a segment and so many behind it lie in the stream, as far as there are any: their first byte and their length.
    pub(super) fn place(self, segment: u32, more: u32) -> (u64, usize) {
        let begins = u64::from(segment) * SEGMENT_BYTES;
        let ends = self.stream_bytes.min(begins + (1 + u64::from(more)) * SEGMENT_BYTES);
        let begins = if segment == 0 { STREAM_HEADER_BYTES } else { begins };
        (begins, usize::try_from(ends.saturating_sub(begins)).unwrap_or(0))
    }
}

/// How long the stream of so much text is.
pub(super) fn stored_bytes(text_bytes: u64) -> u64 {
    let per_segment = SEGMENT_BYTES - TAG_BYTES;
    let segments = (text_bytes + STREAM_HEADER_BYTES).div_ceil(per_segment);
    STREAM_HEADER_BYTES + text_bytes + segments * TAG_BYTES
}
