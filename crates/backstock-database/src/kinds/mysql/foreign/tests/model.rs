//! Rows and statements as a naive model writes them come back as they were, in any size of pieces, and no cut of a file
//! passes for the whole.

use proptest::prelude::*;

use super::*;
use crate::kinds::mysql::sql::{quote_name, quote_text};

/// A value as a dump writes it, and as it must come out.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"NULL".to_vec()),
        any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        (any::<u32>(), any::<i8>())
            .prop_map(|(number, exponent)| format!("{number}.5e{exponent}").into_bytes()),
        proptest::collection::vec(any::<u8>().prop_filter("ASCII", u8::is_ascii), 0..12)
            .prop_map(|bytes| quote_text(&bytes)),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| [
            b"_binary".as_slice(),
            &quote_text(&bytes)
        ]
        .concat()),
        proptest::collection::vec(any::<u8>(), 1..6).prop_map(|bytes| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("0x{digits}").into_bytes()
        }),
    ]
}

/// What may stand between two tokens.
fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just(" "),
        Just("\n"),
        Just("/* ');( */"),
        Just("-- '(;\n"),
        Just("#`\n"),
        Just("\r\n")
    ]
}

fn script() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    let row = (proptest::collection::vec(value(), 2), blank(), blank());
    let statement = (proptest::collection::vec(row, 1..4), blank());
    proptest::collection::vec(statement, 0..4).prop_map(|statements| {
        let table = quote_name(b"t;`'");
        let mut text = [b"CREATE TABLE ".as_slice(), &table, b" (`a` text, `b` blob);\n"].concat();
        let mut expected = Vec::new();
        for (rows, end) in statements {
            text.extend([b"INSERT INTO ".as_slice(), &table, b" VALUES "].concat());
            for (at, (values, before, between)) in rows.into_iter().enumerate() {
                if at > 0 {
                    text.push(b',');
                }
                text.extend(before.as_bytes());
                text.push(b'(');
                let glue = [b",".as_slice(), between.as_bytes()].concat();
                text.extend(values.join(&glue[..]));
                text.push(b')');
                expected.push(values.join(&b","[..]));
            }
            text.extend(end.as_bytes());
            text.extend(b";\n");
        }
        (text, expected)
    })
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were_written((text, expected) in script(), piece_bytes in 1_usize..50) {
        let memory = Memory { piece_bytes, ..Memory::of(&text) };
        let found = read(&memory, Vendor::MySql, ForeignTrust::ChosenByOwner).unwrap();
        let expected: Vec<String> = expected.iter().map(|row| row.escape_ascii().to_string()).collect();
        prop_assert_eq!(found.texts(), expected);
    }

    #[test]
    fn no_cut_passes_for_the_whole((text, expected) in script(), at in 0_usize..1000) {
        let end = at % text.len();
        if let Ok(found) = of_owner(&text[..end]) {
            let is_whole = found.rows.len() == expected.len() && !expected.is_empty();
            let rest = &text[end..];
            prop_assert!(!is_whole || rest.trim_ascii().is_empty(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_end_in_a_plan_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = of_owner(bytes);
    }
}
