//! F17: a small disk of its own is full from some step of a backup, a prune or a restore on. What was whole stays whole, the error is
//! told, and once there is room the same command ends well. A mount of its own needs root.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::io_faults::{CLASSES, Scene};

/// Room for the reserve, the shop and its backups.
const DISK: &str = "size=120m";
/// Fills the disk at one step of a command; then there is room again, every backup is read back, and the command runs once more.
const SCRIPT: &str = r#"
mount -t tmpfs -o "$DISK" none "$M" && cp -a "$ASIDE"/. "$M"/ && cd "$M" || exit 99
BACKSTOCK_FAILPOINT="$POINT=fill" BACKSTOCK_FAILPOINT_FILL="$M/filler" "$@" 2>"$M.err"; echo "first $?"
[ -s "$M/filler" ] || echo "not reached"
rm -f "$M/filler"
"$1" list --json >"$M.list" || echo "list failed"
for id in $(grep -o '"backup": "[^"]*"' "$M.list" | cut -d'"' -f4); do
    "$1" verify "$id" --level bytes >/dev/null 2>&1; echo "verify $?"
done
"$1" restore --resume --yes >/dev/null 2>&1; echo "resume $?"
"$@" >/dev/null 2>"$M.err-again"; echo "again $?"
cat "$M/shop/page-1" | head -c 7; echo
"#;

struct End {
    told: String,
    lines: Vec<String>,
    listed: Vec<Value>,
}

impl End {
    fn code(&self, of: &str) -> Option<i32> {
        let line = self.lines.iter().find_map(|line| line.strip_prefix(of)?.strip_prefix(' '));
        line.and_then(|code| code.parse().ok())
    }
}

fn at(scene: &Scene, aside: &Path, point: &str, arguments: &[&str]) -> End {
    let mounted = scene.place.folder();
    let mut through = Command::new("unshare");
    through.args(["-m", "sh", "-c", SCRIPT, "sh"]);
    through.env("M", mounted).env("ASIDE", aside).env("DISK", DISK).env("POINT", point);
    let run = scene.place.run_through(through, arguments);
    let read =
        |suffix: &str| fs::read_to_string(format!("{}{suffix}", mounted.display())).unwrap_or_default();
    let told = format!("{point}: {run:?}\n{}\nagain: {}", read(".err"), read(".err-again"));
    assert_eq!(run.code, Some(0), "{told}");
    let listed: Value =
        serde_json::from_str(&read(".list")).unwrap_or_else(|error| panic!("{error}: {told}"));
    for suffix in [".err", ".err-again", ".list"] {
        fs::remove_file(format!("{}{suffix}", mounted.display())).unwrap();
    }
    let lines = run.stdout.lines().map(str::to_owned).collect();
    End { told, lines, listed: listed["backups"].as_array().unwrap().clone() }
}

/// Visits every step that the command passes.
fn sweep(arguments: impl Fn(&Scene) -> Vec<String>, prepare: impl Fn(&Scene), check: impl Fn(&End)) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::new(3);
    prepare(&scene);
    let arguments = arguments(&scene);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let aside = TempDir::new().unwrap();
    let copied =
        Command::new("cp").args(["-a", "."]).arg(aside.path()).current_dir(scene.place.folder()).status();
    assert!(copied.unwrap().success());
    let (run, hits) = scene.place.hits(&arguments);
    run.expect(0);
    let points: BTreeSet<String> = hits.into_iter().map(|(point, _)| point).collect();
    assert!(points.len() > 5, "{points:?}");
    let mut failed = 0;
    for point in &points {
        let end = at(&scene, aside.path(), point, &arguments);
        let code = end.code("first").unwrap_or_else(|| panic!("{}", end.told));
        assert!(CLASSES.contains(&code) && !end.told.contains("panicked"), "{}", end.told);
        assert!(!end.lines.iter().any(|line| line == "not reached"), "{}", end.told);
        assert!(code == 0 || code == 3 || end.told.contains("error: "), "{}", end.told);
        failed += usize::from(code != 0);
        // What a deletion has begun with is not read any more.
        let going = end.listed.iter().filter(|backup| backup["replicas"][0]["state"] == "deleting").count();
        let refused = end.lines.iter().filter(|line| *line == "verify 10").count();
        let is_read = |line: &String| matches!(line.as_str(), "verify 0" | "verify 3" | "verify 10");
        let is_whole = |line: &String| !line.starts_with("verify ") || is_read(line);
        assert!(end.lines.iter().all(is_whole) && refused == going, "{}", end.told);
        let sequences: Vec<u64> =
            end.listed.iter().filter_map(|backup| backup["sequence"].as_u64()).collect();
        assert!([2, 3].iter().all(|sequence| sequences.contains(sequence)), "{}", end.told);
        check(&end);
    }
    assert!(failed > 0, "no run met the full disk");
}

fn ends_well(end: &End) {
    assert_eq!(end.code("again"), Some(0), "{}", end.told);
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn f17_a_backup_whose_disk_is_full_from_any_step_on_loses_nothing() {
    let arguments = |scene: &Scene| words(&["backup", scene.root.to_str().unwrap(), "--no-prune"]);
    sweep(arguments, |_| {}, ends_well);
}

#[test]
fn f17_a_prune_whose_disk_is_full_from_any_step_on_loses_nothing() {
    let prepare = |scene: &Scene| {
        scene.place.run(&["backup", scene.root.to_str().unwrap(), "--no-prune"]).expect(0);
        scene.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    };
    sweep(|_| words(&["prune", "--yes"]), prepare, ends_well);
}

#[test]
fn f17_a_restore_whose_disk_is_full_from_any_step_on_ends_old_or_new() {
    let prepare = |scene: &Scene| fs::write(scene.root.join("page-1"), "ruined").unwrap();
    let arguments = |_: &Scene| words(&["restore", "latest", "--yes", "--without-maintenance"]);
    sweep(arguments, prepare, |end| {
        // One that had come to its end, or was resumed, waits to be accepted.
        assert!(matches!(end.code("again"), Some(0 | 15)), "{}", end.told);
        assert_eq!(end.lines.last().map(String::as_str), Some("hello 1"), "{}", end.told);
    });
}
