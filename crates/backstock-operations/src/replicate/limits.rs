//! How fast, and at which hours, a destination may be sent to.

use std::fmt;
use std::str::FromStr;

use backstock_catalog::Destination;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::size::{UNITS_TEXT, parse_bytes};

/// Slower than this nothing would ever arrive: 1 KiB a second.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// What a destination allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The most bytes in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<ByteRate>,
    /// The hours in which it may be sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// Bytes in a second: at least 1 KiB. It is read as text, as in `5 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteRate(u64);

impl ByteRate {
    /// In bytes a second.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteRate {
    type Err = OperationError;

    /// # Errors
    /// [`ErrorKind::Refused`] for what is no size, or below 1 KiB a second.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |message: String| OperationError::plain(ErrorKind::Refused, message);
        match parse_bytes(text) {
            None => Err(refused(format!(
                "{text:?} is no speed: give what may go in a second, a whole number with {UNITS_TEXT}"
            ))),
            Some(bytes) if bytes < SLOWEST_BYTES_PER_SECOND => Err(refused(format!(
                "{text} a second would never bring a backup anywhere: give 1 KiB or more"
            ))),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// Whether a destination may be sent to now.
pub(crate) fn is_open_now(environment: &Environment, destination: &Destination) -> Result<bool> {
    let hours = read(&destination.settings)?.hours;
    Ok(hours.is_none_or(|hours| hours.allow(environment.host.clock.now(), &TimeZone::system())))
}

/// The limits in a row of the catalog.
pub(crate) fn read(settings: &serde_json::Value) -> Result<Limits> {
    serde_json::from_value(settings.clone()).doing("reading the limits of a destination")
}

/// Hours of every day, by the clock of this machine: from the first minute up to the last, over midnight where the last is the
/// earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: Time,
    to: Time,
}

impl Hours {
    /// Whether a moment lies within.
    pub fn allow(&self, now: Timestamp, zone: &TimeZone) -> bool {
        let now = now.to_zoned(zone.clone()).time();
        if self.from < self.to {
            self.from <= now && now < self.to
        } else {
            now >= self.from || now < self.to
        }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let refused = || format!("\"{text}\" are no hours: write them like 22:00-06:00");
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let is_short = |digits: &str| (1..=2).contains(&digits.len());
            let (hour, minute) = (Some(hour).filter(|hour| is_short(hour))?, Some(minute)?);
            let minute = Some(minute).filter(|minute| minute.len() == 2)?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = text.split_once('-').ok_or_else(refused)?;
        let (from, to) = time(from).zip(time(to)).ok_or_else(refused)?;
        if from == to {
            return Err(format!("\"{text}\" are no hours: leave them out where every hour will do"));
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_shown_and_go_over_midnight() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| format!("2026-11-22T{text}:00+01:00").parse::<Timestamp>().unwrap();
        let night: Hours = "22:00-6:30".parse().unwrap();
        assert_eq!(night.to_string(), "22:00-06:30");
        for (now, is_allowed) in [
            ("21:59", false),
            ("22:00", true),
            ("23:59", true),
            ("00:00", true),
            ("06:29", true),
            ("06:30", false),
        ] {
            assert_eq!(night.allow(at(now), &zone), is_allowed, "{now}");
        }
        let noon: Hours = "12:00-13:00".parse().unwrap();
        assert!(noon.allow(at("12:00"), &zone) && !noon.allow(at("13:00"), &zone));
        for wrong in ["", "22:00", "22-6", "24:00-01:00", "22:60-23:00", "1:1-2:00", "08:00-08:00", "-"] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
        let rate: ByteRate = "5 MB".parse().unwrap();
        assert_eq!(rate.bytes(), 5_000_000);
        for wrong in ["5", "fast", "0 B", "1023 B", "-1 MB"] {
            assert!(wrong.parse::<ByteRate>().is_err(), "{wrong}");
        }
        let limits = Limits { bytes_per_second: Some(rate), hours: Some(night) };
        assert_eq!(read(&serde_json::to_value(limits).unwrap()).unwrap(), limits);
        assert_eq!(read(&serde_json::json!({})).unwrap(), Limits::default());
    }
}
