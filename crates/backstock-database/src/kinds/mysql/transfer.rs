//! Taking definitions to a server of another vendor or version: each rule gives an object's new definition and says what
//! it changes. No rule touches a value; what cannot be expressed is left out by name or refused.
//!
//! The rules follow what the servers do with each other's definitions: much of it they take without an error and with
//! another meaning (an invisible column becomes visible, a CHECK that was not enforced is), which is why nothing is sent
//! as it stands.

mod code;
mod collations;
mod columns;
mod current_rows;
mod functions;
mod items;
mod table;
mod words;

use std::collections::BTreeSet;

pub(crate) use self::current_rows::CurrentRows;
use super::connection::Connection;
use super::sql::{Lexer, Modes, TokenKind};
use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{DatabaseFacts, DumpedObject, ServerFacts};
use crate::transfer::{Fidelity, Target, Transfer};
use crate::{Vendor, Version};

/// Between which servers, and what was given away already.
pub(crate) struct Crossing<'a> {
    pub(crate) source: &'a ServerFacts,
    pub(crate) target: &'a Target,
    /// Names of checks, and new ones of foreign keys, that tables of this transfer have: unique in a schema of MySQL, in
    /// small letters.
    constraints: BTreeSet<Vec<u8>>,
}

/// What a rule has found out about an object so far.
#[derive(Debug, Default)]
struct Findings {
    fidelity: Fidelity,
    reasons: Vec<String>,
}

impl Findings {
    fn add(&mut self, fidelity: Fidelity, reason: impl Into<String>) {
        self.fidelity = self.fidelity.max(fidelity);
        self.reasons.push(reason.into());
    }

    fn changed(&mut self, reason: impl Into<String>) {
        self.add(Fidelity::Changed, reason);
    }
}

impl<'a> Crossing<'a> {
    pub(crate) fn new(source: &'a ServerFacts, target: &'a Target) -> Self {
        Self { source, target, constraints: BTreeSet::new() }
    }

    /// From MySQL to MariaDB.
    fn to_mariadb(&self) -> bool {
        self.source.vendor == Vendor::MySql && self.target.vendor == Vendor::MariaDb
    }

    /// From MariaDB to MySQL.
    fn to_mysql(&self) -> bool {
        self.source.vendor == Vendor::MariaDb && self.target.vendor == Vendor::MySql
    }

    /// Whether the target is of this vendor and at least of this version.
    fn target_is(&self, vendor: Vendor, version: Version) -> bool {
        self.target.vendor == vendor && self.target.version >= version
    }

    /// What becomes of an object, and the object for the target, if it goes there at all.
    ///
    /// # Errors
    /// [`Error::Sql`] where its definition cannot be read.
    pub(crate) fn transfer(&mut self, object: &DumpedObject) -> Result<(Transfer, Option<DumpedObject>)> {
        let mut findings = Findings::default();
        let mut current_rows_only = false;
        let mut new = object.clone();
        match &mut new {
            DumpedObject::Table(record) => {
                let fault = |source| Error::Sql {
                    object: format!("the definition of table {}", record.name),
                    source,
                };
                let made = table::convert(self, record, &mut findings).map_err(fault)?;
                current_rows_only = made.current_rows_only;
                *record = made.record;
            }
            DumpedObject::Sequence(_) if self.target.vendor == Vendor::MySql => {
                findings.add(Fidelity::Dropped, "MySQL has no sequences");
            }
            DumpedObject::Sequence(_) => {}
            other => code::convert(self, other, &mut findings),
        }
        let goes = matches!(findings.fidelity, Fidelity::Exact | Fidelity::Changed);
        let definition = definition_of(if goes { &new } else { object }).clone();
        let transfer = Transfer {
            object: label(object),
            fidelity: findings.fidelity,
            reasons: findings.reasons,
            definition,
            current_rows_only,
        };
        Ok((transfer, goes.then_some(new)))
    }

    /// The database's own defaults on the target.
    pub(crate) fn defaults(&self, facts: &DatabaseFacts) -> (DatabaseFacts, Option<String>) {
        let mut new = facts.clone();
        let mapped = collations::map(self.target, &facts.collation);
        let reason = mapped.as_ref().map(|mapped| format!("the database's own collation: {}", mapped.reason));
        if let Some(mapped) = mapped {
            new.collation = mapped.name.unwrap_or_default();
            if new.collation.is_empty() {
                // Nothing is said about defaults that are not known.
                new.character_set.clear();
            }
        }
        (new, reason)
    }
}

fn definition_of(object: &DumpedObject) -> &RawText {
    match object {
        DumpedObject::Table(record) => &record.definition,
        DumpedObject::Sequence(record) => &record.definition,
        DumpedObject::Routine(record) => &record.definition,
        DumpedObject::Trigger(record) => &record.definition,
        DumpedObject::View(record) => &record.definition,
        DumpedObject::Event(record) => &record.definition,
    }
}

fn label(object: &DumpedObject) -> String {
    let kind = match object {
        DumpedObject::Table(_) => "table",
        DumpedObject::Sequence(_) => "sequence",
        DumpedObject::Routine(record) => {
            return format!("{} {}", record.routine_kind.sql().to_lowercase(), record.name);
        }
        DumpedObject::Trigger(_) => "trigger",
        DumpedObject::View(_) => "view",
        DumpedObject::Event(_) => "event",
    };
    format!("{kind} {}", object.name())
}

/// What becomes of an object of a dump on another server.
///
/// # Errors
/// [`Error::Sql`] where its definition cannot be read.
pub fn transfer_object(object: &DumpedObject, source: &ServerFacts, target: &Target) -> Result<Transfer> {
    Crossing::new(source, target).transfer(object).map(|(transfer, _)| transfer)
}

/// Asks a server what it can hold. `objects` are those that are to go there: a server knows more collations than it
/// lists, so that each name that they use is tried.
pub(crate) fn read_target(connection: &mut Connection, objects: &[DumpedObject]) -> Result<Target> {
    let mut column = |sql: &str| -> Result<BTreeSet<String>> {
        match connection.query(sql.as_bytes()) {
            Ok(result) => {
                let values = result.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
                Ok(values.map(|value| readable(&value).to_lowercase()).collect())
            }
            Err(Error::Statement { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    };
    let mut collations = column("SELECT COLLATION_NAME FROM information_schema.COLLATIONS")?;
    // MariaDB since 10.10 lists some by the end of their names alone.
    let full = "SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY";
    collations.extend(column(full)?);
    let character_sets = column("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")?;
    let engines =
        column("SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')")?;
    for name in collations_in(objects) {
        if collations.contains(&name)
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let set = name.split('_').next().unwrap_or_default().to_owned();
        match connection.query(format!("SELECT CONVERT('' USING {set}) COLLATE {name}").as_bytes()) {
            Ok(_) => {
                collations.insert(name);
            }
            Err(Error::Statement { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let (vendor, version) = (connection.vendor(), connection.version());
    Ok(Target { vendor, version, collations, character_sets, engines })
}

/// The collations that definitions name.
fn collations_in(objects: &[DumpedObject]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for object in objects {
        let text = definition_of(object);
        let mut lexer = Lexer::new(text, Modes::default());
        let mut after = false;
        while let Ok(Some(token)) = lexer.next_token() {
            if after && token.kind == TokenKind::Symbol(b'=') {
                continue;
            }
            if after {
                found.insert(readable(token.text(text)).to_lowercase());
            }
            after = token.is_word(text, "COLLATE");
        }
    }
    found
}
