//! SPIRE's schema on MySQL and MariaDB, as its object mapper makes it.
//!
//! With keys in the statements that make the tables, and `migrations` last: a schema that was broken off
//! when it was made is made again from the start.

use crate::sql::session::Dialect;
use crate::time::DateTime;

/// The name of the lock is that of the database, shortened to what a lock's name may have.
pub(super) static DIALECT: Dialect = Dialect {
    name: "mysql",
    begin: "START TRANSACTION",
    version: "SELECT VERSION()",
    has_schema: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_name = 'migrations'",
    schema_lock: "SELECT GET_LOCK(CONCAT('finial.', MD5(DATABASE())), 60)",
    schema_unlock: Some("SELECT RELEASE_LOCK(CONCAT('finial.', MD5(DATABASE())))"),
    // The only row that everybody has and nobody changes.
    admission_lock: "SELECT id FROM migrations ORDER BY id LIMIT 1 FOR UPDATE",
    keep_first: " ON DUPLICATE KEY UPDATE id = id",
    returning: false,
    notify: None,
    tables: &TABLES,
    to_24: "ALTER TABLE `attested_node_entries` ADD `agent_version` varchar(255)",
    to_25: "ALTER TABLE `registered_entries` ADD `additional_attributes` longblob",
    // Servers cut parts of a second or round them, each as it is set up.
    keeps: DateTime::to_second,
};

macro_rules! table {
    ($name:literal, $columns:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS `",
            $name,
            "` (",
            $columns,
            ") ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8"
        )
    };
}

#[rustfmt::skip]
const TABLES: [&str; 13] = [
    table!("federated_registration_entries", "`bundle_id` int unsigned NOT NULL, `registered_entry_id` int unsigned NOT NULL, PRIMARY KEY (`bundle_id`,`registered_entry_id`), KEY `idx_federated_registration_entries_registered_entry_id` (`registered_entry_id`)"),
    table!("bundles", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `trust_domain` varchar(255) NOT NULL, `data` longblob NULL, PRIMARY KEY (`id`), UNIQUE KEY `uix_bundles_trust_domain` (`trust_domain`)"),
    table!("attested_node_entries", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `spiffe_id` varchar(255) NULL, `data_type` varchar(255) NULL, `serial_number` varchar(255) NULL, `expires_at` datetime NULL, `new_serial_number` varchar(255) NULL, `new_expires_at` datetime NULL, `can_reattest` boolean NULL, `agent_version` varchar(255) NULL, PRIMARY KEY (`id`), UNIQUE KEY `uix_attested_node_entries_spiffe_id` (`spiffe_id`), KEY `idx_attested_node_entries_expires_at` (`expires_at`)"),
    table!("attested_node_entries_events", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `spiffe_id` varchar(255) NULL, PRIMARY KEY (`id`)"),
    table!("node_resolver_map_entries", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `spiffe_id` varchar(255) NULL, `type` varchar(255) NULL, `value` varchar(255) NULL, PRIMARY KEY (`id`), UNIQUE KEY `idx_node_resolver_map` (`spiffe_id`,`type`,`value`)"),
    table!("registered_entries", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `entry_id` varchar(255) NULL, `spiffe_id` varchar(255) NULL, `parent_id` varchar(255) NULL, `ttl` int NULL, `admin` boolean NULL, `downstream` boolean NULL, `expiry` bigint NULL, `revision_number` bigint NULL, `store_svid` boolean NULL, `hint` varchar(255) NULL, `jwt_svid_ttl` int NULL, `additional_attributes` longblob NULL, PRIMARY KEY (`id`), UNIQUE KEY `uix_registered_entries_entry_id` (`entry_id`), KEY `idx_registered_entries_parent_id` (`parent_id`), KEY `idx_registered_entries_expiry` (`expiry`), KEY `idx_registered_entries_hint` (`hint`), KEY `idx_registered_entries_spiffe_id` (`spiffe_id`)"),
    table!("registered_entries_events", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `entry_id` varchar(255) NULL, PRIMARY KEY (`id`)"),
    table!("join_tokens", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `token` varchar(255) NULL, `expiry` bigint NULL, PRIMARY KEY (`id`), UNIQUE KEY `uix_join_tokens_token` (`token`)"),
    table!("selectors", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `registered_entry_id` int unsigned NULL, `type` varchar(255) NULL, `value` varchar(255) NULL, PRIMARY KEY (`id`), UNIQUE KEY `idx_selector_entry` (`registered_entry_id`,`type`,`value`), KEY `idx_selectors_type_value` (`type`,`value`)"),
    table!("dns_names", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `registered_entry_id` int unsigned NULL, `value` varchar(255) NULL, PRIMARY KEY (`id`), UNIQUE KEY `idx_dns_entry` (`registered_entry_id`,`value`)"),
    table!("federated_trust_domains", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `trust_domain` varchar(255) NOT NULL, `bundle_endpoint_url` varchar(255) NULL, `bundle_endpoint_profile` varchar(255) NULL, `endpoint_spiffe_id` varchar(255) NULL, `implicit` boolean NULL, PRIMARY KEY (`id`), UNIQUE KEY `uix_federated_trust_domains_trust_domain` (`trust_domain`)"),
    table!("ca_journals", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `data` longblob NULL, `active_x509_authority_id` varchar(255) NULL, `active_jwt_authority_id` varchar(255) NULL, PRIMARY KEY (`id`), KEY `idx_ca_journals_active_x509_authority_id` (`active_x509_authority_id`), KEY `idx_ca_journals_active_jwt_authority_id` (`active_jwt_authority_id`)"),
    table!("migrations", "`id` int unsigned NOT NULL AUTO_INCREMENT, `created_at` datetime NULL, `updated_at` datetime NULL, `version` int NULL, `code_version` varchar(255) NULL, PRIMARY KEY (`id`)"),
];
