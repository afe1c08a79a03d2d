//! Links from the root to folders and files elsewhere: deployment tools keep uploads in a shared folder and link to it.
//!
//! A backup keeps a link as a link, so what it points at would be missing; it belongs to the shop as an outside folder.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use crate::folder::{Folder, NAMES_LIMIT};
use crate::layout::{Obstacle, ShopLayout, Unclear};
use crate::reading::OUTSIDE_FLAG;

/// How deep below the root links are looked for: `pub/media/catalog` is the third level.
const DEPTH_LIMIT: usize = 3;
/// Folders that hold code and no data of the shop.
const WITHOUT_DATA: &[&str] = &["vendor", "node_modules", ".git", "generated"];

/// Adds what links below the root lead to.
pub(crate) fn take_links(layout: &mut ShopLayout, root: &Folder) {
    let mut folders = VecDeque::from([(root.root().to_owned(), 0)]);
    let mut names_left = NAMES_LIMIT;
    while let Some((folder, depth)) = folders.pop_front() {
        let Some(entries) = root.answers(&folder).then(|| fs::read_dir(&folder).ok()).flatten() else {
            continue;
        };
        let mut entries: Vec<_> = entries.take(names_left).flatten().collect();
        names_left -= entries.len();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                take_link(layout, root, &entry.path());
            } else if kind.is_dir()
                && depth + 1 < DEPTH_LIMIT
                && !entry.file_name().to_str().is_some_and(|name| WITHOUT_DATA.contains(&name))
            {
                folders.push_back((entry.path(), depth + 1));
            }
        }
    }
}

fn take_link(layout: &mut ShopLayout, root: &Folder, link: &Path) {
    // A link that leads nowhere, or stays inside, needs nothing.
    let Ok(real) = link.canonicalize() else { return };
    if root.holds(&real) {
        return;
    }
    let below = link.strip_prefix(root.root()).unwrap_or(link).to_string_lossy().into_owned();
    let why = format!("the link {below} leads to it");
    let label = label(&below);
    let is_folder = real.is_dir();
    match root.accept_outside(&real) {
        Ok(path) if is_folder => layout.add_outside(&label, path, &why),
        Ok(path) => layout.add_outside_file(&label, path, &why),
        Err(_) => layout.unclear.push(Unclear {
            what: format!("what {below} links to ({})", real.display()),
            why: "it lies outside the account, or does not belong to the shop's owner, or holds the shop itself".to_owned(),
            obstacle: Obstacle::NotOurs,
            flags: vec![OUTSIDE_FLAG.to_owned()],
        }),
    }
}

/// A label of letters, digits, `.`, `_` and `-`.
fn label(path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    format!("link-{}", path.trim_start_matches('.').chars().map(plain).collect::<String>())
}
