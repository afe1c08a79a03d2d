//! Which platform a folder holds, and where the real root of the shop is.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::environment::Environment;
use crate::error::{PlatformError, Result};
use crate::folder::Folder;
use crate::kinds::{Confidence, KINDS, Match, Platform};
use crate::layout::ShopLayout;
use crate::links;
use crate::settings::DatabaseSettings;

/// Folders that a web server shows while the shop's root is the folder above.
const WEB_FOLDERS: &[&str] = &["public", "pub", "web", "public_html", "htdocs", "www", "httpdocs", "html"];
/// Folders below which a shop's root is looked for when the given folder holds none.
const BELOW: &[&str] =
    &["public_html", "htdocs", "httpdocs", "www", "html", "web", "public", "current", "shop"];
/// Most folders that are looked at for a second shop inside the first.
const NESTED_LIMIT: usize = 200;

/// What was found at a folder.
#[derive(Debug, Clone, Serialize)]
pub struct Detection {
    /// The folder as it was given.
    pub given: PathBuf,
    /// What the shop says of itself. With nothing recognised it is the layout of a plain folder.
    pub layout: ShopLayout,
    /// How the platform was recognised.
    pub matched: Match,
    /// Other shops inside this one, such as a blog; they are part of its files, their database is not.
    pub nested: Vec<NestedShop>,
    /// Sentences for a person: the real root is elsewhere, a link was followed, nothing was recognised.
    pub notes: Vec<String>,
}

impl Detection {
    /// The database, or the error that names what is not clear and the flags that say it.
    ///
    /// # Errors
    /// When the files do not say it clearly.
    pub fn require_database(&self) -> Result<&DatabaseSettings> {
        self.layout.database.as_ref().ok_or_else(|| PlatformError::NoDatabaseSettings {
            root: self.layout.root.clone(),
            unclear: self.layout.unclear.clone(),
        })
    }
}

/// A shop inside another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NestedShop {
    /// The kind's name.
    pub platform: &'static str,
    /// The software's name for people.
    pub title: &'static str,
    /// Its folder.
    pub path: PathBuf,
}

/// Finds out what shop a folder holds. Nothing is executed, nothing is connected to; `environment` is the shop's.
///
/// # Errors
/// When the folder does not exist or cannot be read. A configuration that cannot be read is no error here: it stands in
/// the layout's `unclear`, so that flags can fill the gap.
pub fn detect(given: &Path, environment: &dyn Environment) -> Result<Detection> {
    let here = Folder::open(given)?;
    let mut notes = Vec::new();
    let (folder, kind, matched) = find_root(&here, &mut notes);
    let absolute = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
    if folder.root() == here.root() && folder.root() != absolute {
        notes.push(format!(
            "{} leads through a link; the real folder is {}",
            absolute.display(),
            folder.root().display()
        ));
    }
    let mut layout = kind.layout(&folder, environment)?;
    links::take_links(&mut layout, &folder);
    if matched.confidence == Confidence::Folder {
        notes.push("no known platform was recognised: this is treated as a plain folder".to_owned());
    }
    let nested = find_nested(&folder);
    for shop in &nested {
        notes.push(format!(
            "{} holds another installation ({}): its files are part of this shop, its database may be another one \
             and needs a backup of its own",
            shop.path.display(),
            shop.title
        ));
    }
    Ok(Detection { given: absolute, layout, matched, nested, notes })
}

type Found = (Folder, &'static dyn Platform, Match);

/// The given folder, else the folder above when this is its web folder, else one of the usual folders below.
fn find_root(here: &Folder, notes: &mut Vec<String>) -> Found {
    let (kind, matched) = best(here);
    if matched.confidence != Confidence::Folder {
        return (here.clone(), kind, matched);
    }
    let name = here.root().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let above = WEB_FOLDERS.contains(&name).then(|| here.root().parent()).flatten();
    if let Some((folder, kind, matched)) = above.and_then(look) {
        notes.push(format!(
            "{} is the web folder of the shop in {}",
            here.root().display(),
            folder.root().display()
        ));
        return (folder, kind, matched);
    }
    let below = BELOW.iter().map(|name| here.at(name)).filter(|path| path.is_dir());
    if let Some((folder, kind, matched)) = below.filter_map(|path| look(&path)).next() {
        notes.push(format!("the shop of {} is in {}", here.root().display(), folder.root().display()));
        return (folder, kind, matched);
    }
    (here.clone(), kind, matched)
}

/// A platform other than the plain folder, at this path.
fn look(path: &Path) -> Option<Found> {
    let folder = Folder::open(path).ok()?;
    let (kind, matched) = best(&folder);
    (matched.confidence != Confidence::Folder).then_some((folder, kind, matched))
}

fn best(folder: &Folder) -> (&'static dyn Platform, Match) {
    let mut best: Option<(&'static dyn Platform, Match)> = None;
    for kind in KINDS.iter().copied() {
        if let Some(found) = kind.recognise(folder)
            && best.as_ref().is_none_or(|(_, so_far)| found.confidence > so_far.confidence)
        {
            best = Some((kind, found));
        }
    }
    best.expect("the plain folder recognises every folder")
}

/// Shops one level below the root.
fn find_nested(folder: &Folder) -> Vec<NestedShop> {
    let names = folder.folders_in("");
    let paths = names.iter().take(NESTED_LIMIT).map(|name| folder.at(name));
    paths
        .filter_map(|path| look(&path))
        .filter(|(nested, _, matched)| {
            matched.confidence == Confidence::Certain
                && nested.root() != folder.root()
                && folder.holds(nested.root())
        })
        .map(|(nested, kind, _)| NestedShop {
            platform: kind.name(),
            title: kind.title(),
            path: nested.root().to_owned(),
        })
        .collect()
}
