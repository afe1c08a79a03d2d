//! Which tables a backup was asked for, as its index keeps it: what was not asked for is neither removed nor added.

use backstock_database::{DumpedObject, Pattern, TableSelection};
use backstock_vocabulary::RawText;
use serde::{Deserialize, Serialize};

/// The positive picker, and what was left out with its definition. Tables without their rows say so themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskedTables {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<AskedPattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<AskedPattern>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AskedPattern {
    Glob(String),
    Name(RawText),
}

impl AskedPattern {
    fn of(pattern: &Pattern) -> Self {
        match pattern.name() {
            Some(name) => Self::Name(name.into()),
            None => Self::Glob(pattern.as_str().to_owned()),
        }
    }

    /// A pattern that cannot be read fits nothing: what it meant is then told rather than passed over.
    fn fits(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(own) => own.as_bytes() == name,
            Self::Glob(glob) => Pattern::new(glob).is_ok_and(|pattern| pattern.matches(name)),
        }
    }
}

impl AskedTables {
    pub(crate) fn of(selection: &TableSelection) -> Self {
        let patterns = |patterns: &[Pattern]| patterns.iter().map(AskedPattern::of).collect();
        Self { only: patterns(&selection.only), left_out: patterns(&selection.excluded_entirely) }
    }

    /// Whether an object would have been taken, had it been there.
    pub(crate) fn takes(&self, object: &DumpedObject) -> bool {
        let name = match object {
            DumpedObject::Routine(_) | DumpedObject::Event(_) => return self.only.is_empty(),
            DumpedObject::Trigger(record) => &record.table,
            object => object.name(),
        };
        self.takes_table(name)
    }

    /// Whether a table of this name would have been taken, had it been there.
    pub(crate) fn takes_table(&self, name: &[u8]) -> bool {
        let fits = |patterns: &[AskedPattern]| patterns.iter().any(|pattern| pattern.fits(name));
        (self.only.is_empty() || fits(&self.only)) && !fits(&self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(name: &str) -> DumpedObject {
        let line = serde_json::json!({
            "kind": "sequence", "name": name, "definition": "", "next_value": "1", "cycle_count": 0
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn a_selection_means_the_same_after_it_was_kept() {
        let selection = TableSelection {
            only: vec![Pattern::new("oc_*").unwrap(), Pattern::exact(b"odd\xff[a]")],
            contents_excluded: vec![Pattern::new("oc_log").unwrap()],
            excluded_entirely: vec![Pattern::new("oc_import*").unwrap()],
        };
        let kept = serde_json::to_string(&AskedTables::of(&selection)).unwrap();
        let asked: AskedTables = serde_json::from_str(&kept).unwrap();
        for name in ["oc_a", "oc_log", "oc_import_1", "other"] {
            assert_eq!(asked.takes(&sequence(name)), selection.takes(name.as_bytes()), "{name}");
        }
        assert!(AskedTables::default().takes(&sequence("any")));
    }
}
