//! Small true fakes for the tests of `authority` and `bundle`: a store and a key manager in memory that can
//! be made to fail at any of their operations.

use super::config::AuthorityConfig;
use async_trait::async_trait;
use finial_identity::key::KeyError;
use finial_identity::x509::{
    Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber, Validity, assemble,
    to_be_signed,
};
use finial_identity::{
    Bundle, Code, EntryId, KeyType, PrivateKey, PublicKey, SignatureScheme, TrustDomain, UnixTime,
};
use finial_plugin::datastore::{
    BundleChange, BundleDeletion, BundleStore, JournalStore, Row, StoreError, StoreResult, StoredJournal,
};
use finial_plugin::key_manager::{KeyManager, KeyManagerError, SigningKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

pub(crate) fn config() -> AuthorityConfig {
    AuthorityConfig::with_defaults(TrustDomain::parse("example.org").unwrap())
}

/// One key for all who need any.
pub(crate) fn key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(KeyType::EcP256).unwrap())
}

/// A root of the key [`key`] that ends at that moment.
pub(crate) fn root(not_after: UnixTime) -> Certificate {
    let config = config();
    let template = CertificateTemplate {
        serial: SerialNumber::random().unwrap(),
        subject: DistinguishedName::empty(),
        validity: Validity { not_before: not_after.plus_seconds(-3600), not_after },
        subject_key: key().public_key().clone(),
        profile: Profile::Authority { uri: config.trust_domain.id() },
        extra_extensions: Vec::new(),
    };
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let tbs = to_be_signed(&template, &Issuer { subject_der: template.subject.der(), key_id: None, scheme });
    let signature = key().sign(scheme, &tbs).unwrap();
    Certificate::from_der(&assemble(&tbs, scheme, &signature)).unwrap()
}

/// When operations fail. One number of operations that still work, for all fakes that share it.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Option<(u32, Manner)>>);

/// How operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing happens.
    Refused,
    /// What was asked for happens, and the answer is lost.
    AnswerLost,
}

impl Faults {
    pub(crate) fn set(&self, working: u32, manner: Manner) {
        *self.0.lock().unwrap() = Some((working, manner));
    }

    pub(crate) fn heal(&self) {
        *self.0.lock().unwrap() = None;
    }

    /// How the operation that begins now fails, if it does.
    fn strike(&self) -> Option<Manner> {
        match &mut *self.0.lock().unwrap() {
            None => None,
            Some((0, manner)) => Some(*manner),
            Some((working, _)) => {
                *working -= 1;
                None
            }
        }
    }

    fn attempt<T>(&self, work: impl FnOnce() -> T) -> Result<T, ()> {
        match self.strike() {
            None => Ok(work()),
            Some(Manner::Refused) => Err(()),
            Some(Manner::AnswerLost) => {
                work();
                Err(())
            }
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::new(Code::Unavailable, "the store is away")
}

/// Bundles and journals.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) faults: Arc<Faults>,
    rows: Mutex<Rows>,
}

#[derive(Default, Clone)]
struct Rows {
    newest: i64,
    bundles: BTreeMap<i64, Bundle>,
    journals: BTreeMap<i64, StoredJournal>,
}

impl Rows {
    fn next_row(&mut self) -> i64 {
        self.newest += 1;
        self.newest
    }

    fn bundle(&mut self, trust_domain: &TrustDomain) -> Option<&mut Bundle> {
        self.bundles.values_mut().find(|bundle| bundle.trust_domain == *trust_domain)
    }

    fn change(&mut self, trust_domain: &TrustDomain, change: BundleChange) -> StoreResult<Bundle> {
        let not_found = || StoreError::new(Code::NotFound, "record not found");
        let known = self.bundle(trust_domain);
        match (known, change) {
            (None, BundleChange::Append { x509, jwt }) => {
                let mut bundle = Bundle::new(trust_domain.clone());
                (bundle.x509_authorities, bundle.jwt_authorities) = (x509, jwt);
                Ok(self.insert(bundle))
            }
            (None, BundleChange::Create(bundle) | BundleChange::Set(bundle)) => Ok(self.insert(bundle)),
            (None, _) => Err(not_found()),
            (Some(_), BundleChange::Create(_)) => Err(StoreError::new(Code::AlreadyExists, "there already")),
            (Some(known), change) => alter(known, change),
        }
    }

    fn insert(&mut self, bundle: Bundle) -> Bundle {
        let row = self.next_row();
        self.bundles.insert(row, bundle.clone());
        bundle
    }
}

fn alter(known: &mut Bundle, change: BundleChange) -> StoreResult<Bundle> {
    let refused =
        |error: finial_identity::bundle::AuthorityError| StoreError::new(error.code(), error.to_string());
    match change {
        BundleChange::Append { x509, jwt } => {
            let mut more = Bundle::new(known.trust_domain.clone());
            (more.x509_authorities, more.jwt_authorities) = (x509, jwt);
            known.append(&more);
        }
        BundleChange::Prune { expired_before } => {
            let pruned = known.prune(expired_before);
            pruned.map_err(|error| StoreError::new(Code::Internal, error.to_string()))?;
        }
        BundleChange::TaintX509(id) => known.taint_x509(&id).map_err(refused)?,
        BundleChange::RevokeX509(id) => drop(known.revoke_x509(&id).map_err(refused)?),
        BundleChange::TaintJwt(id) => drop(known.taint_jwt(&id).map_err(refused)?),
        BundleChange::RevokeJwt(id) => drop(known.revoke_jwt(&id).map_err(refused)?),
        BundleChange::Set(bundle) | BundleChange::Create(bundle) | BundleChange::Update(bundle, _) => {
            *known = bundle;
        }
    }
    Ok(known.clone())
}

impl MemoryStore {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// After so many more operations all are refused.
    pub(crate) fn fail_after(&self, working: u32) {
        self.faults.set(working, Manner::Refused);
    }

    pub(crate) fn journals(&self) -> Vec<StoredJournal> {
        self.rows.lock().unwrap().journals.values().cloned().collect()
    }

    pub(crate) fn put_journal(&self, data: Vec<u8>, active_x509_authority_id: &str) -> i64 {
        let mut rows = self.rows.lock().unwrap();
        let row_id = rows.next_row();
        let active_x509_authority_id = active_x509_authority_id.to_owned();
        rows.journals.insert(row_id, StoredJournal { row_id, data, active_x509_authority_id });
        row_id
    }

    pub(crate) fn put_bundle(&self, bundle: Bundle) {
        let mut rows = self.rows.lock().unwrap();
        rows.bundles.retain(|_, known| known.trust_domain != bundle.trust_domain);
        rows.insert(bundle);
    }
}

#[async_trait]
impl BundleStore for MemoryStore {
    async fn bundle_get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Bundle>> {
        Ok(self.rows.lock().unwrap().bundle(trust_domain).cloned())
    }

    async fn bundle_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<Bundle>>> {
        let rows = self.rows.lock().unwrap();
        let after = rows.bundles.range(after_row.saturating_add(1)..).take(limit as usize);
        Ok(after.map(|(row_id, bundle)| Row { row_id: *row_id, value: bundle.clone() }).collect())
    }

    async fn bundle_count(&self) -> StoreResult<u64> {
        Ok(self.rows.lock().unwrap().bundles.len() as u64)
    }

    async fn bundle_change(
        &self,
        trust_domain: &TrustDomain,
        change: BundleChange,
        _now: SystemTime,
    ) -> StoreResult<Bundle> {
        let mut rows = self.rows.lock().unwrap();
        self.faults.attempt(|| rows.change(trust_domain, change)).map_err(|()| unavailable())?
    }

    async fn bundle_delete(
        &self,
        trust_domain: &TrustDomain,
        _mode: BundleDeletion,
        _now: SystemTime,
    ) -> StoreResult<Vec<EntryId>> {
        self.rows.lock().unwrap().bundles.retain(|_, bundle| bundle.trust_domain != *trust_domain);
        Ok(Vec::new())
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn journal_list(&self) -> StoreResult<Vec<StoredJournal>> {
        Ok(self.journals())
    }

    async fn journal_save(
        &self,
        row_id: Option<i64>,
        data: Vec<u8>,
        active_x509_authority_id: &str,
        _active_jwt_authority_id: &str,
        _now: SystemTime,
    ) -> StoreResult<i64> {
        let mut rows = self.rows.lock().unwrap();
        if row_id.is_some_and(|row_id| !rows.journals.contains_key(&row_id)) {
            return Err(StoreError::new(Code::NotFound, "record not found"));
        }
        let active_x509_authority_id = active_x509_authority_id.to_owned();
        let saved = self.faults.attempt(|| {
            let row_id = row_id.unwrap_or_else(|| rows.next_row());
            rows.journals.insert(row_id, StoredJournal { row_id, data, active_x509_authority_id });
            row_id
        });
        saved.map_err(|()| unavailable())
    }

    async fn journal_delete(&self, row_id: i64) -> StoreResult<()> {
        let gone = self.rows.lock().unwrap().journals.remove(&row_id);
        gone.map(drop).ok_or_else(|| StoreError::new(Code::NotFound, "record not found"))
    }
}

/// How keys of a [`MemoryKeys`] sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    /// At once.
    #[default]
    Near,
    /// Only when asked and waited for.
    Far,
}

/// Keys.
#[derive(Default)]
pub(crate) struct MemoryKeys {
    pub(crate) faults: Arc<Faults>,
    reach: Reach,
    keys: Mutex<BTreeMap<String, Arc<dyn SigningKey>>>,
}

impl MemoryKeys {
    pub(crate) fn reached(reach: Reach) -> Arc<Self> {
        Arc::new(Self { reach, ..Self::default() })
    }

    pub(crate) fn sharing(faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self { faults: Arc::clone(faults), ..Self::default() })
    }

    pub(crate) fn put(&self, id: &str, key: Arc<dyn SigningKey>) {
        self.keys.lock().unwrap().insert(id.to_owned(), key);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.keys.lock().unwrap().remove(id);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.keys.lock().unwrap().keys().cloned().collect()
    }
}

#[async_trait]
impl KeyManager for MemoryKeys {
    async fn key_generate(&self, id: &str, kind: KeyType) -> Result<Arc<dyn SigningKey>, KeyManagerError> {
        let made = self.faults.attempt(|| {
            let key = MemoryKey { key: PrivateKey::generate(kind).unwrap(), reach: self.reach };
            let key: Arc<dyn SigningKey> = Arc::new(key);
            self.put(id, Arc::clone(&key));
            key
        });
        made.map_err(|()| KeyManagerError::Generate("the key manager is away".to_owned()))
    }

    async fn key_get(&self, id: &str) -> Result<Option<Arc<dyn SigningKey>>, KeyManagerError> {
        Ok(self.keys.lock().unwrap().get(id).cloned())
    }

    async fn key_list(&self) -> Result<Vec<(String, Arc<dyn SigningKey>)>, KeyManagerError> {
        let keys = self.keys.lock().unwrap();
        Ok(keys.iter().map(|(id, key)| (id.clone(), Arc::clone(key))).collect())
    }
}

struct MemoryKey {
    key: PrivateKey,
    reach: Reach,
}

#[async_trait]
impl SigningKey for MemoryKey {
    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    async fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyManagerError> {
        tokio::task::yield_now().await;
        Ok(self.key.sign(scheme, message)?)
    }

    fn sign_inline(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Option<Result<Vec<u8>, KeyManagerError>> {
        let near = self.reach == Reach::Near;
        near.then(|| self.key.sign(scheme, message).map_err(KeyManagerError::from))
    }
}

/// A key of which only the public half is there, as one finds it in a journal; or one that signs with
/// another key than it says.
pub(crate) struct OtherKey {
    pub(crate) says: PublicKey,
    pub(crate) signs_with: Option<PrivateKey>,
}

#[async_trait]
impl SigningKey for OtherKey {
    fn public_key(&self) -> &PublicKey {
        &self.says
    }

    async fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyManagerError> {
        let key = self.signs_with.as_ref().ok_or(KeyManagerError::Sign(KeyError::Failed))?;
        Ok(key.sign(scheme, message)?)
    }
}
