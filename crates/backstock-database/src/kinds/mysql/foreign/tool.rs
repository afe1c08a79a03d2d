//! Who made a file, from which server, and whether its end is there: read from the comments that programs leave in it.

use serde::Deserialize;

use super::fault::{Fault, Place};
use crate::kinds::mysql::writer::{END_MARK, HEAD_MARK};
use crate::record::{DatabaseFacts, ServerFacts};
use crate::{Vendor, Version};

/// How much of a file's start and end is looked at, bytes.
pub(super) const HEAD_BYTES: usize = 4096;

/// What the comments of a file tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Origin {
    /// The program.
    pub(super) made_by: String,
    /// Vendor, version and the text that says so.
    pub(super) server: Option<(Vendor, Version, String)>,
    /// The database.
    pub(super) database: Option<Vec<u8>>,
    /// What the last lines must hold; empty where the program writes nothing of the kind.
    pub(super) trailer: &'static str,
}

/// Files that are no dumps of MySQL or MariaDB, by what stands in their first lines.
const OTHER_FORMATS: &[(&str, &str)] = &[
    ("-- PostgreSQL database dump", "it is a dump of PostgreSQL"),
    ("PGDMP", "it is a dump of PostgreSQL"),
    ("PRAGMA foreign_keys", "it is a dump of SQLite"),
    ("SQLite format 3", "it is a database of SQLite"),
    ("SET ANSI_NULLS ON", "it is a script of Microsoft SQL Server"),
    ("USE [", "it is a script of Microsoft SQL Server"),
    ("<?xml", "it is XML, not SQL"),
    ("<!DOCTYPE", "it is a web page, not SQL"),
    ("<html", "it is a web page, not SQL"),
];

/// Names the format of a file that is something else.
pub(super) fn refuse_other_formats(file: &str, head: &[u8]) -> Result<(), Fault> {
    let head = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
    let found = OTHER_FORMATS
        .iter()
        .find(|(mark, _)| head.lines().any(|line| line.trim_start_matches('\u{feff}').starts_with(mark)));
    match found {
        None => Ok(()),
        Some((_, what)) => Err(Fault::Text(Place {
            file: file.to_owned(),
            line: 1,
            what: format!("{what}: only dumps of MySQL and MariaDB can be restored"),
        })),
    }
}

/// The first line of mydumper's files.
const MYDUMPER_LINE: &str = "/*!40101 SET NAMES binary*/;";
/// Names of mydumper's files whose bodies have semicolons and no DELIMITER: a statement ends at a semicolon at the end of a
/// line, and a blank stands behind any other there.
const MYDUMPER_BODIES: [&str; 2] = ["-schema-triggers.sql", "-schema-post.sql"];

/// What ends the statements of a file, where it is not `;`.
pub(super) fn delimiter_of_file(name: &str) -> Option<&'static [u8]> {
    MYDUMPER_BODIES.iter().any(|ending| name.contains(ending)).then_some(b";\n")
}

/// The facts in the first line of a dump of our own.
#[derive(Deserialize)]
struct OwnHead {
    server: ServerFacts,
    database: DatabaseFacts,
}

fn of_our_own(first_line: &str) -> Option<Origin> {
    let facts: OwnHead = serde_json::from_str(first_line.strip_prefix(HEAD_MARK)?).ok()?;
    Some(Origin {
        made_by: "Backstock".to_owned(),
        server: Some((facts.server.vendor, facts.server.version, facts.server.version_text)),
        database: Some(facts.database.name.0),
        trailer: END_MARK,
    })
}

/// Reads the comments at the start of a file.
pub(super) fn origin(head: &[u8]) -> Origin {
    let head = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]).into_owned();
    let lines = || head.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    if let Some(own) = lines().next().and_then(of_our_own) {
        return own;
    }
    let first_with = |mark: &str| lines().find(|line| line.contains(mark)).map(str::to_owned);
    let value = |mark: &str| {
        let line = lines().find(|line| line.trim_start_matches(['-', '#', ' ']).starts_with(mark))?;
        let (_, value) = line.split_once(mark)?;
        Some(value.trim().trim_matches('`').to_owned())
    };
    let mut origin = Origin::default();
    let mut version = value("Server version:").or_else(|| value("Server version"));
    if let Some(line) = first_with("-- MySQL dump").or_else(|| first_with("-- MariaDB dump")) {
        origin.made_by = if line.contains("MariaDB") { "mariadb-dump" } else { "mysqldump" }.to_owned();
        origin.trailer = "-- Dump completed";
        version = version.or_else(|| line.split_once("Distrib ").map(|(_, rest)| rest.to_owned()));
    } else if first_with("phpMyAdmin SQL Dump").is_some() {
        origin.made_by = "phpMyAdmin".to_owned();
        origin.trailer = "COMMIT";
    } else if let Some(line) = lines().find(|line| line.starts_with("-- Adminer")) {
        origin.made_by = "Adminer".to_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| matches!(*word, "MySQL" | "MariaDB"));
        let number = at.and_then(|at| words.get(at + 1));
        version = number.map(|number| {
            if line.contains("MariaDB") && !number.contains("MariaDB") {
                format!("{number}-MariaDB")
            } else {
                (*number).to_owned()
            }
        });
    } else if lines().next() == Some(MYDUMPER_LINE) {
        origin.made_by = "mydumper".to_owned();
    } else if first_with("HeidiSQL").is_some() {
        origin.made_by = "HeidiSQL".to_owned();
    } else if lines().next().is_some_and(|line| line.starts_with("TRUNCATE TABLE")) {
        origin.made_by = "OpenCart".to_owned();
    }
    origin.server = version.and_then(|text| {
        let vendor = if text.contains("MariaDB") { Vendor::MariaDb } else { Vendor::MySql };
        Some((vendor, version_of(&text)?, text))
    });
    let named = value("Database:").or_else(|| {
        let line = lines().find(|line| line.starts_with("-- Host:"))?;
        let (_, name) = line.split_once("Database: ")?;
        Some(name.trim().to_owned())
    });
    origin.database = named.filter(|name| !name.is_empty()).map(String::into_bytes);
    origin
}

/// The first three numbers with dots between them. MariaDB says `5.5.5-` before its own.
fn version_of(text: &str) -> Option<Version> {
    let text = text.strip_prefix("5.5.5-").unwrap_or(text);
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u16>);
    let mut next = || numbers.next()?.ok();
    Some(Version(next()?, next()?, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_comments() {
        let of = |text: &str| origin(text.as_bytes());
        let dump = of(
            "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for \
            debian-linux-gnu (x86_64)\n--\n-- Host: localhost    Database: shop\n-- -----\n-- Server version\t10.11.6-MariaDB\n",
        );
        assert_eq!((dump.made_by.as_str(), dump.trailer), ("mariadb-dump", "-- Dump completed"));
        assert_eq!(dump.server.unwrap().1, Version(10, 11, 6));
        assert_eq!(dump.database.unwrap(), b"shop");
        let dump = of(
            "-- phpMyAdmin SQL Dump\n-- version 5.2.1\n-- Host: x\n-- Server version: 8.0.30\n--\n-- Database: `a b`\n",
        );
        assert_eq!(dump.made_by, "phpMyAdmin");
        assert_eq!((dump.server.unwrap().0, dump.database.unwrap()), (Vendor::MySql, b"a b".to_vec()));
        let dump = of("-- Adminer 4.8.1 MySQL 5.5.5-10.6.4-MariaDB dump\n");
        assert_eq!(dump.server.unwrap().1, Version(10, 6, 4));
        assert_eq!(of("TRUNCATE TABLE `oc_a`;\n").made_by, "OpenCart");
        assert_eq!(of("CREATE TABLE a (b int);"), Origin::default());
        let live = super::super::live::Live::empty(Vendor::MySql, Version(9, 7, 1));
        let head = crate::kinds::mysql::writer::head(&live.server, &live.database, "now".to_owned(), &[]);
        let own = origin(&head);
        assert_eq!((own.made_by.as_str(), own.trailer), ("Backstock", END_MARK));
        assert_eq!((own.server.unwrap().1, own.database.unwrap()), (Version(9, 7, 1), b"shop".to_vec()));
    }

    #[test]
    fn other_formats_are_named() {
        for text in ["--\n-- PostgreSQL database dump\n--", "PRAGMA foreign_keys=OFF;", "<!DOCTYPE html>"] {
            assert!(refuse_other_formats("f", text.as_bytes()).is_err(), "{text}");
        }
        assert!(refuse_other_formats("f", b"-- MySQL dump").is_ok());
    }
}
