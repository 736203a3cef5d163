//! TLS as browsers know it: servers proved by the authorities that the operating system trusts, and servers of
//! ours that show a certificate from a file.
//!
//! For bundle endpoints and for what is fetched from the web. Nobody is asked for a client certificate here
//! (SPIFFE Federation, section 5.2).

use super::config::{TlsOptions, web_client, web_server};
use super::identity::{IdentityCell, Resolver};
use arc_swap::ArcSwap;
use finial_identity::SpiffeId;
use finial_identity::pem;
use finial_identity::x509::Certificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::io;
use std::sync::Arc;

/// Whom to believe that a server is the one in the URL.
#[derive(Debug, Clone)]
pub enum WebRoots {
    /// The authorities that the operating system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    System,
    /// These.
    Given(Vec<CertificateDer<'static>>),
}

/// Why no server of the web can be believed.
#[derive(Debug, thiserror::Error)]
pub enum WebRootsError {
    /// The system trusts nobody.
    #[error(
        "the system trusts no certificate authorities: install its CA certificates, or set SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// They cannot be used.
    #[error("the certificate authorities of the system cannot be used")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A client's side. Reads the system's authorities, so that changes of them count: blocks for as long as that
/// takes.
pub fn web_client_config(roots: &WebRoots, options: &TlsOptions) -> Result<ClientConfig, WebRootsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(match roots {
        WebRoots::System => rustls_native_certs::load_native_certs().certs,
        WebRoots::Given(certificates) => certificates.clone(),
    });
    if store.is_empty() {
        return Err(WebRootsError::NoAuthorities);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build()?;
    Ok(web_client(Arc::new(WebVerifier(verifier)), options)?)
}

/// Why a server of the web was refused. The texts are Go's.
#[derive(Debug, thiserror::Error)]
#[error("tls: failed to verify certificate: {reason}")]
pub struct WebVerifyError {
    reason: String,
    /// Whose SVID the server showed, if it showed one.
    pub spiffe_id: Option<SpiffeId>,
}

impl WebVerifyError {
    /// The verifier's error in the error of a handshake, if it was that.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())?;
        match inner {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
            _ => None,
        }
    }

    fn new(error: &rustls::Error, leaf: &CertificateDer<'_>, host: &ServerName<'_>) -> Self {
        use CertificateError as Bad;
        let host = host.to_str();
        let reason = match error {
            rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            rustls::Error::InvalidCertificate(
                Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
            ) => "x509: certificate has expired or is not yet valid".to_owned(),
            rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
                format!("x509: certificate is not valid for {host:?}")
            }
            rustls::Error::InvalidCertificate(other) => format!("x509: {other}"),
            other => other.to_string(),
        };
        let spiffe_id = Certificate::from_der(leaf).ok().and_then(|leaf| leaf.spiffe_id().ok());
        Self { reason, spiffe_id }
    }
}

/// The verifier of the web, which also says when the other end is one of ours.
#[derive(Debug)]
struct WebVerifier(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for WebVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_server_cert(leaf, intermediates, host, ocsp_response, now).map_err(|error| {
            let told = OtherError(Arc::new(WebVerifyError::new(&error, leaf, host)));
            rustls::Error::InvalidCertificate(CertificateError::Other(told))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A certificate for the web with its key.
#[derive(Debug, Clone)]
pub struct WebCertificate(Arc<CertifiedKey>);

/// Why two files are no certificate with its key. The texts are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebCertificateError {
    /// No certificate.
    #[error("tls: failed to find any PEM data in certificate input")]
    NoCertificate,
    /// No key.
    #[error("tls: failed to find any PEM data in key input")]
    NoKey,
    /// A key that cannot sign handshakes.
    #[error("tls: failed to parse private key: {0}")]
    BadKey(String),
    /// Not the key of the certificate.
    #[error("tls: private key does not match public key")]
    OtherKey,
}

impl WebCertificate {
    /// Reads certificates in PEM, leaf first, and a key in PEM (PKCS #8, PKCS #1 or SEC 1).
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, WebCertificateError> {
        use WebCertificateError as Error;
        let blocks = pem::decode_all(certificates).into_iter().filter(|block| block.label == "CERTIFICATE");
        let chain: Vec<CertificateDer<'static>> = blocks.map(|block| block.der.into()).collect();
        if chain.is_empty() {
            return Err(Error::NoCertificate);
        }
        let mut keys = pem::decode_all(key).into_iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        let key = keys.next().ok_or(Error::NoKey)?;
        let key = PrivateKeyDer::try_from(key.der).map_err(|error| Error::BadKey(error.to_owned()))?;
        let key =
            aws_lc_rs::sign::any_supported_type(&key).map_err(|error| Error::BadKey(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(_) => Err(Error::OtherKey),
        }
    }
}

/// Holds the certificate that new connections are shown.
#[derive(Debug)]
pub struct WebCertificateCell(ArcSwap<CertifiedKey>);

impl WebCertificateCell {
    /// With its first certificate.
    pub fn with(certificate: WebCertificate) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(certificate.0)))
    }

    /// From now on new connections are shown this one.
    pub fn set(&self, certificate: WebCertificate) {
        self.0.store(certificate.0);
    }
}

#[derive(Debug)]
struct WebResolver(Arc<WebCertificateCell>);

impl ResolvesServerCert for WebResolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.0.load_full())
    }
}

/// What a server of the web shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The X509-SVID of the moment.
    Svid(Arc<IdentityCell>),
    /// A certificate of the web.
    Certificate(Arc<WebCertificateCell>),
}

/// A server's side, for HTTP/2 and HTTP/1.1.
pub fn web_server_config(shown: Shown, options: &TlsOptions) -> Result<Arc<ServerConfig>, rustls::Error> {
    let resolver: Arc<dyn ResolvesServerCert> = match shown {
        Shown::Svid(cell) => Arc::new(Resolver(cell)),
        Shown::Certificate(cell) => Arc::new(WebResolver(cell)),
    };
    web_server(resolver, options)
}
