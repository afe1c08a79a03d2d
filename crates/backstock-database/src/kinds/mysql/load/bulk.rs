//! Rows by `LOAD DATA LOCAL`, whose content comes from memory: the fastest way in, where the server allows it.
//!
//! Data can be lost here: of a bad value this statement only warns, and LOCAL makes it leave rows out that break a
//! rule. So any warning and any other number of rows than were sent takes the whole step back, and the same rows go
//! in by INSERT, which fails instead.

use super::super::ddl::Text;
use super::super::rows::CURRENT_ROW_END;
use crate::Connection;
use crate::record::{ColumnRecord, LiteralForm, TableRecord};
use crate::settings::ServerSettings;

/// How long the server may take to answer the question whether it allows the statement at all.
const PROBE_LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// The statement for all columns of a table. `token` stands for a file's name: the connection answers no request for
/// any other.
pub(super) fn statement(columns: &[ColumnRecord], name: &[u8], token: &str, ignore: bool) -> Vec<u8> {
    let mut statement = Text::new("LOAD DATA LOCAL INFILE ").text(token.as_bytes());
    statement = statement.sql(if ignore { " IGNORE" } else { "" }).sql(" INTO TABLE ").name(name);
    // Binary, so that no byte of any character set is looked at.
    statement = statement.sql(" CHARACTER SET binary FIELDS TERMINATED BY x'1A' ESCAPED BY '\\\\' (");
    let mut assignments = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let variable = format!("@backstock_{at}");
        statement = match expression(column, &variable) {
            Some(expression) => {
                assignments.push(Text::default().name(&column.name).sql("=").sql(expression).bytes());
                statement.sql(comma).sql(variable)
            }
            None => statement.sql(comma).name(&column.name),
        };
    }
    statement = statement.sql(")");
    if !assignments.is_empty() {
        statement = statement.sql(" SET ").sql(assignments.join(&b","[..]));
    }
    statement.bytes()
}

/// What makes a column's value of the bytes read, where these are not the value already.
fn expression(column: &ColumnRecord, variable: &str) -> Option<String> {
    let is_time = || {
        let types = [&b"date"[..], b"time"];
        types.iter().any(|name| column.type_text.starts_with(name))
    };
    match column.literal {
        LiteralForm::RowEnd => {
            Some(format!("IF({variable}='',{CURRENT_ROW_END},CONVERT({variable} USING utf8mb4))"))
        }
        // Bytes would be refused for JSON, and taken for addresses and numbers of their own in the others.
        LiteralForm::Quoted if !is_time() => Some(format!("CONVERT({variable} USING utf8mb4)")),
        // As text it would be looked up among the members first; as a sum it would lose digits.
        LiteralForm::Ordinal => Some(format!("CAST({variable} AS UNSIGNED)")),
        _ => None,
    }
}

/// The name that a statement gives its content: one that no other statement of the connection could announce.
pub(super) fn token(connection: &Connection, number: usize) -> String {
    format!("backstock-{}-{number}", connection.connection_id())
}

/// Whether rows can go in this way: asked once, with no rows, over a connection of its own that may break.
pub(super) fn is_allowed(
    settings: &ServerSettings,
    database: &[u8],
    record: &TableRecord,
    name: &[u8],
) -> bool {
    let Ok(mut connection) = Connection::open(settings, Some(database)) else { return false };
    let on = connection.query(b"SELECT @@local_infile");
    if !on.is_ok_and(|result| result.single() == Some(b"1"))
        || connection.set_timeout(Some(PROBE_LIMIT)).is_err()
    {
        return false;
    }
    let token = token(&connection, 0);
    let sql = statement(&record.columns, name, &token, false);
    let done = connection.execute_with_local_infile(&sql, token.as_bytes(), &mut &[][..]);
    done.is_ok_and(|done| done.warnings == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_columns_and_what_makes_them() {
        let column = |name: &str, literal, type_text: &str| ColumnRecord {
            name: name.into(),
            literal,
            type_text: type_text.into(),
        };
        let columns = [
            column("a", LiteralForm::Number, "int"),
            column("e", LiteralForm::Ordinal, "set('x')"),
            column("t", LiteralForm::Quoted, "datetime(3)"),
            column("j", LiteralForm::Quoted, "json"),
        ];
        let sql = statement(&columns, b"n", "token", false);
        assert_eq!(
            String::from_utf8(sql).unwrap(),
            "LOAD DATA LOCAL INFILE 'token' INTO TABLE `n` CHARACTER SET binary FIELDS TERMINATED BY x'1A' ESCAPED BY \
             '\\\\' (`a`,@backstock_1,`t`,@backstock_3) SET `e`=CAST(@backstock_1 AS UNSIGNED),\
             `j`=CONVERT(@backstock_3 USING utf8mb4)"
        );
    }
}
