//! Upstream authorities: who signs a server's X.509 authorities instead of themselves.
//!
//! Called by the server's authority: [`UpstreamAuthority::mint_x509_ca`] for every X.509 authority that it
//! prepares, [`UpstreamAuthority::publish_jwt_key`] for every JWT authority, of its own and of servers below it,
//! and [`UpstreamAuthority::follow_local_bundle`] once, for as long as the server runs. An implementer must sign
//! for the key of the request and for nobody who has not shown that it has it, must give a chain that leads to
//! one of the roots that come with it, and must not keep a call waiting for ever. What cannot be had for the
//! moment is `Unavailable`; what an implementer does not do at all is `Unimplemented`. Checked by
//! `conformance::upstream_authority`.

use async_trait::async_trait;
use finial_identity::x509::Certificate;
use finial_identity::{Code, Failure, JwtAuthority, X509Authority};
use futures_util::stream::BoxStream;
use std::time::Duration;

/// Roots, whenever they change: always all of them, with what is tainted. It may end, or never say anything.
pub type RootUpdates = BoxStream<'static, Result<Vec<X509Authority>, Failure>>;

/// The bundle above, now and whenever it changes: always all of it, with what is tainted. After a failure more
/// may follow; when it ends it may be asked for again.
pub type BundleUpdates = BoxStream<'static, Result<UpstreamBundle, Failure>>;

/// An X.509 authority that was signed upstream.
pub struct MintedX509Ca {
    /// The new authority first, then what leads from it to a root. Roots themselves need not be there.
    pub chain: Vec<Certificate>,
    /// What those must trust who are to believe it.
    pub roots: Vec<X509Authority>,
    /// How the roots change later, where that comes with the mint. What was given for an earlier authority is not
    /// listened to any more.
    pub updates: RootUpdates,
}

/// The authorities of the trust domain as those above know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamBundle {
    /// What signs X509-SVIDs.
    pub x509_authorities: Vec<X509Authority>,
    /// What signs JWT-SVIDs.
    pub jwt_authorities: Vec<JwtAuthority>,
}

/// Who signs a server's X.509 authorities.
#[async_trait]
pub trait UpstreamAuthority: Send + Sync {
    /// Its name in logs, for example `disk`.
    fn name(&self) -> &str;

    /// Signs an authority for the key of a request (PKCS#10, DER), which has one URI: the trust domain's ID. It
    /// need not live as long as wished.
    async fn mint_x509_ca(&self, csr: &[u8], preferred_ttl: Duration) -> Result<MintedX509Ca, Failure>;

    /// Makes a JWT authority known above, and gives all that are known there.
    async fn publish_jwt_key(&self, key: &JwtAuthority) -> Result<Vec<JwtAuthority>, Failure> {
        let _ = key;
        Err(Failure::new(Code::Unimplemented, "publishing upstream is unsupported"))
    }

    /// Follows the bundle above.
    async fn follow_local_bundle(&self) -> Result<BundleUpdates, Failure> {
        Err(Failure::new(Code::Unimplemented, "fetching upstream trust bundle is unsupported"))
    }
}
