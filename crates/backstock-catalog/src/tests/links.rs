//! Links with accounts: since when they are how they are, and what the next good call clears.

use backstock_vocabulary::LinkState;
use jiff::SignedDuration;

use super::sample::{Sample, Scratch};
use crate::Link;

#[tokio::test]
async fn a_link_is_how_the_last_call_found_it() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, _, storage) = sample.settle(&catalog).await;
    let id = storage.id;
    let begin = sample.now();
    let at = |hours| begin + SignedDuration::from_hours(hours);
    assert_eq!(catalog.find_link(id).await.unwrap(), None, "it was never tried");
    catalog.link_is_good(id, at(0), None).await.unwrap();
    catalog.link_is_good(id, at(1), None).await.unwrap();
    let good = Link {
        storage: id,
        state: LinkState::Ok,
        since: at(0),
        sentence: None,
        tried: at(1),
        good: Some(at(1)),
        ends: None,
    };
    assert_eq!(catalog.find_link(id).await.unwrap(), Some(good.clone()));
    // Twice refused: since the first time, with the last words.
    catalog.link_has_ended(id, at(2), "invalid_grant").await.unwrap();
    catalog.link_has_ended(id, at(3), "invalid_grant: revoked").await.unwrap();
    let sentence = Some("invalid_grant: revoked".to_owned());
    let ended = Link { state: LinkState::Revoked, since: at(2), sentence, tried: at(3), ..good.clone() };
    assert_eq!(catalog.list_links().await.unwrap(), [ended]);
    // The next good call clears it.
    catalog.link_is_good(id, at(4), None).await.unwrap();
    let again = Link { since: at(4), tried: at(4), good: Some(at(4)), ..good };
    assert_eq!(catalog.find_link(id).await.unwrap(), Some(again.clone()));
    // An end that was told stays until another is told, or the link is made anew.
    catalog.link_is_good(id, at(5), Some(at(100))).await.unwrap();
    catalog.link_is_good(id, at(6), None).await.unwrap();
    let expiring = Link {
        state: LinkState::Expiring,
        tried: at(6),
        good: Some(at(6)),
        ends: Some(at(100)),
        ..again.clone()
    };
    assert_eq!(catalog.find_link(id).await.unwrap(), Some(expiring));
    catalog.link_was_made(id, at(7), None).await.unwrap();
    let made = Link { since: at(7), tried: at(7), good: Some(at(7)), ..again };
    assert_eq!(catalog.find_link(id).await.unwrap(), Some(made));
}

#[tokio::test]
async fn what_is_known_of_a_link_goes_with_its_storage() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let second = sample.storage("/mnt/second");
    catalog.link_has_ended(second.id, sample.now(), "gone").await.unwrap();
    assert_eq!(catalog.list_links().await.unwrap(), [], "there is no such storage");
    catalog.save_storage(&second).await.unwrap();
    catalog.link_has_ended(second.id, sample.now(), "gone").await.unwrap();
    assert_eq!(catalog.list_links().await.unwrap().len(), 1);
    catalog.add_link_request(second.id, "hash", sample.now(), sample.now()).await.unwrap();
    assert!(catalog.find_link_request("hash").await.unwrap().is_some());
    assert!(catalog.remove_storage(second.id).await.unwrap());
    assert_eq!(catalog.list_links().await.unwrap(), []);
    assert_eq!(catalog.find_link_request("hash").await.unwrap(), None);
}
