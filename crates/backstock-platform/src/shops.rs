//! Tests on whole shops: the small fixture shops of `fixtures/shops`, copied to a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Detection, NoEnvironment, detect};

mod every;
mod laravel;
mod magento;
mod opencart;
mod prestashop;
mod roots;
mod woocommerce;

/// A copy of a fixture in `<temporary>/home/account/<name>`.
pub(crate) struct Shop {
    /// Removed at the end.
    _temporary: TempDir,
    /// The shop's folder.
    pub(crate) root: PathBuf,
}

impl Shop {
    /// A copy of `fixtures/shops/<fixture>`.
    pub(crate) fn copy(fixture: &str) -> Self {
        let shop = Self::empty();
        copy_tree(&fixtures().join(fixture), &shop.root);
        shop
    }

    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap().join("home/account/shop");
        fs::create_dir_all(&root).unwrap();
        Self { _temporary: temporary, root }
    }

    /// Writes a file below the shop's folder.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Replaces text in a file; it must be there.
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(from), "{path} does not hold {from}");
        self.write(path, text.replace(from, to))
    }

    /// What is detected in it, with nothing known of its environment.
    pub(crate) fn detect(&self) -> Detection {
        detect(&self.root, &NoEnvironment).unwrap()
    }

    /// The folder of the account, above the shop.
    pub(crate) fn account(&self) -> &Path {
        self.root.parent().unwrap()
    }
}

/// The folder of all fixture shops.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/shops").canonicalize().unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
