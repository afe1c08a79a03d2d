//! Single differences taken back: a file, a definition, a row. They are looked for in a comparison made now, by names
//! that say what both sides held ([`crate::diff`]): what is not there any more as it was shown is refused.
//!
//! Data can be lost here. Files and definitions go the way of every restore. For rows the table as it is now is written
//! aside with these rows as the backup has them, and then goes that way too: compared, swapped, undone as a whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use backstock_archive::tree::FileKind;
use backstock_catalog::Backup;
use backstock_database::{
    CodeName, DumpSink, DumpedObject, FrameSource, InPlace, LiveReader, LoadPlan, RawText, TableRecord,
    look_at_database,
};
use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Scope};

use super::database::{self, DatabaseWish, Dumped};
use super::journal::JournalFolder;
use super::maintenance::Switch;
use super::plan::{RestorePlan, RestoreRequest, plan_restore};
use crate::diff::{
    COUNTED_BYTES, Difference, StoredRows, TablePair, ToldDifference, WantedRow, diff_with_live, layout_of,
};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::Monitor;
use crate::stored::StoredBackup;
use crate::subject::{ShopDatabase, Subject};

/// A frame of rows of more bytes is none of ours: a table that is read live is smaller.
const FRAME_LIMIT_BYTES: u64 = 64 << 20;

/// What of a comparison is to be taken back, besides files.
#[derive(Debug, Clone, Default)]
pub struct PickedItems {
    code: Vec<CodeName>,
    tables: Vec<RawText>,
    rows: Vec<(RawText, WantedRow)>,
}

impl PickedItems {
    /// Whether rows are among them: their frames lie beside the journal.
    pub(super) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// Plans to take single differences between a backup and the live shop back. Changes nothing.
///
/// # Errors
/// [`ErrorKind::Refused`] where an item is not found: the shop is not what that comparison showed; where it cannot be
/// taken back by itself. Those of the comparison and of [`plan_restore`].
pub fn plan_from_diff(
    environment: &Environment,
    backup: Backup,
    subject: Subject,
    items: &[String],
    request: &RestoreRequest,
    monitor: &dyn Monitor,
) -> Result<RestorePlan> {
    let mut found: Vec<ToldDifference> = Vec::new();
    diff_with_live(environment, backup.clone(), &subject, monitor, &mut |told| {
        if items.contains(&told.item) {
            found.push(told);
        }
    })?;
    if let Some(missing) = items.iter().find(|item| !found.iter().any(|told| told.item == **item)) {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            format!(
                "no difference between {} and the shop as it is now is called {missing}: the shop is not what that \
                 comparison showed, or the name is of another backup",
                backup.id.short()
            ),
            format!("look again: backstock diff {} live", backup.id.short()),
        ));
    }
    let mut request =
        RestoreRequest { files: Vec::new(), tables: Vec::new(), exact: false, ..request.clone() };
    let mut picked = PickedItems::default();
    for told in found {
        take(told, &mut request, &mut picked)?;
    }
    let has_database = !(picked.code.is_empty() && picked.tables.is_empty() && picked.rows.is_empty());
    request.scope = match (has_database, request.files.is_empty()) {
        (true, true) => Scope::Database,
        (true, false) => Scope::Everything,
        _ => Scope::Files,
    };
    request.picked = Some(picked);
    plan_restore(environment, backup, subject, &request, monitor)
}

/// Adds what takes one difference back.
fn take(told: ToldDifference, request: &mut RestoreRequest, picked: &mut PickedItems) -> Result<()> {
    let ToldDifference { item, difference, states } = told;
    let refuse = |what: &str, hint: String| {
        Err(OperationError::hinted(
            ErrorKind::Refused,
            format!("{item} cannot be taken back by itself: {what}"),
            hint,
        ))
    };
    match difference {
        Difference::FileAdded(file) if file.kind == FileKind::Folder => {
            refuse("a folder would go with all that is in it", "name what is in it".to_owned())
        }
        Difference::FileRemoved(file) if file.kind == FileKind::Folder => {
            refuse("a folder would come back with all that was in it", format!("--file {}", file.path))
        }
        Difference::FileAdded(file) => {
            // What the backup lacks is put aside, and comes back with an undo.
            request.exact = true;
            request.files.push(glob_of(&file.path)?);
            Ok(())
        }
        Difference::FileRemoved(file) => {
            request.files.push(glob_of(&file.path)?);
            Ok(())
        }
        Difference::FileChanged { path, .. } => {
            request.files.push(glob_of(&path)?);
            Ok(())
        }
        Difference::ObjectRemoved(object) if object.kind == "table" || object.kind == "sequence" => {
            picked.tables.push(object.name);
            Ok(())
        }
        Difference::ObjectAdded(object)
        | Difference::ObjectRemoved(object)
        | Difference::DefinitionChanged { object, .. } => match object.kind.as_str() {
            "table" | "sequence" | "database" => refuse(
                "rows hang on the definition of a table",
                format!("look at its rows; then --table {} brings the whole table back", object.name),
            ),
            _ => {
                picked.code.push(CodeName { kind: object.kind, name: object.name });
                Ok(())
            }
        },
        Difference::RowAdded { row, .. }
        | Difference::RowRemoved { row, .. }
        | Difference::RowChanged { row, .. } => {
            let [before, after] = states;
            picked.rows.push((row.table, WantedRow { before, after }));
            Ok(())
        }
        Difference::RowCountChanged { table, .. } | Difference::ValuesChanged { table, .. } => refuse(
            "which rows are others is not known",
            format!("--table {table} brings the whole table back"),
        ),
        Difference::FileUnknown { .. } | Difference::ObjectUnknown { .. } => {
            refuse("one side does not know it", "let the account read it, and look again".to_owned())
        }
    }
}

/// The glob that one path alone fits. With the slash in front it means the path from the root.
fn glob_of(path: &RawText) -> Result<String> {
    let text = std::str::from_utf8(path).map_err(|_| {
        let message = format!("the name of {path} is not UTF-8, and cannot be picked by itself");
        OperationError::hinted(ErrorKind::Refused, message, "bring the folder around it back with --file")
    })?;
    let mut glob = "/".to_owned();
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    Ok(glob)
}

/// What the database part of such a plan needs to know.
pub(super) struct PickedPart<'a> {
    pub(super) environment: &'a Environment,
    pub(super) stored: &'a StoredBackup,
    pub(super) target: &'a ShopDatabase,
    pub(super) tag: &'a str,
    pub(super) folder: &'a JournalFolder,
    pub(super) switch: &'a Switch,
    pub(super) monitor: &'a dyn Monitor,
}

impl PickedPart<'_> {
    /// Plans the database part. Rows are written aside, beside the journal.
    pub(super) fn plan(&self, picked: &PickedItems) -> Result<LoadPlan> {
        let mut wish = DatabaseWish {
            tables: picked.tables.iter().map(glob_of_name).collect(),
            code: picked.code.clone(),
            is_named: false,
            exact: false,
            in_place: InPlace::Never,
            add_keys: false,
            tag: self.tag.to_owned(),
        };
        if picked.rows.is_empty() {
            return database::plan(self.environment, self.stored, self.target, &wish, self.switch);
        }
        if !picked.code.is_empty() || !picked.tables.is_empty() {
            let message = "rows and definitions cannot be taken back at once";
            return Err(OperationError::hinted(
                ErrorKind::Declined,
                message,
                "take them back one after the other",
            ));
        }
        let dumped = self.write_rows(&picked.rows)?;
        wish.tables =
            dumped.objects.iter().filter_map(table_of).map(|table| glob_of_name(&table.name)).collect();
        let names = wish.tables.join(", ");
        let mut plan = database::plan_objects(dumped, self.target, &wish, self.switch)?;
        plan.warnings.push(format!(
            "{names}: made anew from what it holds now, with the named rows as the backup has them; what the shop writes \
             to it from now until the exchange stays on the old side"
        ));
        Ok(plan)
    }

    /// Writes each table that a row is meant of, and gives what a load needs of them: their triggers stay as they are.
    fn write_rows(&self, rows: &[(RawText, WantedRow)]) -> Result<Dumped> {
        let ShopDatabase { server, name } = self.target;
        let act = || format!("looking at the database {}", String::from_utf8_lossy(name));
        let live = look_at_database(server, name, &[], COUNTED_BYTES).doing(act())?;
        let index = self.stored.index(self.environment, ArtifactKind::DatabaseIndex)?;
        let header: crate::backup::DatabaseHeader = index.header().doing("reading the database index")?;
        let layout = layout_of(&header.shop)?;
        let is_cancelled = || self.monitor.is_cancelled();
        let source = StoredRows::new(self.environment, self.stored, &is_cancelled);
        let mut reader = LiveReader::open(server, name).doing(act())?;
        let sink = FolderSink::of(&self.environment.host, self.folder.path());
        let mut names: Vec<&RawText> = rows.iter().map(|(table, _)| table).collect();
        names.sort();
        names.dedup();
        let mut objects = Vec::new();
        for table in names {
            let gone = || {
                let message = format!("the rows of {table} cannot be compared one by one any more");
                OperationError::plain(ErrorKind::Refused, message)
            };
            let rules = layout.as_ref().and_then(|layout| layout.mattering_table(table)).ok_or_else(gone)?;
            let key = [b"table/".as_slice(), table].concat();
            let found = index.find::<DumpedObject>(&key).doing("reading the database index")?;
            let Some(DumpedObject::Table(before)) = found else { return Err(gone()) };
            let after = live.objects.iter().filter_map(table_of).find(|record| record.name == *table);
            let after = after.ok_or_else(gone)?;
            let wanted: Vec<WantedRow> =
                rows.iter().filter(|(name, _)| name == table).map(|(_, wanted)| wanted.clone()).collect();
            let pair = TablePair { before: &before, after, rules, named_by: None };
            let record = pair.revert(&source, &mut reader, name, &wanted, &sink)?;
            objects.push(DumpedObject::Table(record));
            let is_on = |object: &&DumpedObject| matches!(object, DumpedObject::Trigger(trigger) if trigger.table == *table);
            objects.extend(live.objects.iter().filter(is_on).cloned());
        }
        Ok(Dumped { objects, database: live.database, server: live.server })
    }
}

fn table_of(object: &DumpedObject) -> Option<&TableRecord> {
    match object {
        DumpedObject::Table(record) => Some(record),
        _ => None,
    }
}

/// A name in which every character means itself; one that is spelled like a pattern fits it.
fn glob_of_name(name: &RawText) -> String {
    name.to_string()
}

/// What the name of a frame of rows begins with.
const FRAME_NAME: &str = "rows-";

/// Where a frame of rows lies.
fn frame_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{FRAME_NAME}{number}.sql"))
}

/// Whether a name beside a journal is that of a frame of rows.
pub(super) fn is_frame_of_rows(name: &str) -> bool {
    name.starts_with(FRAME_NAME)
}

/// Takes frames into the journal's folder, each a file.
struct FolderSink<'a> {
    host: &'a Host,
    folder: &'a Path,
    count: Mutex<u64>,
}

impl<'a> FolderSink<'a> {
    fn of(host: &'a Host, folder: &'a Path) -> Self {
        Self { host, folder, count: Mutex::new(0) }
    }
}

impl DumpSink for FolderSink<'_> {
    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut count = self.count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = *count;
        self.host.files.write_durably(&frame_path(self.folder, number), &text)?;
        *count += 1;
        Ok(number)
    }
}

/// Gives the frames back. The load compares what came of them with the record.
pub(super) struct FolderFrames<'a> {
    pub(super) host: &'a Host,
    pub(super) folder: &'a Path,
}

impl FrameSource for FolderFrames<'_> {
    fn frame(&self, number: u64) -> io::Result<Vec<u8>> {
        self.host.files.read(&frame_path(self.folder, number), FRAME_LIMIT_BYTES)
    }

    fn frame_bytes(&self, number: u64) -> u64 {
        let stat = self.host.files.stat(&frame_path(self.folder, number));
        stat.ok().flatten().map_or(0, |stat| stat.size_bytes)
    }
}

#[cfg(test)]
mod tests {
    use backstock_archive::tree::compile_globs;

    use super::*;

    #[test]
    fn a_glob_of_a_path_fits_that_path_alone() {
        for path in ["index.php", "image/a[1]*.php", "we!rd/{x}\\y?"] {
            let globs = compile_globs(&[glob_of(&path.into()).unwrap()]).unwrap();
            assert!(globs.is_match(path), "{path}");
            for other in ["shop/index.php", "image/a1x.php", "image/a[1]x.php"] {
                assert!(!globs.is_match(other), "{path} {other}");
            }
        }
        assert!(glob_of(&RawText(b"caf\xe9".to_vec())).is_err());
    }
}
