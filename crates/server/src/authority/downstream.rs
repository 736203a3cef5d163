//! Authorities for servers below this one.

use super::Authority;
use super::error::IssueError;
use super::signing::X509Ca;
use super::slot::SigningAuthority;
use super::template::{self, DownstreamWish};
use bytes::Bytes;
use finial_identity::x509::SerialNumber;
use finial_identity::{Failure, PublicKey, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// An X.509 authority as it was issued to a server below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedX509Ca {
    /// DER, the authority first, then what leads from it to a root, never the root.
    pub chain: Vec<Bytes>,
    /// When it ends.
    pub expires_at: UnixTime,
}

impl Authority {
    /// Signs an authority for the key of a server below; it lives as long as authorities here if nothing else
    /// is wished, and never longer than the one that signs.
    pub async fn issue_downstream_x509_ca(
        &self,
        key: &PublicKey,
        ttl: Option<Duration>,
    ) -> Result<IssuedX509Ca, Failure> {
        let issued = self.sign_downstream(key, ttl).await;
        issued.map_err(|error| Failure::internal(format!("failed to sign downstream X.509 CA: {error}")))
    }

    async fn sign_downstream(
        &self,
        key: &PublicKey,
        ttl: Option<Duration>,
    ) -> Result<IssuedX509Ca, IssueError> {
        let now = self.clock.now();
        let authority: Option<Arc<X509Ca>> = self.x509.load_full();
        let authority = authority.filter(|authority| authority.may_sign_at(now.into()));
        let authority = authority.ok_or(IssueError::NoX509Authority)?;
        let serial = SerialNumber::random().map_err(IssueError::SerialNumber)?;
        let wish = DownstreamWish {
            issuer: authority.certificate(),
            depth: authority.upstream_chain().len().max(1),
            key,
            ttl,
        };
        let template = template::downstream_authority(&self.config, wish, serial, now);
        let mut template = template.map_err(IssueError::Subject)?;
        template.validity.not_after = template.validity.not_after.min(authority.info().expires_at);
        let chain = authority.issue(&template).await.map_err(IssueError::SignX509Ca)?;
        Ok(IssuedX509Ca { chain, expires_at: template.validity.not_after })
    }
}
