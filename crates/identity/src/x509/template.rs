//! Building certificates with SPIRE's profile (parity §1.8), byte for byte as Go's `x509.CreateCertificate`
//! would from SPIRE's templates.

use super::der_reader::tag;
use super::extension::{AlternativeNames, Extension, write_extension};
use super::{DistinguishedName, SerialNumber, Validity, algorithm, der_writer, oid};
use crate::{PublicKey, SignatureScheme, SpiffeId};

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// An authority, which signs certificates and revocation lists.
    Authority {
        /// The SPIFFE ID of its trust domain.
        uri: SpiffeId,
    },
    /// An X509-SVID, for both ends of a TLS connection.
    Svid {
        /// Whose it is.
        id: SpiffeId,
        /// DNS names, in the order in which they are written.
        dns_names: Vec<String>,
    },
}

/// A certificate before it is signed.
#[derive(Debug, Clone)]
pub struct CertificateTemplate {
    /// The serial number.
    pub serial: SerialNumber,
    /// The subject.
    pub subject: DistinguishedName,
    /// From when until when.
    pub validity: Validity,
    /// The key certified.
    pub subject_key: PublicKey,
    /// What for.
    pub profile: Profile,
    /// Written after the profile's own extensions. One with the identifier of an extension of the profile
    /// stands instead of it, as in Go.
    pub extra_extensions: Vec<Extension>,
}

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// The subject of the issuer's certificate in DER; of a self-signed certificate, its own subject.
    pub subject_der: &'a [u8],
    /// The subject key ID of the issuer's certificate. Nothing for a self-signed certificate, which then has
    /// no authority key ID.
    pub key_id: Option<&'a [u8]>,
    /// How it signs.
    pub scheme: SignatureScheme,
}

/// `keyCertSign` and `cRLSign` as a BIT STRING.
const AUTHORITY_KEY_USAGE: [u8; 4] = [tag::BIT_STRING, 2, 1, 0x06];
/// `digitalSignature`, `keyEncipherment` and `keyAgreement` as a BIT STRING.
const SVID_KEY_USAGE: [u8; 4] = [tag::BIT_STRING, 2, 3, 0xa8];
/// `cA` true.
const AUTHORITY_CONSTRAINTS: [u8; 5] = [tag::SEQUENCE, 3, tag::BOOLEAN, 1, 0xff];
/// `cA` false, which DER expresses by silence. Some SDKs refuse a leaf without the extension.
const SVID_CONSTRAINTS: [u8; 2] = [tag::SEQUENCE, 0];

/// The `TBSCertificate` in DER: the bytes to be signed with [`Issuer::scheme`].
pub fn to_be_signed(template: &CertificateTemplate, issuer: &Issuer<'_>) -> Vec<u8> {
    let mut tbs = Vec::with_capacity(768 + template.subject_key.spki().len());
    der_writer::sequence(&mut tbs, |out| {
        der_writer::constructed(out, tag::context_constructed(0), |out| der_writer::unsigned(out, &[2]));
        der_writer::unsigned(out, template.serial.as_bytes());
        out.extend_from_slice(algorithm::identifier(issuer.scheme));
        out.extend_from_slice(issuer.subject_der);
        template.validity.write(out);
        out.extend_from_slice(template.subject.der());
        out.extend_from_slice(template.subject_key.spki());
        der_writer::constructed(out, tag::context_constructed(3), |out| {
            der_writer::sequence(out, |out| write_extensions(out, template, issuer));
        });
    });
    tbs
}

/// Puts a signed certificate, or request, together.
pub fn assemble(tbs: &[u8], scheme: SignatureScheme, signature: &[u8]) -> Vec<u8> {
    let mut certificate = Vec::with_capacity(tbs.len() + signature.len() + 96);
    der_writer::sequence(&mut certificate, |out| {
        out.extend_from_slice(tbs);
        out.extend_from_slice(algorithm::identifier(scheme));
        der_writer::bit_string(out, signature);
    });
    certificate
}

fn write_extensions(out: &mut Vec<u8>, template: &CertificateTemplate, issuer: &Issuer<'_>) {
    let own = |name: &[u8]| !template.extra_extensions.iter().any(|extra| extra.has_oid(name));
    let is_authority = matches!(template.profile, Profile::Authority { .. });
    if own(oid::KEY_USAGE) {
        let usage = if is_authority { AUTHORITY_KEY_USAGE } else { SVID_KEY_USAGE };
        write_extension(out, oid::KEY_USAGE, true, |out| out.extend_from_slice(&usage));
    }
    if !is_authority && own(oid::EXT_KEY_USAGE) {
        write_extension(out, oid::EXT_KEY_USAGE, false, |out| {
            der_writer::sequence(out, |out| {
                der_writer::oid(out, oid::EKU_SERVER_AUTH);
                der_writer::oid(out, oid::EKU_CLIENT_AUTH);
            });
        });
    }
    if own(oid::BASIC_CONSTRAINTS) {
        let constraints: &[u8] = if is_authority { &AUTHORITY_CONSTRAINTS } else { &SVID_CONSTRAINTS };
        write_extension(out, oid::BASIC_CONSTRAINTS, true, |out| out.extend_from_slice(constraints));
    }
    if own(oid::SUBJECT_KEY_ID) {
        let key_id = template.subject_key.key_id();
        write_extension(out, oid::SUBJECT_KEY_ID, false, |out| {
            der_writer::element(out, tag::OCTET_STRING, &key_id);
        });
    }
    if let Some(key_id) = issuer.key_id.filter(|_| own(oid::AUTHORITY_KEY_ID)) {
        write_extension(out, oid::AUTHORITY_KEY_ID, false, |out| {
            der_writer::sequence(out, |out| der_writer::element(out, tag::context(0), key_id));
        });
    }
    if own(oid::SUBJECT_ALT_NAME) {
        let is_critical = template.subject.is_empty();
        write_extension(out, oid::SUBJECT_ALT_NAME, is_critical, |out| write_names(out, &template.profile));
    }
    for extension in &template.extra_extensions {
        extension.write(out);
    }
}

fn write_names(out: &mut Vec<u8>, profile: &Profile) {
    let (id, dns_names) = match profile {
        Profile::Authority { uri } => (uri, &[][..]),
        Profile::Svid { id, dns_names } => (id, dns_names.as_slice()),
    };
    AlternativeNames::write(out, dns_names.iter().map(String::as_str), std::iter::once(id.as_str()));
}
