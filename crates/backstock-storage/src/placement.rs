//! Where a folder for backups may not lie: wherever a web server might hand it out.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Names of folders that web servers publish by convention (compared without regard to case).
const PUBLISHED_NAMES: &[&str] = &["public_html", "htdocs", "www"];

/// Why a folder is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It lies in a shop.
    #[error("{} lies in the shop {}: anyone could download what is there", folder.display(), root.display())]
    InShop {
        /// The folder.
        folder: PathBuf,
        /// The shop's root.
        root: PathBuf,
    },
    /// It lies in a folder that a web server is configured to publish.
    #[error("{} lies in the document root {}: anyone could download what is there", folder.display(), root.display())]
    InDocumentRoot {
        /// The folder.
        folder: PathBuf,
        /// The document root.
        root: PathBuf,
    },
    /// It lies in a folder that web servers publish by convention.
    #[error("{} lies in a folder called {name}, which web servers publish by convention", folder.display())]
    InPublishedName {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: String,
    },
    /// It is not an absolute path.
    #[error("{} is not an absolute path", folder.display())]
    NotAbsolute {
        /// The folder.
        folder: PathBuf,
    },
}

/// Says why backups may not be kept in `folder`, if they may not. Looks at the text of the paths only: give it both the
/// path that the person named and the one that [`resolve`] finds behind it, and the roots in the same two forms.
pub fn refusal(folder: &Path, shop_roots: &[PathBuf], document_roots: &[PathBuf]) -> Option<Refusal> {
    let folder = plain(folder);
    if !folder.is_absolute() {
        return Some(Refusal::NotAbsolute { folder });
    }
    if let Some(root) = shop_roots.iter().map(|root| plain(root)).find(|root| folder.starts_with(root)) {
        return Some(Refusal::InShop { folder, root });
    }
    if let Some(root) = document_roots.iter().map(|root| plain(root)).find(|root| folder.starts_with(root)) {
        return Some(Refusal::InDocumentRoot { folder, root });
    }
    let published = folder.components().find_map(|step| {
        let name = step.as_os_str().to_str()?;
        PUBLISHED_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)).then(|| name.to_owned())
    });
    published.map(|name| Refusal::InPublishedName { folder, name })
}

/// The path without `.`, and with `..` taken back, as text.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for step in path.components() {
        match step {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The path behind links, also for a folder that does not exist yet: its existing beginning is resolved.
pub fn resolve(folder: &Path) -> io::Result<PathBuf> {
    let mut existing = folder;
    let mut missing = Vec::new();
    loop {
        match std::fs::canonicalize(existing) {
            Ok(resolved) => {
                return Ok(plain(&missing.iter().rev().fold(resolved, |path, step| path.join(step))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some((parent, step)) = existing.parent().zip(existing.components().next_back()) else {
                    return Err(error);
                };
                missing.push(step.as_os_str().to_owned());
                existing = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(texts: &[&str]) -> Vec<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_place_that_the_web_may_see_is_refused() {
        let (shops, roots) = (paths(&["/srv/shop"]), paths(&["/srv/sites/"]));
        for (folder, expected) in [
            ("/srv/shop", "shop"),
            ("/srv/shop/var/backups", "shop"),
            ("/srv/other/../shop/x", "shop"),
            ("/srv/./shop/x", "shop"),
            ("/srv/sites/x", "root"),
            ("/home/me/public_html/backups", "name"),
            ("/home/me/Public_HTML", "name"),
            ("/var/www", "name"),
            ("/var/www/backups", "name"),
            ("/opt/htdocs/b", "name"),
            ("backups", "relative"),
        ] {
            let seen = match refusal(Path::new(folder), &shops, &roots) {
                Some(Refusal::InShop { .. }) => "shop",
                Some(Refusal::InDocumentRoot { .. }) => "root",
                Some(Refusal::InPublishedName { .. }) => "name",
                Some(Refusal::NotAbsolute { .. }) => "relative",
                None => "allowed",
            };
            assert_eq!(seen, expected, "{folder}");
        }
    }

    #[test]
    fn a_place_beside_them_is_allowed() {
        let (shops, roots) = (paths(&["/srv/shop"]), paths(&["/srv/sites"]));
        for folder in
            ["/srv", "/srv/shop-backups", "/srv/site", "/var/lib/backstock", "/home/me/www-backups", "/"]
        {
            assert_eq!(refusal(Path::new(folder), &shops, &roots), None, "{folder}");
        }
    }

    #[test]
    fn a_link_into_the_web_is_found_behind_a_folder_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("public_html")).unwrap();
        std::os::unix::fs::symlink(real.join("public_html"), real.join("safe")).unwrap();
        let named = real.join("safe/deep/backups");
        assert_eq!(refusal(&named, &[], &[]), None);
        let resolved = resolve(&named).unwrap();
        assert_eq!(resolved, real.join("public_html/deep/backups"));
        assert!(refusal(&resolved, &[], &[]).is_some());
    }
}
