//! Mounts whose server does not answer (fault F72): an NFS or FUSE file system that hangs.
//!
//! Whoever asks such a file system for anything waits for ever, and cannot be stopped. So each mount is first asked by a
//! thread of its own that nobody waits for longer than a limit; those that stay silent must not be touched at all.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How long all mounts together may take to answer. A disk that has to spin up takes about 10 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long one that stayed silent is not asked again: the thread that asked it is still there.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// What the kernel says is mounted where (`proc_pid_mountinfo(5)`); absent on other systems, where nothing is asked.
const MOUNTS: &str = "/proc/self/mountinfo";

static SILENT: LazyLock<Mutex<HashMap<PathBuf, Instant>>> = LazyLock::new(Mutex::default);

/// The mounts below a folder (its links resolved) that do not answer. Waits up to 15 s for those that were not asked
/// lately, and not at all where nothing is mounted below.
pub fn silent_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(table) = std::fs::read(MOUNTS) else { return Vec::new() };
    let below = mounts_below(folder, &table);
    let mut known = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, asked| asked.elapsed() < ASK_AGAIN_AFTER);
    let (mut found, unknown): (Vec<_>, Vec<_>) =
        below.into_iter().partition(|mount| known.contains_key(mount));
    let asked = Instant::now();
    let silent = ask(unknown, ANSWER_LIMIT, |mount| {
        // An error is an answer too: whoever goes there will meet it and tell.
        let _ = std::fs::read_dir(mount).map(|mut entries| entries.next().is_some());
    });
    known.extend(silent.iter().map(|mount| (mount.clone(), asked)));
    found.extend(silent);
    found
}

fn mounts_below(folder: &Path, table: &[u8]) -> Vec<PathBuf> {
    let mounts = table.split(|byte| *byte == b'\n').filter_map(mount_point);
    let mut found: Vec<PathBuf> =
        mounts.filter(|mount| mount.starts_with(folder) && mount != folder).collect();
    found.sort();
    found.dedup();
    found
}

/// The fifth field of a line of the mount table, in which blanks and the like are written as `\040`.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *byte == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    Some(PathBuf::from(OsString::from_vec(path)))
}

/// Asks all at the same time; those that have not answered at the limit are silent. Their threads stay behind.
fn ask(mounts: Vec<PathBuf>, limit: Duration, question: fn(&Path)) -> Vec<PathBuf> {
    let asked = Instant::now();
    let (sender, answers) = mpsc::channel();
    for mount in mounts.clone() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            question(&mount);
            // Nobody listens any more to one that is late.
            let _ = sender.send(mount);
        });
    }
    drop(sender);
    let mut silent = mounts;
    while !silent.is_empty() {
        match answers.recv_timeout(limit.saturating_sub(asked.elapsed())) {
            Ok(mount) => silent.retain(|other| *other != mount),
            Err(_) => break,
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_folder_are_found_once_with_their_real_names() {
        let line = |path: &str| format!("65 44 0:39 / {path} rw,relatime - nfs server:/ rw");
        let paths =
            ["/srv/my\\040shop/far", "/srv/my\\040shop/far", "/srv/my\\040shop", "/srv/my\\040shops", "/"];
        let table = paths.map(line).join("\n");
        assert_eq!(
            mounts_below(Path::new("/srv/my shop"), table.as_bytes()),
            [PathBuf::from("/srv/my shop/far")]
        );
        assert_eq!(mount_point(line("/a\\134040\\0").as_bytes()), Some(PathBuf::from("/a\\040\\0")));
    }

    #[test]
    fn only_those_that_do_not_answer_in_time_are_silent() {
        let mounts = ["answers", "hangs", "fails"].map(PathBuf::from).to_vec();
        let question = |path: &Path| {
            if path == Path::new("hangs") {
                std::thread::sleep(Duration::from_secs(60));
            }
        };
        assert_eq!(ask(mounts, Duration::from_millis(500), question), [PathBuf::from("hangs")]);
        assert_eq!(ask(Vec::new(), Duration::from_secs(600), question), Vec::<PathBuf>::new());
    }
}
