//! `catalog rebuild`: a lost or corrupt catalog comes back from the backups alone.

use std::fs;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::Place;
use super::plain_shop::{PlainShop, walk};

/// All that the commands tell of every backup.
fn told(place: &Place) -> Vec<Value> {
    let listed = place.list();
    let mut told = listed.clone();
    for backup in listed {
        let id = backup["backup"].as_str().unwrap().to_owned();
        told.push(place.run(&["show", &id, "--contents", "--json"]).expect(0).json());
    }
    told
}

fn three_backups(shop: &PlainShop) {
    // Marks are a matter of the catalog alone.
    fs::write(shop.place.configuration(), "[retention]\nafter_backup = false\n").unwrap();
    shop.back_up();
    shop.back_up();
    let mut database_alone = vec!["backup"];
    database_alone.extend(shop.database_flags());
    shop.place.run(&database_alone).expect(0);
    // One that is whole except what the account may not see.
    shop.server
        .client("", "CREATE USER weak IDENTIFIED BY 'S3cret-&-unseen'; GRANT SELECT ON plain.* TO weak;")
        .unwrap();
    database_alone[4] = "weak";
    shop.place.run(&database_alone).expect(3);
}

#[test]
fn a_catalog_is_made_anew_from_the_backups() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    three_backups(&shop);
    let place = &shop.place;
    let (state, backups) = (place.state(), place.backups().to_str().unwrap().to_owned());
    let before = told(place);
    assert_eq!(before.len(), 8);

    place.lose_catalog();
    assert_eq!(place.list().len(), 0);
    let report = place.run(&["catalog", "rebuild", &backups, "--json"]).expect(0).json();
    assert_eq!((report["backups"].as_u64(), report["set_folders"].as_u64()), (Some(4), Some(2)));
    assert_eq!(told(place), before, "after a lost catalog");
    // Again changes nothing.
    place.run(&["catalog", "rebuild", &backups]).expect(0);
    assert_eq!(told(place), before);

    let file = state.join("catalog.sqlite");
    let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
    for damage in ["garbage", "half", "middle"] {
        let mut bytes = fs::read(&file).unwrap();
        match damage {
            "garbage" => bytes = b"this was a catalog once ".repeat(length / 24),
            "half" => bytes.truncate(length / 2),
            _ => bytes[4096..length / 2].fill(0x5a),
        }
        fs::write(&file, bytes).unwrap();
        for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = fs::remove_file(state.join(name));
        }
        let run = place.run(&["list"]).expect_error(1, &["catalog", "hint: ", "catalog rebuild"]);
        assert!(run.stdout.is_empty(), "{damage}: {}", run.stdout);
        place.run(&["catalog", "rebuild", &backups]).expect(0);
        assert_eq!(told(place), before, "after {damage}");
    }
    shop.back_up();
    let newest = &place.list()[0];
    assert_eq!(newest["sequence"].as_u64(), Some(3), "the chain goes on");
}

/// A new machine: no state at all. The backups are known again, and another's folder is not written to by mistake.
#[test]
fn a_new_installation_finds_what_another_wrote() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    three_backups(&shop);
    let place = &shop.place;
    let before = told(place);
    fs::rename(place.state(), place.folder().join("state of before")).unwrap();
    place.run(&["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    assert_eq!(told(place), before);
    let id = before[3]["backup"].as_str().unwrap();
    place.run(&["verify", id]).expect(0);
    let refused = place.run(&shop.backup_arguments(&[]));
    refused.expect_error(15, &["another instance", "--take-over"]);
    assert_eq!(place.list().len(), 4);
    place.run(&shop.backup_arguments(&["--take-over"])).expect(0);
    assert_eq!(place.list()[0]["sequence"].as_u64(), Some(3));
    assert!(walk(&place.backups()).keys().any(|name| name.ends_with("/owner-2.json")));
    // The one from before is stopped now, loudly.
    fs::rename(place.state(), place.folder().join("state of now")).unwrap();
    fs::rename(place.folder().join("state of before"), place.state()).unwrap();
    place.run(&shop.backup_arguments(&[])).expect_error(15, &["another instance"]);
}

/// F04: a run that died, and the catalog that knew of it lost as well: its spool is removed by the next run.
#[cfg(feature = "failpoints")]
#[test]
fn a_spool_that_no_catalog_remembers_is_removed() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("page"), "hello").unwrap();
    let arguments = ["backup", root.to_str().unwrap()];
    for orders in ["backup.spooled=kill:1", "backup.before_manifest=kill:1", "backup.after_manifest=kill:1"] {
        place.run_with(orders, &arguments).expect_killed();
        let spool = walk(&place.state().join("spool"));
        assert!(spool.keys().any(|name| name.ends_with("lock")), "{orders}: {spool:?}");
        place.lose_catalog();
        place.run(&arguments).expect(0);
        assert_eq!(walk(&place.state().join("spool")).len(), 0, "{orders}");
    }
}
