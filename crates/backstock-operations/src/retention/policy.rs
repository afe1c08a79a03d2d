//! The policy: which backups are wanted, as it may be written down, and as it is acted on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, OperationError, Result};

/// How many newest snapshots of each reason are kept where nothing else is said.
const SNAPSHOTS: u32 = 3;
/// How long a marked backup is left alone where nothing else is said, in hours.
const GRACE_HOURS: u32 = 24;

/// What may be written in a configuration file, or given for one run. What is left out is decided by
/// [`RetentionSettings::policy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Keep this many newest restore points.
    pub keep_last: Option<u32>,
    /// Delete what is older than this many days, counted back from the newest verified backup, whatever else keeps it.
    pub delete_after_days: Option<u32>,
    /// Keep the newest of each of this many days.
    pub daily: Option<u32>,
    /// Keep one of each of this many weeks.
    pub weekly: Option<u32>,
    /// Keep one of each of this many months.
    pub monthly: Option<u32>,
    /// Keep one of each of this many years.
    pub yearly: Option<u32>,
    /// Keep this many newest snapshots of each reason (pre-restore, pre-upgrade).
    pub keep_snapshots: Option<u32>,
    /// Whether backups that lack named things count like whole ones.
    pub count_exceptions: Option<bool>,
    /// How long what was marked stays before it goes, in hours.
    pub grace_hours: Option<u32>,
    /// How many whole replicas the newest backup must have; what the set says, not the policy.
    #[serde(skip)]
    pub required_copies: Option<u32>,
    /// Whether what the policy lets go goes after each backup too, and not by `prune` alone. It does where nothing is said.
    pub after_backup: Option<bool>,
}

/// A policy that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Keep this many newest restore points; 0 where there is no such rule.
    pub keep_last: u32,
    /// Delete what is older, in days; none where there is no such rule.
    pub delete_after_days: Option<u32>,
    /// Keep the newest of each of this many days.
    pub daily: u32,
    /// Keep one of each of this many ISO weeks.
    pub weekly: u32,
    /// Keep one of each of this many months.
    pub monthly: u32,
    /// Keep one of each of this many years.
    pub yearly: u32,
    /// Keep this many newest snapshots of each reason.
    pub keep_snapshots: u32,
    /// Whether backups that lack named things count like whole ones.
    pub count_exceptions: bool,
    /// How long what was marked stays before it goes, in hours.
    pub grace_hours: u32,
    /// How many whole replicas the newest backup of the set must have, or nothing goes anywhere.
    #[serde(default = "one")]
    pub required_copies: u32,
}

fn one() -> u32 {
    1
}

impl Default for RetentionPolicy {
    /// 7 daily, 4 weekly, 12 monthly and 1 yearly generation.
    fn default() -> Self {
        Self {
            keep_last: 0,
            delete_after_days: None,
            daily: 7,
            weekly: 4,
            monthly: 12,
            yearly: 1,
            keep_snapshots: SNAPSHOTS,
            count_exceptions: false,
            grace_hours: GRACE_HOURS,
            required_copies: 1,
        }
    }
}

impl From<RetentionPolicy> for RetentionSettings {
    /// Settings that mean that very policy.
    fn from(policy: RetentionPolicy) -> Self {
        Self {
            keep_last: Some(policy.keep_last).filter(|count| *count > 0),
            delete_after_days: policy.delete_after_days,
            daily: Some(policy.daily),
            weekly: Some(policy.weekly),
            monthly: Some(policy.monthly),
            yearly: Some(policy.yearly),
            keep_snapshots: Some(policy.keep_snapshots),
            count_exceptions: Some(policy.count_exceptions),
            grace_hours: Some(policy.grace_hours),
            required_copies: Some(policy.required_copies),
            after_backup: None,
        }
    }
}

impl RetentionSettings {
    /// These settings where they say anything of a policy; else those that mean the one that stood with the set of before.
    #[must_use]
    pub fn or_recovered(self, policy: Option<RetentionPolicy>) -> Self {
        let Self { required_copies, after_backup, .. } = self;
        match policy {
            Some(policy) if self == (Self { required_copies, after_backup, ..Self::default() }) => {
                let recovered = Self::from(policy);
                let required_copies = required_copies.or(recovered.required_copies);
                Self { required_copies, after_backup, ..recovered }
            }
            _ => self,
        }
    }

    /// Whether the policy acts after each backup.
    pub fn acts_after_backup(&self) -> bool {
        self.after_backup.unwrap_or(true)
    }

    /// The policy that these settings mean. Where none of the rules is given, it is the default of 7 daily, 4 weekly,
    /// 12 monthly and 1 yearly; where one is given, the others are off.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for zero copies, zero days, and rules that contradict one another.
    pub fn policy(&self) -> Result<RetentionPolicy> {
        let rules = [self.keep_last, self.daily, self.weekly, self.monthly, self.yearly];
        if self.keep_last == Some(0) {
            return Err(refused("keeping the last 0 backups would delete every one", "give 1 or more"));
        }
        if self.delete_after_days == Some(0) {
            return Err(refused("deleting after 0 days would delete every backup", "give 1 day or more"));
        }
        if self.keep_snapshots == Some(0) {
            return Err(refused("keeping 0 snapshots would leave nothing to go back to", "give 1 or more"));
        }
        if self.required_copies == Some(0) {
            return Err(refused(
                "a set that requires 0 copies would have no backup at all",
                "give 1 or more",
            ));
        }
        let is_given = rules.iter().any(Option::is_some) || self.delete_after_days.is_some();
        if is_given
            && rules.iter().all(|rule| matches!(rule, None | Some(0)))
            && self.delete_after_days.is_none()
        {
            return Err(refused("the policy would keep no backup at all", "keep at least one of something"));
        }
        let usual = RetentionPolicy::default();
        let of = |given: Option<u32>, usual: u32| given.unwrap_or(if is_given { 0 } else { usual });
        let policy = RetentionPolicy {
            keep_last: of(self.keep_last, usual.keep_last),
            delete_after_days: self.delete_after_days,
            daily: of(self.daily, usual.daily),
            weekly: of(self.weekly, usual.weekly),
            monthly: of(self.monthly, usual.monthly),
            yearly: of(self.yearly, usual.yearly),
            keep_snapshots: self.keep_snapshots.unwrap_or(usual.keep_snapshots),
            count_exceptions: self.count_exceptions.unwrap_or(usual.count_exceptions),
            grace_hours: self.grace_hours.unwrap_or(usual.grace_hours),
            required_copies: self.required_copies.unwrap_or(usual.required_copies),
        };
        policy.refuse_contradictions()?;
        Ok(policy)
    }
}

impl RetentionPolicy {
    /// Whether a rule says how many restore points are wanted; if none does, age alone decides.
    pub(super) fn limits_the_count(&self) -> bool {
        [self.keep_last, self.daily, self.weekly, self.monthly, self.yearly].iter().any(|count| *count > 0)
    }

    /// Generations that everything would be too old for.
    fn refuse_contradictions(&self) -> Result<()> {
        let Some(days) = self.delete_after_days else { return Ok(()) };
        let rules = [
            ("daily", self.daily, 1),
            ("weekly", self.weekly, 7),
            ("monthly", self.monthly, 28),
            ("yearly", self.yearly, 365),
        ];
        for (name, count, length_days) in rules {
            let reach_days = u64::from(count.saturating_sub(1)) * length_days;
            if reach_days > u64::from(days) {
                return Err(refused(
                    format!(
                        "{count} {name} backups reach back {reach_days} days, and what is older than {days} days is deleted"
                    ),
                    "keep fewer, or delete later",
                ));
            }
        }
        Ok(())
    }
}

fn refused(message: impl Into<String>, hint: &str) -> OperationError {
    OperationError::hinted(ErrorKind::Refused, message, hint)
}

impl fmt::Display for RetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("last", self.keep_last),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        ];
        let rules: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if rules.is_empty() {
            f.write_str("keep every backup")?;
        } else {
            write!(f, "keep {}", rules.join(", "))?;
        }
        if let Some(days) = self.delete_after_days {
            write!(f, "; delete after {days} days")?;
        }
        write!(f, "; {} snapshots of each reason; {} hours of grace", self.keep_snapshots, self.grace_hours)?;
        if self.required_copies > 1 {
            write!(f, "; {} copies required", self.required_copies)?;
        }
        Ok(())
    }
}
