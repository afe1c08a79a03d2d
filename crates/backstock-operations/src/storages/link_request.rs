//! Links that are asked for at the command line and made by a browser at the daemon's page.
//!
//! The address that is printed holds a token, of which the catalog keeps the hash. The first browser that says go on takes the
//! request; what belongs to the provider's answer (state and verifier) stays in the memory of the daemon.

use std::time::Duration;

use backstock_catalog::{LinkRequest, LinkRequestState};
use backstock_host::hex;
use backstock_storage::{LinkManner, PENDING_LIMIT_SECONDS, Returned, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};

use super::{BegunLink, StorageLink, StorageTest, link_storage, test_storage};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// How long a browser may take to open the address and say go on, in seconds.
const REQUEST_LIMIT_SECONDS: i64 = 10 * 60;
/// How long a request is on record, in hours.
const KEPT_HOURS: i64 = 24;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// The longest text that is looked for as a token, in bytes: ours are 43 letters long.
const TOKEN_LIMIT_BYTES: usize = 64;

/// A link that was asked for. Its token is in nobody's hands but those of whoever gets the address.
#[derive(Debug)]
pub struct AskedLink {
    /// What the address for the browser ends with.
    pub token: Secret,
    hash: String,
    begun: Timestamp,
}

/// What came of a link that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedLinkOutcome {
    /// Nothing yet.
    Open,
    /// The storage is linked.
    Linked,
    /// The owner of the account, or its provider, said no.
    Declined(String),
    /// It came to nothing, for this reason.
    Failed(String),
    /// Nobody has come in time, or whoever came has not come back.
    TooLate,
}

/// What a link that was asked for is about, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLink {
    /// The title of the storage.
    pub title: String,
    /// The name of the provider.
    pub provider: &'static str,
    /// How the provider takes addresses.
    pub manner: LinkManner,
}

/// A link that a browser has taken: the daemon keeps it in memory until the browser is back.
#[derive(Debug)]
pub struct TakenLink {
    /// What it is about.
    pub shown: ShownLink,
    account: StorageLink,
    begun: BegunLink,
    hash: String,
    taken: Timestamp,
}

/// What a page tells at the end.
#[derive(Debug)]
pub enum LinkEnd {
    /// The storage is linked, and this is what its test brought.
    Linked(Box<Result<StorageTest>>),
    /// The owner of the account, or its provider, said no in this word.
    Declined(String),
    /// It could not be linked.
    Failed(OperationError),
}

/// Asks for a link of a storage of the catalog that a browser is to make.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no such storage; [`ErrorKind::Refused`] where its kind has nothing to link.
pub fn ask_for_link(environment: &Environment, title: &str) -> Result<AskedLink> {
    let known = link_storage(environment, title)?.known;
    let storage = known.ok_or_else(|| {
        OperationError::plain(ErrorKind::NotFound, format!("the storage {title} is not on record"))
    })?;
    let mut bytes = [0; TOKEN_BYTES];
    environment.host.random.fill(&mut bytes);
    let token = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash_of(token.expose());
    let begun = environment.host.clock.now();
    let forgotten_before = begun - SignedDuration::from_hours(KEPT_HOURS);
    let added = environment.catalog.add_link_request(storage, &hash, begun, forgotten_before);
    environment.wait(added).doing(format!("asking for a link of the storage {title}"))?;
    Ok(AskedLink { token, hash, begun })
}

impl AskedLink {
    /// How long a browser may take to come; then it may take as long again to come back.
    pub const LIMIT: Duration = Duration::from_secs(REQUEST_LIMIT_SECONDS.unsigned_abs());

    /// What has come of it by now.
    pub fn outcome(&self, environment: &Environment) -> Result<AskedLinkOutcome> {
        let found = environment.wait(environment.catalog.find_link_request(&self.hash));
        let found = found.doing("looking what has come of the link")?;
        let Some(request) = found else {
            return Ok(AskedLinkOutcome::Failed("it is on record no more".into()));
        };
        let sentence = request.sentence.unwrap_or_default();
        Ok(match request.state {
            LinkRequestState::Linked => AskedLinkOutcome::Linked,
            LinkRequestState::Declined => AskedLinkOutcome::Declined(sentence),
            LinkRequestState::Failed => AskedLinkOutcome::Failed(sentence),
            LinkRequestState::Waiting if self.is_over(environment, self.begun, REQUEST_LIMIT_SECONDS) => {
                AskedLinkOutcome::TooLate
            }
            LinkRequestState::Taken
                if self.is_over(environment, request.taken.unwrap_or(self.begun), PENDING_LIMIT_SECONDS) =>
            {
                AskedLinkOutcome::TooLate
            }
            LinkRequestState::Waiting | LinkRequestState::Taken => AskedLinkOutcome::Open,
        })
    }

    /// Takes it back: nobody waits for it any more.
    pub fn withdraw(&self, environment: &Environment) -> Result<()> {
        let why = Some("nobody waits for it any more");
        let ended = environment.catalog.end_link_request(&self.hash, LinkRequestState::Failed, why);
        environment.wait(ended).doing("taking the link request back")
    }

    fn is_over(&self, environment: &Environment, since: Timestamp, limit_seconds: i64) -> bool {
        !is_within(since, environment.host.clock.now(), limit_seconds)
    }
}

/// What the link request with this token is about; none where there is none that could be taken now.
pub fn asked_link(environment: &Environment, token: &str) -> Result<Option<ShownLink>> {
    let Some(request) = find(environment, token)? else { return Ok(None) };
    let now = environment.host.clock.now();
    if request.state != LinkRequestState::Waiting || !is_within(request.begun, now, REQUEST_LIMIT_SECONDS) {
        return Ok(None);
    }
    let Some(title) = title_of(environment, &request)? else { return Ok(None) };
    Ok(Some(ShownLink::of(&title, &link_storage(environment, &title)?)))
}

/// Takes the link request with this token, once and for one browser, which the provider then sends to `redirect`. None where
/// there is none that could be taken now.
pub fn take_asked_link(environment: &Environment, token: &str, redirect: &str) -> Result<Option<TakenLink>> {
    let act = "taking the link request";
    let Some(request) = find(environment, token)? else { return Ok(None) };
    let taken = environment.host.clock.now();
    let oldest = taken - SignedDuration::from_secs(REQUEST_LIMIT_SECONDS);
    let won = environment.catalog.take_link_request(&request.token_hash, taken, oldest);
    if !environment.wait(won).doing(act)? {
        return Ok(None);
    }
    let begin = || {
        let gone = || OperationError::plain(ErrorKind::NotFound, "the storage is on record no more");
        let title = title_of(environment, &request)?.ok_or_else(gone)?;
        let account = link_storage(environment, &title)?;
        let begun = account.begin(Some(redirect))?;
        Ok((ShownLink::of(&title, &account), account, begun))
    };
    match begin() {
        Ok((shown, account, begun)) => {
            Ok(Some(TakenLink { shown, account, begun, hash: request.token_hash, taken }))
        }
        Err(error) => {
            end(environment, &request.token_hash, LinkRequestState::Failed, Some(&chain(&error)))?;
            Err(error)
        }
    }
}

impl ShownLink {
    fn of(title: &str, account: &StorageLink) -> Self {
        Self { title: title.to_owned(), provider: account.provider(), manner: account.manner() }
    }
}

impl TakenLink {
    /// How long a browser may take to come back.
    pub const LIMIT: Duration = BegunLink::LIMIT;

    /// The provider's address, for the browser that has it.
    pub fn address(&self) -> &str {
        &self.begun.address
    }

    /// What the browser brought back.
    pub fn returned(&self, query: &str) -> Returned {
        self.begun.returned(query)
    }

    /// Whether it can still be finished.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        is_within(self.taken, now, PENDING_LIMIT_SECONDS)
    }

    /// Exchanges the code, tries the storage, and lets whoever waits for it know.
    pub fn finish(&self, environment: &Environment, returned: &Returned) -> Result<LinkEnd> {
        let (code, state) = match returned {
            Returned::Code { code, state } => (code, state),
            Returned::Declined(word) => {
                end(environment, &self.hash, LinkRequestState::Declined, Some(word))?;
                return Ok(LinkEnd::Declined(word.clone()));
            }
            Returned::Strange => {
                let problem = "what came back does not belong to the link that was begun here";
                return Ok(LinkEnd::Failed(OperationError::plain(ErrorKind::Refused, problem)));
            }
        };
        if let Err(error) = self.account.finish(environment, &self.begun, code, Some(state)) {
            end(environment, &self.hash, LinkRequestState::Failed, Some(&chain(&error)))?;
            return Ok(LinkEnd::Failed(error));
        }
        // Before it is told: whoever waits tries the storage next.
        let test = test_storage(environment, &self.shown.title);
        end(environment, &self.hash, LinkRequestState::Linked, None)?;
        Ok(LinkEnd::Linked(Box::new(test)))
    }

    /// Gives it up, for this reason.
    pub fn give_up(&self, environment: &Environment, why: &str) -> Result<()> {
        end(environment, &self.hash, LinkRequestState::Failed, Some(why))
    }
}

/// Ends every request that a browser has taken: the other half of each was in the memory of a daemon that ends, or has ended.
pub(crate) fn give_up_taken_links(environment: &Environment) -> Result<()> {
    let why = "the daemon ended before the browser came back; link it once more";
    environment
        .wait(environment.catalog.end_taken_link_requests(why))
        .doing("ending the link requests under way")
}

fn end(environment: &Environment, hash: &str, state: LinkRequestState, why: Option<&str>) -> Result<()> {
    let ended = environment.catalog.end_link_request(hash, state, why);
    environment.wait(ended).doing("recording what came of the link")
}

fn find(environment: &Environment, token: &str) -> Result<Option<LinkRequest>> {
    if token.len() > TOKEN_LIMIT_BYTES {
        return Ok(None);
    }
    let hash = hash_of(token);
    let found = environment.catalog.find_link_request(&hash);
    environment.wait(found).doing("looking for the link request")
}

fn title_of(environment: &Environment, request: &LinkRequest) -> Result<Option<String>> {
    let found = environment.wait(environment.catalog.find_storage(request.storage));
    Ok(found.doing("looking for the storage")?.map(|storage| storage.title))
}

fn hash_of(token: &str) -> String {
    hex::encode(digest(&SHA256, token.as_bytes()).as_ref())
}

/// Whether so many seconds have not passed. A clock that was set back makes nothing good again.
fn is_within(since: Timestamp, now: Timestamp, limit_seconds: i64) -> bool {
    (0..=limit_seconds).contains(&(now.as_second() - since.as_second()))
}
