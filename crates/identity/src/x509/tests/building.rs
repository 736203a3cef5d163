//! Certificates and requests in the bytes of Go and SPIRE.

use super::super::testdata::{NAMES, der, from_hex};
use super::super::*;
use crate::key::to_hex;
use crate::{KeyType, PrivateKey, SignatureScheme, SpiffeId};
use proptest::prelude::*;

fn serial_of(certificate: &Certificate) -> SerialNumber {
    let magnitude = certificate.serial_bytes();
    let mut octets = [0; 16];
    octets[16 - magnitude.len()..].copy_from_slice(magnitude);
    SerialNumber::from_bytes(octets)
}

/// Builds the certificate's to-be-signed part again from what was read of it.
fn rebuild(certificate: &Certificate, scheme: SignatureScheme, extra: Vec<Extension>) -> Vec<u8> {
    let id = certificate.spiffe_id().unwrap();
    let profile = if certificate.is_ca() {
        Profile::Authority { uri: id }
    } else {
        Profile::Svid { id, dns_names: certificate.dns_names().to_vec() }
    };
    let template = CertificateTemplate {
        serial: serial_of(certificate),
        subject: DistinguishedName::from_der(certificate.raw_subject()).unwrap(),
        validity: certificate.validity(),
        subject_key: certificate.public_key().unwrap(),
        profile,
        extra_extensions: extra,
    };
    let issuer =
        Issuer { subject_der: certificate.raw_issuer(), key_id: certificate.authority_key_id(), scheme };
    to_be_signed(&template, &issuer)
}

#[test]
fn cases_125_to_127_certificates_of_spire_and_go_are_rebuilt_byte_for_byte() {
    let p256 = SignatureScheme::EcdsaP256Sha256;
    let p384 = SignatureScheme::EcdsaP384Sha384;
    let rsa = SignatureScheme::RsaPkcs1Sha256;
    for (name, scheme) in [
        ("spire-root", p256),
        ("spire-root-federated", p256),
        ("spire-svid", p256),
        ("ca-p256", p256),
        ("ca-rsa", rsa),
        ("svid-p256", p256),
        ("svid-dns", p256),
        ("svid-nosubject", p384),
    ] {
        let certificate = Certificate::from_der(&der(name)).unwrap();
        let rebuilt = rebuild(&certificate, scheme, Vec::new());
        assert_eq!(to_hex(&rebuilt), to_hex(certificate.to_be_signed()), "{name}");
        let signature = signature_of(certificate.der());
        assert_eq!(assemble(&rebuilt, scheme, &signature), certificate.der(), "{name}");
    }
}

fn signature_of(certificate: &[u8]) -> Vec<u8> {
    use super::super::der_reader::{Reader, tag};
    let mut reader = Reader::of_single(certificate, tag::SEQUENCE).unwrap();
    reader.element().unwrap();
    reader.element().unwrap();
    reader.bit_string_octets().unwrap().to_vec()
}

#[test]
fn policies_and_extra_extensions_as_go_writes_them() {
    let ca = Certificate::from_der(&der("ca-p384")).unwrap();
    let extra = vec![
        Extension::certificate_policies(&["1.2.3.4", "2.999.1"]).unwrap(),
        Extension::new("1.2.3", Criticality::Critical, vec![5, 0]).unwrap(),
    ];
    let rebuilt = rebuild(&ca, SignatureScheme::EcdsaP384Sha384, extra);
    assert_eq!(to_hex(&rebuilt), to_hex(ca.to_be_signed()));

    let svid = Certificate::from_der(&der("svid-uniqueid")).unwrap();
    let extra = vec![Extension::new("1.3.6.1.4.1.55744.1", Criticality::NonCritical, b"x".to_vec()).unwrap()];
    let rebuilt = rebuild(&svid, SignatureScheme::RsaPkcs1Sha256, extra);
    assert_eq!(to_hex(&rebuilt), to_hex(svid.to_be_signed()));
}

/// An upstream authority copies the extensions of the request; Go then leaves out its own of that kind.
#[test]
fn extensions_of_a_request_replace_those_of_the_profile() {
    let request = Csr::parse(&der("csr-ca")).unwrap();
    let certificate = Certificate::from_der(&der("ca-upstream-signed")).unwrap();
    let rebuilt = rebuild(&certificate, SignatureScheme::EcdsaP256Sha256, request.extensions.clone());
    assert_eq!(to_hex(&rebuilt), to_hex(certificate.to_be_signed()));
    assert_eq!(certificate.raw_subject(), request.raw_subject);
}

#[test]
fn key_ids_are_spires() {
    let root = Certificate::from_der(&der("spire-root")).unwrap();
    assert_eq!(root.subject_key_id_hex(), "fef45e6d4597045a2e5f022d8c0f60da2a2cb055");
    assert_eq!(to_hex(&root.public_key().unwrap().key_id()), root.subject_key_id_hex());
    assert_eq!(root.authority_key_id_hex(), "");
}

#[test]
fn requests_in_the_bytes_of_go() {
    for (name, key) in [("csr-p256", KeyType::EcP256), ("csr-empty", KeyType::EcP256)] {
        let expected = der(name);
        let parsed = Csr::parse(&expected).unwrap();
        let id = parsed.uris.first().map(|uri| SpiffeId::parse(uri).unwrap());
        let request = CsrRequest {
            subject: DistinguishedName::from_der(&parsed.raw_subject).unwrap(),
            spiffe_id: id.as_ref(),
            dns_names: &parsed.dns_names,
        };
        let info = csr_to_be_signed(&parsed.public_key, &request);
        let again = assemble(&info, SignatureScheme::EcdsaP256Sha256, &signature_of(&expected));
        assert_eq!(to_hex(&again), to_hex(&expected), "{name}");

        let own = build_csr(&PrivateKey::generate(key).unwrap(), &request).unwrap();
        let own = Csr::parse(&own).unwrap();
        own.verify_signature().unwrap();
        assert_eq!((own.uris, own.dns_names), (parsed.uris, parsed.dns_names));
    }
}

#[test]
fn names_in_the_bytes_and_the_text_of_go() {
    for line in NAMES.lines() {
        let [encoded, normalized, text] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let name = DistinguishedName::from_der(&from_hex(encoded)).unwrap();
        assert_eq!(name.to_string(), text);
        assert_eq!(to_hex(name.normalized().der()), normalized, "{text}");
        assert_eq!(name.is_empty(), text.is_empty());
    }
}

#[test]
fn names_are_changed_as_spire_changes_them() {
    use AttributeKind::{CommonName, Country, Organization, OrganizationalUnit, SerialNumber};
    let spire = DistinguishedName::new(&[(Organization, "SPIRE"), (Country, "US")]);
    let text = |name: &DistinguishedName| name.to_string();
    assert_eq!(text(&spire), "O=SPIRE,C=US");
    assert_eq!(text(&spire.with(CommonName, &["db"])), "CN=db,O=SPIRE,C=US");
    assert_eq!(spire.with(CommonName, &["db"]).common_name().as_deref(), Some("db"));
    assert_eq!(spire.with(CommonName, &["db"]).with(CommonName, &[]), spire);
    assert_eq!(text(&spire.with(OrganizationalUnit, &["DOWNSTREAM-1"])), "OU=DOWNSTREAM-1,O=SPIRE,C=US");
    let unique = spire.with_extra("2.5.4.45", "deadbeef").unwrap();
    assert_eq!(text(&unique), "O=SPIRE,C=US,2.5.4.45=#13086465616462656566");
    let certificate = Certificate::from_der(&der("svid-uniqueid")).unwrap();
    assert_eq!(unique.der(), certificate.raw_subject());
    assert_eq!(unique.with(SerialNumber, &["1"]).normalized(), spire.with(SerialNumber, &["1"]));
    assert_eq!(text(&spire.with_extra("2.5.4.10", "x").unwrap()), "O=x,C=US");
    assert_eq!(
        spire.with_extra("2.5", "x").map(|name| name.to_string()),
        Some("O=SPIRE,C=US,2.5=#130178".into())
    );
    assert_eq!(spire.with_extra("x", "x"), None);
    let rsa = Certificate::from_der(&der("ca-rsa")).unwrap();
    let subject = DistinguishedName::from_der(rsa.raw_subject()).unwrap();
    let attributes = subject.attributes();
    let borrowed: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
    assert_eq!(DistinguishedName::new(&borrowed), subject);
    assert!(DistinguishedName::empty().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_built_is_read(
        serial in any::<[u8; 16]>(),
        begin in 0..253_402_300_799i64,
        end in 0..253_402_300_799i64,
        path in "(/[a-zA-Z0-9._-]{1,40}[a-z]){1,4}",
        dns_names in proptest::collection::vec("[a-z]{1,20}(\\.[a-z]{1,20}){0,3}", 0..4),
        common_name in ".{0,80}",
        is_authority in any::<bool>(),
        key_id in proptest::option::of(any::<[u8; 20]>()),
    ) {
        let key = crate::PublicKey::from_spki(&der("spki-p256")).unwrap();
        let id = SpiffeId::parse(&format!("spiffe://example.org{path}")).unwrap();
        let dns_names = if is_authority { Vec::new() } else { dns_names };
        let subject = DistinguishedName::new(&[(AttributeKind::CommonName, &common_name)]);
        let template = CertificateTemplate {
            serial: SerialNumber::from_bytes(serial),
            subject: subject.clone(),
            validity: Validity {
                not_before: UnixTime::from_seconds(begin),
                not_after: UnixTime::from_seconds(end),
            },
            subject_key: key.clone(),
            profile: if is_authority {
                Profile::Authority { uri: id.clone() }
            } else {
                Profile::Svid { id: id.clone(), dns_names: dns_names.clone() }
            },
            extra_extensions: Vec::new(),
        };
        let scheme = SignatureScheme::EcdsaP256Sha256;
        let issuer = Issuer { subject_der: subject.der(), key_id: key_id.as_ref().map(|id| &id[..]), scheme };
        let tbs = to_be_signed(&template, &issuer);
        let read = Certificate::from_der(&assemble(&tbs, scheme, &[0x30, 0])).unwrap();
        prop_assert_eq!(read.to_be_signed(), &tbs[..]);
        prop_assert_eq!(read.serial_decimal(), template.serial.to_decimal());
        prop_assert_eq!(read.validity(), template.validity);
        prop_assert_eq!(read.spiffe_id().unwrap(), id);
        prop_assert_eq!(read.dns_names(), &dns_names[..]);
        prop_assert_eq!(read.raw_subject(), subject.der());
        prop_assert_eq!(read.public_key().unwrap(), key);
        prop_assert_eq!(read.is_ca(), is_authority);
        prop_assert!(read.has_basic_constraints());
        prop_assert_eq!(read.authority_key_id(), key_id.as_ref().map(|id| &id[..]));
        if !is_authority && !subject.is_empty() {
            prop_assert_eq!(subject.common_name().unwrap(), common_name);
        }
    }
}
