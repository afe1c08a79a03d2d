//! What may be said about levels: which days have a full backup, what is made otherwise, and how long a chain may become.

use std::fmt;

use backstock_vocabulary::Level;
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::de::{self, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{ErrorKind, OperationError, Result};

/// How many backups a chain may have, the full one counted, where nothing else is said.
pub(super) const MAX_CHAIN_LENGTH: u32 = 30;
/// More are never put into one chain: each has to be looked at before a restore.
pub(super) const CHAIN_LENGTH_LIMIT: u32 = 1_000;
/// How much of the untouched files each backup reads all the same where nothing else is said, in MiB.
const REHASH_MIB: u32 = 256;
/// How old the last full backup may become where `auto` is asked for and no plan tells the days.
const FULL_AFTER_DAYS: i32 = 7;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelChoice {
    /// Everything.
    Full,
    /// What changed since the last full backup.
    Differential,
    /// What changed since the last backup.
    Incremental,
    /// What the plan says for today.
    Auto,
}

/// A day that has a full backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FullDay {
    /// Every day.
    Daily,
    /// Every Monday.
    Monday,
    /// Every Tuesday.
    Tuesday,
    /// Every Wednesday.
    Wednesday,
    /// Every Thursday.
    Thursday,
    /// Every Friday.
    Friday,
    /// Every Saturday.
    Saturday,
    /// Every Sunday.
    Sunday,
    /// The first day of every month.
    Monthly,
}

/// One day or a list of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullDays(pub Vec<FullDay>);

impl<'de> Deserialize<'de> for FullDays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = FullDays;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a weekday, \"daily\", \"monthly\", or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<FullDays, E> {
                FullDay::deserialize(text.into_deserializer()).map(|day| FullDays(vec![day]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut days: A) -> std::result::Result<FullDays, A::Error> {
                let mut found = Vec::new();
                while let Some(day) = days.next_element()? {
                    found.push(day);
                }
                Ok(FullDays(found))
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// What may be written in a configuration file. What is left out is decided by [`LevelSettings::rules`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSettings {
    /// On which days (UTC) a full backup is made. With it there is a plan, and a backup follows it unless a level is asked for.
    pub full: Option<FullDays>,
    /// What is made on other days: `incremental` or `differential`.
    pub otherwise: Option<Level>,
    /// How many backups a chain may have, the full one counted.
    pub max_chain_length: Option<u32>,
    /// How much of the untouched files each backup reads all the same, in MiB; 0 for nothing.
    pub rehash_mib: Option<u32>,
}

/// Rules that make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelRules {
    /// The days of the plan; without any there is none.
    pub(super) full: Vec<FullDay>,
    /// What is made on other days.
    pub(super) otherwise: Level,
    /// How many backups a chain may have.
    pub(super) max_chain_length: u32,
    /// How much of the untouched files is read, in bytes.
    pub(super) rehash_bytes: u64,
}

impl Default for LevelRules {
    fn default() -> Self {
        Self {
            full: Vec::new(),
            otherwise: Level::Incremental,
            max_chain_length: MAX_CHAIN_LENGTH,
            rehash_bytes: u64::from(REHASH_MIB) << 20,
        }
    }
}

impl LevelSettings {
    /// The rules that these settings mean.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for a plan without days, `full` on other days, and a chain of no or too many backups.
    pub fn rules(&self) -> Result<LevelRules> {
        let full = match &self.full {
            None => Vec::new(),
            Some(FullDays(days)) if days.is_empty() => {
                return Err(refused(
                    "a plan needs a day for its full backup",
                    "give a weekday, or leave `full` out",
                ));
            }
            Some(FullDays(days)) => days.clone(),
        };
        let otherwise = self.otherwise.unwrap_or(Level::Incremental);
        if otherwise == Level::Full {
            let hint = "give `full = \"daily\"`";
            return Err(refused("`otherwise` is for the days without a full backup", hint));
        }
        if full.is_empty() && self.otherwise.is_some() {
            return Err(refused("`otherwise` needs the days of the full backups", "give `full` too"));
        }
        let max_chain_length = self.max_chain_length.unwrap_or(MAX_CHAIN_LENGTH);
        if !(1..=CHAIN_LENGTH_LIMIT).contains(&max_chain_length) {
            return Err(refused(
                &format!("a chain of {max_chain_length} backups is not possible"),
                &format!("give 1 to {CHAIN_LENGTH_LIMIT} as max_chain_length"),
            ));
        }
        let rehash_bytes = u64::from(self.rehash_mib.unwrap_or(REHASH_MIB)) << 20;
        Ok(LevelRules { full, otherwise, max_chain_length, rehash_bytes })
    }
}

fn refused(message: &str, hint: &str) -> OperationError {
    OperationError::hinted(ErrorKind::Refused, message, hint)
}

impl LevelRules {
    /// What is made where no level is asked for: without a plan everything, so that each backup stands alone.
    pub(super) fn usual(&self) -> LevelChoice {
        if self.full.is_empty() { LevelChoice::Full } else { LevelChoice::Auto }
    }

    /// Whether a full backup is due, when the last one began at this time: one that was missed is made up for.
    pub(super) fn is_full_due(&self, last_full: Timestamp, now: Timestamp) -> bool {
        let (last, today) = (day_of(last_full), day_of(now));
        if self.full.is_empty() {
            let Ok(age) = last.until(today) else { return true };
            return age.get_days() >= FULL_AFTER_DAYS;
        }
        // No month is longer; a day that lies further back is made up for by the one after it.
        let mut day = today;
        for _ in 0..31 {
            if day <= last {
                return false;
            }
            if self.full.iter().any(|full| full.is_on(day)) {
                return true;
            }
            let Ok(before) = day.yesterday() else { return true };
            day = before;
        }
        day > last
    }
}

fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

impl FullDay {
    fn is_on(self, day: Date) -> bool {
        let weekday = match self {
            Self::Daily => return true,
            Self::Monthly => return day.day() == 1,
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        };
        day.weekday() == weekday
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(days: &[FullDay]) -> LevelRules {
        LevelRules { full: days.to_vec(), ..LevelRules::default() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_full_one_is_due_on_its_day_and_until_it_was_made() {
        let sunday = rules(&[FullDay::Sunday]);
        // 2026-11-22 is a Sunday.
        let made = at("2026-11-22T03:00:00Z");
        for (now, due) in [
            ("2026-11-22T23:00:00Z", false),
            ("2026-11-28T23:59:59Z", false),
            ("2026-11-29T00:00:00Z", true),
            ("2026-12-02T03:00:00Z", true),
            ("2027-12-01T03:00:00Z", true),
        ] {
            assert_eq!(sunday.is_full_due(made, at(now)), due, "{now}");
        }
        let monthly = rules(&[FullDay::Monthly]);
        assert!(!monthly.is_full_due(made, at("2026-11-30T23:00:00Z")));
        assert!(monthly.is_full_due(made, at("2026-12-31T23:00:00Z")));
        let daily = rules(&[FullDay::Daily]);
        assert!(!daily.is_full_due(made, at("2026-11-22T03:00:01Z")));
        assert!(daily.is_full_due(made, at("2026-11-23T00:00:00Z")));
    }

    #[test]
    fn without_a_plan_a_full_one_is_due_after_a_week() {
        let none = rules(&[]);
        assert!(!none.is_full_due(at("2026-11-22T03:00:00Z"), at("2026-11-28T23:00:00Z")));
        assert!(none.is_full_due(at("2026-11-22T03:00:00Z"), at("2026-11-29T01:00:00Z")));
        assert_eq!((none.usual(), rules(&[FullDay::Daily]).usual()), (LevelChoice::Full, LevelChoice::Auto));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let usual = LevelSettings::default();
        let sunday = Some(FullDays(vec![FullDay::Sunday]));
        let bad = [
            LevelSettings { full: Some(FullDays(Vec::new())), ..usual.clone() },
            LevelSettings { full: sunday.clone(), otherwise: Some(Level::Full), ..usual.clone() },
            LevelSettings { otherwise: Some(Level::Differential), ..usual.clone() },
            LevelSettings { max_chain_length: Some(0), ..usual.clone() },
            LevelSettings { max_chain_length: Some(1_001), ..usual.clone() },
        ];
        for settings in bad {
            assert_eq!(settings.rules().unwrap_err().kind(), ErrorKind::Refused, "{settings:?}");
        }
        assert_eq!(usual.rules().unwrap(), LevelRules::default());
    }
}
