//! The data store: the server's memory, in SPIRE's schema.
//!
//! [`DataStore`] is the sum of its roles; a module asks for the role it needs. A method is one transaction:
//! when it returns `Ok` the change is durable together with its row in the change feed, when it returns
//! `Err` nothing happened. Every method may be called concurrently. Checked by `conformance::datastore`,
//! which every database passes.

use async_trait::async_trait;
use finial_identity::{
    AgentSerial, AttestedNode, AuthorityId, Bundle, Code, EntryDraft, EntryId, EntrySpec,
    FederationRelationship, JwtAuthority, RegistrationEntry, SpiffeId, TrustDomain, UnixTime, X509Authority,
};
use std::time::SystemTime;
use tokio::sync::watch;

/// A failure of the store, classified; the text carries SPIRE's `datastore-sql: ` prefix where SPIRE's does.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// `NotFound`, `AlreadyExists`, `InvalidArgument`, `FailedPrecondition`, `Unavailable` or `Internal`.
    pub code: Code,
    /// What happened, for logs and for clients.
    pub message: String,
    /// The database's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error without a cause of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// Whether the thing named was not there.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }
}

/// Result of a store method.
pub type StoreResult<T> = Result<T, StoreError>;

/// A record with the number of its row, which orders lists and makes page tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<T> {
    /// Primary key.
    pub row_id: i64,
    /// The record.
    pub value: T,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// A new entry was written.
    Created(Row<RegistrationEntry>),
    /// An entry with the same SPIFFE ID, parent and selectors was there already.
    Similar(Row<RegistrationEntry>),
}

/// One row of a change feed: something about `subject` changed; look it up to learn what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent<T> {
    /// Number of the event; grows, may have gaps.
    pub event_id: i64,
    /// What changed.
    pub subject: T,
}

/// Registration entries.
#[async_trait]
pub trait EntryStore: Send + Sync {
    /// Admits a draft, or returns the entry it would double: same SPIFFE ID, parent and set of selectors.
    /// What breaks a rule of the store is `InvalidArgument`, a wished ID that is taken or a selector or DNS
    /// name given twice is `AlreadyExists`, a federated trust domain without a bundle is `Internal` (SPIRE's
    /// code for it). The entry comes back as it will be read: federated trust domains without doubles in the
    /// order of their bundles, an end of 0 and additional attributes without any set as `None`, the moment of
    /// creation rounded to the nearest second.
    async fn entry_create_or_get(&self, draft: EntryDraft, now: SystemTime) -> StoreResult<Admission>;

    /// Admits many drafts in one transaction, each with its own verdict (a draft that fails leaves the
    /// others untouched).
    async fn entry_create_batch(
        &self,
        drafts: Vec<EntryDraft>,
        now: SystemTime,
    ) -> StoreResult<Vec<StoreResult<Admission>>>;

    /// One entry.
    async fn entry_get(&self, id: &EntryId) -> StoreResult<Option<Row<RegistrationEntry>>>;

    /// Entries after a row, in row order, at most `limit`; only an empty page is the end.
    async fn entry_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<RegistrationEntry>>>;

    /// Replaces an entry's content and raises its revision by one, also if nothing differs; what is refused
    /// is what [`Self::entry_create_or_get`] refuses, except that two entries may become similar. Unknown:
    /// `NotFound`.
    async fn entry_update(
        &self,
        id: &EntryId,
        spec: EntrySpec,
        now: SystemTime,
    ) -> StoreResult<Row<RegistrationEntry>>;

    /// Removes an entry and returns it. Unknown: `NotFound`.
    async fn entry_delete(&self, id: &EntryId, now: SystemTime) -> StoreResult<RegistrationEntry>;

    /// Removes entries whose end is before `now`, at most `limit` in one transaction; returns them.
    async fn entry_prune(&self, now: SystemTime, limit: u32) -> StoreResult<Vec<RegistrationEntry>>;

    /// Entry changes after an event, in order, at most `limit`.
    ///
    /// Where several servers write at once an event may appear below events that were there before: it got
    /// its number early, and its transaction was slow. A reader therefore asks again for what comes after
    /// an event some way back, as long as a transaction may last; how far is the reader's business.
    async fn entry_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<EntryId>>>;

    /// Number of the newest entry event, 0 if there is none.
    async fn entry_event_newest(&self) -> StoreResult<i64>;
}

/// A change to one attested node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeChange {
    /// A renewed SVID was handed out and waits for its first use.
    Stage(AgentSerial),
    /// The staged SVID was used: it becomes the current one.
    PromoteStaged,
    /// Both serial numbers are blanked.
    Ban,
    /// The agent told its version.
    Version(String),
}

/// Which expired nodes to prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneScope {
    /// Only agents that may attest again.
    Reattestable,
    /// Also agents that trusted on first use and could never come back.
    All,
}

/// Attested nodes.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// Writes a node and its selectors (without doubles), new or attested again. A staged SVID is never
    /// written and the one that was there is cleared; an empty agent version leaves the known one.
    async fn node_attested(&self, node: AttestedNode, now: SystemTime) -> StoreResult<Row<AttestedNode>>;

    /// One node with its selectors.
    async fn node_get(&self, id: &SpiffeId) -> StoreResult<Option<Row<AttestedNode>>>;

    /// Nodes with selectors after a row, in row order, at most `limit`; only an empty page is the end.
    async fn node_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<AttestedNode>>>;

    /// Applies a change. Promoting where nothing is staged changes nothing and tells no event, since of two
    /// first uses only one promotes. Unknown: `NotFound`.
    async fn node_change(
        &self,
        id: &SpiffeId,
        change: NodeChange,
        now: SystemTime,
    ) -> StoreResult<Row<AttestedNode>>;

    /// Removes a node with its selectors, and, if it attested with a join token, the alias entry made for
    /// that token; returns the node and the IDs of entries removed with it. Unknown: `NotFound`.
    async fn node_delete(&self, id: &SpiffeId, now: SystemTime) -> StoreResult<(AttestedNode, Vec<EntryId>)>;

    /// Removes nodes that expired before `expired_before` and are not banned, at most `limit`.
    async fn node_prune(
        &self,
        expired_before: UnixTime,
        scope: PruneScope,
        limit: u32,
        now: SystemTime,
    ) -> StoreResult<Vec<SpiffeId>>;

    /// Node changes after an event, in order, at most `limit`; late ones as in [`EntryStore::entry_events`].
    async fn node_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<SpiffeId>>>;

    /// Number of the newest node event, 0 if there is none.
    async fn node_event_newest(&self) -> StoreResult<i64>;

    /// Drops entry and node events older than `before`, oldest first, at most `limit` of each; returns how
    /// many went. Their numbers are never used again.
    async fn events_prune(&self, before: SystemTime, limit: u32) -> StoreResult<u64>;
}

/// A change to one bundle, applied to what is stored, in one transaction. The rules are the pure functions
/// of `finial_identity::bundle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleChange {
    /// Adds authorities that are not there yet; creates the bundle if needed.
    Append {
        /// X.509 authorities.
        x509: Vec<X509Authority>,
        /// JWT authorities.
        jwt: Vec<JwtAuthority>,
    },
    /// Removes authorities that expired before that moment, never the last one of a kind.
    Prune {
        /// The moment.
        expired_before: UnixTime,
    },
    /// Marks an X.509 authority as no longer to be used.
    TaintX509(AuthorityId),
    /// Removes a tainted X.509 authority.
    RevokeX509(AuthorityId),
    /// Marks a JWT authority as no longer to be used.
    TaintJwt(AuthorityId),
    /// Removes a tainted JWT authority.
    RevokeJwt(AuthorityId),
    /// Replaces the bundle or creates it.
    Set(Bundle),
    /// Creates the bundle; there already: `AlreadyExists`.
    Create(Bundle),
    /// Replaces the parts named by the mask; not there: `NotFound`.
    Update(Bundle, BundleParts),
}

/// Parts of a bundle, for partial updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleParts {
    /// `x509_authorities`.
    pub x509: bool,
    /// `jwt_authorities`.
    pub jwt: bool,
    /// `refresh_hint`.
    pub refresh_hint: bool,
    /// `sequence_number`.
    pub sequence_number: bool,
}

/// What to do with entries that federate with a bundle that goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleDeletion {
    /// Refuse if there are any.
    Restrict,
    /// Delete those entries.
    DeleteEntries,
    /// Keep the entries and cut the link.
    Dissociate,
}

/// Trust bundles, the own one and foreign ones.
#[async_trait]
pub trait BundleStore: Send + Sync {
    /// One bundle.
    async fn bundle_get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Bundle>>;

    /// Bundles after a row, in row order, at most `limit`; only an empty page is the end.
    async fn bundle_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<Bundle>>>;

    /// How many there are.
    async fn bundle_count(&self) -> StoreResult<u64>;

    /// Applies a change and returns the bundle as it is now. A bundle given is one of `trust_domain`. Only
    /// appending, setting and creating make a bundle that was not there; all else is `NotFound` then.
    async fn bundle_change(
        &self,
        trust_domain: &TrustDomain,
        change: BundleChange,
        now: SystemTime,
    ) -> StoreResult<Bundle>;

    /// Removes a bundle; returns IDs of entries that were deleted or changed by it, each of which is in the
    /// change feed. An entry that loses a link counts as changed: its revision is raised. Unknown: `NotFound`.
    async fn bundle_delete(
        &self,
        trust_domain: &TrustDomain,
        mode: BundleDeletion,
        now: SystemTime,
    ) -> StoreResult<Vec<EntryId>>;
}

/// Parts of a federation relationship, for partial updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationshipParts {
    /// `bundle_endpoint_url`.
    pub bundle_endpoint_url: bool,
    /// `bundle_endpoint_profile`, with the endpoint's SPIFFE ID.
    pub bundle_endpoint_profile: bool,
    /// `trust_domain_bundle`: a bundle given replaces the stored one, none leaves it.
    pub trust_domain_bundle: bool,
}

/// Federation relationships. What is returned carries the stored bundle of its trust domain, if there is one.
#[async_trait]
pub trait FederationStore: Send + Sync {
    /// Writes a relationship and, if it brings a bundle, sets that in the same transaction. There already:
    /// `AlreadyExists`.
    async fn relationship_create(
        &self,
        relationship: FederationRelationship,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>>;

    /// One relationship.
    async fn relationship_get(
        &self,
        trust_domain: &TrustDomain,
    ) -> StoreResult<Option<Row<FederationRelationship>>>;

    /// Relationships after a row, in row order, at most `limit`; only an empty page is the end.
    async fn relationship_page(
        &self,
        after_row: i64,
        limit: u32,
    ) -> StoreResult<Vec<Row<FederationRelationship>>>;

    /// Replaces the parts that are named. Unknown: `NotFound`.
    async fn relationship_update(
        &self,
        relationship: FederationRelationship,
        parts: RelationshipParts,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>>;

    /// Removes a relationship; the bundle stays. Unknown: `NotFound`.
    async fn relationship_delete(&self, trust_domain: &TrustDomain) -> StoreResult<()>;
}

/// A one-time secret that lets one agent attest.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The secret.
    pub value: String,
    /// Until when it may be used.
    pub expires_at: UnixTime,
}

/// Join tokens.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Writes a token. There already: `AlreadyExists`.
    async fn token_create(&self, token: JoinToken, now: SystemTime) -> StoreResult<()>;

    /// Removes a token and returns it: of two callers only one gets it.
    async fn token_take(&self, value: &str) -> StoreResult<Option<JoinToken>>;
}

/// The stored journal of one server's signing authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJournal {
    /// Row.
    pub row_id: i64,
    /// The encoded journal (`journal.Entries`).
    pub data: Vec<u8>,
    /// ID of the active X.509 authority, by which a server finds its own journal.
    pub active_x509_authority_id: String,
}

/// Journals of signing authorities.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// All journals.
    async fn journal_list(&self) -> StoreResult<Vec<StoredJournal>>;

    /// Writes a journal, into its row (unknown: `NotFound`) or a new one; returns the row.
    async fn journal_save(
        &self,
        row_id: Option<i64>,
        data: Vec<u8>,
        active_x509_authority_id: &str,
        active_jwt_authority_id: &str,
        now: SystemTime,
    ) -> StoreResult<i64>;

    /// Removes a journal. Unknown: `NotFound`.
    async fn journal_delete(&self, row_id: i64) -> StoreResult<()>;
}

/// Hints that something may have changed in the database, by this server or by another one.
pub trait ChangeNotifications: Send + Sync {
    /// A number that grows with each hint. Hints come after the change they tell of, several changes may
    /// share one, and one may be lost: whoever follows a feed looks when a hint comes, and from time to time
    /// all the same. Nothing where the database gives no hints.
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// Everything a server remembers.
pub trait DataStore:
    EntryStore + NodeStore + BundleStore + FederationStore + TokenStore + JournalStore + ChangeNotifications
{
}

impl<T> DataStore for T where
    T: EntryStore
        + NodeStore
        + BundleStore
        + FederationStore
        + TokenStore
        + JournalStore
        + ChangeNotifications
{
}
