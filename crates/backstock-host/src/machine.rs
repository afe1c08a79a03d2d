//! Which machine this is, and which boot of it: what owner files and the log of runs name.

use std::fmt;
use std::fs;

use ring::digest::{SHA256, digest};

use crate::hex;

/// Where systemd and D-Bus keep the machine's identifier (machine-id(5)).
const MACHINE_ID_FILES: &[&str] = &["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// Where Linux tells the identifier of this boot (random(4)).
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Where Linux tells how long ago it was started, sleep included: seconds with two digits behind the point (proc(5)).
const UPTIME_FILE: &str = "/proc/uptime";
/// machine-id(5) asks that the identifier itself is not shown to others: they see a hash under this label.
const LABEL: &[u8] = b"backstock: identifier of this machine\0";
/// Digits that are kept of that hash.
const DIGITS: usize = 32;

/// Tells which machine this is.
pub trait Machine: Send + Sync + fmt::Debug {
    /// 32 hexadecimal digits that stay with the installation of the operating system; `None` where there is no such
    /// identifier and none was set. A copy of the whole disk has the same.
    fn machine_id(&self) -> Option<String>;

    /// The identifier of this boot; empty where the kernel does not tell.
    fn boot_id(&self) -> String;

    /// How long ago this boot was, in milliseconds; none where the kernel does not tell. Setting the clock does not change it.
    fn since_boot_ms(&self) -> Option<u64> {
        None
    }

    /// The identifier of this process; it means something together with the boot only.
    fn process_id(&self) -> u32 {
        std::process::id()
    }
}

/// The machine that the program runs on.
#[derive(Debug, Clone, Default)]
pub struct RealMachine {
    /// What to take for the machine's identifier instead: needed in containers, which get a new one at every start.
    pub set_machine_id: Option<String>,
}

impl Machine for RealMachine {
    fn machine_id(&self) -> Option<String> {
        let set = self.set_machine_id.clone().filter(|id| !id.trim().is_empty());
        let id = set.or_else(|| MACHINE_ID_FILES.iter().find_map(|path| read_machine_id(path)))?;
        Some(hidden(id.trim()))
    }

    fn boot_id(&self) -> String {
        fs::read_to_string(BOOT_ID_FILE).map(|id| id.trim().to_owned()).unwrap_or_default()
    }

    fn since_boot_ms(&self) -> Option<u64> {
        let text = fs::read_to_string(UPTIME_FILE).ok()?;
        let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
        let (seconds, hundredths): (u64, u64) = (seconds.parse().ok()?, hundredths.parse().ok()?);
        seconds.checked_mul(1000)?.checked_add(hundredths.checked_mul(10)?)
    }
}

/// An image that was never started holds `uninitialized` or nothing.
fn read_machine_id(path: &str) -> Option<String> {
    let id = fs::read_to_string(path).ok()?;
    let id = id.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

fn hidden(id: &str) -> String {
    let mut text = hex::encode(digest(&SHA256, &[LABEL, id.as_bytes()].concat()).as_ref());
    text.truncate(DIGITS);
    text
}

/// A machine for tests.
#[derive(Debug, Clone)]
pub struct FixedMachine {
    name: String,
}

impl FixedMachine {
    /// A machine of this name: names differ, machines differ.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl Machine for FixedMachine {
    fn machine_id(&self) -> Option<String> {
        Some(hidden(&self.name))
    }

    fn boot_id(&self) -> String {
        format!("boot of {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_was_set_wins_and_is_not_shown() {
        let set = |id: &str| RealMachine { set_machine_id: Some(id.to_owned()) };
        let id = set("shop-1").machine_id().unwrap();
        assert_eq!(id.len(), 32);
        assert!(!id.contains("shop"));
        assert_eq!(set(" shop-1\n").machine_id(), Some(id.clone()));
        assert_ne!(set("shop-2").machine_id(), Some(id));
        assert_eq!(set("").machine_id(), RealMachine::default().machine_id());
    }

    #[test]
    fn the_kernel_tells_the_boot() {
        assert_eq!(RealMachine::default().boot_id().len(), 36);
        let earlier = RealMachine::default().since_boot_ms().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let later = RealMachine::default().since_boot_ms().unwrap();
        assert!((earlier + 10..earlier + 60_000).contains(&later), "{earlier} {later}");
        assert_eq!(RealMachine::default().process_id(), std::process::id());
    }
}
