//! Where passphrases and keys come from: a terminal, a file, the environment, the service manager; never an argument.

use std::path::{Path, PathBuf};

use backstock_host::{Host, InstanceKey};
use backstock_operations::{
    ErrorKind, Identity, OperationError, Passphrase, PrivateIdentity, Unlocker, read_passphrase_file,
    read_private_identity,
};

use crate::exit::CommandError;
use crate::terminal::Terminal;

/// What opens sealed backups, as it was given to this run.
#[derive(Clone)]
pub(crate) struct GivenKeys {
    pub(crate) terminal: Terminal,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) identity_file: Option<PathBuf>,
}

impl Unlocker for GivenKeys {
    fn private_identities(&self) -> Result<Vec<PrivateIdentity>, OperationError> {
        self.identity_file.iter().map(|file| read_private_identity(file)).collect()
    }

    fn passphrase(&self, identity: &Identity, attempt: u32) -> Result<Option<Passphrase>, OperationError> {
        let given = match &self.passphrase_file {
            Some(file) => Some(read_passphrase_file(file)?),
            None => std::env::var("BACKSTOCK_PASSPHRASE").ok().map(Passphrase::typed),
        };
        if given.is_some() {
            // The same again opens nothing.
            return Ok(given.filter(|_| attempt == 1));
        }
        if attempt > 1 {
            self.terminal.say("that is not the passphrase");
        }
        let (id, fingerprint) = (identity.identity.short(), identity.fingerprint());
        let question = format!("passphrase of the identity {id} (fingerprint {fingerprint}): ");
        Ok(self.terminal.secret(&question, Passphrase::typed))
    }

    fn is_given(&self) -> bool {
        self.passphrase_file.is_some()
            || self.identity_file.is_some()
            || std::env::var_os("BACKSTOCK_PASSPHRASE").is_some()
    }
}

/// The variable that gives the key of the instance, as 64 hexadecimal digits.
const INSTANCE_KEY_VARIABLE: &str = "BACKSTOCK_INSTANCE_KEY";
/// The credential of systemd that gives it (systemd.exec(5), "Credentials").
const INSTANCE_KEY_CREDENTIAL: &str = "backstock.instance-key";
/// The longest credential that is read, in bytes.
const CREDENTIAL_LIMIT_BYTES: u64 = 4096;

/// The key of this instance, where it is given from outside: by the environment, or by systemd.
pub(crate) fn given_instance_key(host: &Host) -> Result<Option<InstanceKey>, CommandError> {
    let (given, from) = if let Some(text) = std::env::var_os(INSTANCE_KEY_VARIABLE) {
        (text.into_encoded_bytes(), INSTANCE_KEY_VARIABLE.to_owned())
    } else {
        let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else { return Ok(None) };
        let path = PathBuf::from(folder).join(INSTANCE_KEY_CREDENTIAL);
        let from = format!("the credential {}", path.display());
        let cannot = |error: std::io::Error| {
            CommandError::usage(
                format!("{from} cannot be read: {error}"),
                "systemd gives it to the service's user alone",
            )
        };
        if host.files.stat(&path).map_err(cannot)?.is_none() {
            return Ok(None);
        }
        (host.files.read(&path, CREDENTIAL_LIMIT_BYTES).map_err(cannot)?, from)
    };
    let no_key = || {
        let hint = "it is 64 hexadecimal digits, or the 32 bytes of an instance.key";
        CommandError::usage(format!("{from} is no key of an instance"), hint)
    };
    InstanceKey::from_given(&given).ok_or_else(no_key).map(Some)
}

/// A passphrase that is to be used from now on: typed twice, or from a file or the environment.
pub(crate) fn new_passphrase(terminal: Terminal, file: Option<&Path>) -> Result<Passphrase, CommandError> {
    if let Some(file) = file {
        return good(read_passphrase_file(file)?);
    }
    if let Ok(text) = std::env::var("BACKSTOCK_NEW_PASSPHRASE") {
        return good(Passphrase::typed(text));
    }
    let nobody = || {
        CommandError::usage(
            "there is nobody to type the new passphrase",
            "run this at a terminal, give --new-passphrase-file, or keep the key in a file with --to-file",
        )
    };
    let first = good(terminal.secret("new passphrase: ", Passphrase::typed).ok_or_else(nobody)?)?;
    let second = terminal.secret("the same again: ", Passphrase::typed).ok_or_else(nobody)?;
    if first.is_same(&second) {
        Ok(first)
    } else {
        Err(CommandError::declined("the two passphrases are not the same; nothing was changed"))
    }
}

/// Refused before anything else is asked.
fn good(passphrase: Passphrase) -> Result<Passphrase, CommandError> {
    match passphrase.require_good() {
        Ok(()) => Ok(passphrase),
        Err(error) => {
            Err(CommandError::usage(error.to_string(), "several words that belong to nothing are good"))
        }
    }
}

/// An operation that asks for the new passphrase itself gets what was typed, or why not.
pub(crate) fn refused(error: &CommandError) -> OperationError {
    let message = error.as_ref().to_string();
    OperationError::Plain { kind: ErrorKind::Declined, message, hint: error.hint() }
}
