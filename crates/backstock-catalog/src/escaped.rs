//! Bytes as text that every database can keep and a person can read: names from a file system or a database.
//!
//! UTF-8 stays as it is; a backslash becomes two; every other byte, and every control character, becomes `\xNN`.

use std::fmt::Write;

/// The text for these bytes. Different bytes have different texts.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                _ if character.is_control() => {
                    let mut buffer = [0; 4];
                    escape(&mut text, character.encode_utf8(&mut buffer).as_bytes());
                }
                _ => text.push(character),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// The bytes that a text from [`encode`] stands for; `None` for other text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(*backstock_host::hex::decode(digits).ok()?.first()?);
                after
            }
            (b'\\', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readable_where_it_can_be() {
        assert_eq!(encode("/srv/café".as_bytes()), "/srv/café");
        assert_eq!(encode(b"a\\b\n\xff\0"), "a\\\\b\\x0a\\xff\\x00");
        assert_eq!(encode("\u{85}".as_bytes()), "\\xc2\\x85");
        assert_eq!(decode("a\\"), None);
        assert_eq!(decode("\\x0"), None);
        assert_eq!(decode("\\xzz"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let text = encode(&bytes);
            prop_assert!(!text.contains(char::is_control));
            prop_assert_eq!(decode(&text), Some(bytes));
        }
    }
}
