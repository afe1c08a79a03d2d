//! A local server that speaks Microsoft Graph v1.0 as far as OneDrive is concerned, for one account.
//!
//! Contract: the Graph reference of the resource `driveItem` (get, list children, create folder, put content,
//! createUploadSession, download, update, delete), its pages on errors, paging and throttling, and "Restrictions and limitations
//! in OneDrive and SharePoint" for names.

mod items;
mod quick_xor;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use self::items::{Item, Items};
use self::uploads::Sessions;
use super::oauth::{OAuth, Redirects, Rotation, Rules};
use super::range::range_of;
use super::server::{CloudServer, Request, Response, Service};
use super::token;

/// The application that is registered.
pub const CLIENT_ID: &str = "0f2f4c3a-0000-4000-8000-backstocktst";
/// Entries of a page where nothing is said.
const PAGE_ENTRIES: usize = 200;
/// The longest file that is taken in one request, in bytes.
const SIMPLE_LIMIT_BYTES: usize = 4 << 20;

#[derive(Debug)]
struct State {
    items: Items,
    sessions: Sessions,
    quota_bytes: u64,
    page_entries: usize,
    /// Ids of files by the tickets of addresses from which they may be read.
    tickets: Vec<(String, String)>,
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
pub struct OneDriveServer {
    /// What can be told to go wrong on the way.
    pub server: CloudServer,
    /// What lies there.
    pub account: Arc<Account>,
}

impl OneDriveServer {
    /// An account with nothing in it.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start() -> Self {
        let oauth = OAuth::new(Rules {
            authorize_path: "/common/oauth2/v2.0/authorize",
            token_path: "/common/oauth2/v2.0/token",
            client_id: CLIENT_ID,
            client_secret: None,
            offline_query: &[],
            scopes: &["offline_access"],
            access_prefix: "EwB",
            rotation: Rotation::EndsOld,
            lifetime: Duration::from_secs(3600),
            redirects: Redirects::AnyPort { origin: "http://localhost", path: "/" },
            shows_code: false,
        });
        let state = State {
            items: Items::new(),
            sessions: Sessions::default(),
            quota_bytes: 5 << 30,
            page_entries: PAGE_ENTRIES,
            tickets: Vec::new(),
            may_delete: true,
        };
        let account = Arc::new(Account { oauth, state: Mutex::new(state) });
        Self { server: CloudServer::start(account.clone()), account }
    }
}

/// An answer that refuses something, as Graph words it.
pub fn refusal(status: u16, code: &str, message: &str) -> Response {
    let inner = json!({ "date": "2026-11-22T10:00:00", "request-id": "0", "client-request-id": "0" });
    Response::json(status, &json!({ "error": { "code": code, "message": message, "innerError": inner } }))
}

fn not_found() -> Response {
    refusal(404, "itemNotFound", "The resource could not be found.")
}

fn taken() -> Response {
    refusal(409, "nameAlreadyExists", "An item with the same name already exists under the parent")
}

fn full() -> Response {
    refusal(507, "quotaLimitReached", "Insufficient Space Available")
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file at a path from the top, with the folders above it, in the place of what is there.
    pub fn put_file(&self, path: &str, bytes: &[u8]) {
        self.state().items.put_file(path, bytes);
    }

    /// Removes what is at a path.
    pub fn remove(&self, path: &str) {
        let mut state = self.state();
        if let Some(id) = state.items.at(path) {
            state.items.remove(&id);
        }
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let mut state = self.state();
        let id = state.items.at(path)?;
        state.items.get(&id)?.bytes.clone()
    }

    /// How many files and folders there are.
    pub fn count(&self) -> usize {
        self.state().items.count()
    }

    /// Limits the bytes that the account may use.
    pub fn set_quota(&self, quota_bytes: u64) {
        self.state().quota_bytes = quota_bytes;
    }

    /// Gives no more entries on a page.
    pub fn set_page_entries(&self, entries: usize) {
        self.state().page_entries = entries;
    }

    /// Whether the account may delete.
    pub fn set_may_delete(&self, may_delete: bool) {
        self.state().may_delete = may_delete;
    }

    /// After how many looks at a file its hash is told; none is never.
    pub fn set_hash_after(&self, looks: Option<u32>) {
        self.state().items.hash_after = looks;
    }

    /// Of the next upload that is done, one byte is stored differently.
    pub fn damage_next_upload(&self) {
        self.state().items.damages_next = true;
    }

    /// Ends every session, as time does.
    pub fn end_sessions(&self) {
        self.state().sessions.end_all();
    }

    /// How many sessions were begun and are neither done nor ended.
    pub fn open_sessions(&self) -> usize {
        self.state().sessions.open()
    }

    /// Ends the addresses from which files may be read.
    pub fn end_tickets(&self) {
        self.state().tickets.clear();
    }

    /// What the path of a request means: an item (`None`: none is there), the path that it would have, what is asked about it.
    fn answer_for_item(&self, request: &Request, steps: &[String]) -> Response {
        let Some(target) = Target::of(steps) else { return Response::text(404, "Not Found") };
        let mut state = self.state();
        let id = match &target.place {
            Place::Id(id) => state.items.get(id).map(|item| item.id.clone()),
            Place::Path(path) => state.items.at(path),
        };
        let answer = match (request.method.as_str(), target.about.as_deref(), id) {
            ("PUT", Some("content"), id) => state.put_content(request, &target.place, id),
            ("POST", Some("createUploadSession"), id) => state.begin(request, &target.place, id.is_some()),
            (_, _, None) => not_found(),
            ("GET", None, Some(id)) => {
                Response::json(200, &state.items.shown(&id, request.asked("$select").as_deref()))
            }
            ("GET", Some("children"), Some(id)) => state.children(request, &id),
            ("POST", Some("children"), Some(id)) => state.make_folder(request, &id),
            ("GET", Some("content"), Some(id)) => state.name_place(request, &id),
            ("PATCH", None, Some(id)) => state.rename(request, &id),
            ("DELETE", None, Some(_)) if !state.may_delete => refusal(403, "accessDenied", "Access denied"),
            ("DELETE", None, Some(id)) => {
                state.items.remove(&id);
                Response::empty(204)
            }
            _ => Response::empty(405),
        };
        drop(state);
        answer
    }

    fn drive(&self) -> Response {
        let state = self.state();
        let used = state.items.used_bytes();
        let remaining = state.quota_bytes.saturating_sub(used);
        let quota =
            json!({ "total": state.quota_bytes, "used": used, "remaining": remaining, "state": "normal" });
        Response::json(200, &json!({ "id": "b!0", "driveType": "personal", "quota": quota }))
    }

    /// The bytes of a file, by an address that is a right by itself.
    fn download(&self, request: &Request, ticket: &str) -> Response {
        if request.header("authorization").is_some() {
            return Response::text(401, "Unauthorized");
        }
        let state = self.state();
        let id = state.tickets.iter().find(|(known, _)| known == ticket).map(|(_, id)| id);
        let bytes = id.and_then(|id| state.items.get(id)).and_then(|item| item.bytes.as_ref());
        let Some(bytes) = bytes else { return Response::text(404, "Not Found") };
        match request.header("range") {
            Some(range) => range_of(bytes, range).unwrap_or_else(|| Response::empty(416)),
            None => Response { status: 200, body: bytes.clone(), ..Response::default() },
        }
    }
}

/// What a path names.
enum Place {
    Id(String),
    /// From the top, steps joined by slashes; empty is the top.
    Path(String),
}

struct Target {
    place: Place,
    /// `content`, `children` …
    about: Option<String>,
}

impl Target {
    /// Of the steps behind `/me/drive`: `items/{id}[/about]`, `root[/about]`, `root:/path`, `root:/path:/about`, and the same with
    /// `special/approot`.
    fn of(steps: &[String]) -> Option<Self> {
        let words: Vec<&str> = steps.iter().map(String::as_str).collect();
        let (top, rest) = match words[..] {
            ["items", id] => return Some(Self { place: Place::Id(id.to_owned()), about: None }),
            ["items", id, about] => {
                return Some(Self { place: Place::Id(id.to_owned()), about: Some(about.to_owned()) });
            }
            ["root" | "root:", ref rest @ ..] => ("", rest),
            ["special", "approot" | "approot:", ref rest @ ..] => ("Apps/Backstock", rest),
            _ => return None,
        };
        let has_path = words[..words.len() - rest.len()].last()?.ends_with(':');
        let end = rest.iter().position(|step| step.ends_with(':'));
        let (path, about) = match (has_path, end) {
            (false, _) => (&rest[..0], rest),
            (true, None) => (rest, &rest[..0]),
            (true, Some(end)) => (&rest[..=end], &rest[end + 1..]),
        };
        let path = path.iter().map(|step| step.trim_end_matches(':')).filter(|step| !step.is_empty());
        let place = [top].into_iter().filter(|top| !top.is_empty()).chain(path).collect::<Vec<_>>().join("/");
        match about {
            [] => Some(Self { place: Place::Path(place), about: None }),
            [about] => Some(Self { place: Place::Path(place), about: Some((*about).to_owned()) }),
            _ => None,
        }
    }
}

impl State {
    fn has_room_for(&self, size_bytes: usize) -> bool {
        self.items.used_bytes() + size_bytes as u64 <= self.quota_bytes
    }

    fn children(&self, request: &Request, id: &str) -> Response {
        let asked = request.asked("$top").and_then(|text| text.parse().ok()).unwrap_or(PAGE_ENTRIES);
        let begin: usize = request.asked("$skiptoken").and_then(|text| text.parse().ok()).unwrap_or(0);
        let select = request.asked("$select");
        let children: Vec<&Item> = self.items.children(id).collect();
        let end = children.len().min(begin + asked.min(self.page_entries));
        let shown = children.iter().take(end).skip(begin);
        let shown: Vec<Value> =
            shown.map(|item| self.items.shown_as_child(item, select.as_deref())).collect();
        let mut page = json!({ "value": shown });
        if end < children.len() {
            let select = select.map(|select| format!("&$select={select}")).unwrap_or_default();
            let rest = format!("?$top={asked}{select}&$skiptoken={end}");
            let next = format!("{}/v1.0/me/drive/items/{id}/children{rest}", request.base_url());
            page["@odata.nextLink"] = next.into();
        }
        Response::json(200, &page)
    }

    fn make_folder(&mut self, request: &Request, above: &str) -> Response {
        let Some(described) = request.json().filter(|described| described["folder"].is_object()) else {
            return refusal(400, "invalidRequest", "The request is malformed or incorrect.");
        };
        let name = described["name"].as_str().unwrap_or_default();
        if items::is_forbidden(name) {
            return refusal(
                400,
                "invalidRequest",
                "The provided name cannot contain any of the following characters",
            );
        }
        match described["@microsoft.graph.conflictBehavior"].as_str() {
            _ if self.items.child(above, name).is_none() => {
                let id = self.items.add(above, name, None);
                Response::json(201, &self.items.shown(&id, None))
            }
            Some("fail") => taken(),
            // What is asked for where nothing is said, and what else there is, our client never wants.
            _ => refusal(400, "notSupported", "rename and replace are not served here"),
        }
    }

    fn rename(&mut self, request: &Request, id: &str) -> Response {
        let name = request.json().and_then(|changes| changes["name"].as_str().map(str::to_owned));
        let Some(name) = name.filter(|name| !items::is_forbidden(name)) else {
            return refusal(400, "invalidRequest", "The provided name cannot be used");
        };
        let above = self.items.get(id).map(|item| item.parent.clone()).unwrap_or_default();
        if self.items.child(&above, &name).is_some_and(|other| other != id) {
            return taken();
        }
        self.items.rename(id, &name);
        Response::json(200, &self.items.shown(id, None))
    }

    /// The place from which a file is to be read.
    fn name_place(&mut self, request: &Request, id: &str) -> Response {
        if self.items.get(id).is_none_or(|item| item.bytes.is_none()) {
            return refusal(400, "invalidRequest", "You cannot get content for a folder");
        }
        let ticket = token("ticket-", self.tickets.len() as u64);
        self.tickets.push((ticket.clone(), id.to_owned()));
        Response::empty(302).with("Location", format!("{}/download/{ticket}", request.base_url()))
    }
}

impl Service for Account {
    fn answer(&self, request: &Request) -> Response {
        if let Some(answer) = self.oauth.answer(request) {
            return answer;
        }
        if let Some(session) = request.path.strip_prefix("/up/") {
            return self.state().go_on(request, session);
        }
        if let Some(ticket) = request.path.strip_prefix("/download/") {
            return self.download(request, ticket);
        }
        let Some(path) = request.path.strip_prefix("/v1.0/me/drive") else {
            return Response::text(404, "Not Found");
        };
        if !self.oauth.allows(request) {
            return refusal(
                401,
                "InvalidAuthenticationToken",
                "Access token has expired or is not yet valid.",
            );
        }
        let steps: Vec<String> = path.split('/').filter(|step| !step.is_empty()).map(decoded).collect();
        if steps.is_empty() && request.method == "GET" {
            return self.drive();
        }
        self.answer_for_item(request, &steps)
    }
}

/// A step of a path as it is meant.
fn decoded(step: &str) -> String {
    // In paths these are letters like others.
    let pair = format!("step={}", step.replace('+', "%2B").replace('&', "%26"));
    let found = url::form_urlencoded::parse(pair.as_bytes()).next();
    found.map(|(_, step)| step.into_owned()).unwrap_or_default()
}
