//! Chains: what a backup builds on, and whether all of that is there.

use std::collections::HashMap;

use backstock_vocabulary::{BackupId, Content, Level, ReplicaState};

use super::facts::KnownBackup;

/// Backups in the order of their sequence, and who builds on whom.
pub(super) struct Chains {
    pub(super) backups: Vec<KnownBackup>,
    parents: Vec<Option<usize>>,
}

impl Chains {
    /// Puts the backups in order. Where sequence numbers are equal, which only a fork can bring about, identifiers decide.
    pub(super) fn of(backups: &[KnownBackup]) -> Self {
        let mut backups = backups.to_vec();
        backups.sort_by_key(|backup| (backup.sequence, backup.id));
        let places: HashMap<BackupId, usize> =
            backups.iter().enumerate().map(|(at, backup)| (backup.id, at)).collect();
        let parents = backups.iter().map(|backup| places.get(&backup.parent?).copied()).collect();
        Self { backups, parents }
    }

    /// What a backup builds on, the nearest first. A parent that does not come before its child ends the row: it cannot be
    /// one, and a circle has no end.
    pub(super) fn ancestors(&self, of: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = of;
        while let Some(parent) = self.parents[at].filter(|&parent| parent < at) {
            found.push(parent);
            at = parent;
        }
        found
    }

    /// Whether everything that it builds on is there, down to a full backup, and can be used.
    pub(super) fn is_closed(&self, of: usize) -> bool {
        let ancestors = self.ancestors(of);
        let last = ancestors.last().copied().unwrap_or(of);
        let is_good = |&at: &usize| {
            let ancestor = &self.backups[at];
            ancestor.is_there() && ancestor.content != Content::Unusable
        };
        let root = &self.backups[last];
        root.level == Level::Full && root.parent.is_none() && ancestors.iter().all(is_good)
    }

    /// Whether it and everything that it builds on was read back and found right.
    pub(super) fn is_verified(&self, of: usize) -> bool {
        let is_verified = |at: usize| self.backups[at].state == ReplicaState::Verified;
        self.is_closed(of) && is_verified(of) && self.ancestors(of).into_iter().all(is_verified)
    }

    /// The number of backups of the longest chain: those with the same root.
    pub(super) fn longest(&self) -> usize {
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        for at in 0..self.backups.len() {
            let root = self.ancestors(at).last().copied().unwrap_or(at);
            *sizes.entry(root).or_default() += 1;
        }
        sizes.into_values().max().unwrap_or(0)
    }
}
