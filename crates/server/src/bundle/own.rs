//! The bundle of our own trust domain: one writer, readers that never wait.
//!
//! The store comes first and the watch after it, so nobody sees an authority that would be gone after a
//! crash. Several servers may share a store: [`OwnBundle::refresh`] brings in what the others changed.

use super::BundleReaders;
use finial_identity::{Bundle, SpiffeId, TrustDomain, UnixTime};
use finial_plugin::datastore::{BundleChange, BundleStore, DataStore, StoreError, StoreResult};
use finial_runtime::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tracing::debug;

/// How often ended authorities are looked for.
pub const PRUNE_EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// How often the store is asked what other servers changed. Our own changes are seen at once.
pub const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// For so long after its end an authority stays in the bundle, in seconds.
const KEPT_AFTER_END: i64 = 24 * 60 * 60;

/// The current bundle of our trust domain.
pub struct OwnBundle {
    trust_domain: TrustDomain,
    store: Arc<dyn BundleStore>,
    clock: Arc<dyn Clock>,
    current: watch::Sender<Arc<Bundle>>,
    readers: BundleReaders,
    /// Held from asking the store until its answer is published, so that answers are published in the
    /// order in which the store gave them.
    in_order: Mutex<()>,
}

impl OwnBundle {
    /// Reads the bundle; one that is not stored yet is empty, and stored with its first authority.
    pub async fn load(
        trust_domain: TrustDomain,
        store: Arc<dyn DataStore>,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<Arc<Self>> {
        Self::over(trust_domain, store, clock).await
    }

    pub(crate) async fn over(
        trust_domain: TrustDomain,
        store: Arc<dyn BundleStore>,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<Arc<Self>> {
        let stored = store.bundle_get(&trust_domain).await?;
        let bundle = stored.unwrap_or_else(|| Bundle::new(trust_domain.clone()));
        let current = watch::Sender::new(Arc::new(bundle));
        let (readers, in_order) = (BundleReaders::default(), Mutex::new(()));
        Ok(Arc::new(Self { trust_domain, store, clock, current, readers, in_order }))
    }

    /// The bundle as it is now.
    pub fn current(&self) -> Arc<Bundle> {
        Arc::clone(&self.current.borrow())
    }

    /// The bundle as it is now, for somebody who verifies with it or hands it to those who do.
    pub fn give_to(&self, reader: &SpiffeId) -> Arc<Bundle> {
        let bundle = self.current();
        self.readers.note(reader, &bundle, self.clock.now().into());
        bundle
    }

    /// Who was given what.
    pub fn readers(&self) -> &BundleReaders {
        &self.readers
    }

    /// The bundle now and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Bundle>> {
        self.current.subscribe()
    }

    /// Changes the bundle; when this returns, the change is stored and published.
    pub async fn apply(&self, change: BundleChange) -> StoreResult<Arc<Bundle>> {
        let _turn = self.in_order.lock().await;
        let changed = self.store.bundle_change(&self.trust_domain, change, self.clock.now()).await?;
        Ok(self.publish(changed))
    }

    /// Takes over what other servers changed in the store.
    pub async fn refresh(&self) -> StoreResult<Arc<Bundle>> {
        let _turn = self.in_order.lock().await;
        let stored = self.store.bundle_get(&self.trust_domain).await?;
        Ok(self.publish(stored.unwrap_or_else(|| Bundle::new(self.trust_domain.clone()))))
    }

    /// Removes authorities that ended more than a day ago, but never the last one of a kind.
    pub async fn prune(&self) -> StoreResult<()> {
        let expired_before = UnixTime::from(self.clock.now()).plus_seconds(-KEPT_AFTER_END);
        let before = self.current().sequence_number;
        match self.apply(BundleChange::Prune { expired_before }).await {
            Ok(bundle) if bundle.sequence_number == before => Ok(()),
            Ok(_) => {
                debug!("Expired certificates were successfully pruned from bundle");
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => {
                Err(StoreError::new(error.code, format!("unable to prune bundle: {}", error.message)))
            }
        }
    }

    fn publish(&self, bundle: Bundle) -> Arc<Bundle> {
        self.current.send_if_modified(|current| {
            let is_new = **current != bundle;
            if is_new {
                *current = Arc::new(bundle);
            }
            is_new
        });
        self.current()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::testing::{MemoryStore, root};
    use finial_identity::X509Authority;
    use finial_runtime::clock::TestClock;

    const NOW: u64 = 1_800_000_000;
    const DAY: i64 = 24 * 60 * 60;

    async fn own(store: &Arc<MemoryStore>, clock: &TestClock) -> Arc<OwnBundle> {
        let trust_domain = TrustDomain::parse("example.org").unwrap();
        OwnBundle::over(trust_domain, store.clone(), Arc::new(clock.clone())).await.unwrap()
    }

    fn append(ends_in: i64) -> BundleChange {
        let not_after = UnixTime::from_seconds(NOW as i64 + ends_in);
        BundleChange::Append { x509: vec![X509Authority::new(root(not_after))], jwt: Vec::new() }
    }

    #[tokio::test]
    async fn publishes_what_is_stored_and_only_that() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(NOW));
        let bundle = own(&store, &clock).await;
        let mut seen = bundle.subscribe();
        assert!(bundle.current().x509_authorities.is_empty());

        bundle.apply(append(DAY)).await.unwrap();
        assert!(seen.has_changed().unwrap());
        assert_eq!(seen.borrow_and_update().x509_authorities.len(), 1);

        store.fail_after(0);
        bundle.apply(append(DAY)).await.unwrap_err();
        assert!(!seen.has_changed().unwrap());
        assert_eq!(bundle.current().x509_authorities.len(), 1);
    }

    #[tokio::test]
    async fn sees_what_another_server_did() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(NOW));
        let (ours, theirs) = (own(&store, &clock).await, own(&store, &clock).await);
        theirs.apply(append(DAY)).await.unwrap();
        assert!(ours.current().x509_authorities.is_empty());
        assert_eq!(*ours.refresh().await.unwrap(), *theirs.current());

        let seen = ours.subscribe();
        ours.refresh().await.unwrap();
        assert!(!seen.has_changed().unwrap(), "nothing new, nobody woken");
    }

    #[tokio::test]
    async fn prunes_a_day_after_the_end_and_never_the_last() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(NOW));
        let bundle = own(&store, &clock).await;
        bundle.prune().await.unwrap();
        bundle.apply(append(DAY)).await.unwrap();
        bundle.apply(append(3 * DAY)).await.unwrap();

        clock.advance(Duration::from_secs(2 * DAY as u64 - 1));
        bundle.prune().await.unwrap();
        assert_eq!(bundle.current().x509_authorities.len(), 2);
        clock.advance(Duration::from_secs(1));
        let before = bundle.current().sequence_number;
        bundle.prune().await.unwrap();
        assert_eq!(bundle.current().x509_authorities.len(), 1);
        assert_eq!(bundle.current().sequence_number, before + 1);

        clock.advance(Duration::from_secs(9 * DAY as u64));
        let refused = bundle.prune().await.unwrap_err();
        assert!(refused.message.contains("would prune all certificates"), "{refused}");
        assert_eq!(bundle.current().x509_authorities.len(), 1);
    }
}
