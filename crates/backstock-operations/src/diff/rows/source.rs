//! Where the rows of a side come from: the frames of a stored dump, of which only those of the table are read, or the
//! live server, with the session of a dump.

use std::cell::{OnceCell, RefCell};

use backstock_archive::ArtifactReader;
use backstock_database::{LiveReader, RowValues, TableRecord, each_row_of_frame};
use backstock_vocabulary::ArtifactKind;

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::stored::StoredBackup;
use crate::subject::ShopDatabase;

/// Gives the rows of a table, each time anew.
pub(crate) trait RowSource {
    /// Hands over each row of a table: its text as it stands in a dump, and its values.
    fn each_row(&self, table: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()>;
}

/// The rows of a backup. Its archive is opened when the first row is asked for.
pub(crate) struct StoredRows<'a> {
    environment: &'a Environment,
    stored: &'a StoredBackup,
    reader: OnceCell<ArtifactReader>,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<'a> StoredRows<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        stored: &'a StoredBackup,
        is_cancelled: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { environment, stored, reader: OnceCell::new(), is_cancelled }
    }

    fn reader(&self) -> Result<&ArtifactReader> {
        if self.reader.get().is_none() {
            let (reader, _) = self.stored.artifact(self.environment, ArtifactKind::Database)?;
            let _ = self.reader.set(reader);
        }
        self.reader.get().ok_or_else(|| OperationError::plain(ErrorKind::Failed, "the archive is not open"))
    }
}

impl RowSource for StoredRows<'_> {
    fn each_row(&self, table: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()> {
        let act = || format!("reading the rows of {} in {}", table.name, self.stored.folder);
        for frame in &table.frames {
            if (self.is_cancelled)() {
                return Err(crate::backup::interrupted());
            }
            let text = self.reader()?.read_frame(frame.frame).doing(act())?;
            each_row_of_frame(&text, &table.columns, each)
                .map_err(|fault| OperationError::plain(ErrorKind::Damaged, format!("{}: {fault}", act())))?;
        }
        Ok(())
    }
}

/// The rows of a live database. It is connected to when the first row is asked for.
pub(crate) struct LiveRows<'a> {
    database: &'a ShopDatabase,
    reader: RefCell<Option<LiveReader>>,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<'a> LiveRows<'a> {
    pub(crate) fn new(database: &'a ShopDatabase, is_cancelled: &'a dyn Fn() -> bool) -> Self {
        Self { database, reader: RefCell::new(None), is_cancelled }
    }
}

impl RowSource for LiveRows<'_> {
    fn each_row(&self, table: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()> {
        if (self.is_cancelled)() {
            return Err(crate::backup::interrupted());
        }
        let act = || format!("reading the rows of the live table {}", table.name);
        let mut reader = self.reader.borrow_mut();
        if reader.is_none() {
            *reader = Some(LiveReader::open(&self.database.server, &self.database.name).doing(act())?);
        }
        match reader.as_mut() {
            Some(reader) => reader.each_row(table, each).doing(act()),
            None => Ok(()),
        }
    }
}
