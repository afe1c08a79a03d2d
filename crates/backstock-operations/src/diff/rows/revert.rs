//! Single rows back to what they were: the whole table as it is now is written anew, with these rows as a backup has them.
//!
//! Data can be lost here: every row that is not meant must come out as it went in. A changed row keeps what changes by
//! itself (last visits, counters), and a row that is not exactly what was shown ends it all.

use backstock_database::{DumpSink, LiveReader, RowEdit, TableRecord, literals_of_row};

use super::{Projected, RowSource, Shape, TablePair, text_of};
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// A row by what it holds on each side; nothing where a side lacks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedRow {
    /// In the backup.
    pub(crate) before: Vec<u8>,
    /// Live.
    pub(crate) after: Vec<u8>,
}

impl TablePair<'_> {
    /// Writes the live table into `sink` with the wanted rows as the backup has them. Gives its record.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where a row is not there any more as it was shown, or where the columns are others.
    pub(crate) fn revert(
        &self,
        before: &dyn RowSource,
        live: &mut LiveReader,
        database: &[u8],
        wanted: &[WantedRow],
        sink: &dyn DumpSink,
    ) -> Result<TableRecord> {
        let table = &self.after.name;
        let refuse = |what: &str| {
            let message = format!("a row of {table} cannot be taken back: {what}");
            let hint = format!("bring the table back as a whole: --table {table}");
            OperationError::hinted(ErrorKind::Refused, message, hint)
        };
        if self.before.columns != self.after.columns || self.after.versioning.is_some() {
            return Err(refuse("its table has other columns now, or keeps its history"));
        }
        let shape = self.shape();
        let texts = self.texts_of(before, &shape, wanted)?;
        if texts.iter().zip(wanted).any(|(text, wanted)| text.is_none() != wanted.before.is_empty()) {
            return Err(refuse("the backup does not hold it as it was shown"));
        }
        let noise = self.noise();
        let mut is_found: Vec<bool> = wanted.iter().map(|wanted| wanted.after.is_empty()).collect();
        let mut fault = None;
        let mut edit = |text: &[u8], row| {
            let state = text_of(&project(row, &shape.after));
            let at = (0..wanted.len()).find(|at| !is_found[*at] && wanted[*at].after == state);
            let Some(at) = at else { return RowEdit::Keep };
            is_found[at] = true;
            let Some(kept) = &texts[at] else { return RowEdit::Remove };
            match self.mixed(text, kept, &noise) {
                Ok(mixed) => RowEdit::Replace(mixed),
                Err(error) => {
                    fault = Some(error);
                    RowEdit::Keep
                }
            }
        };
        let added: Vec<Vec<u8>> = (0..wanted.len())
            .filter(|at| wanted[*at].after.is_empty())
            .filter_map(|at| texts[at].clone())
            .collect();
        let record = live
            .write_edited(database, self.after, sink, &mut edit, &added)
            .doing(format!("reading the rows of the live table {table}"))?;
        match fault {
            Some(error) => Err(error),
            None if is_found.contains(&false) => Err(refuse("it is not there any more as it was shown")),
            None => Ok(record),
        }
    }

    /// The text of each wanted row in the backup.
    fn texts_of(
        &self,
        before: &dyn RowSource,
        shape: &Shape,
        wanted: &[WantedRow],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let mut texts: Vec<Option<Vec<u8>>> = vec![None; wanted.len()];
        before.each_row(self.before, &mut |text, row| {
            let state = text_of(&project(row, &shape.before));
            let is_meant = |at: &usize| texts[*at].is_none() && wanted[*at].before == state;
            if let Some(at) = (0..wanted.len()).find(is_meant) {
                texts[at] = Some(text.to_vec());
            }
        })?;
        Ok(texts)
    }

    /// Which columns change by themselves.
    fn noise(&self) -> Vec<bool> {
        self.after.columns.iter().map(|column| self.rules.is_noise_column(&column.name)).collect()
    }

    /// The backup's row with what changes by itself as it is now.
    fn mixed(&self, live: &[u8], kept: &[u8], noise: &[bool]) -> Result<Vec<u8>> {
        let read = |text| {
            literals_of_row(text, &self.after.columns).map_err(|fault| {
                let message = format!("reading a row of {}: {fault}", self.after.name);
                OperationError::plain(ErrorKind::Failed, message)
            })
        };
        let (live, kept) = (read(live)?, read(kept)?);
        let both = live.iter().zip(&kept).zip(noise);
        let literals: Vec<&[u8]> =
            both.map(|((live, kept), noise)| if *noise { *live } else { *kept }).collect();
        Ok(literals.join(&b','))
    }
}

fn project(mut row: Projected, places: &[usize]) -> Projected {
    places.iter().map(|place| row.get_mut(*place).and_then(Option::take)).collect()
}
