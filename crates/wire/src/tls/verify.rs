//! Verifying the other end: an X509-SVID, against the bundle of its own trust domain and no other.

use finial_identity::x509::{Certificate, X509Error, verify_svid};
use finial_identity::{Bundle, SpiffeId, TrustDomain, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Most certificates that a peer may send.
const CHAIN_MAX: usize = 16;

/// What is trusted. Asked in every handshake, so it must answer at once, from memory.
pub trait TrustSource: Send + Sync + fmt::Debug {
    /// The bundle that verifies the SVIDs of a trust domain, if they are accepted at all.
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>>;

    /// Whether an ID that has been verified may connect. A server that accepts single IDs of foreign trust
    /// domains (`admin_ids`) says so here.
    fn admits(&self, id: &SpiffeId) -> bool {
        let _ = id;
        true
    }
}

/// Why the other end was refused. The texts are go-spiffe's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// More than any chain has.
    #[error("x509svid: too many certificates")]
    TooManyCertificates,
    /// Not certificates, or not the leaf of an X509-SVID.
    #[error("x509svid: could not get leaf SPIFFE ID")]
    Malformed(#[source] X509Error),
    /// Nothing is known of its trust domain.
    #[error("x509svid: could not get X509 bundle: no bundle found for trust domain {:?}", .0.as_str())]
    NoBundle(TrustDomain),
    /// Its trust domain does not vouch for it.
    #[error("x509svid: could not verify leaf certificate")]
    Chain(#[source] X509Error),
    /// Somebody else.
    #[error("unexpected ID {:?}", .0.as_str())]
    UnexpectedId(SpiffeId),
}

impl From<VerifyError> for rustls::Error {
    fn from(error: VerifyError) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }
}

/// The SVID of the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSvid {
    /// Whose it is.
    pub id: SpiffeId,
    /// The certificates that it sent, leaf first; not empty.
    pub chain: Vec<Certificate>,
    /// Serial number of the leaf in decimal, as agents are known by it: every call needs it.
    serial: String,
}

impl PeerSvid {
    /// The leaf.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Serial number of the leaf in decimal, as agents are known by it.
    pub fn serial_decimal(&self) -> &str {
        &self.serial
    }

    /// Whether the leaf has expired. A connection may outlive its certificate.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        now > self.leaf().not_after()
    }

    /// Reads certificates that a verifier of ours has accepted.
    pub(crate) fn of_verified(chain: Option<&[CertificateDer<'_>]>) -> Result<Option<Self>, X509Error> {
        let Some((leaf, intermediates)) = chain.and_then(|chain| chain.split_first()) else {
            return Ok(None);
        };
        let chain = parse(leaf, intermediates)?;
        Ok(Some(Self { id: chain[0].spiffe_id()?, serial: chain[0].serial_decimal(), chain }))
    }
}

fn parse(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, X509Error> {
    std::iter::once(leaf).chain(others).map(|der| Certificate::from_der(der)).collect()
}

fn verify(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    trust: &dyn TrustSource,
    now: rustls::pki_types::UnixTime,
) -> Result<SpiffeId, VerifyError> {
    if others.len() >= CHAIN_MAX {
        return Err(VerifyError::TooManyCertificates);
    }
    let chain = parse(leaf, others).map_err(VerifyError::Malformed)?;
    let id = chain[0].spiffe_id().map_err(VerifyError::Malformed)?;
    let bundle = trust
        .authorities(id.trust_domain())
        .filter(|bundle| bundle.trust_domain == *id.trust_domain())
        .ok_or_else(|| VerifyError::NoBundle(id.trust_domain().clone()))?;
    let now = UnixTime::from_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    verify_svid(&chain, bundle.x509_authorities.iter(), now).map_err(VerifyError::Chain)
}

/// The methods that both of rustls's traits for verifiers have: `algorithms` does what they ask.
macro_rules! verifies_signatures_by_its_algorithms {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls12_signature(message, certificate, signed, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, certificate, signed, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// Verifies clients, which need not show a certificate.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    pub(super) trust: Arc<dyn TrustSource>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let id = verify(leaf, intermediates, &*self.trust, now)?;
        if !self.trust.admits(&id) {
            return Err(VerifyError::UnexpectedId(id).into());
        }
        Ok(ClientCertVerified::assertion())
    }

    verifies_signatures_by_its_algorithms!();
}

/// The chain that a server showed to a client that does not verify it.
#[derive(Debug, Clone, Default)]
pub struct CapturedChain(Arc<Mutex<Vec<Certificate>>>);

impl CapturedChain {
    /// The certificates of the newest handshake, leaf first; empty before the first one.
    pub fn chain(&self) -> Vec<Certificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn store(&self, chain: Vec<Certificate>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }
}

/// How a server is verified.
#[derive(Debug)]
pub(super) enum ServerRule {
    /// It must be exactly this one.
    Is(SpiffeId, Arc<dyn TrustSource>),
    /// Anybody who has the key of the certificate shown.
    Anybody(CapturedChain),
}

/// Verifies servers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) rule: ServerRule,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.rule {
            ServerRule::Is(expected, trust) => {
                let id = verify(leaf, intermediates, &**trust, now)?;
                if id != *expected {
                    return Err(VerifyError::UnexpectedId(id).into());
                }
            }
            ServerRule::Anybody(captured) => {
                captured.store(parse(leaf, intermediates).map_err(VerifyError::Malformed)?);
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    verifies_signatures_by_its_algorithms!();
}
