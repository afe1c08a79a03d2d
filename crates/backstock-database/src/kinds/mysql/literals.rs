//! Values as literals: copied once, looked at while they are copied.
//!
//! A value is looked at in words of eight bytes, without a loop over bytes where nothing has to be escaped (the tests
//! for zero and for less are those of Anderson, "Bit Twiddling Hacks"). Values come with the bytes that follow
//! them, so that the last word needs no loop either; those bytes never count.

use crate::record::LiteralForm;

/// A value, and whatever lies behind it in the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    /// The value, then bytes that mean nothing here.
    padded: &'a [u8],
    /// How many of them are the value.
    size_bytes: usize,
}

impl<'a> Value<'a> {
    /// The first `size_bytes` of `padded`, which has at least as many.
    #[inline]
    pub(crate) fn new(padded: &'a [u8], size_bytes: usize) -> Self {
        Self { padded, size_bytes }
    }

    /// The value alone.
    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.padded[..self.size_bytes]
    }
}

/// Each byte of a word is this.
const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

const HIGH_BITS: u64 = every(0x80);

/// A mark in the high bit of each zero byte. Marks above the lowest one may be wrong.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every(1)) & !word & HIGH_BITS
}

/// Marks for quotes, backslashes and control characters, the lowest of which is right.
#[inline]
const fn suspects(word: u64) -> u64 {
    let controls = word.wrapping_sub(every(0x20)) & !word & HIGH_BITS;
    zero_bytes(word ^ every(b'\'')) | zero_bytes(word ^ every(b'\\')) | controls
}

/// What a byte is written as inside quotes, behind a backslash; 0 for itself. Stock clients change raw CR LF, and
/// stop at NUL and 0x1A.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = b'0';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[0x1a] = b'Z';
    table[b'\'' as usize] = b'\'';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends bytes as they are.
#[inline]
pub(crate) fn put_plain(value: Value<'_>, out: &mut Vec<u8>) {
    match value.padded.first_chunk::<16>() {
        Some(chunk) if value.size_bytes <= 16 => {
            let end = out.len() + value.size_bytes;
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(value.bytes()),
    }
}

/// Appends `'…'`. Tells whether all bytes are ASCII.
#[inline]
pub(crate) fn put_quoted(value: Value<'_>, out: &mut Vec<u8>) -> bool {
    out.push(b'\'');
    let is_ascii = put_escaped(value, out);
    out.push(b'\'');
    is_ascii
}

#[inline]
fn put_escaped(value: Value<'_>, out: &mut Vec<u8>) -> bool {
    let Value { padded, size_bytes } = value;
    let mut high = 0;
    let mut at = 0;
    while at < size_bytes {
        let left = size_bytes - at;
        if left >= 32
            && let Some(chunk) = padded.get(at..).and_then(<[u8]>::first_chunk::<32>)
            && let Some(found) = clean_block(chunk)
        {
            high |= found;
            out.extend_from_slice(chunk);
            at += 32;
            continue;
        }
        let Some(chunk) = padded.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            return put_escaped_slowly(&padded[at..size_bytes], out) && high == 0;
        };
        let word = u64::from_le_bytes(*chunk);
        let counted = if left < 8 { (1 << (8 * left)) - 1 } else { u64::MAX };
        let found = suspects(word) & counted;
        let clean = if found == 0 { left.min(8) } else { found.trailing_zeros() as usize / 8 };
        let end = out.len() + clean;
        out.extend_from_slice(chunk);
        out.truncate(end);
        high |= word & counted & HIGH_BITS;
        at += clean;
        if found != 0 {
            put_suspect(padded[at], out);
            at += 1;
        }
    }
    high == 0
}

/// The high bits of a block in which nothing can have to be escaped; nothing where something may.
#[inline]
fn clean_block(block: &[u8; 32]) -> Option<u64> {
    let mut found = 0;
    let mut high = 0;
    for word in block.chunks_exact(8) {
        let word = word.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        found |= suspects(word);
        high |= word;
    }
    (found == 0).then_some(high & HIGH_BITS)
}

#[inline]
fn put_suspect(byte: u8, out: &mut Vec<u8>) {
    match ESCAPES[usize::from(byte)] {
        0 => out.push(byte),
        escape => out.extend_from_slice(&[b'\\', escape]),
    }
}

/// Byte by byte, for the end of a buffer.
#[cold]
fn put_escaped_slowly(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    bytes.iter().for_each(|byte| put_suspect(*byte, out));
    bytes.is_ascii()
}

/// Appends text in a character set: `'…'` where the set knows every byte, else the raw bytes. Tells whether it did.
#[inline]
pub(crate) fn put_text(form: LiteralForm, value: Value<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if put_quoted(value, out) || is_known(form, value.bytes()) {
        return true;
    }
    out.truncate(start);
    put_bytes(value, out);
    false
}

/// Whether a text that is not ASCII belongs to the character set of its form.
fn is_known(form: LiteralForm, value: &[u8]) -> bool {
    match form {
        LiteralForm::Text => is_utf8(value),
        // Three bytes are the longest character of this set.
        LiteralForm::NarrowText => is_utf8(value) && value.iter().all(|byte| *byte < 0xf0),
        _ => false,
    }
}

fn is_utf8(value: &[u8]) -> bool {
    simdutf8::basic::from_utf8(value).is_ok()
}

/// Appends `_binary'…'`.
pub(crate) fn put_bytes(value: Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"_binary");
    put_quoted(value, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive model, byte by byte.
    fn quoted(value: &[u8]) -> Vec<u8> {
        let mut out = vec![b'\''];
        for byte in value {
            match byte {
                0 => out.extend(b"\\0"),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                0x1a => out.extend(b"\\Z"),
                b'\'' | b'\\' => out.extend([b'\\', *byte]),
                other => out.push(*other),
            }
        }
        out.push(b'\'');
        out
    }

    /// Bytes of which many are special, so that every place in a word is met.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            8 => 0x20_u8..0x7f,
            1 => any::<u8>(),
            1 => prop::sample::select(vec![0, b'\n', b'\r', 0x1a, b'\'', b'\\', 0x1f, 0x20, 0x27 ^ 0x80, 0x5c ^ 0x80, 0x80, 0xff]),
        ];
        proptest::collection::vec(byte, 0..120)
    }

    #[test]
    fn every_byte_beside_every_other_is_quoted_as_the_model_does() {
        for first in 0..=255 {
            for second in 0..=255 {
                let value = [first, second];
                let mut out = Vec::new();
                assert_eq!(
                    put_quoted(Value::new(&[first, second, 0, 39, 92, 200, 1, 2, 3], 2), &mut out),
                    value.is_ascii()
                );
                assert_eq!(out, quoted(&value));
            }
        }
    }

    proptest! {
        #[test]
        fn values_are_quoted_as_the_model_does(value in bytes(), behind in bytes()) {
            let padded = [value.as_slice(), &behind].concat();
            let value_and_rest = Value::new(&padded, value.len());
            let mut out = b"x".to_vec();
            prop_assert_eq!(put_quoted(value_and_rest, &mut out), value.is_ascii());
            prop_assert_eq!(&out[1..], quoted(&value));
            out.truncate(1);
            put_plain(value_and_rest, &mut out);
            prop_assert_eq!(&out[1..], &value[..]);
        }

        #[test]
        fn text_is_known_as_the_model_says(value in prop_oneof![bytes(), ".*".prop_map(String::into_bytes)]) {
            let text = std::str::from_utf8(&value);
            let model = [
                (LiteralForm::Text, text.is_ok()),
                (LiteralForm::NarrowText, text.is_ok_and(|text| text.chars().all(|character| character.len_utf8() < 4))),
                (LiteralForm::AsciiText, value.is_ascii()),
            ];
            for (form, known) in model {
                let mut out = Vec::new();
                prop_assert_eq!(put_text(form, Value::new(&value, value.len()), &mut out), known);
                let prefix = if known { &b""[..] } else { b"_binary" };
                prop_assert_eq!(out, [prefix, &quoted(&value)].concat());
            }
        }

        #[test]
        fn quoting_can_be_undone(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            put_quoted(Value::new(&value, value.len()), &mut out);
            // What a server does with a quoted text.
            let mut back = Vec::new();
            let mut bytes = out[1..out.len() - 1].iter();
            while let Some(byte) = bytes.next() {
                back.push(match byte {
                    b'\\' => match bytes.next().unwrap() {
                        b'0' => 0,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b'Z' => 0x1a,
                        other => *other,
                    },
                    b'\'' => panic!("a quote ends the text too early"),
                    other => *other,
                });
            }
            prop_assert_eq!(back, value);
            prop_assert!(!out.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r' | 0x1a)));
        }
    }
}
