//! The part of a plan about servers that demand a primary key of every table, or make one by themselves.

use super::super::connection::Version;
use super::super::ddl::{INVISIBLE_KEY, ItemKind, spans};
use super::super::schema::variable;
use super::plan::Live;
use super::plan_code::some;
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, OldSide};
use crate::{Connection, RawText, Vendor};

/// Since this version a column can be invisible.
const MYSQL_INVISIBLE: Version = Version(8, 0, 23);

/// What a server does with a table that has no primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Takes it.
    None,
    /// Gives it an invisible one.
    Generates,
    /// Refuses it.
    Refuses,
}

/// Finds out what the server demands of the session in which the tables will be made.
fn demand(connection: &mut Connection) -> Result<Demand> {
    let mut is_on = |name: &str| -> Result<bool> {
        // An account that may do so switches it off for its session, as the load does.
        match connection.execute(format!("SET {name}=0").as_bytes()) {
            Ok(_) | Err(Error::Statement { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(matches!(variable(connection, name)?.as_deref(), Some("1" | "ON")))
    };
    // The first two are MySQL's, the third is MariaDB's.
    if is_on("sql_generate_invisible_primary_key")? {
        return Ok(Demand::Generates);
    }
    let refuses = is_on("sql_require_primary_key")? || is_on("innodb_force_primary_key")?;
    Ok(if refuses { Demand::Refuses } else { Demand::None })
}

/// Whether a definition has a primary key, and whether an invisible one could be added.
fn key_of(definition: &[u8], table: &RawText, vendor: Vendor) -> Result<(bool, bool)> {
    let fault = |source| Error::Sql { object: format!("the definition of table {table}"), source };
    let found = spans(definition).map_err(fault)?;
    let not_null = |columns: &[u8]| {
        let is_named = |name: &[u8]| columns.windows(name.len()).any(|window| window == name);
        found.items.iter().all(|item| match &item.kind {
            ItemKind::Column { name, .. } => {
                !is_named(name.text(definition))
                    || item.span.text(definition).windows(8).any(|window| window == b"NOT NULL")
            }
            _ => true,
        })
    };
    let has = found.items.iter().any(|item| match &item.kind {
        ItemKind::PrimaryKey => true,
        // MariaDB is content with a unique key whose columns are never NULL.
        ItemKind::Key { unique: true, columns } => {
            vendor == Vendor::MariaDb && not_null(columns.text(definition))
        }
        _ => false,
    });
    let numbers = |kind: &ItemKind| matches!(kind, ItemKind::Column { auto_increment: true, .. });
    let own = format!("`{INVISIBLE_KEY}`").into_bytes();
    let is_free = found.items.iter().all(|item| match &item.kind {
        ItemKind::Column { name, .. } => !name.text(definition).eq_ignore_ascii_case(&own),
        _ => true,
    });
    Ok((has, found.partition.is_none() && is_free && !found.items.iter().any(|item| numbers(&item.kind))))
}

/// Plans the keys that the server demands, if the owner consents, or refuses with the list of tables.
pub(super) fn add(plan: &mut LoadPlan, live: &mut Live, consent: bool) -> Result<()> {
    let connection = &mut live.connection;
    let vendor = connection.vendor();
    let demand = match plan.in_place {
        None => demand(connection)?,
        Some(_) => Demand::None,
    };
    if demand == Demand::None {
        return Ok(());
    }
    let (mut keyless, mut stuck) = (Vec::new(), Vec::new());
    let is_strict = |engine: &str| vendor == Vendor::MySql || engine.eq_ignore_ascii_case("InnoDB");
    for (table, record) in plan.new_tables().filter(|(_, record)| is_strict(&record.engine)) {
        match key_of(&record.definition, &table.name, vendor)? {
            (true, _) => {}
            (false, true) => keyless.push(table.name.clone()),
            (false, false) => stuck.push(table.name.clone()),
        }
    }
    // A swap takes foreign keys and checks from the old tables, which is refused for those without a key.
    if demand == Demand::Refuses && vendor == Vendor::MySql {
        for table in &plan.tables {
            let Some(OldSide { kind: TableKind::Table, definition }) = &table.old else { continue };
            let has_constraints = definition.windows(11).any(|window| window == b"CONSTRAINT ");
            if has_constraints && !key_of(definition, &table.name, vendor)?.0 {
                stuck.push(table.name.clone());
            }
        }
    }
    let list = |names: &[RawText]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        some(names.iter().map(String::as_str))
    };
    let refuse = |reason: String| Error::Plan { database: plan.target.name.to_string(), reason };
    let can_hide = vendor == Vendor::MariaDb || connection.version() >= MYSQL_INVISIBLE;
    if !stuck.is_empty() || (!keyless.is_empty() && !can_hide) {
        stuck.extend(keyless);
        return Err(refuse(format!(
            "the server demands a primary key of every table, these have none and cannot be given an invisible one: {}; let an \
             administrator switch that demand off",
            list(&stuck)
        )));
    }
    if keyless.is_empty() {
        return Ok(());
    }
    let names = list(&keyless);
    if demand == Demand::Refuses && !consent {
        return Err(refuse(format!(
            "the server demands a primary key of every table, and these have none: {names}; they can be given an invisible \
             column {INVISIBLE_KEY} as their key, if that is asked for (--add-keys)"
        )));
    }
    plan.warnings
        .push(format!("tables without a primary key get the invisible key {INVISIBLE_KEY}: {names}"));
    if demand == Demand::Refuses {
        plan.added_keys = keyless;
    }
    Ok(())
}
