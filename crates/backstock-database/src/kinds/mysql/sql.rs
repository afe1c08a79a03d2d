//! SQL text as bytes: tokens, statements and the checks of a dump's frames, without a server.
//!
//! The rules are those of the MySQL and MariaDB lexers (MySQL 9 manual, sections 11.1 "Literal Values", 11.2 "Schema
//! Object Names" and 11.7 "Comments"; MariaDB documentation, "Comment Syntax"), as far as they decide where a token
//! ends. Nothing is ever converted: a name or a value is the bytes that stand in the text.

mod check;
mod fault;
mod lexer;
mod rows;
mod splitter;

pub use check::{StatementFacts, check_statements};
pub use fault::SqlFault;
pub use lexer::{Lexer, Modes, Token, TokenKind, quote_name, quote_text};
pub use rows::{RowsFacts, check_rows_frame};
pub use splitter::{Splitter, Statement};

pub(crate) use lexer::{LexerState, name_bytes};
pub(crate) use rows::{InsertParts, Tuples, insert_end, split_insert};
pub(crate) use splitter::{DELIMITER_WORD, delimiter_of};
