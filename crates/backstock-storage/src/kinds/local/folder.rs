//! The blocking half of the local kind: what each act does to the folder. Data can be lost here.
//!
//! A new object is written under a name that begins with a dot (no object has such a name), synced, renamed and its
//! folder synced; a spooled part that may be taken is renamed at once.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstock_host::files::FileStat;
use backstock_host::{Files, Random, failpoint, hex};
use backstock_vocabulary::Proof;
use ring::digest::{Context, SHA256};

use crate::{
    Error, ObjectFacts, ObjectName, PutReceipt, RANGE_LIMIT_BYTES, Result, SMALL_LIMIT_BYTES, SpooledPart,
};

/// Bytes that are copied or hashed at a time.
const BUFFER_BYTES: usize = 1 << 20;
/// What an unfinished upload's file name ends with.
const UNFINISHED: &str = ".uploading";

/// What a walk of the folder meets.
pub(super) enum Entry {
    Object(ObjectFacts),
    Unfinished(PathBuf),
}

/// A folder that holds objects.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) files: Arc<dyn Files>,
    pub(super) random: Arc<dyn Random>,
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn path_of(&self, name: &ObjectName) -> PathBuf {
        self.path.join(name.as_str())
    }

    fn failed<'a>(
        &'a self,
        act: &'static str,
        thing: impl ToString + 'a,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { act, name: thing.to_string(), place: self.place(), source }
    }

    pub(super) fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let stat = self.look(&self.path_of(name)).map_err(self.failed("look at", name))?;
        Ok(stat.map(|stat| ObjectFacts { name: name.clone(), size_bytes: stat.size_bytes }))
    }

    /// The file under a path; a folder or a link there is no object.
    fn look(&self, path: &Path) -> io::Result<Option<FileStat>> {
        match self.files.stat(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            other => Ok(other?.filter(|stat| stat.is_file)),
        }
    }

    pub(super) fn put(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let spooled = self.look(part.path).map_err(self.failed("look at the spooled part of", name))?;
        if spooled.map(|stat| stat.size_bytes) != Some(part.size_bytes) {
            let difference = "it is missing or has another length";
            return Err(Error::PartChanged { name: name.clone(), difference });
        }
        self.store(name, part.size_bytes, part.sha256, &|target| {
            if part.may_consume && self.take(name, part.path, target)? {
                return Ok(());
            }
            let source = self.files.open(part.path);
            let mut source = source.map_err(self.failed("read the spooled part of", name))?;
            self.write_aside_and_rename(name, target, &mut *source, Some(part))
        })
    }

    /// Lets a part take the place of whatever the name holds.
    pub(super) fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let spooled = self.look(part.path).map_err(self.failed("look at the spooled part of", name))?;
        if spooled.map(|stat| stat.size_bytes) != Some(part.size_bytes) {
            let difference = "it is missing or has another length";
            return Err(Error::PartChanged { name: name.clone(), difference });
        }
        self.exchange(name, |target| {
            let is_taken = part.may_consume
                && match self.files.rename(part.path, target) {
                    Err(error) if error.kind() == io::ErrorKind::CrossesDevices => false,
                    other => other.map(|()| true).map_err(self.failed("move the spooled part to", name))?,
                };
            if is_taken {
                return Ok(());
            }
            let source = self.files.open(part.path);
            let mut source = source.map_err(self.failed("read the spooled part of", name))?;
            self.write_over(name, target, &mut *source, Some(part))
        })?;
        Ok(PutReceipt::new(Proof::Size))
    }

    /// Lets a small object take the place of whatever the name holds.
    pub(super) fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        Error::expect_at_most(name, bytes.len() as u64, SMALL_LIMIT_BYTES)?;
        self.exchange(name, |target| self.write_over(name, target, &mut &*bytes, None))
    }

    /// Exchanges what a name holds in one step, and makes that durable.
    fn exchange(&self, name: &ObjectName, act: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let target = self.path_of(name);
        self.files.create_folder(parent(&target)).map_err(self.failed("make the folder of", name))?;
        failpoint::reach("storage.local.before_replace").map_err(self.failed("replace", name))?;
        act(&target)?;
        failpoint::reach("storage.local.after_replace")
            .and_then(|()| self.files.sync_folder(parent(&target)))
            .map_err(self.failed("make durable", name))
    }

    fn write_over(
        &self,
        name: &ObjectName,
        target: &Path,
        source: &mut dyn Read,
        promised: Option<&SpooledPart<'_>>,
    ) -> Result<()> {
        self.write_and_name(name, target, source, promised, |aside| {
            self.files.rename(aside, target).map_err(self.failed("give its name to", name))
        })
    }

    /// A name beside an object that no object has.
    fn aside(&self, name: &ObjectName, target: &Path) -> PathBuf {
        let mut mark = [0; 4];
        self.random.fill(&mut mark);
        parent(target).join(format!(".{}.{}{UNFINISHED}", name.last_step(), hex::encode(&mark)))
    }

    pub(super) fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        let sha256 = digest_of(ring::digest::digest(&SHA256, bytes));
        let act = |target: &Path| self.write_aside_and_rename(name, target, &mut &*bytes, None);
        self.store(name, size_bytes, sha256, &act).map(drop)
    }

    /// Stores under a name, unless it is taken or gets taken in the meantime.
    fn store(
        &self,
        name: &ObjectName,
        size_bytes: u64,
        sha256: [u8; 32],
        act: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<PutReceipt> {
        let target = self.path_of(name);
        if self.stat(name)?.is_some() {
            return self.settle(name, size_bytes, sha256);
        }
        self.files.create_folder(parent(&target)).map_err(self.failed("make the folder of", name))?;
        match act(&target) {
            Ok(()) => Ok(PutReceipt::new(Proof::Size)),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                self.settle(name, size_bytes, sha256)
            }
            Err(error) => Err(error),
        }
    }

    /// Renames a spooled part to its place; `false` when it lies on another device.
    fn take(&self, name: &ObjectName, spooled: &Path, target: &Path) -> Result<bool> {
        failpoint::reach("storage.local.before_rename").map_err(self.failed("store", name))?;
        match self.files.rename_new(spooled, target) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => return Ok(false),
            other => other.map_err(self.failed("move the spooled part to", name))?,
        }
        let synced = failpoint::reach("storage.local.after_rename")
            .and_then(|()| self.files.sync_folder(parent(target)));
        if let Err(error) = synced {
            // Not durable means not stored: the part goes back to the spool, where the caller knows it.
            let _ = self.files.rename(target, spooled);
            return Err(self.failed("make durable", name)(error));
        }
        Ok(true)
    }

    /// The name is taken: right if by these very bytes (an earlier try that was not recorded), else a conflict.
    fn settle(&self, name: &ObjectName, size_bytes: u64, sha256: [u8; 32]) -> Result<PutReceipt> {
        let target = self.path_of(name);
        let same = self.stat(name)?.is_some_and(|present| present.size_bytes == size_bytes)
            && self.hash(&target).map_err(self.failed("read back", name))? == sha256;
        if !same {
            return Err(Error::Conflict { name: name.clone(), place: self.place() });
        }
        self.files.sync_folder(parent(&target)).map_err(self.failed("make durable", name))?;
        Ok(PutReceipt::new(Proof::ReadBack))
    }

    fn hash(&self, path: &Path) -> io::Result<[u8; 32]> {
        let mut file = self.files.open(path)?;
        let mut context = Context::new(&SHA256);
        pump(&mut *file, &mut io::sink(), &mut context)?;
        Ok(digest_of(context.finish()))
    }

    fn write_aside_and_rename(
        &self,
        name: &ObjectName,
        target: &Path,
        source: &mut dyn Read,
        promised: Option<&SpooledPart<'_>>,
    ) -> Result<()> {
        self.write_and_name(name, target, source, promised, |aside| {
            failpoint::reach("storage.local.before_rename").map_err(self.failed("store", name))?;
            self.files.rename_new(aside, target).map_err(self.failed("give its name to", name))
        })?;
        let synced = failpoint::reach("storage.local.after_rename")
            .and_then(|()| self.files.sync_folder(parent(target)));
        if let Err(error) = synced {
            let _ = self.files.remove_file(target);
            return Err(self.failed("make durable", name)(error));
        }
        Ok(())
    }

    /// Writes beside the target and gives that its name; nothing stays beside where that fails.
    fn write_and_name(
        &self,
        name: &ObjectName,
        target: &Path,
        source: &mut dyn Read,
        promised: Option<&SpooledPart<'_>>,
        give_name: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let aside = self.aside(name, target);
        let written = self.write_aside(name, &aside, source, promised).and_then(|()| give_name(&aside));
        if written.is_err() {
            // The first error tells more than one from cleaning up; what stays is swept later.
            let _ = self.files.remove_file(&aside);
        }
        written
    }

    fn write_aside(
        &self,
        name: &ObjectName,
        aside: &Path,
        source: &mut dyn Read,
        promised: Option<&SpooledPart<'_>>,
    ) -> Result<()> {
        let mut file = self.files.create_new(aside).map_err(self.failed("create", name))?;
        let mut context = Context::new(&SHA256);
        let copied = pump(source, &mut *file, &mut context).map_err(self.failed("write", name))?;
        if let Some(part) = promised
            && (copied != part.size_bytes || digest_of(context.finish()) != part.sha256)
        {
            let difference = "its SHA-256 or length differs";
            return Err(Error::PartChanged { name: name.clone(), difference });
        }
        file.sync().map_err(self.failed("make durable", name))
    }

    pub(super) fn read_range(
        &self,
        name: &ObjectName,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let Some(facts) = self.stat(name)? else {
            return Err(Error::NotFound { name: name.clone(), place: self.place() });
        };
        let wanted = facts.size_bytes.saturating_sub(offset_bytes).min(length_bytes);
        let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
        let mut filled = 0;
        let file = self.files.open(&self.path_of(name)).map_err(self.failed("open", name))?;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read", name)(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(super) fn delete(&self, name: &ObjectName) -> Result<()> {
        match self.look(&self.path_of(name)).map_err(self.failed("look at", name))? {
            Some(_) => self.remove(&self.path_of(name)),
            None => Ok(()),
        }
    }

    /// Removes a file, and the folders that are empty then, up to the storage's own.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        let shown = path.strip_prefix(&self.path).unwrap_or(path).display().to_string();
        self.files.remove_file(path).map_err(self.failed("delete", &shown))?;
        let mut folder = parent(path);
        self.files.sync_folder(folder).map_err(self.failed("make the deletion durable of", &shown))?;
        while folder != self.path && folder.starts_with(&self.path) {
            if !self.remove_if_empty(folder)? {
                break;
            }
            folder = parent(folder);
            self.files.sync_folder(folder).map_err(self.failed("make the deletion durable of", &shown))?;
        }
        Ok(())
    }

    /// Visits every file below a folder. Links and what cannot be an object's name are passed over.
    pub(super) fn walk(
        &self,
        below: Option<&ObjectName>,
        visit: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let mut folders = vec![below.cloned()];
        while let Some(folder) = folders.pop() {
            let path = folder.as_ref().map_or_else(|| self.path.clone(), |name| self.path_of(name));
            let shown = folder.as_ref().map(ToString::to_string).unwrap_or_default();
            let entries = match self.files.list(&path) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                other => other.map_err(self.failed("list", &shown))?,
            };
            for (path, stat) in entries {
                let Some(step) = path.file_name().and_then(|step| step.to_str()) else { continue };
                if stat.is_file && step.starts_with('.') && step.ends_with(UNFINISHED) {
                    visit(Entry::Unfinished(path))?;
                    continue;
                }
                let name = folder.as_ref().map_or_else(|| ObjectName::new(step), |folder| folder.join(step));
                match name {
                    Ok(name) if stat.is_folder => folders.push(Some(name)),
                    Ok(name) if stat.is_file => {
                        visit(Entry::Object(ObjectFacts { name, size_bytes: stat.size_bytes }))?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Removes a folder and those below it where they hold nothing: a run that died had made them and stored nothing yet, or
    /// had deleted what was there. The storage's own folder stays.
    pub(super) fn remove_empty_folders(&self, below: Option<&ObjectName>) -> Result<()> {
        let mut found = vec![below.map_or_else(|| self.path.clone(), |name| self.path_of(name))];
        let mut next = 0;
        while let Some(path) = found.get(next).cloned() {
            next += 1;
            match self.files.list(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    let entries = other.map_err(self.failed("list", &path.display().to_string()))?;
                    found.extend(entries.into_iter().filter(|entry| entry.1.is_folder).map(|entry| entry.0));
                }
            }
        }
        for path in found.iter().rev().filter(|path| **path != self.path) {
            self.remove_if_empty(path)?;
        }
        Ok(())
    }

    /// Removes a folder that holds nothing, and tells whether it is gone. One that is not empty, or that somebody else has taken,
    /// stays, and no harm is done; a disk that fails is told, so that whoever deletes comes back.
    fn remove_if_empty(&self, path: &Path) -> Result<bool> {
        use io::ErrorKind::{
            DirectoryNotEmpty, Interrupted, NotFound, PermissionDenied, ReadOnlyFilesystem, ResourceBusy,
        };
        loop {
            let Err(error) = self.files.remove_folder(path) else { return Ok(true) };
            match error.kind() {
                Interrupted => {}
                DirectoryNotEmpty | NotFound | PermissionDenied | ReadOnlyFilesystem | ResourceBusy => {
                    return Ok(false);
                }
                _ => {
                    let shown = path.strip_prefix(&self.path).unwrap_or(path).display().to_string();
                    return Err(self.failed("remove the empty folder", &shown)(error));
                }
            }
        }
    }

    /// Free space where the folder lies or, before its first use, where it will lie.
    pub(super) fn free_bytes(&self) -> Result<u64> {
        let mut path = self.path.as_path();
        loop {
            match self.files.free_bytes(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some() => {
                    path = parent(path);
                }
                other => return other.map_err(self.failed("ask for the free space of", "")),
            }
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn digest_of(digest: ring::digest::Digest) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

/// Moves all bytes from one to the other through the hash, and tells how many there were.
fn pump<W: Write + ?Sized>(source: &mut dyn Read, target: &mut W, context: &mut Context) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                context.update(&buffer[..count]);
                target.write_all(&buffer[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
