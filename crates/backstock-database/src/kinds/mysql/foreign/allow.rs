//! What becomes of a statement of a file: the list of what is known. Whatever is not on it stops the file.

use super::Trust;
use super::code::{self, CodeKind};
use super::statement::Statement;
use crate::kinds::mysql::ddl::{OptionKind, spans};
use crate::kinds::mysql::sql::{Lexer, Modes};
use crate::readable;

/// What to do with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    CreateTable,
    AlterTable,
    CreateIndex,
    CreateCode(CodeKind, usize),
    CreateSequence,
    SequenceValue,
    Set,
    /// `USE name`: where the name stands.
    Use(usize),
    CreateDatabase,
    AlterDatabase,
    /// DROP of a table, view or sequence: where its name stands.
    DropTable(usize),
    /// All rows of a table go: where its name stands.
    Empty(usize),
    /// Nothing: a restore does by itself what it is for.
    Silent,
    /// Not run, and named.
    Skip(&'static str),
    /// The file is refused.
    Refuse(&'static str),
}

const OTHER_DATABASES: &str = "it reaches beyond the database";
const NOT_FOR_RESTORES: &str = "it is no part of a restore";
const CHANGES_ROWS: &str =
    "it changes rows instead of bringing them; load such a file with a database client";

/// Decides.
pub(super) fn act(statement: &Statement, trust: Trust) -> Act {
    let found = act_of_owner(statement);
    match (trust, &found) {
        (Trust::Uploaded, Act::Skip(why)) => Act::Refuse(why),
        (Trust::Uploaded, Act::CreateCode(..)) => match found {
            Act::CreateCode(CodeKind::View, _) => Act::Skip("views of such a file are left out"),
            _ => Act::Skip("triggers, routines and events of such a file are left out"),
        },
        _ => found,
    }
}

fn act_of_owner(statement: &Statement) -> Act {
    match statement.word(0).as_str() {
        "create" => create(statement),
        "alter" => alter(statement),
        "drop" => drop(statement),
        "set" => Act::Set,
        "use" => Act::Use(1),
        "truncate" => Act::Empty(if statement.is(1, "table") { 2 } else { 1 }),
        "delete" => delete(statement),
        "do" | "select" if statement.is(1, "setval") => Act::SequenceValue,
        "lock" | "unlock" | "commit" | "rollback" | "savepoint" | "release" => Act::Silent,
        "start" if statement.is(1, "transaction") => Act::Silent,
        "begin" if statement.tokens.len() == 1 || statement.is(1, "work") => Act::Silent,
        "analyze" | "optimize" | "check" | "repair" => Act::Silent,
        "select" if reaches_files(statement) => Act::Refuse("it writes a file of the server"),
        "show" | "select" | "do" | "call" | "prepare" | "execute" | "deallocate" | "begin" => {
            Act::Skip(NOT_FOR_RESTORES)
        }
        "grant" | "revoke" | "flush" | "change" | "reset" | "purge" | "kill" | "shutdown" | "install"
        | "uninstall" | "xa" | "import" | "clone" | "backup" | "handler" | "start" | "stop" | "binlog"
        | "cache" => Act::Skip(OTHER_DATABASES),
        "load" => Act::Refuse("it reads a file of the server"),
        "update" => Act::Refuse(CHANGES_ROWS),
        "rename" => Act::Refuse("it changes an object instead of making it"),
        "source" | "system" | "delimiter" | "tee" | "pager" | "edit" | "connect" | "charset" | "copy"
        | "go" => Act::Refuse("it is a command of a client program, not SQL"),
        _ => Act::Refuse("it is not known"),
    }
}

fn reaches_files(statement: &Statement) -> bool {
    let words = ["outfile", "dumpfile"];
    (1..statement.tokens.len())
        .any(|at| statement.is(at, "into") && words.contains(&statement.word(at + 1).as_str()))
}

fn create(statement: &Statement) -> Act {
    let at = if statement.are(1, &["or", "replace"]) { 3 } else { 1 };
    match statement.word(at).as_str() {
        "table" => Act::CreateTable,
        "temporary" => Act::Refuse("a temporary table is part of no dump"),
        "database" | "schema" => Act::CreateDatabase,
        "sequence" => Act::CreateSequence,
        "index" => Act::CreateIndex,
        "unique" | "fulltext" | "spatial" | "vector" if statement.is(at + 1, "index") => Act::CreateIndex,
        "user" | "role" | "server" | "tablespace" | "undo" | "logfile" | "resource" | "spatial" => {
            Act::Skip(OTHER_DATABASES)
        }
        _ => match code::kind(statement) {
            Some((kind, at)) => Act::CreateCode(kind, at),
            None => Act::Refuse("it is not known"),
        },
    }
}

fn alter(statement: &Statement) -> Act {
    match statement.word(1).as_str() {
        "table" => Act::AlterTable,
        "ignore" | "online" if statement.is(2, "table") => Act::AlterTable,
        "database" | "schema" => Act::AlterDatabase,
        "user" | "server" | "instance" | "tablespace" | "role" => Act::Skip(OTHER_DATABASES),
        _ => Act::Refuse("it changes an object instead of making it"),
    }
}

fn drop(statement: &Statement) -> Act {
    let at = if statement.is(1, "temporary") { 2 } else { 1 };
    match statement.word(at).as_str() {
        "table" | "tables" | "view" | "sequence" => Act::DropTable(statement.past_if(at + 1)),
        "trigger" | "procedure" | "function" | "event" | "package" | "database" | "schema" => Act::Silent,
        "index" => Act::Refuse("it changes a table instead of making it"),
        _ => Act::Skip(OTHER_DATABASES),
    }
}

/// `DELETE FROM t`, without a condition.
fn delete(statement: &Statement) -> Act {
    let is_whole = statement.is(1, "from")
        && statement.qualified(2).is_some_and(|name| name.end == statement.tokens.len());
    if is_whole { Act::Empty(2) } else { Act::Refuse(CHANGES_ROWS) }
}

/// Engines of a file of strangers: those that keep their rows here and nowhere else.
const ENGINES_OF_STRANGERS: &[&str] = &["innodb", "myisam", "aria", "memory"];

/// Clauses that need keys or engines of the server.
const CLAUSES_OF_OWNERS: &[&str] = &["encryption", "encrypted", "encryption_key_id", "secondary_engine"];

/// Refuses clauses of a table that no file of strangers may have.
pub(super) fn refuse_clauses(definition: &[u8]) -> Result<(), String> {
    let found = spans(definition).map_err(|fault| fault.to_string())?;
    for option in &found.options {
        let value = readable(option.value.text(definition));
        let is_refused = match option.kind {
            OptionKind::Engine => {
                let engine = value.trim_matches(['\'', '"', '`']).to_ascii_lowercase();
                !ENGINES_OF_STRANGERS.contains(&engine.as_str())
            }
            OptionKind::DataDirectory
            | OptionKind::IndexDirectory
            | OptionKind::Tablespace
            | OptionKind::Union
            | OptionKind::Connection => true,
            OptionKind::AutoIncrement
            | OptionKind::Charset
            | OptionKind::Collate
            | OptionKind::RowFormat
            | OptionKind::KeyBlockSize => false,
        };
        if is_refused {
            return Err(format!(
                "a table of such a file may not have this: {}",
                readable(option.span.text(definition))
            ));
        }
    }
    let end = found.items.last().map_or(0, |item| item.span.end);
    let tail = definition.get(end..).unwrap_or_default();
    let mut lexer = Lexer::new(tail, Modes::default());
    while let Ok(Some(token)) = lexer.next_token() {
        if CLAUSES_OF_OWNERS.iter().any(|word| token.is_word(tail, word)) {
            let word = readable(token.text(tail));
            return Err(format!("a table of such a file may not have this: {word}"));
        }
    }
    Ok(())
}
