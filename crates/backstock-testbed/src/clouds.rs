//! Local servers in the place of clouds, written from the published contracts of their providers: what they refuse, how they
//! page, how their sessions go on. Clients reach them over TLS on loopback, and cannot tell by the protocol.

pub mod browser;
pub mod dropbox;
pub mod google_drive;
pub mod oauth;
pub mod onedrive;
mod range;
pub mod server;

use std::path::{Path, PathBuf};

/// The certificates that these servers show, and the authority that clients must be told to trust.
fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tls")
}

/// The file of the authority that issued the certificate of these servers, as an absolute path.
///
/// # Panics
/// When the repository is not where this was built.
pub fn authority() -> PathBuf {
    certificates().join("authority.pem").canonicalize().expect("the fixtures are there")
}

/// A name that nobody has guessed: different at each call within a server.
fn token(prefix: &str, number: u64) -> String {
    use base64::Engine as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{prefix} {number}").as_bytes());
    format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..24]))
}
