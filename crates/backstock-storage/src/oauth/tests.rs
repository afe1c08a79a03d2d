//! Links and tokens against a server that checks what it is sent, and takes back what it gave (F88).

use std::sync::Arc;
use std::time::Duration;

use backstock_host::{Host, SimulatedHost};
use backstock_testbed::clouds::authority;
use backstock_testbed::clouds::oauth::{OAuth, Redirects, Rotation, Rules};
use backstock_testbed::clouds::server::{CloudServer, Fault, Response};
use backstock_vocabulary::ErrorClass;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use super::trial::Keeper;
use super::*;
use crate::http::{Answer, Http, Patience, Way};
use crate::{Cause, Error, KeepSecrets, KeptNowhere, LinkNews, Result};

const PROVIDER: Provider = Provider {
    name: "Cloud",
    authorize_url: Cow::Borrowed("https://cloud.example/authorize"),
    token_url: Cow::Borrowed("https://api.cloud.example/token"),
    extra_query: &[("access_type", "offline")],
    scopes: &["files", "about"],
    needs_secret: true,
    manner: LinkManner {
        redirect_host: "127.0.0.1",
        redirect_path: "/linked?from=here",
        any_port: true,
        shows_code: true,
    },
    access_token_prefixes: &["at."],
};

const RULES: Rules = Rules {
    authorize_path: "/authorize",
    token_path: "/token",
    client_id: "client/1",
    client_secret: Some("client+secret"),
    offline_query: &[("access_type", "offline")],
    scopes: &["files", "about"],
    access_prefix: "at.",
    rotation: Rotation::Never,
    lifetime: Duration::from_secs(14_400),
    redirects: Redirects::AnyPort { origin: "http://127.0.0.1", path: "/linked" },
    shows_code: true,
};

const REDIRECT: &str = "http://127.0.0.1:8765/linked?from=here";
const ACT: Act<'static> = Act { verb: "try", name: "thing" };

struct Trial {
    server: CloudServer,
    oauth: Arc<OAuth>,
    machine: SimulatedHost,
    host: Host,
}

impl Trial {
    fn start() -> Self {
        let oauth = Arc::new(OAuth::new(RULES));
        let machine = SimulatedHost::new(1);
        let host = Host { clock: machine.host.clock.clone(), ..Host::real() };
        Self { server: CloudServer::start(oauth.clone()), oauth, machine, host }
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "client_id": "client/1", "client_secret": "client+secret", "endpoint": self.server.url(),
            "ca_file": authority().to_str(), "of_the_kind": 1,
        })
    }

    fn link(&self) -> Link {
        Link::new(&self.host, "cloud", PROVIDER, &self.settings()).unwrap()
    }

    fn http(&self) -> Http {
        let ca_file = authority();
        let way = Way { ca_file: ca_file.to_str(), proxy: None };
        let http = Http::new(&self.host, way, "the cloud".to_owned(), Vec::new()).unwrap();
        http.with_patience(Patience { stall: Duration::from_secs(2), answer: Duration::from_secs(2) })
    }

    fn access(&self, refresh_token: &str, keep: Arc<dyn KeepSecrets>) -> Access {
        let endpoint = endpoint(Some(&self.server.url())).unwrap();
        let secret = Secret::new("client+secret".to_owned());
        let client = Client::new(PROVIDER, "client/1", Some(&secret), endpoint.as_ref()).unwrap();
        Access::new(client, self.http(), Secret::new(refresh_token.to_owned()), keep).unwrap()
    }

    /// Goes to the address as the owner's browser does; gives what comes back: code and state.
    async fn say_yes(&self, url: &str) -> (Secret, Option<String>) {
        let http = self.http();
        let answer = http.send(ACT, http.request(Method::GET, url.parse().unwrap())).await.unwrap();
        if answer.status() == 200 {
            let code = http.read(ACT, answer, 1000).await.unwrap();
            return (Secret::new(String::from_utf8(code).unwrap()), None);
        }
        assert_eq!(answer.status(), 302);
        let back: Url = answer.header("location").unwrap().parse().unwrap();
        assert!(back.as_str().starts_with(REDIRECT), "{back}");
        let value = |name: &str| {
            back.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
        };
        (Secret::new(value("code").unwrap()), value("state"))
    }

    fn pass(&self, seconds: i64) {
        self.machine.clock.advance(SignedDuration::from_secs(seconds));
    }

    async fn greeting(&self, access: &Access) -> Result<Answer> {
        let (http, url) = (self.http(), format!("{}/me", self.server.url()));
        let url: Url = url.parse().unwrap();
        access
            .authorized(|token| {
                let request = http.request(Method::GET, url.clone()).bearer_auth(token.expose());
                let http = &http;
                async move { http.send(ACT, request).await }
            })
            .await
    }
}

fn cause(error: &Error) -> Option<Cause> {
    match error {
        Error::Refused { cause, .. } => Some(*cause),
        _ => None,
    }
}

#[tokio::test]
async fn a_code_becomes_a_link_where_proof_and_state_are_right() {
    let trial = Trial::start();
    let link = trial.link();
    let (url, pending) = link.authorization_url(Some(REDIRECT)).unwrap();
    assert!(url.contains("code_challenge_method=S256") && url.contains("access_type=offline"), "{url}");
    assert!(url.contains("scope=files+about"), "{url}");
    assert!(!url.contains(pending.verifier.expose()), "{url}");
    assert!(!format!("{pending:?}").contains(pending.verifier.expose()));
    assert!(!format!("{pending:?}").contains(pending.state.expose()));
    let (code, state) = trial.say_yes(&url).await;
    // Somebody else's code, or one that came by itself.
    for wrong in [Some("other"), None] {
        let error = link.exchange(&pending, &code, wrong).await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::SignIn), "{error}");
    }
    assert_eq!(trial.server.seen().iter().filter(|seen| seen.method == "POST").count(), 0);
    let linked = link.exchange(&pending, &code, state.as_deref()).await.unwrap();
    assert_eq!(linked.secrets.keys().collect::<Vec<_>>(), ["refresh_token"]);
    assert!(trial.oauth.is_linked_by(linked.secrets["refresh_token"].expose()));
    assert_eq!(linked.ends, None);
    // A code is good once, and only for who asked for it.
    let error = link.exchange(&pending, &code, state.as_deref()).await.unwrap_err();
    assert_eq!((cause(&error), error.class()), (Some(Cause::SignIn), ErrorClass::Ask), "{error}");
    assert!(!error.to_string().contains(code.expose()), "{error}");
    let (url, _) = link.authorization_url(Some(REDIRECT)).unwrap();
    let (code, _) = trial.say_yes(&url).await;
    let (_, other) = link.authorization_url(Some(REDIRECT)).unwrap();
    let error = link.exchange(&other, &code, Some(other.state.expose())).await.unwrap_err();
    assert!(error.to_string().contains("invalid code verifier"), "{error}");
}

#[tokio::test]
async fn a_code_may_be_copied_by_hand_within_ten_minutes() {
    let trial = Trial::start();
    let link = trial.link();
    for (seconds, is_in_time) in [(599, true), (601, false)] {
        let (url, pending) = link.authorization_url(None).unwrap();
        let (code, state) = trial.say_yes(&url).await;
        assert_eq!(state, None);
        trial.pass(seconds);
        let code = Secret::new(format!(" {}\n", code.expose()));
        let exchanged = link.exchange(&pending, &code, None).await;
        assert_eq!(exchanged.is_ok(), is_in_time, "{exchanged:?}");
    }
    assert!(link.authorization_url(Some("nowhere")).is_err());
}

/// A provider that gives no refresh token would leave a link that dies within hours.
#[tokio::test]
async fn a_link_without_a_refresh_token_is_none() {
    let trial = Trial::start();
    let provider = Provider { extra_query: &[], ..PROVIDER };
    let link = Link::new(&trial.host, "cloud", provider, &trial.settings()).unwrap();
    let (url, pending) = link.authorization_url(None).unwrap();
    let (code, _) = trial.say_yes(&url).await;
    let error = link.exchange(&pending, &code, None).await.unwrap_err();
    assert!(error.to_string().contains("no refresh token"), "{error}");
}

#[tokio::test]
async fn a_token_is_kept_in_memory_and_renewed_in_time_by_one_of_many() {
    let trial = Trial::start();
    let access = trial.access(&trial.oauth.link(), Arc::new(KeptNowhere));
    let first = access.token().await.unwrap();
    trial.pass(14_400 - 301);
    assert_eq!(access.token().await.unwrap(), first);
    assert_eq!(trial.oauth.renewals(), 1);
    trial.pass(2);
    let many: Vec<_> = (0..8)
        .map(|_| {
            let access = access.clone();
            tokio::spawn(async move { access.token().await.unwrap() })
        })
        .collect();
    for one in many {
        assert_ne!(one.await.unwrap(), first);
    }
    assert_eq!(trial.oauth.renewals(), 2);
    // It is early still, and the provider has no time: the token that is there does.
    trial.pass(14_400 - 100);
    trial.server.order("POST", "/token", 0, 1, Fault::Instead(Response::text(503, "later")));
    let second = access.token().await.unwrap();
    assert_eq!(trial.oauth.renewals(), 2);
    trial.pass(101);
    trial.server.order("POST", "/token", 0, 1, Fault::Instead(Response::text(503, "later")));
    let error = access.token().await.unwrap_err();
    assert_eq!((cause(&error), error.class()), (Some(Cause::Busy), ErrorClass::Retry), "{error}");
    assert_ne!(access.token().await.unwrap(), second);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let trial = Trial::start();
    let access = trial.access(&trial.oauth.link(), Arc::new(KeptNowhere));
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
    trial.oauth.end_access_tokens();
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
    assert_eq!(trial.oauth.renewals(), 2);
    // A service that refuses every token is asked twice, not for ever.
    trial.server.order("GET", "/me", 0, 9, Fault::Instead(Response::empty(401)));
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 401);
    assert_eq!(trial.oauth.renewals(), 3);
    trial.server.clear();
    // Of those that were refused one token, only the first renews it.
    let token = access.token().await.unwrap();
    let (one, other) = tokio::join!(access.renewed(&token), access.renewed(&token));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(trial.oauth.renewals(), 4);
}

/// The new token is durable before anything is done with what came with it; where it cannot be, the call fails, nothing is
/// lost, and the next call keeps it first.
#[tokio::test]
async fn a_replaced_refresh_token_is_kept_before_its_first_use() {
    let trial = Trial::start();
    trial.oauth.set_rotation(Rotation::EndsOld);
    let old = trial.oauth.link();
    let keeper = Keeper::of(&old);
    let access = trial.access(&old, keeper.clone());
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
    let second = keeper.token();
    assert!(second != old && trial.oauth.is_linked_by(&second) && !trial.oauth.is_linked_by(&old));

    keeper.set_failing(true);
    trial.oauth.end_access_tokens();
    trial.server.clear();
    let error = trial.greeting(&access).await.unwrap_err();
    assert!(error.is_full() && error.to_string().contains("keep the renewed link with"), "{error}");
    let asked: Vec<_> = trial.server.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(asked, ["/me", "/token"], "nothing is done with a token that came with one that is not kept");
    let error = trial.greeting(&access).await.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(trial.oauth.renewals(), 2, "nothing is asked for as long as that is not kept");
    assert_eq!(keeper.token(), second);

    keeper.set_failing(false);
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
    assert!(trial.oauth.is_linked_by(&keeper.token()));

    let access = trial.access(&keeper.token(), Arc::new(KeptNowhere));
    let error = access.token().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("nothing is set up here that would keep"), "{source}");
    assert_eq!(error.class(), ErrorClass::Ask);
}

/// Whoever wanted the token has gone: what the provider has replaced is kept all the same.
#[tokio::test]
async fn a_renewal_ends_even_when_nobody_waits_for_it() {
    let trial = Trial::start();
    trial.oauth.set_rotation(Rotation::EndsOld);
    let old = trial.oauth.link();
    let keeper = Keeper::of(&old);
    let access = trial.access(&old, keeper.clone());
    trial.server.order("POST", "/token", 0, 1, Fault::Delay(Duration::from_millis(300)));
    let gone = tokio::time::timeout(Duration::from_millis(100), access.token()).await;
    assert!(gone.is_err(), "it waits for the answer");
    let token = access.token().await.unwrap();
    assert_eq!(trial.oauth.renewals(), 1, "{token:?}");
    assert!(trial.oauth.is_linked_by(&keeper.token()) && keeper.token() != old);
}

#[tokio::test]
async fn a_link_that_another_process_has_renewed_goes_on_there() {
    let trial = Trial::start();
    trial.oauth.set_rotation(Rotation::EndsOld);
    let old = trial.oauth.link();
    let keeper = Keeper::of(&old);
    let (here, there) = (trial.access(&old, keeper.clone()), trial.access(&old, keeper.clone()));
    there.token().await.unwrap();
    assert_eq!(trial.greeting(&here).await.unwrap().status(), 200);
    assert!(trial.oauth.is_linked_by(&keeper.token()));
}

/// F88: a link that was taken back is a state of its own, which only its owner mends.
#[tokio::test]
async fn a_link_that_was_taken_back_says_so() {
    let trial = Trial::start();
    let refresh_token = trial.oauth.link();
    let access = trial.access(&refresh_token, Keeper::of(&refresh_token));
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
    trial.oauth.revoke();
    let error = trial.greeting(&access).await.unwrap_err();
    assert!(error.is_unlinked() && error.class() == ErrorClass::Ask, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("the link with the account has ended") && text.contains("Cloud"), "{text}");
    assert!(!text.contains(&refresh_token), "{text}");
    // It clears at the next good call.
    let access = trial.access(&trial.oauth.link(), Arc::new(KeptNowhere));
    assert_eq!(trial.greeting(&access).await.unwrap().status(), 200);
}

/// Whoever keeps the secrets hears at each renewal how the link is, and when it ends where the provider limits that (as Google
/// does while a consent screen is in "Testing").
#[tokio::test]
async fn what_the_provider_says_of_the_link_is_heard() {
    let trial = Trial::start();
    let refresh_token = trial.oauth.link();
    let keeper = Keeper::of(&refresh_token);
    let access = trial.access(&refresh_token, keeper.clone());
    access.token().await.unwrap();
    access.token().await.unwrap();
    assert_eq!(keeper.news(), [LinkNews::Good { ends: None }], "once: the second call asked nobody");
    trial.oauth.set_refresh_lifetime(Some(Duration::from_secs(604_800)));
    trial.pass(14_400);
    access.token().await.unwrap();
    let ends = trial.host.clock.now() + SignedDuration::from_secs(604_800);
    assert_eq!(keeper.news(), [LinkNews::Good { ends: Some(ends) }]);
    // What says nothing of the link is no news of it.
    trial.pass(14_400);
    trial.server.order("POST", "/token", 0, 1, Fault::Instead(Response::text(503, "later")));
    access.token().await.unwrap_err();
    assert_eq!(keeper.news(), []);
    trial.oauth.revoke();
    let error = access.token().await.unwrap_err();
    assert_eq!(keeper.news(), [LinkNews::Ended { sentence: error.to_string() }]);
    assert!(!error.to_string().contains(&refresh_token), "{error}");
    // A link that is made tells it too.
    let link = trial.link();
    let (url, pending) = link.authorization_url(Some(REDIRECT)).unwrap();
    let (code, state) = trial.say_yes(&url).await;
    let linked = link.exchange(&pending, &code, state.as_deref()).await.unwrap();
    assert_eq!(linked.ends, Some(linked.at + SignedDuration::from_secs(604_800)));
}

#[tokio::test]
async fn a_code_that_came_late_or_for_another_address_is_worth_nothing() {
    let trial = Trial::start();
    let link = trial.link();
    trial.oauth.set_code_lifetime(Duration::ZERO);
    let (url, pending) = link.authorization_url(Some(REDIRECT)).unwrap();
    let (code, state) = trial.say_yes(&url).await;
    let error = link.exchange(&pending, &code, state.as_deref()).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    let http = trial.http();
    for strange in
        ["http://127.0.0.1:8765/other", "http://localhost:8765/linked", "https://shop.example/linked"]
    {
        let (url, _) = link.authorization_url(Some(strange)).unwrap();
        let answer = http.send(ACT, http.request(Method::GET, url.parse().unwrap())).await.unwrap();
        assert_eq!(answer.status(), 400, "{strange}");
    }
}

#[tokio::test]
async fn what_a_token_endpoint_says_instead_is_understood() {
    let trial = Trial::start();
    let pause = Response::text(429, "slow down").with("Retry-After", "17");
    let told = |code: &str| Response::json(400, &json!({ "error": code, "error_description": "told" }));
    for (answer, wanted, seconds, words) in [
        (pause, Cause::Busy, Some(17), "slow down"),
        (Response::text(502, "<html>Bad gateway</html>"), Cause::Busy, None, "status 502"),
        (Response::text(400, "no such client"), Cause::Unexpected, None, "no such client"),
        (Response::empty(403), Cause::Denied, None, "status 403"),
        (Response::text(200, "{\"access_token\": \"at.geheim"), Cause::Garbled, None, ""),
        (Response::json(200, &json!({ "access_token": 7 })), Cause::Garbled, None, ""),
        (told("invalid_client"), Cause::SignIn, None, "invalid_client: told"),
        (told("invalid_scope"), Cause::Denied, None, "invalid_scope: told"),
        (told("interaction_required"), Cause::Unlinked, None, "interaction_required"),
        (told("temporarily_unavailable"), Cause::Busy, None, "temporarily_unavailable"),
        (told("of_another_kind"), Cause::Unexpected, None, "of_another_kind"),
    ] {
        let access = trial.access(&trial.oauth.link(), Arc::new(KeptNowhere));
        trial.server.order("POST", "/token", 0, 1, Fault::Instead(answer.clone()));
        let error = access.token().await.unwrap_err();
        assert_eq!(cause(&error), Some(wanted), "{answer:?}: {error}");
        let Error::Refused { retry_after_seconds, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*retry_after_seconds, seconds);
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("geheim") && !text.contains("html"), "{text}");
    }
    for fault in [Fault::CutRequest(10), Fault::LoseAnswer, Fault::Delay(Duration::from_secs(3))] {
        let access = trial.access(&trial.oauth.link(), Arc::new(KeptNowhere));
        trial.server.order("POST", "/token", 0, 1, fault.clone());
        let error = access.token().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{fault:?}: {error:?}");
        access.token().await.unwrap();
    }
}

#[test]
fn what_cannot_be_a_link_is_refused_with_the_way_out() {
    let secret = Secret::new("s".to_owned());
    assert!(Client::new(PROVIDER, " ", Some(&secret), None).unwrap_err().starts_with("client_id: "));
    assert!(Client::new(PROVIDER, "id", None, None).unwrap_err().starts_with("client_secret: "));
    let empty = Secret::new(String::new());
    assert!(Client::new(PROVIDER, "id", Some(&empty), None).unwrap_err().starts_with("client_secret: "));
    assert!(Client::new(Provider { needs_secret: false, ..PROVIDER }, "id", None, None).is_ok());
    let check = |text: &str| check_refresh_token(&PROVIDER, &Secret::new(text.to_owned()));
    assert!(check("1/refresh").is_ok());
    let problem = check("at.geheim").unwrap_err();
    assert!(problem.contains("access token of Cloud") && problem.contains("link the storage"), "{problem}");
    assert!(!problem.contains("geheim"), "{problem}");
    assert!(check(" ").unwrap_err().contains("empty"));
    for (text, is_right) in [
        ("https://other.example/api", true),
        ("http://127.0.0.1:99", true),
        ("http://other.example", false),
        ("ftp://other.example", false),
        ("other.example", false),
    ] {
        assert_eq!(endpoint(Some(text)).is_ok(), is_right, "{text}");
    }
    let there = endpoint(Some("https://other.example/api/?x=y")).unwrap();
    let moved = moved("https://api.cloud.example/2/token?a=b", there.as_ref()).unwrap();
    assert_eq!(moved.as_str(), "https://other.example/api/2/token?a=b");
}
