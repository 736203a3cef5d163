//! The schema of a database when a store opens: made, migrated, or refused.
//!
//! Under a lock that servers take one after the other, so that of several that start at once one makes the
//! schema and the others find it. MySQL ends a transaction at each statement that changes a schema: a
//! server that dies between two leaves what the next one cannot use, and is told so.

use super::fault::{Fault, Trouble};
use super::session::{Session, Value, first};
use crate::time::DateTime;
use crate::version::{CODE_VERSION, LATEST, MigrationPolicy, StoredVersion, Verdict};
use std::time::SystemTime;

const VERSION: &str = "SELECT version, code_version FROM migrations ORDER BY id LIMIT 1";
const INSERT: &str =
    "INSERT INTO migrations (created_at, updated_at, version, code_version) VALUES (?, ?, ?, ?)";
const UPDATE: &str = "UPDATE migrations SET version = ?, code_version = ?, updated_at = ?";

/// Makes the schema of a database the one in use, or says why it cannot be.
pub(super) async fn prepare(
    db: &mut dyn Session,
    policy: MigrationPolicy,
    now: SystemTime,
) -> Result<(), Fault> {
    let dialect = db.dialect();
    db.query(dialect.schema_lock, &[]).await?;
    let outcome = prepare_locked(db, policy, now.into()).await;
    if let Some(unlock) = dialect.schema_unlock {
        db.query(unlock, &[]).await?;
    }
    outcome
}

async fn prepare_locked(db: &mut dyn Session, policy: MigrationPolicy, now: DateTime) -> Result<(), Fault> {
    let dialect = db.dialect();
    let exists = match first(db, dialect.has_schema, &[]).await? {
        Some(mut row) => row.int()? > 0,
        None => false,
    };
    if !exists {
        return create(db, (dialect.keeps)(now)).await;
    }
    let stored = match first(db, VERSION, &[]).await? {
        Some(mut row) => StoredVersion { schema: row.int()?, code: row.text()? },
        None => StoredVersion { schema: 0, code: String::new() },
    };
    match stored.verdict(policy)? {
        Verdict::Current => Ok(()),
        Verdict::Migrate { from } => migrate(db, from, (dialect.keeps)(now)).await,
    }
}

async fn create(db: &mut dyn Session, now: DateTime) -> Result<(), Fault> {
    tracing::info!("Initializing new database");
    for statement in db.dialect().tables {
        db.run(statement).await?;
    }
    let now = Value::Moment(Some(now));
    db.execute(INSERT, &[now, now, Value::Int(LATEST), Value::Text(CODE_VERSION)]).await?;
    Ok(())
}

async fn migrate(db: &mut dyn Session, from: i64, now: DateTime) -> Result<(), Fault> {
    tracing::info!(schema = from, "Running migrations...");
    let dialect = db.dialect();
    let steps = [(24, dialect.to_24), (25, dialect.to_25)];
    for (version, statement) in steps.into_iter().filter(|(version, _)| *version > from) {
        // Where a schema's changes are not part of a transaction one may have been broken off just here.
        match db.run(statement).await {
            Err(error) if error.trouble != Trouble::Duplicate => return Err(error.into()),
            _ => {}
        }
        // Step by step, so that a migration that is broken off goes on where it stopped.
        let values = [Value::Int(version), Value::Text(CODE_VERSION), Value::Moment(Some(now))];
        db.execute(UPDATE, &values).await?;
    }
    tracing::info!("Done running migrations");
    Ok(())
}
