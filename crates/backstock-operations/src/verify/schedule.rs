//! How often each replica is looked at, and what is due: a pure function of what the catalog knows and of the time.
//!
//! The time of day may jump. A check whose time lies ahead of now says nothing about how long ago it was: of such ones a
//! single one is made again in each run, so that a clock that was set back never makes everything due, and a time that was
//! wrong once is forgotten after a while.

use std::fmt;

use backstock_vocabulary::{BackupId, StorageId, VerifyLevel};
use jiff::{SignedDuration, Timestamp};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{ErrorKind, OperationError, Result};

/// How often the parts of a replica are looked for where nothing else is said, in days.
const PRESENT_DAYS: u32 = 7;
/// How often a replica is read whole where nothing else is said, in days.
const BYTES_DAYS: u32 = 30;
/// How much is read in one run where nothing else is said, in GiB.
const READ_LIMIT_GIB: u32 = 20;
/// More days are none that anybody waits for.
const DAYS_LIMIT: u32 = 3_650;

/// A number of days, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Every so many days.
    Days(u32),
    /// Never.
    Off,
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct DaysOrOff;
        impl Visitor<'_> for DaysOrOff {
            type Value = Every;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of days, or \"off\"")
            }

            fn visit_i64<E: de::Error>(self, days: i64) -> std::result::Result<Every, E> {
                let days = u32::try_from(days).ok().filter(|days| (1..=DAYS_LIMIT).contains(days));
                days.map(Every::Days).ok_or_else(|| {
                    E::custom(format!("1 to {DAYS_LIMIT} days may be said, or \"off\" for never"))
                })
            }

            fn visit_u64<E: de::Error>(self, days: u64) -> std::result::Result<Every, E> {
                self.visit_i64(i64::try_from(days).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Every, E> {
                if text == "off" {
                    Ok(Every::Off)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
        }
        deserializer.deserialize_any(DaysOrOff)
    }
}

impl Every {
    fn days(self) -> Option<u32> {
        match self {
            Self::Days(days) => Some(days),
            Self::Off => None,
        }
    }
}

/// What may be written in a configuration file. What is left out is decided by [`VerifySettings::schedule`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifySettings {
    /// How often it is looked whether every part of a replica is there with its size.
    pub present_days: Option<Every>,
    /// How often every part of a replica is read and hashed.
    pub bytes_days: Option<Every>,
    /// How often every row and file of a replica is decoded, where it is unsealed or a key is given. Never where nothing is said.
    pub decoded_days: Option<Every>,
    /// How much is read in one run, in GiB; of what is due the oldest goes first, and at least one replica.
    pub read_limit_gib: Option<u32>,
    /// Whether what is due is checked after each backup too. It is where nothing is said.
    pub after_backup: Option<bool>,
}

/// How often each replica is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifySchedule {
    /// Days between looks for the parts; none: never.
    pub present_days: Option<u32>,
    /// Days between readings; none: never.
    pub bytes_days: Option<u32>,
    /// Days between decodings; none: never.
    pub decoded_days: Option<u32>,
    /// How much is read in one run, in bytes.
    pub read_limit_bytes: u64,
}

impl VerifySettings {
    /// These settings where they say anything of a schedule; else those that mean the one that stood with the set of before.
    #[must_use]
    pub fn or_recovered(self, schedule: Option<VerifySchedule>) -> Self {
        let every = |days: Option<u32>| Some(days.map_or(Every::Off, Every::Days));
        let after_backup = self.after_backup;
        match schedule {
            Some(schedule) if self == (Self { after_backup, ..Self::default() }) => Self {
                present_days: every(schedule.present_days),
                bytes_days: every(schedule.bytes_days),
                decoded_days: every(schedule.decoded_days),
                read_limit_gib: u32::try_from(schedule.read_limit_bytes >> 30).ok(),
                after_backup,
            },
            _ => self,
        }
    }

    /// Whether what is due is checked after each backup.
    pub fn acts_after_backup(&self) -> bool {
        self.after_backup.unwrap_or(true)
    }

    /// The schedule that these settings mean.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for a limit of nothing.
    pub fn schedule(&self) -> Result<VerifySchedule> {
        if self.read_limit_gib == Some(0) {
            return Err(OperationError::hinted(
                ErrorKind::Refused,
                "reading at most 0 GiB in a run would check nothing",
                "give read_limit_gib 1 or more; bytes_days = \"off\" turns the reading off",
            ));
        }
        let of = |given: Option<Every>, usual| given.map_or(usual, Every::days);
        Ok(VerifySchedule {
            present_days: of(self.present_days, Some(PRESENT_DAYS)),
            bytes_days: of(self.bytes_days, Some(BYTES_DAYS)),
            decoded_days: of(self.decoded_days, None),
            read_limit_bytes: u64::from(self.read_limit_gib.unwrap_or(READ_LIMIT_GIB)) << 30,
        })
    }
}

impl VerifySchedule {
    /// Whether nothing is ever due.
    pub fn is_off(&self) -> bool {
        self.present_days.is_none() && self.bytes_days.is_none() && self.decoded_days.is_none()
    }

    fn days(&self, level: VerifyLevel) -> Option<u32> {
        match level {
            VerifyLevel::Present => self.present_days,
            VerifyLevel::Bytes => self.bytes_days,
            VerifyLevel::Decoded => self.decoded_days,
            VerifyLevel::Drilled => None,
        }
    }
}

/// What is known of one replica.
#[derive(Debug, Clone)]
pub struct KnownReplica {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// When the backup was finished.
    pub finished: Timestamp,
    /// What a reading of it reads, in bytes.
    pub stored_bytes: u64,
    /// What decoding it reads: it and what its files build on, in bytes; none where it cannot be decoded here.
    pub decoded_bytes: Option<u64>,
    /// When it was last looked at, and how deep.
    pub checks: Vec<(VerifyLevel, Timestamp)>,
}

/// A check that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DueCheck {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// How deep.
    pub level: VerifyLevel,
    /// How deep it goes where this is not possible: also due by itself.
    pub otherwise: Option<VerifyLevel>,
    /// When that was last done; never: since the backup was finished.
    pub last: Option<Timestamp>,
    /// Since when it is counted.
    pub since: Timestamp,
    /// What it reads, in bytes.
    pub read_bytes: u64,
}

impl DueCheck {
    /// Why it is due, for people.
    pub fn why(&self, now: Timestamp) -> String {
        if self.since > now {
            return "the time of the last check lies ahead of now".to_owned();
        }
        let days = now.duration_since(self.since).as_hours() / 24;
        match self.last {
            Some(_) => format!("last done {days} days ago"),
            None => format!("not done in the {days} days since the backup"),
        }
    }
}

/// What is due.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyPlan {
    /// What says so.
    pub schedule: VerifySchedule,
    /// The time that it was asked at.
    pub now: Timestamp,
    /// What is checked in this run, in this order.
    pub checks: Vec<DueCheck>,
    /// What is due and more than is read in one run: the next ones go on with it.
    pub waiting: Vec<DueCheck>,
}

/// The levels that are checked on a schedule, the deepest first.
const LEVELS: [VerifyLevel; 3] = [VerifyLevel::Decoded, VerifyLevel::Bytes, VerifyLevel::Present];

/// What is due at a time.
pub fn plan_verify(schedule: VerifySchedule, replicas: &[KnownReplica], now: Timestamp) -> VerifyPlan {
    let mut due = Vec::new();
    let mut undated = Vec::new();
    for replica in replicas {
        let (mut dated, ahead) = due_levels(schedule, replica, now);
        if let Some(check) = dated.pop() {
            due.push((check, dated));
        } else if let Some(check) = ahead {
            undated.push(check);
        }
    }
    due.sort_by_key(|(check, _)| (check.since, check.backup, check.storage));
    undated.sort_by_key(|check| (check.since, check.backup, check.storage));
    // One at a time: see above.
    due.extend(undated.into_iter().next().map(|check| (check, Vec::new())));
    let (mut looks, mut readings, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut read_bytes = 0_u64;
    let mut is_full = false;
    for (check, mut shallower) in due {
        let total = read_bytes.saturating_add(check.read_bytes);
        if check.level == VerifyLevel::Present {
            looks.push(check);
        } else if !is_full && (readings.is_empty() || total <= schedule.read_limit_bytes) {
            read_bytes = total;
            readings.push(check);
        } else {
            // What is younger does not overtake it.
            is_full = true;
            looks.extend(shallower.drain(..).filter(|check| check.level == VerifyLevel::Present));
            waiting.push(check);
        }
    }
    looks.extend(readings);
    VerifyPlan { schedule, now, checks: looks, waiting }
}

/// The levels of one replica that are due, the shallowest first, and else the deepest whose last check lies ahead of now.
fn due_levels(
    schedule: VerifySchedule,
    replica: &KnownReplica,
    now: Timestamp,
) -> (Vec<DueCheck>, Option<DueCheck>) {
    let mut due: Vec<DueCheck> = Vec::new();
    let mut ahead = None;
    for level in LEVELS {
        let read_bytes = match level {
            VerifyLevel::Present => Some(0),
            VerifyLevel::Bytes => Some(replica.stored_bytes),
            _ => replica.decoded_bytes,
        };
        let (Some(days), Some(read_bytes)) = (schedule.days(level), read_bytes) else { continue };
        let last = replica.checks.iter().filter(|(done, _)| *done >= level).map(|(_, at)| *at).max();
        let since = last.unwrap_or(replica.finished);
        let (backup, storage) = (replica.backup, replica.storage);
        let check = DueCheck { backup, storage, level, otherwise: None, last, since, read_bytes };
        if since > now {
            ahead = ahead.or(Some(check));
        } else if now.duration_since(since) >= SignedDuration::from_hours(24 * i64::from(days)) {
            if let Some(deeper) = due.last_mut() {
                deeper.otherwise = Some(level);
            }
            due.push(check);
        }
    }
    due.reverse();
    (due, ahead)
}

#[cfg(test)]
mod tests;
