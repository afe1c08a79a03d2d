//! Records of a pax extended header: `length keyword=value\n`, where the length counts itself.

use super::Malformed;

/// An extended header longer than this is refused: 512 KiB of attributes, as much of names in a folder, and a deep path.
pub const EXTENDED_LIMIT_BYTES: u64 = 2 << 20;

/// Appends one record.
pub fn push(out: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    // One blank, one equals sign, one newline, and the digits of the length itself.
    let rest = keyword.len() + value.len() + 3;
    let mut digits = 1;
    while (rest + digits).to_string().len() > digits {
        digits += 1;
    }
    out.extend_from_slice((rest + digits).to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(keyword);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A keyword and its value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// Takes an extended header apart.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, Malformed> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().take(12).position(|byte| *byte == b' ').ok_or(Malformed("a pax record"))?;
        let length = number(&bytes[..blank]).ok_or(Malformed("the length of a pax record"))?;
        let length = usize::try_from(length).map_err(|_| Malformed("the length of a pax record"))?;
        if length > bytes.len() || length < blank + 3 || bytes[length - 1] != b'\n' {
            return Err(Malformed("the length of a pax record"));
        }
        let record = &bytes[blank + 1..length - 1];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(Malformed("a pax record"))?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = &bytes[length..];
    }
    Ok(records)
}

/// A decimal number without sign; nothing else.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time as pax writes it: seconds since the epoch with a fraction. `nanoseconds` always counts forward.
pub fn time_text(seconds: i64, nanoseconds: u32) -> String {
    if nanoseconds == 0 {
        return seconds.to_string();
    }
    let text = if seconds < 0 {
        // -1.25 s is stored as -2 s + 750 000 000 ns.
        format!("-{}.{:09}", -(i128::from(seconds) + 1), 1_000_000_000 - nanoseconds)
    } else {
        format!("{seconds}.{nanoseconds:09}")
    };
    text.trim_end_matches('0').to_owned()
}

/// The reverse of [`time_text`].
pub fn parse_time(text: &[u8]) -> Result<(i64, u32), Malformed> {
    let fault = Malformed("a time");
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let seconds = i64::try_from(number(whole).ok_or(fault)?).map_err(|_| fault)?;
    if fraction.len() > 9 || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(fault);
    }
    let nanoseconds =
        (0..9).fold(0u32, |sum, at| sum * 10 + u32::from(fraction.get(at).map_or(0, |digit| digit - b'0')));
    Ok(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_that_grows_by_counting_itself_is_right() {
        for value_bytes in [0, 1, 88, 89, 90, 91, 984, 985, 986, 987, 70_000] {
            let mut out = Vec::new();
            push(&mut out, b"path", &vec![b'x'; value_bytes]);
            assert_eq!(parse(&out).unwrap(), vec![(&b"path"[..], &vec![b'x'; value_bytes][..])]);
        }
    }

    #[test]
    fn times_before_the_epoch_keep_their_fraction() {
        assert_eq!(time_text(-2, 750_000_000), "-1.25");
        assert_eq!(time_text(-1, 999_999_999), "-0.000000001");
        assert_eq!(parse_time(b"-1.25"), Ok((-2, 750_000_000)));
        assert!(parse_time(b"1.1234567890").is_err());
        assert!(parse_time(b"").is_err());
    }

    proptest! {
        #[test]
        fn records_round_trip(records in prop::collection::vec(("[A-Za-z.]{1,20}", prop::collection::vec(any::<u8>(), 0..200)), 0..8)) {
            let mut out = Vec::new();
            for (keyword, value) in &records {
                push(&mut out, keyword.as_bytes(), value);
            }
            let parsed: Vec<(String, Vec<u8>)> = parse(&out).unwrap().into_iter()
                .map(|(keyword, value)| (String::from_utf8(keyword.to_vec()).unwrap(), value.to_vec())).collect();
            prop_assert_eq!(parsed, records);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn times_round_trip(seconds in -1_000_000_000_000i64..1_000_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            prop_assert_eq!(parse_time(time_text(seconds, nanoseconds).as_bytes()), Ok((seconds, nanoseconds)));
        }
    }
}
