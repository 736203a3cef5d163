//! Certificates and requests of others: what is read, what is refused, and that nothing panics.

use super::super::testdata::{der, mutated, text};
use super::super::*;
use crate::{KeyType, PrivateKey, SpiffeId};
use proptest::prelude::*;

#[test]
fn a_root_of_spire() {
    let root = Certificate::from_der(&der("spire-root")).unwrap();
    assert_eq!(root.subject(), "SERIALNUMBER=270465206314587800848492633654414571812,O=SPIFFE,C=US");
    assert_eq!(root.serial_decimal(), "270465206314587800848492633654414571812");
    assert_eq!(root.not_before().seconds(), 1_795_350_853);
    assert_eq!(root.not_after().seconds(), 1_795_955_663);
    assert_eq!(root.uris(), ["spiffe://example.org"]);
    assert_eq!(root.spiffe_id().unwrap(), SpiffeId::parse("spiffe://example.org").unwrap());
    assert!(root.is_ca());
    assert_eq!(root.version(), 3);
    assert_eq!(root.path_length(), None);
    assert_eq!(root.key_usage(), KeyUsage::CERT_SIGN.with(KeyUsage::CRL_SIGN));
    assert!(root.ext_key_usage().is_empty());
    assert_eq!(root.raw_issuer(), root.raw_subject());
    root.verify_signature_by(&root.public_key().unwrap()).unwrap();
}

#[test]
fn an_svid_of_spire() {
    let svid = Certificate::from_der(&der("spire-svid")).unwrap();
    let root = Certificate::from_der(&der("spire-root")).unwrap();
    assert_eq!(svid.subject(), "O=SPIRE,C=US");
    assert!(!svid.is_ca() && svid.has_basic_constraints());
    assert!(svid.key_usage().contains(KeyUsage::DIGITAL_SIGNATURE.with(KeyUsage::KEY_AGREEMENT)));
    assert!(!svid.key_usage().contains(KeyUsage::CERT_SIGN));
    assert_eq!(svid.ext_key_usage(), [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth]);
    assert_eq!(svid.authority_key_id(), root.subject_key_id());
    svid.verify_signature_by(&root.public_key().unwrap()).unwrap();
    let key = PrivateKey::from_pkcs8(&der("spire-svid-key")).unwrap();
    assert_eq!(key.public_key(), &svid.public_key().unwrap());
    assert_eq!(svid.verify_signature_by(key.public_key()), Err(X509Error::BadSignature));
    let names: Vec<_> = svid.extensions().iter().map(Extension::oid).collect();
    assert_eq!(names, ["2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.14", "2.5.29.35", "2.5.29.17"]);
}

#[test]
fn a_root_with_p521_and_sha512() {
    let root = Certificate::from_der(&der("spire-root-p521")).unwrap();
    assert_eq!(root.subject(), "O=SPIFFE,C=US");
    assert_eq!(root.serial_decimal(), "1");
    assert_eq!(root.public_key().unwrap().kind(), crate::key::PublicKeyKind::EcP521);
    assert_eq!(root.authority_key_id_hex(), "46ca8ce5f4c8ee7b4637c3873643edeefb05640a");
}

#[test]
fn case_133_chains_follow_each_other() {
    let (leaf, root) = (der("spire-svid"), der("spire-root"));
    let both = [leaf.clone(), root.clone()].concat();
    let chain = Certificate::chain_from_der(&both).unwrap();
    assert_eq!(chain.iter().map(Certificate::der).collect::<Vec<_>>(), [&leaf[..], &root[..]]);
    assert_eq!(Certificate::chain_from_der(&[]), Ok(Vec::new()));
    assert!(Certificate::chain_from_der(&both[..both.len() - 1]).is_err());
    assert!(Certificate::chain_from_der(&[&both[..], b"\n"].concat()).is_err());
    assert!(Certificate::chain_from_der(text("spire-root").as_bytes()).is_err());
    assert!(Certificate::from_der(&both).is_err());
    assert!(Certificate::from_der(&[]).is_err());
}

#[test]
fn requests_of_go() {
    for (name, uris, dns_names) in [
        ("csr-p256", &["spiffe://example.org/a"][..], &["a.example.org", "b.example.org"][..]),
        ("csr-p384-sha256", &["spiffe://example.org/a"], &[]),
        ("csr-p521", &[], &[]),
        ("csr-rsa", &["spiffe://example.org"], &[]),
        ("csr-rsa-pss", &[], &[]),
        ("csr-empty", &[], &[]),
        ("csr-wishes", &["spiffe://example.org/a"], &[]),
    ] {
        let request = Csr::parse(&der(name)).unwrap();
        assert_eq!(
            (&request.uris[..], &request.dns_names[..]),
            (&owned(uris)[..], &owned(dns_names)[..]),
            "{name}"
        );
        assert_eq!(request.verify_signature(), Ok(()), "{name}");
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn cases_41_to_43_and_51_requests_that_are_refused() {
    assert!(matches!(Csr::parse(&[]), Err(X509Error::MalformedCsr(_))));
    assert!(matches!(Csr::parse(b"garbage"), Err(X509Error::MalformedCsr(_))));
    assert!(matches!(Csr::parse(text("csr-p256").as_bytes()), Err(X509Error::MalformedCsr(_))));
    assert!(matches!(Csr::parse(&der("spire-root")), Err(X509Error::MalformedCsr(_))));
    let trailing = [der("csr-p256"), vec![0]].concat();
    assert!(matches!(Csr::parse(&trailing), Err(X509Error::MalformedCsr(_))));
    assert_eq!(Csr::parse(&der("csr-rsa1024")).err(), Some(X509Error::UnsupportedKey));

    let mut altered = der("csr-p256");
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert_eq!(Csr::parse(&altered).unwrap().verify_signature(), Err(X509Error::BadSignature));
    let mut altered = der("csr-p256");
    let subject = altered.windows(5).position(|window| window == b"SPIRE").unwrap();
    altered[subject] ^= 1;
    assert_eq!(Csr::parse(&altered).unwrap().verify_signature(), Err(X509Error::BadSignature));
}

/// The names are handed on as they are, for the server to judge.
#[test]
fn names_of_requests_are_not_judged() {
    let key = PrivateKey::generate(KeyType::EcP256).unwrap();
    let dns_names = owned(&["*.*.x", "a_b"]);
    let request = CsrRequest { subject: DistinguishedName::empty(), spiffe_id: None, dns_names: &dns_names };
    let request = Csr::parse(&build_csr(&key, &request).unwrap()).unwrap();
    assert_eq!((request.uris.len(), request.dns_names), (0, dns_names));
}

/// Wishes are there to be read, and nothing more.
#[test]
fn case_50_wishes_of_requests() {
    let request = Csr::parse(&der("csr-wishes")).unwrap();
    let names: Vec<_> = request.extensions.iter().map(Extension::oid).collect();
    assert_eq!(names, ["2.5.29.17", "2.5.29.19", "2.5.29.37"]);
}

#[test]
fn a_point_off_the_curve() {
    let mut request = der("csr-p256");
    let point = Csr::parse(&request).unwrap().public_key.bits().to_vec();
    let at = request.windows(point.len()).position(|window| window == point).unwrap();
    request[at + 40] ^= 1;
    assert_eq!(Csr::parse(&request).err(), Some(X509Error::UnsupportedKey));
}

const CERTIFICATES: [&str; 6] =
    ["spire-root", "spire-root-p521", "spire-svid", "ca-rsa", "svid-dns", "svid-uniqueid"];
const REQUESTS: [&str; 4] = ["csr-p256", "csr-rsa-pss", "csr-empty", "csr-wishes"];

fn use_all(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let _ = format!("{certificate:?}");
        let _ = certificate.public_key().map(|key| certificate.verify_signature_by(&key));
        let _ = certificate.spiffe_id();
        let _ = DistinguishedName::from_der(certificate.raw_subject()).map(|name| name.normalized());
        let _ = certificate.extensions().iter().map(Extension::oid).count();
        let authority = crate::X509Authority { certificate: certificate.clone(), tainted: false };
        let _ = verify_svid(&[certificate], std::iter::once(&authority), UnixTime::default());
    }
    if let Ok(request) = Csr::parse(bytes) {
        let _ = request.verify_signature();
    }
    let _ = Certificate::chain_from_der(bytes);
    let _ = DistinguishedName::from_der(bytes).map(|name| name.to_string());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        use_all(&bytes);
    }

    #[test]
    fn mutated_input_does_not_panic(
        name in prop_oneof![proptest::sample::select(&CERTIFICATES[..]), proptest::sample::select(&REQUESTS[..])],
        changes in proptest::collection::vec(any::<(usize, u8)>(), 0..4),
        cut in prop_oneof![4 => Just(0usize), 1 => any::<usize>()],
    ) {
        use_all(&mutated(der(name), &changes, cut));
    }
}
