//! Keys of the server.

use super::Status::{NoEffect, Refused, Works};
use super::{Group, key, shared, under};

pub(super) const SERVER: Group = Group {
    title: "server",
    text: "",
    parts: &[
        under(
            "server",
            &[
                key("trust_domain", "text", "", Works, "Whose server this is. Required."),
                key(
                    "data_dir",
                    "path",
                    "",
                    Works,
                    "Where the server keeps what it needs; made if it is not there. Required.",
                ),
                key("bind_address", "host or IP", "0.0.0.0", Works, "Where agents connect."),
                key("bind_port", "number", "8081", Works, "The port of it."),
                key(
                    "socket_path",
                    "path",
                    "/tmp/spire-server/private/api.sock",
                    Works,
                    "The Unix socket on which the operator administers the server.",
                ),
                key(
                    "admin_ids",
                    "list of SPIFFE IDs",
                    "[]",
                    Works,
                    "Who may administer besides those whose entry says so; also IDs of other trust domains.",
                ),
                key(
                    "ca_ttl",
                    "duration",
                    "24h",
                    Works,
                    "Lifetime of signing authorities. An SVID is sure to get a sixth of it, and at most 7 days.",
                ),
                key(
                    "ca_key_type",
                    "`rsa-2048`, `rsa-4096`, `ec-p256`, `ec-p384`",
                    "ec-p256",
                    Works,
                    "Keys of X.509 authorities.",
                ),
                key(
                    "jwt_key_type",
                    "as `ca_key_type`",
                    "that of ca_key_type",
                    Works,
                    "Keys that sign JWT-SVIDs.",
                ),
                key("jwt_issuer", "text", "", Works, "The claim `iss` of JWT-SVIDs."),
                key("disable_jwt_svids", "bool", "false", Works, "No JWT-SVIDs, and no keys for them."),
                key(
                    "default_x509_svid_ttl",
                    "duration",
                    "1h",
                    Works,
                    "Lifetime of X509-SVIDs whose entry says nothing.",
                ),
                key(
                    "default_jwt_svid_ttl",
                    "duration",
                    "5m",
                    Works,
                    "Lifetime of JWT-SVIDs whose entry says nothing.",
                ),
                key(
                    "agent_ttl",
                    "duration",
                    "that of default_x509_svid_ttl",
                    Works,
                    "Lifetime of agents' SVIDs.",
                ),
                key(
                    "prune_attested_nodes_expired_for",
                    "duration",
                    "",
                    Works,
                    "Forget agents whose SVID ended so long ago. Off unless given.",
                ),
                key(
                    "prune_attested_nodes_batch_size",
                    "number",
                    "1000",
                    Works,
                    "How many of them at a time.",
                ),
                key(
                    "prune_tofu_nodes",
                    "bool",
                    "false",
                    Works,
                    "Also those that can never come back because they were trusted on first use.",
                ),
            ],
        ),
        under("server", shared::LOG),
        under(
            "server",
            &[
                key(
                    "audit_log_enabled",
                    "bool",
                    "false",
                    Works,
                    "Each call is told in the log, with SPIRE's fields.",
                ),
                key(
                    "max_attested_node_info_staleness",
                    "duration",
                    "",
                    NoEffect,
                    "How old knowledge of agents may be: it is never old here.",
                ),
                key(
                    "proxy_protocol_trusted_cidrs",
                    "list of CIDRs",
                    "[]",
                    Refused,
                    "From where the PROXY protocol is taken.",
                ),
            ],
        ),
        under("server", shared::PROFILING),
    ],
};

pub(super) const SUBJECT_AND_LIMITS: Group = Group {
    title: "server.ca_subject and server.ratelimit",
    text: "",
    parts: &[under(
        "server",
        &[
            key(
                "ca_subject.country",
                "list of texts",
                "US",
                Works,
                "Subject of X.509 authorities. The defaults hold if none of the three is given.",
            ),
            key("ca_subject.organization", "list of texts", "SPIFFE", Works, "As above."),
            key("ca_subject.common_name", "text", "", Works, "As above."),
            key(
                "ratelimit.attestation",
                "bool",
                "true",
                Works,
                "Limit attestations to one per second and address.",
            ),
            key(
                "ratelimit.signing",
                "bool",
                "true",
                Works,
                "Limit signatures to 500 per second and address, for each kind.",
            ),
        ],
    )],
};

pub(super) const FEDERATION: Group = Group {
    title: "server.federation",
    text: "How federation works is told in [federation.md](../federation.md).",
    parts: &[under(
        "server.federation",
        &[
            key(
                "bundle_endpoint.address",
                "IP",
                "0.0.0.0",
                Works,
                "Where the own bundle is served to other trust domains. It is not served without the block.",
            ),
            key("bundle_endpoint.port", "number", "", Works, "The port of it. Required."),
            key(
                "bundle_endpoint.refresh_hint",
                "duration",
                "5m",
                Works,
                "What others are told of how often to look; they look four times in this time.",
            ),
            key(
                "bundle_endpoint.profile",
                "one block: `\"https_spiffe\" {}` or `\"https_web\" { serving_cert_file { … } }`",
                "https_spiffe, with a warning",
                Works,
                "What the endpoint shows: the server's own SVID, or a certificate for the web.",
            ),
            key(
                "bundle_endpoint.profile.https_web.serving_cert_file.cert_file_path",
                "path",
                "",
                Works,
                "Certificates in PEM, leaf first. Required.",
            ),
            key(
                "bundle_endpoint.profile.https_web.serving_cert_file.key_file_path",
                "path",
                "",
                Works,
                "Their key in PEM. Required.",
            ),
            key(
                "bundle_endpoint.profile.https_web.serving_cert_file.file_sync_interval",
                "duration",
                "1h",
                Works,
                "How often both files are read again.",
            ),
            key(
                "bundle_endpoint.profile.https_web.acme",
                "block",
                "",
                Refused,
                "Certificates by ACME. Use `serving_cert_file` with files that an ACME client renews.",
            ),
            key(
                "bundle_endpoint.acme",
                "block",
                "",
                Refused,
                "The old place of `profile \"https_web\" { acme {} }`.",
            ),
            key(
                "federates_with",
                "labelled blocks",
                "",
                Works,
                "Whose bundles are fetched, one block for each trust domain. They override relationships that were made \
             with `federation create`.",
            ),
            key(
                "federates_with.<trust domain>.bundle_endpoint_url",
                "URL",
                "",
                Works,
                "Where the bundle of that trust domain is: `https`, without user information. Required.",
            ),
            key(
                "federates_with.<trust domain>.bundle_endpoint_profile",
                "one block: `\"https_spiffe\" { endpoint_spiffe_id = … }` or `\"https_web\" {}`",
                "",
                Works,
                "How that endpoint proves who it is. Required.",
            ),
            key(
                "federates_with.<trust domain>.bundle_endpoint_profile.https_spiffe.endpoint_spiffe_id",
                "SPIFFE ID",
                "",
                Works,
                "Whose SVID that endpoint must show; the bundle of its trust domain must be stored already.",
            ),
        ],
    )],
};

pub(super) const EXPERIMENTAL: Group = Group {
    title: "server.experimental",
    text: "Unknown keys are warned of, as everywhere where SPIRE lets them pass.",
    parts: &[
        under(
            "server.experimental",
            &[key(
                "agent_spiffe_id_as_selector",
                "bool",
                "false",
                Works,
                "Each agent also has the selector `spiffe_id:<its ID>`.",
            )],
        ),
        under("server.experimental", shared::EXPERIMENTAL),
        under(
            "server.experimental",
            &[
                key(
                    "audit_log_file",
                    "path",
                    "",
                    Works,
                    "Each call is told in a file of chained JSON lines, too; SPIRE passes over the key.",
                ),
                key(
                    "prune_events_older_than",
                    "duration",
                    "12h",
                    Works,
                    "For how long the change feed is kept.",
                ),
                key(
                    "cache_reload_interval",
                    "duration",
                    "",
                    NoEffect,
                    "The index of entries is in memory and always up to date.",
                ),
                key("full_cache_reload_interval", "duration", "", NoEffect, "As above."),
                key("events_based_cache", "bool", "", NoEffect, "As above."),
                key("event_timeout", "duration", "", NoEffect, "As above."),
                key(
                    "sql_transaction_timeout",
                    "duration",
                    "",
                    NoEffect,
                    "The old name of `event_timeout`; only one of them may be given.",
                ),
                key("wit_key_type", "text", "", NoEffect, "WIT-SVIDs are not available in this version."),
                key("wit_issuer", "text", "", NoEffect, "As above."),
                key(
                    "auth_opa_policy_engine",
                    "block",
                    "",
                    Refused,
                    "A policy of your own about who may call what. The built-in one is SPIRE's.",
                ),
            ],
        ),
    ],
};
