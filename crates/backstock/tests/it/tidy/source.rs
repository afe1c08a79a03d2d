//! Rules of the source text: sizes, first lines, who may print, who reads the clock, what is never written.

use super::exceptions::Exceptions;
use super::{TidyFile, expect_none, files};

const LINES_OF_A_FILE: usize = 500;
const LINES_OF_A_FUNCTION: usize = 70;

/// Each program prints in one place: the product, the benchmarks.
const PRINTERS: [&str; 3] =
    ["crates/backstock/src/terminal.rs", "bench/src/terminal.rs", "bench/rowpath/src/terminal.rs"];
/// The one file that reads the time of day.
const CLOCK: &str = "crates/backstock-host/src/clock.rs";
/// Programs for tests; what they print is no part of the product.
const TESTBED: &str = "backstock-testbed";

#[test]
fn every_source_file_says_its_purpose_first() {
    let broken: Vec<String> = files()
        .into_iter()
        .filter(|file| file.is_rust() && !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    expect_none("a .rs file opens with one `//!` line that says its purpose", &broken);
}

#[test]
fn files_and_functions_are_short() {
    let mut exceptions = Exceptions::read();
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        if lines > LINES_OF_A_FILE && !exceptions.allows(&file.path, lines) {
            broken.push(format!("{}: {lines} lines", file.path));
        }
        for (name, lines) in functions(&file.text) {
            let place = format!("{}::{name}", file.path);
            if lines > LINES_OF_A_FUNCTION && !exceptions.allows(&place, lines) {
                broken.push(format!("{place}: {lines} lines"));
            }
        }
    }
    expect_none("files have at most 500 lines and functions 70: split by meaning", &broken);
    expect_none(
        "the list of exceptions only shrinks: these lines of tidy/exceptions.txt are no longer needed or too generous",
        &exceptions.unneeded(),
    );
}

/// Name and number of lines of each function, read from text that rustfmt has laid out: a function ends with a brace in
/// the column where it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let Some(name) = function_name(code) else { continue };
        if code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let end_of_body = format!("{}}}", " ".repeat(indent));
        for (more, later) in lines[number + 1..].iter().enumerate() {
            let is_outer =
                later.len() > indent && !later[..=indent].ends_with(' ') && later[..indent].trim().is_empty();
            if *later == end_of_body {
                found.push((name.to_owned(), more + 2));
                break;
            }
            // The end of a signature without a body.
            if is_outer && later.ends_with(';') {
                break;
            }
        }
    }
    found
}

/// The name in a line that begins a function.
fn function_name(code: &str) -> Option<&str> {
    let mut rest = code;
    loop {
        let word = rest.split([' ', '(']).next()?;
        match word {
            "fn" => return rest.strip_prefix("fn ")?.split(['(', '<']).next(),
            "pub" | "async" | "const" | "unsafe" | "extern" | "default" => {
                let after = rest.strip_prefix(word)?;
                // `pub(crate) fn`, `pub(in path) fn`
                rest = if after.starts_with('(') { after.split_once(") ")?.1 } else { after.trim_start() };
            }
            _ => return None,
        }
    }
}

#[test]
fn functions_are_found_and_counted() {
    let text = "fn one() {\n    two();\n}\nimpl X {\n    pub(crate) async fn three<T>(\n        a: T,\n    ) -> T {\n        a\n    }\n}\n\
                trait Y {\n    fn four(\n        &self,\n    ) -> u8;\n    fn five(&self) {\n        six()\n    }\n}\nconst fn seven() {}\n";
    let expected = [("one", 3), ("three", 5), ("five", 3)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(text), expected);
}

/// The lines of a file that are neither comments nor below its tests.
fn code_lines(file: &TidyFile) -> impl Iterator<Item = (usize, &str)> {
    let end = file.text.find("\n#[cfg(test)]\nmod ").unwrap_or(file.text.len());
    file.text[..end].lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Places of code, outside tests, that hold one of the words.
fn places(words: &[&str], is_allowed: impl Fn(&TidyFile) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && !file.is_test() && !is_allowed(file)) {
        for (number, line) in code_lines(file) {
            if let Some(word) = words.iter().find(|&&word| line.contains(word)) {
                found.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    found
}

#[test]
fn only_the_terminal_prints() {
    let words = ["println!(", "eprintln!(", "print!(", "dbg!(", "io::stdout(", "io::stderr("];
    let broken = places(&words, |file| PRINTERS.contains(&file.path.as_str()) || file.of_crate() == TESTBED);
    expect_none("only terminal.rs prints", &broken);
}

#[test]
fn only_the_host_reads_the_time_of_day() {
    let words = ["SystemTime::now(", "Timestamp::now(", "Zoned::now(", "Utc::now("];
    expect_none("only the host's clock.rs reads the time of day", &places(&words, |file| file.path == CLOCK));
}

#[test]
fn nothing_is_unfinished_silenced_or_skipped() {
    // In two parts, so that this file does not break its own rule.
    let words = [
        concat!("#[al", "low("),
        concat!("#![al", "low("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
    ];
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|&&word| line.contains(word)) {
                broken.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    expect_none("lints are expected with a reason, nothing is left to do, no test is switched off", &broken);
}
