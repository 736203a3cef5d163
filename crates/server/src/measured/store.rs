//! The data store with a counter around every transaction, under the names that SPIRE gives to its calls.
//!
//! Some transactions of ours are several calls of SPIRE's; each counts once, under the name of what it is for:
//! an attestation as `node.create`, taking a token as `join_token.fetch`.

use async_trait::async_trait;
use finial_identity::{
    AttestedNode, Bundle, EntryDraft, EntryId, EntrySpec, FederationRelationship, RegistrationEntry,
    SpiffeId, TrustDomain, UnixTime,
};
use finial_plugin::datastore::{
    Admission, BundleChange, BundleDeletion, BundleStore, ChangeEvent, ChangeNotifications, DataStore,
    EntryStore, FederationStore, JoinToken, JournalStore, NodeChange, NodeStore, PruneScope,
    RelationshipParts, Row, StoreResult, StoredJournal, TokenStore,
};
use finial_runtime::metrics::{Call, Metrics, Running};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// A data store whose calls are counted.
pub struct MeasuredStore<S: ?Sized> {
    store: Arc<S>,
    calls: Calls,
}

impl MeasuredStore<dyn DataStore> {
    /// The store itself if nobody counts.
    pub fn around(store: Arc<dyn DataStore>, metrics: &Metrics) -> Arc<dyn DataStore> {
        if metrics.is_on() { Arc::new(Self { store, calls: Calls::new(metrics) }) } else { store }
    }
}

fn code_of<T>(outcome: &StoreResult<T>) -> i32 {
    outcome.as_ref().err().map_or(0, |error| error.code.number())
}

fn told<T>(running: Running, outcome: StoreResult<T>) -> StoreResult<T> {
    running.done(code_of(&outcome));
    outcome
}

struct Calls {
    entry_create: Call,
    entry_fetch: Call,
    entry_list: Call,
    entry_update: Call,
    entry_delete: Call,
    entry_prune: Call,
    entry_event_list: Call,
    entry_event_fetch: Call,
    node_create: Call,
    node_fetch: Call,
    node_list: Call,
    node_update: Call,
    node_delete: Call,
    node_prune: Call,
    node_event_list: Call,
    node_event_fetch: Call,
    node_event_prune: Call,
    bundle_fetch: Call,
    bundle_list: Call,
    bundle_count: Call,
    bundle_delete: Call,
    relationship_create: Call,
    relationship_fetch: Call,
    relationship_list: Call,
    relationship_update: Call,
    relationship_delete: Call,
    join_token_create: Call,
    join_token_fetch: Call,
    ca_journal_fetch: Call,
    ca_journal_set: Call,
    ca_journal_prune: Call,
    bundle_append: Call,
    bundle_prune: Call,
    bundle_x509_taint: Call,
    bundle_x509_revoke: Call,
    bundle_jwt_taint: Call,
    bundle_jwt_revoke: Call,
    bundle_set: Call,
    bundle_create: Call,
    bundle_update: Call,
}

impl Calls {
    fn new(metrics: &Metrics) -> Self {
        let call = |name: &str| metrics.call(name, &[]);
        Self {
            entry_create: call("datastore.registration_entry.create"),
            entry_fetch: call("datastore.registration_entry.fetch"),
            entry_list: call("datastore.registration_entry.list"),
            entry_update: call("datastore.registration_entry.update"),
            entry_delete: call("datastore.registration_entry.delete"),
            entry_prune: call("datastore.registration_entry.prune"),
            entry_event_list: call("datastore.registration_entry_event.list"),
            entry_event_fetch: call("datastore.registration_entry_event.fetch"),
            node_create: call("datastore.node.create"),
            node_fetch: call("datastore.node.fetch"),
            node_list: call("datastore.node.list"),
            node_update: call("datastore.node.update"),
            node_delete: call("datastore.node.delete"),
            node_prune: call("datastore.node.prune"),
            node_event_list: call("datastore.node_event.list"),
            node_event_fetch: call("datastore.node_event.fetch"),
            node_event_prune: call("datastore.node_event.prune"),
            bundle_fetch: call("datastore.bundle.fetch"),
            bundle_list: call("datastore.bundle.list"),
            bundle_count: call("datastore.bundle.count"),
            bundle_delete: call("datastore.bundle.delete"),
            relationship_create: call("datastore.federation_relationship.create"),
            relationship_fetch: call("datastore.federation_relationship.fetch"),
            relationship_list: call("datastore.federation_relationship.list"),
            relationship_update: call("datastore.federation_relationship.update"),
            relationship_delete: call("datastore.federation_relationship.delete"),
            join_token_create: call("datastore.join_token.create"),
            join_token_fetch: call("datastore.join_token.fetch"),
            ca_journal_fetch: call("datastore.ca_journal.fetch"),
            ca_journal_set: call("datastore.ca_journal.set"),
            ca_journal_prune: call("datastore.ca_journal.prune"),
            bundle_append: call("datastore.bundle.append"),
            bundle_prune: call("datastore.bundle.prune"),
            bundle_x509_taint: call("datastore.bundle.x509.taint"),
            bundle_x509_revoke: call("datastore.bundle.x509.revoke"),
            bundle_jwt_taint: call("datastore.bundle.jwt.taint"),
            bundle_jwt_revoke: call("datastore.bundle.jwt.revoke"),
            bundle_set: call("datastore.bundle.set"),
            bundle_create: call("datastore.bundle.create"),
            bundle_update: call("datastore.bundle.update"),
        }
    }

    fn of_change(&self, change: &BundleChange) -> &Call {
        match change {
            BundleChange::Append { .. } => &self.bundle_append,
            BundleChange::Prune { .. } => &self.bundle_prune,
            BundleChange::TaintX509(_) => &self.bundle_x509_taint,
            BundleChange::RevokeX509(_) => &self.bundle_x509_revoke,
            BundleChange::TaintJwt(_) => &self.bundle_jwt_taint,
            BundleChange::RevokeJwt(_) => &self.bundle_jwt_revoke,
            BundleChange::Set(_) => &self.bundle_set,
            BundleChange::Create(_) => &self.bundle_create,
            BundleChange::Update(..) => &self.bundle_update,
        }
    }
}

impl<S: ChangeNotifications + ?Sized> ChangeNotifications for MeasuredStore<S> {
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.store.changes()
    }
}

#[async_trait]
impl<S: EntryStore + ?Sized> EntryStore for MeasuredStore<S> {
    async fn entry_create_or_get(&self, draft: EntryDraft, now: SystemTime) -> StoreResult<Admission> {
        let running = self.calls.entry_create.start();
        told(running, self.store.entry_create_or_get(draft, now).await)
    }

    /// SPIRE writes drafts one by one, so each counts.
    async fn entry_create_batch(
        &self,
        drafts: Vec<EntryDraft>,
        now: SystemTime,
    ) -> StoreResult<Vec<StoreResult<Admission>>> {
        let running: Vec<Running> = drafts.iter().map(|_| self.calls.entry_create.start()).collect();
        let verdicts = self.store.entry_create_batch(drafts, now).await;
        for (at, running) in running.into_iter().enumerate() {
            running.done(match &verdicts {
                Ok(verdicts) => verdicts.get(at).map_or(0, code_of),
                Err(error) => error.code.number(),
            });
        }
        verdicts
    }

    async fn entry_get(&self, id: &EntryId) -> StoreResult<Option<Row<RegistrationEntry>>> {
        let running = self.calls.entry_fetch.start();
        told(running, self.store.entry_get(id).await)
    }

    async fn entry_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<RegistrationEntry>>> {
        let running = self.calls.entry_list.start();
        told(running, self.store.entry_page(after_row, limit).await)
    }

    async fn entry_update(
        &self,
        id: &EntryId,
        spec: EntrySpec,
        now: SystemTime,
    ) -> StoreResult<Row<RegistrationEntry>> {
        let running = self.calls.entry_update.start();
        told(running, self.store.entry_update(id, spec, now).await)
    }

    async fn entry_delete(&self, id: &EntryId, now: SystemTime) -> StoreResult<RegistrationEntry> {
        let running = self.calls.entry_delete.start();
        told(running, self.store.entry_delete(id, now).await)
    }

    async fn entry_prune(&self, now: SystemTime, limit: u32) -> StoreResult<Vec<RegistrationEntry>> {
        let running = self.calls.entry_prune.start();
        told(running, self.store.entry_prune(now, limit).await)
    }

    async fn entry_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<EntryId>>> {
        let running = self.calls.entry_event_list.start();
        told(running, self.store.entry_events(after, limit).await)
    }

    async fn entry_event_newest(&self) -> StoreResult<i64> {
        let running = self.calls.entry_event_fetch.start();
        told(running, self.store.entry_event_newest().await)
    }
}

#[async_trait]
impl<S: NodeStore + ?Sized> NodeStore for MeasuredStore<S> {
    async fn node_attested(&self, node: AttestedNode, now: SystemTime) -> StoreResult<Row<AttestedNode>> {
        let running = self.calls.node_create.start();
        told(running, self.store.node_attested(node, now).await)
    }

    async fn node_get(&self, id: &SpiffeId) -> StoreResult<Option<Row<AttestedNode>>> {
        let running = self.calls.node_fetch.start();
        told(running, self.store.node_get(id).await)
    }

    async fn node_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<AttestedNode>>> {
        let running = self.calls.node_list.start();
        told(running, self.store.node_page(after_row, limit).await)
    }

    async fn node_change(
        &self,
        id: &SpiffeId,
        change: NodeChange,
        now: SystemTime,
    ) -> StoreResult<Row<AttestedNode>> {
        let running = self.calls.node_update.start();
        told(running, self.store.node_change(id, change, now).await)
    }

    async fn node_delete(&self, id: &SpiffeId, now: SystemTime) -> StoreResult<(AttestedNode, Vec<EntryId>)> {
        let running = self.calls.node_delete.start();
        told(running, self.store.node_delete(id, now).await)
    }

    async fn node_prune(
        &self,
        expired_before: UnixTime,
        scope: PruneScope,
        limit: u32,
        now: SystemTime,
    ) -> StoreResult<Vec<SpiffeId>> {
        let running = self.calls.node_prune.start();
        told(running, self.store.node_prune(expired_before, scope, limit, now).await)
    }

    async fn node_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<SpiffeId>>> {
        let running = self.calls.node_event_list.start();
        told(running, self.store.node_events(after, limit).await)
    }

    async fn node_event_newest(&self) -> StoreResult<i64> {
        let running = self.calls.node_event_fetch.start();
        told(running, self.store.node_event_newest().await)
    }

    async fn events_prune(&self, before: SystemTime, limit: u32) -> StoreResult<u64> {
        let running = self.calls.node_event_prune.start();
        told(running, self.store.events_prune(before, limit).await)
    }
}

#[async_trait]
impl<S: BundleStore + ?Sized> BundleStore for MeasuredStore<S> {
    async fn bundle_get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Bundle>> {
        let running = self.calls.bundle_fetch.start();
        told(running, self.store.bundle_get(trust_domain).await)
    }

    async fn bundle_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<Bundle>>> {
        let running = self.calls.bundle_list.start();
        told(running, self.store.bundle_page(after_row, limit).await)
    }

    async fn bundle_count(&self) -> StoreResult<u64> {
        let running = self.calls.bundle_count.start();
        told(running, self.store.bundle_count().await)
    }

    async fn bundle_change(
        &self,
        trust_domain: &TrustDomain,
        change: BundleChange,
        now: SystemTime,
    ) -> StoreResult<Bundle> {
        let running = self.calls.of_change(&change).start();
        told(running, self.store.bundle_change(trust_domain, change, now).await)
    }

    async fn bundle_delete(
        &self,
        trust_domain: &TrustDomain,
        mode: BundleDeletion,
        now: SystemTime,
    ) -> StoreResult<Vec<EntryId>> {
        let running = self.calls.bundle_delete.start();
        told(running, self.store.bundle_delete(trust_domain, mode, now).await)
    }
}

#[async_trait]
impl<S: FederationStore + ?Sized> FederationStore for MeasuredStore<S> {
    async fn relationship_create(
        &self,
        relationship: FederationRelationship,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        let running = self.calls.relationship_create.start();
        told(running, self.store.relationship_create(relationship, now).await)
    }

    async fn relationship_get(
        &self,
        trust_domain: &TrustDomain,
    ) -> StoreResult<Option<Row<FederationRelationship>>> {
        let running = self.calls.relationship_fetch.start();
        told(running, self.store.relationship_get(trust_domain).await)
    }

    async fn relationship_page(
        &self,
        after_row: i64,
        limit: u32,
    ) -> StoreResult<Vec<Row<FederationRelationship>>> {
        let running = self.calls.relationship_list.start();
        told(running, self.store.relationship_page(after_row, limit).await)
    }

    async fn relationship_update(
        &self,
        relationship: FederationRelationship,
        parts: RelationshipParts,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        let running = self.calls.relationship_update.start();
        told(running, self.store.relationship_update(relationship, parts, now).await)
    }

    async fn relationship_delete(&self, trust_domain: &TrustDomain) -> StoreResult<()> {
        let running = self.calls.relationship_delete.start();
        told(running, self.store.relationship_delete(trust_domain).await)
    }
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for MeasuredStore<S> {
    async fn token_create(&self, token: JoinToken, now: SystemTime) -> StoreResult<()> {
        let running = self.calls.join_token_create.start();
        told(running, self.store.token_create(token, now).await)
    }

    async fn token_take(&self, value: &str) -> StoreResult<Option<JoinToken>> {
        let running = self.calls.join_token_fetch.start();
        told(running, self.store.token_take(value).await)
    }
}

#[async_trait]
impl<S: JournalStore + ?Sized> JournalStore for MeasuredStore<S> {
    async fn journal_list(&self) -> StoreResult<Vec<StoredJournal>> {
        let running = self.calls.ca_journal_fetch.start();
        told(running, self.store.journal_list().await)
    }

    async fn journal_save(
        &self,
        row_id: Option<i64>,
        data: Vec<u8>,
        active_x509_authority_id: &str,
        active_jwt_authority_id: &str,
        now: SystemTime,
    ) -> StoreResult<i64> {
        let running = self.calls.ca_journal_set.start();
        told(
            running,
            self.store
                .journal_save(row_id, data, active_x509_authority_id, active_jwt_authority_id, now)
                .await,
        )
    }

    async fn journal_delete(&self, row_id: i64) -> StoreResult<()> {
        let running = self.calls.ca_journal_prune.start();
        told(running, self.store.journal_delete(row_id).await)
    }
}
