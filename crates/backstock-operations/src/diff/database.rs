//! The databases of two states: objects added, removed, defined otherwise, and tables with other rows, object by object.
//!
//! Absence is never proof: an object that a side lacks and may not have been able to see is called not known.

use backstock_database::{DatabaseFacts, DumpProblem, DumpedObject, RowsCompared, TableRecord};
use backstock_platform::ShopLayout;
use backstock_vocabulary::RawText;

use super::difference::{DatabaseCounts, Difference, ObjectName, Side};
use super::lines::changed_lines;
use crate::backup::ReportedProblem;

/// What one side could not see of its database.
#[derive(Debug, Default)]
pub(super) struct BlindSpots {
    spots: Vec<(String, String)>,
}

impl BlindSpots {
    /// From what a dump had to say.
    pub(super) fn of(problems: &[ReportedProblem]) -> Self {
        let exceptions = problems.iter().filter(|problem| problem.is_exception);
        Self { spots: exceptions.map(|one| (one.subject.clone(), one.message.clone())).collect() }
    }

    /// From what a look at a live database had to say.
    pub(super) fn of_look(problems: &[DumpProblem]) -> Self {
        Self { spots: problems.iter().map(|one| (one.object.clone(), one.reason.clone())).collect() }
    }

    /// Why the side may have such an object although its index lacks it.
    fn may_hide(&self, object: &ObjectName) -> Option<&str> {
        let kind = object.kind.as_str();
        let exact = format!("{} {}", kind.replace('-', " "), object.name);
        let hides = |subject: &str| match kind {
            _ if subject == exact => true,
            "table" | "view" | "sequence" => subject == "tables",
            "trigger" => subject.starts_with("triggers of "),
            "event" => subject == "events",
            "procedure" | "function" | "package" | "package-body" => subject == "procedures and functions",
            _ => false,
        };
        self.spots.iter().find(|(subject, _)| hides(subject)).map(|(_, message)| message.as_str())
    }
}

/// What is known of the two sides as a whole.
#[derive(Debug, Default)]
pub(super) struct DatabaseRules {
    /// The platform's words, which tell the tables whose rows can be made anew.
    pub(super) layout: Option<ShopLayout>,
    pub(super) before_blind: BlindSpots,
    pub(super) after_blind: BlindSpots,
    /// Whether both were read from servers of one vendor: another one's text for a value may be another.
    pub(super) same_vendor: bool,
    /// Whether of the later side's rows nothing is known but their number, and that not of every table.
    pub(super) counts_alone: bool,
}

/// Compares the objects, in the order of their keys.
pub(super) struct DatabaseDiff<'a> {
    rules: &'a DatabaseRules,
    sink: &'a mut dyn FnMut(Difference),
    counts: DatabaseCounts,
}

impl<'a> DatabaseDiff<'a> {
    pub(super) fn new(rules: &'a DatabaseRules, sink: &'a mut dyn FnMut(Difference)) -> Self {
        Self { rules, sink, counts: DatabaseCounts::default() }
    }

    pub(super) fn counts(self) -> DatabaseCounts {
        self.counts
    }

    /// The defaults of the databases themselves. A dump that others made may not tell them.
    pub(super) fn defaults(&mut self, before: &DatabaseFacts, after: &DatabaseFacts) {
        let text = |facts: &DatabaseFacts| {
            let mut text =
                format!("CHARACTER SET {}\nCOLLATE {}", facts.character_set, facts.collation).into_bytes();
            if !facts.comment.is_empty() {
                text.extend_from_slice(b"\nCOMMENT ");
                text.extend_from_slice(&facts.comment);
            }
            text
        };
        let is_told = |facts: &DatabaseFacts| !facts.character_set.is_empty();
        if is_told(before) && is_told(after) {
            let object = ObjectName { kind: "database".to_owned(), name: after.name.clone() };
            self.definitions(object, &text(before), &text(after));
        }
    }

    /// One key, with what each side has under it.
    pub(super) fn object(&mut self, key: &[u8], before: Option<&DumpedObject>, after: Option<&DumpedObject>) {
        let object = object_name(key);
        match (before, after) {
            (None, None) => {}
            (Some(_), None) => self.alone(object, Side::After),
            (None, Some(_)) => self.alone(object, Side::Before),
            (Some(before), Some(after)) => {
                self.definitions(object, &before.comparable_text(), &after.comparable_text());
                if let (DumpedObject::Table(before), DumpedObject::Table(after)) = (before, after) {
                    self.rows(before, after);
                }
            }
        }
    }

    fn alone(&mut self, object: ObjectName, lacking: Side) {
        let blind = match lacking {
            Side::Before => &self.rules.before_blind,
            Side::After => &self.rules.after_blind,
        };
        if let Some(reason) = blind.may_hide(&object) {
            self.counts.unknown += 1;
            let reason = reason.to_owned();
            (self.sink)(Difference::ObjectUnknown { object, reason });
        } else if lacking == Side::Before {
            self.counts.added += 1;
            (self.sink)(Difference::ObjectAdded(object));
        } else {
            self.counts.removed += 1;
            (self.sink)(Difference::ObjectRemoved(object));
        }
    }

    fn definitions(&mut self, object: ObjectName, before: &[u8], after: &[u8]) {
        let lines = if before == after { Vec::new() } else { changed_lines(before, after) };
        if lines.is_empty() {
            self.counts.equal += 1;
        } else {
            self.counts.definitions += 1;
            (self.sink)(Difference::DefinitionChanged { object, lines });
        }
    }

    fn rows(&mut self, before: &TableRecord, after: &TableRecord) {
        let layout = self.rules.layout.as_ref();
        let compared = match before.compare_rows(after) {
            RowsCompared::Values if !self.rules.same_vendor => {
                RowsCompared::Unknown("its rows were read from servers of two vendors")
            }
            compared => compared,
        };
        let table = after.name.clone();
        let is_told = compared == RowsCompared::Count || !self.rules.counts_alone;
        if compared == RowsCompared::Equal || !is_told || Self::are_out_of_reach(before, after) {
            return;
        }
        if layout.is_some_and(|layout| layout.exclusion(&table).is_some()) {
            self.counts.renewable += 1;
            return;
        }
        let difference = match compared {
            RowsCompared::Equal => return,
            RowsCompared::Count => {
                self.counts.row_counts += 1;
                Difference::RowCountChanged { table, before: before.row_count, after: after.row_count }
            }
            RowsCompared::Values => {
                self.counts.values += 1;
                Difference::ValuesChanged { table, rows: after.row_count }
            }
            RowsCompared::Unknown(why) => {
                self.counts.unknown += 1;
                let object = ObjectName { kind: "table".to_owned(), name: table };
                Difference::ObjectUnknown { object, reason: why.to_owned() }
            }
        };
        (self.sink)(difference);
    }

    /// Whether neither side was to have the rows, so that nothing is missing.
    fn are_out_of_reach(before: &TableRecord, after: &TableRecord) -> bool {
        use backstock_database::Contents::{Excluded, NotKeptByEngine};
        let is = |record: &TableRecord| matches!(record.contents, Excluded | NotKeptByEngine);
        is(before) && is(after)
    }
}

/// A key of the index is what an object is, a slash, and its name.
fn object_name(key: &[u8]) -> ObjectName {
    let at = key.iter().position(|byte| *byte == b'/').unwrap_or(key.len());
    let kind = String::from_utf8_lossy(&key[..at]).into_owned();
    ObjectName { kind, name: RawText(key.get(at + 1..).unwrap_or_default().to_vec()) }
}
