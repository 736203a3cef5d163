//! The one writer of the registry: store first, then the index.

use super::filter::{EntryFilter, NodeFilter};
use super::index::{AuthorizedEntries, Index, IndexedEntry, IndexedNode};
use finial_identity::{AttestedNode, EntryDraft, EntryId, EntrySpec, SpiffeId, TrustDomain, UnixTime};
use finial_plugin::datastore::{Admission, DataStore, NodeChange, PruneScope, StoreResult};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

/// Rows read at a time when the index is loaded.
const LOAD_PAGE: u32 = 2_000;

/// What became of a draft.
#[derive(Debug)]
pub enum Admitted {
    /// A new entry.
    Created(IndexedEntry),
    /// The entry that it would have doubled.
    Similar(IndexedEntry),
}

/// Entries and agents: reads from memory, writes through to the store.
pub struct Registry {
    store: Arc<dyn DataStore>,
    index: RwLock<Index>,
    /// What each agent may have, kept until the index moves on.
    authorized: Mutex<HashMap<SpiffeId, Answer>>,
    /// Keeps the order of index changes equal to the order of store changes.
    writer: tokio::sync::Mutex<()>,
}

/// What an agent may have, computed once.
struct Answer {
    /// The index of then.
    revision: u64,
    /// When.
    since: UnixTime,
    entries: Arc<AuthorizedEntries>,
}

/// For how many seconds a computed authorization may be reused although an agent's SVID might expire.
const AUTHORIZED_FOR_SECONDS: i64 = 5;

impl Registry {
    /// Loads everything from the store.
    pub async fn load(store: Arc<dyn DataStore>, trust_domain: &TrustDomain) -> StoreResult<Self> {
        let mut index = Index::new(trust_domain);
        let mut after = i64::MIN;
        loop {
            let page = store.entry_page(after, LOAD_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row_id;
            page.into_iter().for_each(|row| index.put_entry(row));
        }
        after = i64::MIN;
        loop {
            let page = store.node_page(after, LOAD_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row_id;
            page.into_iter().for_each(|row| index.put_node(row));
        }
        Ok(Self {
            store,
            index: RwLock::new(index),
            authorized: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits drafts, each with its own verdict.
    pub async fn create_entries(
        &self,
        drafts: Vec<EntryDraft>,
        now: SystemTime,
    ) -> StoreResult<Vec<StoreResult<Admitted>>> {
        let _order = self.writer.lock().await;
        let verdicts = self.store.entry_create_batch(drafts, now).await?;
        let mut index = self.write();
        let admit = |verdict: StoreResult<Admission>| {
            Ok(match verdict? {
                Admission::Created(row) => {
                    index.put_entry(row.clone());
                    Admitted::Created(Arc::new(row))
                }
                Admission::Similar(row) => Admitted::Similar(Arc::new(row)),
            })
        };
        Ok(verdicts.into_iter().map(admit).collect())
    }

    /// Replaces an entry's content.
    pub async fn update_entry(
        &self,
        id: &EntryId,
        spec: EntrySpec,
        now: SystemTime,
    ) -> StoreResult<IndexedEntry> {
        let _order = self.writer.lock().await;
        let row = self.store.entry_update(id, spec, now).await?;
        self.write().put_entry(row.clone());
        Ok(Arc::new(row))
    }

    /// Removes an entry.
    pub async fn delete_entry(&self, id: &EntryId, now: SystemTime) -> StoreResult<()> {
        let _order = self.writer.lock().await;
        self.store.entry_delete(id, now).await?;
        self.write().remove_entry(id);
        Ok(())
    }

    /// Removes entries whose end has come; returns how many went.
    pub async fn prune_entries(&self, now: SystemTime, limit: u32) -> StoreResult<usize> {
        let _order = self.writer.lock().await;
        let gone = self.store.entry_prune(now, limit).await?;
        let mut index = self.write();
        for entry in &gone {
            index.remove_entry(&entry.id);
        }
        Ok(gone.len())
    }

    /// Reads entries again that the store changed on its own account (a bundle was deleted).
    pub async fn refresh_entries(&self, ids: &[EntryId]) -> StoreResult<()> {
        let _order = self.writer.lock().await;
        for id in ids {
            let row = self.store.entry_get(id).await?;
            let mut index = self.write();
            match row {
                Some(row) => index.put_entry(row),
                None => drop(index.remove_entry(id)),
            }
        }
        Ok(())
    }

    /// Records an attestation.
    pub async fn node_attested(&self, node: AttestedNode, now: SystemTime) -> StoreResult<()> {
        let _order = self.writer.lock().await;
        let row = self.store.node_attested(node, now).await?;
        self.write().put_node(row);
        Ok(())
    }

    /// Changes an agent.
    pub async fn change_node(&self, id: &SpiffeId, change: NodeChange, now: SystemTime) -> StoreResult<()> {
        let _order = self.writer.lock().await;
        let row = self.store.node_change(id, change, now).await?;
        self.write().put_node(row);
        Ok(())
    }

    /// Removes an agent, and the entries that exist only for its join token.
    pub async fn delete_node(&self, id: &SpiffeId, now: SystemTime) -> StoreResult<()> {
        let _order = self.writer.lock().await;
        let (_, entries) = self.store.node_delete(id, now).await?;
        let mut index = self.write();
        index.remove_node(id);
        for entry in &entries {
            index.remove_entry(entry);
        }
        Ok(())
    }

    /// Removes agents that expired long ago; returns how many went.
    pub async fn prune_nodes(
        &self,
        expired_before: UnixTime,
        scope: PruneScope,
        limit: u32,
        now: SystemTime,
    ) -> StoreResult<usize> {
        let _order = self.writer.lock().await;
        let gone = self.store.node_prune(expired_before, scope, limit, now).await?;
        let mut index = self.write();
        for id in &gone {
            index.remove_node(id);
        }
        Ok(gone.len())
    }

    /// One entry.
    pub fn entry(&self, id: &EntryId) -> Option<IndexedEntry> {
        self.read().entry(id).cloned()
    }

    /// Whether an entry makes an identity an administrator.
    pub fn is_admin(&self, id: &SpiffeId) -> bool {
        self.read().entries_of(id).any(|entry| entry.value.spec.admin)
    }

    /// Whether an entry makes an identity a downstream server.
    pub fn is_downstream(&self, id: &SpiffeId) -> bool {
        self.read().entries_of(id).any(|entry| entry.value.spec.downstream)
    }

    /// One agent.
    pub fn node(&self, id: &SpiffeId) -> Option<IndexedNode> {
        self.read().node(id).cloned()
    }

    /// How many entries are wanted.
    pub fn count_entries(&self, filter: &EntryFilter) -> usize {
        self.read().count_entries(filter)
    }

    /// Wanted entries after a row.
    pub fn page_entries(&self, filter: &EntryFilter, after_row: i64, limit: usize) -> Vec<IndexedEntry> {
        self.read().page_entries(filter, after_row, limit)
    }

    /// How many agents are wanted.
    pub fn count_nodes(&self, filter: &NodeFilter) -> usize {
        self.read().count_nodes(filter)
    }

    /// Wanted agents after a row.
    pub fn page_nodes(&self, filter: &NodeFilter, after_row: i64, limit: usize) -> Vec<IndexedNode> {
        self.read().page_nodes(filter, after_row, limit)
    }

    /// What an agent may have, from memory; computed anew only when the index has moved on.
    pub fn authorized(&self, agent: &SpiffeId, now: UnixTime) -> Arc<AuthorizedEntries> {
        let revision = self.read().revision();
        let mut cache = self.authorized.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = cache.get(agent) {
            let age = now.seconds() - answer.since.seconds();
            if answer.revision == revision && (0..AUTHORIZED_FOR_SECONDS).contains(&age) {
                return Arc::clone(&answer.entries);
            }
        }
        drop(cache);
        let (revision, entries) = {
            let index = self.read();
            (index.revision(), Arc::new(index.authorized(agent, now)))
        };
        cache = self.authorized.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.as_slice().is_empty() {
            cache.remove(agent);
        } else {
            cache.insert(agent.clone(), Answer { revision, since: now, entries: Arc::clone(&entries) });
        }
        entries
    }

    /// Forgets the answers for agents that have not asked for a while.
    pub fn forget_idle_agents(&self, before: UnixTime) {
        let mut cache = self.authorized.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, answer| answer.since >= before);
    }

    /// Checks that the store belongs to this trust domain: the first entry must.
    pub fn foreign_entry(&self, trust_domain: &TrustDomain) -> Option<IndexedEntry> {
        let first = self.page_entries(&EntryFilter::default(), i64::MIN, 1).into_iter().next()?;
        (first.value.spec.spiffe_id.trust_domain() != trust_domain).then_some(first)
    }

    /// Lets a caller that needs more than the registry reach the store.
    pub fn store(&self) -> &Arc<dyn DataStore> {
        &self.store
    }
}
