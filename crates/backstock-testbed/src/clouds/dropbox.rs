//! A server in the place of Dropbox: the functions of its API v2 that keep, list, give back and delete files.
//!
//! Contract: the published specification of the API (namespaces `files` and `users`), its guide to data ingress and its guide
//! to errors. Files and upload sessions lie in a private folder; changes of the tree that happen side by side are refused.

mod sessions;
mod tree;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use self::sessions::Sessions;
use self::tree::Tree;
use super::oauth::{OAuth, Redirects, Rotation, Rules};
use super::server::{CloudServer, Request, Response, Service};

/// The app key of the only application.
pub const CLIENT_ID: &str = "a1b2c3d4e5f6g7h";
/// The most bytes of one request, in bytes.
const REQUEST_LIMIT_BYTES: usize = 150 << 20;
/// The most entries of a page.
const PAGE_ENTRIES: u64 = 2000;
/// How long a change of the tree takes: long enough that others meet it.
const CHANGE_TIME: Duration = Duration::from_millis(2);

const RULES: Rules = Rules {
    authorize_path: "/oauth2/authorize",
    token_path: "/oauth2/token",
    client_id: CLIENT_ID,
    client_secret: None,
    offline_query: &[("token_access_type", "offline")],
    scopes: &[],
    access_prefix: "sl.",
    rotation: Rotation::Never,
    lifetime: Duration::from_secs(14_400),
    redirects: Redirects::Registered,
    shows_code: true,
};

/// What an account refuses: the words of the error, outermost first, and what belongs to the innermost.
#[derive(Debug, Clone)]
struct Refused {
    words: Vec<&'static str>,
    correct_offset: Option<u64>,
}

impl Refused {
    fn words(words: &[&'static str]) -> Self {
        Self { words: words.to_vec(), correct_offset: None }
    }

    /// The same as the reason of an error around it.
    fn within(mut self, word: &'static str) -> Self {
        self.words.insert(0, word);
        self
    }

    /// As the body of a 409: each tag holds the next one under its own name.
    fn document(&self) -> Value {
        let mut error = Value::Null;
        for (at, word) in self.words.iter().enumerate().rev() {
            let inner = std::mem::take(&mut error);
            error = json!({ ".tag": word });
            match self.words.get(at + 1) {
                Some(_) => error[*word] = inner,
                None if self.correct_offset.is_some() => error["correct_offset"] = self.correct_offset.into(),
                None => {}
            }
        }
        // As many dots as it likes, so that nobody compares the whole text.
        json!({ "error_summary": format!("{}/...", self.words.join("/")), "error": error })
    }
}

/// How a call fails.
enum Failed {
    /// In the words of the function.
    Refused(Refused),
    /// Because the call has not the form that it must have: a plain text.
    Malformed(String),
    Other(Response),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

type Done = Result<Response, Failed>;

#[derive(Debug)]
struct State {
    tree: Tree,
    sessions: Sessions,
    page_entries: u64,
    cursors: Vec<Cursor>,
}

/// Where a list goes on.
#[derive(Debug, Clone)]
struct Cursor {
    name: String,
    top: String,
    is_recursive: bool,
    limit: u64,
    after: String,
}

/// An account.
#[derive(Debug)]
struct Account {
    oauth: OAuth,
    state: Mutex<State>,
    changing: Mutex<()>,
    folder: TempDir,
}

/// A running server with one empty account.
#[derive(Debug)]
pub struct DropboxServer {
    server: CloudServer,
    account: Arc<Account>,
}

impl DropboxServer {
    /// Starts one.
    ///
    /// # Panics
    /// When this machine gives it no folder or no port.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bk-dropbox-").tempdir().expect("a folder can be made");
        let state = State {
            tree: Tree::new(folder.path()),
            sessions: Sessions::new(folder.path()),
            page_entries: PAGE_ENTRIES,
            cursors: Vec::new(),
        };
        let account = Account {
            oauth: OAuth::new(RULES),
            state: Mutex::new(state),
            changing: Mutex::default(),
            folder,
        };
        let account = Arc::new(account);
        let server = CloudServer::start(account.clone());
        Self { server, account }
    }

    /// The server, for orders and for what came by.
    pub fn server(&self) -> &CloudServer {
        &self.server
    }

    /// The side of the account that links applications.
    pub fn oauth(&self) -> &OAuth {
        &self.account.oauth
    }

    /// Every file: its path as it is spelled, and where its bytes lie.
    pub fn files(&self) -> Vec<(String, PathBuf)> {
        self.account.state().tree.files()
    }

    /// Every folder as it is spelled.
    pub fn folders(&self) -> Vec<String> {
        self.account.state().tree.folders()
    }

    /// Puts a file there by other means.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let content = self.account.folder.path().join("put-by-hand");
        std::fs::write(&content, bytes).expect("the folder of the server can be written to");
        let mut state = self.account.state();
        let put = state.tree.write(path, "overwrite", &content);
        assert!(put.is_ok(), "{put:?}");
    }

    /// The room of the account, in bytes.
    pub fn set_quota(&self, quota_bytes: u64) {
        self.account.state().tree.quota_bytes = quota_bytes;
    }

    /// The most entries that a page has from now on.
    pub fn set_page_entries(&self, entries: u64) {
        self.account.state().page_entries = entries;
    }

    /// Forgets where lists are to go on.
    pub fn forget_cursors(&self) {
        self.account.state().cursors.clear();
    }

    /// Forgets all upload sessions, as it does a week after their begin.
    pub fn forget_sessions(&self) {
        self.account.state().sessions.forget();
    }

    /// How many upload sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.account.state().sessions.open()
    }
}

impl Service for Account {
    fn answer(&self, request: &Request) -> Response {
        if let Some(answer) = self.oauth.answer(request) {
            return answer;
        }
        let Some(route) = request.path.strip_prefix("/2/") else {
            return Response::text(404, "no such page");
        };
        if request.method != "POST" {
            return Response::text(405, "functions are called by POST");
        }
        if request.bearer().is_none() {
            return Response::text(400, "the header Authorization is missing");
        }
        if !self.oauth.allows(request) {
            let refused = Refused::words(&["expired_access_token"]);
            return Response::json(401, &refused.document());
        }
        match self.call(route, request) {
            Ok(answer) => answer,
            Err(Failed::Refused(refused)) => Response::json(409, &refused.document()),
            Err(Failed::Malformed(problem)) => {
                Response::text(400, &format!("Error in call to API function \"{route}\": {problem}"))
            }
            Err(Failed::Other(answer)) => answer,
        }
    }
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, route: &str, request: &Request) -> Done {
        match route {
            "files/upload" => self.upload(&header_arguments(request)?, request),
            "files/upload_session/start" => self.start(&header_arguments(request)?, request),
            "files/upload_session/append_v2" => self.append(&header_arguments(request)?, request),
            "files/upload_session/finish" => self.finish(&header_arguments(request)?, request),
            "files/download" => self.download(&header_arguments(request)?, request),
            "files/get_metadata" => self.get_metadata(&body_arguments(request)?),
            "files/list_folder" => self.list_folder(&body_arguments(request)?),
            "files/list_folder/continue" => self.list_on(&body_arguments(request)?),
            "files/delete_v2" => self.delete(&body_arguments(request)?),
            "users/get_space_usage" => {
                body_arguments(request)?.nothing()?;
                let state = self.state();
                let (used, allocated) = (state.tree.used_bytes(), state.tree.quota_bytes);
                let allocation = json!({ ".tag": "individual", "allocated": allocated });
                Ok(Response::json(200, &json!({ "used": used, "allocation": allocation })))
            }
            _ => Err(Failed::Malformed("there is no such function".to_owned())),
        }
    }

    /// Changes the tree, unless somebody else does just now.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        let Ok(_alone) = self.changing.try_lock() else {
            return Err(Refused::words(&["too_many_write_operations"]));
        };
        std::thread::sleep(CHANGE_TIME);
        change(&mut self.state())
    }

    fn get_metadata(&self, arguments: &Arguments) -> Done {
        arguments.only(&[
            "path",
            "include_media_info",
            "include_deleted",
            "include_has_explicit_shared_members",
        ])?;
        let path = arguments.path("path")?;
        let state = self.state();
        let found = state.tree.metadata(&path).ok_or_else(|| Refused::words(&["path", "not_found"]))?;
        Ok(Response::json(200, &found))
    }

    fn list_folder(&self, arguments: &Arguments) -> Done {
        arguments.only(&["path", "recursive", "limit", "include_deleted", "include_mounted_folders"])?;
        let path = arguments.text("path")?;
        if path == "/" {
            let problem = "Specify the root folder as an empty string rather than as \"/\".";
            return Err(Failed::Malformed(problem.to_owned()));
        }
        let path = if path.is_empty() { path } else { arguments.path("path")? };
        let limit = match &arguments.0["limit"] {
            Value::Null => PAGE_ENTRIES,
            limit => limit
                .as_u64()
                .filter(|limit| (1..=PAGE_ENTRIES).contains(limit))
                .ok_or_else(|| Failed::Malformed("limit: expected 1 to 2000".to_owned()))?,
        };
        let is_recursive = arguments.0["recursive"] == true;
        let mut state = self.state();
        match state.tree.metadata(&path) {
            _ if path.is_empty() => {}
            None => return Err(Refused::words(&["path", "not_found"]).into()),
            Some(found) if found[".tag"] != "folder" => {
                return Err(Refused::words(&["path", "not_folder"]).into());
            }
            Some(_) => {}
        }
        let top = path.to_lowercase();
        let cursor = Cursor { name: String::new(), top, is_recursive, limit, after: String::new() };
        Ok(state.page(cursor))
    }

    fn list_on(&self, arguments: &Arguments) -> Done {
        arguments.only(&["cursor"])?;
        let name = arguments.text("cursor")?;
        let mut state = self.state();
        let cursor = state.cursors.iter().find(|cursor| cursor.name == name).cloned();
        let cursor = cursor.ok_or_else(|| Refused::words(&["reset"]))?;
        Ok(state.page(cursor))
    }

    fn delete(&self, arguments: &Arguments) -> Done {
        arguments.only(&["path", "parent_rev"])?;
        let path = arguments.path("path")?;
        let rev = arguments.0["parent_rev"].as_str();
        let deleted = self.change(|state| state.tree.delete(&path, rev))?;
        Ok(Response::json(200, &json!({ "metadata": deleted })))
    }

    fn download(&self, arguments: &Arguments, request: &Request) -> Done {
        arguments.only(&["path"])?;
        if !request.body.is_empty() {
            return Err(Failed::Malformed("request body: could not decode input as text".to_owned()));
        }
        let path = arguments.path("path")?;
        let (metadata, bytes) = {
            let state = self.state();
            let metadata =
                state.tree.metadata(&path).ok_or_else(|| Refused::words(&["path", "not_found"]))?;
            let content = state.tree.content(&path).ok_or_else(|| Refused::words(&["path", "not_file"]))?;
            (metadata, std::fs::read(content).unwrap_or_default())
        };
        let total = bytes.len();
        let answer = match request.header("range").map(|range| range_of(range, total)) {
            None => Response { status: 200, body: bytes, ..Response::default() },
            Some(None) => {
                let told = Response::text(416, "").with("Content-Range", format!("bytes */{total}"));
                return Err(Failed::Other(told));
            }
            Some(Some((first, last))) => {
                let answer =
                    Response { status: 206, body: bytes[first..=last].to_vec(), ..Response::default() };
                answer.with("Content-Range", format!("bytes {first}-{last}/{total}"))
            }
        };
        let told = ascii(&metadata.to_string());
        Ok(answer.with("Content-Type", "application/octet-stream").with("Dropbox-API-Result", told))
    }
}

impl State {
    fn page(&mut self, cursor: Cursor) -> Response {
        let limit = cursor.limit.min(self.page_entries);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = self.tree.below(&cursor.top, cursor.is_recursive, &cursor.after);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let after = found.last().map_or(cursor.after, |(path, _)| path.clone());
        let name = super::token("cursor-", self.cursors.len() as u64);
        let entries: Vec<_> = found.into_iter().map(|(_, metadata)| metadata).collect();
        self.cursors.push(Cursor { name: name.clone(), after, ..cursor });
        Response::json(200, &json!({ "entries": entries, "cursor": name, "has_more": has_more }))
    }
}

/// First and last byte of a range, where it begins within the file.
fn range_of(range: &str, total: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().unwrap_or(usize::MAX));
    (first < total && first <= last).then(|| (first, last.min(total - 1)))
}

/// JSON as a header may carry it.
fn ascii(text: &str) -> String {
    let mut safe = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() && byte != 0x7f => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("\\u{unit:04x}")),
        }
    }
    safe
}

/// The arguments of a call.
#[derive(Debug)]
struct Arguments(Value);

fn header_arguments(request: &Request) -> Result<Arguments, Failed> {
    let malformed = |problem: &str| Failed::Malformed(format!("HTTP header \"Dropbox-API-Arg\": {problem}"));
    let is_download = request.path.ends_with("/download");
    match request.header("content-type") {
        None if is_download => {}
        Some("application/octet-stream") => {}
        other => return Err(Failed::Malformed(format!("Bad HTTP \"Content-Type\" header: {other:?}"))),
    }
    let text = request.header("dropbox-api-arg").ok_or_else(|| malformed("it is missing"))?;
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(malformed("it is not ASCII"));
    }
    serde_json::from_str(text).map(Arguments).map_err(|_| malformed("could not decode input as JSON"))
}

fn body_arguments(request: &Request) -> Result<Arguments, Failed> {
    if request.header("content-type") != Some("application/json") {
        return Err(Failed::Malformed("Bad HTTP \"Content-Type\" header".to_owned()));
    }
    let malformed = || Failed::Malformed("request body: could not decode input as JSON".to_owned());
    request.json().map(Arguments).ok_or_else(malformed)
}

impl Arguments {
    fn nothing(&self) -> Result<(), Failed> {
        if self.0.is_null() {
            return Ok(());
        }
        Err(Failed::Malformed("request body: expected null".to_owned()))
    }

    /// Every field must be known.
    fn only(&self, known: &[&str]) -> Result<(), Failed> {
        only(self.0.as_object(), known)
    }

    fn text(&self, name: &str) -> Result<String, Failed> {
        let text = self.0[name].as_str().map(str::to_owned);
        text.ok_or_else(|| Failed::Malformed(format!("request body: {name}: expected string")))
    }

    /// A path that is none of the root.
    fn path(&self, name: &str) -> Result<String, Failed> {
        let path = self.text(name)?;
        checked_path(&path)?;
        Ok(path)
    }
}

fn only(fields: Option<&Map<String, Value>>, known: &[&str]) -> Result<(), Failed> {
    let fields = fields.ok_or_else(|| Failed::Malformed("request body: expected object".to_owned()))?;
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        Some(unknown) => Err(Failed::Malformed(format!("request body: unknown field '{unknown}'"))),
        None => Ok(()),
    }
}

fn checked_path(path: &str) -> Result<(), Failed> {
    if !path.starts_with('/') {
        return Err(Failed::Malformed(format!("request body: path: '{path}' did not match pattern")));
    }
    if path.len() > 1 && path[1..].split('/').all(|step| !step.is_empty() && step.len() <= 255) {
        return Ok(());
    }
    Err(Refused::words(&["path", "malformed_path"]).into())
}
