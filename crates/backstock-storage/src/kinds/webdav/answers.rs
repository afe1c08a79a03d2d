//! What a WebDAV server answers: entries of a folder, the room that is left, and what it refuses.

use reqwest::{StatusCode, Url};

use super::WebDav;
use crate::http::{Act, Answer, cause_of};
use crate::remote_tree::{Entry, EntryKind};
use crate::xml::{self, Element};
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, Result};

/// The namespace of the protocol's elements.
const NAMESPACE: &str = "DAV:";
/// The longest text that tells what is wrong, in bytes.
const REFUSAL_LIMIT_BYTES: usize = 64 << 10;

impl WebDav {
    /// The entries of a multi-status answer, each with the steps of its path.
    pub(super) fn entries_of(&self, act: Act<'_>, body: &[u8]) -> Result<Vec<(Vec<String>, Entry)>> {
        let mut found = Vec::new();
        let read = xml::read(body, Some(NAMESPACE), &["response"], &mut |response| {
            if found.len() > LIST_LIMIT_OBJECTS {
                return Err("it lists too much".to_owned());
            }
            found.extend(entry_of(&response, &self.folder));
            Ok(())
        });
        read.map_err(|problem| self.http.refused(act, Cause::Garbled, &problem, None))?;
        Ok(found)
    }

    /// Bytes that may still be stored, where the answer tells (RFC 4331); less than nothing means that nobody counts.
    pub(super) fn room_of(&self, act: Act<'_>, body: &[u8]) -> Result<Option<u64>> {
        let mut room = None;
        let read = xml::read(body, Some(NAMESPACE), &["response"], &mut |response| {
            let properties = properties_of(&response);
            room = properties.and_then(|found| found.text_of("quota-available-bytes")?.parse().ok());
            Ok(())
        });
        read.map_err(|problem| self.http.refused(act, Cause::Garbled, &problem, None))?;
        Ok(room)
    }

    /// An answer that is no success, as one of our errors.
    pub(super) async fn refusal(&self, act: Act<'_>, answer: Answer) -> Error {
        let status = answer.status();
        let pause = self.http.retry_after_seconds(&answer);
        let location = answer.header("location").and_then(|location| self.folder.join(location).ok());
        let cause = match status {
            StatusCode::CONFLICT => Cause::NoPlace,
            // It takes no file so long, or not from us: something to be set up there.
            StatusCode::PAYLOAD_TOO_LARGE => Cause::Denied,
            status if status.is_redirection() => Cause::NoPlace,
            status => cause_of(status),
        };
        let body = self.http.read(act, answer, REFUSAL_LIMIT_BYTES).await.unwrap_or_default();
        let mut text = format!("status {}", status.as_u16());
        if let Some(message) = message_of(&body) {
            text = format!("{text}: {message}");
        }
        if let Some(location) = location.filter(|_| status.is_redirection()) {
            text = format!("{text}: it wants to be asked at {}", without_query(location));
        }
        self.http.refused(act, cause, &text, pause)
    }
}

fn without_query(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// What a server of the sabre family says, Nextcloud among them. Others speak HTML, which helps nobody.
fn message_of(body: &[u8]) -> Option<String> {
    let root = xml::read(body, None, &[], &mut |_| Ok(())).ok()?;
    root.text_of("message").filter(|message| !message.is_empty()).map(str::to_owned)
}

/// The steps of a path, decoded. Bytes that are not UTF-8 become U+FFFD, which no name of ours has.
pub(super) fn steps_of(path: &str) -> Vec<String> {
    path.split('/').filter(|step| !step.is_empty()).map(decoded).collect()
}

fn decoded(step: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(step.len()), step.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The properties that a server has of a name: those it does not have come with another status.
fn properties_of(response: &Element) -> Option<&Element> {
    let groups = response.children.iter().filter(|child| child.name == "propstat");
    let mut good =
        groups.filter(|group| group.text_of("status").is_none_or(|status| status.contains(" 200")));
    good.next()?.child("prop")
}

fn entry_of(response: &Element, folder: &Url) -> Option<(Vec<String>, Entry)> {
    // A path alone, or a whole address.
    let address = folder.join(response.text_of("href")?).ok()?;
    let steps = steps_of(address.path());
    let properties = properties_of(response)?;
    let size_bytes = properties.text_of("getcontentlength").and_then(|text| text.parse().ok());
    let is_folder = properties.child("resourcetype").is_some_and(|kind| kind.child("collection").is_some());
    let kind = match (is_folder, size_bytes) {
        (true, _) => EntryKind::Folder,
        (false, Some(_)) => EntryKind::File,
        (false, None) => EntryKind::Other,
    };
    let step = steps.last().cloned().unwrap_or_default();
    Some((steps, Entry { step, kind, size_bytes: size_bytes.unwrap_or(0) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_step_by_step() {
        assert_eq!(steps_of("/a%20b//c%2Bd+e/%C3%BC%2"), ["a b", "c+d+e", "ü%2"]);
        assert_eq!(steps_of("/%ff"), ["\u{fffd}"]);
    }

    #[test]
    fn a_name_is_what_its_good_properties_say() {
        let text = "<d:multistatus xmlns:d='DAV:' xmlns:x='other'>\
             <d:response><d:href>http://other.example/dav/a%20b</d:href><d:propstat><d:prop><d:resourcetype/></d:prop>\
             <d:status>HTTP/1.1 404 Not Found</d:status></d:propstat><d:propstat><d:prop><d:getcontentlength>5</d:getcontentlength>\
             <x:getcontentlength>7</x:getcontentlength></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>\
             <d:response><d:href>/dav/f/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop>\
             </d:propstat></d:response>\
             <d:response><d:href>/dav/secret</d:href><d:status>HTTP/1.1 403 Forbidden</d:status></d:response>\
             </d:multistatus>";
        let folder = "http://localhost/dav/".parse().unwrap();
        let mut found = Vec::new();
        let mut keep = |response: Element| {
            found.extend(entry_of(&response, &folder));
            Ok(())
        };
        xml::read(text.as_bytes(), Some(NAMESPACE), &["response"], &mut keep).unwrap();
        let seen: Vec<_> =
            found.iter().map(|(_, entry)| (entry.step.as_str(), entry.kind, entry.size_bytes)).collect();
        assert_eq!(seen, [("a b", EntryKind::File, 5), ("f", EntryKind::Folder, 0)]);
    }
}
