//! Finding the backup that a person means, against a naive model.

use backstock_vocabulary::{Content, Reason};
use proptest::prelude::*;

use super::sample::{Sample, Scratch};
use crate::{Backup, Error};

#[tokio::test]
async fn a_backup_is_found_by_what_people_type() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (shop, set, _) = sample.settle(&catalog).await;
    assert!(matches!(catalog.find_backup("latest", None).await.unwrap_err(), Error::NoBackups));
    let one = sample.backup(&set, 1);
    let two = sample.backup(&set, 2);
    for backup in [&one, &two] {
        catalog.record_backup(backup, &[]).await.unwrap();
    }
    let full = one.id.to_string();
    let simple = full.replace('-', "");
    let upper = one.id.short().to_uppercase();
    for text in [&full, &simple[..20], &one.id.short(), &one.id.short()[..4], &upper, &one.folder] {
        let found = catalog.find_backup(text, Some(shop.id)).await.unwrap();
        assert_eq!(found.id, one.id, "{text}");
    }
    // Both were made within minutes: their identifiers begin alike.
    match catalog.find_backup(&full[..5], None).await.unwrap_err() {
        error @ Error::AmbiguousBackup { .. } => {
            let text = error.to_string();
            assert!(text.contains(&one.folder) && text.contains(&two.folder), "{text}");
        }
        error => panic!("{error}"),
    }
    for text in ["", "%", "_", "-", "zz", "LATEST", "'; DROP TABLE backups; --", "ffffffff", "é"] {
        let error = catalog.find_backup(text, None).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchBackup { .. }), "{text}: {error}");
    }
    let other = sample.shop(b"/srv/other");
    let error = catalog.find_backup(&full, Some(other.id)).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchBackup { .. }), "{error}");
}

#[tokio::test]
async fn the_latest_of_several_shops_is_asked_about() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (shop, set, _) = sample.settle(&catalog).await;
    let other = sample.shop(b"/srv/other");
    let other_set = sample.set(&other, "default");
    catalog.save_shop(&other).await.unwrap();
    catalog.save_set(&other_set).await.unwrap();
    let (one, two) = (sample.backup(&set, 1), sample.backup(&other_set, 1));
    catalog.record_backups(&[(one.clone(), vec![]), (two.clone(), vec![])]).await.unwrap();
    match catalog.find_backup("latest", None).await.unwrap_err() {
        Error::AmbiguousBackup { candidates, .. } => assert_eq!(candidates, [two.clone(), one.clone()]),
        error => panic!("{error}"),
    }
    assert_eq!(catalog.find_backup("latest", Some(shop.id)).await.unwrap(), one);
    assert_eq!(catalog.find_backup("latest", Some(other.id)).await.unwrap(), two);
    assert_eq!(catalog.latest_backup(None, Some(other_set.id)).await.unwrap(), two);
}

/// What `latest` means, said the slow way.
fn naive_latest(backups: &[Backup]) -> Option<&Backup> {
    let counts = |backup: &&Backup| {
        backup.content != Content::Unusable
            && !matches!(backup.reason, Reason::PreRestore | Reason::PreUpgrade | Reason::Imported)
    };
    let mut heads: Vec<&Backup> = Vec::new();
    for backup in backups.iter().filter(counts) {
        let same_set = backups.iter().filter(counts).filter(|other| other.set == backup.set);
        if same_set.map(|other| other.sequence).max() == Some(backup.sequence) {
            heads.push(backup);
        }
    }
    heads.into_iter().max_by_key(|backup| (backup.started, backup.id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn latest_and_prefixes_agree_with_a_naive_model(
        backups in proptest::collection::vec((0..3_usize, 1..6_u64, 0..4_usize, 0..4_usize, 0..5_i64), 0..14),
        digits in "[0-9a-f]{1,3}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (scratch, sample) = (Scratch::new(), Sample::new(9));
            let catalog = scratch.open().await;
            let (shop, set, _) = sample.settle(&catalog).await;
            let sets = [set, sample.set(&shop, "two"), sample.set(&shop, "three")];
            let mut all = Vec::new();
            for set in &sets[1..] {
                catalog.save_set(set).await.unwrap();
            }
            for (set, sequence, content, reason, hours) in backups {
                let mut backup = sample.backup(&sets[set], sequence);
                (backup.content, backup.reason) = (Content::ALL[content], Reason::ALL[reason]);
                // A clock that was wrong: times do not follow the sequence.
                backup.started = jiff::Timestamp::from_second(hours * 3600).unwrap();
                catalog.record_backup(&backup, &[]).await.unwrap();
                all.push(backup);
            }
            let latest = catalog.find_backup("latest", None).await;
            prop_assert_eq!(latest.as_ref().ok(), naive_latest(&all));
            let meant: Vec<_> = all.iter().filter(|backup| {
                let id = backup.id.to_string();
                id.starts_with(&digits) || backup.id.short().starts_with(&digits)
            }).collect();
            match catalog.find_backup(&digits, None).await {
                Ok(found) => prop_assert_eq!(vec![&found], meant),
                Err(Error::NoSuchBackup { .. }) => prop_assert!(meant.is_empty()),
                Err(Error::AmbiguousBackup { candidates, .. }) => {
                    prop_assert_eq!(candidates.len(), meant.len());
                    prop_assert!(meant.iter().all(|backup| candidates.contains(backup)));
                }
                Err(error) => panic!("{error}"),
            }
            for set in &sets {
                let naive = all.iter().filter(|backup| backup.set == set.id).map(|backup| backup.sequence).max();
                prop_assert_eq!(catalog.last_sequence(set.id).await.unwrap(), naive.unwrap_or(0));
            }
            Ok(())
        })?;
    }
}
