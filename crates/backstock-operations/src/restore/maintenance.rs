//! The shop's maintenance switch: on before the first visible step, its former state back after the last.
//!
//! Data can be lost here: an order that arrives while the sides are exchanged ends on the side that goes away. The
//! former state is recorded durably before the switch is touched.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use backstock_database::{Connection, quote_name, quote_text};
use backstock_platform::{Maintenance, ShopLayout};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::subject::ShopDatabase;

/// The server's number for a table that is not there.
const NO_SUCH_TABLE: u16 = 1146;

/// A switch and the state that it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Switch {
    /// The shop is closed while a file exists.
    File {
        /// The file.
        #[serde(with = "backstock_vocabulary::path_bytes")]
        path: PathBuf,
        /// What it holds while the shop is closed.
        content: String,
        /// What it held before; `None` when it was not there.
        former: Option<Vec<u8>>,
        /// Files that go as well when the shop opens.
        #[serde(with = "backstock_vocabulary::path_bytes")]
        also_remove: Vec<PathBuf>,
        /// Folders around the file that are not there, outermost first: they are made with it and go with it.
        #[serde(with = "backstock_vocabulary::path_bytes", default)]
        missing: Vec<PathBuf>,
    },
    /// The shop is closed by a value in its database.
    Setting(Setting),
    /// There is none; the person consented to that.
    None,
}

/// A switch in the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// The table.
    pub(crate) table: String,
    /// Which rows.
    pub(crate) matching: Vec<(String, String)>,
    /// The column.
    pub(crate) column: String,
    /// Its value while the shop is closed.
    pub(crate) on: String,
    /// Its value while the shop is open.
    off: String,
    /// Whether the table was not there: such a shop is closed already, and opens with the new side.
    is_missing: bool,
    /// The row to insert when none matches.
    insert: Vec<(String, String)>,
    /// The names of the key columns and, for each matching row, the key's values and the former value.
    key: Vec<String>,
    rows: Vec<FormerRow>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FormerRow {
    key: Vec<Option<Vec<u8>>>,
    value: Option<Vec<u8>>,
}

impl Switch {
    /// Finds the switch and records its present state. Changes nothing.
    pub(crate) fn find(layout: Option<&ShopLayout>, database: Option<&ShopDatabase>) -> Result<Self> {
        let Some(layout) = layout else { return Ok(Self::None) };
        match &layout.maintenance {
            Maintenance::None { .. } => Ok(Self::None),
            Maintenance::File { path, content, also_remove } => {
                let Some(path) = layout.resolve(path) else { return Ok(Self::None) };
                let former = match fs::read(&path) {
                    Ok(bytes) => Some(bytes),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error).doing(format!("reading {}", path.display())),
                };
                let also_remove = also_remove.iter().filter_map(|path| layout.resolve(path)).collect();
                let around = path.ancestors().skip(1);
                let mut missing: Vec<PathBuf> =
                    around.take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
                missing.reverse();
                Ok(Self::File { path, content: content.clone(), former, also_remove, missing })
            }
            Maintenance::Setting { table, matching, column, on, insert, off } => {
                let Some(database) = database else { return Ok(Self::None) };
                let mut setting = Setting {
                    table: table.clone(),
                    matching: matching.clone(),
                    column: column.clone(),
                    on: on.clone(),
                    off: off.clone(),
                    is_missing: false,
                    insert: insert.clone(),
                    key: Vec::new(),
                    rows: Vec::new(),
                };
                setting.is_missing = !setting.record(&mut open(database)?)?;
                Ok(Self::Setting(setting))
            }
        }
    }

    /// Whether visitors can be kept out.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Closes the shop. Doing it twice is doing it once.
    pub(crate) fn close(&self, database: Option<&ShopDatabase>) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File { path, content, .. } => write_file(path, content.as_bytes())
                .doing(format!("writing the maintenance file {}", path.display())),
            Self::Setting(setting) => setting.close(&mut open(require(database)?)?),
        }
    }

    /// Gives the shop's live side the state back that it had.
    pub(crate) fn give_back(&self, database: Option<&ShopDatabase>, side: Side) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File { path, former, also_remove, missing, .. } => {
                let act = || format!("giving the maintenance file {} its former state", path.display());
                match former {
                    Some(bytes) => write_file(path, bytes).doing(act()),
                    None => {
                        for path in std::iter::once(path).chain(also_remove) {
                            match fs::remove_file(path) {
                                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                                other => other.doing(act())?,
                            }
                        }
                        for folder in missing.iter().rev() {
                            // One that is not empty came back with the shop, or is in use.
                            let _ = fs::remove_dir(folder);
                        }
                        Ok(())
                    }
                }
            }
            Self::Setting(setting) => setting.give_back(&mut open(require(database)?)?, side),
        }
    }
}

/// Which side of a restore is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What was there before: its rows are known one by one.
    Old,
    /// What came from the backup: its rows are other rows.
    New,
}

fn require(database: Option<&ShopDatabase>) -> Result<&ShopDatabase> {
    database.ok_or_else(|| {
        OperationError::plain(
            ErrorKind::Failed,
            "the maintenance switch is in the database, which is not known",
        )
    })
}

fn open(database: &ShopDatabase) -> Result<Connection> {
    let act = format!("connecting to the database server at {}", database.server.address);
    let mut connection = Connection::open(&database.server, Some(&database.name)).doing(act)?;
    connection.execute(b"SET NAMES utf8mb4").doing("preparing the connection for the maintenance switch")?;
    Ok(connection)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Setting {
    fn condition(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (column, value) in &self.matching {
            text.extend_from_slice(if text.is_empty() { b" WHERE " } else { b" AND " });
            text.extend_from_slice(&quote_name(column.as_bytes()));
            text.extend_from_slice(b" = ");
            text.extend_from_slice(&quote_text(value.as_bytes()));
        }
        text
    }

    /// Reads the matching rows and their key. `false` when the table is not there.
    fn record(&mut self, connection: &mut Connection) -> Result<bool> {
        let act = format!("reading the maintenance switch in the table {}", self.table);
        let keys = statement(&[b"SHOW KEYS FROM ", &self.table(), b" WHERE Key_name = 'PRIMARY'"]);
        let keys = match connection.query(&keys) {
            Ok(keys) => keys,
            Err(error) if error.code() == Some(NO_SUCH_TABLE) => return Ok(false),
            Err(error) => return Err(error).doing(act),
        };
        self.key = (0..keys.rows.len())
            .filter_map(|row| keys.get(row, "Column_name"))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let mut columns: Vec<Vec<u8>> = self.key.iter().map(|name| quote_name(name.as_bytes())).collect();
        columns.push(quote_name(self.column.as_bytes()));
        let select =
            statement(&[b"SELECT ", &columns.join(&b", "[..]), b" FROM ", &self.table(), &self.condition()]);
        let found = connection.query(&select).doing(act)?;
        self.rows = found
            .rows
            .into_iter()
            .map(|mut row| {
                let value = row.pop().flatten();
                FormerRow { key: row, value }
            })
            .collect();
        Ok(true)
    }

    fn table(&self) -> Vec<u8> {
        quote_name(self.table.as_bytes())
    }

    fn close(&self, connection: &mut Connection) -> Result<()> {
        if self.is_missing {
            return Ok(());
        }
        let act = format!("closing the shop in the table {}", self.table);
        let assignment = self.assignment(Some(self.on.as_bytes()));
        connection.execute(&statement(&[&assignment, &self.condition()])).doing(act.clone())?;
        let count = statement(&[b"SELECT COUNT(*) FROM ", &self.table(), &self.condition()]);
        let found = connection.query(&count).doing(act.clone())?;
        if found.single() == Some(b"0") && !self.insert.is_empty() {
            let names: Vec<_> = self.insert.iter().map(|(name, _)| quote_name(name.as_bytes())).collect();
            let values: Vec<_> = self.insert.iter().map(|(_, value)| quote_text(value.as_bytes())).collect();
            let insert = statement(&[
                b"INSERT INTO ",
                &self.table(),
                b" (",
                &names.join(&b", "[..]),
                b") VALUES (",
                &values.join(&b", "[..]),
                b")",
            ]);
            connection.execute(&insert).doing(act)?;
        }
        Ok(())
    }

    fn give_back(&self, connection: &mut Connection, side: Side) -> Result<()> {
        let act = format!("giving the maintenance switch in the table {} its former value", self.table);
        if self.is_missing {
            if side == Side::New {
                let assignment = self.assignment(Some(self.off.as_bytes()));
                connection.execute(&statement(&[&assignment, &self.condition()])).doing(act)?;
            }
            return Ok(());
        }
        if self.rows.is_empty() {
            let delete = statement(&[b"DELETE FROM ", &self.table(), &self.condition()]);
            connection.execute(&delete).doing(act)?;
            return Ok(());
        }
        if side == Side::New || self.key.is_empty() {
            // The backup's rows are other rows than those that were recorded, and it may have been made while the
            // shop was closed: what counts is the state the owner had before the restore.
            let assignment = self.assignment(self.rows[0].value.as_deref());
            connection.execute(&statement(&[&assignment, &self.condition()])).doing(act.clone())?;
        }
        for row in &self.rows {
            let mut text = self.assignment(row.value.as_deref());
            text.extend_from_slice(&self.condition());
            for (name, value) in self.key.iter().zip(&row.key) {
                text.extend_from_slice(b" AND ");
                text.extend_from_slice(&quote_name(name.as_bytes()));
                text.extend_from_slice(b" = ");
                text.extend_from_slice(&quote_text(value.as_deref().unwrap_or_default()));
            }
            if !self.key.is_empty() {
                connection.execute(&text).doing(act.clone())?;
            }
        }
        Ok(())
    }

    fn assignment(&self, value: Option<&[u8]>) -> Vec<u8> {
        let value = value.map_or_else(|| b"NULL".to_vec(), quote_text);
        let column = quote_name(self.column.as_bytes());
        statement(&[b"UPDATE ", &self.table(), b" SET ", &column, b" = ", &value])
    }
}

fn statement(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_in_a_folder_that_is_not_there_works_and_leaves_nothing() {
        let shop = tempfile::tempdir().unwrap();
        let fixture = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/shops/magento-2.4"));
        for file in ["app/etc/config.php", "app/etc/env.php", "composer.lock", "bin/magento"] {
            fs::create_dir_all(shop.path().join(file).parent().unwrap()).unwrap();
            fs::copy(fixture.join(file), shop.path().join(file)).unwrap();
        }
        let layout = crate::subject::detect(shop.path()).unwrap().layout;
        let switch = Switch::find(Some(&layout), None).unwrap();
        let var = shop.path().join("var");
        for side in [Side::New, Side::Old] {
            switch.close(None).unwrap();
            assert!(var.join(".maintenance.flag").exists());
            switch.give_back(None, side).unwrap();
            assert!(!var.exists());
        }
        // What the restore brought meanwhile stays.
        switch.close(None).unwrap();
        fs::write(var.join("report"), "kept").unwrap();
        switch.give_back(None, Side::New).unwrap();
        assert_eq!(fs::read(var.join("report")).unwrap(), b"kept");
    }
}
