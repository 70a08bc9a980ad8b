//! TLS by rustls: a private or the system's authorities, client certificates, verification on.

use std::sync::Arc;

use lapin::tcp::{RustlsConnector, RustlsConnectorConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::Tls;

/// What connects as `tls` says. Its files are read anew each time, so that renewed ones are used.
pub fn connector(tls: &Tls) -> Result<RustlsConnector, String> {
    let identity = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("{}: {error}", key.display()))?;
            Some((certificates(cert)?, key_der))
        }
        _ => None,
    };
    if !tls.verify {
        return unverified(identity);
    }
    let mut config = RustlsConnectorConfig::default();
    match &tls.ca_file {
        Some(file) => config.add_parsable_certificates(certificates(file)?),
        None => {
            config = RustlsConnectorConfig::new_with_native_certs()
                .map_err(|error| format!("the system's authorities: {error}"))?;
        }
    }
    match identity {
        Some((certs, key)) => config.connector_with_single_cert(certs, key),
        None => config.connector_with_no_client_auth(),
    }
    .map_err(|error| error.to_string())
}

fn certificates(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// Only where the settings ask for it in full.
fn unverified(
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<RustlsConnector, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty());
    let mut config = match identity {
        Some((certs, key)) => builder
            .with_client_auth_cert(certs, key)
            .map_err(|error| error.to_string())?,
        None => builder.with_no_client_auth(),
    };
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(AnyCertificate(provider)));
    Ok(config.into())
}

/// Takes any certificate; the connection is still one with its owner.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
