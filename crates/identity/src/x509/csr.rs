//! Certificate signing requests (PKCS#10, RFC 2986).
//!
//! Reading and verifying are two steps, because clients are told apart "malformed" and "invalid signature".
//! Who signs a request uses its key and, when minting, its names; whatever else it wishes for is not ours to
//! grant.

use super::der_reader::{DerError, Reader, tag};
use super::extension::{AlternativeNames, Extension, Extensions, write_extension};
use super::{DistinguishedName, ErrorContext, X509Error, algorithm, der_writer, oid};
use crate::key::{KeyError, SignatureAlgorithm};
use crate::{PrivateKey, PublicKey, SpiffeId};
use std::ops::Range;

/// Largest request that is read, in octets.
const CSR_MAX: usize = 1 << 16;

/// A request that has been read. Its signature is only checked by [`Self::verify_signature`].
#[derive(Debug, Clone)]
pub struct Csr {
    /// The key to be certified.
    pub public_key: PublicKey,
    /// The URI alternative names asked for.
    pub uris: Vec<String>,
    /// The DNS alternative names asked for.
    pub dns_names: Vec<String>,
    /// The subject asked for, in DER.
    pub raw_subject: Vec<u8>,
    /// All extensions asked for, in their generic form.
    pub extensions: Vec<Extension>,
    der: Vec<u8>,
    signed: Range<usize>,
    signature: Range<usize>,
    algorithm: Option<SignatureAlgorithm>,
}

impl Csr {
    /// Reads a request. Keys of unsupported kinds and sizes are refused with [`X509Error::UnsupportedKey`].
    pub fn parse(der: &[u8]) -> Result<Self, X509Error> {
        if der.len() > CSR_MAX {
            return Err(X509Error::MalformedCsr("too long"));
        }
        let within = |part: &[u8]| part.as_ptr() as usize - der.as_ptr() as usize;
        let range = |part: &[u8]| within(part)..within(part) + part.len();

        let mut request = Reader::of_single(der, tag::SEQUENCE).or_csr("not one SEQUENCE")?;
        let info = request.expect(tag::SEQUENCE).or_csr("request info")?;
        let identifier = request.expect(tag::SEQUENCE).or_csr("signature algorithm")?;
        let signature = request.bit_string_octets().or_csr("signature")?;
        request.finish().or_csr("trailing data")?;

        let mut fields = Reader::new(info.content);
        fields.small().or_csr("version")?;
        let subject = fields.expect(tag::SEQUENCE).or_csr("subject")?.whole;
        DistinguishedName::check(subject).or_csr("subject")?;
        let spki = fields.expect(tag::SEQUENCE).or_csr("public key")?.whole;
        let extensions = read_attributes(&mut fields).or_csr("attributes")?;
        fields.finish().or_csr("request info")?;
        Ok(Self {
            algorithm: algorithm::of_identifier(identifier.whole).or_csr("signature algorithm")?,
            public_key: PublicKey::from_spki(spki).map_err(|_| X509Error::UnsupportedKey)?,
            uris: extensions.names.uris,
            dns_names: extensions.names.dns_names,
            raw_subject: subject.to_vec(),
            extensions: extensions.all,
            der: der.to_vec(),
            signed: range(info.whole),
            signature: range(signature),
        })
    }

    /// Checks that whoever made the request has the private key.
    pub fn verify_signature(&self) -> Result<(), X509Error> {
        let algorithm = self.algorithm.ok_or(X509Error::UnsupportedSignature)?;
        let (message, signature) = (&self.der[self.signed.clone()], &self.der[self.signature.clone()]);
        self.public_key.verify_with(algorithm, message, signature).map_err(|error| match error {
            KeyError::SchemeMismatch => X509Error::UnsupportedSignature,
            _ => X509Error::BadSignature,
        })
    }
}

/// The extensions asked for. Other attributes are passed over; the extension request may stand once.
fn read_attributes(fields: &mut Reader<'_>) -> Result<Extensions, DerError> {
    let mut found = None;
    let Some(attributes) = fields.optional(tag::context_constructed(0))? else {
        return Ok(Extensions::default());
    };
    let mut attributes = Reader::new(attributes.content);
    while !attributes.is_empty() {
        let mut attribute = attributes.nested(tag::SEQUENCE)?;
        if attribute.oid()? != oid::EXTENSION_REQUEST {
            continue;
        }
        let mut values = attribute.nested(tag::SET)?;
        let extensions = Extensions::read(values.expect(tag::SEQUENCE)?.whole)?;
        values.finish()?;
        attribute.finish()?;
        if found.replace(extensions).is_some() {
            return Err(DerError);
        }
    }
    Ok(found.unwrap_or_default())
}

/// What to ask for.
#[derive(Debug, Clone)]
pub struct CsrRequest<'a> {
    /// The subject.
    pub subject: DistinguishedName,
    /// The URI alternative name.
    pub spiffe_id: Option<&'a SpiffeId>,
    /// The DNS alternative names.
    pub dns_names: &'a [String],
}

/// Makes and signs a request, in the bytes that Go's `x509.CreateCertificateRequest` would give.
pub fn build_csr(key: &PrivateKey, request: &CsrRequest<'_>) -> Result<Vec<u8>, KeyError> {
    let scheme = key.public_key().certificate_scheme().ok_or(KeyError::Unsupported)?;
    let info = csr_to_be_signed(key.public_key(), request);
    let signature = key.sign(scheme, &info)?;
    Ok(super::template::assemble(&info, scheme, &signature))
}

/// The `CertificationRequestInfo`: what the key signs, for keys that live in a key manager. The request is
/// completed by [`super::assemble`].
pub fn csr_to_be_signed(key: &PublicKey, request: &CsrRequest<'_>) -> Vec<u8> {
    let mut info = Vec::with_capacity(512);
    der_writer::sequence(&mut info, |out| {
        der_writer::unsigned(out, &[0]);
        out.extend_from_slice(request.subject.der());
        out.extend_from_slice(key.spki());
        der_writer::constructed(out, tag::context_constructed(0), |out| {
            write_extension_request(out, request)
        });
    });
    info
}

fn write_extension_request(out: &mut Vec<u8>, request: &CsrRequest<'_>) {
    if request.spiffe_id.is_none() && request.dns_names.is_empty() {
        return;
    }
    der_writer::sequence(out, |out| {
        der_writer::oid(out, oid::EXTENSION_REQUEST);
        der_writer::constructed(out, tag::SET, |out| {
            der_writer::sequence(out, |out| {
                write_extension(out, oid::SUBJECT_ALT_NAME, false, |out| {
                    let dns_names = request.dns_names.iter().map(String::as_str);
                    AlternativeNames::write(out, dns_names, request.spiffe_id.iter().map(|id| id.as_str()));
                });
            });
        });
    });
}
