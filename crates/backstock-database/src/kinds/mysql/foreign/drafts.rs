//! What a file makes, as far as it was read: tables with their rows counted, and everything else.

use std::collections::{BTreeSet, HashMap};

use super::columns::{DraftColumn, columns};
use super::live::LiveTable;
use super::table::{Change, Refused, fold};
use crate::kinds::mysql::ddl::{OptionKind, spans};
use crate::kinds::mysql::definition::{auto_increment, without_auto_increment};
use crate::kinds::mysql::objects;
use crate::kinds::mysql::schema::keeps_rows;
use crate::record::{
    Checksum, Contents, DumpedObject, ForeignRows, RoutineRecord, SequenceRecord, TableRecord, Versioning,
    ViewRecord,
};
use crate::{RawText, Vendor};

/// A table of a file.
#[derive(Debug, Clone)]
pub(super) struct TableDraft {
    pub(super) name: RawText,
    pub(super) definition: Vec<u8>,
    pub(super) columns: Vec<DraftColumn>,
    pub(super) row_count: u64,
    pub(super) text_bytes: u64,
    /// Whether the definition is that of the database now.
    pub(super) is_live: bool,
    /// Whether the file says that the rows of before go.
    pub(super) is_emptied: bool,
    /// Whether the INSERTs bring the history of a versioned table.
    pub(super) with_history: bool,
    /// The session's time zone when the first row came.
    pub(super) time_zone: Option<Option<String>>,
}

/// Everything that a file makes.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) tables: Vec<TableDraft>,
    places: HashMap<Vec<u8>, usize>,
    pub(super) sequences: Vec<SequenceRecord>,
    pub(super) code: Vec<DumpedObject>,
}

impl TableDraft {
    /// Reads the columns of a definition.
    pub(super) fn new(name: RawText, definition: Vec<u8>, vendor: Vendor) -> Result<Self, Refused> {
        let found = spans(&definition).map_err(|fault| fault.to_string())?;
        let columns = columns(&definition, &found, vendor);
        Ok(Self {
            name,
            definition,
            columns,
            row_count: 0,
            text_bytes: 0,
            is_live: false,
            is_emptied: false,
            with_history: false,
            time_zone: None,
        })
    }

    /// Numbers rows from the start again, as an emptied table does.
    pub(super) fn number_from_start(&mut self) -> Result<(), Refused> {
        let found = spans(&self.definition).map_err(|fault| fault.to_string())?;
        self.definition = without_auto_increment(&found, &self.definition);
        Ok(())
    }

    /// The record of a dump, without rows.
    fn record(&self) -> Result<TableRecord, Refused> {
        let found = spans(&self.definition).map_err(|fault| fault.to_string())?;
        let option = |kind| {
            let option = found.options.iter().find(|option| option.kind == kind)?;
            let text = String::from_utf8_lossy(option.value.text(&self.definition)).into_owned();
            Some(text.trim_matches(['\'', '"', '`']).to_owned())
        };
        let engine = option(OptionKind::Engine).unwrap_or_else(|| "InnoDB".to_owned());
        let contents = if keeps_rows(&engine) { Contents::Included } else { Contents::NotKeptByEngine };
        let stored = self.columns.iter().filter(|column| !column.is_generated);
        let mut columns: Vec<_> = stored.map(|column| column.record.clone()).collect();
        let versioning = found.versioned.then(|| Versioning {
            row_start: "row_start".into(),
            row_end: "row_end".into(),
            with_history: self.with_history,
        });
        if let Some(versioning) = versioning.as_ref().filter(|_| self.with_history) {
            for (name, literal) in [
                (&versioning.row_start, crate::record::LiteralForm::Quoted),
                (&versioning.row_end, crate::record::LiteralForm::RowEnd),
            ] {
                columns.push(crate::record::ColumnRecord {
                    name: name.clone(),
                    literal,
                    type_text: "timestamp(6)".into(),
                });
            }
        }
        let zone = self.time_zone.clone().flatten();
        let has_times = self.columns.iter().any(|column| column.is_timestamp);
        Ok(TableRecord {
            name: self.name.clone(),
            spans: found.deferrable(),
            collation: option(OptionKind::Collate).unwrap_or_default(),
            columns,
            contents,
            row_count: self.row_count,
            checksum: Checksum::default(),
            frames: Vec::new(),
            in_snapshot: true,
            partitioned: found.partition.is_some(),
            auto_increment: auto_increment(&found, &self.definition),
            versioning,
            estimated_bytes: self.text_bytes,
            foreign: Some(ForeignRows { time_zone: zone, has_times }),
            definition: self.definition.clone().into(),
            engine,
        })
    }
}

impl Drafts {
    pub(super) fn table(&mut self, name: &[u8]) -> Option<(usize, &mut TableDraft)> {
        let at = *self.places.get(name)?;
        self.tables.get_mut(at).map(|draft| (at, draft))
    }

    /// Adds a table. One that stands in for a view is replaced; one with rows is not.
    pub(super) fn add_table(&mut self, draft: TableDraft) -> Result<usize, Refused> {
        if let Some((at, earlier)) = self.table(&draft.name.0) {
            if earlier.row_count > 0 {
                return Err(format!("the table {} is made a second time", draft.name));
            }
            *earlier = draft;
            return Ok(at);
        }
        self.places.insert(draft.name.0.clone(), self.tables.len());
        self.tables.push(draft);
        Ok(self.tables.len() - 1)
    }

    /// Adds a table of the database, with its triggers, which would otherwise go with the old table.
    pub(super) fn add_live(&mut self, live: LiveTable, vendor: Vendor) -> Result<usize, Refused> {
        let mut draft = TableDraft::new(live.name, live.definition, vendor)?;
        draft.is_live = true;
        for trigger in live.triggers {
            self.code.push(DumpedObject::Trigger(trigger));
        }
        self.add_table(draft)
    }

    /// Forgets a table without rows: it stood in for a view, or the file drops what it made.
    pub(super) fn forget_table(&mut self, name: &[u8]) -> Result<(), Refused> {
        let Some((at, draft)) = self.table(name) else { return Ok(()) };
        if draft.row_count > 0 {
            return Err(format!("the table {} is dropped after it was filled", RawText(name.to_vec())));
        }
        self.tables.remove(at);
        self.places.remove(name);
        for place in self.places.values_mut() {
            *place -= usize::from(*place > at);
        }
        Ok(())
    }

    pub(super) fn change_table(
        &mut self,
        name: &[u8],
        changes: &[Change],
        vendor: Vendor,
    ) -> Result<(), Refused> {
        if changes.is_empty() {
            return Ok(());
        }
        let Some((_, draft)) = self.table(name).filter(|(_, draft)| !draft.is_live) else {
            return Err(format!(
                "it changes the table {}, which the dump does not make",
                RawText(name.to_vec())
            ));
        };
        draft.definition = fold(&draft.definition, changes)?;
        let found = spans(&draft.definition).map_err(|fault| fault.to_string())?;
        draft.columns = columns(&draft.definition, &found, vendor);
        Ok(())
    }

    /// Adds an object with code. A later one of the same name takes its place: a view comes after its stand-in.
    pub(super) fn add_code(&mut self, object: DumpedObject) -> Result<(), Refused> {
        if let DumpedObject::View(view) = &object {
            self.forget_table(&view.name.0)?;
        }
        let is_same = |other: &DumpedObject| match (other, &object) {
            (DumpedObject::Routine(one), DumpedObject::Routine(other))
                if one.routine_kind != other.routine_kind =>
            {
                false
            }
            _ => {
                std::mem::discriminant(other) == std::mem::discriminant(&object)
                    && other.name() == object.name()
            }
        };
        self.code.retain(|other| !is_same(other));
        self.code.push(object);
        Ok(())
    }

    /// A trigger's place among those of the same table, time and event.
    pub(super) fn trigger_order(&self, table: &[u8], timing: &str, event: &str) -> u64 {
        let same = |object: &&DumpedObject| {
            matches!(object, DumpedObject::Trigger(trigger)
                if trigger.table.0 == table && trigger.timing == timing && trigger.event == event)
        };
        1 + self.code.iter().filter(same).count() as u64
    }

    /// The objects of a dump: sequences, tables, routines, triggers, views in an order in which they can be made, and
    /// events. What cannot be brought stands in the second list.
    pub(super) fn objects(&self) -> Result<(Vec<DumpedObject>, Vec<String>), Refused> {
        let mut left_out = Vec::new();
        let mut objects: Vec<DumpedObject> =
            self.sequences.iter().cloned().map(DumpedObject::Sequence).collect();
        for table in &self.tables {
            let record = table.record().map_err(|what| format!("table {}: {what}", table.name))?;
            objects.push(DumpedObject::Table(record));
        }
        let mut views: Vec<ViewRecord> = Vec::new();
        let mut routines: Vec<RoutineRecord> = Vec::new();
        let mut rest = Vec::new();
        for object in &self.code {
            match object {
                DumpedObject::View(view) => views.push(view.clone()),
                DumpedObject::Routine(routine) => routines.push(routine.clone()),
                DumpedObject::Trigger(trigger) if !self.places.contains_key(&trigger.table.0) => {
                    left_out.push(format!(
                        "trigger {}: its table {} is not in the dump; it is left out",
                        trigger.name, trigger.table
                    ));
                }
                other => rest.push(other.clone()),
            }
        }
        let known: BTreeSet<RawText> = objects
            .iter()
            .map(|object| object.name().clone())
            .chain(views.iter().map(|view| view.name.clone()))
            .collect();
        for view in &mut views {
            view.references = objects::references(&view.definition, &view.name, &known, &routines);
        }
        objects.extend(routines.into_iter().map(DumpedObject::Routine));
        let (triggers, events): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|object| matches!(object, DumpedObject::Trigger(_)));
        objects.extend(triggers);
        objects.extend(objects::in_order(views).into_iter().map(DumpedObject::View));
        objects.extend(events);
        Ok((objects, left_out))
    }
}
