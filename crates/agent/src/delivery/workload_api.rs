//! The Workload API as the rest of the agent sees it: who asks, what there is, and the refusals.
//!
//! The methods of the service are in the modules beside this one: streams in `outlook`, tokens in `jwt`; `rpc`
//! brings them to the wire.

use super::rate_limits::{Limiter, Method, RateLimits};
use super::refusal;
use crate::attest::{Attestation, LoggedSelectors, Ourselves};
use crate::cache::View;
use crate::config::UnauthenticatedVerifiers;
use crate::directory::Directory;
use crate::explain::{Reason, explain};
use crate::sync::JwtCache;
use finial_identity::Selector;
use finial_plugin::workload_attestor::WorkloadAttestor;
use finial_runtime::clock::Clock;
use finial_wire::peer::UnixPeer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tonic::Status;
use tracing::{debug, error};

/// How long a caller without identity waits for a fresh look at the server.
const FRESH_LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// What operators choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadApiOptions {
    /// Who may fetch bundles.
    pub unauthenticated_verifiers: UnauthenticatedVerifiers,
    /// Claims of JWT-SVIDs of other trust domains that are shown beside `sub`, `exp` and `aud`.
    pub allowed_foreign_jwt_claims: BTreeSet<String>,
    /// Selectors whose values may be logged, by what they begin with.
    pub log_selectors: BTreeSet<String>,
    /// How often workloads may call.
    pub rate_limits: RateLimits,
}

/// What a Workload API is made of.
pub struct WorkloadApiParts {
    /// What there is to hand out.
    pub directory: Directory,
    /// Tokens.
    pub jwt: JwtCache,
    /// How callers are recognised.
    pub attestors: Vec<Arc<dyn WorkloadAttestor>>,
    /// What operators choose.
    pub options: WorkloadApiOptions,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The Workload API. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct WorkloadApi {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Directory,
    jwt: JwtCache,
    attestation: Attestation,
    options: WorkloadApiOptions,
    logged: LoggedSelectors,
    ourselves: Ourselves,
    limiter: Limiter,
    clock: Arc<dyn Clock>,
}

/// A caller that has been recognised.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) pid: i32,
    pub(super) selectors: Arc<[Selector]>,
}

impl WorkloadApi {
    /// Puts the parts together.
    pub fn new(parts: WorkloadApiParts) -> Self {
        Self::of_process(parts, Ourselves(std::process::id()))
    }

    /// The Workload API of the agent with this process ID.
    pub(super) fn of_process(parts: WorkloadApiParts, ourselves: Ourselves) -> Self {
        let WorkloadApiParts { directory, jwt, attestors, options, clock } = parts;
        let logged = LoggedSelectors::new(options.log_selectors.clone());
        let attestation = Attestation::new(attestors, logged.clone(), ourselves, Arc::clone(&clock));
        let limiter = Limiter::new(options.rate_limits);
        let inner = Inner { directory, jwt, attestation, options, logged, ourselves, limiter, clock };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    pub(super) fn jwt_cache(&self) -> &JwtCache {
        &self.inner.jwt
    }

    pub(super) fn options(&self) -> &WorkloadApiOptions {
        &self.inner.options
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(super) fn now(&self) -> SystemTime {
        self.inner.clock.now()
    }

    #[cfg(test)]
    pub(super) fn attestation(&self) -> &Attestation {
        &self.inner.attestation
    }

    /// Whether it is the agent itself that asks.
    pub(super) fn is_ourselves(&self, caller: &Caller) -> bool {
        self.inner.ourselves.is(caller.pid)
    }

    /// Finds out who calls.
    pub(super) async fn recognize(&self, peer: &UnixPeer) -> Result<Caller, Status> {
        match self.inner.attestation.attest(peer).await {
            Ok(selectors) => Ok(Caller { pid: peer.pid, selectors }),
            Err(failure) => {
                error!(error = %failure, "Workload attestation failed");
                Err(refusal::not_attested())
            }
        }
    }

    /// Finds out who calls, and whether it calls too often. The agent itself never does.
    pub(super) async fn admit(&self, peer: &UnixPeer, method: Method) -> Result<Caller, Status> {
        let caller = self.recognize(peer).await?;
        if !self.is_ourselves(&caller) {
            self.inner.limiter.admit(method, &caller.selectors, self.now())?;
        }
        Ok(caller)
    }

    /// What a caller may have. If that is not `enough`, the server is asked once whether there is more.
    pub(super) async fn view(&self, caller: &Caller, enough: impl Fn(&View) -> bool) -> View {
        let view = self.inner.directory.look(&caller.selectors);
        if enough(&view) {
            return view;
        }
        self.look_again(caller).await;
        self.inner.directory.look(&caller.selectors)
    }

    /// Waits for one fresh look at the server; not long, and not for the agent itself, which mostly has no
    /// identity and asks all the time.
    pub(super) async fn look_again(&self, caller: &Caller) {
        if self.is_ourselves(caller) {
            return;
        }
        tokio::select! {
            () = self.inner.directory.refreshed() => {}
            () = self.inner.clock.sleep(FRESH_LOOK_TIMEOUT) => {}
        }
    }

    /// The refusal of a caller that has so many identities and none that would do; logs why.
    pub(super) fn refuse(&self, caller: &Caller, identities: usize) -> Status {
        let directory = &self.inner.directory;
        let last_sync = directory.progress().last_success;
        let now = self.now();
        if !self.is_ourselves(caller) {
            let selectors = self.inner.logged.text(&caller.selectors);
            error!(registered = identities > 0, selectors, "No identity issued");
            if tracing::enabled!(tracing::Level::DEBUG) {
                let found =
                    directory.read(|cache| explain(&caller.selectors, cache.entries(), last_sync, now));
                debug!(
                    reason = found.reason.map(Reason::code),
                    entries = found.entries,
                    sync_age_seconds = found.sync_age.map(|age| age.as_secs()),
                    nearest = found.nearest_text(&self.inner.logged),
                    "Why no identity was issued"
                );
            }
        }
        let entries = directory.read(|cache| cache.entry_count());
        let age = last_sync.map(|at| now.duration_since(at).unwrap_or_default());
        refusal::no_identity(Reason::of_refusal(last_sync, entries, identities), age)
    }
}
