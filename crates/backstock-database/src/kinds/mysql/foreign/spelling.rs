//! Spells what others wrote in the one way that this program reads: backticks for names, single quotes and backslashes
//! for texts, UTF-8 for what is not ASCII. No value changes.

use crate::kinds::mysql::sql::{
    Lexer, Modes, SqlFault, Token, TokenKind, name_bytes, quote_name, quote_text,
};

/// What the bytes 0x80 to 0x9f mean in MySQL's latin1: Windows-1252, and the control characters in its gaps.
const WINDOWS_1252: [u32; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d,
    0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a,
    0x153, 0x9d, 0x17e, 0x178,
];

/// Whether text in a character set is UTF-8, or bytes that nobody converts.
pub(super) fn is_utf8(character_set: &str) -> bool {
    matches!(character_set, "utf8mb4" | "utf8mb3" | "utf8" | "binary" | "ascii")
}

/// Text of a definition as UTF-8. `None` for a character set that is not known here.
pub(super) fn to_utf8(text: &[u8], character_set: &str) -> Option<Vec<u8>> {
    if is_utf8(character_set) || text.is_ascii() {
        return Some(text.to_vec());
    }
    if character_set != "latin1" {
        return None;
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for byte in text {
        let code = match byte {
            0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
            other => u32::from(*other),
        };
        out.push(char::from_u32(code)?);
    }
    Some(out.into_bytes())
}

/// The bytes that a text literal stands for, whichever quotes it has; `None` where it is no plain literal.
pub(super) fn text_bytes(token: &[u8], escapes: bool) -> Option<Vec<u8>> {
    let [quote @ (b'\'' | b'"'), inner @ .., _] = token else { return None };
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(byte) = inner.get(at) {
        at += 1;
        if byte == quote {
            at += 1;
        } else if *byte == b'\\' && escapes {
            let escaped = inner.get(at)?;
            at += 1;
            match escaped {
                b'0' => out.push(0),
                b'b' => out.push(8),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'Z' => out.push(0x1a),
                b'%' | b'_' => out.extend([b'\\', *escaped]),
                other => out.push(*other),
            }
            continue;
        }
        out.push(*byte);
    }
    Some(out)
}

/// A text literal between single quotes, its escapes those of a session without `NO_BACKSLASH_ESCAPES`.
pub(super) fn text_literal(token: &[u8], modes: Modes) -> Vec<u8> {
    let is_plain = token.first() != Some(&b'"') && !modes.no_backslash_escapes;
    if is_plain {
        return token.to_vec();
    }
    // An introducer or a letter such as x stands before the quote.
    let at = token.iter().position(|byte| matches!(byte, b'\'' | b'"')).unwrap_or(0);
    match text_bytes(&token[at..], !modes.no_backslash_escapes) {
        Some(bytes) => [&token[..at], &quote_text(&bytes)].concat(),
        None => token.to_vec(),
    }
}

/// A token as this program spells it, in its own character set.
pub(super) fn token(text: &[u8], token: &Token, modes: Modes) -> Vec<u8> {
    let bytes = token.text(text);
    match token.kind {
        TokenKind::Name if bytes.first() == Some(&b'"') => quote_name(&name_bytes(bytes)),
        TokenKind::Text => text_literal(bytes, modes),
        _ => bytes.to_vec(),
    }
}

/// A definition without comments, in the spelling of this program.
pub(super) fn definition(text: &[u8], modes: Modes) -> Result<Vec<u8>, SqlFault> {
    let mut lexer = Lexer::new(text, modes);
    let mut out = Vec::with_capacity(text.len());
    let mut end = 0;
    while let Some(found) = lexer.next_token()? {
        let gap = &text[end..found.start];
        if gap.iter().all(u8::is_ascii_whitespace) {
            out.extend(gap.iter().filter(|byte| **byte != b'\r'));
        } else {
            out.push(b' ');
        }
        out.extend(token(text, &found, modes));
        end = found.end;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_quote_becomes_one_kind() {
        let ansi = Modes { ansi_quotes: true, no_backslash_escapes: true };
        let text = br#"CREATE TABLE "a""b" ( "c" int COMMENT 'x\''y' /* z */)"#;
        let found = String::from_utf8(definition(text, ansi).unwrap()).unwrap();
        assert_eq!(found, "CREATE TABLE `a\"b` ( `c` int COMMENT 'x\\\\\\'y' )");
        let plain = Modes::default();
        assert_eq!(text_literal(br#""it's \"a\" ""b""""#, plain), br#"'it\'s "a" "b"'"#);
        assert_eq!(text_literal(b"_utf8'a'", plain), b"_utf8'a'");
    }

    #[test]
    fn latin1_is_that_of_the_server() {
        assert_eq!(to_utf8(b"\x80 \xe9", "latin1").unwrap(), "\u{20ac} \u{e9}".as_bytes());
        assert_eq!(to_utf8(b"\xe9", "cp1251"), None);
        assert_eq!(to_utf8(b"\xe9", "utf8mb4").unwrap(), b"\xe9");
    }

    proptest! {
        #[test]
        fn a_literal_keeps_its_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let doubled: Vec<u8> =
                bytes.iter().flat_map(|byte| if *byte == b'"' { vec![*byte; 2] } else { vec![*byte] }).collect();
            let token = [b"\"".as_slice(), &doubled, b"\""].concat();
            let modes = Modes { ansi_quotes: false, no_backslash_escapes: true };
            let spelled = text_literal(&token, modes);
            prop_assert_eq!(text_bytes(&spelled, true).unwrap(), bytes);
        }
    }
}
