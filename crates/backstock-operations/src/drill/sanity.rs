//! Whether a restored database is that of a working shop: the platform says what to look for, this asks and judges.
//!
//! That every row is the one that was backed up is known by then. An order and an active product a shop may lack (a new one, a
//! test shop): that there is none is said, and is no fault, unless a table of products has rows and none of them is
//! active. Without an administrator or an address it is no working shop: the drill is then proven with that exception.

use std::collections::BTreeMap;

use backstock_database::{
    Connection, Contents, DumpedObject, Error, Result, prepare_to_read, quote_name, quote_text, readable,
};
use backstock_platform::{SanityCheck, SanityCondition, SanitySource, SanitySubject, ShopLayout, kind};

use super::report::{SanityResult, SanityState};

/// Of a value that is shown, at most so many characters.
const SHOWN_LIMIT: usize = 200;
/// At most so many addresses are shown.
const ADDRESSES_LIMIT: usize = 5;

/// Asks everything that the platform says. A shop without a platform is asked nothing.
pub(super) fn look(
    connection: &mut Connection,
    database: &[u8],
    layout: &ShopLayout,
    objects: &[DumpedObject],
) -> Result<Vec<SanityResult>> {
    prepare_to_read(connection)?;
    connection.execute(&[b"USE ".as_slice(), &quote_name(database)].concat())?;
    let rows = objects.iter().filter_map(|object| match object {
        DumpedObject::Table(table) if table.contents == Contents::Included => {
            Some((table.name.to_vec(), table.row_count))
        }
        _ => None,
    });
    let mut looking = Looking { connection, rows: rows.collect() };
    let checks = kind(layout.platform).map(|kind| kind.sanity(layout)).unwrap_or_default();
    let mut results = checks.iter().map(|check| looking.check(check)).collect::<Result<Vec<_>>>()?;
    if !checks.is_empty() {
        results.push(looking.address(layout)?);
    }
    Ok(results)
}

struct Looking<'a> {
    connection: &'a mut Connection,
    /// The tables whose rows are in the backup, with their number.
    rows: BTreeMap<Vec<u8>, u64>,
}

impl Looking<'_> {
    fn check(&mut self, check: &SanityCheck) -> Result<SanityResult> {
        let what = match check.subject {
            SanitySubject::NewestOrder => "newest order",
            SanitySubject::ActiveProducts => "active products",
            SanitySubject::AdminAccounts => "administrators",
        };
        let result = |state, found| Ok(SanityResult { what, state, found });
        let known: Vec<&SanitySource> =
            check.sources.iter().filter(|source| self.rows.contains_key(source.table.as_bytes())).collect();
        if known.is_empty() {
            return result(
                SanityState::NotAsked,
                "the backup does not have the table, or not its rows".to_owned(),
            );
        }
        let mut counted = 0_u64;
        let mut newest: Vec<String> = Vec::new();
        for source in &known {
            match self.ask(source) {
                Ok(found) => {
                    counted += found.0;
                    newest.extend(found.1);
                }
                Err(Error::Statement { source: said, .. }) => {
                    let found = format!("{} cannot be asked: {}", source.table, said.message);
                    return result(SanityState::NotAsked, found);
                }
                Err(error) => return Err(error),
            }
        }
        let is_needed = check.subject == SanitySubject::AdminAccounts;
        let others = |source: &&&SanitySource| !source.is_shared && self.rows[source.table.as_bytes()] > 0;
        match (counted, check.subject) {
            (1.., SanitySubject::NewestOrder) => result(SanityState::Found, newest.join("; ")),
            (1.., _) => result(SanityState::Found, counted.to_string()),
            (0, _) if is_needed => result(SanityState::Missing, "there is none".to_owned()),
            (0, _) => match known.iter().find(others) {
                Some(source) => {
                    let rows = self.rows[source.table.as_bytes()];
                    let found = format!("none, though {} has {rows} rows", source.table);
                    result(SanityState::Missing, found)
                }
                None => result(SanityState::None, "none, as in the backup".to_owned()),
            },
        }
    }

    /// How many rows fit, and the newest of them where that is asked for.
    fn ask(&mut self, source: &SanitySource) -> Result<(u64, Option<String>)> {
        let mut from = [b" FROM ".as_slice(), &quote_name(source.table.as_bytes())].concat();
        conditions(&source.conditions, &mut from);
        let counted = self.connection.query(&[b"SELECT COUNT(*)".as_slice(), &from].concat())?;
        let count = counted.single().and_then(|text| readable(text).parse().ok()).unwrap_or(0);
        let Some((by, shown)) = source.newest.as_ref().filter(|_| count > 0) else {
            return Ok((count, None));
        };
        let columns: Vec<Vec<u8>> = shown.iter().map(|column| quote_name(column.as_bytes())).collect();
        let order = [b" ORDER BY ".as_slice(), &quote_name(by.as_bytes()), b" DESC LIMIT 1"].concat();
        let statement = [b"SELECT ".as_slice(), &columns.join(&b", "[..]), &from, &order].concat();
        let found = self.connection.query(&statement)?;
        let row = found.rows.into_iter().next().unwrap_or_default();
        let values = row.iter().map(|value| value.as_deref().map_or_else(|| "-".to_owned(), shown_value));
        Ok((count, Some(values.collect::<Vec<_>>().join(", "))))
    }

    /// An address of the shop, in its files or its database.
    fn address(&mut self, layout: &ShopLayout) -> Result<SanityResult> {
        let result = |state, found| Ok(SanityResult { what: "address of the shop", state, found });
        let mut found = layout.base_urls.clone();
        for query in &layout.base_url_queries {
            if !self.rows.contains_key(query.table.as_bytes()) {
                continue;
            }
            let columns: Vec<Vec<u8>> =
                query.columns.iter().map(|column| quote_name(column.as_bytes())).collect();
            let mut statement = [b"SELECT ".as_slice(), &columns.join(&b", "[..]), b" FROM "].concat();
            statement.extend(quote_name(query.table.as_bytes()));
            let holds: Vec<SanityCondition> = query
                .conditions
                .iter()
                .map(|one| SanityCondition::Is { column: one.column.clone(), any_of: one.any_of.clone() })
                .collect();
            conditions(&holds, &mut statement);
            statement.extend(format!(" LIMIT {ADDRESSES_LIMIT}").into_bytes());
            match self.connection.query(&statement) {
                Ok(rows) => {
                    let text = |row: &Vec<Option<Vec<u8>>>| {
                        row.iter().flatten().map(|value| readable(value)).collect()
                    };
                    let texts = rows.rows.iter().map(text).filter(|text: &String| !text.is_empty());
                    found.extend(texts.map(|text| shown_value(format!("{}{text}", query.lead).as_bytes())));
                }
                Err(Error::Statement { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.dedup();
        found.truncate(ADDRESSES_LIMIT);
        if found.is_empty() {
            return result(SanityState::Missing, "neither the files nor the database tell one".to_owned());
        }
        result(SanityState::Found, found.join(", "))
    }
}

fn shown_value(value: &[u8]) -> String {
    let text = readable(value);
    let mut shown: String = text.chars().take(SHOWN_LIMIT).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Writes the conditions as SQL; none writes nothing.
fn conditions(list: &[SanityCondition], sql: &mut Vec<u8>) {
    for (at, condition) in list.iter().enumerate() {
        sql.extend_from_slice(if at == 0 { b" WHERE " } else { b" AND " });
        match condition {
            SanityCondition::Is { column, any_of } => {
                let texts: Vec<Vec<u8>> = any_of.iter().map(|text| quote_text(text.as_bytes())).collect();
                sql.extend(
                    [&quote_name(column.as_bytes())[..], b" IN (", &texts.join(&b", "[..]), b")"].concat(),
                );
            }
            SanityCondition::Holds { column, text } => {
                let pattern = quote_text(format!("%{text}%").as_bytes());
                sql.extend([&quote_name(column.as_bytes())[..], b" LIKE ", &pattern].concat());
            }
            SanityCondition::Among { column, table, of, conditions: inner } => {
                sql.extend(
                    [&quote_name(column.as_bytes())[..], b" IN (SELECT ", &quote_name(of.as_bytes())]
                        .concat(),
                );
                sql.extend([b" FROM ".as_slice(), &quote_name(table.as_bytes())].concat());
                conditions(inner, sql);
                sql.push(b')');
            }
        }
    }
}
