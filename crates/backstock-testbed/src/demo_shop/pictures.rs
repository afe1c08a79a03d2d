//! Real little pictures: a JPEG and a PNG that any viewer opens, filled up with noise to the size of a photograph.

use crate::torture_database::noise;

/// A grey JPEG of 8 by 8 points (ITU-T T.81, baseline) whose bulk is a comment segment of noise.
pub(super) fn jpeg(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut picture = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00".to_vec();
    let noise = noise(seed, size_bytes);
    // A segment's length is two bytes and counts itself.
    for chunk in noise.chunks(60_000) {
        picture.extend_from_slice(&[0xFF, 0xFE]);
        let length = u16::try_from(chunk.len() + 2).unwrap_or(u16::MAX);
        picture.extend_from_slice(&length.to_be_bytes());
        picture.extend_from_slice(chunk);
    }
    picture.extend_from_slice(&[0xFF, 0xDB, 0x00, 0x43, 0x00]);
    picture.extend_from_slice(&[1; 64]);
    picture
        .extend_from_slice(&[0xFF, 0xC0, 0x00, 0x0B, 0x08, 0x00, 0x08, 0x00, 0x08, 0x01, 0x01, 0x11, 0x00]);
    // Two code tables with one code each: no difference, end of block.
    for table in [0x00, 0x10] {
        picture.extend_from_slice(&[0xFF, 0xC4, 0x00, 0x14, table, 0x01]);
        picture.extend_from_slice(&[0; 15]);
        picture.push(0x00);
    }
    picture
        .extend_from_slice(&[0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3F, 0x00, 0x3F, 0xFF, 0xD9]);
    picture
}

/// A grey PNG of noise (W3C PNG, third edition), `side` points wide and high, its data stored uncompressed.
pub(super) fn png(seed: u64, side: u8) -> Vec<u8> {
    let side = usize::from(side);
    let points = noise(seed, side * side);
    // Each line begins with its filter: none.
    let data: Vec<u8> =
        points.chunks(side).flat_map(|line| std::iter::once(0).chain(line.iter().copied())).collect();
    let mut stream = vec![0x78, 0x01];
    let mut chunks = data.chunks(65_535).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(chunks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(chunk);
    }
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    stream.extend_from_slice(&(high << 16 | low).to_be_bytes());
    let width = u32::try_from(side).unwrap_or(0).to_be_bytes();
    let header = [&width[..], &width[..], &[8, 0, 0, 0, 0]].concat();
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in [(b"IHDR", &header), (b"IDAT", &stream), (b"IEND", &Vec::new())] {
        picture.extend_from_slice(&u32::try_from(content.len()).unwrap_or(0).to_be_bytes());
        let named = [&name[..], content].concat();
        picture.extend_from_slice(&named);
        picture.extend_from_slice(&crc32(&named).to_be_bytes());
    }
    picture
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(
            sum ^ u32::from(byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
        let picture = png(1, 16);
        assert!(picture.ends_with(b"IEND\xAE\x42\x60\x82"));
        assert!(jpeg(1, 100_000).ends_with(&[0xFF, 0xD9]));
    }
}
