//! Browsers that have taken a link request and are on their way back. Bounded, aged, and known by hashes of what they hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backstock_host::Random;
use backstock_operations::{Returned, StorageSecret, TakenLink};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

/// How many browsers may be on their way at once; of more, the one that went first is given up.
const SESSIONS_LIMIT: usize = 32;
/// Random bytes of what a browser holds.
const SESSION_BYTES: usize = 32;

/// Browsers on their way back.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    under_way: Mutex<Vec<Session>>,
}

#[derive(Debug)]
struct Session {
    hash: [u8; 32],
    link: TakenLink,
}

impl Sessions {
    /// Binds a link to one browser. Gives what the browser is to hold, and the links that are given up for it.
    pub(crate) fn bind(
        &self,
        random: &dyn Random,
        now: Timestamp,
        link: TakenLink,
    ) -> (StorageSecret, Vec<TakenLink>) {
        let mut bytes = [0; SESSION_BYTES];
        random.fill(&mut bytes);
        let held = StorageSecret::new(backstock_host::hex::encode(&bytes));
        let mut under_way = self.lock();
        let (mut kept, old): (Vec<_>, Vec<_>) =
            under_way.drain(..).partition(|session| session.link.is_fresh(now));
        let excess = (kept.len() + 1).saturating_sub(SESSIONS_LIMIT);
        let given_up = old.into_iter().chain(kept.drain(..excess)).map(|session| session.link).collect();
        kept.push(Session { hash: hash_of(held.expose()), link });
        *under_way = kept;
        (held, given_up)
    }

    /// What a browser brought back, with the link that it belongs to, which it then holds no more. None where the browser holds
    /// no link of ours, or brings what belongs to none: the link stays then.
    pub(crate) fn returned(&self, held: &str, query: &str) -> Option<(TakenLink, Returned)> {
        let hash = hash_of(held);
        let mut under_way = self.lock();
        let position = under_way.iter().position(|session| session.hash == hash)?;
        match under_way[position].link.returned(query) {
            Returned::Strange => None,
            returned => Some((under_way.remove(position).link, returned)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(held: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, held.as_bytes()).as_ref());
    hash
}
