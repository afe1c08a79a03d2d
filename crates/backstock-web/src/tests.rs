//! The site asked without a network: headers, hosts, limits, tokens, sessions. Whole links go by the integration tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use backstock_host::{Clock, Host};
use backstock_operations::{
    AskedLink, AskedLinkOutcome, Environment, NewStorage, StorageSecret, add_storage, ask_for_link,
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use url::Url;

use crate::{PublicAddress, Site};

const HOST: &str = "backup.example.com";
const TITLE: &str = "<script>off & on</script>";

/// A clock that stands where a test sets it.
#[derive(Debug, Default)]
struct SetClock {
    seconds: AtomicI64,
}

impl SetClock {
    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        begin + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A site with a storage at a cloud that nobody can reach.
struct Scene {
    site: Site,
    environment: Arc<Environment>,
    clock: Arc<SetClock>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::default());
        let host = Host { clock: clock.clone(), ..Host::real() };
        let environment = Arc::new(Environment::open(&host, &folder.path().join("state")).unwrap());
        let settings = [("client_id", "app"), ("endpoint", "http://127.0.0.1:1")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = StorageSecret::new("a refresh token".to_owned());
        let new = NewStorage {
            title: TITLE.to_owned(),
            kind: "dropbox".to_owned(),
            settings: BTreeMap::from(settings),
            secrets: BTreeMap::from([("refresh_token".to_owned(), secret)]),
            link: None,
        };
        add_storage(&environment, new).unwrap();
        let address = PublicAddress::parse(&format!("https://{HOST}")).unwrap();
        let listen: SocketAddr = "127.0.0.1:8086".parse().unwrap();
        let site = Site::new(environment.clone(), address, listen);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { site, environment, clock, runtime, _folder: folder }
    }

    fn link(&self) -> (AskedLink, String) {
        let asked = ask_for_link(&self.environment, TITLE).unwrap();
        let path = format!("/link/{}", asked.token.expose());
        (asked, path)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let answer = self.site.router().oneshot(request).await.unwrap();
            let (head, body) = answer.into_parts();
            let bytes = to_bytes(body, 1 << 20).await.unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            Answer { status: head.status, headers: head.headers, text }
        })
    }

    fn outcome(&self, asked: &AskedLink) -> AskedLinkOutcome {
        asked.outcome(&self.environment).unwrap()
    }

    /// Takes a link: the cookie, and the state that the provider is given.
    fn take(&self, path: &str) -> (String, String) {
        let sent = self.ask("POST", path, &[]);
        assert_eq!(sent.status, StatusCode::SEE_OTHER);
        let cookie = sent.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
        let there = Url::parse(sent.header(header::LOCATION)).unwrap();
        let state = there.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        (cookie, state)
    }
}

#[test]
fn every_answer_has_strict_headers() {
    let scene = Scene::new();
    let (_, path) = scene.link();
    for (method, path, status) in [
        ("GET", path.as_str(), 200),
        ("GET", "/style.css", 200),
        ("GET", "/", 404),
        ("GET", "/link/returned", 400),
        ("GET", "/link/returned?code=a&state=b", 200),
        ("GET", "/link/none", 410),
        ("DELETE", path.as_str(), 405),
        ("POST", "/link/returned", 405),
    ] {
        let answer = scene.ask(method, path, &[]);
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{method} {path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{method} {path}: {policy}");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert!(!answer.text.contains("http-equiv") && !answer.text.contains("src="), "{}", answer.text);
    }
}

#[test]
fn only_hosts_that_are_ours_are_served_and_only_what_is_small() {
    let scene = Scene::new();
    for (host, status) in [
        (HOST, 200),
        ("Backup.Example.Com", 200),
        ("backup.example.com:443", 200),
        ("127.0.0.1:8086", 200),
        ("localhost:8086", 200),
        ("localhost", 421),
        ("evil.example.com", 421),
        ("backup.example.com.evil.example.com", 421),
        ("", 421),
    ] {
        assert_eq!(scene.ask("GET", "/style.css", &[("host", host)]).status.as_u16(), status, "{host}");
    }
    let twice = scene.ask("GET", "/style.css", &[("host", HOST), ("host", HOST)]);
    assert_eq!(twice.status, StatusCode::MISDIRECTED_REQUEST);
    let (asked, path) = scene.link();
    assert_eq!(scene.ask("POST", &path, &[("content-length", "5000")]).status, StatusCode::PAYLOAD_TOO_LARGE);
    for site in ["cross-site", "same-site"] {
        assert_eq!(scene.ask("POST", &path, &[("sec-fetch-site", site)]).status, StatusCode::FORBIDDEN);
    }
    assert_eq!(scene.outcome(&asked), AskedLinkOutcome::Open);
    assert_eq!(scene.ask("POST", &path, &[("sec-fetch-site", "same-origin")]).status, StatusCode::SEE_OTHER);
}

#[test]
fn a_look_uses_nothing_up_and_what_is_shown_is_escaped() {
    let scene = Scene::new();
    let (_, path) = scene.link();
    for method in ["GET", "HEAD", "GET"] {
        assert_eq!(scene.ask(method, &path, &[]).status, StatusCode::OK);
    }
    let page = scene.ask("GET", &path, &[]).text;
    assert!(page.contains("&#60;script&#62;off &#38; on"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("https://backup.example.com/link/returned"), "{page}");
    let sent = scene.ask("POST", &path, &[]);
    let cookie = sent.header(header::SET_COOKIE);
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/link", "Secure"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let there = sent.header(header::LOCATION);
    assert!(there.contains("redirect_uri=https%3A%2F%2Fbackup.example.com%2Flink%2Freturned"), "{there}");
    for method in ["GET", "POST"] {
        assert_eq!(scene.ask(method, &path, &[]).status, StatusCode::GONE, "{method}: it is taken");
    }
    let foreign = scene.ask("GET", "/link/returned?state=x&code=%3Cscript%3E&x='&y", &[]).text;
    assert!(foreign.contains("code=%3Cscript%3E"), "as it stands in the address line: {foreign}");
    assert!(foreign.contains("x=&#39;&#38;y") && !foreign.contains("<script"), "{foreign}");
}

#[test]
fn a_token_is_good_for_ten_minutes_and_only_whole() {
    let scene = Scene::new();
    let (asked, path) = scene.link();
    for wrong in [&path[..path.len() - 1], &format!("{path}x"), &format!("/link/{}", "x".repeat(5000))] {
        assert_eq!(scene.ask("GET", wrong, &[]).status, StatusCode::GONE);
        assert_eq!(scene.ask("POST", wrong, &[]).status, StatusCode::GONE);
    }
    scene.clock.pass(600);
    assert_eq!(scene.ask("GET", &path, &[]).status, StatusCode::OK);
    scene.clock.pass(1);
    for method in ["GET", "POST"] {
        assert_eq!(scene.ask(method, &path, &[]).status, StatusCode::GONE, "{method}");
    }
    assert_eq!(scene.outcome(&asked), AskedLinkOutcome::TooLate);
    // Before it was begun nothing is good either.
    let (_, path) = scene.link();
    scene.clock.pass(-1);
    assert_eq!(scene.ask("POST", &path, &[]).status, StatusCode::GONE);
}

/// What is exchanged would fail here at once, and the request with it: the cloud cannot be reached.
#[test]
fn nothing_is_exchanged_without_the_session_and_the_state() {
    let scene = Scene::new();
    let (asked, path) = scene.link();
    let (other_asked, other_path) = scene.link();
    let (cookie, state) = scene.take(&path);
    let (other_cookie, other_state) = scene.take(&other_path);
    let back = |state: &str| format!("/link/returned?code=a-code&state={state}");
    let made_up = format!("backstock_link={}", "0".repeat(64));
    for (what, cookie, state) in [
        ("no cookie", "", state.as_str()),
        ("a cookie that is made up", made_up.as_str(), state.as_str()),
        ("the cookie of another", other_cookie.as_str(), state.as_str()),
        ("the state of another", cookie.as_str(), other_state.as_str()),
        ("no state", cookie.as_str(), ""),
        ("the token in the place of the cookie", asked.token.expose(), state.as_str()),
    ] {
        let answer = scene.ask("GET", &back(state), &[("cookie", cookie)]);
        assert_eq!(answer.status, StatusCode::OK, "{what}");
        assert!(answer.text.contains("Nothing was linked here"), "{what}: {}", answer.text);
        assert_eq!(scene.outcome(&asked), AskedLinkOutcome::Open, "{what}");
        assert_eq!(scene.outcome(&other_asked), AskedLinkOutcome::Open, "{what}");
    }
    // With both it is tried, once.
    let answer = scene.ask("GET", &back(&state), &[("cookie", &format!("a=b; {cookie}"))]);
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text);
    assert!(!answer.text.contains("a-code") && !answer.text.contains(&state), "{}", answer.text);
    assert!(answer.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert!(matches!(scene.outcome(&asked), AskedLinkOutcome::Failed(_)));
    let again = scene.ask("GET", &back(&state), &[("cookie", &cookie)]);
    assert!(again.text.contains("Nothing was linked here"), "{}", again.text);
    // A no ends a link in the same way.
    let no = format!("/link/returned?error=access_denied&state={other_state}");
    let answer = scene.ask("GET", &no, &[("cookie", &other_cookie)]);
    assert!(answer.text.contains("Dropbox says: access_denied"), "{}", answer.text);
    assert_eq!(scene.outcome(&other_asked), AskedLinkOutcome::Declined("access_denied".to_owned()));
}

#[test]
fn browsers_on_their_way_are_bounded_and_aged() {
    let scene = Scene::new();
    let (first, path) = scene.link();
    scene.take(&path);
    let (second, path) = scene.link();
    scene.take(&path);
    for _ in 0..31 {
        let (_, path) = scene.link();
        scene.take(&path);
    }
    assert!(matches!(scene.outcome(&first), AskedLinkOutcome::Failed(_)), "it made room");
    assert_eq!(scene.outcome(&second), AskedLinkOutcome::Open);
    scene.clock.pass(601);
    assert_eq!(scene.outcome(&second), AskedLinkOutcome::TooLate);
    let (_, path) = scene.link();
    scene.take(&path);
    assert!(matches!(scene.outcome(&second), AskedLinkOutcome::Failed(_)), "it is let go");
}
