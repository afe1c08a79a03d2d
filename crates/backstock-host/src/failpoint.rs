//! Named points at which a test can kill, fail or pause the process. Compiled in only with the feature `failpoints`.
//!
//! `BACKSTOCK_FAILPOINT=commit.before_manifest=kill:2` kills the process with SIGKILL when the point is reached for
//! the second time; `=fail:1` makes the first hit return an I/O error; `=sleep:1:500` waits 500 ms at the first hit.
//! `=panic:1` panics there, as a fault in the program would.
//! `=fill:1` writes zeros into the file that `BACKSTOCK_FAILPOINT_FILL` names until its disk is full, and goes on.
//! `BACKSTOCK_FAILPOINT_LOG=<file>` appends the name of every point that is reached, so that a sweep can visit each.

use std::io;

/// Marks a point. Does nothing in a release binary.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_name: &str) -> io::Result<()> {
    Ok(())
}

/// Marks a point, and does there what the environment asks for.
#[cfg(feature = "failpoints")]
pub fn reach(name: &str) -> io::Result<()> {
    active::reach(name)
}

#[cfg(any(test, feature = "failpoints"))]
mod active {
    use std::collections::HashMap;
    use std::io::{self, Write};
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    struct Order {
        name: String,
        act: String,
        hit: u64,
        milliseconds: u64,
    }

    static ORDERS: LazyLock<Vec<Order>> = LazyLock::new(|| {
        let text = std::env::var("BACKSTOCK_FAILPOINT").unwrap_or_default();
        text.split(',').filter_map(parse).collect()
    });
    static HITS: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);

    fn parse(text: &str) -> Option<Order> {
        let (name, rest) = text.split_once('=')?;
        let mut words = rest.split(':');
        let act = words.next()?.to_owned();
        let hit = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
        let milliseconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Some(Order { name: name.to_owned(), act, hit, milliseconds })
    }

    pub(super) fn reach(name: &str) -> io::Result<()> {
        if let Ok(path) = std::env::var("BACKSTOCK_FAILPOINT_LOG") {
            let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
            log.write_all(format!("{name}\n").as_bytes())?;
        }
        let hit = {
            let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
            let count = hits.entry(name.to_owned()).or_default();
            *count += 1;
            *count
        };
        for order in ORDERS.iter().filter(|order| order.name == name && order.hit == hit) {
            match order.act.as_str() {
                "kill" => {
                    let _ = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::KILL,
                    );
                    std::thread::sleep(Duration::from_secs(5));
                }
                "panic" => std::panic::panic_any(format!("failpoint {name}")),
                "fail" => return Err(io::Error::other(format!("failpoint {name}"))),
                "fill" => fill()?,
                "full" => return Err(io::Error::from(rustix::io::Errno::NOSPC)),
                "sleep" => std::thread::sleep(Duration::from_millis(order.milliseconds)),
                other => return Err(io::Error::other(format!("failpoint {name}: unknown act {other}"))),
            }
        }
        Ok(())
    }

    /// Takes all room of a disk that was made for this.
    fn fill() -> io::Result<()> {
        let Some(path) = std::env::var_os("BACKSTOCK_FAILPOINT_FILL") else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};
    use std::time::Duration;

    use super::active::reach;

    const CHILD: &str = "BACKSTOCK_FAILPOINT_TEST_CHILD";

    /// Runs one test of this file again, in a process of its own, with orders.
    fn run_again(test: &str, orders: &str, log: &std::path::Path) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("failpoint::tests::{test}"), "--quiet"])
            .env(CHILD, "1")
            .env("BACKSTOCK_FAILPOINT", orders)
            .env("BACKSTOCK_FAILPOINT_LOG", log)
            .output()
            .unwrap()
            .status
    }

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    #[test]
    fn a_point_kills_at_the_hit_that_was_asked_for() {
        if is_child() {
            for name in ["first", "second", "first", "second", "first"] {
                reach(name).unwrap();
            }
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let status =
            run_again("a_point_kills_at_the_hit_that_was_asked_for", "other=kill,second=kill:2", &log);
        assert_eq!(status.signal(), Some(9));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "first\nsecond\nfirst\nsecond\n");
        assert!(run_again("a_point_kills_at_the_hit_that_was_asked_for", "", &log).success());
    }

    #[test]
    fn a_point_fails_fills_and_waits_where_it_was_asked_for() {
        if is_child() {
            assert!(reach("point").unwrap_err().to_string().contains("point"));
            assert_eq!(reach("point").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
            let before = std::time::Instant::now();
            reach("point").unwrap();
            assert!(before.elapsed() >= Duration::from_millis(50));
            assert!(reach("point").unwrap_err().to_string().contains("unknown act"));
            let panicked = std::panic::catch_unwind(|| reach("point")).unwrap_err();
            assert_eq!(panicked.downcast_ref::<String>().unwrap(), "failpoint point");
            reach("point").unwrap();
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let orders = "point=fail:1,point=full:2,point=sleep:3:50,point=jump:4,point=panic:5";
        let test = "a_point_fails_fills_and_waits_where_it_was_asked_for";
        assert!(run_again(test, orders, &folder.path().join("log")).success());
        assert!(!run_again(test, "", &folder.path().join("log")).success());
    }

    #[cfg(not(feature = "failpoints"))]
    #[test]
    fn without_the_feature_nothing_happens() {
        if is_child() {
            super::reach("point").unwrap();
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert!(run_again("without_the_feature_nothing_happens", "point=kill", &log).success());
        assert!(!log.exists());
    }
}
