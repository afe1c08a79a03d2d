//! What the dump reads from a table's definition, and the collations that it adds to it.
//!
//! A server leaves a collation out where it is the default of its character set (MySQL always, MariaDB in some
//! versions). The default differs between versions and vendors, so that the same text would make another table.

use super::ddl::{DdlSpans, Edits, Item, ItemKind, OptionKind, Span};
use super::sql::{Lexer, Modes, Token, TokenKind, name_bytes};

/// The names of the columns, in their order.
pub(crate) fn column_names(spans: &DdlSpans, definition: &[u8]) -> Vec<Vec<u8>> {
    let name = |item: &Item| match &item.kind {
        ItemKind::Column { name, .. } => Some(name_bytes(name.text(definition))),
        _ => None,
    };
    spans.items.iter().filter_map(name).collect()
}

/// The two columns of `PERIOD FOR SYSTEM_TIME (start, end)`, where the table declares them.
pub(crate) fn row_time_columns(spans: &DdlSpans, definition: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    spans.items.iter().filter(|item| item.kind == ItemKind::Period).find_map(|item| {
        let sql = item.span.text(definition);
        let tokens = tokens(sql);
        if !tokens.iter().any(|token| token.is_word(sql, "SYSTEM_TIME")) {
            return None;
        }
        let mut names = tokens.iter().filter(|token| token.kind == TokenKind::Name);
        Some((name_bytes(names.next()?.text(sql)), name_bytes(names.next()?.text(sql))))
    })
}

fn tokens(sql: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer::new(sql, Modes::default());
    std::iter::from_fn(|| lexer.next_token().ok().flatten()).collect()
}

/// The definition with every collation written out. `column_collations` are the server's, by column name.
pub(crate) fn with_collations(
    spans: &DdlSpans,
    definition: &[u8],
    table_collation: &str,
    column_collations: &[(Vec<u8>, String)],
) -> Vec<u8> {
    let mut edits = Edits::default();
    for item in &spans.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let name = name_bytes(name.text(definition));
        let Some((_, collation)) = column_collations.iter().find(|(column, _)| *column == name) else {
            continue;
        };
        if let Some(end) = bare_character_set(item.span.text(definition)) {
            let at = item.span.start + end;
            edits.replace(Span { start: at, end: at }, format!(" COLLATE {collation}"));
        }
    }
    let option = |kind| spans.options.iter().find(|option| option.kind == kind);
    if let (Some(charset), None) = (option(OptionKind::Charset), option(OptionKind::Collate))
        && !table_collation.is_empty()
    {
        let at = charset.span.end;
        edits.replace(Span { start: at, end: at }, format!(" COLLATE={table_collation}"));
    }
    edits.apply(definition)
}

/// Where, in a column's definition, `CHARACTER SET name` ends, if no COLLATE follows it.
fn bare_character_set(column: &[u8]) -> Option<usize> {
    let tokens = tokens(column);
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth -= 1,
            _ if depth == 0 && token.is_word(column, "CHARACTER") => {
                let is = |offset: usize, word| {
                    tokens.get(at + offset).is_some_and(|token| token.is_word(column, word))
                };
                let name = tokens.get(at + 2)?;
                return (is(1, "SET") && !is(3, "COLLATE")).then_some(name.end);
            }
            _ => {}
        }
    }
    None
}

/// The definition without its next AUTO_INCREMENT number, which changes with every row: what must stay equal while
/// the rows are read.
pub(crate) fn without_auto_increment(spans: &DdlSpans, definition: &[u8]) -> Vec<u8> {
    let mut edits = Edits::default();
    for option in spans.options.iter().filter(|option| option.kind == OptionKind::AutoIncrement) {
        edits.replace(option.span, "");
    }
    edits.apply(definition)
}

/// The next AUTO_INCREMENT number in the definition.
pub(crate) fn auto_increment(spans: &DdlSpans, definition: &[u8]) -> Option<u64> {
    let option = spans.options.iter().find(|option| option.kind == OptionKind::AutoIncrement)?;
    std::str::from_utf8(option.value.text(definition)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::ddl::spans;
    use super::*;

    const DEFINITION: &[u8] = b"CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `a` varchar(9) CHARACTER SET latin1 \
        DEFAULT 'CHARACTER SET x',\n  `b` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,\n  `c,``d` char(1),\n  \
        PRIMARY KEY (`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1 COMMENT='x'";

    #[test]
    fn missing_collations_are_added() {
        let spans = spans(DEFINITION).unwrap();
        let collations =
            [(b"a".to_vec(), "latin1_swedish_ci".to_owned()), (b"b".to_vec(), "utf8mb4_bin".to_owned())];
        let text = with_collations(&spans, DEFINITION, "latin1_swedish_ci", &collations);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT"), "{text}");
        assert!(text.contains("CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT"), "{text}");
        assert_eq!(text.matches("COLLATE").count(), 3);
    }

    #[test]
    fn facts_are_read() {
        let spans = spans(DEFINITION).unwrap();
        assert_eq!(column_names(&spans, DEFINITION), [&b"id"[..], b"a", b"b", b"c,`d"]);
        assert_eq!(auto_increment(&spans, DEFINITION), Some(7));
        let without = without_auto_increment(&spans, DEFINITION);
        assert!(!without.windows(16).any(|window| window == b"AUTO_INCREMENT=7"));
    }

    #[test]
    fn declared_row_times_are_found() {
        let definition = b"CREATE TABLE `t` (\n  `a` int,\n  `rs` timestamp(6) GENERATED ALWAYS AS ROW START,\n  `re` \
            timestamp(6) GENERATED ALWAYS AS ROW END,\n  PERIOD FOR SYSTEM_TIME (`rs`, `re`)\n) ENGINE=InnoDB WITH \
            SYSTEM VERSIONING";
        let spans = spans(definition).unwrap();
        assert_eq!(row_time_columns(&spans, definition), Some((b"rs".to_vec(), b"re".to_vec())));
    }
}
