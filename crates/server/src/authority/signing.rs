//! Authorities that can sign: a key in the key manager with all that is the same for everything it signs.

use super::error::{PrepareError, SignError};
use super::slot::{AuthorityInfo, SigningAuthority};
use bytes::Bytes;
use finial_identity::jwt::{self, Algorithm, JwtClaims, JwtError, JwtHeader};
use finial_identity::x509::{Certificate, CertificateTemplate, Issuer, X509Error, assemble, to_be_signed};
use finial_identity::{AuthorityId, Bundle, JwtAuthority, PublicKey, SignatureScheme, UnixTime};
use finial_plugin::key_manager::SigningKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One signature of so many is verified before it leaves, and the first of each authority: a key manager
/// that signs with the wrong key is found out at once, one that miscalculates before it gives its key away.
const SELF_CHECK_EVERY: u32 = 1000;

/// A key with its scheme, watched over.
struct CheckedKey {
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
    signatures: AtomicU32,
}

impl CheckedKey {
    fn new(key: Arc<dyn SigningKey>, scheme: SignatureScheme) -> Self {
        Self { key, scheme, signatures: AtomicU32::new(0) }
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = match self.key.sign_inline(self.scheme, message) {
            Some(signed) => signed?,
            None => self.key.sign(self.scheme, message).await?,
        };
        if self.signatures.fetch_add(1, Ordering::Relaxed).is_multiple_of(SELF_CHECK_EVERY) {
            let verified = self.key.public_key().verify(self.scheme, message, &signature);
            verified.map_err(|_| SignError::SelfCheck)?;
        }
        Ok(signature)
    }
}

/// An X.509 authority of this server.
pub(super) struct X509Ca {
    key: CheckedKey,
    certificate: Certificate,
    /// The certificate and what leads from it to a root; empty if it is its own root.
    upstream_chain: Vec<Certificate>,
    /// What follows a leaf: nothing if self-signed, for roots travel in bundles.
    intermediates: Vec<Bytes>,
    info: AuthorityInfo,
}

impl X509Ca {
    /// Signs a certificate for the key with itself.
    pub(super) async fn self_signed(
        key: Arc<dyn SigningKey>,
        template: &CertificateTemplate,
    ) -> Result<Self, PrepareError> {
        let scheme = key.public_key().certificate_scheme().ok_or(PrepareError::KeyKind)?;
        let issuer = Issuer { subject_der: template.subject.der(), key_id: None, scheme };
        let signed = sign_with(&CheckedKey::new(Arc::clone(&key), scheme), template, &issuer).await?;
        let certificate = Certificate::from_der(&signed).map_err(PrepareError::Certificate)?;
        Self::new(key, certificate).ok_or(PrepareError::KeyKind)
    }

    /// An authority whose certificate is its own root. Nothing if the key is of a kind that does not sign
    /// certificates.
    pub(super) fn new(key: Arc<dyn SigningKey>, certificate: Certificate) -> Option<Self> {
        let scheme = key.public_key().certificate_scheme()?;
        let info = AuthorityInfo {
            id: AuthorityId::new(certificate.subject_key_id_hex()),
            upstream_id: AuthorityId::new(certificate.authority_key_id_hex()),
            expires_at: certificate.not_after(),
        };
        let key = CheckedKey::new(key, scheme);
        Some(Self { key, certificate, upstream_chain: Vec::new(), intermediates: Vec::new(), info })
    }

    /// An authority that was signed above: its certificate first, then what leads to a root. Nothing if there
    /// is no certificate, or if the key is of a kind that does not sign certificates.
    pub(super) fn signed_above(key: Arc<dyn SigningKey>, chain: Vec<Certificate>) -> Option<Self> {
        let authority = Self::new(key, chain.first()?.clone())?;
        let intermediates = chain.iter().map(|link| Bytes::from_owner(link.der_arc())).collect();
        Some(Self { upstream_chain: chain, intermediates, ..authority })
    }

    /// The certificate and what leads from it to a root; empty if it is its own root.
    pub(super) fn upstream_chain(&self) -> &[Certificate] {
        &self.upstream_chain
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        self.key.key.public_key()
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it was signed by this root, or by something that was.
    pub(super) fn hangs_on(&self, root: &Certificate) -> bool {
        let is_signed = |link: &Certificate| {
            link.raw_issuer() == root.raw_subject()
                && root.public_key().is_ok_and(|key| link.verify_signature_by(&key).is_ok())
        };
        self.upstream_chain.iter().any(is_signed)
    }

    /// Whether its trust comes from this root, tainted or not.
    pub(super) fn is_or_hangs_on(&self, root: &Certificate) -> bool {
        if self.upstream_chain.is_empty() { self.certificate == *root } else { self.hangs_on(root) }
    }

    /// Whether it has not ended at that moment.
    pub(super) fn may_sign_at(&self, now: UnixTime) -> bool {
        now <= self.info.expires_at
    }

    /// Signs a certificate; the chain is leaf first.
    pub(super) async fn issue(&self, template: &CertificateTemplate) -> Result<Vec<Bytes>, SignError> {
        let issuer = Issuer {
            subject_der: self.certificate.raw_subject(),
            key_id: self.certificate.subject_key_id(),
            scheme: self.key.scheme,
        };
        let leaf = sign_with(&self.key, template, &issuer).await?;
        let mut chain = Vec::with_capacity(1 + self.intermediates.len());
        chain.push(Bytes::from(leaf));
        chain.extend_from_slice(&self.intermediates);
        Ok(chain)
    }
}

async fn sign_with(
    key: &CheckedKey,
    template: &CertificateTemplate,
    issuer: &Issuer<'_>,
) -> Result<Vec<u8>, SignError> {
    let tbs = to_be_signed(template, issuer);
    let signature = key.sign(&tbs).await?;
    Ok(assemble(&tbs, issuer.scheme, &signature))
}

impl SigningAuthority for X509Ca {
    const KEY_PREFIX: &'static str = "x509-CA-";

    fn info(&self) -> &AuthorityInfo {
        &self.info
    }

    fn is_trusted_by(&self, bundle: &Bundle) -> bool {
        if self.upstream_chain.is_empty() {
            return is_trusted_certificate(bundle, &self.certificate);
        }
        let mut roots = bundle.x509_authorities.iter().filter(|root| !root.tainted);
        roots.any(|root| self.hangs_on(&root.certificate))
    }
}

/// Whether the bundle has the certificate, untainted.
pub(super) fn is_trusted_certificate(bundle: &Bundle, certificate: &Certificate) -> bool {
    bundle.x509_authorities.iter().any(|known| !known.tainted && known.certificate == *certificate)
}

/// A JWT authority of this server.
pub(super) struct JwtKey {
    key: CheckedKey,
    header: JwtHeader,
    info: AuthorityInfo,
}

impl JwtKey {
    pub(super) fn new(
        key: Arc<dyn SigningKey>,
        key_id: &str,
        expires_at: UnixTime,
    ) -> Result<Self, JwtError> {
        let algorithm = Algorithm::for_key(key.public_key().kind()).ok_or(JwtError::UnsupportedScheme)?;
        let scheme = algorithm.scheme();
        let header = JwtHeader::new(scheme, key_id)?;
        let info =
            AuthorityInfo { id: AuthorityId::new(key_id), upstream_id: AuthorityId::new(""), expires_at };
        Ok(Self { key: CheckedKey::new(key, scheme), header, info })
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        self.key.key.public_key()
    }

    /// The authority as the bundle has it.
    pub(super) fn to_bundle(&self) -> JwtAuthority {
        let mut authority = JwtAuthority::new(self.info.id.as_str(), self.public_key().clone());
        authority.expires_at = self.info.expires_at;
        authority
    }

    /// Whether it has not ended at that moment: a token ends when its key does, and must not be over when it
    /// is made.
    pub(super) fn may_sign_at(&self, now: UnixTime) -> bool {
        now < self.info.expires_at
    }

    /// Signs a token.
    pub(super) async fn issue(&self, claims: &JwtClaims) -> Result<String, JwtFailure> {
        let input = jwt::signing_input(&self.header, claims);
        let signature = self.key.sign(input.as_bytes()).await.map_err(JwtFailure::Sign)?;
        jwt::assemble(input, self.key.scheme, &signature).map_err(JwtFailure::Assemble)
    }
}

/// Why a token was not made.
pub(super) enum JwtFailure {
    Sign(SignError),
    Assemble(JwtError),
}

impl SigningAuthority for JwtKey {
    const KEY_PREFIX: &'static str = "JWT-Signer-";

    fn info(&self) -> &AuthorityInfo {
        &self.info
    }

    fn is_trusted_by(&self, bundle: &Bundle) -> bool {
        let known = bundle.find_jwt(self.info.id.as_str());
        known.is_some_and(|known| !known.tainted && known.public_key == *self.public_key())
    }
}

/// Checks what a new authority says of itself (parity §1.7, self-check), so that nothing else is published.
pub(super) fn check_authority(
    ca: &X509Ca,
    issuer: &Certificate,
    trust_domain_uri: &str,
) -> Result<(), X509Error> {
    let certificate = ca.certificate();
    certificate.verify_signature_by(&issuer.public_key()?)?;
    if !certificate.is_ca() {
        return Err(X509Error::IssuerNotAuthority);
    }
    if !certificate.key_usage().contains(finial_identity::x509::KeyUsage::CERT_SIGN) {
        return Err(X509Error::IssuerWithoutCertSign);
    }
    match certificate.uris() {
        [uri] if uri == trust_domain_uri => Ok(()),
        [] => Err(X509Error::NoUri),
        [_] => Err(X509Error::MalformedCertificate("the URI is not the trust domain's")),
        _ => Err(X509Error::SeveralUris),
    }
}
