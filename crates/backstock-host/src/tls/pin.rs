//! Trust in one certificate, whoever has issued it and whatever it names; and what the server has shown.

use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

/// The SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// Which certificates are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// None: to see what a server shows.
    None,
    /// This one alone.
    One(Fingerprint),
    /// Any: the connection keeps out listeners, and no more.
    Any,
}

/// A verifier that looks at nothing but the certificate itself, and that the server has its key.
#[derive(Debug)]
pub struct Pin {
    pinned: Pinned,
    seen: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    /// Trusts what is told.
    pub fn new(pinned: Pinned, provider: Arc<CryptoProvider>) -> Self {
        Self { pinned, seen: Mutex::default(), provider }
    }

    /// What is trusted.
    pub fn pinned(&self) -> Pinned {
        self.pinned
    }

    /// What a server has shown last.
    pub fn seen(&self) -> Option<Fingerprint> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = [0; 32];
        seen.copy_from_slice(digest(&SHA256, end_entity).as_ref());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        if self.pinned == Pinned::Any || self.pinned == Pinned::One(seen) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_is_trusted_or_any_or_none_and_it_is_remembered() {
        let certificate = CertificateDer::from(b"a certificate".to_vec());
        let mut own = [0; 32];
        own.copy_from_slice(digest(&SHA256, &certificate).as_ref());
        for (pinned, is_trusted) in [
            (Pinned::None, false),
            (Pinned::One(own), true),
            (Pinned::One([7; 32]), false),
            (Pinned::Any, true),
        ] {
            let pin = Pin::new(pinned, Arc::new(rustls::crypto::ring::default_provider()));
            assert_eq!(pin.seen(), None);
            let name = ServerName::try_from("localhost").unwrap();
            let told = pin.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
            assert_eq!(told.is_ok(), is_trusted, "{pinned:?}");
            assert_eq!(pin.seen(), Some(own));
        }
    }
}
