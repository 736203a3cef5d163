//! SPIRE's `log_sql`: every statement with the time it took; values, which may be secrets, are left out.

use super::fault::DatabaseError;
use super::session::{Columns, Connector, Dialect, Session, Value};
use async_trait::async_trait;
use std::time::Instant;
use tokio::sync::watch;

/// Lets a connector's sessions log what they run.
pub(super) fn logged(connector: Box<dyn Connector>) -> Box<dyn Connector> {
    Box::new(Logged(connector))
}

struct Logged<T>(T);

#[async_trait]
impl Connector for Logged<Box<dyn Connector>> {
    fn dialect(&self) -> &'static Dialect {
        self.0.dialect()
    }

    fn target(&self) -> &str {
        self.0.target()
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DatabaseError> {
        Ok(Box::new(Logged(self.0.connect().await?)))
    }

    fn listen(&self) -> Option<watch::Receiver<u64>> {
        self.0.listen()
    }
}

/// Logs how an awaited statement went.
macro_rules! told {
    ($sql:expr, $statement:expr) => {{
        let started = Instant::now();
        let outcome = $statement.await;
        let failed = outcome.is_err();
        let microseconds = started.elapsed().as_micros();
        tracing::info!(subsystem_name = "sql", sql = $sql, microseconds, failed, "Statement");
        outcome
    }};
}

#[async_trait]
impl Session for Logged<Box<dyn Session>> {
    fn dialect(&self) -> &'static Dialect {
        self.0.dialect()
    }

    fn is_broken(&self) -> bool {
        self.0.is_broken()
    }

    async fn run(&mut self, sql: &str) -> Result<(), DatabaseError> {
        told!(sql, self.0.run(sql))
    }

    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        told!(sql, self.0.execute(sql, values))
    }

    async fn insert(&mut self, sql: &str, values: &[Value<'_>]) -> Result<i64, DatabaseError> {
        told!(sql, self.0.insert(sql, values))
    }

    async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, DatabaseError> {
        told!(sql, self.0.query(sql, values))
    }
}
