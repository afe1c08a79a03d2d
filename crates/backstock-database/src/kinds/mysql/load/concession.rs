//! What a load gives up when the server refuses a table as it was: never silently, and never rows.

use super::super::ddl::{Concessions, INVISIBLE_KEY};
use crate::error::Error;
use crate::load::{LoadPlan, TablePlan};
use crate::record::TableRecord;

/// Rows that break a CHECK: MySQL, MariaDB.
const ERRORS_CHECK_VIOLATED: [u16; 2] = [3819, 4025];

/// What InnoDB says to a format of rows: the key is too long (1071, 1709), the row is too large (1118), the format is
/// not allowed here (1005 and 1478 of MariaDB, 1031 of MySQL) or cannot be written (1036 of MariaDB).
const ERRORS_ROW_FORMAT: [u16; 7] = [1005, 1031, 1036, 1071, 1118, 1478, 1709];

/// A server that is not strict shortens a key instead, and only warns.
const WARNING_KEY_SHORTENED: &str = "(warning 1071)";

/// What a plan concedes for a table before anything was tried.
pub(super) fn agreed(plan: &LoadPlan, table: &TablePlan) -> Concessions {
    Concessions { invisible_key: plan.added_keys.contains(&table.name), ..Concessions::default() }
}

/// What the report says of a concession that the plan made.
pub(super) fn agreed_line(concessions: Concessions) -> Option<String> {
    let line = format!("it got the invisible key {INVISIBLE_KEY}, since this server demands a primary key");
    concessions.invisible_key.then_some(line)
}

/// After a try: what to concede for the next one, with a line for the report; nothing where no more can be conceded.
/// `told` are the server's warnings of the try.
pub(super) fn next(
    present: Concessions,
    error: Option<&Error>,
    told: &[String],
    record: &TableRecord,
) -> Option<(Concessions, String)> {
    let is = |codes: &[u16]| error.and_then(Error::code).is_some_and(|code| codes.contains(&code));
    if !present.checks_off && is(&ERRORS_CHECK_VIOLATED) {
        let next = Concessions { checks_off: true, ..present };
        return Some((next, "rows break a CHECK, which is not enforced".to_owned()));
    }
    let shortened = told.iter().find(|line| line.ends_with(WARNING_KEY_SHORTENED));
    let refused = is(&ERRORS_ROW_FORMAT) || (error.is_none() && shortened.is_some());
    if !present.dynamic_rows && refused && record.engine.eq_ignore_ascii_case("InnoDB") {
        let next = Concessions { dynamic_rows: true, ..present };
        let why = error.and_then(|error| std::error::Error::source(error).map(ToString::to_string));
        let why = why.or_else(|| shortened.cloned()).unwrap_or_default();
        return Some((next, format!("changed to ROW_FORMAT=DYNAMIC, since as it was {why}")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerError;

    fn record(engine: &str) -> TableRecord {
        TableRecord::empty("t", engine)
    }

    fn failed(code: u16) -> Error {
        let source = ServerError { code, sqlstate: String::new(), message: "no".to_owned() };
        Error::Statement { statement: String::new(), source }
    }

    #[test]
    fn each_thing_is_conceded_once() {
        let none = Concessions::default();
        let (checks, _) = next(none, Some(&failed(4025)), &[], &record("InnoDB")).unwrap();
        assert!(checks.checks_off && next(checks, Some(&failed(4025)), &[], &record("InnoDB")).is_none());
        let (both, line) = next(checks, Some(&failed(1709)), &[], &record("InnoDB")).unwrap();
        assert!(both.checks_off && both.dynamic_rows && line.contains("ROW_FORMAT=DYNAMIC"), "{line}");
        assert!(next(both, Some(&failed(1709)), &[], &record("InnoDB")).is_none());
        assert!(next(none, Some(&failed(1709)), &[], &record("MyISAM")).is_none());
        assert!(next(none, Some(&failed(1062)), &[], &record("InnoDB")).is_none());
    }

    #[test]
    fn a_shortened_key_is_a_refusal() {
        let told = ["table t: Specified key was too long (warning 1071)".to_owned()];
        assert!(next(Concessions::default(), None, &told, &record("InnoDB")).unwrap().0.dynamic_rows);
        assert!(next(Concessions::default(), None, &[], &record("InnoDB")).is_none());
    }
}
