//! Which authorities vouch for a certificate: all of them, because each is a selector.
//!
//! The rules are those of Go's `x509.Certificate.Verify` with any extended key usage, on top of webpki: a root
//! that is expired or may not sign vouches for nothing, and its path length binds. Stricter than Go: the leaf
//! must not be an authority itself unless it is among the roots, and RSA keys have at least 2048 bits.

use finial_identity::UnixTime;
use finial_identity::x509::{Certificate, KeyUsage};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::cell::RefCell;
use std::time::Duration;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

/// Why nobody vouches for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChainError {
    #[error("certificate has expired or is not yet valid")]
    OutOfValidity,
    #[error("certificate signed by unknown authority")]
    UnknownAuthority,
    #[error("{0}")]
    Other(String),
}

/// The certificates above `leaf` on any path to one of the `roots`, each once, nearest first. A leaf that is
/// itself among the roots needs nobody above.
pub(super) fn verify(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    now: UnixTime,
) -> Result<Vec<Certificate>, ChainError> {
    if !leaf.validity().contains(now) {
        return Err(ChainError::OutOfValidity);
    }
    if roots.contains(leaf) {
        return Ok(Vec::new());
    }
    let intermediates: Vec<&Certificate> = intermediates.iter().filter(|one| may_issue(one)).collect();
    let roots: Vec<&Certificate> =
        roots.iter().filter(|root| may_issue(root) && root.validity().contains(now)).collect();
    let (intermediate_ders, root_ders) = (ders(&intermediates), ders(&roots));
    // An anchor that cannot be made is nobody's.
    let anchors: Vec<(&Certificate, TrustAnchor<'_>)> = roots
        .iter()
        .zip(&root_ders)
        .filter_map(|(root, der)| Some((*root, webpki::anchor_from_trusted_cert(der).ok()?)))
        .collect();
    let (roots, anchors): (Vec<&Certificate>, Vec<TrustAnchor<'_>>) = anchors.into_iter().unzip();
    let found = RefCell::new(Vec::new());
    let note = |path: &VerifiedPath<'_>| {
        let root = anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor())).map(|at| roots[at]);
        let between = path.intermediate_certificates().map(|cert| cert.der());
        let mut path: Vec<&Certificate> = between
            .filter_map(|der| intermediates.iter().find(|one| one.der() == der.as_ref()).copied())
            .collect();
        if let Some(root) =
            root.filter(|root| root.path_length().is_none_or(|most| path.len() <= usize::from(most)))
        {
            path.push(root);
            if !repeats(leaf, &path) {
                found.borrow_mut().extend(path.into_iter().cloned());
            }
        }
        // Go on: there may be other paths.
        Err(Error::UnknownIssuer)
    };
    let leaf_der = CertificateDer::from(leaf.der());
    let verdict = EndEntityCert::try_from(&leaf_der).and_then(|leaf| {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediate_ders,
            rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            AnyUsage,
            None,
            Some(&note),
        )
        .map(|_| ())
    });
    let found = distinct(found.into_inner());
    match verdict {
        _ if !found.is_empty() => Ok(found),
        Ok(()) | Err(Error::UnknownIssuer) => Err(ChainError::UnknownAuthority),
        Err(Error::CertExpired { .. } | Error::CertNotValidYet { .. }) => Err(ChainError::OutOfValidity),
        Err(other) => Err(ChainError::Other(other.to_string())),
    }
}

fn ders<'a>(certificates: &[&'a Certificate]) -> Vec<CertificateDer<'a>> {
    certificates.iter().map(|certificate| CertificateDer::from(certificate.der())).collect()
}

/// Whether a certificate may issue others as far as it says itself.
fn may_issue(certificate: &Certificate) -> bool {
    let is_authority =
        if certificate.version() == 3 { certificate.is_ca() } else { !certificate.has_basic_constraints() };
    let usage = certificate.key_usage();
    is_authority && (usage.is_empty() || usage.contains(KeyUsage::CERT_SIGN))
}

/// Whether somebody stands twice in a path, under the same name and with the same key.
fn repeats(leaf: &Certificate, above: &[&Certificate]) -> bool {
    let path: Vec<&Certificate> = std::iter::once(leaf).chain(above.iter().copied()).collect();
    path.iter().enumerate().any(|(at, one)| {
        path[at + 1..]
            .iter()
            .any(|other| one.raw_subject() == other.raw_subject() && one.spki() == other.spki())
    })
}

fn distinct(certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut kept = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if !kept.contains(&certificate) {
            kept.push(certificate);
        }
    }
    kept
}

/// SPIRE verifies these chains for any usage.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}
