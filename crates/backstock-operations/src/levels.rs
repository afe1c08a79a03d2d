//! Levels: how much of the files a backup takes itself, and on which other one it builds.

mod chain;
mod choose;
mod kept_index;
mod settings;

pub(crate) use chain::{ChainLink, ancestors, files_of};
pub(crate) use choose::{ChosenLevel, ParentBackup, can_be_a_parent, choose, holds};
pub use choose::{ForeseenLevel, foresee_level};
pub(crate) use kept_index::{forget_others, keep, open as open_kept, open_new, sample_begin};
pub use settings::{FullDay, FullDays, LevelChoice, LevelRules, LevelSettings};
