//! How bundles are written and read: SPIFFE JSON, the Workload API's JWKS, PEM.

mod pem;
mod spiffe;

pub use pem::{decode_pem, encode_pem};
pub use spiffe::{decode_spiffe, encode_jwks_workload, encode_spiffe};

use crate::x509::X509Error;

/// Longest document in bytes that is read.
pub const DOCUMENT_MAX: usize = 4 << 20;

/// Longest refresh hint in seconds that is kept: a year. A longer or negative one is a mistake of
/// its publisher and must not keep a consumer from ever looking again.
pub const REFRESH_HINT_MAX: i64 = 365 * 24 * 60 * 60;

/// Why a document was refused as a bundle. Positions count the entries of `keys` from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Longer than [`DOCUMENT_MAX`].
    #[error("the bundle is too long")]
    TooLong,
    /// Not one JSON object, or a member is there twice.
    #[error("unable to parse JWKS: {0}")]
    Json(String),
    /// `keys` is not there, or not a list of objects (§4.1.3).
    #[error("no authorities found")]
    NoKeys,
    /// `spiffe_sequence` or `spiffe_refresh_hint` is not an integer in range (§4.1.1, §4.1.2).
    #[error("{0} is not an integer in range")]
    NotAnInteger(&'static str),
    /// The key of an entry is broken.
    #[error("error adding authority {entry} of JWKS: {source}")]
    Key {
        /// Which entry.
        entry: usize,
        /// What is wrong.
        source: crate::jwt::jwk::JwkError,
    },
    /// The first value of `x5c` is not a certificate in standard base64.
    #[error("error adding authority {0} of JWKS: x5c is not a certificate")]
    Certificate(usize),
    /// The key of an entry is not that of its certificate.
    #[error("error adding authority {0} of JWKS: public keys in key and x5c fields do not match")]
    KeyMismatch(usize),
    /// A JWT or WIT authority without `kid`.
    #[error("missing key ID in {key_use} entry {entry}")]
    MissingKeyId {
        /// Its `use`.
        key_use: &'static str,
        /// Which entry.
        entry: usize,
    },
    /// Two keys under one `kid`.
    #[error("key ID of {key_use} entry {entry} belongs to another key already")]
    DuplicateKeyId {
        /// Its `use`.
        key_use: &'static str,
        /// Which entry.
        entry: usize,
    },
    /// No PEM block at all.
    #[error("no PEM blocks")]
    NoPemBlocks,
    /// A PEM block that is not a certificate.
    #[error("expected block type \"CERTIFICATE\"; got {0:?}")]
    PemLabel(String),
    /// A PEM block whose content is no certificate; counted from 1.
    #[error("unable to parse \"CERTIFICATE\" PEM block {block}: {source}")]
    PemCertificate {
        /// Which block.
        block: usize,
        /// What is wrong.
        source: X509Error,
    },
}
