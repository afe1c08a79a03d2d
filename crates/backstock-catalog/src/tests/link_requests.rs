//! Link requests: one browser takes each, in time, and its first end stays.

use jiff::SignedDuration;

use super::sample::{Sample, Scratch};
use crate::LinkRequestState;

#[tokio::test]
async fn the_first_browser_takes_a_request_in_time_and_its_first_end_stays() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, _, storage) = sample.settle(&catalog).await;
    let begin = sample.now();
    let at = |minutes| begin + SignedDuration::from_mins(minutes);
    let state = async |hash| catalog.find_link_request(hash).await.unwrap().map(|found| found.state);
    for hash in ["a", "b", "c"] {
        catalog.add_link_request(storage.id, hash, at(0), at(-60)).await.unwrap();
    }
    assert_eq!(state("a").await, Some(LinkRequestState::Waiting));
    assert!(!catalog.take_link_request("a", at(11), at(1)).await.unwrap(), "too late");
    assert!(!catalog.take_link_request("a", at(-1), at(-11)).await.unwrap(), "begun later than now");
    assert!(!catalog.take_link_request("none", at(1), at(-9)).await.unwrap());
    assert!(catalog.take_link_request("a", at(10), at(0)).await.unwrap());
    assert!(!catalog.take_link_request("a", at(10), at(0)).await.unwrap(), "it is taken");
    let found = catalog.find_link_request("a").await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.taken, found.storage),
        (LinkRequestState::Taken, Some(at(10)), storage.id)
    );
    catalog.end_link_request("a", LinkRequestState::Linked, None).await.unwrap();
    catalog.end_link_request("a", LinkRequestState::Failed, Some("late")).await.unwrap();
    catalog.end_link_request("b", LinkRequestState::Declined, Some("access_denied")).await.unwrap();
    assert!(catalog.take_link_request("c", at(2), at(0)).await.unwrap());
    catalog.end_taken_link_requests("the daemon ended").await.unwrap();
    assert_eq!(state("a").await, Some(LinkRequestState::Linked));
    assert_eq!(state("b").await, Some(LinkRequestState::Declined));
    let failed = catalog.find_link_request("c").await.unwrap().unwrap();
    assert_eq!(
        (failed.state, failed.sentence.as_deref()),
        (LinkRequestState::Failed, Some("the daemon ended"))
    );
    // Old ones are forgotten with the next, and all of them with their storage.
    catalog.add_link_request(storage.id, "d", at(120), at(60)).await.unwrap();
    assert_eq!((state("a").await, state("d").await), (None, Some(LinkRequestState::Waiting)));
}
