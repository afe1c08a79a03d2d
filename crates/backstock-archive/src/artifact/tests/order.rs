//! Several callers, announced numbers, bounded room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::artifact::queue::Queue;

#[test]
fn frames_of_several_callers_stand_under_the_numbers_they_got() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 3);
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "db.sql.zst", &options).unwrap();
    let numbers = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4_u64)
            .map(|caller| {
                let writer = &writer;
                scope.spawn(move || {
                    let give =
                        |n: u64| (writer.frame(bytes(caller * 1_000 + n, 3_000), Storing::Compress), n);
                    let given = (0..100).map(give);
                    given.map(|(number, n)| (number.unwrap(), caller * 1_000 + n)).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    let artifact = writer.finish().unwrap();
    let written = Written { folder, artifact, text: Vec::new() };
    let reader = written.reader();
    for (number, seed) in numbers {
        assert!(reader.read_frame(number).unwrap() == bytes(seed, 3_000), "frame {number}");
    }
}

/// Numbers are announced in order and frames come in any order, from several threads and beyond the room there is.
#[test]
fn announced_frames_may_come_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Gzip, 1);
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "db.sql.gz", &options).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            // Each thread announces all its numbers before it gives a frame, and gives the last first.
            let tickets: Vec<_> = (0..3).map(|_| writer.reserve().unwrap()).collect();
            for ticket in tickets.into_iter().rev() {
                let writer = &writer;
                scope.spawn(move || {
                    let number = ticket.number();
                    let text = bytes(number, 100_000);
                    assert_eq!(writer.frame_at(ticket, text, Storing::Compress).unwrap(), number);
                });
            }
        }
    });
    let artifact = writer.finish().unwrap();
    let text = (0..30).flat_map(|number| bytes(number, 100_000)).collect();
    let written = Written { folder, artifact, text };
    assert!(written.stock_text() == written.text);
}

#[test]
fn an_announced_frame_that_never_comes_ends_the_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "db.sql.zst", &options).unwrap();
    writer.frame(b"first".to_vec(), Storing::Compress).unwrap();
    drop(writer.reserve().unwrap());
    let refused = writer.frame(b"third".to_vec(), Storing::Compress);
    assert!(matches!(refused, Err(crate::Error::FrameLost { .. })), "{refused:?}");
    assert!(matches!(writer.finish(), Err(crate::Error::FrameLost { .. })));
}

/// While nothing leaves, callers stop at the limit: memory is bounded whatever comes (L7).
#[test]
fn callers_wait_when_there_is_no_room() {
    for size_bytes in [1, FRAME_SIZE_BYTES as u64, 3 * FRAME_SIZE_BYTES as u64] {
        let queue = Queue::new("db.sql.zst", &FrameRoom::for_workers(2));
        let entered = AtomicU64::new(0);
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100 {
                    queue.enter(None, size_bytes).unwrap();
                    entered.fetch_add(1, Ordering::SeqCst);
                    tell.send(()).unwrap();
                }
            });
            told.recv().unwrap();
            while told.recv_timeout(Duration::from_millis(200)).is_ok() {}
            let waiting = entered.load(Ordering::SeqCst);
            assert!((1..=10).contains(&waiting), "{waiting} frames of {size_bytes} bytes");
            assert!(waiting == 1 || waiting * size_bytes <= 5 * FRAME_SIZE_BYTES as u64, "{waiting}");
            // One leaves, one enters.
            queue.written();
            queue.leave(size_bytes);
            told.recv_timeout(Duration::from_secs(20)).unwrap();
            for _ in 1..100 {
                queue.written();
                queue.leave(size_bytes);
                let _ = told.recv_timeout(Duration::from_millis(50));
            }
        });
    }
}

/// The frame that the file lacks next passes those that wait for it, else all would wait for ever.
#[test]
fn the_next_frame_never_waits() {
    let queue = Queue::new("db.sql.zst", &FrameRoom::for_workers(1));
    let first = queue.reserve().unwrap();
    for _ in 0..6 {
        queue.enter(None, 1).unwrap();
    }
    assert_eq!(queue.enter(Some(first), FRAME_SIZE_BYTES as u64 * 100).unwrap(), 0);
}
