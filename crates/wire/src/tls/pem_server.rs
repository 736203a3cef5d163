//! TLS of plain HTTPS listeners: a certificate from files, and clients of one authority if that is wanted.

use super::TlsOptions;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use std::sync::Arc;

/// What is wrong with the PEM texts.
#[derive(Debug, thiserror::Error)]
pub enum PemTlsError {
    /// They are no PEM, or of another kind.
    #[error("could not read the PEM text of the {0}")]
    Pem(&'static str, #[source] pem::Error),
    /// There is nothing in it.
    #[error("there is no certificate in the PEM text of the {0}")]
    Empty(&'static str),
    /// Certificate and key do not go together, or rustls does not take them.
    #[error("certificate and key cannot be used")]
    Identity(#[source] rustls::Error),
    /// Clients cannot be verified by this authority.
    #[error("clients cannot be verified by the authority given")]
    ClientCa(#[source] VerifierBuilderError),
}

/// A listener's side, from PEM texts. With `client_ca` only clients that it signed are let in.
pub fn pem_server_config(
    certificates: &[u8],
    key: &[u8],
    client_ca: Option<&[u8]>,
    options: &TlsOptions,
) -> Result<Arc<ServerConfig>, PemTlsError> {
    let chain = certificates_of(certificates, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| PemTlsError::Pem("key", error))?;
    let provider = options.provider();
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), options.time())
        .with_protocol_versions(options.versions())
        .map_err(PemTlsError::Identity)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            for root in certificates_of(authority, "client authority")? {
                roots.add(root).map_err(PemTlsError::Identity)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(PemTlsError::ClientCa)?)
        }
    };
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(PemTlsError::Identity)?))
}

fn certificates_of(text: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, PemTlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(|error| PemTlsError::Pem(what, error))?;
    if certificates.is_empty() { Err(PemTlsError::Empty(what)) } else { Ok(certificates) }
}
