//! Signed documents: one line of JSON and one line with its signature, over exactly the bytes of the first.
//!
//! The envelope never changes: two lines, each ended by a line feed; the second is
//! `{"ed25519":"<128 hexadecimal digits>"}`, an Ed25519 signature (RFC 8032) of the first without its line feed. Other
//! members of the second line are passed over. What changes between versions is the first line alone, and the key is
//! in it: a signature says that this key signed, and whether to trust the key is for the reader to decide.

use backstock_host::{InstanceKey, key};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};

/// An Ed25519 public key.
pub type PublicKey = Digest<32>;

/// A longer document is refused before it is read.
pub const DOCUMENT_LIMIT_BYTES: u64 = 16 << 20;
/// The major version of the documents' payloads.
pub const DOCUMENT_MAJOR: u32 = 1;

/// Which payload it is, and in which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// What the document is: `backstock.manifest` or `backstock.owner`.
    pub document: String,
    /// A reader refuses a major version that it does not know.
    pub major: u32,
    /// A higher minor version only adds what a reader may pass over.
    pub minor: u32,
    /// Names of things that a reader must know to read the document rightly. It refuses names it does not know.
    pub critical: Vec<String>,
}

impl Format {
    pub(crate) fn of(document: &str) -> Self {
        Self { document: document.to_owned(), major: DOCUMENT_MAJOR, minor: 0, critical: Vec::new() }
    }
}

/// Names of critical things that this program knows.
const KNOWN: [&str; 1] = [SEALED];
/// What a manifest of a sealed backup calls critical.
pub(crate) const SEALED: &str = "sealed";

/// Who signs documents.
pub(crate) trait Signer {
    /// The 64-byte Ed25519 signature of a message.
    fn sign_bytes(&self, message: &[u8]) -> Vec<u8>;

    /// The public key: 32 bytes.
    fn public_bytes(&self) -> &[u8];
}

impl Signer for InstanceKey {
    fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.sign(message)
    }

    fn public_bytes(&self) -> &[u8] {
        self.public()
    }
}

#[derive(Deserialize)]
struct Head {
    format: Format,
    signer: PublicKey,
}

#[derive(Serialize, Deserialize)]
struct SignatureLine {
    ed25519: Digest<64>,
}

/// The exact bytes of a signed document.
pub(crate) fn sign(payload: &impl Serialize, document: &str, key: &dyn Signer) -> Result<Vec<u8>> {
    let json = |source| Error::Json { act: "write", thing: document.to_owned(), source };
    let mut bytes = serde_json::to_vec(payload).map_err(json)?;
    let mut signature = Digest([0; 64]);
    signature.0.copy_from_slice(&key.sign_bytes(&bytes));
    bytes.push(b'\n');
    serde_json::to_writer(&mut bytes, &SignatureLine { ed25519: signature }).map_err(json)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Checks envelope, signature and version, and gives the payload. `thing` is what errors call it.
pub(crate) fn open<P: for<'de> Deserialize<'de>>(bytes: &[u8], document: &str, thing: &str) -> Result<P> {
    let damaged = |what: String| Error::Damaged {
        part: thing.to_owned(),
        offset: 0,
        size_bytes: bytes.len() as u64,
        what,
    };
    if bytes.len() as u64 > DOCUMENT_LIMIT_BYTES {
        return Err(damaged(format!("it is longer than {DOCUMENT_LIMIT_BYTES} bytes")));
    }
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let [payload, signature] = lines[..] else {
        return Err(damaged("it is not a line and its signature".to_owned()));
    };
    let (Some(payload), Some(signature)) = (payload.strip_suffix(b"\n"), signature.strip_suffix(b"\n"))
    else {
        return Err(damaged("its end is missing".to_owned()));
    };
    let signature: SignatureLine =
        serde_json::from_slice(signature).map_err(|error| damaged(format!("its signature: {error}")))?;
    let head: Head = serde_json::from_slice(payload).map_err(|error| damaged(error.to_string()))?;
    if !key::is_signed_by(&head.signer.0, payload, &signature.ed25519.0) {
        return Err(damaged("its signature is not one of these bytes".to_owned()));
    }
    require_known(&head.format, document, thing)?;
    serde_json::from_slice(payload).map_err(|error| damaged(error.to_string()))
}

/// Makes sure that this is the document that is expected, in a version that is known here. `thing` is what errors call it.
pub(crate) fn require_known(format: &Format, document: &str, thing: &str) -> Result<()> {
    let Format { document: found, major, critical, .. } = format;
    if found != document {
        let what = format!("it is a {found}, not a {document}");
        return Err(Error::Damaged { part: thing.to_owned(), offset: 0, size_bytes: 0, what });
    }
    let newer = |what| Error::NewerFormat { thing: thing.to_owned(), what };
    if *major != DOCUMENT_MAJOR {
        return Err(newer(format!("version {major} of its form, this program reads {DOCUMENT_MAJOR}")));
    }
    let unknown: Vec<&str> =
        critical.iter().map(String::as_str).filter(|name| !KNOWN.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(newer(format!("it needs {}, unknown here", unknown.join(", "))));
    }
    Ok(())
}
