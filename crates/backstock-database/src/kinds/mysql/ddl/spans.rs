//! Finds the parts of a table definition and tells where each lies, in bytes.

use serde::{Deserialize, Serialize};

use super::super::sql::{Lexer, Modes, SqlFault, Token, TokenKind};
use crate::record::DefinitionSpans;

/// A definition is at most this long; one of 4096 columns with long comments stays far below.
const DEFINITION_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Bytes `start..end` of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    fn of(tokens: &[Token]) -> Self {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => Self { start: first.start, end: last.end },
            _ => Self { start: 0, end: 0 },
        }
    }

    /// The bytes of a definition that it covers; none where it lies outside.
    pub fn text<'a>(&self, definition: &'a [u8]) -> &'a [u8] {
        definition.get(self.start..self.end).unwrap_or_default()
    }
}

/// Where the parts of a table definition lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlSpans {
    /// The table's quoted name.
    pub name: Span,
    /// The elements of the bracketed list, in their order.
    pub items: Vec<Item>,
    /// Options that matter here, wherever they stand behind the list; those of partitions included.
    pub options: Vec<TableOption>,
    /// The partition clause, with the comment around it.
    pub partition: Option<Span>,
    /// Whether the table keeps its history (`WITH SYSTEM VERSIONING`, MariaDB).
    pub versioned: bool,
}

/// One element of the list in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its bytes, without the comma.
    pub span: Span,
    /// What it is.
    pub kind: ItemKind,
}

/// What an element of the list is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A column.
    Column {
        /// Its quoted name.
        name: Span,
        /// Whether it numbers rows.
        auto_increment: bool,
        /// Its own CHECK expressions, from the word CHECK to the closing bracket.
        checks: Vec<Span>,
    },
    /// The primary key.
    PrimaryKey,
    /// An ordinary or unique key.
    Key {
        /// Whether it is unique.
        unique: bool,
        /// Its columns, brackets included.
        columns: Span,
    },
    /// A full-text key.
    Fulltext,
    /// A spatial key.
    Spatial,
    /// A vector key (MariaDB).
    Vector,
    /// A foreign key.
    ForeignKey {
        /// The quoted name of the constraint.
        name: Option<Span>,
        /// The referencing columns, brackets included.
        columns: Span,
        /// The quoted name of the referenced schema, where one is given.
        schema: Option<Span>,
        /// The quoted name of the referenced table.
        table: Span,
        /// The referenced columns, brackets included.
        referenced: Span,
    },
    /// A table's CHECK.
    Check {
        /// The quoted name of the constraint.
        name: Option<Span>,
        /// From the word CHECK to the end.
        body: Span,
        /// Whether the server enforces it.
        enforced: bool,
    },
    /// A period of time (MariaDB).
    Period,
}

/// An option that a load has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOption {
    /// Which.
    pub kind: OptionKind,
    /// All of it; a comment that holds nothing else is included.
    pub span: Span,
    /// Its value.
    pub value: Span,
}

/// The options that a load has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionKind {
    /// `ENGINE`.
    Engine,
    /// `AUTO_INCREMENT`: the next number.
    AutoIncrement,
    /// `DEFAULT CHARSET`.
    Charset,
    /// `COLLATE`.
    Collate,
    /// `ROW_FORMAT`.
    RowFormat,
    /// `KEY_BLOCK_SIZE`.
    KeyBlockSize,
    /// `DATA DIRECTORY`.
    DataDirectory,
    /// `INDEX DIRECTORY`.
    IndexDirectory,
    /// `TABLESPACE`.
    Tablespace,
    /// `UNION`: the parts of a MERGE table.
    Union,
    /// `CONNECTION`: may hold a password.
    Connection,
}

impl DdlSpans {
    /// The parts that a load adds later, as the index keeps them.
    pub fn deferrable(&self) -> DefinitionSpans {
        let mut found = DefinitionSpans::default();
        for item in &self.items {
            match item.kind {
                ItemKind::Key { .. } | ItemKind::Fulltext | ItemKind::Spatial | ItemKind::Vector => {
                    found.secondary_keys.push(item.span);
                }
                ItemKind::ForeignKey { .. } => found.foreign_keys.push(item.span),
                ItemKind::Check { .. } => found.checks.push(item.span),
                ItemKind::Column { .. } | ItemKind::PrimaryKey | ItemKind::Period => {}
            }
        }
        found
    }
}

/// Reads a definition. A text that is not `CREATE TABLE name ( … ) …` is a fault.
pub fn spans(create_table: &[u8]) -> Result<DdlSpans, SqlFault> {
    if create_table.len() > DEFINITION_LIMIT_BYTES {
        return Err(SqlFault::new(0, "the definition is too long"));
    }
    let mut lexer = Lexer::new(create_table, Modes::default());
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    let reader = Reader { sql: create_table, tokens: &tokens };
    let open = reader.head()?;
    let close = reader.matching_bracket(open)?;
    let mut found = DdlSpans {
        name: Span::of(&tokens[open - 1..open]),
        items: reader.items(open + 1, close)?,
        options: Vec::new(),
        partition: None,
        versioned: false,
    };
    reader.tail(close + 1, &mut found);
    Ok(found)
}

struct Reader<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
}

impl Reader<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, word))
    }

    fn symbol(&self, at: usize) -> Option<u8> {
        match self.tokens.get(at)?.kind {
            TokenKind::Symbol(byte) => Some(byte),
            _ => None,
        }
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Name)
    }

    fn fault(&self, at: usize, what: &str) -> SqlFault {
        let offset = self.tokens.get(at).map_or(self.sql.len(), |token| token.start);
        SqlFault::new(offset, what)
    }

    fn span(&self, from: usize, to: usize) -> Span {
        Span::of(self.tokens.get(from..to).unwrap_or_default())
    }

    /// The index of the bracket that opens the list.
    fn head(&self) -> Result<usize, SqlFault> {
        let mut at = 0;
        for word in ["create", "temporary", "table"] {
            if self.is(at, word) {
                at += 1;
            } else if word != "temporary" {
                return Err(self.fault(at, "the definition does not start with CREATE TABLE"));
            }
        }
        if !self.is_name(at) || self.symbol(at + 1) != Some(b'(') {
            return Err(self.fault(at, "the definition has no quoted name with a list behind it"));
        }
        Ok(at + 1)
    }

    fn matching_bracket(&self, open: usize) -> Result<usize, SqlFault> {
        let mut depth = 0_u32;
        for at in open..self.tokens.len() {
            match self.symbol(at) {
                Some(b'(') => depth += 1,
                Some(b')') if depth == 1 => return Ok(at),
                Some(b')') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Err(self.fault(open, "a bracket does not end"))
    }

    fn items(&self, from: usize, to: usize) -> Result<Vec<Item>, SqlFault> {
        let mut items = Vec::new();
        let mut start = from;
        let mut at = from;
        while at <= to {
            if at == to || self.symbol(at) == Some(b',') {
                items.push(Item { span: self.span(start, at), kind: self.item(start, at)? });
                start = at + 1;
            } else if self.symbol(at) == Some(b'(') {
                at = self.matching_bracket(at)?;
            }
            at += 1;
        }
        Ok(items)
    }

    fn item(&self, from: usize, to: usize) -> Result<ItemKind, SqlFault> {
        if self.is_name(from) {
            return Ok(self.column(from, to));
        }
        let (name, at) = self.constraint_name(from);
        if self.is(at, "primary") {
            Ok(ItemKind::PrimaryKey)
        } else if self.is(at, "unique") || self.is(at, "key") || self.is(at, "index") {
            let Some(open) = (at..to).find(|at| self.symbol(*at) == Some(b'(')) else {
                return Err(self.fault(at, "a key has no columns"));
            };
            let close = self.matching_bracket(open)?;
            Ok(ItemKind::Key { unique: self.is(at, "unique"), columns: self.span(open, close + 1) })
        } else if self.is(at, "fulltext") {
            Ok(ItemKind::Fulltext)
        } else if self.is(at, "spatial") {
            Ok(ItemKind::Spatial)
        } else if self.is(at, "vector") {
            Ok(ItemKind::Vector)
        } else if self.is(at, "foreign") {
            self.foreign_key(name, at, to)
        } else if self.is(at, "check") {
            let enforced = !(at..to).any(|at| self.is(at, "not") && self.is(at + 1, "enforced"));
            Ok(ItemKind::Check { name, body: self.span(at, to), enforced })
        } else if self.is(at, "period") {
            Ok(ItemKind::Period)
        } else {
            Err(self.fault(from, "an element of the definition is not understood"))
        }
    }

    fn constraint_name(&self, from: usize) -> (Option<Span>, usize) {
        if !self.is(from, "constraint") {
            (None, from)
        } else if self.is_name(from + 1) {
            (Some(self.span(from + 1, from + 2)), from + 2)
        } else {
            (None, from + 1)
        }
    }

    fn column(&self, from: usize, to: usize) -> ItemKind {
        let mut checks = Vec::new();
        let mut auto_increment = false;
        let mut at = from + 1;
        while at < to {
            auto_increment |= self.is(at, "auto_increment");
            if self.symbol(at) == Some(b'(') {
                let close = self.matching_bracket(at).unwrap_or(to);
                if self.is(at - 1, "check") {
                    checks.push(self.span(at - 1, close + 1));
                }
                at = close;
            }
            at += 1;
        }
        ItemKind::Column { name: self.span(from, from + 1), auto_increment, checks }
    }

    fn foreign_key(&self, name: Option<Span>, at: usize, to: usize) -> Result<ItemKind, SqlFault> {
        let fault = |at| self.fault(at, "a foreign key is not understood");
        // FOREIGN KEY [index] (columns) REFERENCES [schema.]table (columns) …
        let open = (at..to).find(|at| self.symbol(*at) == Some(b'(')).ok_or_else(|| fault(at))?;
        let close = self.matching_bracket(open)?;
        if !self.is(close + 1, "references") || !self.is_name(close + 2) {
            return Err(fault(close));
        }
        let has_schema = self.symbol(close + 3) == Some(b'.');
        let table = if has_schema { close + 4 } else { close + 2 };
        if !self.is_name(table) || self.symbol(table + 1) != Some(b'(') {
            return Err(fault(table));
        }
        let end = self.matching_bracket(table + 1)?;
        Ok(ItemKind::ForeignKey {
            name,
            columns: self.span(open, close + 1),
            schema: has_schema.then(|| self.span(close + 2, close + 3)),
            table: self.span(table, table + 1),
            referenced: self.span(table + 1, end + 1),
        })
    }

    /// Reads what stands behind the list.
    fn tail(&self, from: usize, found: &mut DdlSpans) {
        let mut at = from;
        while at < self.tokens.len() {
            if found.partition.is_none() && self.is(at, "partition") && self.is(at + 1, "by") {
                let is_wrapped = self.tokens[at - 1].kind == TokenKind::Open;
                found.partition = Some(self.span(at - usize::from(is_wrapped), self.tokens.len()));
            }
            found.versioned |= self.is(at, "system") && self.is(at + 1, "versioning");
            if let Some((kind, words)) = self.option_at(at) {
                let equals = usize::from(self.symbol(at + words) == Some(b'='));
                let value = at + words + equals;
                let end = match self.symbol(value) {
                    Some(b'(') => self.matching_bracket(value).map_or(value, |close| close + 1),
                    _ => value + 1,
                };
                let end = end.min(self.tokens.len());
                found.options.push(self.option(kind, at, value, end));
                at = end;
            } else {
                at += 1;
            }
        }
    }

    fn option_at(&self, at: usize) -> Option<(OptionKind, usize)> {
        let two = [
            ("data", "directory", OptionKind::DataDirectory),
            ("index", "directory", OptionKind::IndexDirectory),
        ];
        for (first, second, kind) in two {
            if self.is(at, first) && self.is(at + 1, second) {
                return Some((kind, 2));
            }
        }
        let one = [
            ("engine", OptionKind::Engine),
            ("auto_increment", OptionKind::AutoIncrement),
            ("charset", OptionKind::Charset),
            ("collate", OptionKind::Collate),
            ("row_format", OptionKind::RowFormat),
            ("key_block_size", OptionKind::KeyBlockSize),
            ("tablespace", OptionKind::Tablespace),
            ("union", OptionKind::Union),
            ("connection", OptionKind::Connection),
        ];
        one.iter().find(|(word, _)| self.is(at, word)).map(|(_, kind)| (*kind, 1))
    }

    fn option(&self, kind: OptionKind, at: usize, value: usize, end: usize) -> TableOption {
        let is = |at: usize, kind: TokenKind| self.tokens.get(at).is_some_and(|token| token.kind == kind);
        let value = self.span(value, end);
        // `/*!50100 TABLESPACE `t` STORAGE DISK */` goes as a whole.
        let storage = if self.is(end, "storage") { end + 2 } else { end };
        let wrapped = is(at - 1, TokenKind::Open) && is(storage, TokenKind::Close);
        let span = if wrapped { self.span(at - 1, storage + 1) } else { self.span(at, storage) };
        TableOption { kind, span, value }
    }
}
