//! Two sorted streams side by side: what stands under each key, with one entry of either in memory.

use std::cmp::Ordering;
use std::iter::Peekable;

use backstock_archive::IndexEntry;
use backstock_archive::index::compare_keys;

use crate::error::Result;

/// Gives every key of either stream once, in their order, with what each has under it.
pub(super) fn merge<E>(
    before: impl Iterator<Item = Result<IndexEntry<E>>>,
    after: impl Iterator<Item = Result<IndexEntry<E>>>,
    each: &mut dyn FnMut(Vec<u8>, Option<E>, Option<E>) -> Result<()>,
) -> Result<()> {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return Ok(()),
            // An error is taken at once.
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (Some(Ok(one)), Some(Ok(other))) => compare_keys(&one.key, &other.key),
        };
        let one = if order == Ordering::Greater { None } else { take(&mut before)? };
        let other = if order == Ordering::Less { None } else { take(&mut after)? };
        match (one, other) {
            (Some(one), Some(other)) => each(one.key, Some(one.entry), Some(other.entry))?,
            (Some(one), None) => each(one.key, Some(one.entry), None)?,
            (None, Some(other)) => each(other.key, None, Some(other.entry))?,
            (None, None) => return Ok(()),
        }
    }
}

fn take<E>(stream: &mut Peekable<impl Iterator<Item = Result<E>>>) -> Result<Option<E>> {
    stream.next().transpose()
}
