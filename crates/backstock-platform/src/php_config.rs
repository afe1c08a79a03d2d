//! PHP configuration, read as data: parsed by a real PHP parser, then folded by a small evaluator. Nothing is executed.
//!
//! Whatever cannot be known from the files (the host name of a request, a function of the shop) becomes *unknown* and
//! stays so through every expression, with the reason; a condition that cannot be decided makes what its branches
//! disagree on unknown. A fallback that is used because an environment variable is not known marks its value as
//! *assumed*. Limits bound size, nesting, included files and steps, so that a hostile file cannot hang or end us.
//!
//! The semantics are those of the PHP manual (Language Reference: Types, Constants, Expressions, Control Structures,
//! `include`), for PHP 7 and 8.

mod class_constant;
mod expression;
mod files;
mod functions;
mod interpreter;
mod names;
mod operator;
mod parse;
mod path_functions;
mod place;
mod quoted;
mod state;
mod statement;
mod text;
mod value;

use std::path::PathBuf;

pub(crate) use class_constant::class_constant;
pub(crate) use state::State;
pub(crate) use value::{Data, Key, Value};

use crate::environment::Environment;
use crate::error::PlatformError;
use crate::folder::Folder;
use crate::layout::Obstacle;

/// Most steps of one reading; one step is about one node of the syntax tree.
const STEPS_LIMIT: u64 = 2_000_000;
/// Most bytes that texts may be made of in one reading.
const TEXT_LIMIT_BYTES: usize = 16 << 20;
/// Most files of one reading.
const FILES_LIMIT: usize = 64;
/// Deepest chain of includes.
const INCLUDE_DEPTH_LIMIT: usize = 8;
/// Deepest expression or statement that is folded.
const DEPTH_LIMIT: usize = 600;
/// Stack of the thread that parses and folds, in bytes: enough for both depth limits in a build without optimisation.
pub const STACK_BYTES: usize = 256 << 20;

/// Why a file could not be read as configuration at all.
#[derive(Debug)]
pub(crate) struct Unread {
    /// Why, for people.
    pub(crate) why: String,
    /// The kind of obstacle.
    pub(crate) obstacle: Obstacle,
}

impl Unread {
    pub(crate) fn new(obstacle: Obstacle, why: impl Into<String>) -> Self {
        Self { why: why.into(), obstacle }
    }
}

impl From<PlatformError> for Unread {
    fn from(error: PlatformError) -> Self {
        let obstacle = match &error {
            PlatformError::TooLarge { .. } => Obstacle::BeyondLimits,
            PlatformError::NotOurs { .. } => Obstacle::NotOurs,
            PlatformError::NoFolder { .. } => Obstacle::Missing,
            PlatformError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Obstacle::Missing
            }
            _ => Obstacle::Unreadable,
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self { why: format!("{error}{cause}"), obstacle }
    }
}

/// How a file is to be read.
pub(crate) struct Reading<'a> {
    /// The shop's folder: bounds what may be included.
    pub(crate) folder: &'a Folder,
    /// The shop's environment variables.
    pub(crate) environment: &'a dyn Environment,
    /// Constants that the shop has defined before it reads this file.
    pub(crate) predefined: Vec<(&'static str, Vec<u8>)>,
    /// Names of files that are never followed (they start the whole shop).
    pub(crate) never_follow: &'a [&'a str],
}

impl<'a> Reading<'a> {
    pub(crate) fn new(folder: &'a Folder, environment: &'a dyn Environment) -> Self {
        Self { folder, environment, predefined: Vec::new(), never_follow: &[] }
    }
}

/// What a file says.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// Constants and variables at its end.
    pub(crate) state: State,
    /// What it returns; unknown when it returns nothing.
    pub(crate) returned: Value,
    /// The files that were read, the first one first.
    pub(crate) files: Vec<PathBuf>,
}

impl Evaluated {
    /// A constant.
    pub(crate) fn constant(&self, name: &str) -> Value {
        self.state.constant(name.as_bytes()).unwrap_or_else(|| match &self.state.opaque {
            Some(why) => Value::unknown(format!("the constant {name} is not defined here, and {why}")),
            None => Value::new(Data::Absent(format!("the constant {name} is not defined").into())),
        })
    }

    /// A variable.
    pub(crate) fn variable(&self, name: &str) -> Value {
        self.state.variable(format!("${name}").as_bytes()).unwrap_or_else(|| match &self.state.opaque {
            Some(why) => Value::unknown(format!("the variable ${name} is not set here, and {why}")),
            None => Value::new(Data::Absent(format!("the variable ${name} is not set").into())),
        })
    }

    /// A value inside the returned array.
    pub(crate) fn at(&self, keys: &[&str]) -> Value {
        self.returned.at(keys)
    }
}

/// Reads a file and what it includes.
pub(crate) fn read(reading: &Reading<'_>, path: &std::path::Path) -> Result<Evaluated, Unread> {
    on_deep_stack(|| interpreter::run(reading, path))
}

/// Reads a text as a file of this folder and forgets what it says: for whoever tries the reading of hostile texts. Runs
/// on the caller's stack, which must hold [`STACK_BYTES`], and hides no panic.
pub fn try_php(folder: &Folder, source: &[u8]) {
    let reading = Reading::new(folder, &crate::environment::NoEnvironment);
    let _ = interpreter::run_source(&reading, folder.at("config.php"), source);
}

/// Runs on a thread with a stack that holds the deepest honest recursion, so that a deep file cannot end the process.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, Unread> + Send) -> Result<T, Unread> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("php-config".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| {
                Unread::new(Obstacle::Unreadable, format!("no thread could be started: {error}"))
            })?;
        thread.join().unwrap_or_else(|_| {
            Err(Unread::new(Obstacle::Malformed, "the parser gave up on this file".to_owned()))
        })
    })
}

#[cfg(test)]
mod tests;
