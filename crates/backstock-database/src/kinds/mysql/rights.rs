//! What the account may see. Absence is never proof: without the rights, triggers, routines and events are simply not
//! listed, without any error. So the rights are read first, from `SHOW GRANTS`, and what cannot be seen is named.

use serde::{Deserialize, Serialize};

use super::connection::{Connection, Vendor, Version};
use super::sql::{Lexer, Modes, Token, TokenKind, name_bytes};
use crate::dump::DumpProblem;
use crate::error::{Error, Result};
use crate::raw_text::RawText;

/// What an account may see of one database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rights {
    /// Rights on the whole database, by their names in SQL, in capitals.
    pub on_database: Vec<String>,
    /// Rights on single tables.
    pub on_tables: Vec<(RawText, Vec<String>)>,
    /// Rights on everything.
    pub global: Vec<String>,
    /// Rights taken away from this database again (MySQL's partial revokes).
    pub revoked: Vec<String>,
    /// Whether every line could be read. Otherwise nothing is certain.
    pub conclusive: bool,
    /// Whether the texts of routines of others can be read.
    pub sees_routines: bool,
}

impl Rights {
    /// Whether the account has a right on the whole database.
    pub fn has(&self, right: &str) -> bool {
        let given = |list: &[String]| {
            list.iter().any(|known| known == right || known == "ALL PRIVILEGES" || known == "ALL")
        };
        (given(&self.on_database) || (given(&self.global) && !given(&self.revoked)))
            && !self.revoked.iter().any(|known| known == right)
    }

    /// Whether the account has a right that is given on the whole server only: `ALL` on a database does not hold it.
    pub fn has_global(&self, right: &str) -> bool {
        self.global.iter().any(|known| known == right || known == "ALL PRIVILEGES" || known == "ALL")
    }

    /// Whether it has one on this table.
    pub fn has_on(&self, right: &str, table: &[u8]) -> bool {
        let given = |list: &[String]| {
            list.iter().any(|known| known == right || known == "ALL PRIVILEGES" || known == "ALL")
        };
        self.has(right) || self.on_tables.iter().any(|(name, list)| name.as_bytes() == table && given(list))
    }

    /// Whether the threads of other accounts can be seen.
    pub fn sees_all_threads(&self) -> bool {
        self.has_global("PROCESS")
    }

    /// What a dump by this account lacks, or may lack. `tables` are those that it would read.
    pub fn problems(&self, tables: &[RawText], whole: bool) -> Vec<DumpProblem> {
        let mut problems = Vec::new();
        let mut missing = |object: &str, right: &str, cost: &str| {
            let reason = if self.conclusive {
                "the account lacks the right, and the server then shows nothing instead of an error"
            } else {
                "the account's rights could not be read with certainty"
            };
            problems.push(DumpProblem {
                object: object.to_owned(),
                right: Some(right.to_owned()),
                reason: reason.to_owned(),
                cost: cost.to_owned(),
            });
        };
        if !self.has("SELECT") {
            missing(
                "tables",
                "SELECT on the whole database",
                "tables that the account cannot see are not in the dump, and not even named",
            );
        }
        let without: Vec<String> =
            tables.iter().filter(|table| !self.has_on("TRIGGER", table)).map(ToString::to_string).collect();
        if !without.is_empty() {
            let some: Vec<&str> = without.iter().take(3).map(String::as_str).collect();
            let more = if without.len() > some.len() { ", …" } else { "" };
            let object = format!("triggers of {} tables ({}{more})", without.len(), some.join(", "));
            missing(&object, "TRIGGER", "triggers, if there are any, are not in the dump");
        }
        if whole && !self.has("EVENT") {
            missing("events", "EVENT", "events, if there are any, are not in the dump");
        }
        if whole && !self.sees_routines {
            missing(
                "procedures and functions",
                "SHOW_ROUTINE (MySQL), SHOW CREATE ROUTINE or SELECT on mysql.proc (MariaDB), or CREATE/ALTER ROUTINE or EXECUTE",
                "routines, if there are any, are not in the dump",
            );
        }
        problems
    }
}

/// Reads the rights of the account on a database.
pub(crate) fn read_rights(connection: &mut Connection, database: &[u8]) -> Result<Rights> {
    let mut rights = Rights { conclusive: true, ..Rights::default() };
    let mut lines = Vec::new();
    match connection.query(b"SHOW GRANTS FOR CURRENT_USER()") {
        Ok(result) => lines.extend(result.rows),
        Err(Error::Statement { .. }) => rights.conclusive = false,
        Err(error) => return Err(error),
    }
    lines.extend(role_grants(connection)?);
    for line in lines {
        let Some(Some(text)) = line.into_iter().next() else { continue };
        if !read_line(&text, database, &mut rights) {
            rights.conclusive = false;
        }
    }
    rights.sees_routines = sees_routines(connection, &rights)?;
    Ok(rights)
}

/// The rights of the roles in force. MariaDB lists them with the account's own; MySQL has to be asked.
fn role_grants(connection: &mut Connection) -> Result<Vec<Vec<Option<Vec<u8>>>>> {
    if connection.vendor() == Vendor::MariaDb || connection.version() < Version(8, 0, 0) {
        return Ok(Vec::new());
    }
    let roles = connection.query(b"SELECT CURRENT_ROLE()")?.single().unwrap_or_default().to_vec();
    if roles.is_empty() || roles == b"NONE" {
        return Ok(Vec::new());
    }
    match connection.query(&[b"SHOW GRANTS FOR CURRENT_USER() USING ".as_slice(), &roles].concat()) {
        Ok(result) => Ok(result.rows),
        Err(Error::Statement { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether routines of others are listed with their text.
fn sees_routines(connection: &mut Connection, rights: &Rights) -> Result<bool> {
    if ["SHOW ROUTINE", "SHOW_ROUTINE", "SHOW CREATE ROUTINE"].iter().any(|right| rights.has(right)) {
        return Ok(true);
    }
    match connection.vendor() {
        // Whoever reads the table of routines sees all of them.
        Vendor::MariaDb => match connection.query(b"SELECT 1 FROM mysql.proc LIMIT 0") {
            Ok(_) => return Ok(true),
            Err(Error::Statement { .. }) => {}
            Err(error) => return Err(error),
        },
        Vendor::MySql if rights.global.iter().any(|right| right == "SELECT") => return Ok(true),
        Vendor::MySql => {}
    }
    // These show at least the names, and a name without a text becomes a problem of its own.
    Ok(["CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE"].iter().any(|right| rights.has(right)))
}

/// Reads one line, `GRANT … ON … TO …` or `REVOKE … ON … FROM …`. `false` where its form is not understood.
fn read_line(line: &[u8], database: &[u8], rights: &mut Rights) -> bool {
    let mut lexer = Lexer::new(line, Modes::default());
    let mut tokens = Vec::new();
    while let Ok(Some(token)) = lexer.next_token() {
        tokens.push(token);
    }
    let Some(first) = tokens.first() else { return true };
    let grant = first.is_word(line, "GRANT");
    if !grant && !first.is_word(line, "REVOKE") {
        // `SET DEFAULT ROLE …` gives nothing by itself.
        return first.is_word(line, "SET");
    }
    let Some(on) = tokens.iter().position(|token| token.is_word(line, "ON")) else {
        // A role given to the account: its rights come in lines of their own.
        return true;
    };
    let names = right_names(line, &tokens[1..on]);
    let Some(scope) = read_scope(line, &tokens[on + 1..]) else { return true };
    match (scope, grant) {
        (Scope::Everything, true) => rights.global.extend(names),
        (Scope::Database(pattern), true) if fits(&pattern, database) => rights.on_database.extend(names),
        (Scope::Database(pattern), false) if pattern == database => rights.revoked.extend(names),
        (Scope::Table(schema, table), true) if schema == database => {
            rights.on_tables.push((table.into(), names));
        }
        _ => {}
    }
    true
}

enum Scope {
    Everything,
    Database(Vec<u8>),
    Table(Vec<u8>, Vec<u8>),
}

/// Rights are words up to a comma; a right with a list of columns is none on the table.
fn right_names(line: &[u8], tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut depth = 0;
    let mut columns = false;
    for token in tokens {
        match token.kind {
            TokenKind::Symbol(b'(') => (depth, columns) = (depth + 1, true),
            TokenKind::Symbol(b')') => depth -= 1,
            TokenKind::Symbol(b',') if depth == 0 => {
                if !std::mem::take(&mut columns) {
                    names.push(words.join(" "));
                }
                words.clear();
            }
            _ if depth == 0 => words.push(String::from_utf8_lossy(token.text(line)).to_ascii_uppercase()),
            _ => {}
        }
    }
    if !columns && !words.is_empty() {
        names.push(words.join(" "));
    }
    names
}

/// `*.*`, `` `database`.* `` or `` `database`.`table` ``; nothing for routines, packages and proxies.
fn read_scope(line: &[u8], tokens: &[Token]) -> Option<Scope> {
    let symbol = |at: usize| match tokens.get(at)?.kind {
        TokenKind::Symbol(byte) => Some(byte),
        _ => None,
    };
    let name = |at: usize| tokens.get(at).map(|token: &Token| name_bytes(token.text(line)));
    if tokens.first()?.is_word(line, "TABLE") {
        return read_scope(line, &tokens[1..]);
    }
    match (symbol(0), symbol(1), symbol(2)) {
        (Some(b'*'), Some(b'.'), Some(b'*')) => Some(Scope::Everything),
        (None, Some(b'.'), Some(b'*')) => Some(Scope::Database(name(0)?)),
        (None, Some(b'.'), None) => Some(Scope::Table(name(0)?, name(2)?)),
        _ => None,
    }
}

/// Whether a database's name fits the pattern of a grant: `%` and `_` stand for any bytes unless a backslash precedes.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'\\', letter, pattern @ ..], [first, rest @ ..]) => letter == first && fits(pattern, rest),
        ([b'%', pattern @ ..], _) => (0..=name.len()).any(|skip| fits(pattern, &name[skip..])),
        ([b'_', pattern @ ..], [_, rest @ ..]) => fits(pattern, rest),
        ([letter, pattern @ ..], [first, rest @ ..]) => {
            letter.eq_ignore_ascii_case(first) && fits(pattern, rest)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(lines: &[&str]) -> Rights {
        let mut rights = Rights { conclusive: true, ..Rights::default() };
        for line in lines {
            assert!(read_line(line.as_bytes(), b"my_shop", &mut rights), "{line}");
        }
        rights
    }

    #[test]
    fn grants_are_read() {
        let all = rights(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]);
        assert!(all.has("TRIGGER") && all.sees_all_threads());
        let shop = rights(&[
            "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED BY PASSWORD '*ABC'",
            "GRANT ALL PRIVILEGES ON `my\\_shop`.* TO `shop`@`%`",
        ]);
        assert!(shop.has("EVENT") && !shop.sees_all_threads());
        let reader = rights(&["GRANT SELECT, LOCK TABLES ON `my%`.* TO `r`@`%`"]);
        assert!(reader.has("SELECT") && reader.has("LOCK TABLES") && !reader.has("TRIGGER"));
        assert_eq!(reader.problems(&["t".into()], true).len(), 3);
    }

    #[test]
    fn rights_on_columns_and_other_databases_are_none() {
        let columns = rights(&[
            "GRANT SELECT (`a`, `b`), UPDATE ON `my_shop`.`t` TO `c`@`%`",
            "GRANT ALL PRIVILEGES ON `other`.* TO `c`@`%`",
            "GRANT EXECUTE ON PROCEDURE `my_shop`.`p` TO `c`@`%`",
        ]);
        assert!(!columns.has_on("SELECT", b"t") && columns.has_on("UPDATE", b"t") && !columns.has("SELECT"));
    }

    #[test]
    fn a_partial_revoke_takes_away() {
        let partial = rights(&[
            "GRANT SELECT, TRIGGER ON *.* TO `a`@`%`",
            "REVOKE TRIGGER ON `my_shop`.* FROM `a`@`%`",
        ]);
        assert!(partial.has("SELECT") && !partial.has("TRIGGER"));
    }

    #[test]
    fn patterns_of_grants_fit_names() {
        assert!(fits(b"my%", b"my_shop") && fits(b"my_shop", b"myxshop") && fits(b"my\\_shop", b"my_shop"));
        assert!(!fits(b"my\\_shop", b"myxshop") && !fits(b"my", b"my_shop") && fits(b"%", b""));
    }
}
