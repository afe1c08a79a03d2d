//! Long parts that are cut and go on, in the same life and after a restart: F86, F88, F89, F90. Counted are the bytes that
//! arrive.

use std::sync::atomic::Ordering;

use backstock_vocabulary::ErrorClass;

use super::*;

const PIECE: u64 = 32 << 20;
/// Three pieces, the last one short.
const LONG: usize = (70 << 20) + 77;
const APPEND: &str = "upload_session/append_v2";
const FINISH: &str = "upload_session/finish";

impl Trial {
    async fn put_long(&self, spooled: &Spooled, journal: &Remembered) -> Result<()> {
        spooled.put(&self.storage, "long", journal).await
    }

    fn expect_whole(&self, spooled: &Spooled) {
        let (path, bytes) = self.only_file();
        assert!(path.ends_with("/long") && bytes == spooled.bytes, "{path}");
        assert_eq!(self.server.open_sessions(), 0);
    }
}

#[tokio::test]
async fn a_long_upload_goes_on_after_a_cut_and_a_restart() {
    let mut trial = Trial::start();
    let (spooled, journal) = (Spooled::new(LONG), Remembered::default());
    trial.order(APPEND, 1, Fault::CutRequest(5 << 20));
    let error = trial.put_long(&spooled, &journal).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    assert_eq!(journal.confirmed_bytes.load(Ordering::Relaxed), PIECE);
    assert!(trial.storage.list(None).await.unwrap().is_empty());
    assert!(trial.storage.stat(&name_of("long")).await.unwrap().is_none());
    trial.restart();
    trial.put_long(&spooled, &journal).await.unwrap();
    trial.expect_whole(&spooled);
    assert_eq!(journal.confirmed_bytes.load(Ordering::Relaxed), LONG as u64);
    let again = trial.server.server().received_bytes() - LONG as u64;
    assert!(again < (5 << 20) + (1 << 20), "{again} bytes came twice");
    assert_eq!(trial.calls("upload_session/start"), 1);
}

/// The service has the bytes, and its answer does not come, or says otherwise: nothing is sent again.
#[tokio::test]
async fn an_answer_that_was_lost_is_made_good() {
    let failed = Fault::Afterwards(Response::text(500, "internal error"));
    for (route, skip, fault) in [
        (APPEND, 1, Fault::LoseAnswer),
        (APPEND, 2, failed.clone()),
        (FINISH, 0, Fault::LoseAnswer),
        (FINISH, 0, failed),
    ] {
        let mut trial = Trial::start();
        let (spooled, journal) = (Spooled::new(LONG), Remembered::default());
        trial.order(route, skip, fault.clone());
        let error = trial.put_long(&spooled, &journal).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{fault:?}: {error:?}");
        trial.restart();
        trial.put_long(&spooled, &journal).await.unwrap();
        trial.expect_whole(&spooled);
        assert_eq!(trial.calls("upload_session/start"), 1);
        let again = trial.server.server().received_bytes() - LONG as u64;
        assert!(again < 1 << 20, "{fault:?}: {again} bytes came twice");
    }
}

/// The service has less than it said, or more: we follow.
#[tokio::test]
async fn where_the_service_goes_on_we_follow() {
    let trial = Trial::start();
    let (spooled, journal) = (Spooled::new(LONG), Remembered::default());
    let elsewhere = |at: u64| {
        let error = json!({ ".tag": "incorrect_offset", "correct_offset": at });
        Fault::Instead(Response::json(
            409,
            &json!({ "error_summary": "incorrect_offset/..", "error": error }),
        ))
    };
    // It speaks of the beginning; there it is told to go on where it is in truth.
    trial.order(APPEND, 1, elsewhere(0));
    trial.put_long(&spooled, &journal).await.unwrap();
    trial.expect_whole(&spooled);

    let trial = Trial::start();
    let endless = |at: u64| trial.server.server().order("POST", APPEND, 0, 1, elsewhere(at));
    for at in 1..40 {
        endless(at);
    }
    let error = trial.put_long(&spooled, &Remembered::default()).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    // More than there is belongs to somebody else.
    let trial = Trial::start();
    trial.order(APPEND, 0, elsewhere(LONG as u64 + 1));
    let error = trial.put_long(&spooled, &Remembered::default()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Stop, "{error}");
    assert!(trial.server.files().is_empty());
}

#[tokio::test]
async fn a_session_that_is_gone_begins_anew() {
    let mut trial = Trial::start();
    let (spooled, journal) = (Spooled::new(LONG), Remembered::default());
    trial.order(APPEND, 2, Fault::CutRequest(0));
    trial.put_long(&spooled, &journal).await.unwrap_err();
    trial.server.forget_sessions();
    trial.restart();
    trial.put_long(&spooled, &journal).await.unwrap();
    trial.expect_whole(&spooled);
    assert_eq!(trial.calls("upload_session/start"), 2);
    // It goes in the middle of a try: that is for the next one.
    let trial = Trial::start();
    let journal = Remembered::default();
    trial.order(APPEND, 1, Fault::Instead(told(409, "not_found")));
    let error = trial.put_long(&spooled, &journal).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    trial.put_long(&spooled, &journal).await.unwrap();
    assert_eq!(trial.only_file().1, spooled.bytes);
}

/// What an earlier try has left belongs to its bytes and its name alone.
#[tokio::test]
async fn other_bytes_do_not_go_on_where_these_were() {
    let trial = Trial::start();
    let (first, journal) = (Spooled::new(LONG), Remembered::default());
    trial.order(APPEND, 1, Fault::CutRequest(0));
    trial.put_long(&first, &journal).await.unwrap_err();
    let other = Spooled::new(LONG);
    trial.put_long(&other, &journal).await.unwrap();
    assert_eq!(trial.only_file().1, other.bytes);
    assert_eq!(trial.calls("upload_session/start"), 2);
}

/// F88: the account is full at the end. Once there is room, nothing is sent again.
#[tokio::test]
async fn an_upload_that_found_no_room_waits_for_some() {
    let mut trial = Trial::start();
    trial.server.set_quota(10 << 20);
    let (spooled, journal) = (Spooled::new(LONG), Remembered::default());
    let error = trial.put_long(&spooled, &journal).await.unwrap_err();
    assert!(error.is_full() && error.class() == ErrorClass::Ask, "{error}");
    assert!(trial.server.files().is_empty());
    trial.server.set_quota(1 << 30);
    trial.restart();
    trial.put_long(&spooled, &journal).await.unwrap();
    trial.expect_whole(&spooled);
    let again = trial.server.server().received_bytes() - LONG as u64;
    assert!(again < 1 << 20, "{again} bytes came twice");
}

/// The token ends in the middle: it is renewed once, and the piece sent again.
#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    let trial = Trial::start();
    trial.order(APPEND, 1, Fault::Instead(told(401, "expired_access_token")));
    let spooled = Spooled::new(LONG);
    trial.put_long(&spooled, &Remembered::default()).await.unwrap();
    trial.expect_whole(&spooled);
    assert_eq!(trial.server.oauth().renewals(), 2);
}

/// What is mended takes the place of what is damaged, by a session too; while it is sent, the old one is there.
#[tokio::test]
async fn a_long_part_is_replaced_in_one_step() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("long"), b"damaged").await.unwrap();
    let spooled = Spooled::new(LONG);
    for is_cut in [true, false] {
        if is_cut {
            trial.order(APPEND, 1, Fault::CutRequest(0));
        }
        let replaced = spooled.replace(&trial.storage, "long").await;
        assert_eq!(replaced.is_err(), is_cut, "{replaced:?}");
        let there = trial.only_file().1;
        assert!(there == if is_cut { b"damaged".to_vec() } else { spooled.bytes.clone() });
    }
}
