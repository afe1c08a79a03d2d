//! Whether exclusions leave a path out, asked of a path alone and not on a walk that comes by the folders above it.

use super::request::{Excluder, Exclusions, Verdict, ancestors};
use crate::{Error, Result};

/// Exclusions, ready to be asked.
#[derive(Debug)]
pub struct LeftOut(Excluder);

impl LeftOut {
    /// Compiles them.
    ///
    /// # Errors
    /// [`Error::Glob`] with the glob that cannot be understood.
    pub fn new(exclusions: &Exclusions) -> Result<Self> {
        Excluder::new(exclusions).map(Self).map_err(|(glob, source)| Error::Glob { glob, source })
    }

    /// Whether a path is left out, by itself or with a folder above it.
    pub fn holds(&self, path: &[u8]) -> bool {
        let mut above = ancestors(path).filter(|folder| !folder.is_empty());
        !path.is_empty()
            && (self.0.verdict(path) == Verdict::Leave
                || above.any(|folder| self.0.verdict(folder) != Verdict::Take))
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Renewable;
    use super::*;

    #[test]
    fn what_lies_below_is_left_out_with_its_folder() {
        let cache = Renewable {
            pattern: "var/cache".to_owned(),
            keep_folder: true,
            keep_names: vec![".htaccess".to_owned()],
        };
        let exclusions = Exclusions {
            contents: vec![b"tmp".to_vec()],
            globs: vec!["*.log".to_owned()],
            renewable: vec![cache],
            ..Exclusions::default()
        };
        let left_out = LeftOut::new(&exclusions).unwrap();
        for path in ["tmp/a", "tmp/a/b", "a.log", "a.log/b", "var/cache/x", "var/cache/x/y"] {
            assert!(left_out.holds(path.as_bytes()), "{path}");
        }
        for path in ["", "tmp", "a", "var/cache", "var/cache/.htaccess", "var/cached/x"] {
            assert!(!left_out.holds(path.as_bytes()), "{path}");
        }
    }
}
