//! Why a backup stays or goes: as data for programs, and in words for people.

use std::fmt;

use backstock_vocabulary::BackupId;
use serde::Serialize;

/// Stays or goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reasons", rename_all = "kebab-case")]
pub enum Decision {
    /// It stays. Each reason would be enough.
    Keep(Vec<KeepReason>),
    /// It goes.
    Go(Vec<GoReason>),
}

/// A rule that has a number of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotRule {
    /// The newest restore points.
    Last,
    /// One of each day.
    Daily,
    /// One of each ISO week.
    Weekly,
    /// One of each month.
    Monthly,
    /// One of each year.
    Yearly,
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum KeepReason {
    /// A person wants it kept.
    Pinned,
    /// A restore that was not accepted yet needs it.
    OpenRestore,
    /// Somebody reads it just now.
    BeingRead,
    /// Nothing is deleted while no backup here has a chain that is wholly verified.
    NothingVerified,
    /// Nothing is deleted while the newest backup has fewer copies than its set requires.
    TooFewCopies,
    /// The newest that is wholly verified, or what that builds on.
    Floor,
    /// The next backup follows its number.
    Newest,
    /// It has a place by a rule of the policy, counted from 1.
    Place {
        /// The rule.
        of: SlotRule,
        /// Which of its places.
        place: u32,
    },
    /// No rule limits how many are kept.
    NoLimit,
    /// Its date cannot be right: no rule ages it, and it takes nobody's place.
    Undated,
    /// Implausibly much was gone or rewritten: a person must look at it.
    Suspect,
    /// It is older than a suspect backup that nobody has looked at.
    BeforeSuspect,
    /// It is one of the newest snapshots of its reason, counted from 1.
    Snapshot {
        /// Which of them.
        place: u32,
    },
    /// It is one of the newest that cannot be used; kept for a while to be looked at.
    Leftover {
        /// Which of them.
        place: u32,
    },
    /// It was made of a dump by others, by hand; it goes by hand.
    Imported,
    /// A kept backup builds on it.
    NeededBy {
        /// That one.
        backup: BackupId,
    },
    /// Nobody asked for its deletion.
    NotAsked,
}

/// Why a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum GoReason {
    /// A deletion that was begun is finished.
    UnderWay,
    /// A person asked for it.
    ByHand,
    /// It is older than the policy allows, counted back from the newest verified backup.
    TooOld {
        /// Its age in days.
        age_days: i64,
    },
    /// No rule of the policy keeps it.
    NoRule,
    /// There are enough newer snapshots of its reason.
    BeyondSnapshots,
    /// There are enough newer ones that cannot be used.
    BeyondLeftovers,
}

impl Decision {
    /// Whether it stays.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep(_))
    }

    /// The reasons in words.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Keep(reasons) => reasons.iter().map(ToString::to_string).collect(),
            Self::Go(reasons) => reasons.iter().map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Display for SlotRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        })
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned => f.write_str("pinned"),
            Self::OpenRestore => f.write_str("needed by a restore that was not accepted yet"),
            Self::BeingRead => f.write_str("somebody reads it just now"),
            Self::NothingVerified => f.write_str("no backup here is wholly verified"),
            Self::TooFewCopies => f.write_str("the newest backup lacks required copies"),
            Self::Floor => f.write_str("newest that is wholly verified"),
            Self::Newest => f.write_str("newest of the set"),
            Self::Place { of, place } => write!(f, "{of} {place}"),
            Self::NoLimit => f.write_str("no rule limits how many"),
            Self::Undated => f.write_str("undated: its date cannot be right"),
            Self::Suspect => f.write_str("suspect: somebody must look at it"),
            Self::BeforeSuspect => f.write_str("older than a suspect backup"),
            Self::Snapshot { place } => write!(f, "snapshot {place}"),
            Self::Leftover { place } => write!(f, "unusable {place}"),
            Self::Imported => f.write_str("imported by hand"),
            Self::NeededBy { backup } => write!(f, "needed by {}", backup.short()),
            Self::NotAsked => f.write_str("not asked for"),
        }
    }
}

impl fmt::Display for GoReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("its deletion has begun"),
            Self::ByHand => f.write_str("asked for by hand"),
            Self::TooOld { age_days } => write!(f, "{age_days} days older than the newest verified"),
            Self::NoRule => f.write_str("no rule keeps it"),
            Self::BeyondSnapshots => f.write_str("enough newer snapshots"),
            Self::BeyondLeftovers => f.write_str("enough newer unusable ones"),
        }
    }
}
