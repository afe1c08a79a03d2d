//! SQL: the splitter and its lexer, and the checker of frames of rows.

use backstock_database::{RowHash, check_rows_frame, check_statements};

/// Any bytes as a script, and as a frame of a dump.
pub(crate) fn statements(bytes: &[u8]) {
    if let Ok(facts) = check_statements(bytes) {
        assert!(facts.statement_bytes <= bytes.len() as u64, "statements are longer than the script");
        assert!(facts.statements <= bytes.len() as u64, "more statements than bytes");
    }
    if let Ok(facts) = check_rows_frame(bytes, RowHash::default()) {
        assert!(facts.row_count <= bytes.len() as u64, "more rows than bytes");
        let statements = check_statements(bytes).map(|facts| facts.statements);
        assert!(statements.is_ok_and(|count| count > 0), "rows in what is no statement");
    }
}
