//! Named points at which a test can kill, fail or pause the process. Compiled in only with the feature `failpoints`.
//!
//! `BACKSTOCK_FAILPOINT=commit.before_manifest=kill:2` kills the process with SIGKILL when the point is reached for
//! the second time; `=fail:1` makes the first hit return an I/O error; `=sleep:1:500` waits 500 ms at the first hit.
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

#[cfg(feature = "failpoints")]
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
                "fail" => return Err(io::Error::other(format!("failpoint {name}"))),
                "full" => return Err(io::Error::from(rustix::io::Errno::NOSPC)),
                "sleep" => std::thread::sleep(Duration::from_millis(order.milliseconds)),
                other => return Err(io::Error::other(format!("failpoint {name}: unknown act {other}"))),
            }
        }
        Ok(())
    }
}
