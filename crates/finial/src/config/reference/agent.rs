//! Keys of the agent.

use super::Status::{Accepted, NoEffect, Refused, Works};
use super::{Group, key, shared, under};

pub(super) const AGENT: Group = Group {
    title: "agent",
    text: "",
    parts: &[
        under(
            "agent",
            &[
                key("trust_domain", "text", "", Works, "Whose agent this is. Required."),
                key("server_address", "host or IP", "", Works, "The server. Required."),
                key("server_port", "number", "", Works, "Its port. Required."),
                key(
                    "data_dir",
                    "path",
                    ".",
                    Works,
                    "Where the agent remembers its SVID and bundle; made if it is not there.",
                ),
                key(
                    "socket_path",
                    "path",
                    "/tmp/spire-agent/public/api.sock",
                    Works,
                    "The Unix socket on which workloads ask for their identities.",
                ),
                key(
                    "admin_socket_path",
                    "path",
                    "",
                    Works,
                    "The Unix socket for debugging and log levels; not beside or below `socket_path`. Off unless given.",
                ),
                key(
                    "disable_workload_api",
                    "bool",
                    "false",
                    Works,
                    "No Workload API, and so no public socket.",
                ),
                key("disable_sds_api", "bool", "false", Accepted, "There is no SDS API to disable."),
                key(
                    "join_token",
                    "text",
                    "",
                    Works,
                    "A secret to attest with once, whatever the node attestor. Not together with `join_token_file`.",
                ),
                key("join_token_file", "path", "", Works, "A file with it."),
                key(
                    "workload_x509_svid_key_type",
                    "`rsa-2048`, `ec-p256`, `ec-p384`",
                    "ec-p256",
                    Works,
                    "Keys of workloads.",
                ),
                key(
                    "availability_target",
                    "duration, at least 24h",
                    "",
                    Works,
                    "How much life an SVID must always have left.",
                ),
                key(
                    "x509_svid_cache_max_size",
                    "number",
                    "1000",
                    Works,
                    "How many X509-SVIDs are held for workloads that are not connected.",
                ),
                key("jwt_svid_cache_max_size", "number", "1000", Works, "How many JWT-SVIDs are kept."),
                key(
                    "allow_unauthenticated_verifiers",
                    "bool",
                    "false",
                    Works,
                    "Every local process may fetch the bundle of the own trust domain.",
                ),
                key(
                    "allowed_foreign_jwt_claims",
                    "list of texts",
                    "[]",
                    Works,
                    "Claims of JWT-SVIDs of other trust domains that validators see.",
                ),
                key(
                    "authorized_delegates",
                    "list of SPIFFE IDs",
                    "[]",
                    Refused,
                    "Who may ask on behalf of other workloads.",
                ),
            ],
        ),
        under("agent", shared::LOG),
        under(
            "agent",
            &[key(
                "log_selectors",
                "list of texts",
                "[]",
                Works,
                "Kinds of selectors whose values may be logged.",
            )],
        ),
        under("agent", shared::PROFILING),
    ],
};

pub(super) const TRUST: Group = Group {
    title: "agent: the first trust",
    text: "Exactly one of `trust_bundle_path`, `trust_bundle_url` and `insecure_bootstrap`.",
    parts: &[under(
        "agent",
        &[
            key(
                "trust_bundle_path",
                "path",
                "",
                Works,
                "A file with the bundle of the trust domain, read at each attempt.",
            ),
            key(
                "trust_bundle_url",
                "URL",
                "",
                Works,
                "Where to fetch it: `https://…`, checked against the authorities that the operating system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured, proxies are not); `http://…` together with `trust_bundle_unix_socket`.",
            ),
            key(
                "trust_bundle_unix_socket",
                "path",
                "",
                Works,
                "Fetch the URL through this socket. The service is told about the agent in the query, as by SPIRE.",
            ),
            key("trust_bundle_format", "`pem`, `spiffe`", "pem", Works, "How the bundle is written."),
            key(
                "trust_bundle_spiffe_workload_api",
                "address",
                "",
                Refused,
                "Fetch the bundle from a Workload API.",
            ),
            key(
                "insecure_bootstrap",
                "bool",
                "false",
                Works,
                "Believe the first server that answers. For trying things out only; not together with rebootstrapping.",
            ),
            key(
                "rebootstrap_mode",
                "`never`, `auto`, `always`",
                "never",
                Works,
                "What to do when the server is not one that the known bundle vouches for.",
            ),
            key("rebootstrap_delay", "duration", "10m", Works, "How long that must last."),
        ],
    )],
};

pub(super) const SDS: Group = Group {
    title: "agent.sds",
    text: "Envoy's SDS is not available in this version: the block is warned of.",
    parts: &[under(
        "agent.sds",
        &[
            key("default_svid_name", "text", "", NoEffect, ""),
            key("default_bundle_name", "text", "", NoEffect, ""),
            key("default_all_bundles_name", "text", "", NoEffect, ""),
            key("disable_spiffe_cert_validation", "bool", "", NoEffect, ""),
        ],
    )],
};

pub(super) const EXPERIMENTAL: Group = Group {
    title: "agent.experimental",
    text: "Unknown keys are warned of, as everywhere where SPIRE lets them pass.",
    parts: &[
        under(
            "agent.experimental",
            &[
                key("sync_interval", "duration", "5s", Works, "Between two looks at the server."),
                key(
                    "jwt_svid_cache_hit_timeout",
                    "duration, 5s to 30s",
                    "30s",
                    Works,
                    "How long a caller waits for a fresh JWT-SVID while a valid one is kept.",
                ),
            ],
        ),
        under("agent.experimental", shared::EXPERIMENTAL),
        under(
            "agent.experimental",
            &[
                key(
                    "use_sync_authorized_entries",
                    "bool",
                    "",
                    NoEffect,
                    "The agent asks for changes only, if the server knows how.",
                ),
                key(
                    "ratelimit.fetch_x509_svid",
                    "number",
                    "0",
                    Works,
                    "Calls per second of workloads with the same selectors, and as many at once; 0 is no \
                     limit. Further calls get `Unavailable`.",
                ),
                key("ratelimit.fetch_jwt_svid", "number", "0", Works, "As above."),
                key("ratelimit.fetch_x509_bundles", "number", "0", Works, "As above."),
                key("ratelimit.fetch_jwt_bundles", "number", "0", Works, "As above."),
                key("ratelimit.stream_secrets", "number", "0", NoEffect, "There is no SDS."),
                key("ratelimit.fetch_secrets", "number", "0", NoEffect, "There is no SDS."),
                key("broker", "block", "", Refused, "The SPIFFE Broker API."),
                key("admin_named_pipe_name", "text", "", Refused, "For Windows."),
            ],
        ),
    ],
};
