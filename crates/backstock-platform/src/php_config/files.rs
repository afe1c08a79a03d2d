//! `include` and `require`: files of the account are read as data, to a bounded depth.

use std::path::{Path, PathBuf};

use mago_span::HasSpan;
use mago_syntax::ast::Expression;

use super::interpreter::{Eval, Interpreter};
use super::value::Value;
use crate::folder::{CONFIG_LIMIT_BYTES, path_of};

impl Interpreter<'_> {
    /// One of the four include expressions.
    pub(super) fn eval_include(&mut self, path: &Expression<'_>, once: bool, required: bool) -> Eval<Value> {
        let place = self.place(path.span().start.offset);
        self.charge(100)?;
        let value = self.eval(path)?;
        let Some(bytes) = value.to_text() else {
            self.becomes_opaque(&format!("{place} includes a file whose name is not known"));
            return Ok(value.to_unknown());
        };
        let Some(path) = path_of(&bytes) else { return Ok(Value::bool(false)) };
        if self.is_never_followed(&path) {
            self.becomes_opaque(&format!("{place} starts the shop"));
            return Ok(Value::unknown(format!("{place} starts the shop")));
        }
        let Some(path) = self.included_path(&path) else {
            // A missing file that is only included changes nothing.
            if required {
                self.becomes_opaque(&format!("{place} needs {}, which is not there", self.show(&path)));
            }
            return Ok(Value::bool(false));
        };
        if once && self.files.contains(&path) {
            return Ok(Value::bool(true));
        }
        let shown = self.show(&path);
        let source = match self.reading.folder.read_path(&path, CONFIG_LIMIT_BYTES) {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(Value::bool(false)),
            Err(error) => {
                self.becomes_opaque(&format!("{place} includes {shown}, which cannot be read ({error})"));
                return Ok(Value::unknown(format!("{shown} cannot be read")));
            }
        };
        match self.run_file(path, &source) {
            Ok(outcome) => outcome,
            Err(unread) => {
                self.becomes_opaque(&format!("{place} includes {shown}, of which {}", unread.why));
                Ok(Value::unknown(format!("{shown} cannot be read")))
            }
        }
    }

    fn is_never_followed(&self, path: &Path) -> bool {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| self.reading.never_follow.contains(&name))
    }

    /// Where PHP finds the file: relative paths from the shop's folder (where PHP usually runs), else, unless they begin
    /// with a dot, from the including file's folder.
    fn included_path(&self, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() {
            return path.canonicalize().ok();
        }
        let current = self.current_file();
        let beside = current.parent()?.join(path);
        let root = self.reading.folder.root().join(path);
        root.canonicalize().or_else(|_| beside.canonicalize()).ok()
    }
}
