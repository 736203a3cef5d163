//! Federation: the bundles of other trust domains, fetched from their bundle endpoints.
//!
//! For the API, which changes relationships and has bundles refreshed, and for the assembly, which runs
//! [`Federation::run`]. Relationships come from the configuration and from the store; each is polled by a task
//! of its own, so that one endpoint that is slow or down delays no other.

mod config;
mod fetch;
mod poll;
mod update;

pub use config::{BundleEndpointConfig, Endpoint, FederationConfig, ServedAs, ServingCertificateFiles};
pub use fetch::{FetchError, FetchLimits};
pub use update::UpdateError;

use crate::bundle::ForeignBundles;
use fetch::Fetcher;
use finial_identity::{FederationRelationship, TrustDomain};
use finial_plugin::datastore::{FederationStore, RelationshipParts, Row, StoreResult};
use finial_runtime::clock::Clock;
use finial_runtime::reconcile::Bell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the relationships are read again: what other servers on the same store changed. Our own changes
/// ring the bell.
const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// Relationships asked for in one page.
const PAGE: u32 = 500;

/// Whether somebody's bundle is fetched at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// It was fetched just now.
    Done,
    /// There is no relationship.
    NoRelationship,
}

/// The relationships and what is done for them.
pub struct Federation {
    /// Those of the configuration, which override those of the store.
    configured: BTreeMap<TrustDomain, Endpoint>,
    store: Arc<dyn FederationStore>,
    bundles: Arc<ForeignBundles>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    bell: Bell,
    /// Who is fetching for whom: one at a time, so that an older answer never comes after a newer one.
    turns: Mutex<HashMap<TrustDomain, Arc<tokio::sync::Mutex<()>>>>,
}

impl Federation {
    /// Nothing runs yet.
    pub fn new(
        configured: BTreeMap<TrustDomain, Endpoint>,
        store: Arc<dyn FederationStore>,
        bundles: Arc<ForeignBundles>,
        limits: FetchLimits,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let fetcher = Fetcher::new(limits, Arc::clone(&clock));
        let (bell, turns) = (Bell::new(), Mutex::default());
        Arc::new(Self { configured, store, bundles, fetcher, clock, bell, turns })
    }

    /// Writes a relationship of the store, and has it followed at once.
    pub async fn create(
        &self,
        relationship: FederationRelationship,
    ) -> StoreResult<Row<FederationRelationship>> {
        let created = self.store.relationship_create(relationship, self.clock.now()).await?;
        Ok(self.changed(created))
    }

    /// Replaces parts of a relationship of the store, and has it followed at once.
    pub async fn update(
        &self,
        relationship: FederationRelationship,
        parts: RelationshipParts,
    ) -> StoreResult<Row<FederationRelationship>> {
        let updated = self.store.relationship_update(relationship, parts, self.clock.now()).await?;
        Ok(self.changed(updated))
    }

    /// Removes a relationship of the store, and has it followed no longer. The bundle stays.
    pub async fn delete(&self, trust_domain: &TrustDomain) -> StoreResult<()> {
        self.store.relationship_delete(trust_domain).await?;
        self.bell.ring();
        Ok(())
    }

    /// A change may have brought a bundle, past what [`ForeignBundles`] remembers.
    fn changed(&self, row: Row<FederationRelationship>) -> Row<FederationRelationship> {
        if let Some(bundle) = &row.value.bundle {
            self.bundles.remember(bundle);
        }
        self.bell.ring();
        row
    }

    /// One relationship of the store.
    pub async fn get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Row<FederationRelationship>>> {
        self.store.relationship_get(trust_domain).await
    }

    /// Relationships of the store after a row, in row order, at most `limit`.
    pub async fn page(&self, after_row: i64, limit: usize) -> StoreResult<Vec<Row<FederationRelationship>>> {
        let mut rows = Vec::new();
        let mut after = after_row;
        while rows.len() < limit {
            let wanted = u32::try_from(limit - rows.len()).unwrap_or(PAGE).min(PAGE);
            let more = self.store.relationship_page(after, wanted).await?;
            let Some(last) = more.last() else { break };
            after = last.row_id;
            rows.extend(more);
        }
        Ok(rows)
    }

    /// Fetches the bundle of a trust domain now, and waits for it.
    pub async fn refresh(&self, trust_domain: &TrustDomain) -> Result<Refreshed, UpdateError> {
        let endpoints = self.endpoints().await.map_err(UpdateError::Relationships)?;
        let Some(endpoint) = endpoints.get(trust_domain) else { return Ok(Refreshed::NoRelationship) };
        self.update_bundle(trust_domain, endpoint).await.outcome?;
        Ok(Refreshed::Done)
    }

    /// Where the bundle of each trust domain is.
    async fn endpoints(&self) -> StoreResult<BTreeMap<TrustDomain, Endpoint>> {
        let rows = self.page(i64::MIN, usize::MAX).await?;
        let stored = rows.into_iter().map(|row| {
            let FederationRelationship { trust_domain, bundle_endpoint_url: url, profile, .. } = row.value;
            (trust_domain, Endpoint { url, profile })
        });
        let mut endpoints: BTreeMap<_, _> = stored.collect();
        endpoints.extend(self.configured.iter().map(|(name, endpoint)| (name.clone(), endpoint.clone())));
        Ok(endpoints)
    }

    fn turn(&self, trust_domain: &TrustDomain) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for need not be kept.
        turns.retain(|name, turn| name == trust_domain || Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(trust_domain.clone()).or_default())
    }
}

#[cfg(test)]
mod tests;
