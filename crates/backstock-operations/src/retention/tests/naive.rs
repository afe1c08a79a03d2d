//! The same decision said the slow way: for each backup by itself, from the rules as a person would read them.

use std::collections::BTreeSet;

use backstock_vocabulary::{BackupId, Content, Level, MarkCause, Reason, ReplicaState};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::retention::{KnownBackup, RetentionFacts, Wish};

const HOUR: i64 = 3600;

/// The facts, asked one question at a time.
pub(super) struct Naive<'a>(pub(super) &'a RetentionFacts);

impl Naive<'_> {
    fn all(&self) -> impl Iterator<Item = &KnownBackup> {
        self.0.backups.iter()
    }

    fn is_before(one: &KnownBackup, other: &KnownBackup) -> bool {
        (one.sequence, one.id) < (other.sequence, other.id)
    }

    fn parent(&self, of: &KnownBackup) -> Option<&KnownBackup> {
        self.all().find(|backup| Some(backup.id) == of.parent && Self::is_before(backup, of))
    }

    pub(super) fn builds_on(&self, child: &KnownBackup, ancestor: BackupId) -> bool {
        self.parent(child).is_some_and(|parent| parent.id == ancestor || self.builds_on(parent, ancestor))
    }

    fn is_there(backup: &KnownBackup) -> bool {
        backup.state == ReplicaState::Present || backup.state == ReplicaState::Verified
    }

    fn is_closed(&self, backup: &KnownBackup) -> bool {
        match (backup.parent, self.parent(backup)) {
            (None, _) => backup.level == Level::Full,
            (Some(_), None) => false,
            (Some(_), Some(parent)) => {
                Self::is_there(parent) && parent.content != Content::Unusable && self.is_closed(parent)
            }
        }
    }

    fn is_wholly_verified(&self, backup: &KnownBackup) -> bool {
        let parent_is = self.parent(backup).is_none_or(|parent| self.is_wholly_verified(parent));
        backup.state == ReplicaState::Verified && self.is_closed(backup) && parent_is
    }

    /// Undated is what some longest row of plausible dates does without.
    pub(super) fn is_undated(&self, backup: &KnownBackup) -> bool {
        let earliest: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let is_plausible = |backup: &KnownBackup| {
            backup.started >= earliest && backup.started.as_second() <= self.0.now.as_second() + 24 * HOUR
        };
        let mut row: Vec<&KnownBackup> = self.all().filter(|backup| is_plausible(backup)).collect();
        row.sort_by_key(|backup| (backup.sequence, backup.id));
        let without: Vec<&KnownBackup> = row.iter().copied().filter(|other| other.id != backup.id).collect();
        !is_plausible(backup) || longest_row(&row) == longest_row(&without)
    }

    fn is_by_hand(&self, backup: &KnownBackup) -> bool {
        let is_asked = matches!(&self.0.wish, Wish::ByHand(ids) if ids.contains(&backup.id));
        is_asked || backup.mark == Some(MarkCause::ByHand)
    }

    fn is_under_way(backup: &KnownBackup) -> bool {
        backup.state == ReplicaState::Deleting
    }

    fn is_snapshot(backup: &KnownBackup) -> bool {
        backup.reason == Reason::PreRestore || backup.reason == Reason::PreUpgrade
    }

    /// One that the policy is about at all.
    fn is_ordinary(&self, backup: &KnownBackup) -> bool {
        !Self::is_under_way(backup)
            && !self.is_by_hand(backup)
            && !self.is_undated(backup)
            && !Self::is_snapshot(backup)
            && backup.reason != Reason::Imported
    }

    fn is_suspect(&self, backup: &KnownBackup) -> bool {
        self.is_ordinary(backup) && backup.content == Content::Suspect && !backup.is_confirmed
    }

    pub(super) fn counts(&self, backup: &KnownBackup) -> bool {
        let is_plausible = match backup.content {
            Content::Whole | Content::WholeExcept => true,
            Content::Suspect => backup.is_confirmed,
            Content::Unusable => false,
        };
        let is_whole = is_plausible && (!backup.has_open_exceptions || self.0.policy.count_exceptions);
        self.is_ordinary(backup) && is_whole && Self::is_there(backup) && self.is_closed(backup)
    }

    fn is_lesser(&self, backup: &KnownBackup) -> bool {
        self.is_ordinary(backup) && backup.content != Content::Unusable && !self.counts(backup)
    }

    pub(super) fn floor(&self) -> Option<&KnownBackup> {
        let good = self.all().filter(|backup| self.counts(backup) && self.is_wholly_verified(backup));
        good.max_by_key(|backup| (backup.sequence, backup.id))
    }

    /// Whether it has a place among those that take part in the competition with it.
    fn has_place(&self, backup: &KnownBackup) -> bool {
        let policy = &self.0.policy;
        let takes_part = |other: &KnownBackup| {
            let mut suspects = self.all().filter(|suspect| self.is_suspect(suspect)).peekable();
            let is_after_suspects =
                suspects.peek().is_none() || suspects.any(|suspect| Self::is_before(suspect, other));
            is_after_suspects && (self.counts(other) || (self.is_lesser(backup) && self.is_lesser(other)))
        };
        if !takes_part(backup) {
            return false;
        }
        let others: Vec<&KnownBackup> = self.all().filter(|other| takes_part(other)).collect();
        let newer = others.iter().filter(|other| Self::is_before(backup, other)).count();
        let text =
            |other: &KnownBackup| other.started.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string();
        let by_day = |other: &KnownBackup| text(other);
        let by_week =
            |other: &KnownBackup| other.started.to_zoned(TimeZone::UTC).strftime("%G-%V").to_string();
        let by_month = |other: &KnownBackup| text(other)[..7].to_owned();
        let by_year = |other: &KnownBackup| text(other)[..4].to_owned();
        newer < policy.keep_last as usize
            || is_one_of_generation(backup, &others, policy.daily, false, &by_day)
            || is_one_of_generation(backup, &others, policy.weekly, true, &by_week)
            || is_one_of_generation(backup, &others, policy.monthly, true, &by_month)
            || is_one_of_generation(backup, &others, policy.yearly, true, &by_year)
    }

    fn is_too_old(&self, backup: &KnownBackup) -> bool {
        match (self.0.policy.delete_after_days, self.floor()) {
            (Some(days), Some(floor)) => {
                floor.started.as_second() - backup.started.as_second() > i64::from(days) * 24 * HOUR
            }
            _ => false,
        }
    }

    fn newer_of_its_kind(&self, backup: &KnownBackup, is_alike: &dyn Fn(&KnownBackup) -> bool) -> usize {
        self.all().filter(|other| is_alike(other) && Self::is_before(backup, other)).count()
    }

    fn policy_keeps(&self, backup: &KnownBackup) -> bool {
        if self.is_by_hand(backup) {
            return false;
        }
        let protected = self.all().any(|suspect| {
            self.is_suspect(suspect)
                && !Self::is_before(suspect, backup)
                && !self.all().any(|first| self.is_suspect(first) && Self::is_before(first, suspect))
        });
        if protected || self.is_undated(backup) {
            return true;
        }
        let policy = &self.0.policy;
        if Self::is_snapshot(backup) {
            let is_alike = |other: &KnownBackup| {
                other.reason == backup.reason
                    && !Self::is_under_way(other)
                    && !self.is_by_hand(other)
                    && !self.is_undated(other)
            };
            return self.newer_of_its_kind(backup, &is_alike) < policy.keep_snapshots as usize;
        }
        if backup.reason == Reason::Imported {
            return true;
        }
        if backup.content == Content::Unusable {
            let is_alike =
                |other: &KnownBackup| self.is_ordinary(other) && other.content == Content::Unusable;
            return self.newer_of_its_kind(backup, &is_alike) < 3;
        }
        let limits = [policy.keep_last, policy.daily, policy.weekly, policy.monthly, policy.yearly];
        !self.is_too_old(backup) && (limits == [0; 5] || self.has_place(backup))
    }

    /// Kept for itself, not for a child.
    fn is_kept_itself(&self, backup: &KnownBackup) -> bool {
        let Some(floor) = self.floor().filter(|_| self.0.shortage.is_none()) else { return true };
        let is_newest = !self.all().any(|other| !Self::is_under_way(other) && Self::is_before(backup, other));
        let is_wanted = match self.0.wish {
            Wish::Policy => self.policy_keeps(backup),
            Wish::ByHand(_) => !self.is_by_hand(backup),
        };
        backup.is_pinned
            || backup.is_needed
            || backup.is_being_read
            || is_newest
            || floor.id == backup.id
            || self.builds_on(floor, backup.id)
            || is_wanted
    }

    /// What stays.
    pub(super) fn kept(&self) -> BTreeSet<BackupId> {
        let stays = |backup: &&KnownBackup| {
            let is_needed = || {
                self.all().any(|child| {
                    !Self::is_under_way(child)
                        && self.is_kept_itself(child)
                        && self.builds_on(child, backup.id)
                })
            };
            !Self::is_under_way(backup) && (self.is_kept_itself(backup) || is_needed())
        };
        self.all().filter(stays).map(|backup| backup.id).collect()
    }
}

/// The length of the longest row of dates in which none is more than an hour before the one before it.
fn longest_row(row: &[&KnownBackup]) -> usize {
    let mut lengths: Vec<usize> = Vec::new();
    for (at, backup) in row.iter().enumerate() {
        let fits = |before: &usize| row[*before].started.as_second() <= backup.started.as_second() + HOUR;
        lengths.push(1 + (0..at).filter(fits).map(|before| lengths[before]).max().unwrap_or(0));
    }
    lengths.into_iter().max().unwrap_or(0)
}

fn is_one_of_generation(
    backup: &KnownBackup,
    others: &[&KnownBackup],
    count: u32,
    prefers_full: bool,
    period_of: &dyn Fn(&KnownBackup) -> String,
) -> bool {
    let newest_of = |period: &str, only_full: bool| {
        let members = others.iter().filter(|other| period_of(other) == period);
        let wanted = members.filter(|other| !only_full || other.level == Level::Full);
        wanted.max_by_key(|other| (other.sequence, other.id)).copied()
    };
    let own = period_of(backup);
    let full = newest_of(&own, true).filter(|_| prefers_full);
    let newest = newest_of(&own, false);
    if full.or(newest).is_none_or(|chosen| chosen.id != backup.id) {
        return false;
    }
    let newest = newest.map(|newest| (newest.sequence, newest.id));
    let periods: BTreeSet<String> = others.iter().map(|other| period_of(other)).collect();
    let newer_periods = periods
        .iter()
        .filter(|period| newest_of(period, false).map(|other| (other.sequence, other.id)) > newest);
    newer_periods.count() < count as usize
}
