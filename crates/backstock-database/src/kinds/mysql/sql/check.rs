//! Tokenises any frame of a dump to its last byte, and counts what stands in it.

use super::{Splitter, SqlFault};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatementFacts {
    /// How many statements; comments and DELIMITER lines are none.
    pub statements: u64,
    /// The bytes of these statements.
    pub statement_bytes: u64,
}

/// Reads every token of a frame. The frame must start and end between two statements. A session mode that changes
/// what quotes mean is followed within the frame; each frame of our own files starts in the mode of the header.
pub fn check_statements(frame: &[u8]) -> Result<StatementFacts, SqlFault> {
    let mut facts = StatementFacts::default();
    let mut splitter = Splitter::new(frame);
    while let Some(statement) = splitter.next_statement()? {
        facts.statements += 1;
        facts.statement_bytes += statement.text.len() as u64;
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_dump_is_counted_and_no_cut_of_it_counts_the_same() {
        let dump = b"-- head\nSET NAMES utf8mb4;\nCREATE TABLE `a;` (`b` int /*!80023 INVISIBLE */);\n\
            DELIMITER ;;\nCREATE TRIGGER `c` BEFORE INSERT ON `a;` FOR EACH ROW BEGIN SET @x=1; END;;\nDELIMITER ;\n\
            INSERT INTO `a;` (`b`) VALUES\n(1),\n(2);\n-- tail\n";
        let whole = check_statements(dump).unwrap();
        assert_eq!(whole.statements, 4);
        let last = dump.iter().rposition(|byte| *byte == b';').unwrap();
        for end in 0..=last {
            if let Ok(facts) = check_statements(&dump[..end]) {
                assert!(facts.statements < whole.statements, "cut at {end}");
            }
        }
    }
}
