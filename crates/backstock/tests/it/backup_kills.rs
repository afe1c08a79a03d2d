//! A backup that dies, is refused or runs beside another: nothing half made is listed, and nothing is left over.

use std::fs;
use std::time::{Duration, Instant};

use backstock_host::Host;
use backstock_operations::{Environment, runs};
use backstock_testbed::ServerKind;
use backstock_vocabulary::Outcome;

use super::harness::{Place, Run};
use super::plain_shop::{PlainShop, leftovers, walk};

/// Kills at random times, in all.
const RANDOM_KILLS: u32 = 12;
/// How long a run may take to reach a point.
const REACH_LIMIT: Duration = Duration::from_secs(30);

fn outcomes(place: &Place) -> Vec<Outcome> {
    let environment = Environment::open(&Host::real(), &place.state()).unwrap();
    runs(&environment, None, 1000).unwrap().iter().map(|run| run.outcome).collect()
}

fn manifests(place: &Place) -> usize {
    walk(&place.backups()).keys().filter(|name| name.ends_with("/manifest.json")).count()
}

fn sequences(place: &Place) -> Vec<u64> {
    let mut found: Vec<u64> =
        place.list().iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
    found.sort_unstable();
    found
}

/// Whether a point lies behind the backup, where older ones are let go: the backup is made and its run has ended.
fn is_after_the_run(point: &str) -> bool {
    ["prune.", "retention.", "lease."].iter().any(|begin| point.starts_with(begin))
}

/// After a death: nothing half made is listed, the next backup succeeds, and nothing is left over.
#[track_caller]
fn check_after_death(shop: &PlainShop, case: &str) {
    check_after_death_with(shop, &[], case);
}

/// The same where the next backup is made by more arguments.
#[track_caller]
pub(crate) fn check_after_death_with(shop: &PlainShop, more: &[&str], case: &str) {
    let listed = shop.place.list();
    let whole = manifests(&shop.place);
    assert!(listed.len() <= whole, "{case}: {} are listed, {whole} have a manifest", listed.len());
    assert!(listed.len() + 1 >= whole, "{case}: more than one manifest is unknown");
    shop.place.run(&shop.backup_arguments(more)).expect(0);
    assert_eq!(shop.place.list().len(), whole + 1, "{case}: the whole one is adopted once, and one is new");
    assert_eq!(leftovers(&shop.place), Vec::<String>::new(), "{case}");
    let expected: Vec<u64> = (1..=whole as u64 + 1).collect();
    assert_eq!(sequences(&shop.place), expected, "{case}");
    let outcomes = outcomes(&shop.place);
    assert!(!outcomes.contains(&Outcome::Running), "{case}: {outcomes:?}");
}

/// F01 to F05: killed at every point that a backup passes.
#[test]
fn a_backup_killed_at_any_point_is_never_half_there() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let (run, hits) = shop.place.hits(&shop.backup_arguments(&[]));
    run.expect(0);
    let names: std::collections::BTreeSet<&str> = hits.iter().map(|hit| hit.0.as_str()).collect();
    for point in
        ["backup.spooled", "backup.before_manifest", "backup.after_manifest", "storage.local.before_rename"]
    {
        assert!(names.contains(point), "{point} is not passed: {names:?}");
    }
    let (mut dead, mut in_runs) = (0, 0);
    for (name, number) in &hits {
        let case = format!("{name}=kill:{number}");
        // The first orders kill before there is an owner file.
        if dead < 3 {
            let _ = fs::remove_dir_all(shop.place.backups());
            let _ = fs::remove_dir_all(shop.place.state());
        }
        let run = shop.place.run_with(&case, &shop.backup_arguments(&[]));
        // Which thread comes first is not the same in every run: an order may come to nothing.
        if run.code.is_some() {
            run.expect(0);
            continue;
        }
        dead += 1;
        in_runs += usize::from(!is_after_the_run(name));
        check_after_death(&shop, &case);
    }
    assert!(dead * 10 >= hits.len() * 8, "{dead} of {} orders killed", hits.len());
    let interrupted =
        outcomes(&shop.place).iter().filter(|outcome| **outcome == Outcome::Interrupted).count();
    assert!(interrupted + 3 >= in_runs, "{interrupted} of {in_runs} runs are marked");
    shop.place.run(&["verify", "latest"]).expect(0);
}

/// The same for backups that build on others: what died is never built on, and every point of what is listed comes back.
#[test]
fn an_incremental_backup_killed_at_any_point_is_never_half_there() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let more = ["--level", "incremental"];
    let arguments = shop.backup_arguments(&more);
    let (run, hits) = shop.place.hits(&arguments);
    run.expect(0);
    assert!(hits.iter().any(|(name, _)| name == "backup.index_kept"), "{hits:?}");
    let mut dead = 0;
    for (name, number) in &hits {
        let case = format!("{name}=kill:{number}");
        fs::write(shop.root().join("changing.txt"), case.repeat(20)).unwrap();
        let run = shop.place.run_with(&case, &arguments);
        if run.code.is_some() {
            run.expect(0);
            continue;
        }
        dead += 1;
        check_after_death_with(&shop, &more, &case);
        let to = format!("restored-{dead}");
        shop.place.run(&["restore", "latest", "--to", &to]).expect(0);
        let restored = fs::read_to_string(shop.place.folder().join(&to).join("changing.txt")).unwrap();
        assert_eq!(restored, case.repeat(20));
        fs::remove_dir_all(shop.place.folder().join(&to)).unwrap();
    }
    assert!(dead * 10 >= hits.len() * 8, "{dead} of {} orders killed", hits.len());
    let listed = shop.place.list();
    let incremental = listed.iter().filter(|backup| backup["level"] == "incremental").count();
    assert!(incremental > listed.len() / 2, "{incremental} of {}", listed.len());
    for backup in listed.iter().step_by(5) {
        shop.place.run(&["verify", backup["backup"].as_str().unwrap(), "--level", "decoded"]).expect(0);
    }
}

/// Database and files are read side by side: what is told is why, and not that the other half was ended.
#[test]
fn a_dump_that_fails_ends_the_files_too_and_is_the_reason() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let run = shop.place.run_with("backup.frame=fail:1", &shop.backup_arguments(&[]));
    let code = run.code.expect("ended by a signal");
    assert!(code != 0 && !run.stderr.contains("stopped by a signal"), "{run:?}");
    run.expect_error(code, &["dumping the database plain"]);
    assert_eq!(leftovers(&shop.place), Vec::<String>::new());
    assert_eq!(shop.place.list().len(), 0);
}

/// The same at moments that nobody chose; every backup that is listed in the end is whole.
#[test]
fn a_backup_killed_at_random_times_is_never_half_there() {
    let Some(shop) = PlainShop::new(ServerKind::MySql) else { return };
    let before = Instant::now();
    shop.back_up();
    let usual_ms = u64::try_from(before.elapsed().as_millis()).unwrap();
    for number in 0..RANDOM_KILLS {
        let mut child = shop.place.command(&shop.backup_arguments(&[])).spawn().unwrap();
        let after_ms = usual_ms * u64::from(number * 7 % RANDOM_KILLS + 1) / u64::from(RANDOM_KILLS);
        std::thread::sleep(Duration::from_millis(after_ms));
        let _ = child.kill();
        child.wait().unwrap();
        check_after_death(&shop, &format!("killed after {after_ms} ms"));
    }
    for backup in shop.place.list() {
        let id = backup["backup"].as_str().unwrap().to_owned();
        shop.place.run(&["verify", &id, "--level", "bytes"]).expect(0);
    }
}

#[track_caller]
fn wait_for(place: &Place, point: &str) {
    let log = place.folder().join("paused.log");
    let until = Instant::now() + REACH_LIMIT;
    while !fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|line| line == point)) {
        assert!(Instant::now() < until, "{point} was not reached");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_run_per_shop_at_a_time() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let paused = shop
        .place
        .command(&shop.backup_arguments(&[]))
        .env("BACKSTOCK_FAILPOINT", "backup.spooled=sleep:1:4000")
        .env("BACKSTOCK_FAILPOINT_LOG", shop.place.folder().join("paused.log"))
        .spawn()
        .unwrap();
    wait_for(&shop.place, "backup.spooled");
    let second = shop.place.run(&shop.backup_arguments(&[]));
    second.expect_error(11, &["another backup is already running", "hint: "]);
    // Another shop is not in the way, and what there is can be looked at.
    let other = shop.place.folder().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a"), "a").unwrap();
    shop.place.run(&["backup", other.to_str().unwrap()]).expect(0);
    assert_eq!(shop.place.list().len(), 1);
    Run::of(&paused.wait_with_output().unwrap()).expect(0);
    assert_eq!(shop.place.list().len(), 2);
    assert_eq!(leftovers(&shop.place), Vec::<String>::new());
}

/// A signal stops a run at its next safe point, and it leaves nothing.
#[test]
fn an_interrupted_backup_cleans_up() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    for (only, point) in
        [("database", "backup.frame"), ("files", "artifact.write"), ("files", "backup.spooled")]
    {
        let log = shop.place.folder().join("paused.log");
        let _ = fs::remove_file(&log);
        let paused = shop
            .place
            .command(&shop.backup_arguments(&["--only", only]))
            .env("BACKSTOCK_FAILPOINT", format!("{point}=sleep:1:1000"))
            .env("BACKSTOCK_FAILPOINT_LOG", &log)
            .spawn()
            .unwrap();
        wait_for(&shop.place, point);
        let process = rustix::process::Pid::from_raw(i32::try_from(paused.id()).unwrap()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        Run::of(&paused.wait_with_output().unwrap()).expect_error(130, &["stopped"]);
        assert_eq!(shop.place.list().len(), 0, "{point}");
        assert_eq!(leftovers(&shop.place), Vec::<String>::new(), "{point}");
        let outcomes = outcomes(&shop.place);
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Interrupted), "{point}: {outcomes:?}");
    }
}

/// A disk that is full, or an error of any other kind, at every point where bytes are written (F06, F07).
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let (run, hits) = shop.place.hits(&shop.backup_arguments(&[]));
    run.expect(0);
    let names: std::collections::BTreeSet<&String> = hits.iter().map(|hit| &hit.0).collect();
    for (count, name) in names.into_iter().enumerate() {
        // After this point the backup exists, whatever else fails.
        let is_retention = is_after_the_run(name);
        let exists = name == "backup.after_manifest" || is_retention;
        let act = if count % 2 == 0 { "full" } else { "fail" };
        let before = manifests(&shop.place);
        let run = shop.place.run_with(&format!("{name}={act}:1"), &shop.backup_arguments(&[]));
        let code = run.code;
        if act == "full" && run.stderr.contains("the backup is made once more") {
            // What was marked has made room: the backup is there, the newest one of all.
            let newest = *sequences(&shop.place).last().unwrap();
            assert_eq!(shop.place.run(&["verify", "latest"]).expect(0).code, run.expect(0).code, "{name}");
            assert_eq!(shop.place.list()[0]["sequence"], newest, "{name}");
            assert_eq!(walk(&shop.place.state().join("spool")).len(), 0, "{name}");
            assert_eq!(leftovers(&shop.place), Vec::<String>::new(), "{name}");
            continue;
        }
        if name == "lease.taken" {
            // The first lease is that of the comparison with the backup before, which fails no backup.
            assert!(run.expect(0).stderr.contains("could not be told: leasing the backup"), "{act}");
        } else if is_retention {
            assert!(run.expect(3).stderr.contains("warning: no older backup was let go: "), "{name}={act}");
        } else {
            assert!(matches!(code, Some(1 | 14)), "{name}={act}: {code:?}\n{}", run.stderr);
            run.expect_error(code.unwrap(), &["because: "]);
        }
        let expected = before + usize::from(exists);
        assert_eq!(manifests(&shop.place), expected, "{name}={act}");
        assert!(shop.place.list().len() <= expected, "{name}={act}");
        assert_eq!(walk(&shop.place.state().join("spool")).len(), 0, "{name}={act}");
        shop.back_up();
        assert_eq!(shop.place.list().len(), expected + 1, "{name}={act}");
        assert_eq!(leftovers(&shop.place), Vec::<String>::new(), "{name}={act}");
    }
    let unfinished = outcomes(&shop.place).iter().filter(|outcome| **outcome == Outcome::Running).count();
    assert_eq!(unfinished, 0);
}

/// A folder that the catalog knows as a backup is no leftover, even when its manifest is gone.
#[test]
fn a_lost_manifest_does_not_cost_the_data() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.back_up();
    let first = shop.place.newest_backup();
    let kept = fs::read(first.join("manifest.json")).unwrap();
    fs::remove_file(first.join("manifest.json")).unwrap();
    shop.back_up();
    assert!(first.join("files/files.tar.zst").exists(), "the data of a known backup was swept");
    assert_eq!(sequences(&shop.place), [1, 2]);
    let id = shop.place.list()[1]["backup"].as_str().unwrap().to_owned();
    shop.place.run(&["verify", &id]).expect(13);
    fs::write(first.join("manifest.json"), kept).unwrap();
    shop.place.run(&["verify", &id]).expect(0);
}
