//! Secrets at rest: sealed with a key that only this instance can make.
//!
//! The sealing key is SHA-256 of the instance key's Ed25519 signature of a fixed label; such signatures are
//! deterministic (RFC 8032 section 5.1.6) and this one is never published. A sealed secret is a 12-byte random nonce
//! followed by AES-256-GCM ciphertext and tag, with the purpose as associated data. It protects copies of the state
//! folder that lack the key file, not a machine on which both can be read.

use std::io;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};

use crate::{InstanceKey, Random};

const LABEL: &[u8] = b"backstock: key for secrets at rest, version 1";

fn sealing_key(key: &InstanceKey) -> io::Result<LessSafeKey> {
    let secret = digest(&SHA256, &key.sign(LABEL));
    let key =
        UnboundKey::new(&AES_256_GCM, secret.as_ref()).map_err(|_| io::Error::other("no sealing key"))?;
    Ok(LessSafeKey::new(key))
}

/// Seals a secret for one purpose.
pub fn seal(key: &InstanceKey, random: &dyn Random, purpose: &str, secret: &[u8]) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let mut sealed = secret.to_vec();
    sealing_key(key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose.as_bytes()),
            &mut sealed,
        )
        .map_err(|_| io::Error::other("sealing failed"))?;
    let mut bytes = nonce.to_vec();
    bytes.append(&mut sealed);
    Ok(bytes)
}

/// Opens what [`seal`] made. Anything else, another purpose or another instance is an `InvalidData` error.
pub fn open(key: &InstanceKey, purpose: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let refuse = || io::Error::new(io::ErrorKind::InvalidData, "this was not sealed here for this purpose");
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or_else(refuse)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refuse())?;
    let mut sealed = sealed.to_vec();
    let opened = sealing_key(key)?
        .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut sealed)
        .map_err(|_| refuse())?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;

    #[test]
    fn only_the_same_instance_and_purpose_opens_a_secret() {
        let host = Host::real();
        let folder = std::env::temp_dir().join(format!("backstock-seal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = InstanceKey::load_or_create(&host, &folder.join("one.key")).unwrap();
        let other = InstanceKey::load_or_create(&host, &folder.join("two.key")).unwrap();
        let sealed = seal(&key, host.random.as_ref(), "connection", b"pass word").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"pass"));
        assert_eq!(open(&key, "connection", &sealed).unwrap(), b"pass word");
        assert!(open(&key, "other", &sealed).is_err());
        assert!(open(&other, "connection", &sealed).is_err());
        assert!(open(&key, "connection", &sealed[..10]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
