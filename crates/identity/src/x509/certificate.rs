//! A certificate that has been read.

use super::der_reader::{DerError, Reader, tag};
use super::extension::{ExtendedKeyUsage, Extension, Extensions, KeyUsage};
use super::validity::Validity;
use super::{DistinguishedName, ErrorContext, X509Error, algorithm, serial};
use crate::key::{KeyError, SignatureAlgorithm, to_hex};
use crate::{PublicKey, SpiffeId, UnixTime};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Largest certificate that is read, in octets.
const CERTIFICATE_MAX: usize = 1 << 20;

/// A parsed certificate. Cloning is cheap; two certificates are equal when their DER is.
///
/// Reading checks the structure, not the signature, and not that the key is of a supported kind: bundles
/// carry roots of all sorts.
#[derive(Clone)]
pub struct Certificate(Arc<Fields>);

struct Fields {
    der: Arc<[u8]>,
    version: u8,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    signature: Range<usize>,
    signature_algorithm: Option<SignatureAlgorithm>,
    validity: Validity,
    extensions: Extensions,
}

impl Certificate {
    /// Reads exactly one certificate (RFC 5280 §4.1).
    pub fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        if der.len() > CERTIFICATE_MAX {
            return Err(X509Error::MalformedCertificate("too long"));
        }
        let fields = read(der)?;
        Ok(Self(Arc::new(fields)))
    }

    /// Reads certificates that follow each other without separation, as the Workload API carries them.
    /// Nothing at all gives an empty chain.
    pub fn chain_from_der(der: &[u8]) -> Result<Vec<Self>, X509Error> {
        let mut reader = Reader::new(der);
        let mut chain = Vec::new();
        while !reader.is_empty() {
            let certificate = reader.expect(tag::SEQUENCE).or_certificate("chain")?;
            chain.push(Self::from_der(certificate.whole)?);
        }
        Ok(chain)
    }

    /// The whole certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The whole certificate in DER, shared.
    pub fn der_arc(&self) -> Arc<[u8]> {
        self.0.der.clone()
    }

    /// The part that is signed.
    pub fn to_be_signed(&self) -> &[u8] {
        self.part(&self.0.tbs)
    }

    /// 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// Beginning of the validity.
    pub fn not_before(&self) -> UnixTime {
        self.0.validity.not_before
    }

    /// End of the validity.
    pub fn not_after(&self) -> UnixTime {
        self.0.validity.not_after
    }

    /// From when until when it is valid.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The serial number as SPIRE writes it.
    pub fn serial_decimal(&self) -> String {
        serial::magnitude_to_decimal(self.part(&self.0.serial))
    }

    /// The magnitude of the serial number in big-endian octets without leading zeros.
    pub fn serial_bytes(&self) -> &[u8] {
        self.part(&self.0.serial)
    }

    /// The subject as Go's `pkix.Name.String` prints it, for example `SERIALNUMBER=…,O=SPIFFE,C=US`.
    pub fn subject(&self) -> String {
        DistinguishedName::text_of(self.raw_subject())
    }

    /// The subject in DER.
    pub fn raw_subject(&self) -> &[u8] {
        self.part(&self.0.subject)
    }

    /// The issuer in DER.
    pub fn raw_issuer(&self) -> &[u8] {
        self.part(&self.0.issuer)
    }

    /// The public key, if it is of a supported kind.
    pub fn public_key(&self) -> Result<PublicKey, X509Error> {
        PublicKey::from_spki(self.spki()).map_err(|_| X509Error::UnsupportedKey)
    }

    /// The `SubjectPublicKeyInfo` in DER, of whatever kind.
    pub fn spki(&self) -> &[u8] {
        self.part(&self.0.spki)
    }

    /// The URI alternative names.
    pub fn uris(&self) -> &[String] {
        &self.0.extensions.names.uris
    }

    /// The DNS alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.names.dns_names
    }

    /// The SPIFFE ID: the one URI alternative name (X509-SVID §2).
    pub fn spiffe_id(&self) -> Result<SpiffeId, X509Error> {
        match self.uris() {
            [] => Err(X509Error::NoUri),
            [uri] => Ok(SpiffeId::parse(uri)?),
            _ => Err(X509Error::SeveralUris),
        }
    }

    /// Whether basic constraints say that this is an authority.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.basic_constraints.is_some_and(|constraints| constraints.is_authority)
    }

    /// How many more authorities may follow below this one; nothing if unlimited.
    pub fn path_length(&self) -> Option<u8> {
        self.0.extensions.basic_constraints.and_then(|constraints| constraints.path_length)
    }

    /// Whether basic constraints are there at all.
    pub fn has_basic_constraints(&self) -> bool {
        self.0.extensions.basic_constraints.is_some()
    }

    /// The subject key ID.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// The subject key ID in lower-case hexadecimal, empty if there is none: how SPIRE names an authority.
    pub fn subject_key_id_hex(&self) -> String {
        self.subject_key_id().map(to_hex).unwrap_or_default()
    }

    /// The authority key ID.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// The authority key ID in lower-case hexadecimal, empty if there is none: how SPIRE names an upstream
    /// authority.
    pub fn authority_key_id_hex(&self) -> String {
        self.authority_key_id().map(to_hex).unwrap_or_default()
    }

    /// The key usages; empty if the extension is absent.
    pub fn key_usage(&self) -> KeyUsage {
        self.0.extensions.key_usage.unwrap_or_default()
    }

    /// The extended key usages; empty if the extension is absent.
    pub fn ext_key_usage(&self) -> &[ExtendedKeyUsage] {
        &self.0.extensions.ext_key_usage
    }

    /// All extensions in their generic form and order.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions.all
    }

    /// Checks that the certificate was signed by this key.
    pub fn verify_signature_by(&self, issuer: &PublicKey) -> Result<(), X509Error> {
        let algorithm = self.0.signature_algorithm.ok_or(X509Error::UnsupportedSignature)?;
        issuer.verify_with(algorithm, self.to_be_signed(), self.part(&self.0.signature)).map_err(|error| {
            match error {
                KeyError::SchemeMismatch => X509Error::UnsupportedSignature,
                _ => X509Error::BadSignature,
            }
        })
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.0.der[range.clone()]
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("serial", &self.serial_decimal())
            .field("subject", &self.subject())
            .field("uris", &self.uris())
            .field("validity", &self.validity())
            .finish_non_exhaustive()
    }
}

fn read(der: &[u8]) -> Result<Fields, X509Error> {
    let within = |part: &[u8]| part.as_ptr() as usize - der.as_ptr() as usize;
    let range = |part: &[u8]| within(part)..within(part) + part.len();

    let mut certificate = Reader::of_single(der, tag::SEQUENCE).or_certificate("not one SEQUENCE")?;
    let tbs = certificate.expect(tag::SEQUENCE).or_certificate("to-be-signed part")?;
    let outer_algorithm = certificate.expect(tag::SEQUENCE).or_certificate("signature algorithm")?;
    let signature = certificate.bit_string_octets().or_certificate("signature")?;
    certificate.finish().or_certificate("trailing data")?;

    let mut fields = Reader::new(tbs.content);
    let version = read_version(&mut fields).or_certificate("version")?;
    let serial = fields.unsigned().or_certificate("serial number")?;
    let inner_algorithm = fields.expect(tag::SEQUENCE).or_certificate("signature algorithm")?;
    if inner_algorithm.whole != outer_algorithm.whole {
        return Err(X509Error::MalformedCertificate("inner and outer signature algorithm differ"));
    }
    let signature_algorithm =
        algorithm::of_identifier(inner_algorithm.whole).or_certificate("signature algorithm")?;
    let issuer = fields.expect(tag::SEQUENCE).or_certificate("issuer")?.whole;
    let validity = Validity::read(&mut fields).or_certificate("validity")?;
    let subject = fields.expect(tag::SEQUENCE).or_certificate("subject")?.whole;
    for name in [issuer, subject] {
        DistinguishedName::check(name).or_certificate("name")?;
    }
    let spki = fields.expect(tag::SEQUENCE).or_certificate("public key")?.whole;
    let extensions = read_tail(&mut fields, version).or_certificate("extensions")?;
    Ok(Fields {
        der: der.into(),
        version,
        tbs: range(tbs.whole),
        serial: range(serial),
        issuer: range(issuer),
        subject: range(subject),
        spki: range(spki),
        signature: range(signature),
        signature_algorithm,
        validity,
        extensions,
    })
}

/// 1, 2 or 3.
fn read_version(fields: &mut Reader<'_>) -> Result<u8, DerError> {
    let Some(explicit) = fields.optional(tag::context_constructed(0))? else { return Ok(1) };
    let mut inner = Reader::new(explicit.content);
    let version = inner.small()?;
    inner.finish()?;
    if version <= 2 { Ok(version + 1) } else { Err(DerError) }
}

/// Unique identifiers, which are passed over, and extensions.
fn read_tail(fields: &mut Reader<'_>, version: u8) -> Result<Extensions, DerError> {
    if version >= 2 {
        fields.optional(tag::context(1))?;
        fields.optional(tag::context(2))?;
    }
    let extensions = match fields.optional(tag::context_constructed(3))? {
        Some(extensions) if version == 3 => Extensions::read(extensions.content)?,
        Some(_) => return Err(DerError),
        None => Extensions::default(),
    };
    fields.finish()?;
    Ok(extensions)
}
