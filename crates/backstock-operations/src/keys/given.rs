//! Passphrases and private halves that were given as files.

use std::path::Path;

use backstock_archive::seal::{Passphrase, PrivateIdentity};

use super::store::DOCUMENT_LIMIT_BYTES;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Reads a file that holds a passphrase and nothing else; the end of its line does not count.
pub fn read_passphrase_file(file: &Path) -> Result<Passphrase> {
    let act = || format!("reading the passphrase file {}", file.display());
    let mut bytes = read(file, &act())?;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    let text = String::from_utf8(bytes);
    let refuse = |_| OperationError::plain(ErrorKind::Declined, format!("{}: it is no text in UTF-8", act()));
    Ok(Passphrase::typed(text.map_err(refuse)?))
}

/// Reads a file that holds the private half of an identity.
pub fn read_private_identity(file: &Path) -> Result<PrivateIdentity> {
    let act = format!("reading the identity file {}", file.display());
    let bytes = read(file, &act)?;
    PrivateIdentity::of_file(&bytes, &file.display().to_string()).map_err(|error| {
        // A file that a person names is no part of a backup: nothing of that is damaged.
        OperationError::plain(ErrorKind::WrongKey, format!("{act}: {error}"))
    })
}

fn read(file: &Path, act: &str) -> Result<Vec<u8>> {
    let size_bytes = std::fs::metadata(file).doing(act)?.len();
    if size_bytes > DOCUMENT_LIMIT_BYTES {
        return Err(OperationError::plain(ErrorKind::Declined, format!("{act}: it is too large to be one")));
    }
    std::fs::read(file).doing(act)
}
