//! Federation relationships: from where the bundle of a foreign trust domain is fetched, and how its
//! endpoint proves who it is (SPIFFE Trust Domain and Bundle, section 5; SPIFFE Federation, section 5.2).

use crate::{Bundle, SpiffeId, TrustDomain};

/// How a bundle endpoint is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleEndpointProfile {
    /// By the authorities that the operating system trusts, for the host of the URL.
    HttpsWeb,
    /// By an X509-SVID of exactly this SPIFFE ID, which may belong to a third trust domain.
    HttpsSpiffe {
        /// Whom the endpoint must prove to be.
        endpoint_id: SpiffeId,
    },
}

/// A relationship with one foreign trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederationRelationship {
    /// The foreign trust domain, by which relationships are told apart.
    pub trust_domain: TrustDomain,
    /// An `https` URL with a host and without user information, as it was given.
    pub bundle_endpoint_url: String,
    /// How the endpoint proves who it is.
    pub profile: BundleEndpointProfile,
    /// The bundle of that trust domain, if one is stored.
    pub bundle: Option<Bundle>,
}
