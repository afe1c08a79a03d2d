//! Adds code, thumbnails and photographs, in the proportions of a real shop of tens of thousands of files.

use super::code::KINDS;
use super::text::Language;
use crate::demo_shop::files::write_picture;
use crate::demo_shop::{Choices, DemoShop, pictures, write_file};
use crate::error::TestbedError;
use crate::torture_database::noise;

/// Of a hundred files so many are code, and so many thumbnails; the others are photographs.
const CODE_PERCENT: u64 = 57;
const THUMBNAIL_PERCENT: u64 = 24;
/// The median of code files; half of them lie between half and twice of it.
const CODE_MEDIAN_BYTES: u32 = 3300;
const THUMBNAIL_BYTES: u32 = 6000;
const SMALLEST_PHOTOGRAPH_BYTES: u64 = 8000;
/// Archives of extensions and log files, each an equal part of this share of all bytes.
const LARGE_FILES: u64 = 8;
const LARGE_FILES_PERCENT: u64 = 3;

/// Adds `files` files with `bytes` bytes in all.
pub(super) fn grow(
    shop: &DemoShop,
    files: u64,
    bytes: u64,
    choices: &mut Choices,
) -> Result<(), TestbedError> {
    let languages = Language::all(shop.seed);
    let code_files = files * CODE_PERCENT / 100;
    let mut left = bytes;
    for number in 0..code_files {
        let kind = KINDS[choices.below(u32::try_from(KINDS.len()).unwrap_or(1)) as usize];
        let text = kind.write(code_bytes(choices), &languages[0], choices);
        left = left.saturating_sub(text.len() as u64);
        let (package, folder) = (number / 90, number / 3);
        let path = format!(
            "vendor/maker-{}/package-{package}/src/part-{folder}/File{number}.{}",
            package % 40,
            kind.ending
        );
        write_file(&shop.storage().join(path), text)?;
    }
    let large = bytes * LARGE_FILES_PERCENT / 100 / LARGE_FILES;
    for number in 0..LARGE_FILES.min(files - code_files) {
        left = left.saturating_sub(large);
        large_file(shop, number, usize::try_from(large).unwrap_or(0), &languages[0], choices)?;
    }
    let thumbnails = files * THUMBNAIL_PERCENT / 100;
    for number in 0..thumbnails {
        let size = THUMBNAIL_BYTES / 2 + choices.below(THUMBNAIL_BYTES);
        left = left.saturating_sub(u64::from(size));
        let path = format!(
            "image/cache/catalog/grown/{:02}/{:02}/p{number}-250x250.jpg",
            number % 37,
            number / 37 % 41
        );
        write_picture(&shop.root().join(path), &photograph(choices, size), choices)?;
    }
    let photographs = files.saturating_sub(code_files + thumbnails + LARGE_FILES);
    for number in 0..photographs {
        // Between half and one and a half of what is left for each, so that the sum comes out right.
        let mean =
            u32::try_from((left / (photographs - number)).max(SMALLEST_PHOTOGRAPH_BYTES)).unwrap_or(u32::MAX);
        let size = mean / 2 + choices.below(mean);
        left = left.saturating_sub(u64::from(size));
        let path = format!("image/catalog/grown/{:02}/{:02}/p{number}.jpg", number % 37, number / 37 % 41);
        write_picture(&shop.root().join(path), &photograph(choices, size), choices)?;
    }
    Ok(())
}

fn photograph(choices: &mut Choices, size_bytes: u32) -> Vec<u8> {
    pictures::jpeg(choices.next(), size_bytes as usize)
}

/// Many small files, few large ones: the median times a power of two of either sign.
fn code_bytes(choices: &mut Choices) -> usize {
    let doublings = choices.below(4) + choices.below(4);
    let around = (CODE_MEDIAN_BYTES << doublings) / 8;
    (around / 2 + choices.below(around)) as usize
}

/// What is large in a shop's storage: archives of extensions, logs.
fn large_file(
    shop: &DemoShop,
    number: u64,
    size_bytes: usize,
    language: &Language,
    choices: &mut Choices,
) -> Result<(), TestbedError> {
    if number.is_multiple_of(2) {
        let path = shop.storage().join(format!("marketplace/extension-{number}.ocmod.zip"));
        // The first bytes of a zip archive, then what compressed data looks like.
        return write_file(&path, [b"PK\x03\x04", noise(choices.next(), size_bytes).as_slice()].concat());
    }
    let mut log = String::with_capacity(size_bytes + 200);
    while log.len() < size_bytes {
        log += &format!(
            "2025-{:02}-{:02} {:02}:{:02}:{:02} - PHP Notice:  Undefined index: {} in vendor/package-{}/File{}.php on line {}\n",
            1 + choices.below(12),
            1 + choices.below(28),
            choices.below(24),
            choices.below(60),
            choices.below(60),
            language.word(choices),
            choices.below(300),
            choices.below(3000),
            choices.below(900)
        );
    }
    write_file(&shop.storage().join(format!("logs/grown-{number}.log")), log)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::demo_shop::{Growth, size_of};

    #[test]
    fn a_tree_grows_to_the_wanted_files_and_bytes_and_is_the_same_twice() {
        let folder = tempfile::tempdir().unwrap();
        let shop = |name: &str| DemoShop {
            folder: folder.path().join(name),
            products: 1,
            seed: 3,
            socket: PathBuf::new(),
            port: 0,
        };
        let growth = Growth { files: 400, file_bytes: 8 << 20, ..Growth::default() };
        let (one, two) = (shop("one"), shop("two"));
        one.grow_files(&growth).unwrap();
        two.grow_files(&growth).unwrap();
        let (files, bytes) = size_of(&one.folder).unwrap();
        assert_eq!(files, 400);
        assert!(bytes.abs_diff(8 << 20) < 8 << 17, "{bytes}");
        assert_eq!((files, bytes), size_of(&two.folder).unwrap());
        one.grow_files(&growth).unwrap();
        assert_eq!((files, bytes), size_of(&one.folder).unwrap(), "large enough already");
    }
}
