//! Every change of a sealed part is found: bits, ends, pieces of other parts, whole parts in the place of others.

use std::sync::Arc;

use super::{Predictable, backup_id, open_whole, seal_for, sealed, text_of};
use crate::seal::{BackupSeal, SealedHeader, Suite};

/// The whole sample is 64 KiB as stored.
const SAMPLE_BYTES: usize = 64 << 10;
const SEGMENT: usize = 64 << 10;

fn sample(seed: u64) -> (Arc<BackupSeal>, Vec<u8>) {
    let random = Predictable::of(seed);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let bytes = sealed(&random, &seal, 1, &text_of(SAMPLE_BYTES - 4096 - 40 - 16));
    assert_eq!(bytes.len(), SAMPLE_BYTES);
    (seal, bytes)
}

/// Damage is what it is called, and never another key or a newer version.
fn assert_damage(bytes: Vec<u8>, seal: &BackupSeal, what: &str) {
    match open_whole(bytes, seal) {
        Ok(_) => panic!("{what} was not found"),
        Err(error) => assert!(error.is_damage(), "{what}: {error}"),
    }
}

/// F73: each of 524,288.
#[test]
fn f73_every_flipped_bit_of_a_sealed_part_is_found() {
    let (seal, bytes) = sample(1);
    std::thread::scope(|scope| {
        for half in [0..SAMPLE_BYTES / 2, SAMPLE_BYTES / 2..SAMPLE_BYTES] {
            let (seal, mut flipped) = (&seal, bytes.clone());
            scope.spawn(move || {
                for (at, bit) in half.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                    flipped[at] ^= 1 << bit;
                    assert_damage(flipped.clone(), seal, &format!("bit {bit} of byte {at}"));
                    flipped[at] ^= 1 << bit;
                }
            });
        }
    });
}

#[test]
fn every_other_length_of_a_sealed_part_is_found() {
    let (seal, bytes) = sample(2);
    for length in 0..bytes.len() {
        assert_damage(bytes[..length].to_vec(), &seal, &format!("an end at byte {length}"));
    }
    for more in [1, 16, 17, 4096, 1 << 20] {
        let longer = [&bytes[..], &vec![0; more]].concat();
        assert_damage(longer, &seal, &format!("{more} bytes behind the end"));
    }
}

/// Pieces of other parts of the same backup and of the same text, at the same and at other positions.
#[test]
fn ten_thousand_splices_are_found() {
    let random = Predictable::of(3);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let text = text_of(SAMPLE_BYTES - 4096 - 40 - 16);
    let parts: Vec<_> = (1..=4).map(|number| sealed(&random, &seal, number, &text)).collect();
    let mut draws = vec![0; 16 * 10_000];
    backstock_host::Random::fill(&random, &mut draws);
    let mut tried = 0;
    for draw in draws.chunks_exact(16) {
        let number =
            |at: usize, limit: usize| usize::from(u16::from_le_bytes([draw[at], draw[at + 1]])) % limit;
        let (to, from) = (number(0, 4), number(2, 4));
        let length = 1 + number(4, SAMPLE_BYTES - 1);
        let begins = number(6, SAMPLE_BYTES - length + 1);
        let source = if draw[15] & 1 == 0 { begins } else { number(8, SAMPLE_BYTES - length + 1) };
        let mut spliced = parts[to].clone();
        spliced[begins..begins + length].copy_from_slice(&parts[from][source..source + length]);
        // A whole other part is one: that it lies in the wrong place is told by its header.
        if parts.contains(&spliced) {
            continue;
        }
        assert_damage(spliced, &seal, &format!("{length} bytes at {begins} from {source}"));
        tried += 1;
    }
    assert!(tried > 7_000, "{tried}");
}

#[test]
fn segments_that_are_missing_doubled_or_in_another_place_are_found() {
    let random = Predictable::of(4);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let bytes = sealed(&random, &seal, 1, &text_of(3 * SEGMENT + 5000));
    let (header, stream) = bytes.split_at(4096);
    let segments: Vec<&[u8]> = stream.chunks(SEGMENT).collect();
    assert_eq!(segments.len(), 4);
    for order in [&[0, 1, 2][..], &[0, 1, 3], &[0, 2, 1, 3], &[0, 1, 1, 2, 3], &[0, 1, 2, 3, 3], &[1, 2, 3]] {
        let stream: Vec<&[u8]> = order.iter().map(|at| segments[*at]).collect();
        assert_damage([header, &stream.concat()].concat(), &seal, &format!("{order:?}"));
    }
    let other = sealed(&random, &seal, 1, &text_of(3 * SEGMENT + 5000));
    for at in 0..4 {
        let mut mixed = segments.clone();
        mixed[at] = &other[4096..][at * SEGMENT..(4096 + (at + 1) * SEGMENT).min(other.len()) - 4096];
        assert_damage([header, &mixed.concat()].concat(), &seal, &format!("segment {at} of a twin"));
    }
    // The header of one part before the stream of another.
    assert_damage([&other[..4096], stream].concat(), &seal_for(&random, Suite::XWing, backup_id(1)).1, "key");
}

#[test]
fn hostile_headers_are_refused_before_anything_is_taken_for_them() {
    let (seal, bytes) = sample(5);
    let with = |at: usize, value: u32| {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let hash = crate::Sha256::of(&changed[..4096 - 32]);
        changed[4096 - 32..4096].copy_from_slice(&hash.0);
        changed
    };
    for length in [0, 1, 4095, 4097, 128 << 10, u32::MAX] {
        assert_damage(with(12, length), &seal, &format!("a header of {length} bytes"));
    }
    for length in [0, 5000, u32::MAX - 31, u32::MAX] {
        assert_damage(with(16, length), &seal, &format!("a text of {length} bytes"));
    }
    let newer = open_whole(with(8, 2), &seal).unwrap_err();
    assert!(matches!(newer, crate::Error::NewerFormat { .. }), "{newer}");
    let header = SealedHeader::read(&bytes, "x").unwrap();
    assert_eq!(header.recipients().len(), 1);
}
