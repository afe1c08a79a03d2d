//! Files in the forms of many programs, hostile ones, and the splitter against a naive model.

mod forms;
mod hostile;
mod model;
mod servers;
mod soup;

use std::io::{self, Read};

use super::drafts::TableDraft;
use super::fault::Outcome;
use super::live::Live;
use super::walk::{RowSink, Walk};
use crate::error::Error;
use crate::foreign::{ForeignRequest, ForeignSource, ForeignTrust, SkippedStatements};
use crate::record::DumpedObject;
use crate::{Vendor, Version};

/// Files in memory, given out in small pieces.
pub(super) struct Memory {
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) piece_bytes: usize,
}

impl Memory {
    pub(super) fn of(text: impl AsRef<[u8]>) -> Self {
        Self { files: vec![("dump.sql".to_owned(), text.as_ref().to_vec())], piece_bytes: 4096 }
    }
}

struct Pieces<'a> {
    rest: &'a [u8],
    piece_bytes: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.rest.len().min(buffer.len()).min(self.piece_bytes);
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

impl ForeignSource for Memory {
    fn files(&self) -> Vec<String> {
        self.files.iter().map(|(name, _)| name.clone()).collect()
    }

    fn open(&self, at: usize) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Pieces { rest: &self.files[at].1, piece_bytes: self.piece_bytes }))
    }
}

/// Every row: table, columns, text.
#[derive(Default)]
struct Rows(Vec<(String, String, String)>);

impl RowSink for Rows {
    fn row(&mut self, table: &TableDraft, columns: &[Vec<u8>], row: &[u8], _: bool) -> Outcome<()> {
        let columns: Vec<String> =
            columns.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let text = row.escape_ascii().to_string();
        self.0.push((table.name.to_string(), columns.join(","), text));
        Ok(())
    }

    fn check_stop(&self) -> Outcome<()> {
        Ok(())
    }
}

/// What a reading found.
pub(super) struct Found {
    pub(super) objects: Vec<DumpedObject>,
    pub(super) rows: Vec<(String, String, String)>,
    pub(super) skipped: Vec<SkippedStatements>,
    pub(super) warnings: Vec<String>,
    pub(super) statements: u64,
}

impl Found {
    pub(super) fn definition(&self, name: &str) -> String {
        let of = |object: &&DumpedObject| object.name().to_string() == name;
        match self.objects.iter().find(of) {
            Some(DumpedObject::Table(record)) => record.definition.to_string(),
            Some(DumpedObject::View(record)) => record.definition.to_string(),
            Some(DumpedObject::Trigger(record)) => record.definition.to_string(),
            Some(DumpedObject::Routine(record)) => record.definition.to_string(),
            Some(DumpedObject::Event(record)) => record.definition.to_string(),
            Some(DumpedObject::Sequence(record)) => record.definition.to_string(),
            None => panic!("there is no {name}"),
        }
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.rows.iter().map(|(_, _, text)| text.as_str()).collect()
    }
}

/// Reads files as MySQL 9 or MariaDB would take them.
pub(super) fn read(source: &Memory, vendor: Vendor, trust: ForeignTrust) -> Result<Found, Error> {
    let version = if vendor == Vendor::MySql { Version(9, 7, 0) } else { Version(10, 11, 6) };
    let mut live = Live::empty(vendor, version);
    let request = ForeignRequest { database: b"shop".to_vec(), trust, from_database: None };
    let mut rows = Rows::default();
    let mut walk = Walk::new(&mut live, &request, &mut rows);
    walk.read(source).map_err(Error::from)?;
    let (objects, left_out) = walk.drafts.objects().unwrap();
    let mut warnings = walk.warnings.clone();
    warnings.extend(left_out);
    let (skipped, statements) = (walk.skipped.clone(), walk.statements);
    Ok(Found { objects, rows: rows.0, skipped, warnings, statements })
}

pub(super) fn of_owner(text: impl AsRef<[u8]>) -> Result<Found, String> {
    read(&Memory::of(text), Vendor::MariaDb, ForeignTrust::ChosenByOwner).map_err(|error| error.to_string())
}

pub(super) fn uploaded(text: impl AsRef<[u8]>) -> Result<Found, String> {
    read(&Memory::of(text), Vendor::MariaDb, ForeignTrust::Uploaded).map_err(|error| error.to_string())
}
