//! X.509: certificates, requests and X509-SVIDs, with the profile of SPIRE.
//!
//! For the server's authority, for agents and for everything that checks a peer. Signing may happen in a key
//! manager far away, so a certificate is made in three steps: [`to_be_signed`], the signature, [`assemble`].

mod algorithm;
mod certificate;
mod csr;
pub(crate) mod der_reader;
pub(crate) mod der_writer;
mod extension;
mod name;
pub(crate) mod oid;
mod serial;
mod svid;
mod template;
#[cfg(test)]
pub(crate) mod testdata;
#[cfg(test)]
mod tests;
mod validity;
mod verify;

pub use certificate::Certificate;
pub use csr::{Csr, CsrRequest, build_csr, csr_to_be_signed};
pub use extension::{Criticality, ExtendedKeyUsage, Extension, KeyUsage};
pub use name::{AttributeKind, DistinguishedName};
pub use serial::SerialNumber;
pub use svid::X509Svid;
pub use template::{CertificateTemplate, Issuer, Profile, assemble, to_be_signed};
pub use validity::Validity;
pub use verify::verify_svid;

use crate::UnixTime;
use crate::spiffe_id::SpiffeIdError;
use der_reader::DerError;

/// What is wrong with a certificate, a request, or a chain. The texts are go-spiffe's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum X509Error {
    /// Not a certificate, or one that no strict reader takes.
    #[error("malformed certificate: {0}")]
    MalformedCertificate(&'static str),
    /// Not a PKCS#10 request.
    #[error("malformed CSR: {0}")]
    MalformedCsr(&'static str),
    /// Not a distinguished name.
    #[error("malformed distinguished name")]
    MalformedName,
    /// The public key is malformed or of a kind or size that is not supported.
    #[error("unsupported or malformed public key")]
    UnsupportedKey,
    /// The signature algorithm is not supported, or not for this key.
    #[error("unsupported signature algorithm")]
    UnsupportedSignature,
    /// The signature is not the key's.
    #[error("invalid signature")]
    BadSignature,
    /// No certificates where a chain is wanted.
    #[error("no certificates found")]
    EmptyChain,
    /// No URI among the subject alternative names.
    #[error("certificate contains no URI SAN")]
    NoUri,
    /// Several URIs among the subject alternative names.
    #[error("certificate contains more than one URI SAN")]
    SeveralUris,
    /// The URI is not a SPIFFE ID.
    #[error("{0}")]
    NotSpiffeId(#[from] SpiffeIdError),
    /// A leaf that names a trust domain instead of a workload.
    #[error("leaf certificate SPIFFE ID must have a non-root path")]
    LeafWithoutPath,
    /// A leaf that may sign.
    #[error("leaf certificate must not have CA flag set to true")]
    LeafIsAuthority,
    /// A leaf without `digitalSignature`.
    #[error("leaf certificate must have 'digitalSignature' set as key usage")]
    LeafWithoutDigitalSignature,
    /// A leaf with `keyCertSign`.
    #[error("leaf certificate must not have 'keyCertSign' set as key usage")]
    LeafWithCertSign,
    /// A leaf with `cRLSign`.
    #[error("leaf certificate must not have 'cRLSign' set as key usage")]
    LeafWithCrlSign,
    /// An issuing certificate that is no authority.
    #[error("signing certificate must have CA flag set to true")]
    IssuerNotAuthority,
    /// An issuing certificate without `keyCertSign`.
    #[error("signing certificate must have 'keyCertSign' set as key usage")]
    IssuerWithoutCertSign,
    /// A certificate of the path has expired.
    #[error("certificate has expired")]
    Expired {
        /// The end of its validity.
        not_after: UnixTime,
    },
    /// A certificate of the path is not valid yet.
    #[error("certificate is not yet valid")]
    NotYetValid {
        /// The beginning of its validity.
        not_before: UnixTime,
    },
    /// No path leads to one of the authorities.
    #[error("certificate signed by unknown authority")]
    UnknownAuthority,
    /// A path exists and breaks a rule of RFC 5280 §6.1.
    #[error("certificate path is not valid: {0}")]
    InvalidPath(String),
}

/// Names what was being read when the bytes were not DER.
trait ErrorContext<T> {
    fn or_certificate(self, what: &'static str) -> Result<T, X509Error>;
    fn or_csr(self, what: &'static str) -> Result<T, X509Error>;
}

impl<T> ErrorContext<T> for Result<T, DerError> {
    fn or_certificate(self, what: &'static str) -> Result<T, X509Error> {
        self.map_err(|DerError| X509Error::MalformedCertificate(what))
    }

    fn or_csr(self, what: &'static str) -> Result<T, X509Error> {
        self.map_err(|DerError| X509Error::MalformedCsr(what))
    }
}
