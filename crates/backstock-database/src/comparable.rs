//! The text by which two dumps' objects are compared: the definition and the session it needs, without what changes by
//! itself.

use crate::kinds::mysql::ddl::{Edits, OptionKind, Span, spans};
use crate::record::{Contents, DumpedObject, SessionContext, TableRecord};

/// What two records tell of each other's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsCompared {
    /// Their number and their checksums are equal.
    Equal,
    /// Their numbers differ.
    Count,
    /// As many, with other values.
    Values,
    /// It cannot be known, and why.
    Unknown(&'static str),
}

impl DumpedObject {
    /// The definition as lines to compare: an AUTO_INCREMENT counter is left out; the session that code needs stands
    /// behind it, a line for each thing.
    pub fn comparable_text(&self) -> Vec<u8> {
        let (definition, context) = match self {
            Self::Table(record) => return without_counter(&record.definition),
            Self::Sequence(record) => return record.definition.to_vec(),
            Self::Routine(record) => (&record.definition, &record.context),
            Self::Trigger(record) => (&record.definition, &record.context),
            Self::View(record) => (&record.definition, &record.context),
            Self::Event(record) => (&record.definition, &record.context),
        };
        let mut text = definition.to_vec();
        for (name, value) in session_facts(context) {
            text.extend_from_slice(format!("\n-- {name} {value}").as_bytes());
        }
        if matches!(self, Self::View(record) if record.broken) {
            text.extend_from_slice(b"\n-- the server says that it does not work");
        }
        text
    }
}

fn session_facts(context: &SessionContext) -> impl Iterator<Item = (&'static str, &str)> {
    let facts = [
        ("sql_mode", context.sql_mode.as_deref()),
        ("character_set_client", Some(context.character_set_client.as_str())),
        ("collation_connection", Some(context.collation_connection.as_str())),
        ("database collation", context.database_collation.as_deref()),
        ("time_zone", context.time_zone.as_deref()),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// A table's definition without its next AUTO_INCREMENT number and the blank before it: an empty table has neither.
/// A definition that is not understood stays as it is.
fn without_counter(definition: &[u8]) -> Vec<u8> {
    let Ok(spans) = spans(definition) else { return definition.to_vec() };
    let mut edits = Edits::default();
    for option in spans.options.iter().filter(|option| option.kind == OptionKind::AutoIncrement) {
        let blanks = definition[..option.span.start].iter().rev().take_while(|byte| **byte == b' ').count();
        edits.replace(Span { start: option.span.start - blanks, end: option.span.end }, "");
    }
    edits.apply(definition)
}

impl TableRecord {
    /// Compares the rows that two dumps of one table have, by their number and their checksums.
    pub fn compare_rows(&self, other: &Self) -> RowsCompared {
        let any = |contents| self.contents == contents || other.contents == contents;
        if any(Contents::Unreadable) {
            return RowsCompared::Unknown("its rows could not be read");
        }
        if any(Contents::Excluded) {
            return RowsCompared::Unknown("its rows were left out");
        }
        if any(Contents::NotKeptByEngine) {
            return RowsCompared::Unknown("its engine keeps no rows of its own");
        }
        if self.row_count != other.row_count {
            return RowsCompared::Count;
        }
        if self.checksum == other.checksum || self.row_count == 0 {
            return RowsCompared::Equal;
        }
        let history = |record: &Self| record.versioning.as_ref().is_some_and(|kept| kept.with_history);
        if self.foreign.is_some() || other.foreign.is_some() {
            RowsCompared::Unknown("its rows stand in a dump made by another program")
        } else if self.checksum.row_hash() != other.checksum.row_hash() {
            RowsCompared::Unknown("its rows were hashed in different ways")
        } else if self.columns != other.columns || history(self) != history(other) {
            RowsCompared::Unknown("its columns are others")
        } else {
            RowsCompared::Values
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ForeignRows, ViewRecord};
    use crate::{Checksum, RowHash};

    fn text_of(definition: &str) -> String {
        let record = TableRecord { definition: definition.into(), ..TableRecord::empty("t", "InnoDB") };
        String::from_utf8(DumpedObject::Table(record).comparable_text()).unwrap()
    }

    #[test]
    fn a_counter_is_no_part_of_a_definition() {
        let with = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT COMMENT ' AUTO_INCREMENT=7',\n  PRIMARY KEY (`id`)\n) \
                    ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4";
        let without = with.replacen("InnoDB AUTO_INCREMENT=7", "InnoDB", 1);
        assert_eq!(text_of(with), without);
        assert_eq!(text_of(&without), without);
        assert_eq!(text_of("not a definition AUTO_INCREMENT=7"), "not a definition AUTO_INCREMENT=7");
    }

    #[test]
    fn the_session_of_code_belongs_to_it() {
        let view = |broken, collation: &str| {
            DumpedObject::View(ViewRecord {
                name: "v".into(),
                definition: "CREATE VIEW `v` AS select 1".into(),
                context: SessionContext {
                    collation_connection: collation.to_owned(),
                    ..SessionContext::default()
                },
                references: Vec::new(),
                broken,
            })
            .comparable_text()
        };
        assert_eq!(view(false, "a"), view(false, "a"));
        assert_ne!(view(false, "a"), view(true, "a"));
        assert_ne!(view(false, "a"), view(false, "b"));
    }

    fn table(row_count: u64, row: &[u8]) -> TableRecord {
        let mut checksum = Checksum::default();
        checksum.add_row(row);
        TableRecord { row_count, checksum, ..TableRecord::empty("t", "InnoDB") }
    }

    #[test]
    fn rows_are_compared_by_number_then_by_checksum() {
        let one = table(1, b"1,'a'");
        assert_eq!(one.compare_rows(&table(1, b"1,'a'")), RowsCompared::Equal);
        assert_eq!(one.compare_rows(&table(1, b"1,'b'")), RowsCompared::Values);
        assert_eq!(one.compare_rows(&table(2, b"1,'a'")), RowsCompared::Count);
    }

    #[test]
    fn what_cannot_be_compared_is_not_called_changed() {
        let one = table(1, b"1,'a'");
        let foreign = TableRecord {
            foreign: Some(ForeignRows { time_zone: None, has_times: false }),
            ..table(1, b"1, 'a'")
        };
        let older = TableRecord { checksum: Checksum::of_none(RowHash::Blake3), ..one.clone() };
        let excluded = TableRecord { contents: Contents::Excluded, row_count: 0, ..one.clone() };
        for other in [foreign, older, excluded] {
            assert!(matches!(one.compare_rows(&other), RowsCompared::Unknown(_)), "{other:?}");
            assert!(matches!(other.compare_rows(&one), RowsCompared::Unknown(_)), "{other:?}");
        }
    }
}
