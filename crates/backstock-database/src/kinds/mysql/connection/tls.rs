//! Encryption of a TCP connection, and what counts as the server's identity.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use backstock_host::hex;
use backstock_host::tls::{Pin, Pinned};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::stream::Socket;
use crate::error::{Error, Result};
use crate::settings::{Address, ServerIdentity, ServerSettings};

/// An encrypted stream over a socket.
pub(crate) type TlsStream = StreamOwned<ClientConnection, Socket>;

/// Encrypts the connection and checks the server's identity, if one was given.
pub(crate) fn encrypt(
    mut socket: Socket,
    settings: &ServerSettings,
    identity: Option<&ServerIdentity>,
) -> Result<TlsStream> {
    let failed = |reason: String| Error::Encryption { address: settings.address.to_string(), reason };
    let host = match &settings.address {
        Address::Tcp { host, .. } => host.clone(),
        Address::Socket(_) => return Err(failed("a Unix socket is not encrypted".to_owned())),
    };
    let provider = Arc::new(ring::default_provider());
    let mut pin = None;
    let verifier: Arc<dyn ServerCertVerifier> = match identity {
        Some(ServerIdentity::CertificateAuthority(path)) => {
            let roots = Arc::new(read_authorities(path)?);
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| failed(error.to_string()))?
        }
        Some(ServerIdentity::CertificateSha256(one)) => {
            pin.insert(Arc::new(Pin::new(Pinned::One(*one), provider.clone()))).clone()
        }
        None => Arc::new(Pin::new(Pinned::Any, provider.clone())),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(|error| failed(error.to_string()))?;
    let mut client =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(error.to_string()))?;
    client.complete_io(&mut socket).map_err(|error| match pin.and_then(|pin| another(&pin)) {
        Some(shown) => failed(format!("its certificate is another one (SHA-256 {shown})")),
        None => failed(error.to_string()),
    })?;
    Ok(StreamOwned::new(client, socket))
}

/// The certificate that a server showed, where it is not the one that is trusted.
fn another(pin: &Pin) -> Option<String> {
    pin.seen().filter(|seen| pin.pinned() != Pinned::One(*seen)).map(|seen| hex::encode(&seen))
}

fn read_authorities(path: &Path) -> Result<RootCertStore> {
    let cannot = |source| Error::Certificates { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(cannot)?);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(&mut reader) {
        let invalid = |error: String| cannot(io::Error::new(io::ErrorKind::InvalidData, error));
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(cannot(io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate")));
    }
    Ok(roots)
}
