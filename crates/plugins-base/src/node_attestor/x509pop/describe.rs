//! What a proven certificate says of its node: selectors, and the data of the agent path template.

use super::NAME;
use crate::agent_path_template::Value;
use crate::hex;
use aws_lc_rs::digest;
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use finial_identity::x509::{AttributeKind, Certificate, DistinguishedName};
use finial_identity::{Selector, TrustDomain};
use std::collections::BTreeMap;
use std::net::IpAddr;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoRef;

const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";

/// The fields of a template. SPIRE has all fields of Go's `x509.Certificate`; these are the ones that a name can
/// be made of.
pub(super) const TEMPLATE_FIELDS: &[&str] = &[
    "PluginName",
    "TrustDomain",
    "Fingerprint",
    "SerialNumberHex",
    "SVIDPathTrimmed",
    "URISanSelectors",
    "Subject",
    "Issuer",
    "SerialNumber",
    "DNSNames",
    "EmailAddresses",
    "IPAddresses",
    "URIs",
    "Version",
    "IsCA",
];

/// `x509pop://<trust domain>/<key>/<value>` names of a certificate, by key.
pub(super) type SanSelectors = BTreeMap<String, String>;

/// SHA-1 of the certificate.
pub(super) fn fingerprint(certificate: &Certificate) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref())
}

/// The serial number in hexadecimal with an even number of digits.
fn serial_number_hex(certificate: &Certificate) -> String {
    match certificate.serial_bytes() {
        [] => "00".into(),
        octets => hex::encode(octets),
    }
}

/// The bits of an RSA modulus; nothing for other keys.
pub(super) fn rsa_bits(certificate: &Certificate) -> Option<usize> {
    let spki = SubjectPublicKeyInfoRef::from_der(certificate.spki()).ok()?;
    if spki.algorithm.oid.to_string() != RSA_ENCRYPTION {
        return None;
    }
    let key = der::asn1::AnyRef::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    let mut numbers = SliceReader::new(key.value()).ok()?;
    let modulus = UintRef::decode(&mut numbers).ok()?;
    let _exponent = numbers.tlv_bytes().ok()?;
    let octets = modulus.as_bytes();
    Some(octets.len() * 8 - octets.first()?.leading_zeros() as usize)
}

/// The names that Finial's own reader passes over.
#[derive(Default)]
pub(super) struct OtherNames {
    pub(super) ip_addresses: Vec<IpAddr>,
    email_addresses: Vec<String>,
}

impl OtherNames {
    pub(super) fn of(certificate: &Certificate) -> Self {
        let mut names = Self::default();
        let extension = certificate.extensions().iter().find(|one| one.oid() == SUBJECT_ALTERNATIVE_NAME);
        let Some(Ok(all)) = extension.map(|one| SubjectAltName::from_der(one.value())) else { return names };
        for name in all.0 {
            match name {
                GeneralName::IpAddress(octets) => names.ip_addresses.extend(ip_address(octets.as_bytes())),
                GeneralName::Rfc822Name(address) => names.email_addresses.push(address.as_str().to_owned()),
                _ => {}
            }
        }
        names
    }
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// Reads the alternative names that carry selectors; one that carries none is logged and passed over.
pub(super) fn san_selectors(leaf: &Certificate, trust_domain: &TrustDomain) -> SanSelectors {
    let prefix = format!("{NAME}://{trust_domain}/");
    let mut selectors = SanSelectors::new();
    for uri in leaf.uris() {
        let Some(rest) = uri.strip_prefix(&prefix) else { continue };
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let decoded = percent_decode(path);
        match decoded.as_deref().and_then(|path| path.trim_matches('/').split_once('/')) {
            Some((key, value)) => {
                selectors.insert(key.to_owned(), value.to_owned());
            }
            None => tracing::warn!(uri, "cannot extract x509pop san selectors"),
        }
    }
    selectors
}

fn percent_decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digit = |octet: Option<u8>| char::from(octet?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            octets.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

/// The selectors: common name, fingerprints of those who vouch, serial number, and the names made for this.
pub(super) fn selectors(leaf: &Certificate, vouching: &[Certificate], san: &SanSelectors) -> Vec<Selector> {
    let mut values = Vec::new();
    let subject = DistinguishedName::from_der(leaf.raw_subject()).ok();
    if let Some(name) = subject.and_then(|subject| subject.common_name()).filter(|name| !name.is_empty()) {
        values.push(format!("subject:cn:{name}"));
    }
    values.extend(vouching.iter().map(|authority| format!("ca:fingerprint:{}", fingerprint(authority))));
    values.push(format!("serialnumber:{}", serial_number_hex(leaf)));
    values.extend(san.iter().map(|(key, value)| format!("san:{key}:{value}")));
    values.into_iter().map(|value| Selector { kind: NAME.to_owned(), value }).collect()
}

/// What a template is run with.
pub(super) fn template_data(
    leaf: &Certificate,
    trust_domain: &TrustDomain,
    svid_path: &str,
    san: &SanSelectors,
) -> Value {
    let names = OtherNames::of(leaf);
    let printable = |kind, text: String| Value::Printable { kind, text };
    let addresses = names.ip_addresses.iter().map(|address| printable("net.IP", address.to_string()));
    let uris = leaf.uris().iter().map(|uri| printable("*url.URL", uri.clone()));
    let version = i64::from(leaf.version());
    Value::map([
        ("PluginName", NAME.into()),
        ("TrustDomain", trust_domain.as_str().into()),
        ("Fingerprint", fingerprint(leaf).into()),
        ("SerialNumberHex", serial_number_hex(leaf).into()),
        ("SVIDPathTrimmed", svid_path.into()),
        ("URISanSelectors", Value::map(san.iter().map(|(key, value)| (key, value.as_str().into())))),
        ("Subject", name(leaf.raw_subject())),
        ("Issuer", name(leaf.raw_issuer())),
        ("SerialNumber", printable("*big.Int", leaf.serial_decimal())),
        ("DNSNames", Value::texts(leaf.dns_names())),
        ("EmailAddresses", Value::texts(names.email_addresses)),
        ("IPAddresses", Value::List(addresses.collect())),
        ("URIs", Value::List(uris.collect())),
        ("Version", Value::Int(version)),
        ("IsCA", Value::Bool(leaf.is_ca())),
    ])
}

/// A name as Go's `pkix.Name`: two members are one text, the others are lists.
fn name(der: &[u8]) -> Value {
    let attributes = DistinguishedName::from_der(der).map(|name| name.attributes()).unwrap_or_default();
    let all =
        |kind| attributes.iter().filter(move |(other, _)| *other == kind).map(|(_, value)| value.as_str());
    let last = |kind| Value::from(all(kind).next_back().unwrap_or_default());
    let list = |kind| Value::texts(all(kind));
    Value::map([
        ("CommonName", last(AttributeKind::CommonName)),
        ("SerialNumber", last(AttributeKind::SerialNumber)),
        ("Country", list(AttributeKind::Country)),
        ("Organization", list(AttributeKind::Organization)),
        ("OrganizationalUnit", list(AttributeKind::OrganizationalUnit)),
        ("Locality", list(AttributeKind::Locality)),
        ("Province", list(AttributeKind::Province)),
        ("StreetAddress", list(AttributeKind::StreetAddress)),
        ("PostalCode", list(AttributeKind::PostalCode)),
    ])
}
