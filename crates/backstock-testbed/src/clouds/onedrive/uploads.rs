//! Uploads to OneDrive: in one request, or in a session that takes pieces in order.

use std::collections::HashMap;

use super::items::{PATH_LIMIT_CHARACTERS, is_forbidden};
use super::{Place, SIMPLE_LIMIT_BYTES, State, full, not_found, refusal, taken};
use crate::clouds::server::{Request, Response};
use crate::clouds::token;
use serde_json::json;

/// All pieces but the last are multiples of so many bytes.
const STEP_BYTES: usize = 320 << 10;
/// The longest piece, in bytes; it must be shorter.
const PIECE_LIMIT_BYTES: usize = 60 << 20;

/// One session.
#[derive(Debug)]
struct Session {
    path: String,
    replaces: bool,
    total_bytes: Option<usize>,
    received: Vec<u8>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
    count: u64,
}

impl Sessions {
    pub(super) fn end_all(&mut self) {
        self.by_id.clear();
    }

    pub(super) fn open(&self) -> usize {
        self.by_id.len()
    }
}

impl State {
    /// A file in one request.
    pub(super) fn put_content(&mut self, request: &Request, place: &Place, id: Option<String>) -> Response {
        if request.body.len() > SIMPLE_LIMIT_BYTES {
            return refusal(413, "maxRequestLengthExceeded", "The request is too long.");
        }
        // What holds where nothing is said.
        let behavior =
            request.asked("@microsoft.graph.conflictBehavior").unwrap_or_else(|| "replace".to_owned());
        let path = match place {
            Place::Path(path) => path.clone(),
            Place::Id(_) => match id {
                Some(id) => {
                    let bytes = self.items.received(request.body.clone());
                    self.items.replace(&id, bytes);
                    return Response::json(200, &self.items.shown(&id, None));
                }
                None => return not_found(),
            },
        };
        let bytes = request.body.clone();
        self.store(&path, behavior == "replace", bytes)
    }

    /// Stores the bytes of an upload that is done.
    fn store(&mut self, path: &str, replaces: bool, bytes: Vec<u8>) -> Response {
        if let Some(refusal) = fault_of(path) {
            return refusal;
        }
        let Some((above, name)) = self.items.above(path) else { return not_found() };
        let there = self.items.child(&above, &name);
        let is_folder = |id: &String| self.items.get(id).is_some_and(|item| item.bytes.is_none());
        if there.as_ref().is_some_and(|id| !replaces || is_folder(id)) {
            return taken();
        }
        if !self.has_room_for(bytes.len()) {
            return full();
        }
        let bytes = self.items.received(bytes);
        let (status, id) = match there {
            Some(id) => {
                self.items.replace(&id, bytes);
                (200, id)
            }
            None => (201, self.items.add(&above, &name, Some(bytes))),
        };
        Response::json(status, &self.items.shown(&id, None))
    }

    /// Begins a session.
    pub(super) fn begin(&mut self, request: &Request, place: &Place, is_there: bool) -> Response {
        let Place::Path(path) = place else { return refusal(400, "invalidRequest", "by path only") };
        if let Some(refusal) = fault_of(path) {
            return refusal;
        }
        let described = request.json().unwrap_or_default();
        let behavior = described["item"]["@microsoft.graph.conflictBehavior"].as_str().unwrap_or("fail");
        let replaces = match behavior {
            "fail" => false,
            "replace" => true,
            _ => return refusal(400, "notSupported", "rename is not served here"),
        };
        if self.items.above(path).is_none() {
            return not_found();
        }
        if is_there && !replaces {
            return taken();
        }
        self.sessions.count += 1;
        let id = token("session-", self.sessions.count);
        let session = Session { path: path.clone(), replaces, total_bytes: None, received: Vec::new() };
        self.sessions.by_id.insert(id.clone(), session);
        Response::json(
            200,
            &json!({
                "uploadUrl": format!("{}/up/{id}", request.base_url()),
                "expirationDateTime": "2026-11-23T10:00:00Z",
                "nextExpectedRanges": ["0-"],
            }),
        )
    }

    /// A piece, a question where the session stands, or its end.
    pub(super) fn go_on(&mut self, request: &Request, id: &str) -> Response {
        // Its address is its right. A token is not only needless: it is refused.
        if request.header("authorization").is_some() {
            return refusal(401, "unauthenticated", "Authentication failed");
        }
        let Some(session) = self.sessions.by_id.get_mut(id) else {
            return refusal(404, "itemNotFound", "The upload session was not found");
        };
        match request.method.as_str() {
            "GET" => return session.standing(200),
            "DELETE" => {
                self.sessions.by_id.remove(id);
                return Response::empty(204);
            }
            "PUT" => {}
            _ => return Response::empty(405),
        }
        if let Err(refusal) = session.take(request) {
            return refusal;
        }
        if session.total_bytes != Some(session.received.len()) {
            return session.standing(202);
        }
        let (path, replaces, bytes) = (session.path.clone(), session.replaces, session.received.clone());
        let answer = self.store(&path, replaces, bytes);
        // A name that was taken meanwhile is told at the last piece; the session stays for another name.
        if answer.status != 409 {
            self.sessions.by_id.remove(id);
        }
        answer
    }
}

impl Session {
    fn standing(&self, status: u16) -> Response {
        let next = match self.total_bytes {
            Some(total) => format!("{}-{}", self.received.len(), total.saturating_sub(1)),
            None => format!("{}-", self.received.len()),
        };
        Response::json(
            status,
            &json!({ "expirationDateTime": "2026-11-23T10:00:00Z", "nextExpectedRanges": [next] }),
        )
    }

    /// Takes a piece up. One that did not come whole is dropped.
    fn take(&mut self, request: &Request) -> Result<(), Response> {
        let wrong = |what: &str| refusal(400, "invalidRequest", what);
        let range = request.header("content-range").and_then(|range| range.strip_prefix("bytes "));
        let (range, total) =
            range.and_then(|range| range.split_once('/')).ok_or_else(|| wrong("no Content-Range"))?;
        let total: usize = total.parse().map_err(|_| wrong("the total must be known"))?;
        let ends =
            range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        let (first, last): (usize, usize) = ends.ok_or_else(|| wrong("the range cannot be read"))?;
        if self.total_bytes.is_some_and(|known| known != total) || total == 0 || last >= total || last < first
        {
            return Err(wrong("the total is another one than before, or the range goes beyond it"));
        }
        let stated: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if stated != last - first + 1 {
            return Err(wrong("the range and the body differ in length"));
        }
        if stated >= PIECE_LIMIT_BYTES || (last + 1 < total && !stated.is_multiple_of(STEP_BYTES)) {
            return Err(wrong("a piece is shorter than 60 MiB and, but for the last, a multiple of 320 KiB"));
        }
        self.total_bytes = Some(total);
        if first != self.received.len() {
            let message = "The uploaded fragment overlaps with data that has already been received.";
            return Err(refusal(416, "invalidRange", message));
        }
        if request.body.len() == stated {
            self.received.extend_from_slice(&request.body);
        }
        Ok(())
    }
}

fn fault_of(path: &str) -> Option<Response> {
    if path.chars().count() > PATH_LIMIT_CHARACTERS {
        return Some(refusal(400, "pathIsTooLong", "The path is too long"));
    }
    let is_wrong = path.is_empty() || path.split('/').any(is_forbidden);
    is_wrong.then(|| refusal(400, "invalidRequest", "The provided name cannot be used"))
}
