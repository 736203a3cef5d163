//! Connections to one database server: bounded, kept for a while, thrown away when in doubt.

use super::fault::{DatabaseError, Trouble};
use super::session::{Connector, Session};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a connection may be idle before it is closed, as in SPIRE.
const IDLE: Duration = Duration::from_secs(30);
/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// SPIRE's settings of its pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// `max_open_conns`; 0 has no limit.
    pub open: u32,
    /// `max_idle_conns`; 0 keeps none.
    pub idle: u32,
    /// `conn_max_lifetime`.
    pub lifetime: Option<Duration>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { open: 100, idle: 100, lifetime: None }
    }
}

/// The connections.
pub(crate) struct Pool {
    connector: Box<dyn Connector>,
    places: Arc<Semaphore>,
    config: PoolConfig,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    session: Box<dyn Session>,
    opened: Instant,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(connector: Box<dyn Connector>, config: PoolConfig) -> Arc<Self> {
        let places = match config.open {
            0 => Semaphore::MAX_PERMITS,
            limit => limit as usize,
        };
        Arc::new(Self { connector, places: Arc::new(Semaphore::new(places)), config, idle: Mutex::default() })
    }

    pub(crate) fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    /// A connection for one caller; waits if all are taken.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Pooled, DatabaseError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| DatabaseError::new(Trouble::Unreachable, "the pool is closed"))?;
        let (session, opened) = match self.take_idle() {
            Some(idle) => (idle.session, idle.opened),
            None => (self.connect().await?, Instant::now()),
        };
        Ok(Pooled { session: Some(session), opened, pool: Arc::clone(self), _place: place })
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DatabaseError> {
        let late = |_| DatabaseError::new(Trouble::Unreachable, "connecting took too long");
        tokio::time::timeout(CONNECT, self.connector.connect()).await.map_err(late)?
    }

    /// The connection that was used last; those that are too old go.
    fn take_idle(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.retain(|idle| {
            let lived_enough = self.config.lifetime.is_some_and(|limit| now - idle.opened >= limit);
            !lived_enough && now - idle.since < IDLE && !idle.session.is_broken()
        });
        idle.pop()
    }

    /// Closes all idle connections: the server they led to is gone.
    pub(crate) fn forget_idle(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped without [`Self::release`] it is closed, and the database rolls back.
pub(crate) struct Pooled {
    session: Option<Box<dyn Session>>,
    opened: Instant,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Pooled {
    /// Gives it back; there must be no transaction on it.
    pub(crate) fn release(mut self) {
        let Some(session) = self.session.take() else { return };
        let mut idle = self.pool.lock();
        if !session.is_broken() && idle.len() < self.pool.config.idle as usize {
            idle.push(Idle { session, opened: self.opened, since: Instant::now() });
        }
    }
}

impl Deref for Pooled {
    type Target = dyn Session;

    fn deref(&self) -> &Self::Target {
        self.session.as_deref().expect("only release takes it")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.session.as_deref_mut().expect("only release takes it")
    }
}
