//! Bytes as lower-case hexadecimal digits, and back.

/// The text is not pairs of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not pairs of hexadecimal digits")]
pub struct ParseHexError;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes that pairs of digits stand for. Capital digits are accepted.
pub fn decode(text: &str) -> Result<Vec<u8>, ParseHexError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ParseHexError);
    }
    pairs.iter().map(|[high, low]| Ok(value(*high)? << 4 | value(*low)?)).collect()
}

/// The bytes of a text that must stand for exactly `N` of them.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], ParseHexError> {
    decode(text)?.try_into().map_err(|_| ParseHexError)
}

fn value(digit: u8) -> Result<u8, ParseHexError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(ParseHexError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_both_ways() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encode(&bytes);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        assert_eq!(decode(&text), Ok(bytes.clone()));
        assert_eq!(decode(&text.to_uppercase()), Ok(bytes));
        assert_eq!(decode_array::<2>("beef"), Ok([0xbe, 0xef]));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["a", "0g", "é", " 00", "0x00", "+1"] {
            assert_eq!(decode(text), Err(ParseHexError), "{text}");
        }
        assert_eq!(decode_array::<2>("00"), Err(ParseHexError));
    }
}
