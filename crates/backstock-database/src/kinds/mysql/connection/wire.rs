//! Integers, strings and packets of the client/server protocol (MySQL Internals, "Protocol Basics"): every length
//! that the server claims is checked against what is there.

mod large;

use std::io::{self, Read, Write};

use self::large::Large;

/// The largest payload of one wire packet; a longer message continues in the next packet.
pub(crate) const PACKET_LIMIT_BYTES: usize = 0x00ff_ffff;

/// How much is asked of the socket at a time, bytes.
const READ_BYTES: usize = 256 * 1024;

/// How many bytes stand behind a message, whatever they are: values are copied and looked at in words.
const PADDING_BYTES: usize = 16;

/// A message whose first packet is longer has a buffer of its own, which is given back, bytes.
pub(crate) const USUAL_BYTES: usize = 4 * 1024 * 1024;

/// A piece of a message up to this length is sent together with others; a longer one from where it lies.
const COPIED_BYTES: usize = 64 * 1024;

/// A message that ended too early, or whose lengths do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads the parts of a message one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// A little-endian integer of `width` bytes, at most eight.
    pub(crate) fn integer(&mut self, width: usize) -> Result<u64, Malformed> {
        Ok(self.bytes(width)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn short(&mut self) -> Result<u16, Malformed> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// A length-encoded integer ("Protocol::LengthEncodedInteger"); `None` is the mark of SQL NULL.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<Option<u64>, Malformed> {
        match self.byte()? {
            0xfb => Ok(None),
            0xfc => self.integer(2).map(Some),
            0xfd => self.integer(3).map(Some),
            0xfe => self.integer(8).map(Some),
            0xff => Err(Malformed),
            small => Ok(Some(u64::from(small))),
        }
    }

    /// A length-encoded string, or `None` for NULL.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.length()? {
            None => Ok(None),
            Some(length) => self.bytes(usize::try_from(length).map_err(|_| Malformed)?).map(Some),
        }
    }

    /// A string up to a zero byte, which is skipped.
    pub(crate) fn up_to_zero(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        let head = self.bytes(end)?;
        self.bytes(1)?;
        Ok(head)
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    let bytes = (length as u64).to_le_bytes();
    match length {
        0..=0xfa => out.push(bytes[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Sends and receives messages over a byte stream, and keeps the sequence numbers.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    sequence: u8,
    /// What was read from the stream: `buffer[start..end]` is not used yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the last message lies in `buffer`, or `None` when it is a large one.
    last: Option<(usize, usize)>,
    large: Large,
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            sequence: 0,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            last: Some((0, 0)),
            large: Large::default(),
        }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Exchanges the stream, for the step from clear text to encryption. Bytes that were read too far would have been
    /// sent by someone who cannot encrypt: they are an error.
    pub(crate) fn replace_stream<T>(self, exchange: impl FnOnce(S) -> io::Result<T>) -> io::Result<Wire<T>> {
        if self.start != self.end {
            return Err(invalid("bytes came before the encryption was set up"));
        }
        Ok(Wire {
            stream: exchange(self.stream)?,
            sequence: self.sequence,
            buffer: self.buffer,
            start: 0,
            end: 0,
            last: Some((0, 0)),
            large: Large::default(),
        })
    }

    /// A new command starts to count packets from zero.
    pub(crate) fn start_command(&mut self) {
        self.sequence = 0;
    }

    /// Sends one message, cut into packets. A message of exactly the limit is followed by an empty packet.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut message = Vec::with_capacity(4 + total.min(COPIED_BYTES));
        let mut left_total = total;
        let mut left_packet = 0;
        let mut open = false;
        for part in parts {
            let mut part = *part;
            while !part.is_empty() {
                if left_packet == 0 {
                    left_packet = left_total.min(PACKET_LIMIT_BYTES);
                    open = left_packet == PACKET_LIMIT_BYTES;
                    self.put_header(&mut message, left_packet);
                }
                let (head, rest) = part.split_at(part.len().min(left_packet));
                if message.len() + head.len() > 4 + COPIED_BYTES {
                    self.stream.write_all(&message)?;
                    message.clear();
                }
                if head.len() > COPIED_BYTES {
                    self.stream.write_all(head)?;
                } else {
                    message.extend_from_slice(head);
                }
                left_packet -= head.len();
                left_total -= head.len();
                part = rest;
            }
        }
        if total == 0 || (open && left_total == 0) {
            self.put_header(&mut message, 0);
        }
        if !message.is_empty() {
            self.stream.write_all(&message)?;
        }
        self.stream.flush()
    }

    fn put_header(&mut self, message: &mut Vec<u8>, length: usize) {
        message.extend_from_slice(&(length as u64).to_le_bytes()[..3]);
        message.push(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// The next message. It is valid until the next call.
    #[inline]
    pub(crate) fn receive(&mut self) -> io::Result<&[u8]> {
        if self.last.is_none() {
            self.leave_large();
        }
        let length = self.receive_header()?;
        if length <= USUAL_BYTES {
            self.fill(length)?;
            let start = self.start;
            self.start += length;
            self.last = Some((start, start + length));
        } else {
            self.receive_large(length)?;
        }
        Ok(self.last())
    }

    /// The message that was received last.
    #[inline]
    pub(crate) fn last(&self) -> &[u8] {
        let (padded, size_bytes) = self.last_padded();
        &padded[..size_bytes]
    }

    /// The message that was received last with the bytes that happen to stand behind it, and its size in bytes.
    #[inline]
    pub(crate) fn last_padded(&self) -> (&[u8], usize) {
        match self.last {
            Some((start, end)) => {
                let behind = self.buffer.len().min(end + PADDING_BYTES);
                (&self.buffer[start..behind], end - start)
            }
            None => (&self.large.message, self.large.message.len()),
        }
    }

    fn receive_header(&mut self) -> io::Result<usize> {
        self.fill(4)?;
        let header = &self.buffer[self.start..self.start + 4];
        let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
        if header[3] != self.sequence {
            return Err(invalid("a packet is missing or came twice"));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.start += 4;
        Ok(length)
    }

    /// Makes at least `needed` unused bytes available.
    #[inline]
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.end - self.start >= needed {
            return Ok(());
        }
        self.fill_from_stream(needed)
    }

    fn fill_from_stream(&mut self, needed: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = needed.max(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        while self.end < needed {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn round_trip(message: &[u8]) -> Vec<u8> {
        let mut out = Wire::new(Cursor::new(Vec::new()));
        out.send(&[&message[..message.len() / 2], &message[message.len() / 2..]]).unwrap();
        let mut back = Wire::new(Cursor::new(out.stream.into_inner()));
        back.receive().unwrap().to_vec()
    }

    #[test]
    fn messages_around_the_packet_limit_come_back() {
        for length in [0, 1, PACKET_LIMIT_BYTES - 1, PACKET_LIMIT_BYTES, PACKET_LIMIT_BYTES + 1, 40_000_000] {
            let message: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert!(round_trip(&message) == message, "{length} bytes");
        }
    }

    #[test]
    fn a_gap_in_the_sequence_is_an_error() {
        let mut wire = Wire::new(Cursor::new(vec![1, 0, 0, 3, 0]));
        assert_eq!(wire.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let mut wire = Wire::new(Cursor::new(vec![5, 0, 0, 0, 1, 2]));
        assert_eq!(wire.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn lengths_go_both_ways(length in any::<u32>()) {
            let mut out = Vec::new();
            put_length(&mut out, length as usize);
            prop_assert_eq!(Fields(&out).length(), Ok(Some(u64::from(length))));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut fields = Fields(&bytes);
            while let Ok(value) = fields.value() {
                prop_assert!(value.is_none_or(|value| value.len() <= bytes.len()));
            }
        }
    }
}
