//! The only place of this program that prints.
#![expect(clippy::print_stdout, reason = "printing happens here and nowhere else")]

/// One line of results.
pub(crate) fn data(line: &str) {
    println!("{line}");
}
