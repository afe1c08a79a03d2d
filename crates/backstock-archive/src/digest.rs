//! Hash values as fixed bytes that read and write themselves as lower-case hexadecimal digits.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use backstock_host::hex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of the buffer through which a file is hashed.
const READ_BYTES: usize = 256 << 10;

/// A hash value of `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest<const N: usize>(pub [u8; N]);

/// SHA-256 (FIPS 180-4): of parts and manifests, so that `sha256sum` checks them.
pub type Sha256 = Digest<32>;

/// The first 16 bytes of BLAKE3: of single frames and pages, where damage is looked for and located.
pub type FrameHash = Digest<16>;

/// The text was not a hash value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash value of {} hexadecimal digits is expected", expected_bytes * 2)]
pub struct ParseDigestError {
    /// How many bytes were expected.
    pub expected_bytes: usize,
}

/// All zeros: no hash value of anything, and no valid key.
impl<const N: usize> Default for Digest<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl Sha256 {
    /// The SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_ring(&ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// The SHA-256 of everything that is left to read, and how many bytes that is. Needs the memory of one buffer.
    pub fn of_rest(source: &mut dyn Read) -> io::Result<(Self, u64)> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let (mut buffer, mut size_bytes) = (vec![0; READ_BYTES], 0);
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok((Self::from_ring(&context.finish()), size_bytes)),
                Ok(count) => {
                    context.update(&buffer[..count]);
                    size_bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn from_ring(digest: &ring::digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl FrameHash {
    /// The first 16 bytes of the BLAKE3 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_blake3(&blake3::hash(bytes))
    }

    pub(crate) fn from_blake3(hash: &blake3::Hash) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Self(first)
    }
}

impl<const N: usize> fmt::Display for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<const N: usize> FromStr for Digest<N> {
    type Err = ParseDigestError;

    /// Capital digits are refused, so that a value has one text form.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match hex::decode_array(text) {
            Ok(bytes) if !text.bytes().any(|digit| digit.is_ascii_uppercase()) => Ok(Self(bytes)),
            _ => Err(ParseDigestError { expected_bytes: N }),
        }
    }
}

impl<const N: usize> Serialize for Digest<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Digest<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_value_and_round_trip() {
        let digest = Sha256::of(b"abc");
        let text = digest.to_string();
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(serde_json::from_str::<Sha256>(&format!("\"{text}\"")).unwrap(), digest);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }
}
