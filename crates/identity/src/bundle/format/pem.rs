//! PEM: the X.509 authorities only, as `spire-server bundle show` prints them.

use super::{BundleError, DOCUMENT_MAX};
use crate::bundle::{Bundle, X509Authority};
use crate::x509::Certificate;
use crate::{TrustDomain, pem};

const LABEL: &str = "CERTIFICATE";

/// All X.509 authorities, one PEM block each.
pub fn encode_pem(bundle: &Bundle) -> String {
    bundle.x509_authorities.iter().map(|authority| pem::encode(LABEL, authority.certificate.der())).collect()
}

/// Reads certificates in PEM as the X.509 authorities of a trust domain; a repeated one counts once.
pub fn decode_pem(trust_domain: TrustDomain, text: &[u8]) -> Result<Bundle, BundleError> {
    if text.len() > DOCUMENT_MAX {
        return Err(BundleError::TooLong);
    }
    let blocks = pem::decode_all(text);
    if blocks.is_empty() {
        return Err(BundleError::NoPemBlocks);
    }
    let mut bundle = Bundle::new(trust_domain);
    for (index, block) in blocks.into_iter().enumerate() {
        if block.label != LABEL {
            return Err(BundleError::PemLabel(block.label));
        }
        let certificate = Certificate::from_der(&block.der)
            .map_err(|source| BundleError::PemCertificate { block: index + 1, source })?;
        bundle.add_certificate(certificate);
    }
    Ok(bundle)
}

impl Bundle {
    pub(super) fn add_certificate(&mut self, certificate: Certificate) {
        if self.x509_authorities.iter().all(|known| known.certificate != certificate) {
            self.x509_authorities.push(X509Authority::new(certificate));
        }
    }
}
