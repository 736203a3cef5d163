//! Keys of plugins.

use super::Status::{Accepted, Refused, Works};
use super::{Group, key, under};

pub(super) const BLOCK: Group = Group {
    title: "plugins",
    text: "`plugins { <Type> \"<name>\" { … } }`. Plugins that this version has not are refused with a list of those \
           that it has.",
    parts: &[under(
        "plugins.<Type>.<name>",
        &[
            key("enabled", "bool", "true", Works, "`false`: as if it were not there."),
            key("plugin_data", "block", "", Works, "The plugin's own keys."),
            key(
                "plugin_data_file",
                "path",
                "",
                Works,
                "A file with them; not together with `plugin_data`. It is read at the start.",
            ),
            key("plugin_cmd", "path", "", Refused, "An external plugin."),
            key("plugin_args", "list of texts", "", Accepted, "See `plugin_cmd`."),
            key("plugin_checksum", "text", "", Accepted, "See `plugin_cmd`."),
        ],
    )],
};

pub(super) const SERVER: Group = Group {
    title: "plugins of the server",
    text: "Exactly one `DataStore` (`sql`), exactly one `KeyManager` (`disk` or `memory`), any number of \
           `NodeAttestor`s (`join_token`, which has no keys, and `x509pop`), at most one `UpstreamAuthority` (`disk` \
           or `spire`).",
    parts: &[
        under(
            "plugins.DataStore.sql.plugin_data",
            &[
                key(
                    "database_type",
                    "`sqlite3`, `postgres`, `mysql`",
                    "",
                    Works,
                    "PostgreSQL 15 or newer, MySQL 8 or newer, MariaDB 10.5 or newer. `aws_postgres` and `aws_mysql` \
                     are refused. Required.",
                ),
                key(
                    "connection_string",
                    "text",
                    "",
                    Works,
                    "sqlite3: a path or a `file:` URI. postgres: `dbname=… user=… password=… host=… sslmode=…` or \
                     `postgres://…`. mysql: `user:password@tcp(host:port)/name?parseTime=true`. Required.",
                ),
                key(
                    "ro_connection_string",
                    "text",
                    "",
                    Works,
                    "A copy of the database from which entries and agents are listed while it is level with the \
                     primary. Not for sqlite3.",
                ),
                key(
                    "root_ca_path",
                    "path",
                    "",
                    Works,
                    "The only authorities that may have issued the database's certificate. Only for mysql; postgres \
                     has `sslrootcert` in `connection_string`.",
                ),
                key(
                    "client_cert_path",
                    "path",
                    "",
                    Works,
                    "The certificate that is shown to the database. Only for mysql; postgres has `sslcert`.",
                ),
                key("client_key_path", "path", "", Works, "Its key. Only for mysql; postgres has `sslkey`."),
                key(
                    "max_open_conns",
                    "number",
                    "100",
                    Works,
                    "The most connections at once; 0 has no limit. Not for sqlite3.",
                ),
                key(
                    "max_idle_conns",
                    "number",
                    "100",
                    Works,
                    "The most connections that are kept while they are not used, for 30 s. Not for sqlite3.",
                ),
                key(
                    "conn_max_lifetime",
                    "duration",
                    "",
                    Works,
                    "The age at which a connection is closed. Not for sqlite3.",
                ),
                key(
                    "disable_migration",
                    "bool",
                    "false",
                    Works,
                    "Refuse a database of an older version instead of bringing it up to date.",
                ),
                key(
                    "log_sql",
                    "bool",
                    "false",
                    Works,
                    "Log every statement, without its values. Not for sqlite3.",
                ),
            ],
        ),
        under(
            "plugins.KeyManager.disk.plugin_data",
            &[key("keys_path", "path", "", Works, "The file of keys; its directory must exist. Required.")],
        ),
        under(
            "plugins.NodeAttestor.x509pop.plugin_data",
            &[
                key(
                    "mode",
                    "`external_pki`, `spiffe`",
                    "external_pki",
                    Works,
                    "Trust the authorities of `ca_bundle_path`, or those of this server.",
                ),
                key(
                    "ca_bundle_path",
                    "path",
                    "",
                    Works,
                    "Authorities in PEM; required in mode `external_pki`.",
                ),
                key("ca_bundle_paths", "list of paths", "", Works, "Several files instead of one."),
                key(
                    "spiffe_prefix",
                    "text",
                    "/spire-exchange/",
                    Works,
                    "In mode `spiffe`: paths of SVIDs that may be exchanged for an agent's.",
                ),
                key(
                    "agent_path_template",
                    "template",
                    "",
                    Works,
                    "What follows `/spire/agent` in an agent's ID.",
                ),
                key("max_intermediates", "number", "4", Works, "The longest chain."),
                key("max_rsa_key_size", "number", "8192", Works, "The longest RSA key, in bits."),
                key(
                    "verify_client_ip",
                    "bool",
                    "false",
                    Works,
                    "The agent's address must be in its certificate.",
                ),
            ],
        ),
        under(
            "plugins.UpstreamAuthority.disk.plugin_data",
            &[
                key(
                    "cert_file_path",
                    "path",
                    "",
                    Works,
                    "The certificate in PEM; what leads from it to a root may follow. Read for every authority \
                     that is signed. Required.",
                ),
                key("key_file_path", "path", "", Works, "Its key. Required."),
                key(
                    "bundle_file_path",
                    "path",
                    "",
                    Works,
                    "The roots in PEM; without it the certificate must be its own root.",
                ),
            ],
        ),
        under(
            "plugins.UpstreamAuthority.spire.plugin_data",
            &[
                key("server_address", "host", "", Works, "The server above. Required."),
                key("server_port", "number", "", Works, "Its port. Required."),
                key(
                    "workload_api_socket",
                    "path",
                    "",
                    Works,
                    "The Workload API of an agent of the server above. Required.",
                ),
                key(
                    "experimental.require_pq_kem",
                    "bool",
                    "false",
                    Works,
                    "Take only post-quantum key exchanges.",
                ),
                key("experimental.workload_api_named_pipe_name", "text", "", Refused, "For Windows."),
            ],
        ),
    ],
};

pub(super) const AGENT: Group = Group {
    title: "plugins of the agent",
    text: "Exactly one `KeyManager` (`disk` or `memory`), exactly one `NodeAttestor` (`join_token`, which has no keys, \
           or `x509pop`), at least one `WorkloadAttestor` (`unix`).",
    parts: &[
        under(
            "plugins.KeyManager.disk.plugin_data",
            &[key(
                "directory",
                "path",
                "",
                Works,
                "Where `keys.json` lives; made if it is not there. Required.",
            )],
        ),
        under(
            "plugins.NodeAttestor.x509pop.plugin_data",
            &[
                key("private_key_path", "path", "", Works, "The key in PEM. Required."),
                key(
                    "certificate_path",
                    "path",
                    "",
                    Works,
                    "The certificate in PEM, intermediates may follow. Required.",
                ),
                key("intermediates_path", "path", "", Works, "Further intermediates."),
                key(
                    "spiffe_endpoint_socket",
                    "address",
                    "",
                    Refused,
                    "Take key and certificate from a Workload API.",
                ),
            ],
        ),
        under(
            "plugins.WorkloadAttestor.unix.plugin_data",
            &[
                key(
                    "discover_workload_path",
                    "bool",
                    "false",
                    Works,
                    "Also find the executable: selectors `path` and `sha256`.",
                ),
                key(
                    "workload_size_limit",
                    "number",
                    "0",
                    Works,
                    "The longest executable that is hashed, in bytes; 0 has no limit, a negative number hashes nothing.",
                ),
            ],
        ),
    ],
};
