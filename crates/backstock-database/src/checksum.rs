//! What proves that two sets of rows are equal: those of a dump, of its text, and of a loaded table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// How a row's text becomes the number that a [`Checksum`] adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RowHash {
    /// XXH3 of 128 bits with seed 0 (xxHash specification, "XXH3 Algorithm Overview"): what dumps are written with.
    #[default]
    Xxh3,
    /// The first 16 bytes of BLAKE3, read as little-endian: the first backups have it.
    Blake3,
}

impl RowHash {
    /// The number of a text.
    pub fn number(self, text: &[u8]) -> u128 {
        match self {
            Self::Xxh3 => XxHash3_128::oneshot(text),
            Self::Blake3 => {
                let mut number = [0; 16];
                number.copy_from_slice(&blake3::hash(text).as_bytes()[..16]);
                u128::from_le_bytes(number)
            }
        }
    }
}

/// An order-free checksum of a table's rows: the sum, modulo 2^128, of one number for each row, which is the hash of
/// the row's text as it stands between the brackets of its INSERT. Written as `xxh3:` and 32 hexadecimal digits; without
/// the name before it, the hash is BLAKE3. It shows accidents; who must not be able to forge rows is told
/// by the signed manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum {
    row_hash: RowHash,
    sum: u128,
}

impl Checksum {
    /// That of no row, by this hash.
    pub fn of_none(row_hash: RowHash) -> Self {
        Self { row_hash, sum: 0 }
    }

    /// How rows are hashed: two checksums can be compared only where this is equal.
    pub fn row_hash(&self) -> RowHash {
        self.row_hash
    }

    /// Adds a row, given its text without the brackets.
    #[inline]
    pub fn add_row(&mut self, text: &[u8]) {
        self.sum = self.sum.wrapping_add(self.row_hash.number(text));
    }

    /// Adds all the rows that went into another checksum by the same hash.
    pub fn add(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// What stands before the digits of a checksum by XXH3.
const XXH3_MARK: &str = "xxh3:";

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.row_hash {
            RowHash::Xxh3 => XXH3_MARK,
            RowHash::Blake3 => "",
        };
        write!(f, "{mark}{:032x}", self.sum)
    }
}

impl FromStr for Checksum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (row_hash, digits) = match text.strip_prefix(XXH3_MARK) {
            Some(digits) => (RowHash::Xxh3, digits),
            None => (RowHash::Blake3, text),
        };
        u128::from_str_radix(digits, 16).map(|sum| Self { row_hash, sum })
    }
}

impl Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row_hash: RowHash, rows: &[&[u8]]) -> Checksum {
        let mut sum = Checksum::of_none(row_hash);
        rows.iter().for_each(|row| sum.add_row(row));
        sum
    }

    #[test]
    fn the_checksum_is_free_of_order_and_counts_duplicates() {
        for hash in [RowHash::Xxh3, RowHash::Blake3] {
            assert_eq!(of(hash, &[b"1,'a'", b"2,NULL"]), of(hash, &[b"2,NULL", b"1,'a'"]));
            assert_ne!(of(hash, &[b"1"]), of(hash, &[b"1", b"1", b"1"]));
            assert_eq!(of(hash, &[b"1"]).to_string().parse(), Ok(of(hash, &[b"1"])));
            assert_eq!(Checksum::of_none(hash).to_string().parse(), Ok(Checksum::of_none(hash)));
        }
        assert_ne!(of(RowHash::Xxh3, &[]), of(RowHash::Blake3, &[]));
    }

    #[test]
    fn checksums_are_the_numbers_that_the_format_tells() {
        // The first 16 bytes of BLAKE3("1,'abc',NULL"), as a number and so in reverse order.
        let hash = blake3::hash(b"1,'abc',NULL");
        let reversed: String = hash.as_bytes()[..16].iter().rev().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(of(RowHash::Blake3, &[b"1,'abc',NULL"]).to_string(), reversed);
        // XXH3_128bits("") as the reference implementation gives it.
        assert_eq!(of(RowHash::Xxh3, &[b""]).to_string(), "xxh3:99aa06d3014798d86001c324468d497f");
    }
}
