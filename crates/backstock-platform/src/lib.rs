//! Where a shop keeps its files, settings and database.
//!
//! [`detect`] looks at a folder and gives back a [`ShopLayout`]: data only. Platforms describe; nothing here connects,
//! writes or executes. Configuration files are PHP that the shop runs; here they are parsed and folded as data, with
//! limits, since a hostile one must neither run, nor hang, nor end our process, nor lead us to a neighbour's files.

pub mod contract;
mod database_host;
mod detect;
mod dotenv;
mod environment;
mod error;
mod folder;
mod kinds;
mod layout;
mod links;
mod matters;
mod pattern;
mod php_config;
mod reading;
mod sanity;
mod settings;
#[cfg(test)]
mod shops;
mod step;
mod url;
mod versions;
mod yaml;

pub use detect::{Detection, NestedShop, detect};
pub use dotenv::try_dotenv;
pub use environment::{Environment, KnownEnvironment, Lookup, NoEnvironment};
pub use error::{PlatformError, Result};
pub use folder::Folder;
pub use kinds::{Confidence, KINDS, Match, Platform, kind};
pub use layout::{
    Condition, ExcludedPath, KindName, Obstacle, OutsideFile, OutsideFolder, Query, ShopLayout, Unclear,
};
pub use matters::{MatteringTable, NamedBy, PlatformRows, RowGroup, is_secret_name, is_secret_value};
pub use pattern::TablePattern;
pub use php_config::{STACK_BYTES, try_php};
pub use sanity::{SanityCheck, SanityCondition, SanitySource, SanitySubject};
pub use settings::{Certainty, DatabaseSettings, Password};
pub use step::{Maintenance, ShopPath, Step};
pub use yaml::try_yaml;
