//! Long parts that are cut and go on: F86, F88, F89, F90. Counted are the bytes that go by.

use std::sync::Mutex;

use async_trait::async_trait;
use backstock_vocabulary::ErrorClass;

use super::*;
use crate::ResumeState;

const PIECE: u64 = 10 << 20;
/// Eleven pieces, the last one short.
const LONG: usize = (105 << 20) + 77;

/// An upload that remembers, and stops where it is told to.
#[derive(Debug, Default)]
pub(super) struct Journal {
    state: Mutex<Option<(u64, ResumeState)>>,
    allowed_bytes: Mutex<Option<u64>>,
}

impl Journal {
    /// One that wants it to stop after so many bytes.
    pub(super) fn stopping_after(bytes: u64) -> Self {
        Self { allowed_bytes: Mutex::new(Some(bytes)), ..Self::default() }
    }

    /// It may go on, to the end.
    pub(super) fn go_on(&self) {
        *self.allowed_bytes.lock().unwrap() = None;
    }

    pub(super) fn confirmed_bytes(&self) -> Option<u64> {
        self.state.lock().unwrap().as_ref().map(|(bytes, _)| *bytes)
    }

    fn upload_id(&self) -> String {
        self.state.lock().unwrap().as_ref().unwrap().1.0["upload_id"].as_str().unwrap().to_owned()
    }
}

#[async_trait]
impl Upload for Journal {
    fn resume(&self) -> Option<ResumeState> {
        self.state.lock().unwrap().as_ref().map(|(_, state)| state.clone())
    }

    fn reached(&self, confirmed_bytes: u64, state: &ResumeState) -> Result<()> {
        *self.state.lock().unwrap() = Some((confirmed_bytes, state.clone()));
        Ok(())
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        let mut allowed = self.allowed_bytes.lock().unwrap();
        match allowed.as_mut().map(|allowed| allowed.checked_sub(bytes)) {
            None => Ok(()),
            Some(Some(rest)) => {
                *allowed = Some(rest);
                Ok(())
            }
            Some(None) => Err(Error::Stopped { name: name("long"), place: "here".to_owned() }),
        }
    }
}

fn is_whole(trial: &Trial, spooled: &Spooled) -> bool {
    let bytes = std::fs::read(trial.server.objects().join("shop one/ü+/long")).unwrap_or_default();
    digest(&ring::digest::SHA256, &bytes).as_ref() == spooled.sha256
}

/// Cut in the seventh piece, stopped in the ninth: never more than what was under way is sent again.
#[tokio::test]
async fn a_long_upload_goes_on_where_it_was_cut() {
    let Some(trial) = Trial::start() else { return };
    let (spooled, journal) = (trial.part(LONG), Journal::default());
    trial.proxy.order("PUT", "partNumber=7&", 0, 1, Trouble::ResetRequest(5 << 20));
    let error = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    let confirmed = journal.confirmed_bytes().unwrap();
    assert!((5 * PIECE..=6 * PIECE).contains(&confirmed), "{confirmed}");
    assert!(trial.storage.stat(&name("long")).await.unwrap().is_none());
    assert!(trial.storage.list(None).await.unwrap().is_empty());
    let upload_id = journal.upload_id();

    *journal.allowed_bytes.lock().unwrap() = Some(25 << 20);
    let error = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
    *journal.allowed_bytes.lock().unwrap() = None;
    let receipt = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap();
    assert_eq!(receipt.proof, Proof::Size);
    assert_eq!(journal.upload_id(), upload_id);
    assert_eq!(journal.confirmed_bytes(), Some(LONG as u64));
    assert!(is_whole(&trial, &spooled));
    let again = trial.sent_bytes() - LONG as u64;
    assert!(again < 5 * PIECE, "{again} bytes were sent again in two tries");
    let puts = trial.proxy.requests().into_iter().filter(|request| request.method == "PUT");
    assert!(puts.into_iter().all(|request| request.head.to_lowercase().contains("content-md5: ")));
}

/// F89: the answer to the completion is lost, or it says success and means failure.
#[tokio::test]
async fn a_completion_that_failed_or_was_lost_is_made_good() {
    let Some(trial) = Trial::start() else { return };
    let (spooled, journal) = (trial.part(LONG), Journal::default());
    let failure = "<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    trial.proxy.order("POST", "uploadId=", 0, 1, Trouble::status(200, failure));
    let error = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Cause::Busy, .. }), "{error:?}");
    assert_eq!(journal.confirmed_bytes(), Some(LONG as u64));
    let sent = trial.sent_bytes();
    trial.proxy.order("POST", "uploadId=", 0, 1, Trouble::LoseAnswer);
    let error = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    let receipt = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap();
    assert_eq!(receipt.proof, Proof::Size);
    assert!(is_whole(&trial, &spooled));
    assert!(trial.sent_bytes() - sent < 1 << 20, "no piece was sent again");
}

/// The service has thrown the upload away, and says so when it is asked, or only when it is sent more.
#[tokio::test]
async fn an_upload_that_is_gone_begins_anew() {
    let Some(trial) = Trial::start() else { return };
    let gone = Trouble::status(404, "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>");
    for (method, contains) in [("GET", "uploadId="), ("PUT", "partNumber=4&")] {
        let (spooled, journal) = (trial.part(LONG), Journal::default());
        *journal.allowed_bytes.lock().unwrap() = Some(35 << 20);
        trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
        *journal.allowed_bytes.lock().unwrap() = None;
        let first = journal.upload_id();
        trial.proxy.order(method, contains, 0, 1, gone.clone());
        trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap();
        assert_ne!(journal.upload_id(), first);
        assert!(is_whole(&trial, &spooled));
        trial.storage.delete(&name("long")).await.unwrap();
    }
}

/// F88: expired credentials are mended and the upload goes on; what changed in the spool ends it for good.
#[tokio::test]
async fn an_upload_waits_for_its_owner_and_ends_when_nothing_can_come_of_it() {
    let Some(trial) = Trial::start() else { return };
    let (mut spooled, journal) = (trial.part(LONG), Journal::default());
    let expired = Trouble::status(403, "<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>");
    trial.proxy.order("PUT", "partNumber=6&", 0, 1, expired);
    let error = trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Cause::SignIn, .. }), "{error:?}");
    let aborted = |trial: &Trial| trial.proxy.requests().iter().any(|request| request.method == "DELETE");
    assert!(!aborted(&trial) && journal.confirmed_bytes().unwrap() >= 4 * PIECE);
    trial.storage.put(&name("long"), &spooled.part(), &journal).await.unwrap();
    assert!(trial.sent_bytes() < LONG as u64 + 3 * PIECE);

    // Another promise for the same bytes: found out before the last piece is sent.
    spooled.sha256 = [7; 32];
    let error = trial.storage.put(&name("other"), &spooled.part(), &Journal::default()).await.unwrap_err();
    assert!(matches!(error, Error::PartChanged { .. }), "{error:?}");
    assert!(aborted(&trial));
    assert!(trial.storage.stat(&name("other")).await.unwrap().is_none());
}

/// What takes the place of something damaged is long too; when it fails, nothing of it stays behind.
#[tokio::test]
async fn a_long_part_takes_the_place_of_another() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(LONG);
    trial.storage.put_small(&name("long"), b"damaged").await.unwrap();
    trial.proxy.order("PUT", "partNumber=2&", 0, 1, Trouble::status(500, ""));
    trial.storage.replace(&name("long"), &spooled.part()).await.unwrap_err();
    assert!(trial.proxy.requests().iter().any(|request| request.method == "DELETE"));
    assert_eq!(trial.storage.stat(&name("long")).await.unwrap().unwrap().size_bytes, 7);
    trial.storage.replace(&name("long"), &spooled.part()).await.unwrap();
    assert!(is_whole(&trial, &spooled));
}
