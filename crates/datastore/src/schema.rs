//! SPIRE's tables and indices, and the way from an older schema to the one in use.
//!
//! The texts are what SPIRE's object mapper writes, to the letter, so that a database made here and one
//! made by SPIRE cannot be told apart. Runs once when a store opens, in one transaction.

use crate::sqlite::Fault;
use crate::time::DateTime;
use finial_identity::Code;
use finial_plugin::datastore::StoreError;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::time::SystemTime;

/// The schema that this code reads and writes.
pub(crate) const LATEST: i64 = 25;
/// The oldest schema that is brought up to [`LATEST`] here.
const OLDEST: i64 = 23;
/// The SPIRE release whose store this one equals, as the `migrations` row names it.
const CODE_VERSION: &str = "1.16.0";

/// Everything that a new database has, in the order in which SPIRE makes it.
const TABLES: [&str; 30] = [
    r#"CREATE TABLE "federated_registration_entries" ("bundle_id" integer,"registered_entry_id" integer, PRIMARY KEY ("bundle_id","registered_entry_id"))"#,
    r#"CREATE TABLE "bundles" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"trust_domain" varchar(255) NOT NULL,"data" blob )"#,
    r#"CREATE UNIQUE INDEX uix_bundles_trust_domain ON "bundles"(trust_domain) "#,
    r#"CREATE TABLE "attested_node_entries" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"spiffe_id" varchar(255),"data_type" varchar(255),"serial_number" varchar(255),"expires_at" datetime,"new_serial_number" varchar(255),"new_expires_at" datetime,"can_reattest" bool,"agent_version" varchar(255) )"#,
    r#"CREATE INDEX idx_attested_node_entries_expires_at ON "attested_node_entries"(expires_at) "#,
    r#"CREATE UNIQUE INDEX uix_attested_node_entries_spiffe_id ON "attested_node_entries"(spiffe_id) "#,
    r#"CREATE TABLE "attested_node_entries_events" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"spiffe_id" varchar(255) )"#,
    r#"CREATE TABLE "node_resolver_map_entries" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"spiffe_id" varchar(255),"type" varchar(255),"value" varchar(255) )"#,
    r#"CREATE UNIQUE INDEX idx_node_resolver_map ON "node_resolver_map_entries"(spiffe_id, "type", "value") "#,
    r#"CREATE TABLE "registered_entries" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"entry_id" varchar(255),"spiffe_id" varchar(255),"parent_id" varchar(255),"ttl" integer,"admin" bool,"downstream" bool,"expiry" bigint,"revision_number" bigint,"store_svid" bool,"hint" varchar(255),"jwt_svid_ttl" integer,"additional_attributes" blob )"#,
    r#"CREATE INDEX idx_registered_entries_spiffe_id ON "registered_entries"(spiffe_id) "#,
    r#"CREATE INDEX idx_registered_entries_parent_id ON "registered_entries"(parent_id) "#,
    r#"CREATE INDEX idx_registered_entries_expiry ON "registered_entries"("expiry") "#,
    r#"CREATE INDEX idx_registered_entries_hint ON "registered_entries"("hint") "#,
    r#"CREATE UNIQUE INDEX uix_registered_entries_entry_id ON "registered_entries"(entry_id) "#,
    r#"CREATE TABLE "registered_entries_events" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"entry_id" varchar(255) )"#,
    r#"CREATE TABLE "join_tokens" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"token" varchar(255),"expiry" bigint )"#,
    r#"CREATE UNIQUE INDEX uix_join_tokens_token ON "join_tokens"("token") "#,
    r#"CREATE TABLE "selectors" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"registered_entry_id" integer,"type" varchar(255),"value" varchar(255) )"#,
    r#"CREATE INDEX idx_selectors_type_value ON "selectors"("type", "value") "#,
    r#"CREATE UNIQUE INDEX idx_selector_entry ON "selectors"(registered_entry_id, "type", "value") "#,
    r#"CREATE TABLE "migrations" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"version" integer,"code_version" varchar(255) )"#,
    r#"CREATE TABLE "dns_names" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"registered_entry_id" integer,"value" varchar(255) )"#,
    r#"CREATE UNIQUE INDEX idx_dns_entry ON "dns_names"(registered_entry_id, "value") "#,
    r#"CREATE TABLE "federated_trust_domains" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"trust_domain" varchar(255) NOT NULL,"bundle_endpoint_url" varchar(255),"bundle_endpoint_profile" varchar(255),"endpoint_spiffe_id" varchar(255),"implicit" bool )"#,
    r#"CREATE UNIQUE INDEX uix_federated_trust_domains_trust_domain ON "federated_trust_domains"(trust_domain) "#,
    r#"CREATE TABLE "ca_journals" ("id" integer primary key autoincrement,"created_at" datetime,"updated_at" datetime,"data" blob,"active_x509_authority_id" varchar(255),"active_jwt_authority_id" varchar(255) )"#,
    r#"CREATE INDEX idx_ca_journals_active_x509_authority_id ON "ca_journals"(active_x509_authority_id) "#,
    r#"CREATE INDEX idx_ca_journals_active_jwt_authority_id ON "ca_journals"(active_jwt_authority_id) "#,
    r#"CREATE INDEX idx_federated_registration_entries_registered_entry_id ON "federated_registration_entries"(registered_entry_id) "#,
];

/// Makes the schema of an opened database the one in use, or says why it cannot be.
pub(crate) fn prepare(
    connection: &mut Connection,
    policy: MigrationPolicy,
    now: SystemTime,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let exists = transaction
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'", [], |_| Ok(()))
        .optional()?;
    if exists.is_none() {
        create(&transaction, now)?;
        transaction.commit()?;
        return Ok(());
    }
    let stored = StoredVersion::read(&transaction)?;
    match stored.schema {
        LATEST => {}
        newer if newer > LATEST => stored.tolerate_newer()?,
        older if older < OLDEST => return Err(stored.too_old()),
        _ if policy == MigrationPolicy::Refuse => {
            return Err(refused("auto-migration must be enabled for current DB".to_owned()));
        }
        older => migrate(&transaction, older, now)?,
    }
    transaction.commit()?;
    Ok(())
}

/// Whether an older schema may be brought up to date (`disable_migration` of SPIRE's configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MigrationPolicy {
    /// Migrate when the store opens.
    #[default]
    Migrate,
    /// Do not open a database that would have to be migrated.
    Refuse,
}

fn create(transaction: &Transaction<'_>, now: SystemTime) -> Result<(), Fault> {
    tracing::info!("Initializing new database");
    for statement in TABLES {
        transaction.execute_batch(statement)?;
    }
    let now = DateTime::from(now);
    transaction.execute(
        "INSERT INTO migrations (created_at, updated_at, version, code_version) VALUES (?1, ?1, ?2, ?3)",
        (now, LATEST, CODE_VERSION),
    )?;
    Ok(())
}

fn migrate(transaction: &Transaction<'_>, from: i64, now: SystemTime) -> Result<(), Fault> {
    tracing::info!(schema = from, "Running migrations...");
    if from < 24 {
        transaction
            .execute_batch(r#"ALTER TABLE "attested_node_entries" ADD "agent_version" varchar(255)"#)?;
    }
    if from < 25 {
        transaction.execute_batch(r#"ALTER TABLE "registered_entries" ADD "additional_attributes" blob"#)?;
    }
    transaction.execute(
        "UPDATE migrations SET version = ?1, code_version = ?2, updated_at = ?3",
        (LATEST, CODE_VERSION, DateTime::from(now)),
    )?;
    tracing::info!("Done running migrations");
    Ok(())
}

/// The row of `migrations`.
struct StoredVersion {
    schema: i64,
    code: String,
}

impl StoredVersion {
    fn read(transaction: &Transaction<'_>) -> Result<Self, Fault> {
        let sql =
            "SELECT COALESCE(version, 0), COALESCE(code_version, '') FROM migrations ORDER BY id LIMIT 1";
        let row = transaction
            .query_row(sql, [], |row| Ok(Self { schema: row.get(0)?, code: row.get(1)? }))
            .optional()?;
        Ok(row.unwrap_or(Self { schema: 0, code: String::new() }))
    }

    /// A database that a newer server of the same cluster has migrated already may be used as long as
    /// that server is at most one minor release ahead.
    fn tolerate_newer(&self) -> Result<(), Fault> {
        let ours = minor_release(CODE_VERSION);
        let near = match (ours, minor_release(&self.code)) {
            (Some((our_major, our_minor)), Some((major, minor))) => {
                our_major == major && our_minor.abs_diff(minor) <= 1
            }
            _ => false,
        };
        if near {
            tracing::warn!(
                schema = self.schema,
                version_info = self.code,
                "DB schema is ahead of code version, upgrading SPIRE Server is recommended"
            );
            return Ok(());
        }
        Err(refused(format!(
            "incompatible DB schema and code version: the database has schema version {} of SPIRE {:?}, this \
             server knows schema version {LATEST} of SPIRE {CODE_VERSION}; use a newer release of this server",
            self.schema, self.code
        )))
    }

    fn too_old(&self) -> Fault {
        refused(format!(
            "migrating from schema version {} requires a previous SPIRE release; please follow the upgrade \
             strategy at doc/upgrading.md: let SPIRE upgrade this database to schema version {OLDEST} or later \
             (SPIRE 1.8 to 1.14), then open it again",
            self.schema
        ))
    }
}

/// Major and minor number of a semantic version; no version at all counts as 0.0.
fn minor_release(version: &str) -> Option<(u64, u64)> {
    if version.is_empty() {
        return Some((0, 0));
    }
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn refused(text: String) -> Fault {
    StoreError::new(Code::FailedPrecondition, format!("datastore-sql: {text}")).into()
}
