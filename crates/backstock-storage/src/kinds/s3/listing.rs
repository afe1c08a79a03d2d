//! Lists of a bucket, page by page: its objects, and its unfinished uploads.
//!
//! Keys are asked for as they are. Servers can write them for addresses instead, but one that says so need not do so, and a
//! plus would then become a blank; ours hold nothing that XML could not.

use std::sync::atomic::Ordering;

use reqwest::Method;

use super::bucket::{Bucket, Call};
use crate::http::Act;
use crate::xml::{self, Element};
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Result};

/// Entries of one page: the most that S3 gives.
const PAGE_ENTRIES: usize = 1000;
/// The longest page that is read, in bytes: keys may be long.
const PAGE_LIMIT_BYTES: usize = 8 << 20;

impl Bucket {
    /// Every object below a folder, sorted. What does not have an object's name was put there by others.
    pub(super) async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        if self.has_versions().await? {
            return self.list_versions(folder).await;
        }
        let act = Act { verb: "list", name: folder.map_or("", ObjectName::as_str) };
        let below = self.keys_below(folder);
        let (mut found, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut call = Call::bucket(vec![("list-type", "2".to_owned())])
                .query("max-keys", PAGE_ENTRIES.to_string())
                .query("prefix", &below);
            if let Some(token) = &token {
                call = call.query("continuation-token", token);
            }
            let mut entries = Vec::new();
            let mut keep = |entry: Element| {
                let key = key_of(&entry).ok_or("an entry has no key")?;
                let size = entry.text_of("Size").and_then(|size| size.parse().ok());
                entries.push((key.to_owned(), size.ok_or("an entry has no size")?));
                Ok(())
            };
            let root = self.page(act, call, &["Contents"], &mut keep).await?;
            found.extend(entries.into_iter().filter_map(|(key, size_bytes)| self.facts(&key, size_bytes)));
            self.was_seen.store(true, Ordering::Relaxed);
            if found.len() > LIST_LIMIT_OBJECTS {
                return Err(Error::TooMany {
                    place: self.http.place().to_owned(),
                    limit: LIST_LIMIT_OBJECTS,
                });
            }
            let Some(next) = next_of(&root, "NextContinuationToken") else { break };
            if token.as_ref() == Some(&next) {
                return Err(self.http.refused(act, Cause::Unexpected, "its list does not go on", None));
            }
            token = Some(next);
        }
        found.sort_by(|left, right| left.name.cmp(&right.name));
        found.dedup();
        Ok(found)
    }

    pub(super) fn facts(&self, key: &str, size_bytes: u64) -> Option<ObjectFacts> {
        let name = ObjectName::new(key.strip_prefix(&self.prefix)?).ok()?;
        Some(ObjectFacts { name, size_bytes })
    }

    /// Asks for one page of a list; `each` gets its entries, and the rest comes back.
    pub(super) async fn page(
        &self,
        act: Act<'_>,
        call: Call<'_>,
        entries: &[&str],
        each: &mut (dyn FnMut(Element) -> std::result::Result<(), String> + Send),
    ) -> Result<Element> {
        let answer = self.ask(act, call).await?;
        let answer = answer.map_err(|refusal| refusal.into_error(&self.http, act))?;
        let body = self.http.read(act, answer, PAGE_LIMIT_BYTES).await?;
        xml::read(&body, None, entries, each)
            .map_err(|problem| self.http.refused(act, Cause::Garbled, &problem, None))
    }

    /// Ends every unfinished upload below a folder, so that nobody pays for it, and tells how many there were. Where the
    /// service cannot list them, or these keys may not, there is nothing to be done.
    pub(super) async fn abort_uploads(&self, folder: Option<&ObjectName>) -> Result<u64> {
        let act = Act { verb: "look for unfinished uploads in", name: folder.map_or("", ObjectName::as_str) };
        let below = self.keys_below(folder);
        let (mut count, mut marker) = (0, None::<(String, String)>);
        loop {
            let mut call = Call::bucket(vec![("uploads", String::new())])
                .query("max-uploads", PAGE_ENTRIES.to_string())
                .query("prefix", &below);
            if let Some((key, id)) = &marker {
                call = call.query("key-marker", key).query("upload-id-marker", id);
            }
            let mut uploads = Vec::new();
            let mut keep = |entry: Element| {
                let key = key_of(&entry).ok_or("an upload has no key")?.to_owned();
                let id = entry.text_of("UploadId").ok_or("an upload has no id")?.to_owned();
                uploads.push((key, id));
                Ok(())
            };
            let root = match self.page(act, call, &["Upload"], &mut keep).await {
                Err(Error::Refused { cause: Cause::Denied | Cause::Unexpected, .. }) => return Ok(count),
                other => other?,
            };
            for (key, id) in uploads {
                if key.starts_with(&below) {
                    count += u64::from(self.abort(&key, &id).await.is_ok());
                }
            }
            let id = next_of(&root, "NextUploadIdMarker").unwrap_or_default();
            let next = next_of(&root, "NextKeyMarker").map(|key| (key, id));
            if next.is_none() || next == marker {
                return Ok(count);
            }
            marker = next;
        }
    }

    /// Ends one unfinished upload.
    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> Result<()> {
        let act = Act { verb: "end the unfinished upload of", name: key };
        let call = Call::object(Method::DELETE, key).query("uploadId", upload_id);
        match self.ask(act, call).await? {
            Err(refusal) if !refusal.is_missing_upload() => Err(refusal.into_error(&self.http, act)),
            _ => Ok(()),
        }
    }
}

/// The key of an entry. Blanks around it are its own: without them it would be another key.
pub(super) fn key_of(entry: &Element) -> Option<&str> {
    entry.child("Key").map(|key| key.text.as_str())
}

/// Where a list goes on, if it does.
pub(super) fn next_of(root: &Element, marker: &str) -> Option<String> {
    let goes_on = root.text_of("IsTruncated").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let next = root.text_of(marker).filter(|next| !next.is_empty());
    next.filter(|_| goes_on).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Element {
        xml::read(text.as_bytes(), None, &["Contents"], &mut |_| Ok(())).unwrap()
    }

    #[test]
    fn a_list_goes_on_only_when_it_says_so_and_where() {
        let next = |text: &str| next_of(&page(text), "M");
        assert_eq!(next("<R><IsTruncated>true</IsTruncated><M>x</M></R>").as_deref(), Some("x"));
        assert_eq!(next("<R><IsTruncated>false</IsTruncated><M>x</M></R>"), None);
        assert_eq!(next("<R><IsTruncated>true</IsTruncated></R>"), None);
    }
}
