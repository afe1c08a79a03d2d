//! What a table's definition tells of its columns, without a server.

use crate::kinds::mysql::ddl::{DdlSpans, ItemKind, OptionKind};
use crate::kinds::mysql::rows::{ColumnType, literal_form};
use crate::kinds::mysql::sql::{Lexer, Modes, Token, TokenKind, name_bytes};
use crate::record::{ColumnRecord, LiteralForm};
use crate::{RawText, Vendor};

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftColumn {
    pub(super) record: ColumnRecord,
    /// Whether its values come from other columns.
    pub(super) is_generated: bool,
    /// Whether an INSERT without a column list leaves it out.
    pub(super) is_invisible: bool,
    /// Whether its values are bytes, without a character set.
    pub(super) is_binary: bool,
    /// Whether its values depend on the session's time zone.
    pub(super) is_timestamp: bool,
}

/// The columns of a definition, in their order.
pub(super) fn columns(definition: &[u8], found: &DdlSpans, vendor: Vendor) -> Vec<DraftColumn> {
    let option = |kind| found.options.iter().find(|option| option.kind == kind);
    let text_of = |kind| option(kind).map(|option| lower(option.value.text(definition)));
    let default = text_of(OptionKind::Charset)
        .or_else(|| text_of(OptionKind::Collate).as_deref().map(character_set_of))
        .unwrap_or_else(|| "utf8mb4".to_owned());
    let column = |span: &[u8]| column(span, &default, vendor);
    let items = found.items.iter().filter(|item| matches!(item.kind, ItemKind::Column { .. }));
    items.filter_map(|item| column(item.span.text(definition))).collect()
}

fn column(text: &[u8], default_character_set: &str, vendor: Vendor) -> Option<DraftColumn> {
    let mut lexer = Lexer::new(text, Modes::default());
    let mut depth = 0_i32;
    // The tokens outside of brackets, and where the brackets right behind the type end.
    let mut tokens: Vec<Token> = Vec::new();
    let mut type_end = None;
    while let Ok(Some(token)) = lexer.next_token() {
        if token.kind == TokenKind::Symbol(b')') {
            depth -= 1;
            if depth == 0 && tokens.len() == 3 && tokens[2].kind == TokenKind::Symbol(b'(') {
                type_end = Some(token.end);
            }
        }
        if depth == 0 && !matches!(token.kind, TokenKind::Open | TokenKind::Close) {
            tokens.push(token);
        }
        if token.kind == TokenKind::Symbol(b'(') {
            depth += 1;
        }
    }
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let has = |word: &str| (2..tokens.len()).any(|at| is(at, word));
    let name = name_bytes(tokens.first()?.text(text));
    let data_type = type_name(&lower(tokens.get(1)?.text(text)));
    let named = (2..tokens.len()).find_map(|at| {
        if is(at, "character") && is(at + 1, "set") {
            tokens.get(at + 2).map(|token| lower(token.text(text)))
        } else if is(at, "charset") {
            tokens.get(at + 1).map(|token| lower(token.text(text)))
        } else {
            None
        }
    });
    let collation = (2..tokens.len()).find(|at| is(*at, "collate")).and_then(|at| tokens.get(at + 1));
    let collation = collation.map(|token| character_set_of(&lower(token.text(text))));
    let character_set = named.or(collation).unwrap_or_else(|| default_character_set.to_owned());
    let type_token = tokens.get(1)?;
    let full = lower(&text[type_token.start..type_end.unwrap_or(type_token.end)]);
    let column_type = ColumnType { data_type: &data_type, full: &full, character_set: Some(&character_set) };
    let literal = literal_form(vendor, column_type).unwrap_or(LiteralForm::Bytes);
    let is_computed = (2..tokens.len()).any(|at| is(at, "as"));
    Some(DraftColumn {
        record: ColumnRecord { name: RawText(name), literal, type_text: full.into_bytes().into() },
        is_generated: is_computed,
        is_invisible: has("invisible"),
        is_binary: is_binary(&data_type),
        is_timestamp: data_type == "timestamp",
    })
}

fn is_binary(data_type: &str) -> bool {
    let names = [
        "binary",
        "varbinary",
        "bit",
        "vector",
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geomcollection",
        "geometrycollection",
    ];
    names.contains(&data_type) || data_type.ends_with("blob")
}

/// The name under which servers know a type.
fn type_name(word: &str) -> String {
    match word {
        "bool" | "boolean" => "tinyint",
        "dec" | "fixed" => "decimal",
        "int1" => "tinyint",
        "int2" => "smallint",
        "int4" => "int",
        "int8" | "serial" => "bigint",
        "nchar" | "character" => "char",
        "nvarchar" => "varchar",
        other => other,
    }
    .to_owned()
}

fn character_set_of(collation: &str) -> String {
    collation.split('_').next().unwrap_or_default().to_owned()
}

fn lower(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    text.trim_matches(|letter| matches!(letter, '\'' | '"' | '`')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::mysql::ddl::spans;

    #[test]
    fn columns_are_read_from_the_text() {
        let definition = b"CREATE TABLE `t` (\n  `a` int(11) unsigned NOT NULL,\n  `b` varchar(9) COLLATE latin1_bin \
            DEFAULT 'as',\n  `c` int GENERATED ALWAYS AS (`a` + 1) VIRTUAL,\n  `d` mediumblob /*!80023 INVISIBLE */,\n  \
            `e` timestamp(6) NOT NULL DEFAULT current_timestamp(6),\n  `f` text,\n  `g` double(3,1),\n  PRIMARY KEY \
            (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3";
        let found = columns(definition, &spans(definition).unwrap(), Vendor::MariaDb);
        let forms: Vec<LiteralForm> = found.iter().map(|column| column.record.literal).collect();
        use LiteralForm::{Approximate, AsciiText, Bytes, NarrowText, Number, Quoted};
        assert_eq!(forms, [Number, AsciiText, Number, Bytes, Quoted, NarrowText, Approximate]);
        let odd: Vec<bool> = found.iter().map(|column| column.is_generated).collect();
        assert_eq!(odd, [false, false, true, false, false, false, false]);
        assert!(found[3].is_invisible && found[3].is_binary && found[4].is_timestamp);
        assert_eq!(found[0].record.type_text.to_string(), "int(11)");
    }
}
