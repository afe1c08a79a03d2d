//! The instance's key: an Ed25519 pair (RFC 8032) that signs manifests and owner files. It never leaves the machine.
//!
//! It lies in a file of the state folder, or is given from outside. Data can be lost here: an instance that took another key
//! for its own could not open its secrets, and would be a stranger to its own backups. So the public half is kept beside where a
//! key was given, and nothing else is taken in its place.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::{Host, hex};

const SEED_SIZE_BYTES: usize = 32;
/// The longest public half in text that is read.
const PUBLIC_LIMIT_BYTES: u64 = 256;

/// The key of an instance cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key's file, or the public half beside it, cannot be read or written.
    #[error("its file cannot be used")]
    File(#[source] io::Error),
    /// The key's file does not hold one.
    #[error("the key file does not hold 32 bytes")]
    NoKey,
    /// It was given from outside before, and is not now.
    #[error("it is given from outside ({public}…), and was not given now")]
    NotGiven {
        /// The first digits of its public half.
        public: String,
    },
    /// Another one was given, or lies in the file, than this instance has.
    #[error("it is {given}…, and this instance has {own}…")]
    Another {
        /// The first digits of the public half of what was given.
        given: String,
        /// Those of the instance's own.
        own: String,
    },
}

/// Signs in the name of this instance.
pub struct InstanceKey(Ed25519KeyPair);

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({})", self.public_hex())
    }
}

impl InstanceKey {
    /// Reads a key as it is given from outside: 32 bytes as the key's file has them, or 64 hexadecimal digits.
    pub fn from_given(given: &[u8]) -> Option<Self> {
        if given.len() == SEED_SIZE_BYTES {
            return Ed25519KeyPair::from_seed_unchecked(given).map(Self).ok();
        }
        let seed = hex::decode_array::<SEED_SIZE_BYTES>(std::str::from_utf8(given).ok()?.trim()).ok()?;
        Ed25519KeyPair::from_seed_unchecked(&seed).map(Self).ok()
    }

    /// The key of an instance whose key file is `path`: what the machine was given from outside, else what the file has, else
    /// a new one.
    ///
    /// # Errors
    ///
    /// When it cannot be had, or is another one than before.
    pub fn of_instance(host: &Host, path: &Path, may_write: bool) -> Result<Arc<Self>, KeyError> {
        let known = known_public(host, path)?;
        let has_file = host.files.stat(path).map_err(KeyError::File)?.is_some();
        let key = match (&host.given_key, &known) {
            (Some(given), _) => Arc::clone(given),
            (None, Some(public)) if !has_file => return Err(KeyError::NotGiven { public: short(public) }),
            (None, _) => return Self::of_file(host, path, may_write)?.expect_to_be(known),
        };
        let in_file = if has_file { Some(Self::of_file(host, path, false)?.public_hex()) } else { None };
        let key = key.expect_to_be(in_file)?.expect_to_be(known.clone())?;
        if may_write && known.is_none() {
            let public = key.public_hex();
            host.files.write_durably(&public_path(path), public.as_bytes()).map_err(KeyError::File)?;
        }
        Ok(key)
    }

    /// Refuses to be taken for a key whose public half, where that is known, is another one.
    fn expect_to_be(self: Arc<Self>, own: Option<String>) -> Result<Arc<Self>, KeyError> {
        let public = self.public_hex();
        match own.filter(|own| *own != public) {
            None => Ok(self),
            Some(own) => Err(KeyError::Another { given: short(&public), own: short(&own) }),
        }
    }

    fn of_file(host: &Host, path: &Path, may_write: bool) -> Result<Arc<Self>, KeyError> {
        let read = if may_write { Self::load_or_create } else { Self::load_to_look };
        read(host, path).map(Arc::new).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => KeyError::NoKey,
            _ => KeyError::File(error),
        })
    }

    /// Reads the key from a file of 32 secret bytes, or makes and stores a new one when there is none. Of several
    /// processes that make one at the same time all get the one that was stored first.
    pub fn load_or_create(host: &Host, path: &Path) -> io::Result<Self> {
        if host.files.stat(path)?.is_none() {
            create(host, path)?;
        }
        // Also where another process has made it a moment ago: what it signs must not outlive it.
        host.files.sync_folder(path.parent().unwrap_or(Path::new("/")))?;
        let seed = host.files.read(path, SEED_SIZE_BYTES as u64)?;
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map(Self)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the key file does not hold 32 bytes"))
    }

    /// Reads the key from its file; without one, a key that is kept nowhere takes its place: whoever only looks at what
    /// would be done signs nothing.
    pub fn load_to_look(host: &Host, path: &Path) -> io::Result<Self> {
        if host.files.stat(path)?.is_some() {
            return Self::load_or_create(host, path);
        }
        let mut seed = [0; 32];
        host.random.fill(&mut seed);
        Ed25519KeyPair::from_seed_unchecked(&seed).map(Self).map_err(|_| io::Error::other("making a key"))
    }

    /// The 64-byte signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// The public half: 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public half as 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(self.public())
    }
}

/// The public half of a key that was given from outside, kept beside where its file would be: `instance.pub`.
fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

fn known_public(host: &Host, path: &Path) -> Result<Option<String>, KeyError> {
    let path = public_path(path);
    if host.files.stat(&path).map_err(KeyError::File)?.is_none() {
        return Ok(None);
    }
    let bytes = host.files.read(&path, PUBLIC_LIMIT_BYTES).map_err(KeyError::File)?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// As many digits as tell one key from another at a glance.
fn short(public: &str) -> String {
    public.chars().take(16).collect()
}

/// Makes a new seed durable under a name of its own, and gives it its name unless another process was faster.
fn create(host: &Host, path: &Path) -> io::Result<()> {
    let mut seed = vec![0; 32];
    host.random.fill(&mut seed);
    let mut mark = [0; 8];
    host.random.fill(&mut mark);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let aside = folder.join(format!(".key-{}", hex::encode(&mark)));
    let mut file = host.files.create_new(&aside)?;
    let stored = file.write_all(&seed).and_then(|()| file.sync());
    match stored.and_then(|()| host.files.rename_new(&aside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            host.files.remove_file(&aside)?;
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
        }
    }
}

/// Whether `signature` is `public`'s signature of exactly these bytes.
pub fn is_signed_by(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimulatedHost;
    use crate::files::PowerLoss;

    fn path() -> &'static Path {
        Path::new("/state/instance.key")
    }

    fn machine(seed: u64) -> SimulatedHost {
        let machine = SimulatedHost::new(seed);
        machine.host.files.create_folder(Path::new("/state")).unwrap();
        machine
    }

    /// RFC 8032 section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let machine = machine(1);
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        machine.host.files.write_durably(path(), &seed).unwrap();
        let key = InstanceKey::load_or_create(&machine.host, path()).unwrap();
        assert_eq!(key.public_hex(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = key.sign(&[0x72]);
        assert_eq!(
            hex::encode(&signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(is_signed_by(key.public(), &[0x72], &signature));
        assert!(!is_signed_by(key.public(), &[0x73], &signature));
        assert!(!is_signed_by(&[0; 32], &[0x72], &signature));
        assert!(!format!("{key:?}").contains("4ccd"));
    }

    /// Nothing is ever taken for the key of an instance but its own, from wherever it comes.
    #[test]
    fn a_key_that_is_given_is_the_same_each_time() {
        let machine = machine(1);
        let key = |text: &str| InstanceKey::from_given(text.as_bytes()).unwrap();
        let (own, other) = ("ab".repeat(32), "cd".repeat(32));
        let public = key(&own).public_hex();
        let given = |text: &str| machine.host.clone().with_key(key(text));
        let of = |host: &Host, may_write| InstanceKey::of_instance(host, path(), may_write);
        assert_eq!(of(&given(&own), false).unwrap().public_hex(), public);
        // Who only looks keeps nothing in mind.
        assert_eq!(of(&given(&other), true).unwrap().public_hex(), key(&other).public_hex());
        machine.host.files.remove_file(&public_path(path())).unwrap();
        assert_eq!(of(&given(&own), true).unwrap().public_hex(), public);
        assert!(machine.host.files.stat(path()).unwrap().is_none(), "it lies in no file");
        assert!(matches!(of(&given(&other), true), Err(KeyError::Another { .. })));
        for may_write in [true, false] {
            let error = of(&machine.host, may_write).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("it is given from outside ({}…), and was not given now", &public[..16])
            );
        }
        assert!(machine.host.files.stat(path()).unwrap().is_none());
        // Its own file is as good, and another file is not.
        machine.host.files.write_durably(path(), &hex::decode(&own).unwrap()).unwrap();
        assert_eq!(of(&machine.host, true).unwrap().public_hex(), public);
        assert_eq!(of(&given(&own), true).unwrap().public_hex(), public);
        assert!(matches!(of(&given(&other), true), Err(KeyError::Another { .. })));
        machine.host.files.write_durably(path(), &hex::decode(&other).unwrap()).unwrap();
        assert!(matches!(of(&machine.host, true), Err(KeyError::Another { .. })));
        machine.host.files.write_durably(path(), b"short").unwrap();
        assert!(matches!(of(&given(&own), true), Err(KeyError::NoKey)));
    }

    #[test]
    fn a_key_is_given_as_bytes_or_digits() {
        let digits = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let bytes = hex::decode(digits).unwrap();
        let public = InstanceKey::from_given(&bytes).unwrap().public_hex();
        for text in [digits.to_owned(), format!("{digits}\n")] {
            assert_eq!(InstanceKey::from_given(text.as_bytes()).unwrap().public_hex(), public);
        }
        for wrong in ["", "4ccd", &digits[1..], "not a key"] {
            assert!(InstanceKey::from_given(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    /// F12: a key that was given out is there after any power loss, and no half key is ever found.
    #[test]
    fn f12_a_key_that_signed_is_never_lost() {
        for (loss, seed) in PowerLoss::ALL.iter().flat_map(|loss| (0..30).map(move |seed| (loss, seed))) {
            for step in 0.. {
                let machine = machine(seed);
                machine.files.stop_at(step);
                let made = InstanceKey::load_or_create(&machine.host, path());
                machine.files.lose_power(*loss);
                let found = InstanceKey::load_or_create(&machine.host, path()).unwrap();
                if let Ok(made) = made {
                    assert_eq!(made.public_hex(), found.public_hex());
                    break;
                }
            }
        }
    }

    #[test]
    fn several_processes_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instance.key");
        let keys: Vec<String> = std::thread::scope(|scope| {
            let making: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| InstanceKey::load_or_create(&Host::real(), &path).unwrap().public_hex())
                })
                .collect();
            making.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_another_length_is_no_key() {
        for length in [0, 31, 33] {
            let machine = machine(1);
            machine.host.files.write_durably(path(), &vec![1; length]).unwrap();
            let error = InstanceKey::load_or_create(&machine.host, path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
        }
    }
}
