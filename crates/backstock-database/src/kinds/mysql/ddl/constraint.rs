//! Foreign keys and checks as values: read from a definition, compared, and written under other names.

use super::super::sql::{Lexer, Modes, SqlFault, Token, TokenKind, name_bytes, quote_name};
use super::{Edits, ItemKind, Span, Text, joined_names, spans};

/// What happens to the child when the parent's row goes or changes. RESTRICT, NO ACTION and nothing at all are one
/// and the same to InnoDB, and are printed differently by different versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Refuse,
    Cascade,
    SetNull,
    SetDefault,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    /// The constraint's name.
    pub(crate) name: Vec<u8>,
    pub(crate) columns: Vec<Vec<u8>>,
    /// The parent's schema, where it is another one.
    pub(crate) schema: Option<Vec<u8>>,
    /// The parent's name.
    pub(crate) parent: Vec<u8>,
    pub(crate) referenced: Vec<Vec<u8>>,
    on_delete: Action,
    on_update: Action,
    tail: Vec<u8>,
}

impl ForeignKey {
    /// The element of a definition that makes it.
    pub(crate) fn sql(&self) -> Vec<u8> {
        let mut text = Text::new("CONSTRAINT ").name(&self.name).sql(" FOREIGN KEY (");
        text = text.sql(joined_names(&self.columns)).sql(") REFERENCES ");
        if let Some(schema) = &self.schema {
            text = text.name(schema).sql(".");
        }
        text = text.name(&self.parent).sql(" (").sql(joined_names(&self.referenced)).sql(")");
        if !self.tail.is_empty() {
            text = text.sql(" ").sql(&self.tail);
        }
        text.bytes()
    }

    /// The same key under another name.
    #[must_use]
    pub(crate) fn named(mut self, name: Vec<u8>) -> Self {
        self.name = name;
        self
    }

    /// The same key with another parent in the child's own schema.
    #[must_use]
    pub(crate) fn pointed_at(mut self, parent: Vec<u8>) -> Self {
        self.schema = None;
        self.parent = parent;
        self
    }

    /// Whether both mean the same and bear the same name.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.means(other)
    }

    /// Whether both mean the same, whatever they are called.
    pub(crate) fn means(&self, other: &Self) -> bool {
        let same_columns = |one: &[Vec<u8>], two: &[Vec<u8>]| {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.eq_ignore_ascii_case(two))
        };
        same_columns(&self.columns, &other.columns)
            && same_columns(&self.referenced, &other.referenced)
            && self.schema == other.schema
            && self.parent == other.parent
            && self.on_delete == other.on_delete
            && self.on_update == other.on_update
    }
}

/// A table's CHECK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckConstraint {
    /// The constraint's name.
    pub(crate) name: Vec<u8>,
    /// From the word CHECK to the closing bracket of its expression.
    pub(crate) expression: Vec<u8>,
    /// Whether the server enforces it.
    pub(crate) enforced: bool,
}

impl CheckConstraint {
    /// The element of a definition that makes it, under this name.
    pub(crate) fn sql(&self, name: &[u8]) -> Vec<u8> {
        let text = Text::new("CONSTRAINT ").name(name).sql(" ").sql(&self.expression);
        if self.enforced { text.bytes() } else { text.sql(" NOT ENFORCED").bytes() }
    }
}

fn names_in(text: &[u8]) -> Result<Vec<Vec<u8>>, SqlFault> {
    let mut lexer = Lexer::new(text, Modes::default());
    let mut names = Vec::new();
    while let Some(token) = lexer.next_token()? {
        if token.kind == TokenKind::Name {
            names.push(name_bytes(token.text(text)));
        }
    }
    Ok(names)
}

fn action(tail: &[u8], event: &str) -> Result<Action, SqlFault> {
    let mut lexer = Lexer::new(tail, Modes::default());
    let mut words = Vec::new();
    while let Some(token) = lexer.next_token()? {
        words.push(String::from_utf8_lossy(token.text(tail)).to_ascii_lowercase());
    }
    let at = words.windows(2).position(|pair| pair[0] == "on" && pair[1] == event);
    let what = at.map(|at| words[at + 2..].iter().take(2).map(String::as_str).collect::<Vec<_>>());
    Ok(match what.as_deref() {
        Some(["cascade", ..]) => Action::Cascade,
        Some(["set", "null"]) => Action::SetNull,
        Some(["set", "default"]) => Action::SetDefault,
        _ => Action::Refuse,
    })
}

/// The foreign keys of a table definition, in its order. A parent in `database` itself has no schema.
pub(crate) fn foreign_keys(definition: &[u8], database: &[u8]) -> Result<Vec<ForeignKey>, SqlFault> {
    let name_of = |span: &Span| name_bytes(span.text(definition));
    let mut found = Vec::new();
    for item in spans(definition)?.items {
        let ItemKind::ForeignKey { name, columns, schema, table, referenced } = &item.kind else { continue };
        let tail = Span { start: referenced.end, end: item.span.end };
        let tail = tail.text(definition).trim_ascii().to_vec();
        found.push(ForeignKey {
            name: name.as_ref().map(name_of).unwrap_or_default(),
            columns: names_in(columns.text(definition))?,
            schema: schema.as_ref().map(name_of).filter(|schema| schema != database),
            parent: name_of(table),
            referenced: names_in(referenced.text(definition))?,
            on_delete: action(&tail, "delete")?,
            on_update: action(&tail, "update")?,
            tail,
        });
    }
    Ok(found)
}

/// A name in small letters, as servers compare names of constraints, and some keep names of tables.
pub(crate) fn folded(name: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(name).to_lowercase().into_bytes()
}

/// A definition whose foreign keys name their parents in small letters.
pub(crate) fn with_folded_parents(definition: &[u8]) -> Result<Vec<u8>, SqlFault> {
    let mut edits = Edits::default();
    for item in spans(definition)?.items {
        if let ItemKind::ForeignKey { schema, table, .. } = item.kind {
            for name in schema.into_iter().chain([table]) {
                edits.replace(name, folded(name.text(definition)));
            }
        }
    }
    Ok(edits.apply(definition))
}

/// A trigger's definition on the table of this name, if it names it in another case.
pub(crate) fn trigger_on(definition: &[u8], modes: Modes, table: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(definition, modes);
    let mut tokens = Vec::new();
    while let Ok(Some(token)) = lexer.next_token() {
        // `… ON [schema.]table FOR EACH ROW`
        if token.is_word(definition, "FOR") && tokens.iter().any(|on: &Token| on.is_word(definition, "ON")) {
            break;
        }
        tokens.push(token);
    }
    let mut edits = Edits::default();
    if let Some(last) = tokens.last() {
        let written = name_bytes(last.text(definition));
        if written != table && folded(&written) == folded(table) {
            edits.replace(Span { start: last.start, end: last.end }, quote_name(table));
        }
    }
    edits.apply(definition)
}

/// The named CHECKs of a table definition, in its order.
pub(crate) fn checks(definition: &[u8]) -> Result<Vec<CheckConstraint>, SqlFault> {
    let mut found = Vec::new();
    for item in spans(definition)?.items {
        if let ItemKind::Check { name: Some(name), body, enforced } = &item.kind {
            let body = body.text(definition);
            found.push(CheckConstraint {
                name: name_bytes(name.text(definition)),
                expression: body[..expression_end(body)?].to_vec(),
                enforced: *enforced,
            });
        }
    }
    Ok(found)
}

/// Behind the bracket that closes the expression.
fn expression_end(body: &[u8]) -> Result<usize, SqlFault> {
    let mut lexer = Lexer::new(body, Modes::default());
    let mut depth = 0_u32;
    while let Some(token) = lexer.next_token()? {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(token.end);
                }
            }
            _ => {}
        }
    }
    Err(SqlFault::new(0, "a CHECK does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &[u8] = b"CREATE TABLE `c` (\n  `a` int,\n  CONSTRAINT `f``1` FOREIGN KEY (`a`, `b`) REFERENCES \
        `p` (`x`, `y`) ON DELETE SET NULL ON UPDATE NO ACTION,\n  CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES \
        `other`.`p` (`x`),\n  CONSTRAINT `k` CHECK (`a` > (1)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB";

    #[test]
    fn foreign_keys_are_read_and_written_again() {
        let keys = foreign_keys(CHILD, b"shop").unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(
            String::from_utf8(keys[0].sql()).unwrap(),
            "CONSTRAINT `f``1` FOREIGN KEY (`a`,`b`) REFERENCES `p` (`x`,`y`) ON DELETE SET NULL ON UPDATE NO ACTION"
        );
        assert_eq!(keys[1].schema.as_deref(), Some(&b"other"[..]));
        assert!(foreign_keys(CHILD, b"other").unwrap()[1].schema.is_none());
        let moved = keys[0].clone().named(b"n".to_vec()).pointed_at(b"q".to_vec());
        assert!(moved.sql().starts_with(b"CONSTRAINT `n` FOREIGN KEY (`a`,`b`) REFERENCES `q` ("));
    }

    #[test]
    fn keys_that_mean_the_same_are_equal() {
        let other = CHILD.to_vec();
        let text = String::from_utf8(other).unwrap().replace(" ON UPDATE NO ACTION", "");
        let (one, two) = (foreign_keys(CHILD, b"").unwrap(), foreign_keys(text.as_bytes(), b"").unwrap());
        assert!(one[0].equals(&two[0]));
        let text = text.replace("SET NULL", "CASCADE");
        assert!(!one[0].equals(&foreign_keys(text.as_bytes(), b"").unwrap()[0]));
        assert!(!one[0].equals(&one[1]));
    }

    #[test]
    fn a_trigger_names_its_table_as_it_is() {
        let on = |text: &[u8]| String::from_utf8(trigger_on(text, Modes::default(), b"orders")).unwrap();
        let changed = on(b"CREATE TRIGGER t BEFORE INSERT ON `Orders` FOR EACH ROW SET @ON = 'Orders'");
        assert_eq!(changed, "CREATE TRIGGER t BEFORE INSERT ON `orders` FOR EACH ROW SET @ON = 'Orders'");
        let same = "CREATE TRIGGER t BEFORE INSERT ON Other FOR EACH ROW SET @a = 1";
        assert_eq!(on(same.as_bytes()), same);
    }

    #[test]
    fn checks_are_read_and_written_again() {
        let found = checks(CHILD).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].sql(b"z"), b"CONSTRAINT `z` CHECK (`a` > (1)) NOT ENFORCED");
    }
}
