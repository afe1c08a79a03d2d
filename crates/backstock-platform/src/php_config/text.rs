//! Texts of PHP: escapes of quoted strings, here documents. From the PHP manual, "Strings".

/// The content of a single-quoted string: only `\'` and `\\` are escapes.
pub(super) fn single_quoted(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(next @ (b'\'' | b'\\'))) => {
                text.push(*next);
                bytes.next();
            }
            _ => text.push(byte),
        }
    }
    text
}

/// The content of a double-quoted string or here document. `quoted` tells whether `\"` is an escape.
pub(super) fn double_quoted(raw: &[u8], quoted: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' || at + 1 == raw.len() {
            text.push(raw[at]);
            at += 1;
            continue;
        }
        let (bytes, length) = escape(&raw[at + 1..], quoted);
        match bytes {
            Some(bytes) => text.extend(bytes),
            None => text.extend([b'\\', raw[at + 1]]),
        }
        at += 1 + length;
    }
    text
}

/// What follows a backslash: the bytes that it means, and how many bytes it takes.
fn escape(rest: &[u8], quoted: bool) -> (Option<Vec<u8>>, usize) {
    let one = |byte: u8| (Some(vec![byte]), 1);
    match rest[0] {
        b'n' => one(b'\n'),
        b't' => one(b'\t'),
        b'r' => one(b'\r'),
        b'v' => one(0x0b),
        b'e' => one(0x1b),
        b'f' => one(0x0c),
        b'\\' => one(b'\\'),
        b'$' => one(b'$'),
        b'"' if quoted => one(b'"'),
        b'0'..=b'7' => {
            let (value, length) = digits(rest, 8, 3);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "PHP drops the ninth bit of \\400 to \\777 as well"
            )]
            (Some(vec![value as u8]), length)
        }
        b'x' | b'X' => {
            let (value, length) = digits(&rest[1..], 16, 2);
            match u8::try_from(value) {
                Ok(byte) if length > 0 => (Some(vec![byte]), 1 + length),
                _ => (None, 1),
            }
        }
        b'u' if rest.get(1) == Some(&b'{') => {
            let (value, length) = digits(&rest[2..], 16, 8);
            match char::from_u32(value) {
                Some(character) if length > 0 && rest.get(2 + length) == Some(&b'}') => {
                    (Some(character.to_string().into_bytes()), 3 + length)
                }
                _ => (None, 1),
            }
        }
        _ => (None, 1),
    }
}

fn digits(bytes: &[u8], radix: u32, most: usize) -> (u32, usize) {
    let mut value = 0_u32;
    let mut length = 0;
    while let Some(digit) = bytes.get(length).and_then(|byte| char::from(*byte).to_digit(radix)) {
        if length == most {
            break;
        }
        value = value.saturating_mul(radix).saturating_add(digit);
        length += 1;
    }
    (value, length)
}

/// Removes from each line the indentation of the closing label. `at_line_start` tells whether the part begins a line.
pub(super) fn unindent(raw: &[u8], indentation: usize, at_line_start: bool) -> Vec<u8> {
    if indentation == 0 {
        return raw.to_vec();
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut to_drop = if at_line_start { indentation } else { 0 };
    for byte in raw {
        if to_drop > 0 && matches!(byte, b' ' | b'\t') {
            to_drop -= 1;
            continue;
        }
        to_drop = if *byte == b'\n' { indentation } else { 0 };
        text.push(*byte);
    }
    text
}

/// Drops the line end before the closing label.
pub(super) fn without_last_line_end(mut text: Vec<u8>) -> Vec<u8> {
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_quotes_know_two_escapes() {
        assert_eq!(single_quoted(br"it\'s a \\ and \n \x"), br"it's a \ and \n \x");
        assert_eq!(single_quoted(br"a\\"), br"a\");
    }

    #[test]
    fn double_quotes_know_the_escapes_of_the_manual() {
        assert_eq!(double_quoted(br#"\n\t\r\v\e\f\\\$\""#, true), b"\n\t\r\x0b\x1b\x0c\\$\"");
        assert_eq!(double_quoted(br"\x41\x4g\101\0\u{1F600}\q", true), "A\u{4}gA\0\u{1F600}\\q".as_bytes());
        assert_eq!(double_quoted(br#"\"#, true), b"\\");
        assert_eq!(double_quoted(br"\u{}\u{zz}\xzz", true), br"\u{}\u{zz}\xzz");
        assert_eq!(double_quoted(br#"\""#, false), br#"\""#);
    }
}
