//! The section `agent` and what it comes to.

use super::bootstrap;
use super::flags::AgentFlags;
use super::plugins::{self, AgentPluginChoice, JoinToken};
use super::process::{self, HealthListener, LogFlags, LogSettings};
use super::reader::{Flag, Reader, Setting, Visibility};
use super::server::{read_key_exchange, read_port, read_trust_domain};
use super::telemetry::{self, TelemetrySettings};
use super::{duration, file, path};
use finial_agent::AgentConfig;
use finial_agent::config::{RebootstrapMode, UnauthenticatedVerifiers};
use finial_agent::delivery::RateLimits;
use finial_agent::sync::{JwtCacheOptions, SignOptions};
use finial_identity::{KeyType, SpiffeId, TrustDomain};
use finial_runtime::metrics::Metrics;
use finial_wire::channel::TcpTarget;
use std::path::PathBuf;
use std::time::Duration;

const SOCKET: &str = "/tmp/spire-agent/public/api.sock";
const SYNC_INTERVAL: Duration = Duration::from_secs(5);
const REBOOTSTRAP_DELAY: Duration = Duration::from_secs(10 * 60);
const CACHE_MAX: i64 = 1000;
const AVAILABILITY_MIN: Duration = Duration::from_secs(24 * 60 * 60);
const HIT_TIMEOUT_MIN: Duration = Duration::from_secs(5);
const HIT_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Longest `join_token_file` that is read.
const JOIN_TOKEN_MAX: u64 = 64 << 10;

/// Everything that an agent's file says.
#[derive(Debug)]
pub(crate) struct AgentSettings {
    /// What the agent is told.
    pub(crate) config: AgentConfig,
    /// Which plugins it has.
    pub(crate) plugins: AgentPluginChoice,
    /// A token to attest with, instead of the configured node attestor.
    pub(crate) join_token: Option<JoinToken>,
    /// How it logs.
    pub(crate) log: LogSettings,
    /// Where it tells its health, if anywhere.
    pub(crate) health: Option<HealthListener>,
    /// Where its metrics go.
    pub(crate) telemetry: TelemetrySettings,
}

/// Reads the whole file; nothing if something is wrong. `version` is what the agent reports.
pub(super) fn read(root: &mut Reader<'_>, flags: &AgentFlags) -> Option<AgentSettings> {
    let mut section = root.block("agent");
    let log = LogFlags {
        file: &flags.log_file,
        format: &flags.log_format,
        level: &flags.log_level,
        source_location: flags.log_source_location,
    };
    let log = process::read_log(&mut section, &log);
    let join_token = read_join_token(&mut section, flags);
    let config = read_config(&mut section, flags);
    process::read_profiling(&mut section);
    section.finish("agent");
    let plugins = plugins::read_agent(root);
    let telemetry = telemetry::read(root);
    let health = process::read_health(root);
    Some(AgentSettings { config: config?, plugins: plugins?, join_token, log: log?, health, telemetry })
}

fn read_config(section: &mut Reader<'_>, flags: &AgentFlags) -> Option<AgentConfig> {
    let host = section.text("server_address", Flag::new("serverAddress", &flags.server_address), "");
    let port = section.number("server_port", Some(("serverPort", flags.server_port)), 0);
    let server = read_server(section, &host, &port);
    let trust_domain = read_trust_domain(section, Flag::new("trustDomain", &flags.trust_domain));
    let data_dir = section.text("data_dir", Flag::new("dataDir", &flags.data_dir), ".").value;
    let sockets = read_sockets(section, flags);
    let rebootstrap = bootstrap::read_rebootstrap(section, flags);
    let delay = section.duration(
        "rebootstrap_delay",
        Flag::new("rebootstrapDelay", &flags.rebootstrap_delay),
        "rebootstrap delay duration",
    );
    let first = bootstrap::FirstContact {
        trust_domain: trust_domain.as_ref(),
        server: (&host.value, port.value),
        data_dir: data_dir.as_ref(),
        rebootstrap,
    };
    let bootstrap = bootstrap::read(section, flags, &first);
    let sign = read_sign(section);
    let x509_cache_max = read_size(section, "x509_svid_cache_max_size");
    let jwt_cache_max = read_size(section, "jwt_svid_cache_max_size");
    let verifiers = section.is_set("allow_unauthenticated_verifiers", flags.allow_unauthenticated_verifiers);
    read_sds(section, flags);
    read_delegates(section, trust_domain.as_ref());
    let allowed_foreign_jwt_claims = section.texts("allowed_foreign_jwt_claims").into_iter().collect();
    let log_selectors = section.texts("log_selectors").into_iter().collect();
    let experimental = read_experimental(section);
    Some(AgentConfig {
        trust_domain: trust_domain?,
        server: server?,
        data_dir: data_dir.into(),
        socket_path: sockets.workloads,
        admin_socket_path: sockets.admin,
        bootstrap: bootstrap?,
        rebootstrap: rebootstrap.unwrap_or(RebootstrapMode::Never),
        rebootstrap_delay: delay.unwrap_or(REBOOTSTRAP_DELAY),
        sync_interval: experimental.sync_interval,
        sign,
        x509_cache_max,
        jwt_cache: JwtCacheOptions { max: jwt_cache_max, hit_timeout: experimental.jwt_hit_timeout },
        unauthenticated_verifiers: match verifiers {
            true => UnauthenticatedVerifiers::Allow,
            false => UnauthenticatedVerifiers::Refuse,
        },
        allowed_foreign_jwt_claims,
        authorized_delegates: Vec::new(),
        log_selectors,
        rate_limits: experimental.rate_limits,
        key_exchange: experimental.key_exchange,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        metrics: Metrics::default(),
    })
}

fn read_server(section: &Reader<'_>, host: &Setting<String>, port: &Setting<i64>) -> Option<TcpTarget> {
    if host.value.is_empty() {
        section.problem(host, "server_address must be configured");
    }
    let number = match port.value {
        0 => {
            section.problem(port, "server_port must be configured");
            None
        }
        _ => read_port(section, port),
    };
    if host.value.is_empty() {
        return None;
    }
    let target = section.parsed(host, "server_address", |host| TcpTarget::new(host, number.unwrap_or(1)));
    number.and(target)
}

struct Sockets {
    workloads: Option<PathBuf>,
    admin: Option<PathBuf>,
}

fn read_sockets(section: &mut Reader<'_>, flags: &AgentFlags) -> Sockets {
    let socket = section.text("socket_path", Flag::new("socketPath", &flags.socket_path), SOCKET);
    let is_off = section.is_set("disable_workload_api", flags.disable_workload_api);
    let admin = section.optional_text("admin_socket_path");
    let workloads = (!is_off).then(|| path::absolute(&socket.value));
    let admin_path = admin.as_ref().map(|admin| path::absolute(&admin.value));
    if let (Some(socket), Some(admin), Some(admin_path)) = (&workloads, &admin, &admin_path)
        && path::is_beside_or_below(admin_path, socket)
    {
        section.problem(
            admin,
            "admin socket cannot be in the same directory or a subdirectory as that containing the Workload API socket",
        );
    }
    Sockets { workloads, admin: admin_path }
}

fn read_join_token(section: &mut Reader<'_>, flags: &AgentFlags) -> Option<JoinToken> {
    let token = Flag::new("joinToken", &flags.join_token);
    let token = section.text_seen_by(Visibility::Secret, "join_token", token, "").value;
    let path = section.text("join_token_file", Flag::new("joinTokenFile", &flags.join_token_file), "");
    match (token.is_empty(), path.value.is_empty()) {
        (_, true) => Some(JoinToken(token)).filter(|token| !token.0.is_empty()),
        (false, false) => {
            section.problem(&path, "only one of join_token or join_token_file can be specified, not both");
            None
        }
        (true, false) => {
            let text = finial_runtime::files::read_text_bounded(path.value.as_ref(), JOIN_TOKEN_MAX);
            match text.as_deref().map(str::trim) {
                Ok("") => section.problem(&path, "join token file is empty"),
                Ok(token) => return Some(JoinToken(token.to_owned())),
                Err(error) => {
                    let path_text = &path.value;
                    let why = file::cause_in_go_words(error);
                    section.problem(
                        &path,
                        format!("unable to read join token file {path_text:?}: open {path_text}: {why}"),
                    );
                }
            }
            None
        }
    }
}

fn read_sign(section: &mut Reader<'_>) -> SignOptions {
    let key_type = section.text("workload_x509_svid_key_type", Flag::NONE, "ec-p256");
    let known = KeyType::parse(&key_type.value).filter(|known| *known != KeyType::Rsa4096);
    if known.is_none() {
        let message =
            format!("key type {:?} is unknown; must be one of [rsa-2048, ec-p256, ec-p384]", key_type.value);
        section.problem(&key_type, message);
    }
    let target = section.duration("availability_target", Flag::NONE, "availability_target");
    if target.is_some_and(|target| target < AVAILABILITY_MIN) {
        let least = duration::shown(AVAILABILITY_MIN);
        section.problem_at("availability_target", format!("availability_target must be at least {least}"));
    }
    SignOptions { key_type: known.unwrap_or(KeyType::EcP256), availability_target: target }
}

fn read_size(section: &mut Reader<'_>, key: &'static str) -> usize {
    let size = section.number(key, None, CACHE_MAX);
    usize::try_from(size.value).unwrap_or_else(|_| {
        section.problem(&size, format!("{key} should not be negative"));
        0
    })
}

const NO_SDS: &str = "Envoy's SDS is not available in this version";

fn read_sds(section: &mut Reader<'_>, flags: &AgentFlags) {
    section.is_set("disable_sds_api", flags.disable_sds_api);
    if section.has("sds") {
        section.warn_at("sds", format!("has no effect: {NO_SDS}"));
    }
    let mut sds = section.block("sds");
    sds.accept(&[
        "default_svid_name",
        "default_bundle_name",
        "default_all_bundles_name",
        "disable_spiffe_cert_validation",
    ]);
    sds.finish_with_warnings();
}

/// Delegates wait for an API that is not there yet.
fn read_delegates(section: &mut Reader<'_>, trust_domain: Option<&TrustDomain>) {
    let delegates = section.texts("authorized_delegates");
    for delegate in &delegates {
        let checked = SpiffeId::parse(delegate).map_err(|error| error.to_string()).and_then(|id| {
            trust_domain.map_or(Ok(()), |own| own.require_member(&id).map_err(|error| error.to_string()))
        });
        if let Err(error) = checked {
            section
                .problem_at("authorized_delegates", format!("error validating authorized delegate: {error}"));
        }
    }
    if !delegates.is_empty() {
        section.problem_at(
            "authorized_delegates",
            "the Delegated Identity API is not available in this version; remove authorized_delegates",
        );
    }
}

struct Experimental {
    sync_interval: Duration,
    jwt_hit_timeout: Duration,
    rate_limits: RateLimits,
    key_exchange: finial_wire::tls::KeyExchange,
}

fn read_experimental(section: &mut Reader<'_>) -> Experimental {
    let mut experimental = section.block("experimental");
    let sync_interval = experimental.duration("sync_interval", Flag::NONE, "synchronization interval");
    let jwt_hit_timeout = read_hit_timeout(&mut experimental);
    experimental.without_effect(
        &["use_sync_authorized_entries"],
        "the agent asks for changes only, and for everything from a server that does not know how",
    );
    for (key, instead) in [("named_pipe_name", "socket_path"), ("admin_named_pipe_name", "admin_socket_path")]
    {
        let why = format!(
            "invalid configuration: {key} is not supported in this platform; please use {instead} instead"
        );
        experimental.refused(&[key], &why);
    }
    experimental
        .refused(&["broker"], "the SPIFFE Broker API is not available in this version; remove broker");
    let rate_limits = read_limits(&mut experimental);
    process::read_feature_flags(&mut experimental);
    let settings = Experimental {
        sync_interval: sync_interval.filter(|interval| !interval.is_zero()).unwrap_or(SYNC_INTERVAL),
        jwt_hit_timeout,
        rate_limits,
        key_exchange: read_key_exchange(&mut experimental),
    };
    experimental.finish_with_warnings();
    settings
}

fn read_hit_timeout(experimental: &mut Reader<'_>) -> Duration {
    const KEY: &str = "jwt_svid_cache_hit_timeout";
    let Some(timeout) = experimental.duration(KEY, Flag::NONE, KEY) else { return HIT_TIMEOUT_MAX };
    let wrong = if timeout < HIT_TIMEOUT_MIN {
        Some(("greater", HIT_TIMEOUT_MIN))
    } else if timeout >= HIT_TIMEOUT_MAX {
        Some(("less", HIT_TIMEOUT_MAX))
    } else {
        None
    };
    if let Some((which, limit)) = wrong {
        let (given, limit) = (duration::shown(timeout), duration::shown(limit));
        experimental.problem_at(KEY, format!("{KEY} ({given}) must be {which} than {limit}"));
    }
    timeout
}

fn read_limits(experimental: &mut Reader<'_>) -> RateLimits {
    let mut limits = experimental.block("ratelimit");
    let read = RateLimits {
        fetch_x509_svid: read_limit(&mut limits, "fetch_x509_svid"),
        fetch_jwt_svid: read_limit(&mut limits, "fetch_jwt_svid"),
        fetch_x509_bundles: read_limit(&mut limits, "fetch_x509_bundles"),
        fetch_jwt_bundles: read_limit(&mut limits, "fetch_jwt_bundles"),
    };
    // What cannot be called need not be limited.
    for key in ["stream_secrets", "fetch_secrets"] {
        if read_limit(&mut limits, key) > 0 {
            limits.warn_at(key, format!("has no effect: {NO_SDS}"));
        }
    }
    limits.finish("ratelimit");
    read
}

/// Calls per second; 0 is no limit.
fn read_limit(limits: &mut Reader<'_>, key: &'static str) -> u32 {
    let number = limits.optional_number(key).unwrap_or(0);
    if number < 0 {
        limits.problem_at(key, format!("experimental.ratelimit.{key} must not be negative"));
    }
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
