//! The name of a difference: short, the same each time as long as both sides are as they were, and another one as soon as
//! anything of it is otherwise. So a name that is found again means that the shop is still what was shown.
//!
//! A name is made with a key that only this instance has: it tells nobody what a masked value might be.

use backstock_host::InstanceKey;
use ring::hmac;
use serde::Serialize;

use super::difference::Difference;

const LABEL: &[u8] = b"backstock: names of differences, version 1";
/// Digits of a name: of a million differences two share one with a chance of about one in a million.
const DIGITS: usize = 15;

/// A difference with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldDifference {
    /// The name, which `restore --from-diff` takes.
    pub item: String,
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
    /// What a row holds on each side; nothing of it is masked, and nothing of it is written anywhere.
    #[serde(skip)]
    pub(crate) states: [Vec<u8>; 2],
}

impl ToldDifference {
    pub(super) fn new(item: String, difference: Difference) -> Self {
        Self { item, difference, states: Default::default() }
    }
}

/// Makes names.
pub(super) struct Namer(hmac::Key);

impl Namer {
    pub(super) fn of(key: &InstanceKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.sign(LABEL)))
    }

    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, LABEL))
    }

    /// The name for what these parts say together.
    pub(super) fn name(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        digits[..DIGITS].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_every_part_and_on_where_it_ends() {
        let namer = Namer::for_test();
        let name = namer.name(&[b"file", b"a/b"]);
        assert_eq!(name, namer.name(&[b"file", b"a/b"]));
        assert_eq!(name.len(), DIGITS);
        for other in
            [namer.name(&[b"filea", b"/b"]), namer.name(&[b"file", b"a/b", b""]), namer.name(&[b"file"])]
        {
            assert_ne!(name, other);
        }
    }
}
