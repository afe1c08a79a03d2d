//! `verify`: each level reaches what it says, and damage is named by part and region.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use backstock_archive::manifest::SignedManifest;
use backstock_host::{Host, InstanceKey};
use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::Run;
use super::plain_shop::PlainShop;

const PARTS: [&str; 4] = ["db/db.sql.zst", "db/index.zst", "files/files.tar.zst", "files/index.zst"];

fn verify(shop: &PlainShop, level: &str) -> Run {
    shop.place.run(&["verify", "latest", "--level", level, "--json"])
}

/// What is damaged, as part and words.
fn damage(run: &Run) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = run.json()["damage"].as_array().unwrap().clone();
    found.iter().map(|damage| (text(&damage["part"]), text(&damage["what"]))).collect()
}

pub(crate) fn flip(file: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn replica_state(shop: &PlainShop) -> String {
    shop.place.list()[0]["replicas"][0]["state"].as_str().unwrap().to_owned()
}

#[test]
fn each_level_reaches_what_it_says_and_no_more() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let reached = |level: &str, code: i32| {
        let report = verify(&shop, level).expect(code).json();
        assert_eq!(report["schema"], "backstock.verify/1");
        assert_eq!(report["damage"], serde_json::json!([]));
        report
    };
    let present = reached("present", 0);
    assert_eq!((&present["reached"], present["read_bytes"].as_u64()), (&"present".into(), Some(0)));
    assert_eq!(replica_state(&shop), "present");
    let bytes = reached("bytes", 0);
    assert_eq!((&bytes["reached"], &bytes["rows"]), (&"bytes".into(), &0.into()));
    assert_eq!(bytes["read_bytes"], shop.place.list()[0]["stored_bytes"]);
    assert_eq!(replica_state(&shop), "verified");
    let decoded = reached("decoded", 0);
    assert_eq!((&decoded["reached"], &decoded["tables"]), (&"decoded".into(), &3.into()));
    assert_eq!(decoded["rows"].as_u64(), Some(84 + 84 + 1));
    assert_eq!(decoded["files"].as_u64(), Some(26));
    // The deepest one is what `drill` does, and is recorded as that.
    let programs = shop.server.programs().server().parent().unwrap().to_str().unwrap().to_owned();
    let arguments = ["verify", "--level", "drilled", "--server-programs", &programs, "--json"];
    let run = shop.place.run(&arguments);
    let drilled = run.json();
    assert_eq!(drilled["reached"], "drilled", "{drilled}");
    let verdict = drilled["drill"]["verdict"].as_str().unwrap();
    assert_eq!(run.code, Some(if verdict == "proven" { 0 } else { 3 }), "{drilled}");
    assert_eq!(shop.place.list()[0]["drill"]["elapsed_ms"], drilled["drill"]["elapsed_ms"]);
    // Without programs for a server it comes to no result, and says so.
    let nowhere = ["verify", "--level", "drilled", "--server-programs", "nowhere"];
    shop.place.run(&nowhere).expect_error(1, &["nowhere"]);
    assert_eq!(replica_state(&shop), "verified");
}

#[test]
fn every_damage_is_found_and_named() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let backup = shop.place.newest_backup();
    for part in PARTS {
        let file = backup.join(part);
        let length = fs::metadata(&file).unwrap().len();
        for at in [0, length / 2, length - 1] {
            flip(&file, at);
            verify(&shop, "present").expect(0);
            let run = verify(&shop, "bytes").expect(13);
            let found = damage(&run);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, part);
            assert!(found[0].1.contains(&format!("bytes 0 to {length}")), "{found:?}");
            assert_eq!(run.json()["reached"], "present");
            assert_eq!(replica_state(&shop), "damaged");
            verify(&shop, "decoded").expect(13);
            flip(&file, at);
        }
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        let run = verify(&shop, "present").expect(13);
        let words = format!("{} bytes are there, {length} should be", length - 1);
        assert_eq!(damage(&run), [(part.to_owned(), words)]);
        assert_eq!(run.json()["reached"], Value::Null);
        fs::remove_file(&file).unwrap();
        assert_eq!(
            damage(&verify(&shop, "present").expect(13)),
            [(part.to_owned(), "it is not there".into())]
        );
        verify(&shop, "drilled").expect(13);
        fs::write(&file, &whole).unwrap();
    }
    let person = shop.place.run(&["verify"]).expect(0);
    assert!(person.stdout.contains("right down to decoded"), "{}", person.stdout);
    assert_eq!(replica_state(&shop), "verified");

    let manifest = backup.join("manifest.json");
    let kept = fs::read(&manifest).unwrap();
    flip(&manifest, 40);
    assert_eq!(damage(&verify(&shop, "present").expect(13))[0].0, "manifest.json");
    fs::remove_file(&manifest).unwrap();
    assert_eq!(damage(&verify(&shop, "present").expect(13))[0].0, "manifest.json");
    fs::write(&manifest, kept).unwrap();
    verify(&shop, "decoded").expect(0);

    // A place that is not there says nothing about the backup.
    let away = shop.place.folder().join("away");
    fs::rename(shop.place.backups(), &away).unwrap();
    shop.place.run(&["verify"]).expect_error(14, &["backups"]);
    assert_eq!(replica_state(&shop), "verified");
    fs::rename(away, shop.place.backups()).unwrap();
    verify(&shop, "decoded").expect(0);
}

/// A manifest of a format that this version does not know, signed as it should be.
#[test]
fn a_newer_format_is_refused_and_kept() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let host = Host::real();
    let file = shop.place.newest_backup().join("manifest.json");
    let kept = fs::read(&file).unwrap();
    let key = InstanceKey::load_or_create(&host, &shop.place.state().join("instance.key")).unwrap();
    for newer in ["major", "critical"] {
        let mut manifest = SignedManifest::parse(&kept).unwrap().manifest;
        if newer == "major" {
            manifest.format.major += 1;
        } else {
            manifest.format.critical.push("time-travel".to_owned());
        }
        fs::write(&file, manifest.sign(&key).unwrap()).unwrap();
        shop.place.run(&["verify"]).expect_error(15, &["newer"]);
        assert_eq!(replica_state(&shop), "present");
        let arguments = ["restore", "latest", "--yes", "--to", "elsewhere"];
        shop.place.run(&arguments).expect_error(15, &["newer"]);
        let run = shop.place.run(&["catalog", "rebuild", shop.place.backups().to_str().unwrap()]).expect(3);
        assert!(run.stdout.contains("newer"), "{}", run.stdout);
    }
    // The next backup follows it all the same.
    shop.back_up();
    let listed = shop.place.list();
    assert_eq!((listed.len(), listed[0]["sequence"].as_u64()), (2, Some(2)));
    fs::write(&file, kept).unwrap();
    let id = listed[1]["backup"].as_str().unwrap();
    shop.place.run(&["verify", id]).expect(0);
}
