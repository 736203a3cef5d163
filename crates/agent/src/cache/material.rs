//! A signed X509-SVID with its private key, ready to be handed out.

use bytes::Bytes;
use finial_identity::UnixTime;
use std::fmt;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Chain and key of one X509-SVID.
pub struct X509Material {
    /// Concatenated DER, leaf first.
    pub chain: Bytes,
    /// Private key, PKCS#8 DER; wiped when dropped.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
    /// Key ID of the authority of the bundle that the chain ends at, lower-case hex; tells whether it is
    /// tainted.
    pub authority_key_id: String,
    /// `notBefore` of the leaf.
    pub not_before: UnixTime,
    /// `notAfter` of the leaf.
    pub expires_at: UnixTime,
    /// When to replace it, drawn once.
    pub rotate_at: SystemTime,
    /// Revision of the entry it was signed for.
    pub revision: i64,
    /// Creation time of the entry it was signed for.
    pub created_at: UnixTime,
}

impl fmt::Debug for X509Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Material")
            .field("expires_at", &self.expires_at)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
