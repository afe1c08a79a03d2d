//! One step, forward or backward: which of the live name and the three slots holds what, and the renames that change it.
//!
//! Data can be lost here. The slots of step *n* are `new/n` (what the backup has), `old/n` (what was live) and `later/n`
//! (what somebody put in its place after the exchange). Only this code touches them, so what lies in them tells how far
//! the step came; the live name may have been changed by the shop at any time and proves nothing. Each rename is atomic,
//! and after each the rest can be done from what is found.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::super::entry::{FileKind, FileTime};
use super::super::facts::{self, Facts};

/// The folders of slots, `new` first.
pub(crate) const SLOTS: [&str; 3] = ["new", "old", "later"];

/// A step's name in every slot.
pub(crate) fn slot_name(step: u64) -> String {
    step.to_string()
}

/// The slots of one root.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) new: OwnedFd,
    pub(crate) old: OwnedFd,
    pub(crate) later: OwnedFd,
}

/// What is needed to know how far a step came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides {
    /// The inode of the new side (0: there is none).
    pub(crate) new_inode: u64,
    /// The inode that was live when the step was done, or planned.
    pub(crate) old_inode: Option<u64>,
    /// The new side is a folder.
    pub(crate) is_folder: bool,
    /// Length and time of a new side that is a file: another inode may get the number of one that was removed.
    pub(crate) new_content: Option<(u64, FileTime)>,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Done,
    /// Something else than planned is there: it has to be recorded before the step is tried again.
    Surprise(u64),
    /// Left as it is, since somebody changed it after the exchange.
    Kept(&'static str),
}

pub(crate) struct Place<'a> {
    pub(crate) slots: &'a Slots,
    pub(crate) folder: Arc<OwnedFd>,
    pub(crate) name: &'a [u8],
    pub(crate) slot: &'a str,
    pub(crate) reach: &'a dyn Fn(&str) -> io::Result<()>,
}

impl Place<'_> {
    fn live(&self) -> io::Result<Option<Facts>> {
        look(&*self.folder, self.name)
    }

    fn slot(&self, folder: &OwnedFd) -> io::Result<Option<Facts>> {
        look(folder, self.slot.as_bytes())
    }

    /// From a slot to the live name, where nothing is.
    fn slot_to_live(&self, from: &OwnedFd) -> io::Result<()> {
        rename_new(from, self.slot.as_bytes(), &*self.folder, self.name)?;
        (self.reach)("exchange.to_live")
    }

    fn live_to_slot(&self, to: &OwnedFd) -> io::Result<()> {
        rename_new(&*self.folder, self.name, to, self.slot.as_bytes())?;
        (self.reach)("exchange.to_slot")
    }

    fn slot_to_slot(&self, from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
        rename_new(from, self.slot.as_bytes(), to, self.slot.as_bytes())?;
        (self.reach)("exchange.slot")
    }

    /// Exchanges what lies in a slot with what is live. Without the kernel's help in two steps, through `spare`, which
    /// is empty: then the content of the slot that was exchanged is in `spare` already.
    fn swap(&self, slot: &OwnedFd, spare: &OwnedFd) -> io::Result<()> {
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(slot, self.slot, &*self.folder, self.name, flags) {
            Ok(()) => (self.reach)("exchange.swap"),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.live_to_slot(spare)?;
                self.slot_to_live(slot)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// After an exchange the old side lies in the slot that the new one came from: moves it on to its own. What is not
    /// the old side that we know of has to be recorded first.
    fn finish_exchange(&self, sides: &Sides) -> io::Result<Option<Moved>> {
        let Slots { new, old, later } = self.slots;
        if sides.new_inode == 0 {
            return Ok(None);
        }
        if let Some(waiting) = self.slot(new)? {
            let is_new =
                waiting.inode == sides.new_inode || sides.is_folder && waiting.kind == FileKind::Folder;
            match is_new {
                true => {}
                false if Some(waiting.inode) != sides.old_inode => {
                    return Ok(Some(Moved::Surprise(waiting.inode)));
                }
                false => self.slot_to_slot(new, old)?,
            }
        }
        if self.slot(later)?.is_some_and(|waiting| Some(waiting.inode) == sides.old_inode) {
            self.slot_to_slot(later, old)?;
        }
        Ok(None)
    }

    /// Puts the new side in its place and the old side aside.
    pub(crate) fn forward(&self, sides: &Sides) -> io::Result<Moved> {
        let Slots { new, old, later } = self.slots;
        if let Some(surprise) = self.finish_exchange(sides)? {
            return Ok(surprise);
        }
        if let Some(other) = self.slot(old)?.filter(|aside| Some(aside.inode) != sides.old_inode) {
            // Taken back, and stopped before the other side went to its slot.
            self.settle(old, &other, sides)?;
        }
        let from = if self.slot(later)?.is_some() && sides.new_inode != 0 { later } else { new };
        let Some(waiting) = self.slot(from)? else {
            return match self.slot(old)? {
                None if sides.new_inode == 0 => self.put_aside(sides),
                None if sides.is_folder && self.live()?.is_none() => {
                    // Taken back, and stopped before the folder was made again for the next time.
                    self.make_new_folder()?;
                    self.slot_to_live(new).map(|()| Moved::Done)
                }
                _ => Ok(Moved::Done),
            };
        };
        match self.live()? {
            None => self.slot_to_live(from)?,
            Some(live)
                if sides.is_folder && waiting.kind == FileKind::Folder && live.kind == FileKind::Folder =>
            {
                // It was kept by an undo, or the shop made it itself: it is there.
            }
            Some(live) if Some(live.inode) != sides.old_inode => return Ok(Moved::Surprise(live.inode)),
            Some(_) => {
                self.swap(from, old)?;
                if let Some(surprise) = self.finish_exchange(sides)? {
                    return Ok(surprise);
                }
            }
        }
        Ok(Moved::Done)
    }

    /// A step that has no new side.
    fn put_aside(&self, sides: &Sides) -> io::Result<Moved> {
        match self.live()? {
            None => Ok(Moved::Done),
            Some(live) if Some(live.inode) != sides.old_inode => Ok(Moved::Surprise(live.inode)),
            Some(_) => self.live_to_slot(&self.slots.old).map(|()| Moved::Done),
        }
    }

    /// Puts the old side back in its place, and what is there into the slot it belongs to.
    pub(crate) fn backward(&self, sides: &Sides) -> io::Result<Moved> {
        let Slots { new, old, later } = self.slots;
        if let Some(surprise) = self.finish_exchange(sides)? {
            return Ok(surprise);
        }
        let Some(aside) = self.slot(old)? else {
            return self.backward_without_old(sides);
        };
        if Some(aside.inode) != sides.old_inode {
            // Exchanged back, and stopped before the other side went to its slot.
            return self.settle(old, &aside, sides);
        }
        let Some(live) = self.live()? else {
            self.slot_to_live(old)?;
            return Ok(Moved::Done);
        };
        // Without the kernel's exchange, what is live goes to its slot first.
        let spare = if self.is_new_side(&live, sides) { new } else { later };
        self.swap(old, spare)?;
        match self.slot(old)? {
            Some(other) => self.settle(old, &other, sides),
            None => Ok(Moved::Done),
        }
    }

    /// Whether something is what we put there, untouched.
    fn is_new_side(&self, facts: &Facts, sides: &Sides) -> bool {
        sides.new_inode != 0
            && facts.inode == sides.new_inode
            && sides.new_content.is_none_or(|content| content == (facts.size_bytes, facts.modified))
    }

    /// Moves what came back from the live name to `new`, or to `later` when it is not what we put there, or has more in
    /// it: that is never deleted.
    fn settle(&self, from: &OwnedFd, facts: &Facts, sides: &Sides) -> io::Result<Moved> {
        let Slots { new, later, .. } = self.slots;
        let is_ours = self.is_new_side(facts, sides)
            && (facts.kind != FileKind::Folder || is_empty(from, self.slot.as_bytes())?);
        self.slot_to_slot(from, if is_ours { new } else { later })?;
        Ok(Moved::Done)
    }

    fn backward_without_old(&self, sides: &Sides) -> io::Result<Moved> {
        let Slots { new, later, .. } = self.slots;
        if self.slot(new)?.is_some() || self.slot(later)?.is_some() {
            // Not done yet, or taken back already.
            return Ok(Moved::Done);
        }
        match self.live()? {
            Some(live) if sides.is_folder && live.kind == FileKind::Folder => self.take_folder_away(),
            Some(live) if self.is_new_side(&live, sides) => self.live_to_slot(new).map(|()| Moved::Done),
            Some(live) if live.inode == sides.new_inode => self.live_to_slot(later).map(|()| Moved::Done),
            Some(_) if sides.new_inode != 0 => Ok(Moved::Kept("something else was put there since")),
            None if sides.is_folder => self.make_new_folder(),
            _ => Ok(Moved::Done),
        }
    }

    /// An added folder goes only when nothing is in it: the kernel checks that in the same act.
    fn take_folder_away(&self) -> io::Result<Moved> {
        match rustix::fs::unlinkat(&*self.folder, self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Moved::Kept("files were put into it since")),
            Err(error) => return Err(error.into()),
        }
        (self.reach)("exchange.folder")?;
        self.make_new_folder()
    }

    /// So that the exchange can be done again.
    fn make_new_folder(&self) -> io::Result<Moved> {
        match rustix::fs::mkdirat(&self.slots.new, self.slot, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(Moved::Done),
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn look(folder: impl AsFd, name: &[u8]) -> io::Result<Option<Facts>> {
    match Facts::of_name(folder, name) {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames to a name that nothing has.
fn rename_new(from: impl AsFd, from_name: &[u8], to: impl AsFd, to_name: &[u8]) -> io::Result<()> {
    match rustix::fs::renameat_with(&from, from_name, &to, to_name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if look(&to, to_name)?.is_some() {
                return Err(Errno::EXIST.into());
            }
            Ok(rustix::fs::renameat(&from, from_name, &to, to_name)?)
        }
        other => Ok(other?),
    }
}

fn is_empty(folder: impl AsFd, name: &[u8]) -> io::Result<bool> {
    let handle = facts::open_folder(folder, name)?;
    for entry in rustix::fs::Dir::read_from(&handle)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
