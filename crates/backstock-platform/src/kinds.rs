//! The platforms we know. A new one is one file here and one line in [`KINDS`].

use serde::Serialize;

use crate::environment::Environment;
use crate::error::Result;
use crate::folder::Folder;
use crate::layout::ShopLayout;
use crate::matters::PlatformRows;
use crate::sanity::SanityCheck;

mod laravel;
mod magento;
mod opencart;
mod plain;
mod prestashop;
mod woocommerce;

/// How sure a platform is that a folder holds its software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It is a folder: true of every folder.
    Folder,
    /// Related software, or an installation that is not finished.
    Likely,
    /// Its own files are there.
    Certain,
}

/// That a folder holds a platform's software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// How sure.
    pub confidence: Confidence,
    /// The files that say so.
    pub why: String,
}

/// The software that a shop runs. A platform describes and never acts.
pub trait Platform: Send + Sync {
    /// Its name in code, settings and JSON.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// Whether this folder is the root of such a shop.
    fn recognise(&self, root: &Folder) -> Option<Match>;

    /// What the shop's files say. What they do not say clearly is in the layout's `unclear`.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout>;

    /// The tables whose rows are shown when two states of a shop are compared.
    fn rows(&self) -> PlatformRows {
        PlatformRows::NONE
    }

    /// What a working shop of this layout has in its database. Nothing where the platform does not say how it keeps
    /// orders.
    fn sanity(&self, _layout: &ShopLayout) -> Vec<SanityCheck> {
        Vec::new()
    }
}

/// Every platform; the first that is most sure wins.
pub const KINDS: &[&dyn Platform] = &[
    &magento::Magento,
    &prestashop::PrestaShop,
    &woocommerce::WooCommerce,
    &opencart::OpenCart,
    &laravel::Laravel,
    &plain::Plain,
];

/// The platform with this name.
pub fn kind(name: &str) -> Option<&'static dyn Platform> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
