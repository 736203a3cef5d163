//! Checking an X509-SVID against the authorities of its trust domain.

use super::der_reader::Reader;
use super::svid::check_leaf;
use super::{Certificate, KeyUsage, X509Error};
use crate::{SpiffeId, UnixTime, X509Authority};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::time::Duration;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

/// Checks that `chain`, leaf first, is an X509-SVID that one of the authorities vouches for at `now`, and
/// returns whose it is.
///
/// The authorities must be those of the bundle of the leaf's *own* trust domain and no others (Federation
/// §7.3): look them up by [`Certificate::spiffe_id`] of the leaf. Tainted ones still count: taint stops
/// signing, not trust.
///
/// Three rules are added to what webpki checks of RFC 5280, because Go has them: an authority out of its own
/// validity vouches for nothing, key usage binds every issuer that has it, and the path length binds roots,
/// too. Extended key usage is not looked at (X509-SVID §5). Name constraints on URIs are not supported: a path
/// with them fails.
pub fn verify_svid<'a>(
    chain: &[Certificate],
    authorities: impl Iterator<Item = &'a X509Authority>,
    now: UnixTime,
) -> Result<SpiffeId, X509Error> {
    let (leaf, others) = chain.split_first().ok_or(X509Error::EmptyChain)?;
    let id = check_leaf(leaf)?;
    let (issuers, unfit): (Vec<&Certificate>, Vec<&Certificate>) =
        others.iter().partition(|certificate| may_issue(certificate));
    let (current, lapsed): (Vec<&Certificate>, Vec<&Certificate>) = authorities
        .map(|authority| &authority.certificate)
        .filter(|certificate| may_issue(certificate))
        .partition(|certificate| certificate.validity().contains(now));
    verify_path(leaf, &issuers, &current, now).map_err(|error| match error {
        X509Error::UnknownAuthority => {
            lapsed_issuer(chain, &lapsed, now).or_else(|| unfit_issuer(&unfit)).unwrap_or(error)
        }
        other => other,
    })?;
    Ok(id)
}

/// Whether a certificate may issue others as far as it says itself: it is an authority, if its version has a
/// way to say so, and signing certificates is among its uses, if it lists them.
fn may_issue(certificate: &Certificate) -> bool {
    let is_authority =
        if certificate.version() == 3 { certificate.is_ca() } else { !certificate.has_basic_constraints() };
    let usage = certificate.key_usage();
    is_authority && (usage.is_empty() || usage.contains(KeyUsage::CERT_SIGN))
}

fn verify_path(
    leaf: &Certificate,
    issuers: &[&Certificate],
    roots: &[&Certificate],
    now: UnixTime,
) -> Result<(), X509Error> {
    let leaf = CertificateDer::from(leaf.der());
    let (issuers, root_ders) = (ders(issuers), ders(roots));
    let anchors: Vec<TrustAnchor<'_>> =
        root_ders.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
    let since_epoch = Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0));
    let path_length = |path: &VerifiedPath<'_>| check_path_length(path, roots);
    EndEntityCert::try_from(&leaf)
        .and_then(|leaf| {
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &issuers,
                rustls_pki_types::UnixTime::since_unix_epoch(since_epoch),
                AnyUsage,
                None,
                Some(&path_length),
            )
            .map(|_| ())
        })
        .map_err(translate)
}

fn ders<'a>(certificates: &[&'a Certificate]) -> Vec<CertificateDer<'a>> {
    certificates.iter().map(|certificate| CertificateDer::from(certificate.der())).collect()
}

/// The path length of a root, which webpki does not look at. Roots that differ in nothing but their
/// certificates are one anchor: the most generous decides.
fn check_path_length(path: &VerifiedPath<'_>, roots: &[&Certificate]) -> Result<(), Error> {
    let length = path.intermediate_certificates().count();
    let anchor = path.anchor();
    let is_permitted = roots
        .iter()
        .filter(|root| is_anchor_of(anchor, root))
        .any(|root| root.path_length().is_none_or(|limit| length <= usize::from(limit)));
    if is_permitted { Ok(()) } else { Err(Error::PathLenConstraintViolated) }
}

/// Anchors hold the content of name and key, certificates the whole.
fn is_anchor_of(anchor: &TrustAnchor<'_>, root: &Certificate) -> bool {
    let content = |whole| Reader::new(whole).element().map(|element| element.content).unwrap_or_default();
    content(root.raw_subject()) == anchor.subject.as_ref()
        && content(root.spki()) == anchor.subject_public_key_info.as_ref()
}

/// If an authority of the right name is there but out of its validity, that is the better answer.
fn lapsed_issuer(chain: &[Certificate], lapsed: &[&Certificate], now: UnixTime) -> Option<X509Error> {
    let issuer = lapsed
        .iter()
        .find(|root| chain.iter().any(|certificate| certificate.raw_issuer() == root.raw_subject()))?;
    let (not_before, not_after) = (issuer.not_before(), issuer.not_after());
    Some(if now > not_after {
        X509Error::Expired { not_after }
    } else {
        X509Error::NotYetValid { not_before }
    })
}

/// If a certificate of the chain was left aside, that is the better answer.
fn unfit_issuer(unfit: &[&Certificate]) -> Option<X509Error> {
    let first = unfit.first()?;
    Some(if first.is_ca() { X509Error::IssuerWithoutCertSign } else { X509Error::IssuerNotAuthority })
}

fn translate(error: Error) -> X509Error {
    let moment = |time: rustls_pki_types::UnixTime| {
        UnixTime::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    };
    match error {
        Error::CertExpired { not_after, .. } => X509Error::Expired { not_after: moment(not_after) },
        Error::CertNotValidYet { not_before, .. } => {
            X509Error::NotYetValid { not_before: moment(not_before) }
        }
        Error::UnknownIssuer => X509Error::UnknownAuthority,
        Error::InvalidSignatureForPublicKey => X509Error::BadSignature,
        other => X509Error::InvalidPath(other.to_string()),
    }
}

/// No certificate is refused for its extended key usage.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}
