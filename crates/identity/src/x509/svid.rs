//! X509-SVIDs and the rules that their certificates obey (X509-SVID §§2–5).

use super::{Certificate, KeyUsage, X509Error};
use crate::SpiffeId;

/// The certificates of an X509-SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Svid {
    /// Whose it is.
    pub id: SpiffeId,
    /// The leaf, and after it the intermediates up to the authority in the bundle.
    pub chain: Vec<Certificate>,
}

impl X509Svid {
    /// Checks that the certificates can be an X509-SVID: the first a leaf, the others authorities. Their
    /// signatures and validity are not looked at, for that is [`super::verify_svid`].
    pub fn from_chain(chain: Vec<Certificate>) -> Result<Self, X509Error> {
        Ok(Self { id: check_chain(&chain)?, chain })
    }

    /// The leaf certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The chain as the Workload API carries it: DER after DER.
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain.iter().flat_map(|certificate| certificate.der()).copied().collect()
    }
}

/// The SPIFFE ID of a chain whose certificates have the form that X509-SVID asks for.
fn check_chain(chain: &[Certificate]) -> Result<SpiffeId, X509Error> {
    let (leaf, issuers) = chain.split_first().ok_or(X509Error::EmptyChain)?;
    let id = check_leaf(leaf)?;
    for issuer in issuers {
        if !issuer.is_ca() {
            return Err(X509Error::IssuerNotAuthority);
        }
        if !issuer.key_usage().contains(KeyUsage::CERT_SIGN) {
            return Err(X509Error::IssuerWithoutCertSign);
        }
    }
    Ok(id)
}

/// The SPIFFE ID of a certificate that has the form of a leaf (X509-SVID §§2, 4 and 5.2).
pub(crate) fn check_leaf(leaf: &Certificate) -> Result<SpiffeId, X509Error> {
    let id = leaf.spiffe_id()?;
    let usage = leaf.key_usage();
    if id.path().is_empty() {
        return Err(X509Error::LeafWithoutPath);
    }
    if leaf.is_ca() {
        return Err(X509Error::LeafIsAuthority);
    }
    if !usage.contains(KeyUsage::DIGITAL_SIGNATURE) {
        return Err(X509Error::LeafWithoutDigitalSignature);
    }
    if usage.contains(KeyUsage::CERT_SIGN) {
        return Err(X509Error::LeafWithCertSign);
    }
    if usage.contains(KeyUsage::CRL_SIGN) {
        return Err(X509Error::LeafWithCrlSign);
    }
    Ok(id)
}
