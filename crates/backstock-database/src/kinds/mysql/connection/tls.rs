//! Encryption of a TCP connection, and what counts as the server's identity.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};

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
    let verifier: Arc<dyn ServerCertVerifier> = match identity {
        Some(ServerIdentity::CertificateAuthority(path)) => {
            let roots = Arc::new(read_authorities(path)?);
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| failed(error.to_string()))?
        }
        Some(ServerIdentity::CertificateSha256(pin)) => {
            Arc::new(Pinned { pin: Some(*pin), provider: provider.clone() })
        }
        None => Arc::new(Pinned { pin: None, provider: provider.clone() }),
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
    client.complete_io(&mut socket).map_err(|error| failed(error.to_string()))?;
    Ok(StreamOwned::new(client, socket))
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

/// Accepts one certificate, or any: then the connection keeps out listeners only.
#[derive(Debug)]
struct Pinned {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let found = ::ring::digest::digest(&::ring::digest::SHA256, certificate);
        match self.pin {
            Some(pin) if found.as_ref() != pin => {
                let hex: String = found.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                Err(rustls::Error::General(format!("its certificate is another one (SHA-256 {hex})")))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
