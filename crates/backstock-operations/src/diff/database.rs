//! The databases of two states: objects added, removed, defined otherwise, and tables with other rows, object by object.
//!
//! Absence is never proof: an object that a side lacks and may not have been able to see is called not known.

use backstock_database::{DatabaseFacts, DumpProblem, DumpedObject, RowsCompared, TableRecord};
use backstock_platform::ShopLayout;
use backstock_vocabulary::RawText;

use super::difference::{DatabaseCounts, Difference, ObjectName, Side};
use super::item::{Namer, ToldDifference};
use super::lines::changed_lines;
use super::rows::{RowChange, RowSource, RowsFound, TablePair};
use crate::backup::{AskedTables, ReportedProblem};
use crate::error::{ErrorKind, Result, chain};

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

/// Where the rows of both sides can be read, for the tables that matter.
#[derive(Clone, Copy)]
pub(super) struct RowSources<'a> {
    pub(super) before: &'a dyn RowSource,
    pub(super) after: &'a dyn RowSource,
}

/// What is known of the two sides as a whole.
#[derive(Default)]
pub(super) struct DatabaseRules<'a> {
    /// The platform's words, which tell the tables whose rows can be made anew.
    pub(super) layout: Option<ShopLayout>,
    pub(super) before_blind: BlindSpots,
    pub(super) after_blind: BlindSpots,
    /// Which tables either side was asked for, where it tells.
    pub(super) before_asked: Option<AskedTables>,
    pub(super) after_asked: Option<AskedTables>,
    /// Whether both were read from servers of one vendor: another one's text for a value may be another.
    pub(super) same_vendor: bool,
    /// Whether of the later side's rows nothing is known but their number, and that not of every table.
    pub(super) counts_alone: bool,
    /// Where rows can be read.
    pub(super) rows: Option<RowSources<'a>>,
}

/// Compares the objects, in the order of their keys.
pub(super) struct DatabaseDiff<'a> {
    rules: &'a DatabaseRules<'a>,
    namer: &'a Namer,
    sink: &'a mut dyn FnMut(ToldDifference),
    counts: DatabaseCounts,
    /// Tables that tell which rows of others matter, on both sides.
    naming: Vec<(TableRecord, TableRecord)>,
}

impl<'a> DatabaseDiff<'a> {
    pub(super) fn new(
        rules: &'a DatabaseRules<'a>,
        namer: &'a Namer,
        sink: &'a mut dyn FnMut(ToldDifference),
    ) -> Self {
        Self { rules, namer, sink, counts: DatabaseCounts::default(), naming: Vec::new() }
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
    ///
    /// # Errors
    /// Where the rows of a table that matters were being read and the reading was stopped.
    pub(super) fn object(
        &mut self,
        key: &[u8],
        before: Option<&DumpedObject>,
        after: Option<&DumpedObject>,
    ) -> Result<()> {
        let object = object_name(key);
        match (before, after) {
            (None, None) => {}
            (Some(before), None) => self.alone(object, before, Side::After),
            (None, Some(after)) => self.alone(object, after, Side::Before),
            (Some(before), Some(after)) => {
                self.definitions(object, &before.comparable_text(), &after.comparable_text());
                if let (DumpedObject::Table(before), DumpedObject::Table(after)) = (before, after) {
                    // Names are in order, and `usermeta` stands before `users`.
                    if self.rules.layout.as_ref().is_some_and(|layout| layout.is_naming_table(&after.name)) {
                        self.naming.push((before.clone(), after.clone()));
                    }
                    self.rows(before, after)?;
                }
            }
        }
        Ok(())
    }

    fn alone(&mut self, object: ObjectName, record: &DumpedObject, lacking: Side) {
        let rules = self.rules;
        let (blind, asked) = match lacking {
            Side::Before => (&rules.before_blind, &rules.before_asked),
            Side::After => (&rules.after_blind, &rules.after_asked),
        };
        if asked.as_ref().is_some_and(|asked| !asked.takes(record)) {
            self.counts.not_asked += 1;
            return;
        }
        let text: &[u8] = &record.comparable_text();
        if let Some(reason) = blind.may_hide(&object) {
            self.counts.unknown += 1;
            let reason = reason.to_owned();
            self.tell(&[], Difference::ObjectUnknown { object, reason });
        } else if lacking == Side::Before {
            self.counts.added += 1;
            self.tell(&[b"", text], Difference::ObjectAdded(object));
        } else {
            self.counts.removed += 1;
            self.tell(&[text, b""], Difference::ObjectRemoved(object));
        }
    }

    fn definitions(&mut self, object: ObjectName, before: &[u8], after: &[u8]) {
        let lines = if before == after { Vec::new() } else { changed_lines(before, after) };
        if lines.is_empty() {
            self.counts.equal += 1;
        } else {
            self.counts.definitions += 1;
            self.tell(&[before, after], Difference::DefinitionChanged { object, lines });
        }
    }

    fn rows(&mut self, before: &TableRecord, after: &TableRecord) -> Result<()> {
        let compared = match before.compare_rows(after) {
            RowsCompared::Values if !self.rules.same_vendor => {
                RowsCompared::Unknown("its rows were read from servers of two vendors")
            }
            compared => compared,
        };
        let is_told = compared == RowsCompared::Count || !self.rules.counts_alone;
        if compared == RowsCompared::Equal || Self::are_out_of_reach(before, after) {
            return Ok(());
        }
        if self.rules.layout.as_ref().is_some_and(|layout| layout.is_noise_table(&after.name)) {
            self.counts.renewable += u64::from(is_told);
            return Ok(());
        }
        if self.one_by_one(before, after)? || !is_told {
            return Ok(());
        }
        let table = after.name.clone();
        let difference = match compared {
            RowsCompared::Equal => return Ok(()),
            RowsCompared::Count => {
                self.counts.row_counts += 1;
                Difference::RowCountChanged { table, before: before.row_count, after: after.row_count }
            }
            RowsCompared::Values => {
                self.counts.values += 1;
                Difference::ValuesChanged { table, rows: after.row_count }
            }
            RowsCompared::Unknown(why) => {
                self.unknown_rows(table, why.to_owned());
                return Ok(());
            }
        };
        let counts = [before.row_count.to_le_bytes(), after.row_count.to_le_bytes()].concat();
        self.tell(&[&counts], difference);
        Ok(())
    }

    /// Gives a difference to the sink, under the name that what it is about and these states make.
    fn tell(&mut self, states: &[&[u8]], difference: Difference) {
        let item = self.item(states, &difference);
        (self.sink)(ToldDifference::new(item, difference));
    }

    fn item(&self, states: &[&[u8]], difference: &Difference) -> String {
        let (what, name) = difference.subject();
        let mut parts = vec![what.as_bytes(), name];
        parts.extend_from_slice(states);
        self.namer.name(&parts)
    }

    fn unknown_rows(&mut self, table: RawText, reason: String) {
        self.counts.unknown += 1;
        let object = ObjectName { kind: "table".to_owned(), name: table };
        self.tell(&[], Difference::ObjectUnknown { object, reason });
    }

    /// Compares the rows of a table that matters. `false` where it does not, or its rows cannot be read one by one.
    fn one_by_one(&mut self, before: &TableRecord, after: &TableRecord) -> Result<bool> {
        let rules = self.rules.layout.as_ref().and_then(|layout| layout.mattering_table(&after.name));
        let (Some(rules), Some(sources)) = (rules, self.rules.rows) else { return Ok(false) };
        let are_there = |record: &TableRecord| {
            record.contents == backstock_database::Contents::Included && record.foreign.is_none()
        };
        if !are_there(before) || !are_there(after) {
            return Ok(false);
        }
        let naming = rules.named_by().and_then(|named| {
            let layout = self.rules.layout.as_ref()?;
            self.naming.iter().find_map(|(one, other)| {
                let rules = layout.mattering_table(&other.name).filter(|rules| rules.name == named.table)?;
                Some((one, other, rules))
            })
        });
        let pair = TablePair { before, after, rules, named_by: naming };
        match pair.compare(sources.before, sources.after) {
            Ok(RowsFound::All(changes)) => {
                changes.into_iter().for_each(|change| self.row(change));
                Ok(true)
            }
            Ok(RowsFound::TooMuch(why)) => {
                self.unknown_rows(after.name.clone(), why);
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.unknown_rows(after.name.clone(), chain(&error));
                Ok(false)
            }
        }
    }

    fn row(&mut self, change: RowChange) {
        let RowChange { states, difference } = change;
        match &difference {
            Difference::RowAdded { .. } => self.counts.rows_added += 1,
            Difference::RowRemoved { .. } => self.counts.rows_removed += 1,
            _ => self.counts.rows_changed += 1,
        }
        let item = self.item(&[&states[0], &states[1]], &difference);
        (self.sink)(ToldDifference { states, ..ToldDifference::new(item, difference) });
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
