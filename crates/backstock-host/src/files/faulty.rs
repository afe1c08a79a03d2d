//! The machine's own files, of which one call fails, or every call from one on: how a test comes to a failing disk. Compiled
//! in only with the feature `failpoints`.
//!
//! `BACKSTOCK_IO_FAULT=eio:17` fails the seventeenth call, `=enospc:17:ever` that one and all after it. `eintr` interrupts a
//! read or a write, `short` lets it do a part of its work; both leave every other call alone. `BACKSTOCK_IO_LOG=<file>` appends
//! the name of each call, so that a sweep can visit each.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::{FileStat, Files, ReadFile, WriteFile};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Eio,
    Enospc,
    Eintr,
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    fault: Fault,
    call: u64,
    is_for_ever: bool,
}

/// One order for the whole process, however many hosts it makes.
static ORDER: LazyLock<Option<Order>> =
    LazyLock::new(|| std::env::var("BACKSTOCK_IO_FAULT").ok().and_then(|text| parse(&text)));
static LOG: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("BACKSTOCK_IO_LOG").map(PathBuf::from));
static CALLS: AtomicU64 = AtomicU64::new(0);

fn parse(text: &str) -> Option<Order> {
    let mut words = text.split(':');
    let fault = match words.next()? {
        "eio" => Fault::Eio,
        "enospc" => Fault::Enospc,
        "eintr" => Fault::Eintr,
        "short" => Fault::Short,
        _ => return None,
    };
    let call = words.next()?.parse().ok()?;
    Some(Order { fault, call, is_for_ever: words.next() == Some("ever") })
}

/// Counts a call and tells what goes wrong with it.
fn reach(call: &str) -> io::Result<Option<Fault>> {
    let number = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(path) = LOG.as_ref() {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        log.write_all(format!("{call}\n").as_bytes())?;
    }
    let order = ORDER.filter(|order| number == order.call || (order.is_for_ever && number > order.call));
    Ok(order.map(|order| order.fault))
}

/// A call that does its work whole or not at all.
fn whole(call: &str) -> io::Result<()> {
    match reach(call)? {
        Some(Fault::Eio) => Err(Errno::IO.into()),
        Some(Fault::Enospc) => Err(Errno::NOSPC.into()),
        Some(Fault::Eintr | Fault::Short) | None => Ok(()),
    }
}

/// A call that may do a part of its work: how many of `wanted` bytes.
fn partial(call: &str, wanted: usize) -> io::Result<usize> {
    match reach(call)? {
        Some(Fault::Eio) => Err(Errno::IO.into()),
        Some(Fault::Enospc) => Err(Errno::NOSPC.into()),
        // For ever interrupted is no fault that a disk has.
        Some(Fault::Eintr) if ORDER.is_some_and(|order| !order.is_for_ever) => Err(Errno::INTR.into()),
        Some(Fault::Short) => Ok(wanted.div_ceil(3)),
        Some(Fault::Eintr) | None => Ok(wanted),
    }
}

/// Files of which a call fails.
#[derive(Debug)]
pub(crate) struct FaultyFiles<F>(pub(crate) F);

/// Whether anything was ordered or is to be logged.
pub(crate) fn is_wanted() -> bool {
    ORDER.is_some() || LOG.is_some()
}

struct Writing(Box<dyn WriteFile>);

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = partial("write", bytes.len())?;
        self.0.write(&bytes[..count])
    }

    fn flush(&mut self) -> io::Result<()> {
        whole("flush")?;
        self.0.flush()
    }
}

impl WriteFile for Writing {
    fn sync(&mut self) -> io::Result<()> {
        whole("sync")?;
        self.0.sync()
    }

    fn pending_bytes(&self) -> u64 {
        self.0.pending_bytes()
    }
}

struct Reading(Box<dyn ReadFile>);

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = partial("read", buffer.len())?;
        self.0.read(&mut buffer[..count])
    }
}

impl ReadFile for Reading {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = partial("read_at", buffer.len())?;
        self.0.read_at(&mut buffer[..count], offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        whole("size")?;
        self.0.size_bytes()
    }
}

impl<F: Files + fmt::Debug> Files for FaultyFiles<F> {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        whole("create")?;
        Ok(Box::new(Writing(self.0.create_new(path)?)))
    }

    fn create_long(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        whole("create_long")?;
        Ok(Box::new(Writing(self.0.create_long(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        whole("open")?;
        Ok(Box::new(Reading(self.0.open(path)?)))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        whole("create_folder")?;
        self.0.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        whole("rename")?;
        self.0.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        whole("rename_new")?;
        self.0.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        whole("remove_file")?;
        self.0.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        whole("remove_folder")?;
        self.0.remove_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileStat)>> {
        whole("list")?;
        self.0.list(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        whole("stat")?;
        self.0.stat(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        whole("sync_folder")?;
        self.0.sync_folder(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        whole("free_bytes")?;
        self.0.free_bytes(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_fault_a_call_and_how_long() {
        let order = |fault, call, is_for_ever| Some(Order { fault, call, is_for_ever });
        assert_eq!(parse("eio:17"), order(Fault::Eio, 17, false));
        assert_eq!(parse("enospc:1:ever"), order(Fault::Enospc, 1, true));
        assert_eq!(parse("short:3:once"), order(Fault::Short, 3, false));
        for text in ["", "eio", "eio:", "eio:x", "fire:1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
