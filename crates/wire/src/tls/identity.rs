//! Our own identity on TLS connections, and the cell in which it is replaced.

use arc_swap::ArcSwapOption;
use finial_identity::key::{KeyError, PublicKeyKind};
use finial_identity::x509::{Certificate, X509Error, X509Svid};
use finial_identity::{PrivateKey, PublicKey, SignatureScheme, SpiffeId};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Signs handshakes. Called in the middle of one, so it must answer at once: a key manager that is far away
/// needs an adapter that keeps the key of TLS near.
pub trait TlsSigner: Send + Sync + fmt::Debug {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs the message, hashing it as the scheme says.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

impl TlsSigner for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        Self::public_key(self)
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Self::sign(self, scheme, message)
    }
}

/// An X509-SVID of ours and what signs for it.
#[derive(Debug, Clone)]
pub struct LocalIdentity {
    svid: X509Svid,
    signer: Arc<dyn TlsSigner>,
}

/// Why certificates and key make no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not an X509-SVID.
    #[error("the certificates are not an X509-SVID")]
    Chain(#[from] X509Error),
    /// The leaf is for another key.
    #[error("the certificate is for another key")]
    OtherKey,
}

impl LocalIdentity {
    /// Puts certificates, leaf first, and key together.
    pub fn new(chain: Vec<Certificate>, signer: Arc<dyn TlsSigner>) -> Result<Self, IdentityError> {
        let svid = X509Svid::from_chain(chain)?;
        if svid.leaf().spki() != signer.public_key().spki() {
            return Err(IdentityError::OtherKey);
        }
        Ok(Self { svid, signer })
    }

    /// Whose it is.
    pub fn id(&self) -> &SpiffeId {
        &self.svid.id
    }

    /// The certificates.
    pub fn svid(&self) -> &X509Svid {
        &self.svid
    }

    fn certified_key(&self) -> CertifiedKey {
        let chain =
            self.svid.chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec()));
        CertifiedKey::new(chain.collect(), Arc::new(Key(self.signer.clone())))
    }
}

/// Holds the identity that new connections use, or none yet. One writer sets it; readers are TLS
/// configurations, and channels that are to be remade when it changes.
#[derive(Debug)]
pub struct IdentityCell {
    current: ArcSwapOption<Loaded>,
    generation: watch::Sender<u64>,
}

#[derive(Debug)]
struct Loaded {
    identity: LocalIdentity,
    key: Arc<CertifiedKey>,
}

impl IdentityCell {
    /// Without an identity: a server refuses handshakes, a client shows no certificate.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self { current: ArcSwapOption::empty(), generation: watch::Sender::new(0) })
    }

    /// With an identity.
    pub fn with(identity: LocalIdentity) -> Arc<Self> {
        let cell = Self::empty();
        cell.set(identity);
        cell
    }

    /// From now on new connections use this identity.
    pub fn set(&self, identity: LocalIdentity) {
        let key = Arc::new(identity.certified_key());
        self.current.store(Some(Arc::new(Loaded { identity, key })));
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// From now on there is none.
    pub fn clear(&self) {
        self.current.store(None);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// The identity in use.
    pub fn current(&self) -> Option<LocalIdentity> {
        self.current.load().as_ref().map(|loaded| loaded.identity.clone())
    }

    /// Grows by one with every change.
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Wakes at every change; the value is [`Self::generation`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.current.load().as_ref().map(|loaded| loaded.key.clone())
    }
}

/// Gives rustls the identity of the moment.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Arc<IdentityCell>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.key()
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.key()
    }

    fn has_certs(&self) -> bool {
        self.0.key().is_some()
    }
}

#[derive(Debug)]
struct Key(Arc<dyn TlsSigner>);

/// What a key can do in TLS, best first; PKCS#1 signatures are for TLS 1.2 only.
fn schemes(kind: PublicKeyKind) -> &'static [(rustls::SignatureScheme, SignatureScheme)] {
    use rustls::SignatureScheme as Tls;
    match kind {
        PublicKeyKind::EcP256 => &[(Tls::ECDSA_NISTP256_SHA256, SignatureScheme::EcdsaP256Sha256)],
        PublicKeyKind::EcP384 => &[(Tls::ECDSA_NISTP384_SHA384, SignatureScheme::EcdsaP384Sha384)],
        PublicKeyKind::EcP521 => &[(Tls::ECDSA_NISTP521_SHA512, SignatureScheme::EcdsaP521Sha512)],
        PublicKeyKind::Rsa(_) => &[
            (Tls::RSA_PSS_SHA256, SignatureScheme::RsaPssSha256),
            (Tls::RSA_PSS_SHA384, SignatureScheme::RsaPssSha384),
            (Tls::RSA_PSS_SHA512, SignatureScheme::RsaPssSha512),
            (Tls::RSA_PKCS1_SHA256, SignatureScheme::RsaPkcs1Sha256),
            (Tls::RSA_PKCS1_SHA384, SignatureScheme::RsaPkcs1Sha384),
            (Tls::RSA_PKCS1_SHA512, SignatureScheme::RsaPkcs1Sha512),
        ],
        PublicKeyKind::Ed25519 => &[(Tls::ED25519, SignatureScheme::Ed25519)],
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[rustls::SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (tls, scheme) =
            schemes(self.0.public_key().kind()).iter().copied().find(|(tls, _)| offered.contains(tls))?;
        Some(Box::new(HandshakeSigner { key: self.0.clone(), tls, scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public_key().spki()))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        match self.0.public_key().kind() {
            PublicKeyKind::Rsa(_) => rustls::SignatureAlgorithm::RSA,
            PublicKeyKind::Ed25519 => rustls::SignatureAlgorithm::ED25519,
            _ => rustls::SignatureAlgorithm::ECDSA,
        }
    }
}

#[derive(Debug)]
struct HandshakeSigner {
    key: Arc<dyn TlsSigner>,
    tls: rustls::SignatureScheme,
    scheme: SignatureScheme,
}

impl Signer for HandshakeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.key.sign(self.scheme, message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> rustls::SignatureScheme {
        self.tls
    }
}
