//! The test of a storage: write, read back, list, write over and delete a small object, and say which step failed.

use backstock_host::{Random, hex};

use crate::{Cause, Error, ObjectName, Result, Storage};

const PREFIX: &str = "backstock-probe-";
const CONTENT_BYTES: usize = 1024;
/// Of another length: what only keeps lengths or only keeps contents is found out.
const OTHER_CONTENT_BYTES: usize = 1000;
/// What a test leaves behind where nothing can be deleted: always the same, so that it is one object at most.
const KEPT: &str = "backstock-probe-that-cannot-be-deleted";

/// Whether an object is what a test has left behind.
pub(crate) fn is_probe(name: &ObjectName) -> bool {
    name.last_step().starts_with(PREFIX)
}

/// The name of the object that a test leaves where nothing can be deleted.
pub(crate) fn kept_name(folder: Option<&ObjectName>) -> Result<ObjectName> {
    named(folder, KEPT)
}

/// A name that no object has had before.
pub(crate) fn new_name(folder: Option<&ObjectName>, random: &dyn Random) -> Result<ObjectName> {
    let mut mark = [0; 8];
    random.fill(&mut mark);
    named(folder, &format!("{PREFIX}{}", hex::encode(&mark)))
}

fn named(folder: Option<&ObjectName>, step: &str) -> Result<ObjectName> {
    Ok(match folder {
        None => ObjectName::new(step)?,
        Some(folder) => folder.join(step)?,
    })
}

/// What may be done with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) replaces: bool,
    pub(crate) deletes: bool,
}

/// Whether deleting is allowed, by how it went.
pub(crate) fn may_delete(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Refused { act: "delete", cause: Cause::Denied | Cause::Locked, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does the test, and tells what is allowed. The content is random, so that no cache and no earlier test can answer for the
/// place.
pub(crate) async fn rights(
    storage: &dyn Storage,
    place: &str,
    folder: Option<&ObjectName>,
    random: &dyn Random,
) -> Result<Rights> {
    let trial = Trial { storage, place, folder, name: new_name(folder, random)? };
    let mut contents = [vec![0; CONTENT_BYTES], vec![0; OTHER_CONTENT_BYTES]];
    contents.iter_mut().for_each(|content| random.fill(content));
    storage.put_small(&trial.name, &contents[0]).await?;
    let replaces = trial.look(&contents).await;
    // It goes in any case, if it may.
    let deletes = may_delete(storage.delete(&trial.name).await)?;
    let rights = Rights { replaces: replaces?, deletes };
    if deletes && storage.stat(&trial.name).await?.is_some() {
        return Err(unreliable(place, "an object that was deleted is still there"));
    }
    Ok(rights)
}

/// A small object that is being tried.
struct Trial<'a> {
    storage: &'a dyn Storage,
    place: &'a str,
    folder: Option<&'a ObjectName>,
    name: ObjectName,
}

impl Trial<'_> {
    /// Looks at what was written, and exchanges it: whether or not that is allowed, what is there is whole, and listed.
    async fn look(&self, [first, second]: &[Vec<u8>; 2]) -> Result<bool> {
        self.compare(first).await?;
        let (replaces, content) = match self.storage.replace_small(&self.name, second).await {
            Err(Error::Refused { cause: Cause::Denied | Cause::Locked, .. }) => (false, first),
            other => (other.map(|()| true)?, second),
        };
        self.compare(content).await?;
        // Once: a folder that holds the backups of years is long to list.
        if !self.storage.list(self.folder).await?.iter().any(|facts| facts.name == self.name) {
            return Err(unreliable(self.place, "an object that was written is not listed"));
        }
        Ok(replaces)
    }

    /// Looks at what is there: its length, its content.
    async fn compare(&self, content: &[u8]) -> Result<()> {
        let (size_bytes, name) = (content.len() as u64, &self.name);
        if self.storage.stat(name).await?.map(|facts| facts.size_bytes) != Some(size_bytes) {
            return Err(unreliable(
                self.place,
                "an object that was written is missing or has another length",
            ));
        }
        if self.storage.read_range(name, 0, size_bytes).await? != content {
            return Err(unreliable(self.place, "an object reads back different from what was written"));
        }
        Ok(())
    }
}

pub(crate) fn unreliable(place: &str, difference: &'static str) -> Error {
    Error::Unreliable { place: place.to_owned(), difference }
}
