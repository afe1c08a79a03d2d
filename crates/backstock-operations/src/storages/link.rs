//! Linking a storage with an account: its owner says yes in a browser, and what comes of that is sealed into the catalog.
//!
//! A storage that is on record stays what it is: its identifier, its place and all that is known to be there.

use std::time::Duration;

use backstock_catalog::Link as LinkRecord;
use backstock_storage::{
    Link, LinkManner, Linked, ObjectName, PENDING_LIMIT_SECONDS, Pending, Returned, Secret, StorageSettings,
};
use backstock_vocabulary::{LinkState, StorageId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::keeper::CatalogKeeper;
use super::{NewStorage, find, open, secrets, storage_kind};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// How long a link is believed that nobody has used, in hours: longer is not to be lost unseen.
const TRIED_WITHIN_HOURS: i64 = 24;
/// What is asked for where only the link is tried. Nothing has this name.
const TRIED_NAME: &str = "backstock-link";

/// When a link was made, or seen to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeLink {
    /// When.
    pub at: Timestamp,
    /// When it ends by itself, where its provider limits that and tells.
    pub ends: Option<Timestamp>,
}

/// How a link is, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedLink {
    /// How it is.
    pub state: LinkState,
    /// Since when it is good, or since when it is not.
    pub since: Timestamp,
    /// What the provider said, where it took the link back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// When the provider was last asked.
    pub tried: Timestamp,
    /// When that last went well.
    pub good: Option<Timestamp>,
    /// When it ends by itself, where the provider has told.
    pub ends: Option<Timestamp>,
}

impl From<LinkRecord> for ListedLink {
    fn from(record: LinkRecord) -> Self {
        let LinkRecord { state, since, sentence, tried, good, ends, .. } = record;
        Self { state, since, sentence, tried, good, ends }
    }
}

/// A storage that somebody links with an account: one of the catalog, or one that is being defined.
#[derive(Debug)]
pub struct StorageLink {
    title: String,
    /// The storage, where it is one of the catalog.
    pub(super) known: Option<StorageId>,
    link: Link,
}

/// A link that was begun: it is finished by this process, within ten minutes.
#[derive(Debug)]
pub struct BegunLink {
    /// The address that the owner of the account opens.
    pub address: String,
    pending: Pending,
}

impl BegunLink {
    /// How long it can be finished.
    pub const LIMIT: Duration = Duration::from_secs(PENDING_LIMIT_SECONDS.unsigned_abs());

    /// What a browser brought back, by the query of the address to which the provider sent it.
    pub fn returned(&self, query: &str) -> Returned {
        self.pending.returned(query)
    }
}

impl StorageLink {
    /// The name of the provider, for people.
    pub fn provider(&self) -> &'static str {
        self.link.provider()
    }

    /// How the owner's browser brings the code.
    pub fn manner(&self) -> LinkManner {
        self.link.manner()
    }

    /// Begins it; the browser is sent to `redirect` afterwards, or shown the code.
    pub fn begin(&self, redirect: Option<&str>) -> Result<BegunLink> {
        let (address, pending) = self.link.authorization_url(redirect).doing(self.act())?;
        Ok(BegunLink { address, pending })
    }

    /// Exchanges the code for what the storage needs. A storage of the catalog has it then; one that is being defined gets it
    /// by [`NewStorage::take_link`].
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where the provider does not take the code, or cannot be reached; nothing was changed then.
    pub fn finish(
        &self,
        environment: &Environment,
        begun: &BegunLink,
        code: &Secret,
        state: Option<&str>,
    ) -> Result<Linked> {
        let exchange = self.link.exchange(&begun.pending, code, state);
        let linked = environment.wait(exchange).doing(self.act())?;
        if let Some(id) = self.known {
            CatalogKeeper::of(environment, id).renew(&linked.secrets)?;
            let made = environment.catalog.link_was_made(id, linked.at, linked.ends);
            environment.wait(made).doing(self.act())?;
        }
        Ok(linked)
    }

    fn act(&self) -> String {
        format!("linking the storage {} with an account at {}", self.title, self.provider())
    }
}

impl NewStorage {
    /// Has what linking it gave among its secrets from now on.
    pub fn take_link(&mut self, linked: Linked) {
        self.secrets.extend(linked.secrets);
        self.link = Some(MadeLink { at: linked.at, ends: linked.ends });
    }
}

/// The link of a storage that is being defined, once everything else about it is in order.
///
/// # Errors
/// [`ErrorKind::Refused`] where it could not be defined, linked or not.
pub fn link_new_storage(environment: &Environment, new: &NewStorage) -> Result<StorageLink> {
    let lacking = storage_kind(&new.kind)?.linked_secret();
    new.require_definable(environment, lacking)?;
    let link = opened_link(environment, &new.title, &new.settings_but_for(lacking)?)?;
    Ok(StorageLink { title: new.title.clone(), known: None, link })
}

/// The link of a storage of the catalog, to be made anew.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no such storage; [`ErrorKind::Refused`] where its kind has nothing to link.
pub fn link_storage(environment: &Environment, title: &str) -> Result<StorageLink> {
    let record = find(environment, title)?;
    let settings = secrets::with_secrets(environment, &record)?;
    let settings = StorageSettings { kind: record.kind.clone(), settings };
    let link = opened_link(environment, &record.title, &settings)?;
    Ok(StorageLink { title: record.title, known: Some(record.id), link })
}

fn opened_link(environment: &Environment, title: &str, settings: &StorageSettings) -> Result<Link> {
    let act = format!("reading the settings of the storage {title}");
    backstock_storage::link(&environment.host, settings).doing(act)?.ok_or_else(|| {
        OperationError::hinted(
            ErrorKind::Refused,
            format!(
                "the storage {title} is of the kind {}, which is not linked with an account",
                settings.kind
            ),
            "its secrets are those that it was defined with; define it anew with other ones",
        )
    })
}

/// One link, after a look at those that are due.
#[derive(Debug, Clone, Serialize)]
pub struct DueLink {
    /// The title of the storage.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// Whether it was tried now.
    pub was_tried: bool,
    /// How it is, where that was ever seen.
    pub link: Option<ListedLink>,
    /// Why it could not be tried, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl DueLink {
    /// Whether it is as it should be, as far as can be seen.
    pub fn is_ok(&self) -> bool {
        self.problem.is_none() && self.link.as_ref().is_some_and(|link| link.state == LinkState::Ok)
    }
}

/// Tries every link that no call has used with success for a day, and those that were taken back; tells of all of them.
pub fn try_due_links(environment: &Environment) -> Result<Vec<DueLink>> {
    let act = "listing the storages";
    let records = environment.wait(environment.catalog.list_storages()).doing(act)?;
    let mut links = Vec::new();
    for record in records {
        if !storage_kind(&record.kind).is_ok_and(|kind| kind.linked_secret().is_some()) {
            continue;
        }
        let is_due = is_due(find_link(environment, record.id)?.as_ref(), environment.host.clock.now());
        let problem = if is_due { try_link(environment, &record).err() } else { None };
        links.push(DueLink {
            link: find_link(environment, record.id)?,
            title: record.title,
            kind: record.kind,
            was_tried: is_due,
            problem: problem.map(|error| chain(&error)),
        });
    }
    Ok(links)
}

/// A small call, which brings nothing and changes nothing: what it needs first is a token.
fn try_link(environment: &Environment, record: &backstock_catalog::Storage) -> Result<()> {
    let act = || format!("trying the link of the storage {}", record.title);
    let storage = open(environment, record)?;
    let name = ObjectName::new(TRIED_NAME).map_err(backstock_storage::Error::from).doing(act())?;
    environment.wait(storage.stat(&name)).doing(act()).map(drop)
}

/// Whether a link is to be tried again. A clock that was set back makes everything due, not nothing.
fn is_due(link: Option<&ListedLink>, now: Timestamp) -> bool {
    let is_fresh = |good: Timestamp| {
        good <= now && now.duration_since(good) < SignedDuration::from_hours(TRIED_WITHIN_HOURS)
    };
    !link.is_some_and(|link| link.state != LinkState::Revoked && link.good.is_some_and(is_fresh))
}

/// How the link of a storage is, if it was ever tried.
pub(crate) fn find_link(environment: &Environment, storage: StorageId) -> Result<Option<ListedLink>> {
    let found = environment.wait(environment.catalog.find_link(storage));
    Ok(found.doing("looking for the link with the account")?.map(ListedLink::from))
}

/// How the link of the storage with this title is, if it was ever tried.
pub fn link_of(environment: &Environment, title: &str) -> Result<Option<ListedLink>> {
    find_link(environment, find(environment, title)?.id)
}

/// Links that are not as they should be, with the titles of their storages: for a warning before other work.
pub fn troubled_links(environment: &Environment) -> Result<Vec<(String, ListedLink)>> {
    let act = "listing the links with accounts";
    let links = environment.wait(environment.catalog.list_links()).doing(act)?;
    let mut troubled = Vec::new();
    for link in links.into_iter().filter(|link| link.state != LinkState::Ok) {
        let record = environment.wait(environment.catalog.find_storage(link.storage)).doing(act)?;
        troubled.extend(record.map(|record| (record.title, ListedLink::from(link))));
    }
    Ok(troubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_due_after_a_day_without_a_good_call() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |hours: i64| now + SignedDuration::from_hours(hours);
        let link =
            |state, good| ListedLink { state, since: now, sentence: None, tried: now, good, ends: None };
        for (link, wanted) in [
            (None, true),
            (Some(link(LinkState::Ok, None)), true),
            (Some(link(LinkState::Ok, Some(at(-23)))), false),
            (Some(link(LinkState::Ok, Some(at(-24)))), true),
            (Some(link(LinkState::Ok, Some(at(1)))), true),
            (Some(link(LinkState::Expiring, Some(at(-1)))), false),
            (Some(link(LinkState::Revoked, Some(at(-1)))), true),
        ] {
            assert_eq!(is_due(link.as_ref(), now), wanted, "{link:?}");
        }
    }
}
