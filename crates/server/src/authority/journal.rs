//! What the server remembers of its signing authorities over a restart: one row, SPIRE's `journal.Entries`.
//!
//! Several servers may share a store, so a server finds its own row by its keys: the row whose active X.509
//! authority has one of them. Hence nothing is saved before an X.509 authority is active. What could not be
//! saved stays in memory and is saved with the next change or look.

use super::error::AuthorityError;
use super::signing::{JwtKey, X509Ca};
use super::slot::{SigningAuthority, SlotId};
use finial_identity::{AuthorityId, UnixTime};
use finial_plugin::datastore::{JournalStore, StoreError, StoreResult};
use finial_plugin::key_manager::SigningKey;
use finial_proto::journal::{Entries, JwtKeyEntry, Status, X509caEntry};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::{debug, error, info};

/// Authorities of one kind that are remembered.
const ENTRIES_MAX: usize = 10;
/// So many seconds after the end of its last authority a journal is forgotten: two weeks.
const KEPT_AFTER_END: i64 = 14 * 24 * 60 * 60;

/// The keys of the key manager by name.
pub(super) type Keys = BTreeMap<String, Arc<dyn SigningKey>>;

/// The journal of this server.
pub(super) struct Journal {
    store: Arc<dyn JournalStore>,
    row_id: Option<i64>,
    active_x509: String,
    entries: Entries,
    is_unsaved: bool,
}

impl Journal {
    /// Finds and reads our row; without one the journal is empty.
    pub(super) async fn load(store: Arc<dyn JournalStore>, keys: &Keys) -> Result<Self, AuthorityError> {
        debug!("Loading journal from datastore");
        let rows = store.journal_list().await.map_err(AuthorityError::LoadJournal)?;
        let key_ids: Vec<String> = keys
            .values()
            .map(|key| AuthorityId::from_subject_key_id(&key.public_key().key_id()).to_string())
            .collect();
        // Should a crash ever have left two, the younger knows more.
        let own = rows.into_iter().rev().find(|row| key_ids.contains(&row.active_x509_authority_id));
        let mut journal = Self {
            store,
            row_id: None,
            active_x509: String::new(),
            entries: Entries::default(),
            is_unsaved: false,
        };
        match own {
            Some(row) => {
                let decoded = Entries::decode(row.data.as_slice());
                journal.entries =
                    decoded.map_err(|source| AuthorityError::DecodeJournal { row_id: row.row_id, source })?;
                journal.row_id = Some(row.row_id);
                journal.active_x509 = row.active_x509_authority_id;
            }
            None => {
                info!("There is not a CA journal record that matches any of the local X509 authority IDs");
            }
        }
        let entries = &journal.entries;
        info!(
            jwt_keys = entries.jwt_keys.len(),
            wit_keys = entries.wit_keys.len(),
            x509_cas = entries.x509_c_as.len(),
            "Journal loaded"
        );
        Ok(journal)
    }

    /// What is remembered, oldest first.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Notes a prepared X.509 authority.
    pub(super) fn append_x509(&mut self, slot: SlotId, issued_at: SystemTime, authority: &X509Ca) {
        let info = authority.info();
        let entry = X509caEntry {
            slot_id: slot.as_str().to_owned(),
            issued_at: UnixTime::from(issued_at).seconds(),
            certificate: authority.certificate().der().to_vec().into(),
            upstream_chain: authority
                .upstream_chain()
                .iter()
                .map(|link| link.der().to_vec().into())
                .collect(),
            status: Status::Prepared.into(),
            authority_id: info.id.to_string(),
            not_after: info.expires_at.seconds(),
            upstream_authority_id: info.upstream_id.to_string(),
        };
        append(&mut self.entries.x509_c_as, entry);
        self.is_unsaved = true;
    }

    /// Notes a prepared JWT authority.
    pub(super) fn append_jwt(&mut self, slot: SlotId, issued_at: SystemTime, authority: &JwtKey) {
        let info = authority.info();
        let entry = JwtKeyEntry {
            slot_id: slot.as_str().to_owned(),
            issued_at: UnixTime::from(issued_at).seconds(),
            not_after: info.expires_at.seconds(),
            kid: info.id.to_string(),
            public_key: authority.public_key().spki().to_vec().into(),
            status: Status::Prepared.into(),
            authority_id: info.id.to_string(),
        };
        append(&mut self.entries.jwt_keys, entry);
        self.is_unsaved = true;
    }

    /// Notes what became of an X.509 authority.
    pub(super) fn mark_x509(&mut self, id: &AuthorityId, status: Status) {
        let entry = self.entries.x509_c_as.iter_mut().rfind(|entry| entry.authority_id == id.as_str());
        if let Some(entry) = entry {
            entry.set_status(status);
        }
        if status == Status::Active {
            self.active_x509 = id.to_string();
        }
        self.is_unsaved = true;
    }

    /// Notes what became of a JWT authority.
    pub(super) fn mark_jwt(&mut self, id: &AuthorityId, status: Status) {
        let entry = self.entries.jwt_keys.iter_mut().rfind(|entry| entry.authority_id == id.as_str());
        if let Some(entry) = entry {
            entry.set_status(status);
        }
        self.is_unsaved = true;
    }

    /// Writes the journal if there is something new and if our row can be found again.
    pub(super) async fn save(&mut self, now: SystemTime) -> StoreResult<()> {
        if !self.is_unsaved {
            return Ok(());
        }
        if self.active_x509.is_empty() {
            debug!("There is no active X.509 authority yet. Can't save CA journal in the datastore");
            return Ok(());
        }
        if self.row_id.is_none() {
            info!("Creating a new CA journal entry");
        }
        let saved = match self.write(self.row_id, now).await {
            // Another server took us for dead and removed our row.
            Err(error) if error.is_not_found() && self.row_id.is_some() => self.write(None, now).await,
            other => other,
        };
        let row_id = saved?;
        self.row_id = Some(row_id);
        self.is_unsaved = false;
        debug!(
            ca_journal_id = row_id,
            local_authority_id = self.active_x509,
            "Successfully stored CA journal entry in datastore"
        );
        Ok(())
    }

    async fn write(&self, row_id: Option<i64>, now: SystemTime) -> StoreResult<i64> {
        // SPIRE leaves the JWT column empty, too.
        self.store.journal_save(row_id, self.entries.encode_to_vec(), &self.active_x509, "", now).await
    }

    /// The store and our own row, for [`prune`].
    pub(super) fn place(&self) -> (Arc<dyn JournalStore>, Option<i64>) {
        (Arc::clone(&self.store), self.row_id)
    }
}

fn append<E>(entries: &mut Vec<E>, entry: E) {
    entries.push(entry);
    entries.drain(..entries.len().saturating_sub(ENTRIES_MAX));
}

/// Removes journals of servers that are gone: all X.509 and JWT authorities ended two weeks ago.
pub(super) async fn prune(
    store: &dyn JournalStore,
    own_row: Option<i64>,
    now: SystemTime,
) -> StoreResult<()> {
    let ended_before = UnixTime::from(now).plus_seconds(-KEPT_AFTER_END);
    let mut failure = None;
    for row in store.journal_list().await?.into_iter().filter(|row| Some(row.row_id) != own_row) {
        let outcome = match Entries::decode(row.data.as_slice()) {
            Ok(entries) if has_ended(&entries, ended_before) => store.journal_delete(row.row_id).await,
            Ok(_) => continue,
            Err(error) => {
                let text = "unable to unmarshal entries from CA journal record";
                Err(StoreError::new(finial_identity::Code::Internal, format!("{text}: {error}")))
            }
        };
        match outcome {
            Ok(()) => info!(ca_journal_id = row.row_id, "Pruned stale CA journal record"),
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                error!(ca_journal_id = row.row_id, %error, "Could not prune CA journal record");
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// WIT authorities do not count, as in SPIRE.
fn has_ended(entries: &Entries, before: UnixTime) -> bool {
    let x509 = entries.x509_c_as.iter().map(|entry| entry.not_after);
    let jwt = entries.jwt_keys.iter().map(|entry| entry.not_after);
    x509.chain(jwt).all(|not_after| not_after <= before.seconds())
}
