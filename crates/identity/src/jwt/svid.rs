//! A JWT-SVID as its holder has it.

use super::JwtError;
use super::claims::Claims;
use super::jws::Jws;
use crate::{SpiffeId, UnixTime};

/// A token and what it says, as an agent keeps it for its workloads.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtSvid {
    /// The subject.
    pub id: SpiffeId,
    /// The token; a bearer credential, so it is not printed.
    pub token: String,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// For whom it is.
    pub audience: Vec<String>,
    /// The authority that signed it, by the `kid` of its header.
    pub key_id: Option<String>,
}

impl JwtSvid {
    /// Reads a token **without checking signature, audience or times**: for agents, which have it
    /// from their server over an authenticated channel and need to know when to renew it.
    ///
    /// Demands what [`validate`](super::validate()) demands of form, and `iat`.
    pub fn parse_unverified(token: impl Into<String>) -> Result<Self, JwtError> {
        let token = token.into();
        let jws = Jws::parse(&token)?;
        let (claims, key_id) = (Claims::parse(&jws.payload)?, jws.key_id.clone());
        let id = claims.spiffe_id()?;
        let issued_at = claims.issued_at.ok_or(JwtError::MissingIssuedAt)?;
        let expires_at = claims.expires_at.ok_or(JwtError::MissingExpiry)?;
        Ok(Self { id, issued_at, expires_at, audience: claims.audience, key_id, token })
    }
}

impl std::fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtSvid")
            .field("id", &self.id)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
