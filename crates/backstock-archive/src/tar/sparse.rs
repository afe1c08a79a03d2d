//! Holes: which areas of a file hold data, and the map of them that GNU tar's sparse format PAX 1.0 puts before the
//! data (GNU tar manual, "Storing Sparse Files").

use super::{Malformed, pad, pax};

/// A map of more areas than this is refused, and a file that has more is stored without holes.
pub const AREAS_LIMIT: usize = 100_000;

/// One area of a file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The areas of a file that hold data, ascending, and the file's whole length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMap {
    /// Areas that hold data. Never touching or overlapping.
    pub areas: Vec<Area>,
    /// Length of the file in bytes, holes included.
    pub size_bytes: u64,
}

impl SparseMap {
    /// Bytes of data, without the holes.
    pub fn data_bytes(&self) -> u64 {
        self.areas.iter().map(|area| area.length).sum()
    }

    /// The map as it stands before the data, padded to a block.
    pub fn encode(&self) -> Vec<u8> {
        // A file that ends in a hole has an empty area at its end, which makes readers set its length.
        let ends_in_data = self.areas.last().is_some_and(|area| area.offset + area.length == self.size_bytes);
        let count = self.areas.len() + usize::from(!ends_in_data);
        let mut text = format!("{count}\n");
        for area in &self.areas {
            text.push_str(&format!("{}\n{}\n", area.offset, area.length));
        }
        if !ends_in_data {
            text.push_str(&format!("{}\n0\n", self.size_bytes));
        }
        let mut out = text.into_bytes();
        let length = out.len() as u64;
        pad(&mut out, length);
        out
    }
}

/// Reads a map number by number, since its length is known only at its end.
#[derive(Debug, Default)]
pub struct MapParser {
    digits: Vec<u8>,
    numbers: Vec<u64>,
}

impl MapParser {
    /// Takes one block; gives the areas when the map is complete.
    pub fn block(&mut self, block: &[u8], size_bytes: u64) -> Result<Option<SparseMap>, Malformed> {
        for byte in block {
            if self.is_complete() {
                break;
            }
            if *byte == b'\n' {
                let number = pax::number(&self.digits).ok_or(Malformed("a number in a sparse map"))?;
                self.digits.clear();
                self.numbers.push(number);
                if self.numbers[0] > AREAS_LIMIT as u64 + 1 {
                    return Err(Malformed("the number of areas in a sparse map"));
                }
            } else if self.digits.len() < 20 {
                self.digits.push(*byte);
            } else {
                return Err(Malformed("a number in a sparse map"));
            }
        }
        if self.is_complete() { self.map(size_bytes).map(Some) } else { Ok(None) }
    }

    fn is_complete(&self) -> bool {
        self.numbers.first().is_some_and(|count| self.numbers.len() as u64 == 1 + 2 * count)
    }

    fn map(&self, size_bytes: u64) -> Result<SparseMap, Malformed> {
        let mut areas = Vec::new();
        let mut end = 0u64;
        for pair in self.numbers[1..].chunks_exact(2) {
            let area = Area { offset: pair[0], length: pair[1] };
            let area_end =
                area.offset.checked_add(area.length).ok_or(Malformed("an area of a sparse map"))?;
            if area.offset < end || area_end > size_bytes {
                return Err(Malformed("an area of a sparse map"));
            }
            end = area_end;
            if area.length > 0 {
                areas.push(area);
            }
        }
        Ok(SparseMap { areas, size_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8], size_bytes: u64) -> Result<Option<SparseMap>, Malformed> {
        let mut parser = MapParser::default();
        for block in bytes.chunks(super::super::BLOCK_BYTES) {
            if let Some(map) = parser.block(block, size_bytes)? {
                return Ok(Some(map));
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn maps_round_trip(gaps in prop::collection::vec((1u64..10_000, 1u64..10_000), 0..200), tail in 0u64..5) {
            let mut end = 0;
            let areas: Vec<Area> = gaps.iter().map(|(gap, length)| {
                let area = Area { offset: end + gap, length: *length };
                end = area.offset + length;
                area
            }).collect();
            let map = SparseMap { areas, size_bytes: end + tail };
            prop_assert_eq!(parse(&map.encode(), map.size_bytes), Ok(Some(map)));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), size in any::<u64>()) {
            let _ = parse(&bytes, size);
        }
    }

    #[test]
    fn areas_out_of_order_or_beyond_the_end_are_refused() {
        assert!(parse(b"2\n10\n5\n12\n5\n", 100).is_err());
        assert!(parse(b"1\n10\n91\n", 100).is_err());
        assert!(parse(b"1\n18446744073709551615\n2\n", 100).is_err());
        assert!(parse(b"99999999999\n", 100).is_err());
    }
}
