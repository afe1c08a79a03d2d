//! Secrets in memory: they can be neither printed nor copied nor written out by accident, and are wiped when they go.

use backstock_host::Random;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// Stops the build when a type gets one of these traits, whoever gives it: with two ways to choose from, the compiler
/// can choose none.
macro_rules! never {
    ($type:ty: $($forbidden:path),+ $(,)?) => {$(
        const _: fn() = || {
            trait IsOneWay<Way> {
                fn choose() {}
            }
            impl<T: ?Sized> IsOneWay<()> for T {}
            struct Other;
            impl<T: ?Sized + $forbidden> IsOneWay<Other> for T {}
            let _ = <$type as IsOneWay<_>>::choose;
        };
    )+};
}
pub(crate) use never;

/// 32 secret bytes.
pub struct Secret(Zeroizing<[u8; 32]>);

never!(Secret: Clone, std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);

impl Secret {
    /// Unpredictable bytes.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        Self(bytes)
    }

    /// Takes bytes over, and wipes them where they came from.
    ///
    /// # Panics
    /// Never: other lengths are refused.
    pub fn take(source: &mut [u8]) -> Option<Self> {
        let secret = <[u8; 32]>::try_from(&*source).ok().map(|bytes| Self(Zeroizing::new(bytes)));
        source.zeroize();
        secret
    }

    /// The bytes, for whoever computes with them.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A longer passphrase is refused, in bytes.
const PASSPHRASE_LIMIT_BYTES: usize = 1024;
/// A shorter one is refused, in characters: it would be guessed whatever it is stretched by.
const PASSPHRASE_FLOOR_CHARACTERS: usize = 8;

/// What a person types to open an identity. Its bytes are taken as they are.
pub struct Passphrase(Zeroizing<String>);

never!(Passphrase: Clone, std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);

impl Passphrase {
    /// What somebody typed to open something; anything may be tried.
    pub fn typed(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether it may protect an identity from now on.
    ///
    /// # Errors
    /// [`Error::Passphrase`] when it is empty, blank, too short, or too long.
    pub fn require_good(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Passphrase { what });
        if self.0.trim().is_empty() {
            return refuse("it is empty".to_owned());
        }
        if self.0.chars().count() < PASSPHRASE_FLOOR_CHARACTERS {
            return refuse(format!("it has fewer than {PASSPHRASE_FLOOR_CHARACTERS} characters"));
        }
        if self.0.len() > PASSPHRASE_LIMIT_BYTES {
            return refuse(format!("it has more than {PASSPHRASE_LIMIT_BYTES} bytes"));
        }
        Ok(())
    }

    /// Whether both are the same text: asked when one is typed twice.
    pub fn is_same(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
