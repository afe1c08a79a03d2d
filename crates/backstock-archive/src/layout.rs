//! The names in a backup's folder and around it: exact, and parsed back.
//!
//! ```text
//! <set folder>/owner-<generation>.json
//! <set folder>/catalog/tombstone-000000007-4b5a6978.json
//! <set folder>/catalog/settings-2026-11-20T03.00.00Z-0f1e2d3c.json
//! <set folder>/2026-11-20T03.00.00Z-0f1e2d3c/manifest.json
//! <set folder>/2026-11-20T03.00.00Z-0f1e2d3c/db/db.sql.zst
//! <set folder>/2026-11-20T03.00.00Z-0f1e2d3c/db/index.zst
//! <set folder>/2026-11-20T03.00.00Z-0f1e2d3c/files/files.tar.zst.001
//! ```

use std::fmt;
use std::str::FromStr;

use backstock_vocabulary::{ArtifactKind, BackupId, Codec};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::artifact::PART_LIMIT;
use crate::index::INDEX_NAME;

/// File name of the manifest.
pub const MANIFEST_NAME: &str = "manifest.json";
/// Folder of the database's artifact and index.
pub const DATABASE_FOLDER: &str = "db";
/// Folder of the files' artifact and index.
pub const FILES_FOLDER: &str = "files";
/// Folder of what is remembered beside the backups, in the set's folder.
pub const CATALOG_FOLDER: &str = "catalog";

/// RFC 3339 in UTC, with full stops where some storages allow no colons.
const TIME_FORM: &str = "%Y-%m-%dT%H.%M.%SZ";
const TIME_FORM_BYTES: usize = 20;

/// The text was not the name that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not the name of {expected}")]
pub struct ParseNameError {
    /// The text that was given.
    pub text: String,
    /// What it should have named.
    pub expected: &'static str,
}

/// The name of one backup's folder: `2026-11-20T03.00.00Z-0f1e2d3c`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupFolder {
    started: Timestamp,
    short: String,
}

impl BackupFolder {
    /// The folder of a backup that began at this time. Fractions of a second are left out.
    pub fn of(started: Timestamp, backup: BackupId) -> Self {
        let whole = Timestamp::from_second(started.as_second()).unwrap_or(started);
        Self { started: whole, short: backup.short() }
    }

    /// When the backup began, in whole seconds.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The last eight hexadecimal digits of the backup's id.
    pub fn short(&self) -> &str {
        &self.short
    }
}

impl fmt::Display for BackupFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.started.strftime(TIME_FORM), self.short)
    }
}

impl FromStr for BackupFolder {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseNameError { text: text.to_owned(), expected: "a backup's folder" };
        let (started, short) = time_and_digits(text).ok_or_else(error)?;
        let folder = Self { started, short: short.to_owned() };
        if folder.to_string() == text { Ok(folder) } else { Err(error()) }
    }
}

/// A time in whole seconds and eight hexadecimal digits: `2026-11-20T03.00.00Z-0f1e2d3c`.
fn time_and_digits(text: &str) -> Option<(Timestamp, &str)> {
    let (time, digits) = text.split_at_checked(TIME_FORM_BYTES)?;
    let digits = digits.strip_prefix('-').filter(|digits| is_eight_digits(digits))?;
    let time = DateTime::strptime(TIME_FORM, time).and_then(|time| TimeZone::UTC.to_timestamp(time));
    Some((time.ok()?, digits))
}

fn is_eight_digits(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The folder of an artifact, in the backup's folder.
pub fn artifact_folder(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Database | ArtifactKind::DatabaseIndex => DATABASE_FOLDER,
        ArtifactKind::Files | ArtifactKind::FilesIndex => FILES_FOLDER,
    }
}

/// The file name of an artifact without a part's number. Indexes are zstd whatever the codec.
pub fn artifact_name(kind: ArtifactKind, codec: Codec) -> &'static str {
    match (kind, codec) {
        (ArtifactKind::Database, Codec::Zstd) => "db.sql.zst",
        (ArtifactKind::Database, Codec::Gzip) => "db.sql.gz",
        (ArtifactKind::Files, Codec::Zstd) => "files.tar.zst",
        (ArtifactKind::Files, Codec::Gzip) => "files.tgz",
        (ArtifactKind::DatabaseIndex | ArtifactKind::FilesIndex, _) => INDEX_NAME,
    }
}

/// The path of an artifact in the backup's folder: `db/db.sql.zst`.
pub fn artifact_path(kind: ArtifactKind, codec: Codec) -> String {
    format!("{}/{}", artifact_folder(kind), artifact_name(kind, codec))
}

/// What the name of a sealed part ends in.
pub const SEALED_SUFFIX: &str = ".bks";

/// The name or path of one part of an artifact that is called so; `number` counts from 1.
pub fn part_name(artifact: &str, number: Option<usize>, is_sealed: bool) -> String {
    let suffix = if is_sealed { SEALED_SUFFIX } else { "" };
    match number {
        None => format!("{artifact}{suffix}"),
        Some(number) => format!("{artifact}.{number:03}{suffix}"),
    }
}

/// The path of one part of an artifact; `number` counts from 1. An only part has no number in its name.
pub fn part_path(kind: ArtifactKind, codec: Codec, number: usize, parts: usize, is_sealed: bool) -> String {
    part_name(&artifact_path(kind, codec), (parts != 1).then_some(number), is_sealed)
}

/// Which artifact and which part (0: the only one) a path in a backup's folder names. `None`: it names none.
pub fn parse_part_path(path: &str) -> Option<(ArtifactKind, Codec, usize)> {
    let path = path.strip_suffix(SEALED_SUFFIX).unwrap_or(path);
    for kind in ArtifactKind::ALL {
        for codec in Codec::ALL {
            let Some(rest) = path.strip_prefix(artifact_path(*kind, *codec).as_str()) else { continue };
            if rest.is_empty() {
                return Some((*kind, *codec, 0));
            }
            let number = rest.strip_prefix('.').and_then(|digits| digits.parse::<usize>().ok());
            match number {
                Some(number @ 1..=PART_LIMIT) if rest == format!(".{number:03}") => {
                    return Some((*kind, *codec, number));
                }
                _ => {}
            }
        }
    }
    None
}

/// The name of an owner file: `owner-1.json`.
pub fn owner_name(generation: u64) -> String {
    format!("owner-{generation}.json")
}

/// The generation that an owner file's name tells. `None`: it is no owner file's name.
pub fn parse_owner_name(name: &str) -> Option<u64> {
    let generation = name.strip_prefix("owner-")?.strip_suffix(".json")?.parse().ok()?;
    (owner_name(generation) == name).then_some(generation)
}

/// The path of a tombstone in the set's folder: number and the last eight digits of the backup's id.
pub fn tombstone_path(sequence: u64, short: &str) -> String {
    format!("{CATALOG_FOLDER}/tombstone-{sequence:09}-{short}.json")
}

/// The number that a tombstone's path in the set's folder tells. `None`: it is no tombstone's.
pub fn parse_tombstone_path(path: &str) -> Option<u64> {
    let name = path.strip_prefix(CATALOG_FOLDER)?.strip_prefix("/tombstone-")?.strip_suffix(".json")?;
    let (sequence, short) = name.split_once('-')?;
    let sequence = sequence.parse().ok()?;
    (is_eight_digits(short) && tombstone_path(sequence, short) == path).then_some(sequence)
}

/// The path of an export of settings in the set's folder: when it was made in whole seconds, and eight digits.
pub fn settings_path(made: Timestamp, stamp: &str, is_sealed: bool) -> String {
    let suffix = if is_sealed { SEALED_SUFFIX } else { "" };
    format!("{CATALOG_FOLDER}/settings-{}-{stamp}.json{suffix}", made.strftime(TIME_FORM))
}

/// The time, the digits and whether it is sealed that such a path tells. `None`: it is none.
pub fn parse_settings_path(path: &str) -> Option<(Timestamp, &str, bool)> {
    let name = path.strip_prefix(CATALOG_FOLDER)?.strip_prefix("/settings-")?;
    let (name, is_sealed) = name.strip_suffix(SEALED_SUFFIX).map_or((name, false), |name| (name, true));
    let (made, stamp) = time_and_digits(name.strip_suffix(".json")?)?;
    (settings_path(made, stamp, is_sealed) == path).then_some((made, stamp, is_sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> BackupId {
        BackupId::from_parts(1_763_600_000_000, [0xab; 10])
    }

    #[test]
    fn a_folder_name_goes_both_ways() {
        let started: Timestamp = "2026-11-20T03:00:00.75Z".parse().unwrap();
        let folder = BackupFolder::of(started, backup());
        assert_eq!(folder.to_string(), "2026-11-20T03.00.00Z-abababab");
        assert_eq!(folder.to_string().parse(), Ok(folder.clone()));
        assert_eq!(folder.started().to_string(), "2026-11-20T03:00:00Z");
    }

    #[test]
    fn other_folder_names_are_refused() {
        for text in [
            "",
            "latest",
            "2026-11-20T03.00.00Z",
            "2026-11-20T03.00.00Z-ABABABAB",
            "2026-11-20T03.00.00Z-ababababa",
            "2026-13-20T03.00.00Z-abababab",
            "2026-11-20T03:00:00Z-abababab",
            "2026-11-20T03.00.0éZ-abababab",
            "../26-11-20T03.00.00Z-abababab",
        ] {
            assert!(text.parse::<BackupFolder>().is_err(), "{text}");
        }
    }

    #[test]
    fn part_paths_go_both_ways() {
        assert_eq!(part_path(ArtifactKind::Files, Codec::Gzip, 1, 1, false), "files/files.tgz");
        assert_eq!(part_path(ArtifactKind::Database, Codec::Zstd, 2, 3, false), "db/db.sql.zst.002");
        let sealed = "files/files.tgz.012.bks";
        assert_eq!(part_path(ArtifactKind::Files, Codec::Gzip, 12, 20, true), sealed);
        assert_eq!(parse_part_path(sealed), Some((ArtifactKind::Files, Codec::Gzip, 12)));
        assert_eq!(parse_part_path("db/db.sql.zst.002"), Some((ArtifactKind::Database, Codec::Zstd, 2)));
        assert_eq!(parse_part_path("files/index.zst"), Some((ArtifactKind::FilesIndex, Codec::Zstd, 0)));
        for other in ["db/../db.sql.zst", "db/db.sql.zst.2", "db/db.sql.zst.000", "db/db.sql.zst.1000", "x"] {
            assert_eq!(parse_part_path(other), None, "{other}");
        }
    }

    #[test]
    fn tombstone_paths_go_both_ways() {
        for sequence in [1, 999_999_999, 1_000_000_000, u64::MAX] {
            assert_eq!(parse_tombstone_path(&tombstone_path(sequence, "abababab")), Some(sequence));
        }
        for other in [
            "tombstone-000000001-abababab.json",
            "catalog/tombstone-1-abababab.json",
            "catalog/tombstone-000000001-ABABABAB.json",
            "catalog/tombstone-000000001-ababab.json",
            "catalog/tombstone-000000001-abababab.json.new",
            "catalog/x/tombstone-000000001-abababab.json",
        ] {
            assert_eq!(parse_tombstone_path(other), None, "{other}");
        }
    }

    #[test]
    fn paths_of_settings_go_both_ways() {
        let made: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        for is_sealed in [false, true] {
            let path = settings_path(made, "abababab", is_sealed);
            assert_eq!(parse_settings_path(&path), Some((made, "abababab", is_sealed)));
        }
        for other in [
            "settings-2026-11-20T03.00.00Z-abababab.json",
            "catalog/settings-2026-11-20T03.00.00Z-ABABABAB.json",
            "catalog/settings-2026-11-20T03.00.00Z-abababab",
            "catalog/settings-2026-11-20T03.00.00Z-abababab.json.new",
            "catalog/settings-2026-13-20T03.00.00Z-abababab.json",
            "catalog/x/settings-2026-11-20T03.00.00Z-abababab.json",
        ] {
            assert_eq!(parse_settings_path(other), None, "{other}");
        }
    }

    #[test]
    fn owner_names_go_both_ways() {
        assert_eq!(parse_owner_name(&owner_name(17)), Some(17));
        for other in ["owner-017.json", "owner-.json", "owner--1.json", "owner-1.json.new"] {
            assert_eq!(parse_owner_name(other), None, "{other}");
        }
    }
}
