//! Sizes as people write them: a whole number and a unit.

/// Units in which a size may be given, each with its bytes.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The units, for messages.
pub(crate) const UNITS_TEXT: &str = "B, kB, MB, GB, TB, KiB, MiB, GiB or TiB";

/// Reads a whole number and a unit, with or without a space between, in any case of letters.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim().trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = text.trim()[digits.len()..].trim_start();
    let (_, unit) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits.parse::<u64>().ok()?.checked_mul(*unit)
}
