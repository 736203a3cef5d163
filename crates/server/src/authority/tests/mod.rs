//! The authority through its public door, on fakes and a test clock.

mod appliances;
mod crashes;
mod held_back;
mod issuing;
mod journals;
mod operators;
mod rotating;
mod upstream;

use super::testing::{MemoryKeys, MemoryStore, config};
use super::{Authority, AuthorityConfig, AuthorityError};
use crate::bundle::OwnBundle;
use finial_identity::x509::{Certificate, verify_svid};
use finial_identity::{AuthorityId, SpiffeId, UnixTime};
use finial_plugin::upstream_authority::UpstreamAuthority;
use finial_runtime::clock::{Clock, TestClock};
use std::sync::Arc;

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What outlives a server.
#[derive(Clone)]
struct World {
    store: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    clock: TestClock,
    config: AuthorityConfig,
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::shared();
        let keys = MemoryKeys::sharing(&store.faults);
        Self { store, keys, clock: TestClock::at_unix(NOW), config: config() }
    }

    async fn try_start(&self) -> Result<Server, AuthorityError> {
        self.try_start_below(None).await
    }

    async fn try_start_below(
        &self,
        upstream: Option<Arc<dyn UpstreamAuthority>>,
    ) -> Result<Server, AuthorityError> {
        let clock = || -> Arc<dyn Clock> { Arc::new(self.clock.clone()) };
        let (config, store) = (self.config.clone(), self.store.clone());
        let bundle = OwnBundle::over(config.trust_domain.clone(), store.clone(), clock()).await.unwrap();
        let keys = self.keys.clone();
        let authority = Authority::over(config, keys, store, bundle.clone(), upstream, clock()).await?;
        Ok(Server { authority, bundle, clock: self.clock.clone() })
    }

    async fn start(&self) -> Server {
        self.try_start().await.unwrap()
    }
}

struct Server {
    authority: Arc<Authority>,
    bundle: Arc<OwnBundle>,
    clock: TestClock,
}

impl Server {
    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }

    fn active_x509(&self) -> AuthorityId {
        self.authority.x509_state().active.unwrap().id
    }

    fn active_jwt(&self) -> AuthorityId {
        self.authority.jwt_state().active.unwrap().id
    }

    /// Checks a chain against the bundle as a peer would.
    fn verify(&self, chain: &[bytes::Bytes]) -> SpiffeId {
        let chain: Vec<_> = chain.iter().map(|der| Certificate::from_der(der).unwrap()).collect();
        let bundle = self.bundle.current();
        verify_svid(&chain, bundle.x509_authorities.iter(), self.now()).unwrap()
    }

    /// Checks a token against the bundle as a peer would.
    fn verify_jwt(&self, token: &str, audience: &str) -> SpiffeId {
        let bundle = self.bundle.current();
        let find = |_: &_, key_id: &str| bundle.jwt_key(key_id);
        finial_identity::jwt::validate(token, audience, self.clock.now(), &find).unwrap().id
    }
}

fn id(path: &str) -> SpiffeId {
    SpiffeId::from_path(&config().trust_domain, path).unwrap()
}
