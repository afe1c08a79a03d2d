//! Uploads to Drive: in one request of two parts, or in a session that takes pieces (guide "Upload file data").

use std::collections::HashMap;

use serde_json::Value;

use super::{Account, ROOT, State, invalid, not_found, refusal};
use crate::clouds::server::{Request, Response};
use crate::clouds::token;

/// The longest file that is taken in one request, in bytes.
const SIMPLE_LIMIT_BYTES: usize = 5_000_000;
/// All pieces but the last are multiples of so many bytes.
const STEP_BYTES: usize = 256 << 10;

/// One session.
#[derive(Debug)]
struct Session {
    /// The file that gets new bytes; none is a new one.
    over: Option<String>,
    described: Value,
    fields: Option<String>,
    total_bytes: usize,
    received: Vec<u8>,
    /// The answer to its last piece, which is remembered.
    done: Option<Response>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
    count: u64,
    pub(super) kept_of_a_piece: Option<usize>,
}

impl Sessions {
    pub(super) fn end_all(&mut self) {
        self.by_id.clear();
    }

    pub(super) fn open(&self) -> usize {
        self.by_id.values().filter(|session| session.done.is_none()).count()
    }
}

fn full() -> Response {
    refusal(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")
}

impl State {
    fn has_room_for(&self, size_bytes: usize) -> bool {
        self.quota_bytes.is_none_or(|quota| self.files.used_bytes() + size_bytes as u64 <= quota)
    }

    /// Stores the bytes of an upload that is done.
    fn store(
        &mut self,
        over: Option<&str>,
        described: &Value,
        bytes: Vec<u8>,
        fields: Option<&str>,
    ) -> Response {
        if !self.has_room_for(bytes.len()) {
            return full();
        }
        let bytes = self.files.received(bytes);
        let id = match over {
            Some(id) if self.files.get(id).is_none() => return not_found(id),
            Some(id) => {
                self.files.change(id, |file| file.bytes = Some(bytes));
                id.to_owned()
            }
            None => {
                let above = match self.files.parent(described, ROOT) {
                    Ok(above) => above,
                    Err(refusal) => return refusal,
                };
                let name = described["name"].as_str().unwrap_or("Untitled");
                let kind = described["mimeType"].as_str().unwrap_or("application/octet-stream");
                self.files.add(&above, name, kind, Some(bytes))
            }
        };
        self.files.answer(&id, fields)
    }
}

impl Account {
    /// An upload in one request, or the beginning of a session.
    pub(super) fn upload(&self, request: &Request, over: Option<&str>) -> Response {
        let mut state = self.state();
        if let Some(id) = over.filter(|id| state.files.get(id).is_none()) {
            return not_found(id);
        }
        let fields = request.asked("fields");
        match request.asked("uploadType").as_deref() {
            Some("multipart") => match parts_of(request) {
                Some((_, bytes)) if bytes.len() > SIMPLE_LIMIT_BYTES => {
                    refusal(413, "uploadTooLarge", "The upload is too large for this upload type.")
                }
                Some((described, bytes)) => state.store(over, &described, bytes, fields.as_deref()),
                None => refusal(400, "badContent", "Malformed multipart body."),
            },
            Some("resumable") => {
                let Some(described) = request.json() else {
                    return refusal(400, "parseError", "Parse Error");
                };
                if let Err(refusal) = state.files.parent(&described, ROOT) {
                    return refusal;
                }
                let length = request.header("x-upload-content-length").and_then(|text| text.parse().ok());
                let Some(total_bytes) = length else { return invalid("X-Upload-Content-Length") };
                if !state.has_room_for(total_bytes) {
                    return full();
                }
                state.sessions.count += 1;
                let id = token("ABg5", state.sessions.count);
                let over = over.map(str::to_owned);
                let session =
                    Session { over, described, fields, total_bytes, received: Vec::new(), done: None };
                state.sessions.by_id.insert(id.clone(), session);
                let place =
                    format!("{}{}?uploadType=resumable&upload_id={id}", request.base_url(), request.path);
                Response::empty(200).with("Location", place)
            }
            _ => invalid("uploadType"),
        }
    }

    /// A piece, a question where the session stands, or its end.
    pub(super) fn go_on(&self, request: &Request) -> Response {
        let mut state = self.state();
        let id = request.asked("upload_id").unwrap_or_default();
        if request.method == "DELETE" {
            return Response::empty(if state.sessions.by_id.remove(&id).is_some() { 499 } else { 404 });
        }
        let kept = state.sessions.kept_of_a_piece;
        let Some(session) = state.sessions.by_id.get_mut(&id) else {
            return Response::text(404, "Not Found");
        };
        if let Some(done) = &session.done {
            return done.clone();
        }
        if let Err(refusal) = session.take(request, kept) {
            return refusal;
        }
        if session.received.len() < session.total_bytes {
            return session.standing();
        }
        let (bytes, described) = (std::mem::take(&mut session.received), session.described.clone());
        let (over, fields) = (session.over.clone(), session.fields.clone());
        let answer = state.store(over.as_deref(), &described, bytes, fields.as_deref());
        match state.sessions.by_id.get_mut(&id) {
            Some(session) if answer.status == 200 => session.done = Some(answer.clone()),
            // What could not become a file is gone.
            _ => drop(state.sessions.by_id.remove(&id)),
        }
        answer
    }
}

impl Session {
    /// 308: the range that is there; none where nothing is.
    fn standing(&self) -> Response {
        match self.received.len() {
            0 => Response::empty(308),
            length => Response::empty(308).with("Range", format!("bytes=0-{}", length - 1)),
        }
    }

    /// Takes a piece up. Of one that did not come whole, whole steps are kept.
    fn take(&mut self, request: &Request, kept: Option<usize>) -> Result<(), Response> {
        let wrong = |what: &str| refusal(400, "badRequest", what);
        let range = request.header("content-range").and_then(|range| range.strip_prefix("bytes "));
        let (range, total) =
            range.and_then(|range| range.split_once('/')).ok_or_else(|| wrong("no Content-Range"))?;
        if total.parse() != Ok(self.total_bytes) {
            return Err(wrong("the total is another one than was announced"));
        }
        if range == "*" {
            return if request.body.is_empty() { Ok(()) } else { Err(wrong("a question has no body")) };
        }
        let ends =
            range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        let (first, last): (usize, usize) = ends.ok_or_else(|| wrong("the range cannot be read"))?;
        let stated: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if last < first || last >= self.total_bytes || stated != last - first + 1 {
            return Err(wrong("the range and the body differ in length"));
        }
        if last + 1 < self.total_bytes && !stated.is_multiple_of(STEP_BYTES) {
            return Err(wrong("a piece that is not the last is a multiple of 256 KiB"));
        }
        if first > self.received.len() {
            return Err(wrong("the piece begins behind what is there"));
        }
        let is_whole = request.body.len() == stated && kept.is_none_or(|kept| stated <= kept);
        let arrived = kept.unwrap_or(usize::MAX).min(request.body.len());
        let length = if is_whole { stated } else { arrived / STEP_BYTES * STEP_BYTES };
        let known = self.received.len() - first;
        self.received.extend(request.body.iter().take(length).skip(known));
        Ok(())
    }
}

/// The description and the bytes of a body of the type `multipart/related` (RFC 2387).
fn parts_of(request: &Request) -> Option<(Value, Vec<u8>)> {
    let kind = request.header("content-type")?.strip_prefix("multipart/related; boundary=")?;
    let line = format!("--{kind}\r\n").into_bytes();
    let (between, end) = (format!("\r\n--{kind}\r\n").into_bytes(), format!("\r\n--{kind}--").into_bytes());
    let body = request.body.strip_prefix(&line[..])?;
    let (first, second) = split(body, &between)?;
    let (second, _) = split(second, &end)?;
    let (head, described) = split(first, b"\r\n\r\n")?;
    let (_, bytes) = split(second, b"\r\n\r\n")?;
    if !String::from_utf8_lossy(head).to_lowercase().contains("application/json") {
        return None;
    }
    Some((serde_json::from_slice(described).ok()?, bytes.to_vec()))
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}
