//! One method, one transaction: begun, committed or rolled back, and tried again where that is right.
//!
//! A transaction that the database broke off (deadlock, serialization) or that went down with its
//! connection has changed nothing and is run again, a bounded number of times. Only a connection that is
//! lost during `COMMIT` leaves doubt, which the caller is told.

use super::fault::{DatabaseError, Fault, Trouble};
use super::pool::{Pool, Pooled};
use std::sync::Arc;
use std::time::Duration;

/// How often a transaction is run before it is given up because of others.
const CONFLICTS: u32 = 12;
/// How often it is run before it is given up because connections are lost.
const LOSSES: u32 = 2;
/// The longest wait between two runs.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Runs an operation on a session, in a transaction, as often as it takes.
///
/// The operation is an expression, evaluated anew each time, in which the session has the name that is given.
macro_rules! transaction {
    ($pool:expr, $db:ident => $operation:expr) => {{
        let pool: &std::sync::Arc<$crate::sql::pool::Pool> = $pool;
        let mut attempts = $crate::sql::transaction::Attempts::default();
        loop {
            let outcome = match $crate::sql::transaction::begin(pool).await {
                Ok(mut session) => {
                    let $db: &mut dyn $crate::sql::session::Session = &mut *session;
                    let outcome = $operation.await;
                    $crate::sql::transaction::end(session, outcome).await
                }
                Err(error) => Err($crate::sql::fault::Fault::from(error)),
            };
            match attempts.judge(pool, outcome).await {
                Some(result) => break result.map_err(|fault| fault.told(pool.connector().target())),
                None => continue,
            }
        }
    }};
}

/// Runs a single query, which needs no transaction of its own.
macro_rules! reading {
    ($pool:expr, $db:ident => $operation:expr) => {{
        let pool: &std::sync::Arc<$crate::sql::pool::Pool> = $pool;
        let mut attempts = $crate::sql::transaction::Attempts::default();
        loop {
            let outcome = match pool.acquire().await {
                Ok(mut session) => {
                    let $db: &mut dyn $crate::sql::session::Session = &mut *session;
                    let outcome = $operation.await;
                    if outcome.is_ok() {
                        session.release();
                    }
                    outcome
                }
                Err(error) => Err($crate::sql::fault::Fault::from(error)),
            };
            match attempts.judge(pool, outcome).await {
                Some(result) => break result.map_err(|fault| fault.told(pool.connector().target())),
                None => continue,
            }
        }
    }};
}

pub(crate) use {reading, transaction};

/// A connection with a transaction on it.
pub(crate) async fn begin(pool: &Arc<Pool>) -> Result<Pooled, DatabaseError> {
    let mut session = pool.acquire().await?;
    let begin = session.dialect().begin;
    session.run(begin).await?;
    Ok(session)
}

/// Ends the transaction: what succeeded stays, what failed never was.
pub(crate) async fn end<T>(mut session: Pooled, outcome: Result<T, Fault>) -> Result<T, Fault> {
    match outcome {
        Ok(value) => {
            session.run("COMMIT").await.map_err(in_doubt)?;
            session.release();
            Ok(value)
        }
        Err(fault) => {
            if session.run("ROLLBACK").await.is_ok() {
                session.release();
            }
            Err(fault)
        }
    }
}

/// A commit that was not answered may have happened: it must not be run again.
fn in_doubt(error: DatabaseError) -> DatabaseError {
    match error.trouble {
        Trouble::Lost => DatabaseError {
            trouble: Trouble::Unreachable,
            text: format!("whether the change was made is not known: {}", error.text),
            ..error
        },
        _ => error,
    }
}

/// How often a transaction was run.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    conflicts: u32,
    losses: u32,
}

impl Attempts {
    /// The result, or nothing if the transaction is to be run again.
    pub(crate) async fn judge<T>(
        &mut self,
        pool: &Pool,
        outcome: Result<T, Fault>,
    ) -> Option<Result<T, Fault>> {
        match outcome.as_ref().err().and_then(Fault::trouble) {
            Some(Trouble::Conflict) if self.conflicts < CONFLICTS => {
                self.conflicts += 1;
                // Those who met must not meet again: they wait differently long.
                let most = LONGEST_WAIT.min(Duration::from_millis(2 << self.conflicts));
                tokio::time::sleep(most.mul_f64(f64::from(fraction()) / 255.0)).await;
                None
            }
            Some(Trouble::Lost) => {
                pool.forget_idle();
                self.losses += 1;
                (self.losses > LOSSES).then_some(outcome)
            }
            _ => Some(outcome),
        }
    }
}

/// A byte that differs from caller to caller.
fn fraction() -> u8 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}
