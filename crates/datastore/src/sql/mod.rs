//! The store on a database server, PostgreSQL or MySQL: connections, transactions, the roles.
//!
//! Written once over [`session::Session`]; `postgres` and `mysql` beside this module have what differs.

mod admission;
mod bundles;
mod entries;
mod entry_rows;
mod events;
pub(crate) mod fault;
mod federation;
mod journals;
mod log;
mod node_rows;
mod nodes;
mod parts;
mod pool;
mod queue;
mod schema;
pub(crate) mod session;
mod similar;
mod tokens;
mod transaction;
mod wake;

pub use pool::PoolConfig;

use crate::time::DateTime;
use crate::version::MigrationPolicy;
use events::Feed;
use fault::Fault;
use finial_plugin::datastore::{ChangeNotifications, StoreResult};
use pool::{Pool, Pooled};
use queue::Admissions;
use session::{Connector, Session, first};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;
use transaction::{reading, transaction};
use wake::Wake;

/// The data store on a database server. Lives in the tokio runtime that opened it.
///
/// Several servers may share a database, SPIRE servers among them.
pub struct SqlStore {
    primary: Arc<Pool>,
    /// Reads that may come from a copy, as long as it is level with the primary.
    replica: Option<Arc<Pool>>,
    admissions: Admissions,
    wake: Wake,
}

/// What is the same for every database server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlOptions {
    /// SPIRE's `disable_migration`.
    pub migration: MigrationPolicy,
    /// How many connections, for how long.
    pub pool: PoolConfig,
    /// SPIRE's `log_sql`: every statement is logged, without its values.
    pub log_sql: bool,
}

impl SqlStore {
    /// Connects, makes the schema if there is none, and brings it up to date.
    pub(crate) async fn open(
        primary: Box<dyn Connector>,
        replica: Option<Box<dyn Connector>>,
        options: SqlOptions,
    ) -> StoreResult<Self> {
        let log = |connector| if options.log_sql { log::logged(connector) } else { connector };
        let primary = Pool::new(log(primary), options.pool.clone());
        let replica = replica.map(|connector| Pool::new(log(connector), options.pool));
        announce(&primary, false).await?;
        let (policy, now) = (options.migration, SystemTime::now());
        transaction!(&primary, db => schema::prepare(db, policy, now))?;
        if let Some(replica) = &replica
            && let Err(error) = announce(replica, true).await
        {
            tracing::warn!(%error, "The database of ro_connection_string cannot be used now; reading from the primary");
        }
        let wake = Wake::new(Arc::clone(&primary));
        let admissions = Admissions::new(Arc::clone(&primary), wake.clone());
        Ok(Self { primary, replica, admissions, wake })
    }

    /// Asks the database whether it is there.
    pub async fn ping(&self) -> StoreResult<()> {
        reading!(&self.primary, db => version(db)).map(drop)
    }

    /// A moment as the database will keep it.
    fn moment(&self, now: SystemTime) -> DateTime {
        (self.primary.connector().dialect().keeps)(now.into())
    }

    /// Tells other servers that something changed, where that is possible.
    fn changed(&self) {
        self.wake.ring();
    }

    /// A connection to the replica, if it has everything that the primary had when this was called: the
    /// newest event of a feed. Whoever has seen a change of his own must not be shown what was before.
    async fn level_replica(&self, feed: &Feed) -> Option<Pooled> {
        let replica = self.replica.as_ref()?;
        let newest: StoreResult<i64> = reading!(&self.primary, db => feed.newest(db));
        let newest = newest.ok()?;
        let mut session = replica.acquire().await.ok()?;
        let reached = feed.newest(&mut *session).await.ok()?;
        if reached >= newest {
            return Some(session);
        }
        tracing::debug!(newest, reached, "The replica is behind; reading from the primary");
        session.release();
        None
    }
}

impl ChangeNotifications for SqlStore {
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.primary.connector().listen()
    }
}

/// Connects for the first time and says to what.
async fn announce(pool: &Arc<Pool>, read_only: bool) -> StoreResult<()> {
    let dialect = pool.connector().dialect();
    tracing::info!(db_type = dialect.name, "Opening SQL database");
    let version: String = reading!(pool, db => version(db))?;
    tracing::info!(r#type = dialect.name, version, read_only, "Connected to SQL database");
    Ok(())
}

async fn version(db: &mut dyn Session) -> Result<String, Fault> {
    let ask = db.dialect().version;
    match first(db, ask, &[]).await? {
        Some(mut row) => row.text(),
        None => Ok(String::new()),
    }
}
