//! The rows of a file on their way to whoever takes them: for which table and columns they are, and how many there are.

use super::columns::DraftColumn;
use super::drafts::TableDraft;
use super::fault::{Fault, Outcome, Place};
use super::rows::{self, InsertHead, ValueFor, ValueRules};
use super::script::Script;
use super::statement::QualifiedName;
use super::walk::{Belongs, Walk};
use crate::RawText;
use crate::kinds::mysql::sql::TokenKind;

/// Rows between two looks at whether to stop.
const ROWS_PER_LOOK: u64 = 1024;

impl Walk<'_> {
    /// Reads the rows of an INSERT, from behind the word VALUES to behind the delimiter.
    pub(super) fn insert(&mut self, script: &mut Script<'_>, head: &InsertHead) -> Outcome<()> {
        let line = script.line();
        let file = script.place().to_owned();
        let qualified = QualifiedName { database: head.database.clone(), name: head.table.clone(), end: 0 };
        let place_of = |what: String| Fault::Text(Place { file: file.clone(), line, what });
        if !self.is_current || self.belongs(&qualified, &place_of)? == Belongs::Elsewhere {
            self.skip("INSERT INTO".to_owned(), "it concerns another database of the dump", &file, line);
            return skip_rows(script);
        }
        let place = self.place(&head.table, &place_of)?;
        let character_set = self.session.client.clone();
        self.other_character_sets.insert(character_set.clone());
        let zone = self.session.time_zone.clone();
        let draft = &mut self.drafts.tables[place];
        draft.time_zone.get_or_insert(zone);
        let filled = insert_columns(draft, head).map_err(place_of)?;
        let kept = filled.iter().filter(|(_, value)| *value != ValueFor::Nothing);
        let columns: Vec<Vec<u8>> = kept.map(|(name, _)| name.clone()).collect();
        let rules = ValueRules { trust: self.request.trust, character_set: &character_set };
        let column = |at: usize| filled.get(at).map_or(ValueFor::Text, |(_, value)| *value);
        let mut row = Vec::new();
        let mut is_first = true;
        while let Some(count) = rows::next_row(script, is_first, rules, &column, &mut row)? {
            is_first = false;
            if count != filled.len() {
                return Err(script.fault(format!(
                    "a row of the table {} has {count} values for {} columns",
                    draft.name,
                    filled.len()
                )));
            }
            draft.row_count += 1;
            draft.text_bytes += row.len() as u64;
            self.rows += 1;
            if self.rows.is_multiple_of(ROWS_PER_LOOK) {
                self.sink.check_stop()?;
            }
            self.sink.row(draft, &columns, &row, head.ignore)?;
        }
        Ok(())
    }
}

/// The columns that an INSERT names, or that it means, and what its values are for.
fn insert_columns(draft: &mut TableDraft, head: &InsertHead) -> Result<Vec<(Vec<u8>, ValueFor)>, String> {
    let value_for = |column: &DraftColumn| match (column.is_generated, column.is_binary) {
        (true, _) => ValueFor::Nothing,
        (false, true) => ValueFor::Bytes,
        (false, false) => ValueFor::Text,
    };
    let Some(names) = &head.columns else {
        let visible = draft.columns.iter().filter(|column| !column.is_invisible);
        return Ok(visible.map(|column| (column.record.name.0.clone(), value_for(column))).collect());
    };
    let mut filled = Vec::with_capacity(names.len());
    for name in names {
        let found = draft.columns.iter().find(|column| column.record.name.eq_ignore_ascii_case(name));
        // The times of rows of a table that keeps its history.
        let is_time = [&b"row_start"[..], b"row_end"].contains(&&name.to_ascii_lowercase()[..]);
        let value = match found {
            Some(column) => value_for(column),
            None if is_time => {
                draft.with_history = true;
                ValueFor::Text
            }
            None => {
                return Err(format!(
                    "an INSERT fills the column {}, which the table {} does not have",
                    RawText(name.clone()),
                    draft.name
                ));
            }
        };
        filled.push((name.clone(), value));
    }
    Ok(filled)
}

/// To the end of an INSERT that does not count.
fn skip_rows(script: &mut Script<'_>) -> Outcome<()> {
    loop {
        script.release();
        match script.next_token()? {
            Some(token) if token.kind == TokenKind::Delimiter => return Ok(()),
            Some(_) => {}
            None => return Err(script.fault("the file ends within an INSERT: it was cut off")),
        }
    }
}
