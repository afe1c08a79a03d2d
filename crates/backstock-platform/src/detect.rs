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
    #[serde(with = "backstock_vocabulary::path_bytes")]
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
    #[serde(with = "backstock_vocabulary::path_bytes")]
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
    let (folder, kind, matched) = find_root(&here, environment, &mut notes);
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
    let nested = find_nested(&folder, &layout, environment);
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
fn find_root(here: &Folder, environment: &dyn Environment, notes: &mut Vec<String>) -> Found {
    let (kind, matched) = best(here);
    let recognised = matched.confidence != Confidence::Folder;
    let name = here.root().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let above = WEB_FOLDERS.contains(&name).then(|| here.root().parent()).flatten().and_then(look);
    if let Some((folder, above_kind, above_matched)) = above {
        // A web folder that is recognised by itself may still be a part of the shop above (Bedrock).
        let part = !recognised
            || above_kind
                .layout(&folder, environment)
                .is_ok_and(|layout| is_part(here, kind, &layout, environment));
        if part {
            notes.push(format!(
                "{} is the web folder of the shop in {}",
                here.root().display(),
                folder.root().display()
            ));
            return (folder, above_kind, above_matched);
        }
    }
    if recognised {
        return (here.clone(), kind, matched);
    }
    let below = BELOW.iter().filter(|name| here.has_folder(name)).map(|name| here.at(name));
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

/// Shops one level below the root. A part of the same shop (WordPress in a folder of its own) is none.
fn find_nested(folder: &Folder, layout: &ShopLayout, environment: &dyn Environment) -> Vec<NestedShop> {
    let names = folder.folders_in("");
    let found = names.iter().take(NESTED_LIMIT).filter_map(|name| look(&folder.at(name)));
    let mut shops = Vec::new();
    for (nested, kind, matched) in found {
        let inside = nested.root() != folder.root() && folder.holds(nested.root());
        if !inside || matched.confidence != Confidence::Certain || is_part(&nested, kind, layout, environment)
        {
            continue;
        }
        let path = nested.root().to_owned();
        shops.push(NestedShop { platform: kind.name(), title: kind.title(), path });
    }
    shops
}

fn is_part(nested: &Folder, kind: &dyn Platform, layout: &ShopLayout, environment: &dyn Environment) -> bool {
    if kind.name() != layout.platform {
        return false;
    }
    let place = |settings: &DatabaseSettings| {
        (settings.host.clone(), settings.port, settings.socket.clone(), settings.name.clone())
    };
    let theirs = kind.layout(nested, environment).ok().and_then(|nested| nested.database);
    theirs.is_none_or(|theirs| layout.database.as_ref().is_some_and(|ours| place(ours) == place(&theirs)))
}
