//! Issuing SVIDs: template, signature, assembly. Nobody waits here for a rotation.

use super::Authority;
use super::config::JwtSwitch;
use super::error::IssueError;
use super::signing::{JwtFailure, X509Ca};
use super::slot::SigningAuthority;
use super::template::{self, JwtRequest, X509Wish};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use finial_identity::x509::SerialNumber;
use finial_identity::{Code, EntrySpec, Failure, PublicKey, SpiffeId, UnixTime};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Certificates of one batch that are being signed at the same time, for keys that are far away.
const IN_FLIGHT: usize = 64;
/// After so many certificates of a batch others get their turn on this core.
const TURN: usize = 16;

/// An X509-SVID as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedX509 {
    /// Whose it is.
    pub id: SpiffeId,
    /// DER, the leaf first, then intermediates, never a self-signed root.
    pub chain: Vec<Bytes>,
    /// The leaf's serial number in decimal.
    pub serial: String,
    /// The end of the leaf.
    pub expires_at: UnixTime,
}

/// A JWT-SVID as it was issued. The token is a bearer credential, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedJwt {
    /// The token.
    pub token: String,
    /// For whom it speaks.
    pub id: SpiffeId,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

impl std::fmt::Debug for IssuedJwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedJwt")
            .field("id", &self.id)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// An X509-SVID that an operator asks for.
#[derive(Debug, Clone)]
pub struct MintX509 {
    /// Whose it is to be.
    pub id: SpiffeId,
    /// The key certified.
    pub key: PublicKey,
    /// DNS names; the first becomes the common name.
    pub dns_names: Vec<String>,
    /// The wished subject in DER; without attributes, the default.
    pub raw_subject: Vec<u8>,
    /// For how long; the server's default if nothing is said.
    pub ttl: Option<Duration>,
}

/// The authority and the moment that all certificates of one call share.
struct Press {
    authority: Arc<X509Ca>,
    now: SystemTime,
}

impl Authority {
    /// Issues the X509-SVID of an entry.
    pub async fn issue_workload_x509(
        &self,
        spec: &EntrySpec,
        key: &PublicKey,
    ) -> Result<IssuedX509, Failure> {
        let issued = match self.press() {
            Ok(press) => self.issue_x509(&press, self.workload_wish(spec, key)).await,
            Err(error) => Err(error),
        };
        issued.map_err(|error| refused("X509-SVID", &error))
    }

    /// Issues X509-SVIDs of many entries, in order. With a key manager that is far away many signatures are
    /// under way at a time.
    pub async fn issue_workload_x509_batch(
        &self,
        wishes: &[(&EntrySpec, &PublicKey)],
    ) -> Vec<Result<IssuedX509, Failure>> {
        let press = match self.press() {
            Ok(press) => press,
            Err(error) => return wishes.iter().map(|_| Err(refused("X509-SVID", &error))).collect(),
        };
        let mut issuing = Vec::with_capacity(wishes.len());
        for (at, (spec, key)) in wishes.iter().enumerate() {
            issuing.push(self.issue_in_turn(&press, at, spec, key));
        }
        stream::iter(issuing).buffered(IN_FLIGHT).collect().await
    }

    async fn issue_in_turn(
        &self,
        press: &Press,
        at: usize,
        spec: &EntrySpec,
        key: &PublicKey,
    ) -> Result<IssuedX509, Failure> {
        if at % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let issued = self.issue_x509(press, self.workload_wish(spec, key)).await;
        issued.map_err(|error| refused("X509-SVID", &error))
    }

    /// Issues the SVID of an agent.
    pub async fn issue_agent_x509(&self, id: &SpiffeId, key: &PublicKey) -> Result<IssuedX509, Failure> {
        self.issue_plain(id, key, self.config.agent_ttl).await.map_err(|error| refused("X509 SVID", &error))
    }

    /// Issues the server's own SVID.
    pub async fn issue_server_x509(&self, key: &PublicKey) -> Result<IssuedX509, Failure> {
        let id = self.config.trust_domain.server_id();
        let issued = self.issue_plain(&id, key, self.config.default_x509_svid_ttl).await;
        issued.map_err(|error| refused("X509 SVID", &error))
    }

    /// Issues an X509-SVID as an operator wants it.
    pub async fn mint_x509(&self, wish: MintX509) -> Result<IssuedX509, Failure> {
        self.mint(&wish).await.map_err(|error| refused("X509-SVID", &error))
    }

    /// Issues a JWT-SVID.
    pub async fn issue_jwt(&self, request: JwtRequest<'_>) -> Result<IssuedJwt, Failure> {
        self.require_jwt()?;
        self.sign_jwt(request).await.map_err(|error| refused("JWT-SVID", &error))
    }

    /// Refuses where JWT-SVIDs are switched off.
    pub fn require_jwt(&self) -> Result<(), Failure> {
        match self.config.jwt {
            JwtSwitch::Enabled => Ok(()),
            JwtSwitch::Disabled => Err(Failure::new(Code::Unimplemented, "JWT functionality is disabled")),
        }
    }

    fn press(&self) -> Result<Press, IssueError> {
        let now = self.clock.now();
        let authority = self.x509.load_full().filter(|authority| authority.may_sign_at(now.into()));
        let authority = authority.ok_or(IssueError::NoX509Authority)?;
        Ok(Press { authority, now })
    }

    fn workload_wish<'a>(&self, spec: &'a EntrySpec, key: &'a PublicKey) -> X509Wish<'a> {
        let ttl = u64::try_from(spec.x509_svid_ttl).ok().filter(|ttl| *ttl > 0).map(Duration::from_secs);
        X509Wish {
            id: &spec.spiffe_id,
            key,
            dns_names: &spec.dns_names,
            subject: template::svid_subject(&spec.dns_names),
            ttl: ttl.unwrap_or(self.config.default_x509_svid_ttl),
        }
    }

    async fn issue_plain(
        &self,
        id: &SpiffeId,
        key: &PublicKey,
        ttl: Duration,
    ) -> Result<IssuedX509, IssueError> {
        let subject = template::svid_subject(&[]);
        self.issue_x509(&self.press()?, X509Wish { id, key, dns_names: &[], subject, ttl }).await
    }

    async fn mint(&self, wish: &MintX509) -> Result<IssuedX509, IssueError> {
        let subject = template::mint_subject(&wish.raw_subject, &wish.dns_names);
        let ttl = wish.ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(self.config.default_x509_svid_ttl);
        let wish = X509Wish {
            id: &wish.id,
            key: &wish.key,
            dns_names: &wish.dns_names,
            subject: subject.map_err(IssueError::Subject)?,
            ttl,
        };
        self.issue_x509(&self.press()?, wish).await
    }

    async fn issue_x509(&self, press: &Press, wish: X509Wish<'_>) -> Result<IssuedX509, IssueError> {
        let id = wish.id.clone();
        let serial = SerialNumber::random().map_err(IssueError::SerialNumber)?;
        let cap = press.authority.info().expires_at;
        let template = template::x509_svid(&self.config.trust_domain, wish, serial, press.now, cap)?;
        let chain = press.authority.issue(&template).await.map_err(IssueError::SignX509)?;
        self.numbers.x509_svid.increment();
        let expires_at = template.validity.not_after;
        Ok(IssuedX509 { id, chain, serial: serial.to_decimal(), expires_at })
    }

    async fn sign_jwt(&self, request: JwtRequest<'_>) -> Result<IssuedJwt, IssueError> {
        let now = self.clock.now();
        let authority = self.jwt.load_full().filter(|authority| authority.may_sign_at(now.into()));
        let authority = authority.ok_or(IssueError::NoJwtAuthority)?;
        let cap = authority.info().expires_at;
        let claims = template::jwt_claims(&self.config, request, random_jti, now, cap)?;
        let token = authority.issue(&claims).await.map_err(|failure| match failure {
            JwtFailure::Sign(error) => IssueError::SignJwt(error),
            JwtFailure::Assemble(error) => IssueError::AssembleJwt(error),
        })?;
        self.numbers.jwt_svid.increment();
        let (issued_at, expires_at) = (claims.issued_at, claims.expires_at);
        Ok(IssuedJwt { token, id: claims.subject, issued_at, expires_at })
    }
}

/// What the caller is told, with SPIRE's two spellings of what was to be signed.
fn refused(what: &str, error: &IssueError) -> Failure {
    Failure::internal(format!("failed to sign {what}: {error}"))
}

fn random_jti() -> String {
    URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes())
}
