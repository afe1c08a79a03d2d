//! How every kind trusts a server: TLS 1.2 and 1.3 by rustls, the roots that browsers ship, and those of one file of the settings.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Files;

mod pin;

pub use pin::{Fingerprint, Pin, Pinned};

/// The longest file of certificates that is read, in bytes.
const CA_FILE_LIMIT_BYTES: u64 = 1 << 20;

/// The settings with which a client speaks TLS. `ca_file` names a file of PEM certificates (an absolute path) whose issuers
/// are trusted beside the usual roots: for servers with a certificate of their own making.
///
/// # Errors
///
/// What is wrong with the file, as a sentence about the settings.
pub fn client_config(files: &dyn Files, ca_file: Option<&str>) -> Result<ClientConfig, String> {
    client_config_of(files, ca_file, rustls::DEFAULT_VERSIONS)
}

/// The same for these versions of the protocol alone.
///
/// # Errors
///
/// As [`client_config`].
pub fn client_config_of(
    files: &dyn Files,
    ca_file: Option<&str>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        add_file(files, path, &mut roots).map_err(|problem| format!("ca_file \"{path}\": {problem}"))?;
    }
    // Named here, so that it does not matter which provider the process has installed, or none.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(files: &dyn Files, path: &str, roots: &mut RootCertStore) -> Result<(), String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("it must be an absolute path".to_owned());
    }
    let bytes = files.read(path, CA_FILE_LIMIT_BYTES).map_err(|error| error.to_string())?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| format!("it is no PEM file: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("it holds a certificate that cannot be used: {error}"))?;
        count += 1;
    }
    if count == 0 { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}

/// Whether an error, or what caused it, is that the other side cannot prove who it is or does not speak TLS as it should.
pub fn is_distrust(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // The source of an `io::Error` is the source of what it carries, never that itself.
        let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = carried.map(|carried| carried as _).or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::SimulatedHost;

    fn with_file(text: &str) -> Result<ClientConfig, String> {
        let machine = SimulatedHost::new(1);
        let path = Path::new("/ca.pem");
        machine.host.files.create_new(path).unwrap().write_all(text.as_bytes()).unwrap();
        client_config(&*machine.host.files, Some("/ca.pem"))
    }

    #[test]
    fn a_file_of_certificates_is_read_or_refused_with_a_reason() {
        let good = include_str!("../../../fixtures/tls/authority.pem");
        with_file(good).unwrap();
        assert!(with_file("no certificate").unwrap_err().contains("no certificate"));
        assert!(with_file(&good.replace("MII", "!!!")).unwrap_err().starts_with("ca_file \"/ca.pem\": "));
        let machine = SimulatedHost::new(1);
        assert!(client_config(&*machine.host.files, Some("/missing.pem")).is_err());
        assert!(client_config(&*machine.host.files, Some("relative.pem")).unwrap_err().contains("absolute"));
        client_config(&*machine.host.files, None).unwrap();
    }

    #[test]
    fn distrust_is_seen_through_what_wraps_it() {
        let carried = std::io::Error::other(std::io::Error::other(rustls::Error::DecryptError));
        assert!(is_distrust(&carried));
        assert!(!is_distrust(&std::io::Error::other("reset")));
    }
}
