//! SPIRE's schema on PostgreSQL, as its object mapper writes it.

use crate::sql::session::Dialect;

/// "finial" and what is locked, as numbers that no other program is likely to take.
pub(super) static DIALECT: Dialect = Dialect {
    name: "postgres",
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
    version: "SHOW server_version",
    has_schema: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA() \
         AND table_name = 'migrations'",
    schema_lock: "SELECT pg_advisory_xact_lock(1718185569, 1)",
    schema_unlock: None,
    admission_lock: "SELECT pg_advisory_xact_lock(1718185569, 2)",
    keep_first: " ON CONFLICT DO NOTHING",
    returning: true,
    notify: Some("NOTIFY finial_changes"),
    tables: &TABLES,
    to_24: r#"ALTER TABLE "attested_node_entries" ADD "agent_version" text"#,
    to_25: r#"ALTER TABLE "registered_entries" ADD "additional_attributes" bytea"#,
    // Microseconds; whoever rounds to seconds sees no difference.
    keeps: |moment| moment,
};

const TABLES: [&str; 30] = [
    r#"CREATE TABLE "federated_registration_entries" ("bundle_id" integer,"registered_entry_id" integer, PRIMARY KEY ("bundle_id","registered_entry_id"))"#,
    r#"CREATE TABLE "bundles" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"trust_domain" text NOT NULL,"data" bytea , PRIMARY KEY ("id"))"#,
    r#"CREATE UNIQUE INDEX uix_bundles_trust_domain ON "bundles"(trust_domain)"#,
    r#"CREATE TABLE "attested_node_entries" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"spiffe_id" text,"data_type" text,"serial_number" text,"expires_at" timestamp with time zone,"new_serial_number" text,"new_expires_at" timestamp with time zone,"can_reattest" boolean,"agent_version" text , PRIMARY KEY ("id"))"#,
    r#"CREATE INDEX idx_attested_node_entries_expires_at ON "attested_node_entries"(expires_at)"#,
    r#"CREATE UNIQUE INDEX uix_attested_node_entries_spiffe_id ON "attested_node_entries"(spiffe_id)"#,
    r#"CREATE TABLE "attested_node_entries_events" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"spiffe_id" text , PRIMARY KEY ("id"))"#,
    r#"CREATE TABLE "node_resolver_map_entries" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"spiffe_id" text,"type" text,"value" text , PRIMARY KEY ("id"))"#,
    r#"CREATE UNIQUE INDEX idx_node_resolver_map ON "node_resolver_map_entries"(spiffe_id, "type", "value")"#,
    r#"CREATE TABLE "registered_entries" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"entry_id" text,"spiffe_id" text,"parent_id" text,"ttl" integer,"admin" boolean,"downstream" boolean,"expiry" bigint,"revision_number" bigint,"store_svid" boolean,"hint" text,"jwt_svid_ttl" integer,"additional_attributes" bytea , PRIMARY KEY ("id"))"#,
    r#"CREATE INDEX idx_registered_entries_spiffe_id ON "registered_entries"(spiffe_id)"#,
    r#"CREATE INDEX idx_registered_entries_parent_id ON "registered_entries"(parent_id)"#,
    r#"CREATE INDEX idx_registered_entries_expiry ON "registered_entries"("expiry")"#,
    r#"CREATE INDEX idx_registered_entries_hint ON "registered_entries"("hint")"#,
    r#"CREATE UNIQUE INDEX uix_registered_entries_entry_id ON "registered_entries"(entry_id)"#,
    r#"CREATE TABLE "registered_entries_events" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"entry_id" text , PRIMARY KEY ("id"))"#,
    r#"CREATE TABLE "join_tokens" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"token" text,"expiry" bigint , PRIMARY KEY ("id"))"#,
    r#"CREATE UNIQUE INDEX uix_join_tokens_token ON "join_tokens"("token")"#,
    r#"CREATE TABLE "selectors" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"registered_entry_id" integer,"type" text,"value" text , PRIMARY KEY ("id"))"#,
    r#"CREATE INDEX idx_selectors_type_value ON "selectors"("type", "value")"#,
    r#"CREATE UNIQUE INDEX idx_selector_entry ON "selectors"(registered_entry_id, "type", "value")"#,
    r#"CREATE TABLE "migrations" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"version" integer,"code_version" text , PRIMARY KEY ("id"))"#,
    r#"CREATE TABLE "dns_names" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"registered_entry_id" integer,"value" text , PRIMARY KEY ("id"))"#,
    r#"CREATE UNIQUE INDEX idx_dns_entry ON "dns_names"(registered_entry_id, "value")"#,
    r#"CREATE TABLE "federated_trust_domains" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"trust_domain" text NOT NULL,"bundle_endpoint_url" text,"bundle_endpoint_profile" text,"endpoint_spiffe_id" text,"implicit" boolean , PRIMARY KEY ("id"))"#,
    r#"CREATE UNIQUE INDEX uix_federated_trust_domains_trust_domain ON "federated_trust_domains"(trust_domain)"#,
    r#"CREATE TABLE "ca_journals" ("id" serial,"created_at" timestamp with time zone,"updated_at" timestamp with time zone,"data" bytea,"active_x509_authority_id" text,"active_jwt_authority_id" text , PRIMARY KEY ("id"))"#,
    r#"CREATE INDEX idx_ca_journals_active_x509_authority_id ON "ca_journals"(active_x509_authority_id)"#,
    r#"CREATE INDEX idx_ca_journals_active_jwt_authority_id ON "ca_journals"(active_jwt_authority_id)"#,
    r#"CREATE INDEX idx_federated_registration_entries_registered_entry_id ON "federated_registration_entries"(registered_entry_id)"#,
];
