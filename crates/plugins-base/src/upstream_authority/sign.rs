//! Signing an authority for a request with a key at hand.

use finial_identity::x509::{
    Certificate, CertificateTemplate, Csr, DistinguishedName, Extension, Issuer, Profile, SerialNumber,
    Validity, X509Error, assemble, to_be_signed,
};
use finial_identity::{Failure, PrivateKey, TrustDomain, UnixTime};
use std::time::Duration;

/// Lifetime of what is signed if nothing is wished.
const DEFAULT_TTL: Duration = Duration::from_secs(60 * 60);
/// So many seconds before their signature certificates begin.
const BACKDATE: i64 = 10;
/// What a request has no say in: key usage, basic constraints and the key IDs.
const OURS: [&str; 4] = ["2.5.29.15", "2.5.29.19", "2.5.29.14", "2.5.29.35"];

/// A certificate with its key.
pub(super) struct Signer {
    pub(super) certificate: Certificate,
    pub(super) key: PrivateKey,
}

impl Signer {
    /// Signs an authority of that trust domain with the subject and the other extensions of the request. It
    /// does not outlive the signer's certificate.
    pub(super) fn sign(
        &self,
        csr: &[u8],
        trust_domain: &TrustDomain,
        ttl: Duration,
        now: UnixTime,
    ) -> Result<Certificate, Failure> {
        let csr = read(csr, trust_domain)?;
        let failed = |what: &dyn std::fmt::Display| Failure::internal(format!("unable to sign CSR: {what}"));
        let ttl = if ttl.is_zero() { DEFAULT_TTL } else { ttl };
        let end = now.plus_seconds(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX / 4));
        let wishes = csr.extensions.iter().filter(|wish: &&Extension| !OURS.contains(&wish.oid().as_str()));
        let template = CertificateTemplate {
            serial: SerialNumber::random().map_err(|e| failed(&e))?,
            subject: DistinguishedName::from_der(&csr.raw_subject).map_err(|e| failed(&e))?,
            validity: Validity {
                not_before: now.plus_seconds(-BACKDATE),
                not_after: end.min(self.certificate.not_after()),
            },
            subject_key: csr.public_key.clone(),
            profile: Profile::Authority { uri: trust_domain.id() },
            extra_extensions: wishes.cloned().collect(),
        };
        let scheme = self.key.public_key().certificate_scheme();
        let scheme = scheme.ok_or_else(|| failed(&"the key is of a kind that does not sign certificates"))?;
        let issuer = Issuer {
            subject_der: self.certificate.raw_subject(),
            key_id: self.certificate.subject_key_id(),
            scheme,
        };
        let tbs = to_be_signed(&template, &issuer);
        let signature = self.key.sign(scheme, &tbs).map_err(|e| failed(&e))?;
        Certificate::from_der(&assemble(&tbs, scheme, &signature)).map_err(|e: X509Error| failed(&e))
    }
}

/// Reads a request and checks that it is for an authority of that trust domain.
fn read(csr: &[u8], trust_domain: &TrustDomain) -> Result<Csr, Failure> {
    let invalid = |what: String| Failure::invalid(format!("unable to sign CSR: {what}"));
    let csr = Csr::parse(csr).map_err(|e| invalid(format!("unable to parse CSR: {e}")))?;
    csr.verify_signature().map_err(|e| invalid(format!("CSR signature check failed: {e}")))?;
    let [uri] = csr.uris.as_slice() else {
        return Err(invalid("CSR must have exactly one URI SAN".to_owned()));
    };
    if *uri != trust_domain.id().to_string() {
        let rule = "must use the trust domain ID for trust domain";
        return Err(invalid(format!(
            "CSR with SPIFFE ID {uri:?} is invalid: {rule} {:?}",
            trust_domain.as_str()
        )));
    }
    Ok(csr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_identity::x509::{CsrRequest, build_csr};
    use finial_identity::{KeyType, SpiffeId};

    #[test]
    fn requests_of_others_are_refused() {
        let trust_domain = TrustDomain::parse("example.org").unwrap();
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let request = |id: Option<&SpiffeId>| {
            let subject = DistinguishedName::spire();
            build_csr(&key, &CsrRequest { subject, spiffe_id: id, dns_names: &[] }).unwrap()
        };
        let text =
            |csr: &[u8]| read(csr, &trust_domain).map_or_else(|failure| failure.message, |_| "ok".into());
        assert_eq!(text(&request(Some(&trust_domain.id()))), "ok");
        assert_eq!(text(&request(None)), "unable to sign CSR: CSR must have exactly one URI SAN");
        let workload = SpiffeId::parse("spiffe://example.org/w").unwrap();
        assert_eq!(
            text(&request(Some(&workload))),
            "unable to sign CSR: CSR with SPIFFE ID \"spiffe://example.org/w\" is invalid: must use the trust \
             domain ID for trust domain \"example.org\""
        );
        let foreign = TrustDomain::parse("example.com").unwrap().id();
        assert!(text(&request(Some(&foreign))).contains("must use the trust domain ID"));
    }
}
