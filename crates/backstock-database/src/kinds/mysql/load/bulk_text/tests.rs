//! The bulk form against a naive reader of it.

use proptest::prelude::*;

use super::super::super::literals;
use super::*;

fn columns(forms: &[LiteralForm]) -> Vec<ColumnRecord> {
    let column =
        |form: &LiteralForm| ColumnRecord { name: "c".into(), literal: *form, type_text: "x".into() };
    forms.iter().map(column).collect()
}

fn converted(frame: &[u8], forms: &[LiteralForm]) -> Result<(Vec<u8>, u64), Unfit> {
    let columns = columns(forms);
    let mut text = BulkText::new(frame, b"t", &columns);
    let mut out = Vec::new();
    match text.read_to_end(&mut out) {
        Ok(_) => Ok((out, text.take_rows())),
        Err(_) => Err(text.take_unfit().unwrap()),
    }
}

/// What a server makes of a line, by the naive model: `None` is NULL.
fn read_line(line: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut values = vec![(Vec::new(), false)];
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        let last = values.last_mut().unwrap();
        match byte {
            0x1a => values.push((Vec::new(), false)),
            b'\\' => last.0.push(match bytes.next().unwrap() {
                b'0' => 0,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'Z' => 0x1a,
                b'N' => {
                    last.1 = true;
                    b'N'
                }
                other => *other,
            }),
            byte => last.0.push(*byte),
        }
    }
    values.into_iter().map(|(bytes, null)| (!(null && bytes == b"N")).then_some(bytes)).collect()
}

#[test]
fn rows_become_lines() {
    use LiteralForm::{Bytes, Number, Quoted, RowEnd, Text};
    let head = "INSERT INTO `t` (`c`,`c`,`c`,`c`,`c`) VALUES\n";
    let frame = format!(
        "{head}(1,'a\\'\\n''b\\%\\N',_binary'\\0\u{1a}\n','2024-00-00',@backstock_row_end),\n(NULL,NULL,NULL,NULL,'x');\n\
         {head}(-2e-5,'N',_binary '',NULL,NULL);\n"
    );
    let (lines, rows) = converted(frame.as_bytes(), &[Number, Text, Bytes, Quoted, RowEnd]).unwrap();
    assert_eq!(rows, 3);
    let lines: Vec<_> = lines.split(|byte| *byte == b'\n').map(read_line).collect();
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(lines[0], [some("1"), some("a'\n'b\\%N"), some("\0\u{1a}\n"), some("2024-00-00"), some("")]);
    assert_eq!(lines[1], [None, None, None, None, some("x")]);
    assert_eq!(lines[2], [some("-2e-5"), some("N"), some(""), None, None]);
    assert_eq!(lines[3], [some("")]);
}

#[test]
fn what_is_not_ours_is_refused() {
    use LiteralForm::{Bytes, Number, Quoted, Text};
    for (values, form) in [
        ("'1'", Number),
        ("0x41", Number),
        ("x'41'", Bytes),
        ("'a'", Bytes),
        ("_latin1'a'", Text),
        ("_binary'a'", Quoted),
        ("sleep(1)", Number),
        ("1,2", Number),
        ("@backstock_row_end", Text),
        ("'\u{e4}'", LiteralForm::AsciiText),
        ("'a' 'b'", Text),
        ("1)(2", Number),
        ("'a", Text),
        ("'a\\", Text),
    ] {
        let frame = format!("INSERT INTO `t` (`c`) VALUES\n({values});\n");
        assert!(converted(frame.as_bytes(), &[form]).is_err(), "{values}");
    }
    for frame in ["DROP TABLE `t`;", "INSERT INTO `u` (`c`) VALUES (1);", "INSERT INTO `t` VALUES (1);"] {
        assert!(converted(frame.as_bytes(), &[Number]).is_err(), "{frame}");
    }
}

#[test]
fn rows_stop_before_an_insert_ignore_and_go_on_behind_it() {
    let columns = columns(&[LiteralForm::Number]);
    let ignore = b"INSERT IGNORE INTO `t` (`c`) VALUES\n(0);";
    let frame =
        [b"INSERT INTO `t` (`c`) VALUES\n(1);\n", &ignore[..], b"\nINSERT INTO `t` (`c`) VALUES\n(2);"]
            .concat();
    let mut text = BulkText::new(&frame, b"t", &columns);
    let mut out = Vec::new();
    text.read_to_end(&mut out).unwrap();
    assert_eq!((&out[..], text.take_rows()), (&b"1\n"[..], 1));
    assert!(text.at_ignore().unwrap().starts_with(ignore));
    text.skip(ignore.len());
    text.read_to_end(&mut out).unwrap();
    assert_eq!((&out[..], text.take_rows()), (&b"1\n2\n"[..], 1));
    assert_eq!(text.at_ignore(), None);
}

proptest! {
    #[test]
    fn every_value_comes_back(values in proptest::collection::vec(proptest::option::of(
        proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'\''), Just(0x1a), Just(b'N')], 0..80)), 1..6)) {
        let mut row = Vec::new();
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                row.push(b',');
            }
            match value {
                None => row.extend_from_slice(b"NULL"),
                Some(value) => {
                    row.extend_from_slice(b"_binary");
                    literals::put_quoted(literals::Value::new(value, value.len()), &mut row);
                }
            }
        }
        let columns = columns(&vec![LiteralForm::Bytes; values.len()]);
        let mut text = BulkText::of_row(&row, &columns);
        let mut line = Vec::new();
        text.read_to_end(&mut line).unwrap();
        prop_assert_eq!(text.take_rows(), 1);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(read_line(&line), values);
    }

    #[test]
    fn values_longer_than_a_piece_come_back(bytes in any::<[u8; 16]>(), shift in 0..3_usize) {
        let value: Vec<u8> = bytes.iter().cycle().skip(shift).take(PIECE_BYTES + 5 + shift).copied().collect();
        let mut row = b"_binary".to_vec();
        literals::put_quoted(literals::Value::new(&value, value.len()), &mut row);
        let columns = columns(&[LiteralForm::Bytes]);
        let mut line = Vec::new();
        BulkText::of_row(&row, &columns).read_to_end(&mut line).unwrap();
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert_eq!(read_line(&line), vec![Some(value)]);
    }
}
