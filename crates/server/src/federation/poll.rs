//! The tasks: one that follows the relationships, and one for each of them that polls its endpoint.

use super::config::Endpoint;
use super::update::Change;
use super::{Federation, RELOAD_EVERY};
use finial_identity::TrustDomain;
use finial_identity::federation::{REFRESH_HINT_MIN, refresh_interval};
use finial_runtime::logging::chain;
use finial_runtime::tasks::Shutdown;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, error, info};

/// The name under which SPIRE logs this.
const SUBSYSTEM: &str = "bundle_client";

/// Who is polled, and by what.
#[derive(Default)]
struct Pollers {
    tasks: JoinSet<()>,
    running: HashMap<TrustDomain, Poller>,
}

struct Poller {
    endpoint: Endpoint,
    task: AbortHandle,
}

impl Federation {
    /// Follows the relationships until the process stops.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut pollers = Pollers::default();
        while !shutdown.is_stopping() {
            match self.endpoints().await {
                Ok(endpoints) => self.follow(&mut pollers, endpoints),
                Err(error) => {
                    error!(error = %chain(&error), subsystem_name = SUBSYSTEM, "Failed to reload configs");
                }
            }
            tokio::select! {
                () = shutdown.stopping() => break,
                () = self.bell.heard() => {}
                () = self.clock.sleep(RELOAD_EVERY) => {}
            }
        }
        info!(subsystem_name = SUBSYSTEM, "Shutting down");
        pollers.tasks.shutdown().await;
        Ok(())
    }

    /// Stops the pollers of relationships that are gone or different, and starts those that are missing.
    fn follow(self: &Arc<Self>, pollers: &mut Pollers, endpoints: BTreeMap<TrustDomain, Endpoint>) {
        while pollers.tasks.try_join_next().is_some() {}
        pollers.running.retain(|trust_domain, poller| {
            let is_wanted = endpoints.contains_key(trust_domain);
            if !is_wanted {
                poller.task.abort();
                info!(entry = %trust_domain, subsystem_name = SUBSYSTEM, "Trust domain no longer managed");
            }
            is_wanted
        });
        for (trust_domain, endpoint) in endpoints {
            match pollers.running.get(&trust_domain) {
                None => log_begin(&trust_domain, &endpoint),
                Some(poller) if poller.endpoint != endpoint => {
                    poller.task.abort();
                    log_change(&trust_domain, &endpoint);
                }
                Some(poller) if !poller.task.is_finished() => continue,
                // It panicked.
                Some(_) => {}
            }
            let poll = Arc::clone(self).poll(trust_domain.clone(), endpoint.clone());
            let task = pollers.tasks.spawn(poll);
            pollers.running.insert(trust_domain, Poller { endpoint, task });
        }
    }

    /// Polls one endpoint for ever.
    async fn poll(self: Arc<Self>, trust_domain: TrustDomain, endpoint: Endpoint) {
        loop {
            let wait = self.poll_once(&trust_domain, &endpoint).await;
            let at = jiff::Timestamp::try_from(self.clock.now() + wait).unwrap_or(jiff::Timestamp::MAX);
            let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            debug!(at, subsystem_name = SUBSYSTEM, %trust_domain, "Scheduling next bundle refresh");
            self.clock.sleep(wait).await;
        }
    }

    /// Looks at the endpoint once; gives the time until the next look.
    pub(super) async fn poll_once(&self, trust_domain: &TrustDomain, endpoint: &Endpoint) -> Duration {
        debug!(subsystem_name = SUBSYSTEM, %trust_domain, "Polling for bundle update");
        let updated = self.update_bundle(trust_domain, endpoint).await;
        match updated.outcome {
            Ok(Change::Replaced) => {
                info!(subsystem_name = SUBSYSTEM, %trust_domain, "Bundle refreshed");
            }
            Ok(Change::Same) => {}
            Err(error) => {
                error!(error = %chain(&error), subsystem_name = SUBSYSTEM, %trust_domain, "Error updating bundle");
            }
        }
        updated.known.map_or(REFRESH_HINT_MIN, |bundle| refresh_interval(&bundle))
    }
}

fn log_begin(trust_domain: &TrustDomain, endpoint: &Endpoint) {
    info!(
        bundle_endpoint_profile = endpoint.profile.name(),
        bundle_endpoint_url = endpoint.url,
        subsystem_name = SUBSYSTEM,
        %trust_domain,
        "Trust domain is now managed"
    );
}

fn log_change(trust_domain: &TrustDomain, endpoint: &Endpoint) {
    info!(
        bundle_endpoint_profile = endpoint.profile.name(),
        bundle_endpoint_url = endpoint.url,
        entry = %trust_domain,
        subsystem_name = SUBSYSTEM,
        "Updated configuration for managed trust domain"
    );
}
