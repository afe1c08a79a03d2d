//! The test of a storage: write, read back, list and delete a small object, and say which step failed.

use backstock_host::{Random, hex};

use crate::{Cause, Error, ObjectName, Result, Storage};

const PREFIX: &str = "backstock-probe-";
const CONTENT_BYTES: usize = 1024;
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

/// Does the test where deleting may not be allowed, and tells whether it is.
pub(crate) async fn can_delete(
    storage: &dyn Storage,
    place: &str,
    folder: Option<&ObjectName>,
    random: &dyn Random,
) -> Result<bool> {
    may_delete(write_read_delete(storage, place, folder, random).await)
}

/// Whether deleting is allowed, by how it went.
pub(crate) fn may_delete(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Refused { act: "delete", cause: Cause::Denied | Cause::Locked, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does the test. The content is random, so that no cache and no earlier test can answer for the place.
pub(crate) async fn write_read_delete(
    storage: &dyn Storage,
    place: &str,
    folder: Option<&ObjectName>,
    random: &dyn Random,
) -> Result<()> {
    let name = new_name(folder, random)?;
    let mut content = vec![0; CONTENT_BYTES];
    random.fill(&mut content);
    storage.put_small(&name, &content).await?;
    let seen = compare(storage, place, folder, &name, &content).await;
    storage.delete(&name).await?;
    seen?;
    if storage.stat(&name).await?.is_some() {
        return Err(unreliable(place, "an object that was deleted is still there"));
    }
    Ok(())
}

/// Looks at what was written: its length, its content, whether it is listed.
async fn compare(
    storage: &dyn Storage,
    place: &str,
    folder: Option<&ObjectName>,
    name: &ObjectName,
    content: &[u8],
) -> Result<()> {
    let size_bytes = content.len() as u64;
    if storage.stat(name).await?.map(|facts| facts.size_bytes) != Some(size_bytes) {
        return Err(unreliable(place, "an object that was written is missing or has another length"));
    }
    if storage.read_range(name, 0, size_bytes).await? != content {
        return Err(unreliable(place, "an object reads back different from what was written"));
    }
    if !storage.list(folder).await?.iter().any(|facts| facts.name == *name) {
        return Err(unreliable(place, "an object that was written is not listed"));
    }
    Ok(())
}

pub(crate) fn unreliable(place: &str, difference: &'static str) -> Error {
    Error::Unreliable { place: place.to_owned(), difference }
}
