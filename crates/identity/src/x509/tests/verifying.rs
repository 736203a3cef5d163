//! X509-SVIDs against bundles: cases 125 to 137 of `docs/reference/bad-input.md`, and the rules of Go.

use super::super::der_reader::tag;
use super::super::testdata::der;
use super::super::*;
use crate::{KeyType, PrivateKey, SpiffeId, UnixTime, X509Authority};

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// An authority that signs whatever it is told to.
pub(super) struct Authority {
    key: PrivateKey,
    pub(super) certificate: Certificate,
}

/// A certificate in the making.
pub(super) struct Draft {
    uri: &'static str,
    extra: Vec<Extension>,
    validity: Validity,
    is_authority: bool,
}

fn hours(from: i64, until: i64) -> Validity {
    Validity { not_before: NOW.plus_seconds(from * 3600), not_after: NOW.plus_seconds(until * 3600) }
}

pub(super) fn leaf() -> Draft {
    Draft { uri: "spiffe://example.org/a", extra: Vec::new(), validity: hours(-1, 1), is_authority: false }
}

pub(super) fn authority() -> Draft {
    Draft { uri: "spiffe://example.org", extra: Vec::new(), validity: hours(-1, 1), is_authority: true }
}

impl Draft {
    fn uri(self, uri: &'static str) -> Self {
        Self { uri, ..self }
    }

    fn validity(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }

    /// With an extension in place of the profile's own.
    pub(super) fn with(mut self, dotted: &str, value: &[u8]) -> Self {
        self.extra.push(Extension::new(dotted, Criticality::Critical, value.to_vec()).unwrap());
        self
    }

    /// With key usage of these bits, of which there are `8 - unused`.
    fn key_usage(self, unused: u8, bits: u8) -> Self {
        self.with("2.5.29.15", &[tag::BIT_STRING, 2, unused, bits])
    }

    fn names(self, names: &[(u8, &str)]) -> Self {
        let mut value = Vec::new();
        der_writer::sequence(&mut value, |out| {
            for (number, name) in names {
                der_writer::element(out, tag::context(*number), name.as_bytes());
            }
        });
        self.with("2.5.29.17", &value)
    }

    fn sign(self, subject: &str, key: &PrivateKey, issuer: Option<&Authority>) -> Certificate {
        self.try_sign(subject, key, issuer).unwrap()
    }

    fn try_sign(
        self,
        subject: &str,
        key: &PrivateKey,
        issuer: Option<&Authority>,
    ) -> Result<Certificate, X509Error> {
        let subject = DistinguishedName::new(&[(AttributeKind::CommonName, subject)]);
        let id = SpiffeId::parse(self.uri).unwrap();
        let template = CertificateTemplate {
            serial: SerialNumber::random().unwrap(),
            subject: subject.clone(),
            validity: self.validity,
            subject_key: key.public_key().clone(),
            profile: if self.is_authority {
                Profile::Authority { uri: id }
            } else {
                Profile::Svid { id, dns_names: Vec::new() }
            },
            extra_extensions: self.extra,
        };
        let signer = issuer.map_or(key, |issuer| &issuer.key);
        let scheme = signer.public_key().certificate_scheme().unwrap();
        let by = Issuer {
            subject_der: issuer.map_or(subject.der(), |issuer| issuer.certificate.raw_subject()),
            key_id: issuer.and_then(|issuer| issuer.certificate.subject_key_id()),
            scheme,
        };
        let tbs = to_be_signed(&template, &by);
        let signature = signer.sign(scheme, &tbs).unwrap();
        Certificate::from_der(&assemble(&tbs, scheme, &signature))
    }

    pub(super) fn authority(self, name: &str, issuer: Option<&Authority>) -> Authority {
        self.try_authority(name, issuer).unwrap()
    }

    /// The same, unless our reader refuses what was made.
    pub(super) fn try_authority(
        self,
        name: &str,
        issuer: Option<&Authority>,
    ) -> Result<Authority, X509Error> {
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let certificate = self.try_sign(name, &key, issuer)?;
        Ok(Authority { key, certificate })
    }

    pub(super) fn leaf_of(self, issuer: &Authority) -> Certificate {
        self.sign("leaf", &PrivateKey::generate(KeyType::EcP256).unwrap(), Some(issuer))
    }
}

pub(super) fn verify(chain: &[&Certificate], roots: &[&Authority]) -> Result<String, X509Error> {
    let chain: Vec<Certificate> = chain.iter().map(|certificate| (*certificate).clone()).collect();
    let roots: Vec<X509Authority> = roots
        .iter()
        .map(|root| X509Authority { certificate: root.certificate.clone(), tainted: false })
        .collect();
    verify_svid(&chain, roots.iter(), NOW).map(|id| id.to_string())
}

pub(super) fn accepted() -> Result<String, X509Error> {
    Ok("spiffe://example.org/a".to_owned())
}

/// The verdict on a leaf of a sound root.
fn verdict(draft: Draft) -> Result<String, X509Error> {
    let root = authority().authority("root", None);
    verify(&[&draft.leaf_of(&root)], &[&root])
}

/// The verdict on a sound leaf of a root.
fn verdict_on_root(draft: Draft) -> Result<String, X509Error> {
    let root = draft.authority("root", None);
    verify(&[&leaf().leaf_of(&root)], &[&root])
}

/// The verdict on a sound leaf of an intermediate of a sound root.
fn verdict_on_intermediate(draft: Draft) -> Result<String, X509Error> {
    let root = authority().authority("root", None);
    let intermediate = draft.authority("intermediate", Some(&root));
    verify(&[&leaf().leaf_of(&intermediate), &intermediate.certificate], &[&root])
}

#[test]
fn sound_chains() {
    assert_eq!(verdict(leaf()), accepted());
    assert_eq!(verdict_on_intermediate(authority()), accepted());
    let root = authority().authority("root", None);
    let upper = authority().authority("upper", Some(&root));
    let lower = authority().authority("lower", Some(&upper));
    let svid = leaf().leaf_of(&lower);
    assert_eq!(verify(&[&svid, &lower.certificate, &upper.certificate], &[&root]), accepted());
    assert_eq!(
        verify(&[&svid, &upper.certificate, &lower.certificate], &[&root]),
        accepted(),
        "order is free"
    );
    assert_eq!(
        verify(&[&svid, &lower.certificate, &upper.certificate, &root.certificate], &[&root]),
        accepted()
    );
    assert_eq!(verify(&[&svid, &lower.certificate], &[&upper]), accepted(), "any authority is an anchor");
    assert_eq!(verify(&[&svid, &lower.certificate], &[&root]), Err(X509Error::UnknownAuthority));
}

#[test]
fn the_chain_of_a_running_spire() {
    let root =
        X509Authority { certificate: Certificate::from_der(&der("spire-root")).unwrap(), tainted: true };
    let p521 = X509Authority {
        certificate: Certificate::from_der(&der("spire-root-p521")).unwrap(),
        tainted: false,
    };
    let chain = [Certificate::from_der(&der("spire-svid")).unwrap()];
    let bundle = [p521, root];
    let at = |seconds| {
        verify_svid(&chain, bundle.iter(), UnixTime::from_seconds(seconds)).map(|id| id.to_string())
    };
    let (begin, end) = (chain[0].not_before(), chain[0].not_after());
    assert_eq!(at(begin.seconds()), Ok("spiffe://example.org/x".to_owned()));
    assert_eq!(at(end.seconds()), Ok("spiffe://example.org/x".to_owned()));
    assert_eq!(at(begin.seconds() - 1), Err(X509Error::NotYetValid { not_before: begin }));
    assert_eq!(at(end.seconds() + 1), Err(X509Error::Expired { not_after: end }));
    assert_eq!(verify_svid(&chain, bundle[..1].iter(), begin), Err(X509Error::UnknownAuthority));
    assert_eq!(verify_svid(&chain, [].iter(), begin), Err(X509Error::UnknownAuthority));
    assert_eq!(verify_svid(&[], bundle.iter(), begin), Err(X509Error::EmptyChain));
}

/// We never make one, for SDKs in Python and Rust refuse it; Go, and so SPIRE, take it.
#[test]
fn case_125_leaf_without_basic_constraints() {
    let read = |name| Certificate::from_der(&der(name)).unwrap();
    let (svid, root) = (read("svid-no-constraints"), read("ca-p256"));
    assert!(!svid.has_basic_constraints());
    let now = svid.not_before();
    let authority = X509Authority { certificate: root, tainted: false };
    assert_eq!(verify_svid(&[svid], std::iter::once(&authority), now).map(|id| id.to_string()), accepted());
}

#[test]
fn case_126_what_a_leaf_may_not_be() {
    let authority_constraints = [tag::SEQUENCE, 3, tag::BOOLEAN, 1, 0xff];
    assert_eq!(verdict(leaf().with("2.5.29.19", &authority_constraints)), Err(X509Error::LeafIsAuthority));
    assert_eq!(
        verdict(leaf().with("2.5.29.15", &[tag::BIT_STRING, 1, 0])),
        Err(X509Error::LeafWithoutDigitalSignature)
    );
    assert_eq!(verdict(leaf().key_usage(5, 0x20)), Err(X509Error::LeafWithoutDigitalSignature));
    assert_eq!(verdict(leaf().key_usage(2, 0x84)), Err(X509Error::LeafWithCertSign));
    assert_eq!(verdict(leaf().key_usage(1, 0x82)), Err(X509Error::LeafWithCrlSign));
    assert_eq!(verdict(leaf().key_usage(7, 0x80)), accepted());
}

#[test]
fn case_127_extended_key_usage_is_not_looked_at() {
    let server_only = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let code_signing = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3];
    assert_eq!(verdict(leaf().with("2.5.29.37", &server_only)), accepted());
    assert_eq!(verdict(leaf().with("2.5.29.37", &code_signing)), accepted());
}

#[test]
fn case_128_alternative_names() {
    assert_eq!(verdict(leaf().names(&[])), Err(X509Error::NoUri));
    assert_eq!(verdict(leaf().names(&[(2, "example.org")])), Err(X509Error::NoUri));
    let id = "spiffe://example.org/a";
    assert_eq!(verdict(leaf().names(&[(6, id), (6, id)])), Err(X509Error::SeveralUris));
    assert_eq!(verdict(leaf().names(&[(6, id), (6, "https://example.org")])), Err(X509Error::SeveralUris));
    let error = verdict(leaf().names(&[(6, "https://example.org/a")])).unwrap_err();
    assert_eq!(error.to_string(), "scheme is missing or invalid");
    assert_eq!(verdict(leaf().names(&[(2, "example.org"), (1, "a@b"), (6, id)])), accepted());
}

#[test]
fn cases_129_to_131_spiffe_ids() {
    assert_eq!(verdict(leaf().uri("spiffe://example.org")), Err(X509Error::LeafWithoutPath));
    for uri in [
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org/%61",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://EXAMPLE.org/a",
        "SPIFFE://example.org/a",
        "spiffe://example.org:80/a",
        "spiffe://u@example.org/a",
    ] {
        assert!(matches!(verdict(leaf().names(&[(6, uri)])), Err(X509Error::NotSpiffeId(_))), "{uri}");
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2049 - 21));
    assert_eq!(verdict(leaf().names(&[(6, &long)])), Ok(long.clone()), "2049 octets are read, as Go does");
}

#[test]
fn case_132_intermediates() {
    let constraints = [tag::SEQUENCE, 0];
    let not_authority = authority().with("2.5.29.19", &constraints);
    assert_eq!(verdict_on_intermediate(not_authority), Err(X509Error::IssuerNotAuthority));
    for (unused, bits) in [(7, 0x80), (1, 0x02)] {
        assert_eq!(
            verdict_on_intermediate(authority().key_usage(unused, bits)),
            Err(X509Error::IssuerWithoutCertSign)
        );
    }
    let without_usage = authority().with("2.5.29.15", &[tag::BIT_STRING, 1, 0]);
    assert_eq!(verdict_on_intermediate(without_usage), accepted(), "key usage binds only if it is there");
    let unconstrained_name = authority().names(&[(2, "example.org")]);
    assert_eq!(verdict_on_intermediate(unconstrained_name), accepted(), "a SPIFFE ID is not needed");

    let root = authority().authority("root", None);
    let intermediate = authority().authority("intermediate", Some(&root));
    let svid = leaf().leaf_of(&intermediate);
    let wrong_order = verify(&[&intermediate.certificate, &svid], &[&root]);
    assert_eq!(wrong_order, Err(X509Error::LeafWithoutPath));

    let bystander = leaf().leaf_of(&root);
    let with_bystander = verify(&[&svid, &bystander, &intermediate.certificate], &[&root]);
    assert_eq!(with_bystander, accepted(), "what is not on the path does not matter");
}

#[test]
fn case_134_keys_and_names_of_others() {
    let root = authority().authority("root", None);
    let namesake = authority().authority("root", None);
    let svid = leaf().leaf_of(&root);
    assert!(matches!(
        verify(&[&svid], &[&namesake]),
        Err(X509Error::BadSignature | X509Error::UnknownAuthority)
    ));
    assert_eq!(verify(&[&svid], &[&namesake, &root]), accepted());
}

#[test]
fn case_136_kinds_of_keys() {
    for key_type in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048] {
        let key = PrivateKey::generate(key_type).unwrap();
        let certificate = authority().sign("root", &key, None);
        let root = Authority { key, certificate };
        assert_eq!(verify(&[&leaf().leaf_of(&root)], &[&root]), accepted(), "{key_type}");
    }
    for name in ["key-p521-pkcs8", "key-rsa2048-pkcs8"] {
        let root = authority().authority("root", None);
        let key = PrivateKey::from_pkcs8(&der(name)).unwrap();
        assert_eq!(verify(&[&leaf().sign("leaf", &key, Some(&root))], &[&root]), accepted(), "{name}");
    }
}

#[test]
fn case_137_validity_of_every_certificate_of_the_path() {
    let (past, future) = (hours(-2, -1), hours(1, 2));
    let expired = Err(X509Error::Expired { not_after: past.not_after });
    let not_yet = Err(X509Error::NotYetValid { not_before: future.not_before });
    assert_eq!(verdict(leaf().validity(past)), expired);
    assert_eq!(verdict(leaf().validity(future)), not_yet);
    assert_eq!(verdict_on_intermediate(authority().validity(past)), expired);
    assert_eq!(verdict_on_intermediate(authority().validity(future)), not_yet);
    assert_eq!(verdict_on_root(authority().validity(past)), expired, "Go looks at roots, too");
    assert_eq!(verdict_on_root(authority().validity(future)), not_yet);
}

#[test]
fn a_renewed_root_with_the_same_key_counts() {
    let old = authority().validity(hours(-9, -8)).authority("root", None);
    let svid = leaf().leaf_of(&old);
    let renewed = Authority { certificate: authority().sign("root", &old.key, None), key: old.key };
    assert_eq!(verify(&[&svid], &[&renewed]), accepted());
}

#[test]
fn roots_must_be_authorities() {
    let constraints = [tag::SEQUENCE, 0];
    assert_eq!(
        verdict_on_root(authority().with("2.5.29.19", &constraints)),
        Err(X509Error::UnknownAuthority)
    );
    assert_eq!(verdict_on_root(authority().key_usage(7, 0x80)), Err(X509Error::UnknownAuthority));
    assert_eq!(verdict_on_root(authority().with("2.5.29.15", &[tag::BIT_STRING, 1, 0])), accepted());
    assert_eq!(verdict_on_root(authority().names(&[])), accepted(), "a root needs no SPIFFE ID");
}

#[test]
fn path_lengths_bind() {
    let limit = |limit: u8| [tag::SEQUENCE, 6, tag::BOOLEAN, 1, 0xff, tag::INTEGER, 1, limit];
    let verdict = |root_limit: u8, intermediate_limit: u8| {
        let root = authority().with("2.5.29.19", &limit(root_limit)).authority("root", None);
        let upper = authority().with("2.5.29.19", &limit(intermediate_limit)).authority("upper", Some(&root));
        let lower = authority().authority("lower", Some(&upper));
        verify(&[&leaf().leaf_of(&lower), &lower.certificate, &upper.certificate], &[&root])
    };
    assert_eq!(verdict(2, 1), accepted());
    assert!(matches!(verdict(1, 1), Err(X509Error::InvalidPath(_))), "root");
    assert!(matches!(verdict(2, 0), Err(X509Error::InvalidPath(_))), "intermediate");
}

#[test]
fn unknown_critical_extensions_are_refused() {
    assert!(matches!(verdict(leaf().with("1.2.3", &[5, 0])), Err(X509Error::InvalidPath(_))));
    assert!(matches!(
        verdict_on_intermediate(authority().with("1.2.3", &[5, 0])),
        Err(X509Error::InvalidPath(_))
    ));
}

#[test]
fn a_long_chain_ends() {
    let root = authority().authority("root", None);
    let mut authorities = vec![root];
    for _ in 0..20 {
        let next = authority().authority("same", authorities.last());
        authorities.push(next);
    }
    let svid = leaf().leaf_of(authorities.last().unwrap());
    let chain: Vec<&Certificate> = std::iter::once(&svid)
        .chain(authorities[1..].iter().map(|authority| &authority.certificate))
        .collect();
    assert!(verify(&chain, &[&authorities[0]]).is_err());
}

#[test]
fn svids_from_chains() {
    let root = authority().authority("root", None);
    let intermediate = authority().authority("intermediate", Some(&root));
    let chain = vec![leaf().leaf_of(&intermediate), intermediate.certificate.clone()];
    let svid = X509Svid::from_chain(chain.clone()).unwrap();
    assert_eq!(svid.id.as_str(), "spiffe://example.org/a");
    assert_eq!(svid.leaf(), &chain[0]);
    assert_eq!(Certificate::chain_from_der(&svid.chain_der()), Ok(chain));
    assert_eq!(X509Svid::from_chain(Vec::new()), Err(X509Error::EmptyChain));
    assert_eq!(X509Svid::from_chain(vec![root.certificate]), Err(X509Error::LeafWithoutPath));
}
