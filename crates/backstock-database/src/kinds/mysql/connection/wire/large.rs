//! Messages that are long, which a row's almost always are: each has a buffer of its own, and may have to wait for room.
//!
//! Room is taken when the first header of a message is known and kept until the next message is asked for, so that all
//! that is made of a row before it is handed on is counted: the row as sent and its text, one as long as the other. A
//! message of several packets tells its length in the last of them only. Whoever has begun to receive one must not wait
//! for others in the middle of it: such a message takes all of the room first, and gives back what it did not need.

use std::io::{self, Read, Write};
use std::sync::Arc;

use backstock_host::memory::{Room, Taken, buffer_to_give_back};

use super::{PACKET_LIMIT_BYTES, Wire, invalid};

/// The largest message that we accept from a server: the protocol's own upper limit for one row.
const MESSAGE_LIMIT_BYTES: usize = 1 << 30;

/// The large message that was received last, if it is not forgotten, and the room for large ones.
#[derive(Debug, Default)]
pub(super) struct Large {
    pub(super) message: Vec<u8>,
    room: Option<Arc<Room>>,
    taken: Option<Taken<Arc<Room>>>,
}

impl<S: Read + Write> Wire<S> {
    /// From now on, large messages wait until there is room for them and for a text of the same length.
    pub(crate) fn share_room(&mut self, room: Arc<Room>) {
        self.large.room = Some(room);
    }

    /// Gives the memory of a large message back before the next one is asked for. The room for its text is still held.
    #[inline]
    pub(crate) fn forget_last(&mut self) {
        if self.last.is_none() {
            self.forget_large();
        }
    }

    #[cold]
    fn forget_large(&mut self) {
        let size_bytes = std::mem::take(&mut self.large.message).len() as u64;
        if let Some(taken) = self.large.taken.as_mut().filter(|_| size_bytes > 0) {
            taken.hold(size_bytes);
        }
    }

    /// Gives back all that is held for a large message. Must be called when a result is left half read: others wait.
    #[cold]
    pub(crate) fn leave_large(&mut self) {
        self.large.message = Vec::new();
        self.large.taken = None;
    }

    #[cold]
    pub(super) fn receive_large(&mut self, first_length: usize) -> io::Result<()> {
        let is_whole = first_length < PACKET_LIMIT_BYTES;
        self.large.taken = self.large.room.as_ref().map(|room| match is_whole {
            true => room.take_shared(2 * first_length as u64),
            false => room.take_all_shared(),
        });
        self.last = None;
        let read = self.read_large(first_length);
        if read.is_err() {
            self.leave_large();
        } else if let Some(taken) = &mut self.large.taken {
            taken.hold(2 * self.large.message.len() as u64);
        }
        read
    }

    fn read_large(&mut self, first_length: usize) -> io::Result<()> {
        let mut length = first_length;
        let mut message = buffer_to_give_back(length);
        loop {
            let filled = message.len();
            if filled + length > MESSAGE_LIMIT_BYTES {
                return Err(invalid("a row or message is larger than 1 GiB"));
            }
            message.reserve_exact(length);
            let at_hand = length.min(self.end - self.start);
            message.extend_from_slice(&self.buffer[self.start..self.start + at_hand]);
            self.start += at_hand;
            message.resize(filled + length, 0);
            self.stream.read_exact(&mut message[filled + at_hand..])?;
            if length < PACKET_LIMIT_BYTES {
                self.large.message = message;
                return Ok(());
            }
            length = self.receive_header()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::super::USUAL_BYTES;
    use super::*;

    const LIMIT_BYTES: u64 = 20 << 20;

    /// A wire on which messages of these lengths arrive.
    fn wire_with(lengths: &[usize]) -> Wire<Cursor<Vec<u8>>> {
        let mut out = Wire::new(Cursor::new(Vec::new()));
        for length in lengths {
            let message: Vec<u8> = (0..=250).cycle().take(*length).collect();
            out.send(&[&message]).unwrap();
        }
        Wire::new(Cursor::new(out.stream.into_inner()))
    }

    fn with_room(lengths: &[usize]) -> (Wire<Cursor<Vec<u8>>>, Arc<Room>) {
        let room = Arc::new(Room::new(LIMIT_BYTES));
        let mut wire = wire_with(lengths);
        wire.share_room(Arc::clone(&room));
        (wire, room)
    }

    #[test]
    fn room_is_taken_for_large_messages_alone_and_given_back_with_the_next() {
        let large = USUAL_BYTES + 1;
        let lengths = [5, large, USUAL_BYTES, PACKET_LIMIT_BYTES, 0, 40_000_000, large, large, 3];
        let (mut wire, room) = with_room(&lengths);
        for length in lengths {
            assert_eq!(wire.receive().unwrap().len(), length);
            let is_large = length > USUAL_BYTES;
            let held = if is_large { 2 * length as u64 } else { 0 };
            assert_eq!(room.taken_bytes(), held, "{length} bytes");
            wire.forget_last();
            assert_eq!(wire.large.message.capacity(), 0);
            wire.forget_last();
            assert_eq!(room.taken_bytes(), held / 2, "{length} bytes, forgotten");
        }
    }

    #[test]
    fn what_is_read_after_a_message_was_forgotten_is_the_next_one() {
        let (mut wire, _room) = with_room(&[7_000_000, 3, 20_000_000, 4]);
        for length in [7_000_000, 3, 20_000_000, 4] {
            let expected: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert!(wire.receive().unwrap() == expected, "{length} bytes");
            wire.forget_last();
        }
    }

    #[test]
    fn a_large_message_that_is_cut_or_left_gives_its_room_back() {
        let (mut wire, room) = with_room(&[7_000_000]);
        wire.stream.get_mut().truncate(6_000_000);
        assert_eq!(wire.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(room.taken_bytes(), 0);
        let (mut wire, room) = with_room(&[7_000_000]);
        wire.receive().unwrap();
        wire.leave_large();
        assert_eq!(room.taken_bytes(), 0);
        let (mut wire, room) = with_room(&[7_000_000]);
        wire.receive().unwrap();
        drop(wire);
        assert_eq!(room.taken_bytes(), 0);
    }

    #[test]
    fn a_second_large_message_waits_for_the_first_and_small_ones_do_not() {
        let (mut first, room) = with_room(&[17_000_000, 1]);
        let mut second = wire_with(&[1000, 18_000_000]);
        second.share_room(Arc::clone(&room));
        first.receive().unwrap();
        let (told, hears) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..2 {
                    told.send(second.receive().unwrap().len()).unwrap();
                }
            });
            assert_eq!(hears.recv().unwrap(), 1000);
            assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
            first.forget_last();
            first.receive().unwrap();
            assert_eq!(hears.recv().unwrap(), 18_000_000);
        });
        assert_eq!(room.taken_bytes(), 0);
    }
}
