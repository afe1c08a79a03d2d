//! Storages that are a tree of files on a server which can rename: SFTP, FTP. Data can be lost here.
//!
//! An object is written under a name that begins with a dot, its length is asked for and compared, then it is renamed. An
//! upload that was cut off goes on where the server's file ends: what it holds beyond the last durable piece is read back
//! and compared first.

#[cfg(test)]
pub(crate) mod trial;
mod upload;
mod walk;

use std::fmt::Debug;

use async_trait::async_trait;
use backstock_host::Host;

pub(crate) use self::upload::Progress;
use crate::source::Source;
use crate::{
    Cause, Error, InOneGo, ObjectFacts, ObjectName, Properties, PutReceipt, RANGE_LIMIT_BYTES, Result,
    SMALL_LIMIT_BYTES, SpooledPart, Storage, Upload, probe,
};

/// What a name of the tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, or whatever the server does not tell.
    Other,
}

/// One name of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its last step, as the server spells it.
    pub(crate) step: String,
    /// What it stands for.
    pub(crate) kind: EntryKind,
    /// The length of a file in bytes.
    pub(crate) size_bytes: u64,
}

/// What a kind must be able to do with its server. Paths are relative to the storage's folder, steps joined by `/`; the
/// empty one is that folder.
#[async_trait]
pub(crate) trait RemoteTree: Send + Sync + Debug {
    /// The place, for people.
    fn place(&self) -> &str;

    /// What is under a path, if anything.
    async fn look(&self, path: &str) -> Result<Option<Entry>>;

    /// What is in a folder. One that is not there holds nothing.
    async fn entries(&self, folder: &str) -> Result<Vec<Entry>>;

    /// Makes one folder, in one that is there. It may be there already.
    async fn make_folder(&self, path: &str) -> Result<()>;

    /// Removes an empty folder.
    async fn remove_folder(&self, path: &str) -> Result<()>;

    /// Removes a file. One that is not there is no error.
    async fn remove_file(&self, path: &str) -> Result<()>;

    /// Gives a file another name. Where `replaces` is not set, a file that has that name already should stay.
    async fn rename(&self, from: &str, to: &str, replaces: bool) -> Result<()>;

    /// Whether a file that was cut off can be gone on with.
    async fn can_resume(&self) -> Result<bool>;

    /// Writes a file from the source's position to its end, and makes it durable where the server can; at position 0 whatever
    /// the file held is thrown away.
    async fn write(&self, path: &str, source: &mut Source, progress: &Progress<'_>) -> Result<()>;

    /// Reads from a file; fewer bytes only where it ends.
    async fn read(&self, path: &str, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>>;

    /// Bytes that may still be stored, where the server tells.
    async fn free_bytes(&self) -> Result<Option<u64>>;
}

/// A storage on such a server.
#[derive(Debug)]
pub(crate) struct TreeStorage<T> {
    pub(crate) host: Host,
    pub(crate) tree: T,
}

impl<T: RemoteTree> TreeStorage<T> {
    async fn file(&self, path: &str) -> Result<Option<Entry>> {
        Ok(self.tree.look(path).await?.filter(|entry| entry.kind == EntryKind::File))
    }

    async fn source(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<Source> {
        Source::open(self.host.files.clone(), name, part).await
    }

    fn refused(&self, act: &'static str, name: &str, cause: Cause, answer: String) -> Error {
        let (name, place) = (name.to_owned(), self.tree.place().to_owned());
        Error::Refused { act, name, place, cause, answer, retry_after_seconds: None }
    }
}

#[async_trait]
impl<T: RemoteTree> Storage for TreeStorage<T> {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let source = self.source(name, part).await?;
        self.store(name, source, upload).await
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        Error::expect_at_most(name, bytes.len() as u64, SMALL_LIMIT_BYTES)?;
        self.store(name, Source::from_memory(name, bytes), &InOneGo).await?;
        Ok(())
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let source = self.source(name, part).await?;
        self.upload_and_rename(name, source, &InOneGo, true).await
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        Error::expect_at_most(name, bytes.len() as u64, SMALL_LIMIT_BYTES)?;
        self.upload_and_rename(name, Source::from_memory(name, bytes), &InOneGo, true).await.map(drop)
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let file = self.file(name.as_str()).await?;
        Ok(file.map(|entry| ObjectFacts { name: name.clone(), size_bytes: entry.size_bytes }))
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        self.list_objects(folder).await
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let Some(entry) = self.file(name.as_str()).await? else {
            return Err(Error::NotFound { name: name.clone(), place: self.tree.place().to_owned() });
        };
        let wanted = entry.size_bytes.saturating_sub(offset_bytes).min(length_bytes);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        self.tree.read(name.as_str(), offset_bytes, wanted).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        if self.file(name.as_str()).await?.is_none() {
            return Ok(());
        }
        self.tree.remove_file(name.as_str()).await?;
        let mut folder = name.folder();
        while let Some(empty) = folder {
            // Not empty, or taken by someone else: it stays, and no harm is done.
            if self.tree.remove_folder(empty.as_str()).await.is_err() {
                break;
            }
            folder = empty.folder();
        }
        Ok(())
    }

    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        self.sweep(folder).await
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        let rights = probe::rights(self, self.tree.place(), folder, &*self.host.random).await?;
        let resumes = self.tree.can_resume().await?;
        Ok(Properties::far(rights, resumes))
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.tree.free_bytes().await
    }
}
