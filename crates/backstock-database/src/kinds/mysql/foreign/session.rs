//! What the SET statements of a file mean for what follows: answered here, and never sent.

use std::collections::HashMap;

use super::statement::Statement;
use crate::kinds::mysql::sql::{Modes, TokenKind};

/// Client character sets in which a byte of a longer character can look like a quote or a backslash, or in which ASCII
/// is not one byte.
const UNREADABLE: &[&str] = &["big5", "cp932", "gbk", "gb18030", "sjis", "ucs2", "utf16", "utf16le", "utf32"];

/// Session variables that a file may set: each of them either changes nothing here, since a load sets its own, or is
/// followed.
const HARMLESS: &[&str] = &[
    "alter_algorithm",
    "auto_increment_increment",
    "auto_increment_offset",
    "autocommit",
    "bulk_insert_buffer_size",
    "character_set_client",
    "character_set_collations",
    "character_set_connection",
    "character_set_database",
    "character_set_results",
    "check_constraint_checks",
    "collation_connection",
    "collation_database",
    "completion_type",
    "default_storage_engine",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "information_schema_stats_expiry",
    "innodb_ddl_threads",
    "innodb_lock_wait_timeout",
    "innodb_strict_mode",
    "insert_id",
    "interactive_timeout",
    "keycache_base_path",
    "lock_wait_timeout",
    "max_allowed_packet",
    "max_execution_time",
    "max_heap_table_size",
    "max_statement_time",
    "myisam_sort_buffer_size",
    "net_buffer_length",
    "net_read_timeout",
    "net_write_timeout",
    "note_verbosity",
    "old_mode",
    "optimizer_switch",
    "restrict_fk_on_non_standard_key",
    "show_create_table_skip_secondary_engine",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_generate_invisible_primary_key",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_require_primary_key",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "storage_engine",
    "system_versioning_alter_history",
    "system_versioning_insert_history",
    "time_zone",
    "timestamp",
    "transaction_isolation",
    "tx_isolation",
    "unique_checks",
    "wait_timeout",
];

/// The session of the server that the file is for, before the file says anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub(super) sql_mode: String,
    /// The default collation of each character set.
    pub(super) collations: HashMap<String, String>,
}

/// What holds at a point of the file.
#[derive(Debug, Clone)]
pub(super) struct Session {
    defaults: Defaults,
    /// `None`: that of the server.
    sql_mode: Option<String>,
    /// `character_set_client`.
    pub(super) client: String,
    collation: Option<String>,
    pub(super) time_zone: Option<String>,
    /// The default collation that the database has at this point.
    pub(super) database_collation: Option<String>,
    saved: HashMap<Vec<u8>, Value>,
}

/// What a SET sets something to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// What the server has by itself.
    Own,
    Unknown,
}

/// What came of a SET statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Followed {
    /// It concerns this session alone.
    Harmless,
    /// It would change more than the session, or is not known: what it sets.
    Foreign(String),
    /// What follows cannot be read any more.
    Unreadable(String),
}

impl Session {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            sql_mode: None,
            client: "utf8mb4".to_owned(),
            collation: None,
            time_zone: None,
            database_collation: None,
            saved: HashMap::new(),
        }
    }

    pub(super) fn sql_mode(&self) -> &str {
        self.sql_mode.as_deref().unwrap_or(&self.defaults.sql_mode)
    }

    /// Whether the file says in which mode it wants what follows.
    pub(super) fn has_sql_mode(&self) -> bool {
        self.sql_mode.is_some()
    }

    pub(super) fn modes(&self) -> Modes {
        Modes::from_list(self.sql_mode().as_bytes())
    }

    /// `collation_connection`.
    pub(super) fn collation(&self) -> String {
        let default = || self.defaults.collations.get(&self.client).cloned();
        self.collation.clone().or_else(default).unwrap_or_else(|| "utf8mb4_general_ci".to_owned())
    }

    /// Follows a statement that starts with SET.
    pub(super) fn follow(&mut self, statement: &Statement) -> Followed {
        let word = statement.word(1);
        if word == "names" || word == "charset" || statement.are(1, &["character", "set"]) {
            let at = if word == "character" { 3 } else { 2 };
            let Some(name) = text_of(statement, at) else {
                return Followed::Unreadable(
                    "a character set is set to something that is no name".to_owned(),
                );
            };
            self.collation = match statement.is(at + 1, "collate") {
                true => text_of(statement, at + 2),
                false => None,
            };
            return self.set_client(&name);
        }
        if matches!(word.as_str(), "transaction" | "password" | "role" | "default" | "resource" | "statement")
            || statement.is(2, "transaction")
        {
            let is_level = word == "transaction" || (statement.is(2, "transaction") && word != "global");
            return if is_level { Followed::Harmless } else { Followed::Foreign(statement.summary()) };
        }
        let mut outcome = Followed::Harmless;
        for (from, to) in assignments(statement) {
            match self.assign(statement, from, to) {
                Followed::Harmless => {}
                Followed::Foreign(what) => outcome = Followed::Foreign(what),
                unreadable @ Followed::Unreadable(_) => return unreadable,
            }
        }
        outcome
    }

    fn set_client(&mut self, name: &str) -> Followed {
        let name = name.to_ascii_lowercase();
        if UNREADABLE.contains(&name.as_str()) {
            return Followed::Unreadable(format!(
                "it is written in the character set {name}, in which quotes cannot be told for certain: \
                 make the dump with --default-character-set=utf8mb4"
            ));
        }
        self.client = if name == "default" { "utf8mb4".to_owned() } else { name };
        Followed::Harmless
    }

    /// One `target = value`, in the tokens `from..to`.
    fn assign(&mut self, statement: &Statement, from: usize, to: usize) -> Followed {
        let Some(equals) = (from..to).find(|at| statement.is_symbol(*at, b'=')) else {
            return Followed::Foreign(statement.summary());
        };
        let value = self.value(statement, equals + 1, to);
        let mut target = from;
        let scope = statement.word(target);
        let is_scoped = matches!(scope.as_str(), "session" | "local" | "global" | "persist" | "persist_only");
        if is_scoped {
            target += 1;
        }
        let text = String::from_utf8_lossy(statement.text_at(target)).to_ascii_lowercase();
        if statement.kind(target) == Some(TokenKind::Variable) && !text.starts_with("@@") {
            self.saved.insert(text.into_bytes(), value);
            return Followed::Harmless;
        }
        let name = text.trim_start_matches('@').trim_matches('`');
        let (prefix, name) = name.split_once('.').unwrap_or(("", name));
        let is_global = |scope: &str| matches!(scope, "global" | "persist" | "persist_only");
        if is_global(&scope) || is_global(prefix) || !HARMLESS.contains(&name) {
            let scope = if is_scoped { format!("{} ", scope.to_ascii_uppercase()) } else { String::new() };
            return Followed::Foreign(format!("SET {scope}{}", text.trim_start_matches('@')));
        }
        self.set(name, value)
    }

    fn set(&mut self, name: &str, value: Value) -> Followed {
        let text = match value {
            Value::Text(text) => Some(text),
            Value::Own => None,
            Value::Unknown if matches!(name, "sql_mode" | "character_set_client") => {
                return Followed::Unreadable(format!("{name} is set to something that is not known here"));
            }
            Value::Unknown => return Followed::Harmless,
        };
        match name {
            "sql_mode" => self.sql_mode = text,
            "character_set_client" => return self.set_client(text.as_deref().unwrap_or("default")),
            "collation_connection" => self.collation = text,
            "time_zone" => self.time_zone = text,
            _ => {}
        }
        Followed::Harmless
    }

    fn value(&self, statement: &Statement, from: usize, to: usize) -> Value {
        // HeidiSQL: IFNULL(@OLD_SQL_MODE, '')
        if statement.is(from, "ifnull") && statement.is_symbol(from + 1, b'(') {
            return match self.value(statement, from + 2, from + 3) {
                Value::Unknown => Value::Own,
                known => known,
            };
        }
        if to != from + 1 {
            return Value::Unknown;
        }
        match statement.kind(from) {
            Some(TokenKind::Variable) => {
                let name = statement.text_at(from).to_ascii_lowercase();
                match name.strip_prefix(b"@@") {
                    Some(name) => self.current(name),
                    // What nobody saved is the server's own: a file of a set that was saved in another one.
                    None => self.saved.get(&name).cloned().unwrap_or(Value::Own),
                }
            }
            Some(TokenKind::Word) if statement.is(from, "default") => Value::Own,
            Some(TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Name) => {
                text_of(statement, from).map_or(Value::Unknown, Value::Text)
            }
            _ => Value::Unknown,
        }
    }

    fn current(&self, name: &[u8]) -> Value {
        let name = name.strip_prefix(b"session.").or_else(|| name.strip_prefix(b"local.")).unwrap_or(name);
        let own = |text: &Option<String>| text.clone().map_or(Value::Own, Value::Text);
        match name {
            b"sql_mode" => own(&self.sql_mode),
            b"character_set_client" => Value::Text(self.client.clone()),
            b"collation_connection" => own(&self.collation),
            b"time_zone" => own(&self.time_zone),
            _ => Value::Unknown,
        }
    }
}

/// The bytes of a text, name, word or number as text.
fn text_of(statement: &Statement, at: usize) -> Option<String> {
    let bytes = statement.text_at(at);
    let inner = match bytes {
        [b'\'' | b'"' | b'`', inner @ .., _] => inner,
        plain => plain,
    };
    (!inner.is_empty() || bytes.len() == 2).then(|| String::from_utf8_lossy(inner).into_owned())
}

/// The tokens of each assignment: between commas outside of brackets.
fn assignments(statement: &Statement) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 1;
    let mut depth = 0_i32;
    for at in 1..=statement.tokens.len() {
        match statement.kind(at) {
            Some(TokenKind::Symbol(b'(')) => depth += 1,
            Some(TokenKind::Symbol(b')')) => depth -= 1,
            Some(TokenKind::Symbol(b',')) if depth == 0 => {
                found.push((from, at));
                from = at + 1;
            }
            None => found.push((from, at)),
            _ => {}
        }
    }
    found
}
