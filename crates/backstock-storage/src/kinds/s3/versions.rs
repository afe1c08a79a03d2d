//! Buckets that keep versions: of each key the oldest version that is no delete marker is the object. Data can be lost here.
//!
//! A name is never used twice for different bytes, so whatever comes later under a key is not ours: a newer version that
//! somebody planted, or a delete marker, hides nothing. No marker is ever set: what is deleted is deleted version by version,
//! what others have laid upon it first and the object itself last, so that what stays where a deletion is refused is the object.
//! Entries come in the order of keys, and of one key newest first: Amazon S3 API reference, "ListObjectVersions". Where versions are
//! suspended, the newest entry of a key is called `null`, and takes the place of the `null` before it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use tokio::sync::OnceCell;

use super::bucket::{Bucket, Call};
use super::listing::{key_of, next_of};
use crate::http::{Act, Answer};
use crate::xml::{self, Element};
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Result};

/// The header that names the version that a request has made.
const VERSION_HEADER: &str = "x-amz-version-id";
/// What a version is called that was made while the bucket kept none.
const NULL_VERSION: &str = "null";
/// Entries of one page: the most that S3 gives.
const PAGE_ENTRIES: usize = 1000;
/// Entries of the first page where one key is asked for: it hardly ever has more.
const FIRST_PAGE_ENTRIES: usize = 20;
/// The most versions and delete markers of one key.
const KEY_LIMIT_ENTRIES: usize = 100_000;
/// The most versions and delete markers that one list reads.
const LIST_LIMIT_ENTRIES: usize = 5 * LIST_LIMIT_OBJECTS;
/// The most ids that are remembered; a read of an object whose id is not remembered asks for it.
const REMEMBERED_LIMIT: usize = 100_000;
/// The longest answer that tells whether there are versions, in bytes.
const ANSWER_LIMIT_BYTES: usize = 64 << 10;

/// What is known of the versions of a bucket.
#[derive(Debug, Default)]
pub(super) struct Versions {
    are_kept: OnceCell<bool>,
    /// The id of the version that is the object, by its key.
    remembered: Mutex<HashMap<String, String>>,
}

impl Versions {
    fn remembered(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: &str, id: &str) {
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_LIMIT {
            remembered.clear();
        }
        remembered.insert(key.to_owned(), id.to_owned());
    }
}

/// A version that is no delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) size_bytes: u64,
    pub(super) etag: Option<String>,
}

/// One entry of a list of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    id: String,
    /// None where it is a delete marker.
    version: Option<Version>,
}

impl Entry {
    fn read(element: &Element) -> std::result::Result<Self, String> {
        let key = key_of(element).ok_or("an entry has no key")?.to_owned();
        let id = element.text_of("VersionId").filter(|id| !id.is_empty());
        let id = id.ok_or("an entry has no version")?.to_owned();
        if element.name == "DeleteMarker" {
            return Ok(Self { key, id, version: None });
        }
        let size_bytes = element.text_of("Size").and_then(|size| size.parse().ok());
        let etag = element.text_of("ETag").filter(|etag| !etag.is_empty()).map(str::to_owned);
        let version = Version { id: id.clone(), size_bytes: size_bytes.ok_or("an entry has no size")?, etag };
        Ok(Self { key, id, version: Some(version) })
    }
}

/// Behind which entry a list goes on: its key and its version; no version is behind all of the key.
type Marker = (String, String);

/// The version that an answer says a request has made.
pub(super) fn version_of(answer: &Answer) -> Option<String> {
    answer.header(VERSION_HEADER).filter(|id| !id.is_empty()).map(str::to_owned)
}

impl Bucket {
    /// Whether the bucket keeps versions, or has kept them: asked once. Where that is not told and the settings ask for no
    /// locks, it is used as one without.
    pub(super) async fn has_versions(&self) -> Result<bool> {
        self.versions.are_kept.get_or_try_init(|| self.ask_for_versions()).await.copied()
    }

    async fn ask_for_versions(&self) -> Result<bool> {
        let act = Act { verb: "ask for the versions of", name: "" };
        let must_know = self.lock.is_some();
        let answer = match self.ask(act, Call::bucket(vec![("versioning", String::new())])).await? {
            Ok(answer) => answer,
            Err(refusal) => {
                let is_untold = matches!(refusal.cause(), Cause::Denied | Cause::Unexpected)
                    || refusal.is_missing_object();
                let untold = if is_untold && !must_know { Ok(false) } else { Err(refusal) };
                return untold.map_err(|refusal| refusal.into_error(&self.http, act));
            }
        };
        let body = self.http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
        match xml::read(&body, None, &[], &mut |_| Ok(())) {
            // Without a status it never had any. What is suspended has those of before.
            Ok(root) => {
                Ok(root.text_of("Status").is_some_and(|status| status == "Enabled" || status == "Suspended"))
            }
            Err(problem) if must_know => Err(self.http.refused(act, Cause::Garbled, &problem, None)),
            Err(_) => Ok(false),
        }
    }

    /// The version that is the object, if there is one.
    pub(super) async fn ours(&self, act: Act<'_>, name: &ObjectName) -> Result<Option<Version>> {
        let key = self.key(name);
        let ours =
            self.entries_of(act, &key).await?.into_iter().filter_map(|entry| entry.version).next_back();
        match &ours {
            Some(version) => self.versions.remember(&key, &version.id),
            None => self.forget(&key),
        }
        Ok(ours)
    }

    /// The id of the version that is the object, where it is known without asking. It may be deleted by now.
    pub(super) fn remembered(&self, key: &str) -> Option<String> {
        self.versions.remembered().get(key).cloned()
    }

    pub(super) fn forget(&self, key: &str) {
        self.versions.remembered().remove(key);
    }

    /// All versions and delete markers of one key, newest first (but perhaps all versions of a page before its markers).
    async fn entries_of(&self, act: Act<'_>, key: &str) -> Result<Vec<Entry>> {
        let (mut found, mut marker, mut count, mut pages) = (Vec::new(), None, FIRST_PAGE_ENTRIES, 0);
        loop {
            let (page, next) = self.page_of_versions(act, key, count, marker.as_ref()).await?;
            // It is the first of all keys that begin with it: whatever has another key comes behind all of its own.
            let is_past = page.iter().any(|entry| entry.key != key);
            found.extend(page.into_iter().filter(|entry| entry.key == key));
            if is_past || next.is_none() {
                return Ok(found);
            }
            pages += 1;
            if pages * PAGE_ENTRIES > KEY_LIMIT_ENTRIES {
                return Err(self.too_many(KEY_LIMIT_ENTRIES));
            }
            (marker, count) = (next, PAGE_ENTRIES);
        }
    }

    /// Every object below a folder, sorted, as [`Bucket::list`] promises.
    pub(super) async fn list_versions(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        let act = Act { verb: "list", name: folder.map_or("", ObjectName::as_str) };
        let below = self.keys_below(folder);
        let (mut found, mut marker, mut seen) = (BTreeMap::new(), None, 0);
        loop {
            let (page, next) = self.page_of_versions(act, &below, PAGE_ENTRIES, marker.as_ref()).await?;
            // A page without any counts too, so that there is an end.
            seen += page.len().max(1);
            for entry in page {
                let Some(facts) =
                    entry.version.as_ref().and_then(|version| self.facts(&entry.key, version.size_bytes))
                else {
                    continue;
                };
                // Each one is older than the one before.
                self.versions.remember(&entry.key, &entry.id);
                found.insert(facts.name, facts.size_bytes);
            }
            if found.len() > LIST_LIMIT_OBJECTS {
                return Err(self.too_many(LIST_LIMIT_OBJECTS));
            }
            if seen > LIST_LIMIT_ENTRIES {
                return Err(self.too_many(LIST_LIMIT_ENTRIES));
            }
            if next.is_none() {
                let facts = |(name, size_bytes)| ObjectFacts { name, size_bytes };
                return Ok(found.into_iter().map(facts).collect());
            }
            marker = next;
        }
    }

    fn too_many(&self, limit: usize) -> Error {
        Error::TooMany { place: self.http.place().to_owned(), limit }
    }

    async fn page_of_versions(
        &self,
        act: Act<'_>,
        below: &str,
        count: usize,
        marker: Option<&Marker>,
    ) -> Result<(Vec<Entry>, Option<Marker>)> {
        let mut call = Call::bucket(vec![("versions", String::new())])
            .query("max-keys", count.to_string())
            .query("prefix", below);
        if let Some((key, id)) = marker {
            call = call.query("key-marker", key);
            if !id.is_empty() {
                call = call.query("version-id-marker", id);
            }
        }
        let mut entries = Vec::new();
        let mut keep = |element: Element| {
            entries.push(Entry::read(&element)?);
            Ok(())
        };
        let root = self.page(act, call, &["Version", "DeleteMarker"], &mut keep).await?;
        // Prefixes are kept by every service, but a planted entry costs too much to leave that to trust.
        entries.retain(|entry| entry.key.starts_with(below));
        let goes_on = root.text_of("IsTruncated").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let id = next_of(&root, "NextVersionIdMarker").unwrap_or_default();
        let next = next_of(&root, "NextKeyMarker").map(|key| (key, id));
        if goes_on && (next.is_none() || next.as_ref() == marker) {
            return Err(self.http.refused(act, Cause::Unexpected, "its list does not go on", None));
        }
        Ok((entries, next))
    }

    /// The head of one version.
    pub(super) async fn head_of_version(&self, act: Act<'_>, key: &str, id: &str) -> Result<Answer> {
        let call = Call::object(Method::HEAD, key).query("versionId", id);
        self.ask(act, call).await?.map_err(|refusal| refusal.into_error(&self.http, act))
    }

    /// Deletes every version and delete marker of a name, the object itself last.
    pub(super) async fn delete_versions(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let key = self.key(name);
        let entries = self.entries_of(act, &key).await?;
        self.delete_entries(act, &key, &entries).await?;
        self.forget(&key);
        Ok(())
    }

    /// Deletes entries of one key, the oldest version last.
    async fn delete_entries(&self, act: Act<'_>, key: &str, entries: &[Entry]) -> Result<()> {
        let oldest = entries.iter().rfind(|entry| entry.version.is_some());
        for entry in entries.iter().filter(|entry| Some(*entry) != oldest).chain(oldest) {
            self.delete_version(act, key, &entry.id).await?;
        }
        Ok(())
    }

    async fn delete_version(&self, act: Act<'_>, key: &str, id: &str) -> Result<()> {
        match self.ask(act, Call::object(Method::DELETE, key).query("versionId", id)).await? {
            Err(refusal) if !refusal.is_missing_object() => Err(self.why_kept(act, key, id, refusal).await),
            _ => Ok(()),
        }
    }

    /// Asks to delete a version that was never there: a service refuses it all the same where the right is missing.
    pub(super) async fn delete_no_version(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let key = self.key(name);
        let call = Call::object(Method::DELETE, &key).query("versionId", NULL_VERSION);
        match self.ask(act, call).await? {
            Err(refusal) if !refusal.is_missing_object() && refusal.cause() != Cause::Unexpected => {
                Err(refusal.into_error(&self.http, act))
            }
            // Some do not know that name of a version; then the test itself shows what may be done.
            _ => Ok(()),
        }
    }

    /// Looks at what was just put under a name that nothing had. Where somebody was first in between, ours goes again.
    pub(super) async fn confirm_version(
        &self,
        name: &ObjectName,
        size_bytes: u64,
        made: Option<&str>,
    ) -> Result<Version> {
        let act = Act { verb: "confirm", name: name.as_str() };
        let key = self.key(name);
        let entries = self.entries_of(act, &key).await?;
        let mut versions = entries.iter().filter_map(|entry| entry.version.as_ref());
        let ours = match made {
            Some(id) => versions.clone().find(|version| version.id == id),
            None => versions.clone().next(),
        };
        let ours = self.expect_size(act, &key, ours, size_bytes, made).await?;
        let Some(first) = versions.next_back().filter(|first| first.id != ours.id) else {
            self.versions.remember(&key, &ours.id);
            return Ok(ours.clone());
        };
        let _ = self.delete_version(act, &key, &ours.id).await;
        if (first.size_bytes, &first.etag) == (size_bytes, &ours.etag) && first.etag.is_some() {
            self.versions.remember(&key, &first.id);
            return Ok(first.clone());
        }
        Err(Error::Conflict { name: name.clone(), place: self.http.place().to_owned() })
    }

    /// Takes away what stood under a name before the version that was just put there, the object itself last: from then on the
    /// new one is the object.
    pub(super) async fn take_place(
        &self,
        name: &ObjectName,
        size_bytes: u64,
        made: Option<&str>,
    ) -> Result<Version> {
        let act = Act { verb: "replace", name: name.as_str() };
        let key = self.key(name);
        let entries = self.entries_of(act, &key).await?;
        let mut versions = entries.iter().filter_map(|entry| entry.version.as_ref());
        let ours = versions.find(|version| made.is_none_or(|id| version.id == id));
        let ours = self.expect_size(act, &key, ours, size_bytes, made).await?;
        let others: Vec<_> = entries.iter().filter(|entry| entry.id != ours.id).cloned().collect();
        if let Err(error) = self.delete_entries(act, &key, &others).await {
            // The old one is the object still; what was to replace it is only in the way.
            let _ = self.delete_version(act, &key, &ours.id).await;
            return Err(error);
        }
        self.versions.remember(&key, &ours.id);
        Ok(ours.clone())
    }

    /// A version that was just made, when it has the length that it must have; otherwise it is taken away again.
    async fn expect_size<'a>(
        &self,
        act: Act<'_>,
        key: &str,
        version: Option<&'a Version>,
        size_bytes: u64,
        made: Option<&str>,
    ) -> Result<&'a Version> {
        let difference = match version {
            Some(version) if version.size_bytes == size_bytes => return Ok(version),
            Some(_) => "an object that was written has another length",
            None => "an object that was written is missing",
        };
        if let Some(id) = version.map(|version| version.id.as_str()).filter(|id| Some(*id) == made) {
            // Nobody shall take it for whole. Where it cannot be deleted, its length tells.
            let _ = self.delete_version(act, key, id).await;
        }
        Err(Error::Unreliable { place: self.http.place().to_owned(), difference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_tell_versions_from_delete_markers_and_lack_nothing() {
        let entry = |text: &str| {
            let mut found = Vec::new();
            let read = xml::read(text.as_bytes(), None, &["Version", "DeleteMarker"], &mut |element| {
                found.push(Entry::read(&element)?);
                Ok(())
            });
            read.map(|_| found)
        };
        let version =
            "<Version><Key>a</Key><VersionId>null</VersionId><Size>5</Size><ETag>\"e\"</ETag></Version>";
        let marker = "<DeleteMarker><Key>a</Key><VersionId>m</VersionId></DeleteMarker>";
        let found = entry(&format!("<R>{marker}{version}</R>")).unwrap();
        assert_eq!((found[0].id.as_str(), found[0].version.is_none()), ("m", true));
        let version = Version { id: "null".into(), size_bytes: 5, etag: Some("\"e\"".into()) };
        assert_eq!(found[1], Entry { key: "a".into(), id: "null".into(), version: Some(version) });
        for text in [
            "<R><Version><VersionId>1</VersionId><Size>5</Size></Version></R>",
            "<R><Version><Key>a</Key><Size>5</Size></Version></R>",
            "<R><Version><Key>a</Key><VersionId>1</VersionId></Version></R>",
            "<R><DeleteMarker><Key>a</Key><VersionId/></DeleteMarker></R>",
        ] {
            assert!(entry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let versions = Versions::default();
        for number in 0..=REMEMBERED_LIMIT {
            versions.remember(&number.to_string(), "id");
        }
        assert_eq!(versions.remembered().len(), 1);
    }
}
