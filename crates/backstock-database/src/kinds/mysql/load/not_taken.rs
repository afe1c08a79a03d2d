//! Why a server of another vendor or version does not take a table: said with the table's own name, and with the rows that
//! its collations hold for one and the same. Nothing is dropped to make them fit.

use super::super::ddl::{Item, ItemKind, OptionKind, Text, spans};
use super::super::sql::{Lexer, Modes, SqlFault, Token, TokenKind, quote_name};
use super::rows::RowTarget;
use super::table::Loading;
use crate::error::{Error, Result, ServerError};
use crate::load::{FrameSource, TablePlan};
use crate::record::TableRecord;
use crate::{Connection, RawText, readable};

/// Two rows have the same unique key.
const ERROR_DUPLICATE: u16 = 1062;
/// A value is none of the type's: 1292, 1525.
const ERRORS_WRONG_TIME: [u16; 2] = [1292, 1525];
/// At most so many groups of rows are shown for each key.
const SHOWN_GROUPS: u64 = 5;

/// A unique key: the element of a definition and its columns as an expression.
struct UniqueKey {
    shown: String,
    columns: Vec<Vec<u8>>,
    /// The columns, of prefixes as many characters as the key has.
    parts: Vec<Vec<u8>>,
}

/// Says what an error of a load aside is about, where the server is another than the one that was dumped.
pub(super) fn explain(loading: &Loading<'_>, error: Error) -> Error {
    let plan = loading.plan;
    if plan.is_same_version() {
        return error;
    }
    let Error::Statement { statement, source: said } = error else { return error };
    // The statement begins with the table; others that it refers to come behind.
    let place = |table: &TablePlan| statement.find(&format!("`{}`", plan.new_name(table)));
    let named = plan.new_tables().filter_map(|(table, record)| Some((place(table)?, table, record)));
    let Some((_, table, record)) = named.min_by_key(|(place, ..)| *place) else {
        return Error::Statement { statement, source: said };
    };
    let what = match said.code {
        ERROR_DUPLICATE => collisions(loading, table, record).unwrap_or_default(),
        code if ERRORS_WRONG_TIME.contains(&code) && has_timestamp(record) => {
            "a TIMESTAMP of this server may end in 2038, where a DATETIME does not".to_owned()
        }
        _ => String::new(),
    };
    let what = if what.is_empty() { "a server of another kind refuses it".to_owned() } else { what };
    let mut message = said.message.clone();
    // A name may be the beginning of another one with a higher number.
    for (other, _) in plan.new_tables().collect::<Vec<_>>().into_iter().rev() {
        message = message.replace(&plan.new_name(other).to_string(), &other.name.to_string());
    }
    Error::NotTaken { table: table.name.to_string(), what, source: ServerError { message, ..said } }
}

fn has_timestamp(record: &TableRecord) -> bool {
    record.columns.iter().any(|column| column.type_text.0.to_ascii_lowercase().starts_with(b"timestamp"))
}

/// The rows that are one and the same by a unique key, as far as they can be found.
fn collisions(loading: &Loading<'_>, table: &TablePlan, record: &TableRecord) -> Result<String> {
    let fault = |source| Error::Sql { object: format!("the definition of table {}", record.name), source };
    let keys = unique_keys(&record.definition).map_err(fault)?;
    let name = loading.plan.new_name(table);
    let mut connection = loading.open()?;
    connection.execute(&Text::new("DROP TABLE IF EXISTS ").name(&name).bytes())?;
    connection.execute(&without_unique_keys(&record.definition, &name).map_err(fault)?)?;
    fill(&mut connection, loading.source, record, &name)?;
    let mut found = Vec::new();
    for key in keys {
        let groups = groups(&mut connection, &name, &key)?;
        if !groups.is_empty() {
            found.push(format!("for {} these rows are the same here: {}", key.shown, groups.join("; ")));
        }
    }
    connection.execute(&Text::new("DROP TABLE IF EXISTS ").name(&name).bytes())?;
    Ok(found.join(". "))
}

fn fill(
    connection: &mut Connection,
    source: &dyn FrameSource,
    record: &TableRecord,
    name: &RawText,
) -> Result<()> {
    let packet = connection.query(b"SELECT @@max_allowed_packet")?;
    let packet_bytes = packet.single().map(readable).and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
    let mut target = RowTarget { connection, name, record, packet_bytes, in_bulk: false, lines: Vec::new() };
    for frame in &record.frames {
        target.load_frame(source, frame.frame)?;
    }
    Ok(())
}

fn groups(connection: &mut Connection, name: &RawText, key: &UniqueKey) -> Result<Vec<String>> {
    let quoted = key.columns.iter().map(|column| [b"QUOTE(", column.as_slice(), b")"].concat());
    let shown = quoted.collect::<Vec<_>>().join(&b", "[..]);
    let not_null = key.columns.iter().map(|column| [column.as_slice(), b" IS NOT NULL"].concat());
    let not_null = not_null.collect::<Vec<_>>().join(&b" AND "[..]);
    let statement = Text::new("SELECT GROUP_CONCAT(CONCAT_WS(', ', ")
        .sql(shown)
        .sql(") SEPARATOR ' and ') FROM ")
        .name(name)
        .sql(" WHERE ")
        .sql(not_null)
        .sql(" GROUP BY ")
        .sql(key.parts.join(&b", "[..]))
        .sql(format!(" HAVING COUNT(*) > 1 LIMIT {SHOWN_GROUPS}"))
        .bytes();
    let result = connection.query(&statement)?;
    let texts = result.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(texts.map(|text| readable(&text)).collect())
}

fn is_unique(item: &Item) -> bool {
    matches!(item.kind, ItemKind::PrimaryKey | ItemKind::Key { unique: true, .. })
}

/// The unique keys of a definition.
fn unique_keys(definition: &[u8]) -> std::result::Result<Vec<UniqueKey>, SqlFault> {
    let mut keys = Vec::new();
    for item in spans(definition)?.items.iter().filter(|item| is_unique(item)) {
        let text = item.span.text(definition);
        let mut lexer = Lexer::new(text, Modes::default());
        let mut tokens: Vec<Token> = Vec::new();
        while let Some(token) = lexer.next_token()? {
            tokens.push(token);
        }
        let mut key = UniqueKey { shown: readable(text), columns: Vec::new(), parts: Vec::new() };
        let open = tokens.iter().position(|token| token.kind == TokenKind::Symbol(b'('));
        let listed = tokens.get(open.unwrap_or(tokens.len())..).unwrap_or_default();
        for (at, token) in listed.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::Name) {
            let column = token.text(text).to_vec();
            let length = match listed.get(at + 1..at + 3) {
                Some([open, length]) if open.kind == TokenKind::Symbol(b'(') => Some(length.text(text)),
                _ => None,
            };
            key.parts.push(match length {
                Some(length) => [b"LEFT(", column.as_slice(), b", ", length, b")"].concat(),
                None => column.clone(),
            });
            key.columns.push(column);
        }
        if !key.columns.is_empty() {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// A table of the same columns and character sets whose keys allow everything twice.
fn without_unique_keys(definition: &[u8], name: &RawText) -> std::result::Result<Vec<u8>, SqlFault> {
    let found = spans(definition)?;
    let mut elements = Vec::new();
    for item in &found.items {
        let text = item.span.text(definition);
        match &item.kind {
            ItemKind::Column { .. } => elements.push(text.to_vec()),
            // The number of rows needs a key.
            _ if is_unique(item) => {
                let at = text.windows(4).position(|window| window.eq_ignore_ascii_case(b"KEY ")).unwrap_or(0);
                elements.push(text[at..].to_vec());
            }
            _ => {}
        }
    }
    let mut statement = [
        b"CREATE TABLE ",
        quote_name(name).as_slice(),
        b" (",
        &elements.join(&b", "[..]),
        b") ENGINE=InnoDB",
    ]
    .concat();
    for (kind, word) in [(OptionKind::Charset, " DEFAULT CHARSET="), (OptionKind::Collate, " COLLATE=")] {
        if let Some(option) = found.options.iter().find(|option| option.kind == kind) {
            statement.extend_from_slice(word.as_bytes());
            statement.extend_from_slice(option.value.text(definition));
        }
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &[u8] = b"CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `KEY a` varchar(20) DEFAULT NULL,\n  \
        PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`KEY a`(5),`id`),\n  KEY `k` (`id`),\n  \
        CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `p` (`id`)\n) ENGINE=MyISAM DEFAULT CHARSET=latin1 COLLATE=latin1_bin";

    #[test]
    fn unique_keys_are_found_with_their_prefixes() {
        let keys = unique_keys(DEFINITION).unwrap();
        let parts = |key: &UniqueKey| String::from_utf8(key.parts.join(&b" "[..])).unwrap();
        assert_eq!(keys.iter().map(parts).collect::<Vec<_>>(), ["`id`", "LEFT(`KEY a`, 5) `id`"]);
        assert_eq!(keys[1].columns, [b"`KEY a`".to_vec(), b"`id`".to_vec()]);
    }

    #[test]
    fn a_table_without_unique_keys_has_the_rest() {
        let text = String::from_utf8(without_unique_keys(DEFINITION, &"x".into()).unwrap()).unwrap();
        assert_eq!(
            text,
            "CREATE TABLE `x` (`id` int NOT NULL AUTO_INCREMENT, `KEY a` varchar(20) DEFAULT NULL, KEY (`id`), \
             KEY `u` (`KEY a`(5),`id`)) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_bin"
        );
    }
}
