//! Rate limits: how many calls per second one address may make.
//!
//! A caller over its rate waits its turn rather than being refused; only a single request that asks for
//! more than a whole second's worth is refused. The private socket is not limited.

use finial_identity::{Code, Failure};
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// Attestations per second and address.
const ATTEST_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
/// Signatures per second and address, for each kind of call.
const SIGN_PER_SECOND: NonZeroU32 = nonzero(500);
/// Status reports per second and address.
const STATUS_PER_SECOND: NonZeroU32 = nonzero(10);

const fn nonzero(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

/// One bucket per address.
pub struct Limit {
    per_second: NonZeroU32,
    buckets: Option<RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>>,
}

impl Limit {
    fn new(per_second: NonZeroU32, switch: Switch) -> Self {
        let buckets = match switch {
            Switch::On => Some(RateLimiter::dashmap(Quota::per_second(per_second))),
            Switch::Off => None,
        };
        Self { per_second, buckets }
    }

    /// Waits until `peer` may do `count` more; `None` is a caller on the private socket.
    pub async fn wait(&self, peer: Option<IpAddr>, count: usize) -> Result<(), Failure> {
        let (Some(buckets), Some(peer)) = (&self.buckets, peer) else { return Ok(()) };
        let Some(count) = u32::try_from(count).ok().map(NonZeroU32::new) else {
            return Err(self.exceeded(count));
        };
        let Some(count) = count else { return Ok(()) };
        buckets.until_key_n_ready(&peer, count).await.map_err(|_| self.exceeded(count.get() as usize))
    }

    fn exceeded(&self, count: usize) -> Failure {
        let burst = self.per_second;
        Failure::new(Code::ResourceExhausted, format!("rate ({count}) exceeds burst size ({burst})"))
    }

    fn forget_idle(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
        }
    }
}

/// Whether a limit is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Enforced.
    On,
    /// Turned off by configuration.
    Off,
}

/// All limits of the server.
pub struct Limits {
    /// `AttestAgent`.
    pub attest: Limit,
    /// `BatchNewX509SVID`, counted per request for a certificate.
    pub x509: Limit,
    /// `NewJWTSVID`.
    pub jwt: Limit,
    /// `RenewAgent`.
    pub renew: Limit,
    /// `PostStatus`.
    pub status: Limit,
    /// `NewDownstreamX509CA`.
    pub downstream: Limit,
    /// `PublishJWTAuthority`.
    pub publish: Limit,
}

impl Limits {
    /// The published limits, of which two can be turned off.
    pub fn new(attestation: Switch, signing: Switch) -> Self {
        Self {
            attest: Limit::new(ATTEST_PER_SECOND, attestation),
            x509: Limit::new(SIGN_PER_SECOND, signing),
            jwt: Limit::new(SIGN_PER_SECOND, signing),
            renew: Limit::new(SIGN_PER_SECOND, signing),
            status: Limit::new(STATUS_PER_SECOND, Switch::On),
            downstream: Limit::new(SIGN_PER_SECOND, signing),
            publish: Limit::new(SIGN_PER_SECOND, Switch::On),
        }
    }

    /// Forgets addresses that have been quiet; called each minute.
    pub fn forget_idle(&self) {
        let signing = [&self.x509, &self.jwt, &self.renew, &self.downstream];
        for limit in signing.into_iter().chain([&self.attest, &self.status, &self.publish]) {
            limit.forget_idle();
        }
    }
}
