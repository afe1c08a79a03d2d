//! Uploads: in one request, and by sessions that know how far they got.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tree::content_hash;
use super::{Account, Arguments, Done, Failed, REQUEST_LIMIT_BYTES, Refused, checked_path, only};
use crate::clouds::server::{Request, Response};

/// How long a session is kept.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What a file can be committed with.
const COMMIT: &[&str] = &[
    "path",
    "mode",
    "autorename",
    "client_modified",
    "mute",
    "property_groups",
    "strict_conflict",
    "content_hash",
];

#[derive(Debug)]
struct Session {
    content: PathBuf,
    length_bytes: u64,
    is_closed: bool,
    is_committed: bool,
    begun: Instant,
}

/// The upload sessions of an account.
#[derive(Debug)]
pub(super) struct Sessions {
    folder: PathBuf,
    count: u64,
    known: HashMap<String, Session>,
}

impl Sessions {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), count: 0, known: HashMap::new() }
    }

    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    pub(super) fn open(&self) -> usize {
        self.known.values().filter(|session| !session.is_committed).count()
    }

    fn begin(&mut self) -> String {
        self.count += 1;
        let id = crate::clouds::token("session-", self.count);
        let content = self.folder.join(&id);
        std::fs::write(&content, b"").unwrap_or_else(|error| panic!("{}: {error}", content.display()));
        let (is_closed, is_committed, begun) = (false, false, Instant::now());
        let session = Session { content, length_bytes: 0, is_closed, is_committed, begun };
        self.known.insert(id.clone(), session);
        id
    }

    /// The session of a cursor, if it goes on just there.
    fn at(&mut self, cursor: &Value) -> Result<&mut Session, Failed> {
        only(cursor.as_object(), &["session_id", "offset"])?;
        let (Some(id), Some(offset)) = (cursor["session_id"].as_str(), cursor["offset"].as_u64()) else {
            return Err(Failed::Malformed("cursor: expected session_id and offset".to_owned()));
        };
        let session = self.known.get_mut(id).filter(|session| session.begun.elapsed() < LIFE);
        let session = session.ok_or_else(|| Refused::words(&["not_found"]))?;
        if session.is_committed {
            return Err(Refused::words(&["closed"]).into());
        }
        if session.length_bytes != offset {
            let refused = Refused::words(&["incorrect_offset"]);
            return Err(Refused { correct_offset: Some(session.length_bytes), ..refused }.into());
        }
        Ok(session)
    }
}

impl Session {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        if self.is_closed && !bytes.is_empty() {
            return Err(Refused::words(&["closed"]).into());
        }
        let file = OpenOptions::new().append(true).open(&self.content);
        let written = file.and_then(|mut file| file.write_all(bytes));
        written.unwrap_or_else(|error| panic!("{}: {error}", self.content.display()));
        self.length_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The body must be no longer than a request may be, and be what its hash says.
fn check_body(arguments: &Arguments, request: &Request) -> Result<(), Failed> {
    if request.body.len() > REQUEST_LIMIT_BYTES {
        return Err(Refused::words(&["payload_too_large"]).into());
    }
    match arguments.0["content_hash"].as_str() {
        Some(hash) if hash != content_hash(&request.body) => {
            Err(Refused::words(&["content_hash_mismatch"]).into())
        }
        _ => Ok(()),
    }
}

/// Path and mode of a commit.
fn commit(info: &Value) -> Result<(String, String), Failed> {
    only(info.as_object(), COMMIT)?;
    let malformed = |problem: &str| Failed::Malformed(format!("commit: {problem}"));
    let path = info["path"].as_str().ok_or_else(|| malformed("path: expected string"))?;
    checked_path(path)?;
    let mode = info["mode"].as_str().or_else(|| info["mode"][".tag"].as_str()).unwrap_or("add");
    if !matches!(mode, "add" | "overwrite") {
        return Err(malformed("mode: unknown tag"));
    }
    Ok((path.to_owned(), mode.to_owned()))
}

impl Account {
    pub(super) fn upload(&self, arguments: &Arguments, request: &Request) -> Done {
        let (path, mode) = commit(&arguments.0)?;
        check_body(arguments, request)?;
        let written = self.change(|state| {
            let id = state.sessions.begin();
            let content = state.sessions.known.remove(&id).map(|session| session.content).unwrap_or_default();
            let kept = std::fs::write(&content, &request.body);
            kept.unwrap_or_else(|error| panic!("{}: {error}", content.display()));
            state.tree.write(&path, &mode, &content)
        });
        let mut metadata = written.map_err(|refused| {
            // Here the reason has a name of its own, and the bytes are kept for another try.
            let refused = if refused.words[..] == ["too_many_write_operations"] {
                refused.within("path")
            } else {
                refused
            };
            let mut told = refused.document();
            let reason = told["error"]["path"].take();
            told["error"] = json!({ ".tag": "path", "reason": reason, "upload_session_id": "AAAA" });
            Failed::Other(Response::json(409, &told))
        })?;
        // Here it can only be a file.
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove(".tag");
        }
        Ok(Response::json(200, &metadata))
    }

    pub(super) fn start(&self, arguments: &Arguments, request: &Request) -> Done {
        arguments.only(&["close", "session_type", "content_hash"])?;
        check_body(arguments, request)?;
        let mut state = self.state();
        let id = state.sessions.begin();
        if let Some(session) = state.sessions.known.get_mut(&id) {
            session.append(&request.body)?;
            session.is_closed = arguments.0["close"] == true;
        }
        Ok(Response::json(200, &json!({ "session_id": id })))
    }

    pub(super) fn append(&self, arguments: &Arguments, request: &Request) -> Done {
        arguments.only(&["cursor", "close", "content_hash"])?;
        let mut state = self.state();
        let session = state.sessions.at(&arguments.0["cursor"])?;
        check_body(arguments, request)?;
        session.append(&request.body)?;
        session.is_closed |= arguments.0["close"] == true;
        Ok(Response::json(200, &Value::Null))
    }

    /// Makes the file of a session. Where the file cannot be made, the session keeps what it has.
    pub(super) fn finish(&self, arguments: &Arguments, request: &Request) -> Done {
        arguments.only(&["cursor", "commit", "content_hash"])?;
        let (path, mode) = commit(&arguments.0["commit"])?;
        check_body(arguments, request)?;
        let content = {
            let mut state = self.state();
            let session = state.sessions.at(&arguments.0["cursor"]).map_err(|failed| match failed {
                Failed::Refused(refused) => Failed::Refused(refused.within("lookup_failed")),
                other => other,
            })?;
            session.append(&request.body)?;
            session.content.clone()
        };
        let id = arguments.0["cursor"]["session_id"].as_str().unwrap_or_default().to_owned();
        let mut metadata = self.change(|state| {
            let written = state.tree.write(&path, &mode, &content)?;
            if let Some(session) = state.sessions.known.get_mut(&id) {
                session.is_committed = true;
            }
            Ok(written)
        })?;
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove(".tag");
        }
        Ok(Response::json(200, &metadata))
    }
}
