//! What a shop looked like at one moment: a comparable, storable picture of a database or of a tree of files.
//!
//! A picture is a list of things ("table order", "file image/a.jpg"), each with aspects ("rows", "mode"), each with one
//! line of text; bytes stand escaped. Rows and contents are hashes, so that a picture of a large shop stays small.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use crate::error::TestbedError;

/// The aspects of one thing.
pub type Aspects = BTreeMap<String, String>;

/// A picture of a database or a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What is there, by kind and (escaped) name.
    pub things: BTreeMap<String, Aspects>,
    /// The first rows of small tables, only for the words of a difference: thing to row hash to row.
    samples: BTreeMap<String, BTreeMap<u128, String>>,
}

/// One difference between two pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which thing.
    pub thing: String,
    /// Which aspect of it; empty when the whole thing is on one side only.
    pub aspect: String,
    /// The left side, where it is there.
    pub left: Option<String>,
    /// The right side, where it is there.
    pub right: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |side: &Option<String>| side.clone().unwrap_or_else(|| "(not there)".to_owned());
        write!(
            formatter,
            "{}: {}\n  left:  {}\n  right: {}",
            self.thing,
            self.aspect,
            show(&self.left),
            show(&self.right)
        )
    }
}

impl Snapshot {
    /// Notes one aspect of one thing.
    pub fn note(&mut self, thing: &str, aspect: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref().escape_ascii().to_string();
        self.things.entry(thing.escape_default().to_string()).or_default().insert(aspect.to_owned(), value);
    }

    /// Keeps a row for the words of a difference.
    pub(crate) fn sample(&mut self, thing: &str, hash: u128, row: String) {
        self.samples.entry(thing.escape_default().to_string()).or_default().insert(hash, row);
    }

    /// A picture without what `leave_out(thing, aspect)` accepts; a thing without aspects left goes too.
    pub fn without(&self, leave_out: impl Fn(&str, &str) -> bool) -> Self {
        let mut kept = self.clone();
        for (thing, aspects) in &mut kept.things {
            aspects.retain(|aspect, _| !leave_out(thing, aspect));
        }
        kept.things.retain(|_, aspects| !aspects.is_empty());
        kept
    }

    /// Puts the things of another picture into this one.
    pub fn merge(&mut self, other: Self) {
        self.things.extend(other.things);
        self.samples.extend(other.samples);
    }

    /// Writes the picture as lines of `thing TAB aspect TAB value`.
    ///
    /// # Errors
    /// [`TestbedError::File`].
    pub fn save(&self, path: &Path) -> Result<(), TestbedError> {
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(std::fs::File::create(path)?);
            for (thing, aspects) in &self.things {
                for (aspect, value) in aspects {
                    writeln!(file, "{thing}\t{aspect}\t{value}")?;
                }
            }
            file.flush()
        };
        write().map_err(|error| TestbedError::file("write", path, error))
    }

    /// Reads what [`Snapshot::save`] wrote.
    ///
    /// # Errors
    /// [`TestbedError::File`], also for a line that is not one of ours.
    pub fn load(path: &Path) -> Result<Self, TestbedError> {
        let read = || -> std::io::Result<Self> {
            let mut snapshot = Self::default();
            for line in BufReader::new(std::fs::File::open(path)?).lines() {
                let line = line?;
                let mut fields = line.splitn(3, '\t');
                let (Some(thing), Some(aspect), Some(value)) = (fields.next(), fields.next(), fields.next())
                else {
                    return Err(std::io::Error::other(format!("not a line of a snapshot: {line}")));
                };
                let aspects = snapshot.things.entry(thing.to_owned()).or_default();
                aspects.insert(aspect.to_owned(), value.to_owned());
            }
            Ok(snapshot)
        };
        read().map_err(|error| TestbedError::file("read", path, error))
    }

    fn rows_only_here(&self, other: &Self, thing: &str) -> String {
        let empty = BTreeMap::new();
        let (mine, theirs) =
            (self.samples.get(thing).unwrap_or(&empty), other.samples.get(thing).unwrap_or(&empty));
        let rows: Vec<&str> = mine
            .iter()
            .filter(|(hash, _)| !theirs.contains_key(hash))
            .map(|(_, row)| row.as_str())
            .take(3)
            .collect();
        if rows.is_empty() { String::new() } else { format!(" only here: {}", rows.join(" | ")) }
    }
}

/// Every difference between two pictures, in the order of the things' names.
pub fn compare(left: &Snapshot, right: &Snapshot) -> Vec<Difference> {
    let mut differences = Vec::new();
    let names: std::collections::BTreeSet<&String> = left.things.keys().chain(right.things.keys()).collect();
    let empty = Aspects::new();
    for thing in names {
        let sides = (left.things.get(thing), right.things.get(thing));
        if let (None, Some(_)) | (Some(_), None) = sides {
            let there = |side: Option<&Aspects>| side.map(|_| "there".to_owned());
            let (left, right) = (there(sides.0), there(sides.1));
            differences.push(Difference { thing: thing.clone(), aspect: String::new(), left, right });
            continue;
        }
        let (here, there) = (sides.0.unwrap_or(&empty), sides.1.unwrap_or(&empty));
        let aspects: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        for aspect in aspects.into_iter().filter(|&aspect| here.get(aspect) != there.get(aspect)) {
            let is_rows = aspect.contains("rows");
            let more = |value: Option<&String>, one: &Snapshot, other: &Snapshot| {
                let rows = if is_rows { one.rows_only_here(other, thing) } else { String::new() };
                value.map(|value| format!("{value}{rows}"))
            };
            differences.push(Difference {
                thing: thing.clone(),
                aspect: aspect.clone(),
                left: more(here.get(aspect), left, right),
                right: more(there.get(aspect), right, left),
            });
        }
    }
    differences
}

/// Stops the test with all differences when there are any.
///
/// # Panics
/// When the pictures differ.
#[track_caller]
pub fn assert_same(left: &Snapshot, right: &Snapshot) {
    let differences = compare(left, right);
    let text: Vec<String> = differences.iter().take(40).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), text.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_picture_reads_back_equal_and_differences_are_named() {
        let mut one = Snapshot::default();
        one.note("table a\n\u{fc}", "definition", b"x\t\xff\n");
        one.note("table b", "rows", "5");
        let folder = tempfile::tempdir().unwrap();
        one.save(&folder.path().join("s")).unwrap();
        let mut again = Snapshot::load(&folder.path().join("s")).unwrap();
        assert_eq!(again.things["table a\\n\\u{fc}"]["definition"], "x\\t\\xff\\n");
        again.note("table b", "rows", "6");
        again.note("table c", "rows", "1");
        let found: Vec<(String, String)> = compare(&one, &again)
            .into_iter()
            .map(|difference| (difference.thing, difference.aspect))
            .collect();
        assert!(found.contains(&("table b".into(), "rows".into())), "{found:?}");
        assert!(found.contains(&("table c".into(), String::new())), "{found:?}");
    }
}
