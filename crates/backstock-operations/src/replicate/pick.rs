//! Which parts a block is read back of, where a place tells nothing but sizes: one of each GiB, anyone of them, and every short one.

use backstock_archive::Part;
use backstock_host::Random;

/// Of so many bytes one block is read back.
const STANDS_FOR_BYTES: u64 = 1 << 30;
/// A part up to so many bytes is read back always: an index is what all else depends on, and takes next to no time.
const ALWAYS_BYTES: u64 = 8 << 20;

/// Which parts a block is read back of. Long ones stand together until they are a GiB; the last of them stand for what they are.
pub(super) fn picked(parts: &[&Part], random: &dyn Random) -> Vec<bool> {
    let mut picked: Vec<bool> = parts.iter().map(|part| part.size_bytes <= ALWAYS_BYTES).collect();
    let mut group: Vec<usize> = Vec::new();
    let mut group_bytes = 0;
    let long: Vec<usize> = (0..parts.len()).filter(|&at| !picked[at]).collect();
    for (number, &at) in long.iter().enumerate() {
        group.push(at);
        group_bytes += parts[at].size_bytes;
        if group_bytes < STANDS_FOR_BYTES && number + 1 < long.len() {
            continue;
        }
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        // Every byte is as likely as any other.
        let mut chosen = u64::from_le_bytes(bytes) % group_bytes;
        for at in group.drain(..) {
            if chosen < parts[at].size_bytes {
                picked[at] = true;
                break;
            }
            chosen -= parts[at].size_bytes;
        }
        group_bytes = 0;
    }
    picked
}

#[cfg(test)]
mod tests {
    use backstock_archive::artifact::BlockHashes;
    use backstock_archive::{Digest, Sha256};
    use backstock_host::Host;

    use super::*;

    fn part(mib: u64) -> Part {
        Part {
            name: "files/files.tar.zst".to_owned(),
            size_bytes: mib << 20,
            sha256: Sha256::of(b""),
            block_hashes: BlockHashes::Blake3(vec![Digest([0; 32])]),
            directory_blake3: None,
        }
    }

    #[test]
    fn one_of_each_gib_is_picked_and_every_short_one() {
        let random = Host::real().random;
        let picks = |sizes: &[u64]| {
            let parts: Vec<Part> = sizes.iter().map(|&mib| part(mib)).collect();
            picked(&parts.iter().collect::<Vec<_>>(), &*random)
        };
        assert!(picks(&[]).is_empty());
        assert_eq!(picks(&[1, 8, 9]), [true, true, true], "the only long one");
        assert_eq!(picks(&[4096, 2, 5000]), [true; 3]);
        let mut seen = [0; 40];
        for _ in 0..400 {
            let picked = picks(&[64; 40]);
            let count = |from: usize, to: usize| picked[from..to].iter().filter(|&&is| is).count();
            assert_eq!([count(0, 16), count(16, 32), count(32, 40)], [1, 1, 1]);
            picked.iter().zip(&mut seen).for_each(|(&is, seen)| *seen += i32::from(is));
        }
        // One of sixteen is passed over in 400 rounds once in 10^11 times.
        assert!(seen.iter().all(|&times| times > 0), "{seen:?}");
    }
}
