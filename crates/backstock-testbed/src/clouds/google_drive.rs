//! A local server that speaks version 3 of the API of Google Drive, for one account that one application is linked with.
//!
//! Contract: the Drive API v3 reference with its guides "Search for files and folders", "Upload file data", "Download and export
//! files", "Resolve errors" and "Choose scopes" (`drive.file`: the application sees what it has made, and not the top folder).

mod files;
mod query;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use self::files::{File, Files};
use self::query::Query;
use self::uploads::Sessions;
use super::oauth::{OAuth, Redirects, Rotation, Rules};
use super::server::{CloudServer, Request, Response, Service};

/// The client that is registered.
pub const CLIENT_ID: &str = "backstock-test.apps.googleusercontent.com";
/// Its secret.
pub const CLIENT_SECRET: &str = "GOCSPX-test";
/// The id of a shared drive of the account.
pub const SHARED_DRIVE: &str = "0AsharedDrive";
/// The id of the account's own top folder, for which `root` is an alias.
const ROOT: &str = "0AownDrive";
/// What a folder is.
const FOLDER_TYPE: &str = "application/vnd.google-apps.folder";
/// Entries of a page where nothing is said.
const PAGE_ENTRIES: usize = 100;
/// The most entries of a page.
const PAGE_LIMIT_ENTRIES: usize = 1000;

#[derive(Debug)]
struct State {
    files: Files,
    sessions: Sessions,
    /// Bytes that the account may use; none is no limit.
    quota_bytes: Option<u64>,
    /// The most entries of a page, whatever was asked for.
    page_entries: usize,
    searches_everything: bool,
    may_delete: bool,
}

/// The account.
#[derive(Debug)]
pub struct Account {
    /// Its OAuth side.
    pub oauth: OAuth,
    state: Mutex<State>,
}

/// A running server, and the account behind it. It ends with this value.
#[derive(Debug)]
pub struct GoogleDriveServer {
    /// What can be told to go wrong on the way.
    pub server: CloudServer,
    /// What lies there.
    pub account: Arc<Account>,
}

impl GoogleDriveServer {
    /// An account with nothing in it.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start() -> Self {
        let oauth = OAuth::new(Rules {
            authorize_path: "/o/oauth2/v2/auth",
            token_path: "/token",
            client_id: CLIENT_ID,
            client_secret: Some(CLIENT_SECRET),
            offline_query: &[("access_type", "offline"), ("prompt", "consent")],
            scopes: &["https://www.googleapis.com/auth/drive.file"],
            access_prefix: "ya29.",
            rotation: Rotation::Never,
            lifetime: Duration::from_secs(3599),
            redirects: Redirects::AnyPort { origin: "http://127.0.0.1", path: "/" },
            shows_code: false,
        });
        let state = State {
            files: Files::new(&[ROOT, SHARED_DRIVE]),
            sessions: Sessions::default(),
            quota_bytes: None,
            page_entries: PAGE_LIMIT_ENTRIES,
            searches_everything: true,
            may_delete: true,
        };
        let account = Arc::new(Account { oauth, state: Mutex::new(state) });
        Self { server: CloudServer::start(account.clone()), account }
    }
}

/// An answer that refuses something, as Drive words it.
pub fn refusal(status: u16, reason: &str, message: &str) -> Response {
    let error = json!({ "domain": "global", "reason": reason, "message": message });
    Response::json(status, &json!({ "error": { "code": status, "message": message, "errors": [error] } }))
}

fn not_found(id: &str) -> Response {
    refusal(404, "notFound", &format!("File not found: {id}."))
}

fn invalid(what: &str) -> Response {
    refusal(400, "invalid", &format!("Invalid Value: {what}"))
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a folder into one (`None`: the top of the account), beside whatever has that name, and tells its id.
    pub fn add_folder(&self, above: Option<&str>, name: &str) -> String {
        self.state().files.add(above.unwrap_or(ROOT), name, FOLDER_TYPE, None)
    }

    /// Puts a file into a folder, beside whatever has that name, and tells its id.
    pub fn add_file(&self, above: &str, name: &str, bytes: &[u8]) -> String {
        self.state().files.add(above, name, "application/octet-stream", Some(bytes.to_vec()))
    }

    /// Puts a document without bytes into a folder: one of Google's own.
    pub fn add_document(&self, above: &str, name: &str) -> String {
        self.state().files.add(above, name, "application/vnd.google-apps.document", None)
    }

    /// Changes a byte of a stored file behind everyone's back.
    pub fn damage(&self, id: &str) {
        self.state().files.change(id, |file| {
            if let Some(byte) = file.bytes.as_mut().and_then(|bytes| bytes.first_mut()) {
                *byte ^= 1;
            }
        });
    }

    /// Puts something into the trash, as its owner may.
    pub fn trash(&self, id: &str) {
        self.state().files.change(id, |file| file.is_trashed = true);
    }

    /// Deletes something for good.
    pub fn remove(&self, id: &str) {
        self.state().files.remove(id);
    }

    /// The ids of everything of a name, the oldest first, what lies in the trash too.
    pub fn named(&self, name: &str) -> Vec<String> {
        self.state().files.all().filter(|file| file.name == name).map(|file| file.id.clone()).collect()
    }

    /// The bytes of a file.
    pub fn bytes(&self, id: &str) -> Option<Vec<u8>> {
        self.state().files.get(id)?.bytes.clone()
    }

    /// The id of the folder of something.
    pub fn folder_of(&self, id: &str) -> Option<String> {
        self.state().files.get(id).map(|file| file.parent.clone())
    }

    /// How many files and folders there are.
    pub fn count(&self) -> usize {
        self.state().files.all().count()
    }

    /// Limits the bytes that the account may use.
    pub fn set_quota(&self, quota_bytes: Option<u64>) {
        self.state().quota_bytes = quota_bytes;
    }

    /// Gives no more entries on a page.
    pub fn set_page_entries(&self, entries: usize) {
        self.state().page_entries = entries;
    }

    /// Whether lists say that not everything was looked through.
    pub fn set_searches_everything(&self, searches_everything: bool) {
        self.state().searches_everything = searches_everything;
    }

    /// Whether the account may delete.
    pub fn set_may_delete(&self, may_delete: bool) {
        self.state().may_delete = may_delete;
    }

    /// Which hashes are told of files.
    pub fn set_hashes(&self, sha256: bool, md5: bool) {
        self.state().files.set_hashes(sha256, md5);
    }

    /// Of each piece that comes from now on no more is kept than so many bytes.
    pub fn set_kept_of_a_piece(&self, bytes: Option<usize>) {
        self.state().sessions.kept_of_a_piece = bytes;
    }

    /// Of the next upload that is done, one byte is stored differently.
    pub fn damage_next_upload(&self) {
        self.state().files.damages_next = true;
    }

    /// Ends every session, as a week does.
    pub fn end_sessions(&self) {
        self.state().sessions.end_all();
    }

    /// How many sessions were begun and are neither done nor ended.
    pub fn open_sessions(&self) -> usize {
        self.state().sessions.open()
    }

    fn about(&self, request: &Request) -> Response {
        // Here alone nothing is given that was not asked for.
        if request.asked("fields").is_none() {
            return refusal(400, "required", "The 'fields' parameter is required for this method.");
        }
        let state = self.state();
        let mut quota = json!({ "usage": state.files.used_bytes().to_string() });
        if let Some(limit) = state.quota_bytes {
            quota["limit"] = limit.to_string().into();
        }
        Response::json(200, &json!({ "storageQuota": quota }))
    }

    fn list(&self, request: &Request) -> Response {
        let state = self.state();
        let asked = request.asked("pageSize").map_or(Ok(PAGE_ENTRIES), |text| text.parse());
        let Some(entries) = asked.ok().filter(|entries| (1..=PAGE_LIMIT_ENTRIES).contains(entries)) else {
            return invalid("pageSize");
        };
        let text = request.asked("q").unwrap_or_default();
        let Some(query) = Query::parse(&text) else { return invalid("q") };
        let in_shared = request.asked("corpora").as_deref() == Some("drive");
        let is_shared_well = request.asked("driveId").as_deref() == Some(SHARED_DRIVE)
            && request.asked("includeItemsFromAllDrives").as_deref() == Some("true")
            && request.asked("supportsAllDrives").as_deref() == Some("true");
        if in_shared && !is_shared_well {
            return invalid("driveId");
        }
        let parent_of = |id: &str| if id == "root" { ROOT.to_owned() } else { id.to_owned() };
        if query.parents().iter().any(|id| !state.files.has_folder(&parent_of(id))) {
            // Drive does not tell which.
            return not_found("");
        }
        let drive = if in_shared { SHARED_DRIVE } else { ROOT };
        let matches = |file: &&File| {
            state.files.drive_of(&file.id) == drive
                && query.matches(&file.name, &file.mime_type, state.files.is_trashed(&file.id), &|id| {
                    parent_of(id) == file.parent
                })
        };
        let found: Vec<&File> = state.files.all().filter(matches).collect();
        let Some(begin) = begin_of(request.asked("pageToken").as_deref(), &text) else {
            return invalid("pageToken");
        };
        let end = found.len().min(begin + entries.min(state.page_entries));
        let fields = fields_of_list(request.asked("fields").as_deref());
        let shown = found.iter().take(end).skip(begin).map(|file| state.files.shown(file, &fields));
        let mut page = json!({
            "incompleteSearch": !state.searches_everything,
            "files": shown.collect::<Vec<_>>(),
        });
        if end < found.len() {
            page["nextPageToken"] = format!("{end}~{}", text.len()).into();
        }
        Response::json(200, &page)
    }

    /// Creates what has no bytes.
    fn create(&self, request: &Request) -> Response {
        let Some(described) = request.json() else { return refusal(400, "parseError", "Parse Error") };
        let mut state = self.state();
        let above = match state.files.parent(&described, ROOT) {
            Ok(above) => above,
            Err(refusal) => return refusal,
        };
        let name = described["name"].as_str().unwrap_or("Untitled");
        let kind = described["mimeType"].as_str().unwrap_or("application/octet-stream");
        let bytes = (kind != FOLDER_TYPE).then(Vec::new);
        let id = state.files.add(&above, name, kind, bytes);
        state.files.answer(&id, request.asked("fields").as_deref())
    }

    fn file(&self, id: &str, request: &Request) -> Response {
        let mut state = self.state();
        // The scope gives no right to the top folder, which the application has not made.
        let is_there = state.files.get(id).is_some() && id != ROOT;
        let is_shared = state.files.drive_of(id) == SHARED_DRIVE;
        if !is_there || (is_shared && request.asked("supportsAllDrives").as_deref() != Some("true")) {
            return not_found(id);
        }
        match request.method.as_str() {
            "GET" if request.asked("alt").as_deref() == Some("media") => {
                state.files.media(id, request.header("range"))
            }
            "GET" => state.files.answer(id, request.asked("fields").as_deref()),
            "PATCH" => {
                let Some(changes) = request.json() else { return refusal(400, "parseError", "Parse Error") };
                state.files.change(id, |file| {
                    file.is_trashed = changes["trashed"].as_bool().unwrap_or(file.is_trashed);
                    file.name = changes["name"].as_str().unwrap_or(&file.name).to_owned();
                });
                state.files.answer(id, request.asked("fields").as_deref())
            }
            "DELETE" if !state.may_delete => {
                let message = "The user does not have sufficient permissions for this file.";
                refusal(403, "insufficientFilePermissions", message)
            }
            "DELETE" => {
                state.files.remove(id);
                Response::empty(204)
            }
            _ => Response::empty(405),
        }
    }
}

/// Where a page begins. A token is good for the list that gave it.
fn begin_of(token: Option<&str>, query: &str) -> Option<usize> {
    let Some(token) = token else { return Some(0) };
    let (begin, length) = token.split_once('~')?;
    (length.parse() == Ok(query.len())).then(|| begin.parse().ok()).flatten()
}

/// The fields of each file that a list is asked for.
fn fields_of_list(fields: Option<&str>) -> Vec<String> {
    let inner =
        fields.and_then(|fields| fields.split_once("files(")).and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or_else(default_fields, |(inner, _)| inner.split(',').map(str::to_owned).collect())
}

fn default_fields() -> Vec<String> {
    ["kind", "id", "name", "mimeType"].map(str::to_owned).to_vec()
}

impl Service for Account {
    fn answer(&self, request: &Request) -> Response {
        if let Some(answer) = self.oauth.answer(request) {
            return answer;
        }
        let is_session = request.asked("upload_id").is_some();
        // The address of a session is a right by itself; a token that is sent along must be good all the same.
        let needs_token = !is_session || request.header("authorization").is_some();
        if needs_token && !self.oauth.allows(request) {
            return refusal(401, "authError", "Invalid Credentials");
        }
        let path = request.path.as_str();
        let (is_upload, rest) = match path.strip_prefix("/upload/drive/v3/files") {
            Some(rest) => (true, rest),
            None => (false, path.strip_prefix("/drive/v3/files").unwrap_or("/")),
        };
        let id = rest.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/'));
        match (request.method.as_str(), is_upload, id) {
            ("GET", false, None) if path == "/drive/v3/about" => self.about(request),
            _ if !is_upload && !path.starts_with("/drive/v3/files") => Response::text(404, "Not Found"),
            (_, true, _) if is_session => self.go_on(request),
            ("POST", true, None) | ("PATCH", true, Some(_)) => self.upload(request, id),
            ("GET", false, None) => self.list(request),
            ("POST", false, None) => self.create(request),
            (_, false, Some(id)) => self.file(id, request),
            _ => Response::text(404, "Not Found"),
        }
    }
}
