//! The one writer of the cache: what the server grants, what it signs.
//!
//! A sync asks for entries and bundles; then everything that the cache's plan names is signed. It happens
//! periodically, when the demand bell rings, and when an SVID falls due. A fault changes nothing that is
//! still valid: it is logged, counted and tried again.

mod flights;
mod jwt;
mod pacing;
mod sign;
mod tell;

pub use jwt::{JwtCache, JwtCacheOptions};
pub use pacing::Pacing;
pub use sign::SignOptions;

use crate::cache::BundleSet;
use crate::directory::Directory;
use crate::own_identity::Verdicts;
use crate::upstream::{HeldVersions, Upstream};
use finial_identity::{Bundle, Failure, TrustDomain};
use finial_runtime::clock::Clock;
use finial_runtime::tasks::Shutdown;
use futures_util::stream::{self, StreamExt};
use pacing::DemandPacing;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::error;

/// Bundles of other trust domains asked for at a time.
const BUNDLES_AT_A_TIME: usize = 10;

/// Keeps the cache in step with the server.
pub struct Sync {
    upstream: Arc<dyn Upstream>,
    directory: Directory,
    verdicts: Verdicts,
    pacing: Pacing,
    demands: DemandPacing,
    sign: SignOptions,
    clock: Arc<dyn Clock>,
}

impl Sync {
    /// A writer for the cache behind `directory`; refusals that concern the agent itself go to `verdicts`.
    pub fn new(
        upstream: Arc<dyn Upstream>,
        directory: Directory,
        verdicts: Verdicts,
        interval: Duration,
        sign: SignOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (pacing, demands) = (Pacing::new(interval), DemandPacing::default());
        Self { upstream, directory, verdicts, pacing, demands, sign, clock }
    }

    /// Works until the process stops.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            let begun = self.clock.now();
            let number = self.directory.sync_begins();
            let outcome = self.synchronize().await;
            let success = outcome.is_ok().then(|| self.clock.now());
            self.directory.sync_ends(number, success);
            match outcome {
                Ok(()) => self.pacing.succeeded(),
                Err(failure) => {
                    self.pacing.failed();
                    self.report("Synchronize failed", &failure);
                }
            }
            let next_sync = begun + self.pacing.wait(self.directory.x509_count());
            if !self.sign_until(begun, next_sync, &shutdown).await {
                return;
            }
        }
    }

    /// Signs what is due until the next sync is; `false` when the process stops.
    async fn sign_until(&mut self, begun: SystemTime, next_sync: SystemTime, shutdown: &Shutdown) -> bool {
        let mut pace = pacing::SignPacing::default();
        let mut next_sync = next_sync;
        let mut is_demanded = false;
        loop {
            let again = match self.sign_planned().await {
                Ok(()) => {
                    pace.succeeded();
                    self.directory.read(|cache| cache.next_due())
                }
                Err(failure) => {
                    self.report("SVID sync failed", &failure);
                    Some(self.clock.now() + pace.failed())
                }
            };
            let wake = again.map_or(next_sync, |again| again.min(next_sync));
            // A clock that was set back must not make the next sync wait until it is that late again.
            let wake = wake.min(self.clock.now() + next_sync.duration_since(begun).unwrap_or_default());
            tokio::select! {
                () = shutdown.stopping() => return false,
                // One sync answers all who have rung before it begins.
                () = self.directory.sync_bell().heard() => if !is_demanded {
                    is_demanded = true;
                    next_sync = next_sync.min(self.demands.admit(self.clock.now()));
                },
                () = self.directory.sign_bell().heard() => {}
                () = self.clock.sleep_until(wake) => {}
            }
            let now = self.clock.now();
            if now >= next_sync || now < begun {
                return true;
            }
        }
    }

    /// One look at the server: entries first, then the bundles that they need.
    async fn synchronize(&self) -> Result<(), Failure> {
        let held: HeldVersions = self.directory.read(|cache| {
            let versions = cache.entries().map(|e| (e.id.clone(), (e.revision, e.created_at)));
            versions.collect()
        });
        let synced = self.upstream.sync_entries(&held).await?;
        let own = self.upstream.own_bundle().await?;
        let wanted: BTreeSet<TrustDomain> = self.directory.read(|cache| {
            let kept = cache.entries().filter(|entry| synced.kept.contains(&entry.id));
            let kept = kept.flat_map(|entry| entry.federates_with.iter());
            let changed = synced.changed.iter().flat_map(|entry| entry.federates_with.iter());
            kept.chain(changed).filter(|td| **td != own.trust_domain).cloned().collect()
        });
        let bundles = self.fetch_bundles(own, wanted).await;
        self.directory.change(|cache| {
            let next = cache.bundles().replaced_by(bundles);
            tell::bundles(cache, &next);
            tell::entries(cache, &synced);
            let mut touched = cache.set_bundles(next);
            touched.extend(cache.set_entries(&synced.kept, synced.changed));
            touched
        });
        Ok(())
    }

    /// A foreign bundle that cannot be fetched keeps its last state: it must not hold up everything else.
    async fn fetch_bundles(&self, own: Bundle, wanted: BTreeSet<TrustDomain>) -> Vec<Bundle> {
        let held: Arc<BundleSet> = self.directory.bundles();
        let held = &held;
        let fetched = stream::iter(wanted).map(|trust_domain| async move {
            match self.upstream.foreign_bundle(&trust_domain).await {
                Ok(bundle) => bundle,
                Err(failure) => {
                    // The last known one stays in use.
                    error!(federated_bundle = %trust_domain, error = %failure, "Failed to fetch federated bundle");
                    held.get(&trust_domain).map(|bundle| Bundle::clone(bundle))
                }
            }
        });
        let fetched: Vec<Option<Bundle>> = fetched.buffer_unordered(BUNDLES_AT_A_TIME).collect().await;
        fetched.into_iter().flatten().chain([own]).collect()
    }

    fn report(&self, what: &str, failure: &Failure) {
        error!(error = %failure, "{what}");
        if let Some(reason) = failure.reason {
            self.verdicts.pronounce(reason);
        }
    }
}

#[cfg(test)]
mod tests;
