//! The S3 kind against Garage, which people really run: it lists unfinished uploads and their parts as S3 does, and wants its region.

use backstock_testbed::storages::garage;
use backstock_testbed::storages::garage::GarageServer;

use super::resume::Journal;
use super::*;

/// The contract; a long upload that is cut and goes on by what the service lists; F90: leftovers of ours are ended, and no others.
#[tokio::test]
async fn f90_garage_keeps_the_contract_lists_parts_and_leftovers() {
    let Some(server) = GarageServer::for_test() else { return };
    let proxy = Proxy::start(server.address());
    let with = |address, region: &str| {
        json!({
            "endpoint": format!("http://{address}"),
            "bucket": garage::BUCKET,
            "region": region,
            "prefix": "shop one/ü+",
            "access_key_id": garage::ACCESS_KEY_ID,
            "secret_access_key": garage::SECRET_ACCESS_KEY,
        })
    };
    let spool = tempfile::tempdir().unwrap();
    let wrong = s3(&Host::real(), &with(server.address(), "us-east-1")).unwrap();
    let error = wrong.stat(&name("x")).await.unwrap_err();
    assert!(error.to_string().contains("garage"), "it names its region: {error}");
    let storage = s3(&Host::real(), &with(proxy.address(), garage::REGION)).unwrap();
    contract::check(&Host::real(), &storage, spool.path()).await.unwrap();
    let spooled = Spooled::write(spool.path(), (105 << 20) + 77);
    let journal = Journal::stopping_after(55 << 20);
    storage.put(&name("long"), &spooled.part(), &journal).await.unwrap_err();
    let confirmed = journal.confirmed_bytes().unwrap();
    assert!(confirmed >= 10 << 20, "{confirmed}");
    journal.go_on();
    let before: u64 = proxy.requests().iter().map(|request| request.body_bytes).sum();
    storage.put(&name("long"), &spooled.part(), &journal).await.unwrap();
    let sent = proxy.requests().iter().map(|request| request.body_bytes).sum::<u64>() - before;
    // What was on its way when the first try was stopped may be counted with the second.
    let wanted = spooled.size_bytes - confirmed;
    assert!(
        (wanted..wanted + (10 << 20)).contains(&sent),
        "{sent} bytes the second time, {confirmed} were there"
    );
    assert_eq!(storage.stat(&name("long")).await.unwrap().unwrap().size_bytes, spooled.size_bytes);
    let range = storage.read_range(&name("long"), 70 << 20, 1000).await.unwrap();
    assert!(range == std::fs::read(&spooled.path).unwrap()[70 << 20..(70 << 20) + 1000]);
    // One that nobody goes on with; what is not below our folder is none of ours.
    let journal = Journal::stopping_after(25 << 20);
    storage.put(&name("left/behind"), &spooled.part(), &journal).await.unwrap_err();
    assert_eq!(storage.delete_leftovers(Some(&name("other"))).await.unwrap(), 0);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 1);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
    journal.go_on();
    storage.put(&name("left/behind"), &spooled.part(), &journal).await.unwrap();
    for left in ["long", "left/behind"] {
        storage.delete(&name(left)).await.unwrap();
    }
    assert!(storage.list(None).await.unwrap().is_empty());
}
