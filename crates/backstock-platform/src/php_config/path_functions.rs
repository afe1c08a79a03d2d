//! Functions on paths. Files are asked for only inside the account.

use std::os::unix::ffi::OsStrExt;

use super::interpreter::{Eval, Interpreter};
use super::value::Value;
use crate::folder::{CONFIG_LIMIT_BYTES, path_of};

impl Interpreter<'_> {
    pub(super) fn path_function(&mut self, name: &[u8], values: &[Value]) -> Eval<Option<Value>> {
        if !matches!(
            name,
            b"dirname"
                | b"basename"
                | b"realpath"
                | b"file_exists"
                | b"is_file"
                | b"is_readable"
                | b"is_dir"
                | b"file_get_contents"
        ) {
            return Ok(None);
        }
        let Some(first) = values.first() else { return Ok(None) };
        let Some(path) = first.to_text() else { return Ok(Some(first.to_unknown())) };
        let value = match name {
            b"dirname" => {
                let levels = match values.get(1) {
                    None => 1,
                    Some(levels) => match levels.to_int() {
                        Some(levels) => levels.clamp(1, 64),
                        None => return Ok(Some(levels.to_unknown())),
                    },
                };
                let mut folder = path.to_vec();
                for _ in 0..levels {
                    folder = dirname(&folder);
                }
                Value::text(folder)
            }
            b"basename" if values.len() == 1 => {
                let trimmed = path.strip_suffix(b"/").unwrap_or(&path);
                Value::text(trimmed.rsplit(|byte| *byte == b'/').next().unwrap_or(trimmed))
            }
            b"basename" => return Ok(None),
            b"file_get_contents" => match self.file_contents(&path) {
                Some(bytes) => self.make_text(bytes)?,
                None => Value::unknown("a file that is asked for cannot be read, or is not this shop's"),
            },
            _ => self.ask_for_file(name, &path),
        };
        Ok(Some(value))
    }

    fn ask_for_file(&mut self, name: &[u8], bytes: &[u8]) -> Value {
        let Some(path) = path_of(bytes) else { return Value::bool(false) };
        if !path.is_absolute() {
            return Value::unknown("a path that depends on the working folder is asked for");
        }
        let real = path.canonicalize();
        // Whether a path outside the account exists is no business of this shop's, nor is it certain for its user.
        let place = real.as_deref().unwrap_or(&path);
        if !place.starts_with(self.reading.folder.account()) {
            return Value::unknown("a path outside the account is asked for");
        }
        match (name, real) {
            (b"realpath", Ok(real)) => Value::text(real.as_os_str().as_bytes()),
            (b"is_file", Ok(real)) => Value::bool(real.is_file()),
            (b"is_dir", Ok(real)) => Value::bool(real.is_dir()),
            (_, found) => Value::bool(found.is_ok()),
        }
    }

    /// A small file of the account.
    pub(super) fn file_contents(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let path = path_of(bytes).filter(|path| path.is_absolute())?;
        self.charge(100).ok()?;
        self.reading.folder.read_path(&path, CONFIG_LIMIT_BYTES).ok().flatten()
    }
}

/// PHP's `dirname`: by text alone.
fn dirname(path: &[u8]) -> Vec<u8> {
    let trimmed = path.iter().rposition(|byte| *byte != b'/').map_or(&b""[..], |at| &path[..=at]);
    if trimmed.is_empty() {
        return if path.is_empty() { Vec::new() } else { b"/".to_vec() };
    }
    match trimmed.iter().rposition(|byte| *byte == b'/') {
        None => b".".to_vec(),
        Some(at) => match trimmed[..at].iter().rposition(|byte| *byte != b'/') {
            None => b"/".to_vec(),
            Some(end) => trimmed[..=end].to_vec(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::dirname;

    #[test]
    fn dirname_is_that_of_php() {
        for (path, folder) in [
            ("/a/b", "/a"),
            ("/a/b/", "/a"),
            ("/a", "/"),
            ("/", "/"),
            ("a", "."),
            ("", ""),
            ("//a//b//", "//a"),
            ("a/b", "a"),
        ] {
            assert_eq!(dirname(path.as_bytes()), folder.as_bytes(), "{path}");
        }
    }
}
