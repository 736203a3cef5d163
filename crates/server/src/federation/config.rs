//! What the operator's file says about federation.

use finial_identity::{BundleEndpointProfile, TrustDomain};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// From where a bundle is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A URL that `finial_identity::federation::check_endpoint_url` has passed.
    pub url: String,
    /// How it proves who it is.
    pub profile: BundleEndpointProfile,
}

/// The section `federation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FederationConfig {
    /// Whose bundles are fetched, whatever the store says.
    pub federates_with: BTreeMap<TrustDomain, Endpoint>,
    /// Where our own bundle is served, if it is.
    pub bundle_endpoint: Option<BundleEndpointConfig>,
}

/// Where and how our own bundle is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleEndpointConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// What the bundle tells others about when to look again.
    pub refresh_hint: Duration,
    /// What the endpoint shows.
    pub served_as: ServedAs,
}

/// How the endpoint proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedAs {
    /// With the server's own SVID.
    Spiffe,
    /// With a certificate of the web that somebody else renews.
    Web(ServingCertificateFiles),
}

/// A certificate and its key, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingCertificateFiles {
    /// Certificates in PEM, leaf first.
    pub certificates: PathBuf,
    /// The key in PEM.
    pub key: PathBuf,
    /// How often the files are looked at.
    pub sync_interval: Duration,
}
