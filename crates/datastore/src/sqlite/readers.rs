//! Connections that only read: a few at once, each read in a snapshot of its own.

use super::fault::Fault;
use super::location::Location;
use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Reads at once; more would only contend for the same cores.
const CONNECTIONS: usize = 4;

/// The reading connections, opened when first needed.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
    location: Arc<Location>,
}

impl Readers {
    pub(super) fn new(location: Arc<Location>) -> Self {
        Self { idle: Arc::default(), places: Arc::new(Semaphore::new(CONNECTIONS)), location }
    }

    /// Runs `operation` on a snapshot of what is on disk now.
    pub(super) async fn read<T, F>(&self, operation: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let place = self.places.clone().acquire_owned().await;
        let (idle, location) = (self.idle.clone(), self.location.clone());
        let work = move || {
            let _place = place;
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match pooled {
                Some(connection) => connection,
                None => location.open_reader()?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let outcome = operation(&snapshot);
            drop(snapshot);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            outcome
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome.map_err(|fault| fault.told(&self.location.file)),
            Err(_) => Err(StoreError::new(Code::Internal, "datastore-sql: a read was broken off")),
        }
    }
}
