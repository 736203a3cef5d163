//! Bundles of other trust domains.
//!
//! Every agent asks for every bundle that its entries federate with, every few seconds; so bundles are kept
//! in memory and the store is asked at most once a second for each.

use finial_identity::{Bundle, EntryId, TrustDomain};
use finial_plugin::datastore::{BundleChange, BundleDeletion, BundleStore, DataStore, Row, StoreResult};
use finial_runtime::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// For so long a bundle is served without asking the store: as long as SPIRE does.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Bundles asked for in one page.
const PAGE: u32 = 500;

/// The stored bundles, with a memory.
pub struct ForeignBundles {
    trust_domain: TrustDomain,
    store: Arc<dyn BundleStore>,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    bundles: HashMap<TrustDomain, Kept>,
    /// Grows with every write, so that an answer that was under way meanwhile is not kept.
    writes: u64,
}

struct Kept {
    bundle: Arc<Bundle>,
    checked_at: SystemTime,
}

impl ForeignBundles {
    /// Reads all bundles.
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
        let foreign = Arc::new(Self { trust_domain, store, clock, memory: Mutex::default() });
        foreign.refresh().await?;
        Ok(foreign)
    }

    /// Reads all bundles again: what [`Self::cached`] knows of the writes of other servers.
    pub async fn refresh(&self) -> StoreResult<()> {
        let (writes, checked_at) = (self.memory().writes, self.clock.now());
        let mut bundles = HashMap::new();
        let mut after = i64::MIN;
        loop {
            let rows = self.store.bundle_page(after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = last.row_id;
            for row in rows.into_iter().filter(|row| row.value.trust_domain != self.trust_domain) {
                let bundle = Arc::new(row.value);
                bundles.insert(bundle.trust_domain.clone(), Kept { bundle, checked_at });
            }
        }
        let mut memory = self.memory();
        if memory.writes == writes {
            memory.bundles = bundles;
        }
        Ok(())
    }

    /// The bundle as it was last seen, without asking the store: for TLS handshakes, which cannot wait.
    pub fn cached(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        self.memory().bundles.get(trust_domain).map(|kept| Arc::clone(&kept.bundle))
    }

    /// One bundle, at most a second old.
    pub async fn get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Arc<Bundle>>> {
        let now = self.clock.now();
        let writes = {
            let memory = self.memory();
            let kept = memory.bundles.get(trust_domain);
            let is_fresh =
                |kept: &&Kept| now.duration_since(kept.checked_at).is_ok_and(|age| age < FRESH_FOR);
            if let Some(kept) = kept.filter(is_fresh) {
                return Ok(Some(Arc::clone(&kept.bundle)));
            }
            memory.writes
        };
        let found = self.store.bundle_get(trust_domain).await?.map(Arc::new);
        let mut memory = self.memory();
        if memory.writes == writes {
            memory.keep(trust_domain, found.clone(), now);
        }
        Ok(found)
    }

    /// All stored bundles, our own among them, after a row, in row order, at most `limit`.
    pub async fn page(&self, after_row: i64, limit: usize) -> StoreResult<Vec<Row<Bundle>>> {
        let mut rows = Vec::new();
        let mut after = after_row;
        while rows.len() < limit {
            let wanted = u32::try_from(limit - rows.len()).unwrap_or(PAGE).min(PAGE);
            let more = self.store.bundle_page(after, wanted).await?;
            let Some(last) = more.last() else { break };
            after = last.row_id;
            rows.extend(more);
        }
        Ok(rows)
    }

    /// How many bundles are stored, our own among them.
    pub async fn count(&self) -> StoreResult<u64> {
        self.store.bundle_count().await
    }

    /// Changes one bundle and returns it as it is then.
    pub async fn change(&self, trust_domain: &TrustDomain, change: BundleChange) -> StoreResult<Bundle> {
        let now = self.clock.now();
        let changed = self.store.bundle_change(trust_domain, change, now).await?;
        self.wrote(trust_domain, Some(Arc::new(changed.clone())), now);
        Ok(changed)
    }

    /// Removes one bundle; returns the entries that were deleted or changed by it.
    pub async fn delete(
        &self,
        trust_domain: &TrustDomain,
        mode: BundleDeletion,
    ) -> StoreResult<Vec<EntryId>> {
        let now = self.clock.now();
        let deleted = self.store.bundle_delete(trust_domain, mode, now).await?;
        self.wrote(trust_domain, None, now);
        Ok(deleted)
    }

    /// Takes note of a bundle that was stored together with something else.
    pub fn remember(&self, bundle: &Bundle) {
        self.wrote(&bundle.trust_domain, Some(Arc::new(bundle.clone())), self.clock.now());
    }

    fn wrote(&self, trust_domain: &TrustDomain, bundle: Option<Arc<Bundle>>, now: SystemTime) {
        let mut memory = self.memory();
        memory.writes += 1;
        memory.keep(trust_domain, bundle, now);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// What is not there is not kept: names that somebody makes up must not fill the memory.
    fn keep(&mut self, trust_domain: &TrustDomain, bundle: Option<Arc<Bundle>>, checked_at: SystemTime) {
        match bundle {
            Some(bundle) => drop(self.bundles.insert(trust_domain.clone(), Kept { bundle, checked_at })),
            None => drop(self.bundles.remove(trust_domain)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::testing::MemoryStore;
    use finial_runtime::clock::TestClock;

    fn bundle(name: &str, refresh_hint: i64) -> Bundle {
        Bundle { refresh_hint, ..Bundle::new(TrustDomain::parse(name).unwrap()) }
    }

    async fn foreign(store: &Arc<MemoryStore>, clock: &TestClock) -> Arc<ForeignBundles> {
        let own = TrustDomain::parse("example.org").unwrap();
        ForeignBundles::over(own, store.clone(), Arc::new(clock.clone())).await.unwrap()
    }

    #[tokio::test]
    async fn writes_through_and_asks_again_after_a_second() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(1_800_000_000));
        let (ours, theirs) = (foreign(&store, &clock).await, foreign(&store, &clock).await);
        let other = bundle("other.test", 1);
        let name = other.trust_domain.clone();

        assert_eq!(ours.get(&name).await.unwrap(), None);
        ours.change(&name, BundleChange::Create(other.clone())).await.unwrap();
        assert_eq!(ours.cached(&name).as_deref(), Some(&other));
        assert_eq!(theirs.cached(&name), None);
        assert_eq!(theirs.get(&name).await.unwrap().as_deref(), Some(&other));

        ours.change(&name, BundleChange::Set(bundle("other.test", 2))).await.unwrap();
        assert_eq!(ours.get(&name).await.unwrap().unwrap().refresh_hint, 2);
        assert_eq!(theirs.get(&name).await.unwrap().unwrap().refresh_hint, 1);
        clock.advance(FRESH_FOR);
        assert_eq!(theirs.get(&name).await.unwrap().unwrap().refresh_hint, 2);

        ours.delete(&name, BundleDeletion::Restrict).await.unwrap();
        assert_eq!(ours.get(&name).await.unwrap(), None);
        theirs.refresh().await.unwrap();
        assert_eq!(theirs.cached(&name), None);
    }

    #[tokio::test]
    async fn lists_in_row_order_with_our_own() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(1_800_000_000));
        let ours = foreign(&store, &clock).await;
        for name in ["c.test", "example.org", "a.test"] {
            let bundle = bundle(name, 0);
            ours.change(&bundle.trust_domain.clone(), BundleChange::Create(bundle)).await.unwrap();
        }
        let names = |rows: &[Row<Bundle>]| -> Vec<String> {
            rows.iter().map(|row| row.value.trust_domain.to_string()).collect()
        };
        let all = ours.page(i64::MIN, usize::MAX).await.unwrap();
        assert_eq!(names(&all), ["c.test", "example.org", "a.test"]);
        assert_eq!(names(&ours.page(all[0].row_id, 1).await.unwrap()), ["example.org"]);
        assert_eq!(ours.count().await.unwrap(), 3);
    }
}
