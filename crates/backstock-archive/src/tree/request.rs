//! What to take of a shop's files: roots, exclusions, and folders that are never entered.

use std::path::PathBuf;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How the first component of paths of folders outside the shop's root begins. Where the shop has that name itself, a
/// number follows: `@outside-2`.
pub const OUTSIDE: &[u8] = b"@outside";

/// How many files are read at the same time unless the caller says otherwise. Measured: with cold caches eight readers
/// take less than half the time of one.
pub const DEFAULT_READERS: usize = 8;

/// One folder to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeRoot {
    /// Where it appears in the backup: empty for the shop's root, `@outside/<label>` for folders outside it.
    pub prefix: Vec<u8>,
    /// Where it lies on this machine.
    pub path: PathBuf,
}

/// What is left out. Paths are those of the backup (`@outside/…` included), without a leading `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusions {
    /// Folders that are kept as empty folders.
    pub contents: Vec<Vec<u8>>,
    /// Files and folders that are left out with everything below.
    pub entirely: Vec<Vec<u8>>,
    /// Globs of what is left out with everything below: `*` and `?` stop at `/`, `**` does not. A glob without a `/`
    /// is matched against the last component alone, at any depth.
    pub globs: Vec<String>,
    /// Places that can be made anew: their contents are left out, some names directly inside are kept.
    pub renewable: Vec<Renewable>,
    /// If not empty: everything is left out but these, what is below them, and the folders above them.
    pub all_but: Vec<Vec<u8>>,
}

/// A place whose contents can be made anew: a cache, sessions, generated code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewable {
    /// Where: components joined by `/`, in which `*` stands for any characters of one name.
    pub pattern: String,
    /// Whether the folder itself is taken, empty but for the kept names.
    pub keep_folder: bool,
    /// Names directly inside that are taken all the same.
    pub keep_names: Vec<String>,
}

/// What to take.
#[derive(Debug, Clone)]
pub struct TreeRequest {
    /// The folders to take, at most one of them with an empty prefix.
    pub roots: Vec<TreeRoot>,
    /// What is left out.
    pub exclusions: Exclusions,
    /// Folders that are never entered wherever they are met, recognised by device and inode: where backups and
    /// state are kept.
    pub never: Vec<PathBuf>,
    /// When the run started.
    pub started: Timestamp,
    /// How many files are read at the same time.
    pub readers: usize,
}

/// What the exclusions say about one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is taken.
    Take,
    /// It is taken as an empty folder.
    TakeEmpty,
    /// It is left out.
    Leave,
}

/// Exclusions, compiled.
#[derive(Debug)]
pub(crate) struct Excluder {
    contents: Vec<Vec<u8>>,
    entirely: Vec<Vec<u8>>,
    globs: GlobSet,
    renewable: Vec<(GlobMatcher, Renewable)>,
    all_but: Vec<Vec<u8>>,
}

/// Compiles globs of paths in a backup. The error is the text of the glob and what is wrong with it.
pub fn compile_globs(globs: &[String]) -> Result<GlobSet, (String, globset::Error)> {
    let mut builder = GlobSetBuilder::new();
    for text in globs {
        let plain = text.trim_start_matches('/').trim_end_matches('/');
        let anywhere =
            if text.trim_end_matches('/').contains('/') { plain.to_owned() } else { format!("**/{plain}") };
        let glob = GlobBuilder::new(&anywhere)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| (text.clone(), error))?;
        builder.add(glob);
    }
    builder.build().map_err(|error| (globs.join(", "), error))
}

/// A path's bytes as the path type that globs are matched against.
pub fn as_path(bytes: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(bytes))
}

impl Excluder {
    /// Compiles them. The error is the text of the glob that cannot be understood, and why.
    pub(crate) fn new(exclusions: &Exclusions) -> Result<Self, (String, globset::Error)> {
        let trimmed = |paths: &[Vec<u8>]| {
            let mut paths: Vec<Vec<u8>> = paths.iter().map(|path| trim(path).to_vec()).collect();
            paths.sort();
            paths
        };
        Ok(Self {
            contents: trimmed(&exclusions.contents),
            entirely: trimmed(&exclusions.entirely),
            globs: compile_globs(&exclusions.globs)?,
            renewable: exclusions.renewable.iter().map(compile_renewable).collect::<Result<_, _>>()?,
            all_but: trimmed(&exclusions.all_but),
        })
    }

    /// What they say about a path whose parents are taken.
    pub(crate) fn verdict(&self, path: &[u8]) -> Verdict {
        let holds = |paths: &[Vec<u8>]| paths.binary_search_by(|known| known.as_slice().cmp(path)).is_ok();
        let is_matched = !self.globs.is_empty() && self.globs.is_match(as_path(path));
        let is_among_others = !self.all_but.is_empty() && !self.is_spared(path);
        if holds(&self.entirely) || is_matched || is_among_others {
            Verdict::Leave
        } else if holds(&self.contents) {
            Verdict::TakeEmpty
        } else {
            self.renewable_verdict(path)
        }
    }

    /// Whether a path is one of `all_but`, below one, or above one.
    fn is_spared(&self, path: &[u8]) -> bool {
        let is_at_or_below = |path: &[u8], folder: &[u8]| {
            folder.is_empty()
                || path.strip_prefix(folder).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
        };
        let from = self.all_but.partition_point(|kept| kept.as_slice() < path);
        let is_above_or_equal = self.all_but[from..].iter().take_while(|kept| kept.starts_with(path));
        is_above_or_equal.into_iter().any(|kept| is_at_or_below(kept, path))
            || ancestors(path)
                .any(|folder| self.all_but.binary_search_by(|kept| kept.as_slice().cmp(folder)).is_ok())
    }

    fn renewable_verdict(&self, path: &[u8]) -> Verdict {
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = slash.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
        for (matcher, place) in &self.renewable {
            if matcher.is_match(as_path(path)) {
                return match (place.keep_folder, place.keep_names.is_empty()) {
                    (false, _) => Verdict::Leave,
                    (true, true) => Verdict::TakeEmpty,
                    // Its contents are judged one by one.
                    (true, false) => Verdict::Take,
                };
            }
            let is_inside = slash.is_some() && matcher.is_match(as_path(parent));
            if is_inside && !place.keep_names.iter().any(|kept| kept.as_bytes() == name) {
                return Verdict::Leave;
            }
        }
        Verdict::Take
    }
}

/// Every folder above a path, the empty path last.
pub(crate) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = (0..path.len()).rev().filter(|at| path[*at] == b'/');
    slashes.map(|at| &path[..at]).chain(std::iter::once(&b""[..]))
}

fn compile_renewable(place: &Renewable) -> Result<(GlobMatcher, Renewable), (String, globset::Error)> {
    let mut text = String::new();
    for character in String::from_utf8_lossy(trim(place.pattern.as_bytes())).chars() {
        if matches!(character, '?' | '[' | ']' | '{' | '}' | '!' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
    let matcher = glob.map_err(|error| (place.pattern.clone(), error))?.compile_matcher();
    Ok((matcher, place.clone()))
}

fn trim(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")) {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluder(globs: &[&str]) -> Excluder {
        Excluder::new(&Exclusions {
            contents: vec![b"var/cache/".to_vec(), b"/tmp".to_vec()],
            entirely: vec![b"./core.dump".to_vec()],
            globs: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            ..Exclusions::default()
        })
        .unwrap()
    }

    #[test]
    fn exact_paths_say_whether_the_folder_stays() {
        let excluder = excluder(&[]);
        assert_eq!(excluder.verdict(b"var/cache"), Verdict::TakeEmpty);
        assert_eq!(excluder.verdict(b"tmp"), Verdict::TakeEmpty);
        assert_eq!(excluder.verdict(b"core.dump"), Verdict::Leave);
        assert_eq!(excluder.verdict(b"var/cache2"), Verdict::Take);
    }

    #[test]
    fn globs_stop_at_folders_unless_they_say_otherwise() {
        let excluder = excluder(&["*.log", "media/*.tmp", "/build/**", "node_modules/"]);
        let verdicts: [(&[u8], Verdict); 9] = [
            (b"a.log", Verdict::Leave),
            (b"x/y/a.log", Verdict::Leave),
            (b"x/y\xff.log", Verdict::Leave),
            (b"media/a.tmp", Verdict::Leave),
            (b"media/x/a.tmp", Verdict::Take),
            (b"build", Verdict::Take),
            (b"build/x/y", Verdict::Leave),
            (b"x/node_modules", Verdict::Leave),
            (b"x/node_modules2", Verdict::Take),
        ];
        for (path, verdict) in verdicts {
            assert_eq!(excluder.verdict(path), verdict, "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn a_glob_that_cannot_be_understood_is_named() {
        let exclusions = Exclusions { globs: vec!["a[".to_owned()], ..Exclusions::default() };
        assert_eq!(Excluder::new(&exclusions).unwrap_err().0, "a[");
    }

    #[test]
    fn a_renewable_place_keeps_its_folder_and_the_names_that_matter() {
        let place = |pattern: &str, keep_folder, names: &[&str]| Renewable {
            pattern: pattern.to_owned(),
            keep_folder,
            keep_names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let exclusions = Exclusions {
            renewable: vec![
                place("var/cache", true, &[]),
                place("themes/*/cache", true, &["index.php"]),
                place("tmp[1]", false, &[]),
            ],
            ..Exclusions::default()
        };
        let excluder = Excluder::new(&exclusions).unwrap();
        let verdicts: [(&[u8], Verdict); 8] = [
            (b"var/cache", Verdict::TakeEmpty),
            (b"var", Verdict::Take),
            (b"themes/a/cache", Verdict::Take),
            (b"themes/a/cache/index.php", Verdict::Take),
            (b"themes/a/cache/x.tpl", Verdict::Leave),
            (b"themes/a/b/cache/x.tpl", Verdict::Take),
            (b"tmp[1]", Verdict::Leave),
            (b"tmp1", Verdict::Take),
        ];
        for (path, verdict) in verdicts {
            assert_eq!(excluder.verdict(path), verdict, "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn all_but_some_paths_can_be_left_out() {
        let all_but = vec![b"img/a.jpg".to_vec(), b"var".to_vec(), b"@outside/storage/x".to_vec()];
        let excluder = Excluder::new(&Exclusions { all_but, ..Exclusions::default() }).unwrap();
        for path in
            ["img", "img/a.jpg", "var", "var/log/x", "@outside", "@outside/storage", "@outside/storage/x"]
        {
            assert_eq!(excluder.verdict(path.as_bytes()), Verdict::Take, "{path}");
        }
        for path in ["img/b.jpg", "im", "img2", "vars", "index.php", "@outside/storage/y"] {
            assert_eq!(excluder.verdict(path.as_bytes()), Verdict::Leave, "{path}");
        }
    }
}
