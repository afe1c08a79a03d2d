//! The torture database: every case of a value, table or object that dumps are known to lose, each under its number.
//!
//! The numbers C01 to C98 are those of our catalogue of correctness; a case that one vendor cannot hold says so in its
//! code. All cases stand side by side in one database; each says what can bring it back.

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::database::quoted;
use crate::error::TestbedError;
use crate::server::{Server, ServerKind};

mod accounts;
mod columns;
mod names;
mod numbers;
mod objects;
mod programs;
mod strings;
mod tables;
mod times;

pub use accounts::{Account, create_accounts};

/// What a case's data comes back through, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Survives {
    /// Through a stock client and through our own restore.
    StockClient,
    /// Through our own restore only: no stock client can load it.
    OwnRestore,
    /// Through nothing: no SQL can make it again, so the backup names it.
    ReportOnly,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its number in the catalogue: `"C01"`.
    pub number: &'static str,
    /// What brings it back.
    pub survives: Survives,
    build: fn(&mut Torture<'_>) -> Result<(), TestbedError>,
}

impl Case {
    const fn new(
        number: &'static str,
        survives: Survives,
        build: fn(&mut Torture<'_>) -> Result<(), TestbedError>,
    ) -> Self {
        Self { number, survives, build }
    }
}

/// What was built, and what this server cannot hold.
#[derive(Debug, Default)]
pub struct Built {
    /// The numbers of the cases that stand in the database.
    pub cases: Vec<&'static str>,
    /// Numbers and reasons of what this vendor or version cannot hold.
    pub not_held: Vec<(&'static str, &'static str)>,
}

/// A database being filled.
struct Torture<'a> {
    server: &'a Server,
    connection: Conn,
    database: &'a str,
    number: &'static str,
    built: Built,
}

/// All cases, by what they are about.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        numbers::CASES,
        times::CASES,
        strings::CASES,
        columns::CASES,
        tables::CASES,
        programs::CASES,
        objects::CASES,
        names::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Makes the database and all cases in it that come back through `weakest` or something weaker.
///
/// # Errors
/// [`TestbedError::Database`], naming the case and the statement.
pub fn build(server: &Server, database: &str, hardest: Survives) -> Result<Built, TestbedError> {
    build_cases(server, database, |case| case.survives <= hardest)
}

/// Makes the database and the wanted cases in it.
///
/// # Errors
/// [`TestbedError::Database`], naming the case and the statement.
pub fn build_cases(
    server: &Server,
    database: &str,
    wanted: impl Fn(&Case) -> bool,
) -> Result<Built, TestbedError> {
    let connection = server.connect("")?;
    let mut torture = Torture { server, connection, database, number: "", built: Built::default() };
    // C92: the defaults of the database itself are none of the server's.
    torture.run(&format!(
        "CREATE DATABASE {} CHARACTER SET latin1 COLLATE latin1_german2_ci",
        quoted(database)
    ))?;
    torture.run(&format!("USE {}", quoted(database)))?;
    for case in cases().filter(|case| wanted(case)) {
        torture.number = case.number;
        torture.start_over()?;
        (case.build)(&mut torture)?;
        torture.built.cases.push(case.number);
    }
    Ok(torture.built)
}

impl Torture<'_> {
    /// Session settings that the cases start from; a case may change any.
    fn start_over(&mut self) -> Result<(), TestbedError> {
        self.run("SET NAMES utf8mb4")?;
        self.run("SET sql_mode=''")?;
        self.run("SET time_zone='+00:00'")?;
        self.run("SET foreign_key_checks=1")
    }

    fn is_mysql(&self) -> bool {
        self.server.kind().is_mysql()
    }

    /// MariaDB 11.5 and later: TIMESTAMP up to 2106; from 11.7 on VECTOR.
    fn is_newer_mariadb(&self) -> bool {
        self.server.kind() == ServerKind::MariaDb118
    }

    fn run(&mut self, sql: &str) -> Result<(), TestbedError> {
        self.connection.query_drop(sql).map_err(|error| {
            let shown: String = sql.chars().take(300).collect();
            TestbedError::database(format!("build case {}: {shown}", self.number), error)
        })
    }

    fn run_all(&mut self, statements: &[&str]) -> Result<(), TestbedError> {
        statements.iter().try_for_each(|statement| self.run(statement))
    }

    /// Inserts bytes through a prepared statement with one parameter.
    fn insert_bytes(&mut self, sql: &str, bytes: &[u8]) -> Result<(), TestbedError> {
        let value = mysql::Value::Bytes(bytes.to_vec());
        self.connection
            .exec_drop(sql, (value,))
            .map_err(|error| TestbedError::database(format!("build case {}: {sql}", self.number), error))
    }

    fn cannot_hold(&mut self, why: &'static str) {
        self.built.not_held.push((self.number, why));
    }
}

/// Bytes that look random and are the same each time.
pub(crate) fn noise(seed: u64, length_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; length_bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ServerOptions;

    #[test]
    fn every_server_holds_every_case_that_it_can() {
        for kind in ServerKind::KINDS {
            let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
            let built = build(&server, "torture", Survives::ReportOnly).unwrap();
            let picture = crate::database::read(&mut server.connect("").unwrap(), "torture").unwrap();
            let unreadable: Vec<_> = picture
                .things
                .iter()
                .filter(|(thing, aspects)| {
                    !thing.contains("c71") && aspects.values().any(|value| value.starts_with("error "))
                })
                .collect();
            assert!(unreadable.is_empty(), "{kind:?}: {unreadable:#?}");
            assert!(built.cases.len() > 70, "{kind:?}: {} cases", built.cases.len());
            assert!(picture.things.len() > 120, "{kind:?}: {} things", picture.things.len());
        }
    }

    #[test]
    fn every_number_of_the_catalogue_is_a_case() {
        let known: std::collections::BTreeSet<&str> = cases().map(|case| case.number).collect();
        let wanted = (1..=83).chain(88..=93).chain([97, 98]).map(|number| format!("C{number:02}"));
        let missing: Vec<String> = wanted.filter(|number| !known.contains(number.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
