//! One authority of a bundle, and the ID by which operators name it.

use crate::key::to_hex;
use crate::x509::Certificate;
use crate::{PublicKey, UnixTime};
use std::fmt;

/// The ID of an authority as SPIRE prints it: the subject key ID of an X.509 authority in lower-case
/// hex, the key ID of a JWT or WIT authority as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(String);

impl AuthorityId {
    /// An ID that somebody gave; any text is one, most name nothing.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The ID of the X.509 authority with this subject key ID.
    pub fn from_subject_key_id(subject_key_id: &[u8]) -> Self {
        Self(to_hex(subject_key_id))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate that X509-SVIDs may chain to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Authority {
    /// The certificate, normally self-signed.
    pub certificate: Certificate,
    /// To be used no more, but trusted until it is revoked.
    pub tainted: bool,
}

impl X509Authority {
    /// An authority that is not tainted.
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate, tainted: false }
    }

    /// Its ID; empty if the certificate has no subject key ID.
    pub fn id(&self) -> AuthorityId {
        AuthorityId::from_subject_key_id(self.certificate.subject_key_id().unwrap_or_default())
    }
}

macro_rules! key_authority {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The `kid`; not empty.
            pub key_id: String,
            /// The key.
            pub public_key: PublicKey,
            /// When the key stops to sign; 0 if nothing is said.
            pub expires_at: UnixTime,
            /// To be used no more, but trusted until it is revoked.
            pub tainted: bool,
        }

        impl $name {
            /// An authority that is not tainted and does not say when it ends.
            pub fn new(key_id: impl Into<String>, public_key: PublicKey) -> Self {
                Self { key_id: key_id.into(), public_key, expires_at: UnixTime::default(), tainted: false }
            }

            /// Its ID.
            pub fn id(&self) -> AuthorityId {
                AuthorityId::new(self.key_id.clone())
            }
        }

        impl KeyAuthority for $name {
            fn key_id(&self) -> &str {
                &self.key_id
            }

            fn public_key(&self) -> &PublicKey {
                &self.public_key
            }

            fn expires_at(&self) -> UnixTime {
                self.expires_at
            }
        }
    };
}

/// What JWT and WIT authorities have in common.
pub(super) trait KeyAuthority {
    fn key_id(&self) -> &str;
    fn public_key(&self) -> &PublicKey;
    fn expires_at(&self) -> UnixTime;
}

key_authority! {
    /// A key that signs JWT-SVIDs.
    JwtAuthority
}

key_authority! {
    /// A key that signs WIT-SVIDs.
    WitAuthority
}
