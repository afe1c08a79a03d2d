//! What is tried with hostile bytes: one function for each reader of bytes that others may have written.
//!
//! Whatever the bytes are, a target returns: it neither panics nor hangs nor takes memory without bound, and what it
//! accepts keeps the promise that its reader makes. `bench/fuzz` runs them guided by coverage; a test replays the corpora
//! of `fixtures/fuzz`.

mod archive;
mod dump;
mod platform;
mod seal;
mod sql;

/// A target: its name, which is that of its corpus, and what it does with the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its folder in `fixtures/fuzz`.
    pub name: &'static str,
    /// Tries the bytes.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "dump", run: dump::dump },
    Target { name: "frame", run: archive::frame },
    Target { name: "index", run: archive::index },
    Target { name: "index-line", run: archive::index_line },
    Target { name: "manifest", run: archive::manifest },
    Target { name: "php-config", run: platform::php_config },
    Target { name: "sealed", run: seal::sealed },
    Target { name: "settings-file", run: platform::settings_file },
    Target { name: "sql", run: sql::statements },
    Target { name: "tar", run: archive::tar },
];

/// The stack that a target may need, in bytes.
pub const STACK_BYTES: usize = backstock_platform::STACK_BYTES;

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every kept input of every target, each of which once was new to the fuzzer or broke something.
    #[test]
    fn every_corpus_is_survived() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fuzz");
        let folders: Vec<_> =
            fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for folder in &folders {
            assert!(target(folder.to_str().unwrap()).is_some(), "{folder:?} is the corpus of no target");
        }
        for target in TARGETS {
            let entries = fs::read_dir(fixtures.join(target.name)).unwrap();
            let inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            assert!(inputs.len() >= 10, "{}: {} inputs", target.name, inputs.len());
            for path in inputs {
                let bytes = fs::read(&path).unwrap();
                let run = target.run;
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || run(&bytes));
                assert!(thread.unwrap().join().is_ok(), "{}", path.display());
            }
        }
    }
}
