//! What an authority is told.

use finial_identity::x509::{AttributeKind, DistinguishedName};
use finial_identity::{KeyType, TrustDomain};
use finial_runtime::metrics::Metrics;
use std::time::Duration;

/// The longest pause between two looks at authorities.
const ROTATE_EVERY: Duration = Duration::from_secs(10);

/// What is signed, with what kind of key, for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityConfig {
    /// Whose authority this is.
    pub trust_domain: TrustDomain,
    /// Keys of X.509 authorities, and of the server's own SVID.
    pub ca_key_type: KeyType,
    /// Keys that sign JWT-SVIDs.
    pub jwt_key_type: KeyType,
    /// Lifetime of signing authorities, X.509 and JWT.
    pub ca_ttl: Duration,
    /// Lifetime of X509-SVIDs whose entry says nothing, and of the server's own.
    pub default_x509_svid_ttl: Duration,
    /// Lifetime of JWT-SVIDs whose entry says nothing.
    pub default_jwt_svid_ttl: Duration,
    /// Lifetime of agents' SVIDs.
    pub agent_ttl: Duration,
    /// Subject of X.509 authorities. Without a `serialNumber` it gets the certificate's; an empty one stands
    /// for [`Self::default_ca_subject`].
    pub ca_subject: DistinguishedName,
    /// `iss` of JWT-SVIDs, if any.
    pub jwt_issuer: Option<String>,
    /// Whether there are JWT-SVIDs.
    pub jwt: JwtSwitch,
    /// Where is counted what is signed and rotated.
    pub metrics: Metrics,
}

/// Whether JWT-SVIDs are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtSwitch {
    /// They are.
    Enabled,
    /// They are not, and no key for them is made.
    Disabled,
}

impl AuthorityConfig {
    /// How often it is looked whether authorities must change: ten seconds, and oftener where they live so
    /// shortly that they would end in between.
    pub fn rotate_every(&self) -> Duration {
        (self.ca_ttl / 24).clamp(Duration::from_secs(1), ROTATE_EVERY)
    }

    /// The subject that SPIRE's authorities have: `C=US, O=SPIFFE`.
    pub fn default_ca_subject() -> DistinguishedName {
        DistinguishedName::new(&[(AttributeKind::Country, "US"), (AttributeKind::Organization, "SPIFFE")])
    }

    /// SPIRE's defaults: P-256 keys, authorities for a day, X509-SVIDs for an hour, JWT-SVIDs for five
    /// minutes.
    pub fn with_defaults(trust_domain: TrustDomain) -> Self {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        Self {
            trust_domain,
            ca_key_type: KeyType::EcP256,
            jwt_key_type: KeyType::EcP256,
            ca_ttl: Duration::from_secs(24 * 60 * 60),
            default_x509_svid_ttl: HOUR,
            default_jwt_svid_ttl: Duration::from_secs(5 * 60),
            agent_ttl: HOUR,
            ca_subject: Self::default_ca_subject(),
            jwt_issuer: None,
            jwt: JwtSwitch::Enabled,
            metrics: Metrics::default(),
        }
    }
}
