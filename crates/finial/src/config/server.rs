//! The section `server` and what it comes to.

use super::flags::ServerFlags;
use super::plugins::{self, ServerPluginChoice};
use super::process::{self, HealthListener, LogFlags, LogSettings};
use super::reader::{Flag, Reader, Setting};
use super::telemetry::{self, TelemetrySettings};
use super::{federation, path, ttl};
use finial_identity::x509::{AttributeKind, DistinguishedName};
use finial_identity::{KeyType, SpiffeId, TrustDomain};
use finial_plugin::datastore::PruneScope;
use finial_server::ServerConfig;
use finial_server::authority::{AuthorityConfig, JwtSwitch};
use finial_server::config::AuditConfig;
use finial_server::nodes::AgentIdSelector;
use finial_server::policy::limits::Switch;
use finial_server::registry::prune::AgentPruning;
use finial_wire::tls::KeyExchange;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

const SOCKET: &str = "/tmp/spire-server/private/api.sock";
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Everything that a server's file says.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    /// What the server is told.
    pub(crate) config: ServerConfig,
    /// Which plugins it has.
    pub(crate) plugins: ServerPluginChoice,
    /// Where it keeps what it needs.
    pub(crate) data_dir: PathBuf,
    /// How it logs.
    pub(crate) log: LogSettings,
    /// Where it tells its health, if anywhere.
    pub(crate) health: Option<HealthListener>,
    /// Where its metrics go.
    pub(crate) telemetry: TelemetrySettings,
}

/// Reads the whole file; nothing if something is wrong.
pub(super) fn read(root: &mut Reader<'_>, flags: &ServerFlags) -> Option<ServerSettings> {
    let mut section = root.block("server");
    let log = LogFlags {
        file: &flags.log_file,
        format: &flags.log_format,
        level: &flags.log_level,
        source_location: flags.log_source_location,
    };
    let log = process::read_log(&mut section, &log);
    let data_dir = section.text("data_dir", Flag::new("dataDir", &flags.data_dir), "");
    if data_dir.value.is_empty() {
        section.problem(&data_dir, "data_dir must be configured");
    }
    let config = read_config(&mut section, flags);
    process::read_profiling(&mut section);
    section.finish("server");
    let plugins = plugins::read_server(root);
    let telemetry = telemetry::read(root);
    let health = process::read_health(root);
    Some(ServerSettings {
        config: config?,
        plugins: plugins?,
        data_dir: data_dir.value.into(),
        log: log?,
        health,
        telemetry,
    })
}

fn read_config(section: &mut Reader<'_>, flags: &ServerFlags) -> Option<ServerConfig> {
    let trust_domain = read_trust_domain(section, Flag::new("trustDomain", &flags.trust_domain));
    let bind = read_bind(section, flags);
    let socket = section.text("socket_path", Flag::new("socketPath", &flags.socket_path), SOCKET);
    let admin_ids = read_admin_ids(section);
    let experimental = read_experimental(section);
    // Whatever is wrong with the rest is found even if there is no trust domain.
    let nobody = TrustDomain::parse("unknown").ok()?;
    let authority = read_authority(section, trust_domain.clone().unwrap_or(nobody));
    let (limit_attestation, limit_signing) = read_limits(section);
    let agent_pruning = read_agent_pruning(section);
    let federation = federation::read(section, trust_domain.as_ref());
    read_proxies(section);
    section.without_effect(
        &["max_attested_node_info_staleness"],
        "what is known of agents is never stale, because it is held in memory",
    );
    let audit_log = if section.is_set("audit_log_enabled", false) { Switch::On } else { Switch::Off };
    Some(ServerConfig {
        trust_domain: trust_domain?,
        bind: bind?,
        socket_path: path::absolute(&socket.value),
        admin_ids,
        authority,
        limit_attestation,
        limit_signing,
        agent_pruning,
        keep_events: experimental.keep_events,
        agent_id_selector: experimental.agent_id_selector,
        federation: federation?,
        audit: AuditConfig { log: audit_log, file: experimental.audit_file },
        key_exchange: experimental.key_exchange,
    })
}

/// Reads `trust_domain`, also for agents.
pub(super) fn read_trust_domain(section: &mut Reader<'_>, flag: Flag<'_>) -> Option<TrustDomain> {
    let setting = section.text("trust_domain", flag, "");
    if setting.value.is_empty() {
        section.problem(&setting, "trust_domain must be configured");
        return None;
    }
    let parsed = section.parsed(
        &setting,
        &format!("could not parse trust_domain {:?}", setting.value),
        TrustDomain::parse,
    );
    if parsed
        .as_ref()
        .is_some_and(|domain| domain.as_str().len() > finial_identity::trust_domain::TRUST_DOMAIN_MAX)
    {
        section.warn_at(
            "trust_domain",
            "Configured trust domain name should be less than 255 characters to be SPIFFE compliant; a longer trust \
             domain name may impact interoperability",
        );
    }
    parsed
}

/// A host name is looked up here and now; of its addresses an IPv4 one is taken first, as Go does.
fn read_bind(section: &mut Reader<'_>, flags: &ServerFlags) -> Option<SocketAddr> {
    let host = section.text("bind_address", Flag::new("bindAddress", &flags.bind_address), "0.0.0.0");
    let port = section.number("bind_port", Some(("serverPort", flags.server_port)), 8081);
    let port = read_port(section, &port);
    let bare = host.value.trim_matches(['[', ']']);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port?));
    }
    let found = (bare, port.unwrap_or(0)).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let found = found.unwrap_or_default();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
    if address.is_none() {
        section.problem(&host, format!("could not resolve bind address {:?}", host.value));
    }
    port.and(address)
}

/// A port that is one.
pub(super) fn read_port(section: &Reader<'_>, port: &Setting<i64>) -> Option<u16> {
    let number = u16::try_from(port.value).ok().filter(|number| *number != 0);
    if number.is_none() {
        section.problem(port, format!("{} is not a port", port.value));
    }
    number
}

fn read_admin_ids(section: &mut Reader<'_>) -> Vec<SpiffeId> {
    let mut ids = Vec::new();
    for text in section.texts("admin_ids") {
        match SpiffeId::parse(&text) {
            Ok(id) => ids.push(id),
            Err(error) => {
                section.problem_at("admin_ids", format!("could not parse admin ID {text:?}: {error}"))
            }
        }
    }
    ids
}

fn read_authority(section: &mut Reader<'_>, trust_domain: TrustDomain) -> AuthorityConfig {
    let defaults = AuthorityConfig::with_defaults(trust_domain);
    let ca_key_type = read_key_type(section, "ca_key_type").unwrap_or(defaults.ca_key_type);
    let jwt_key_type = read_key_type(section, "jwt_key_type").unwrap_or(ca_key_type);
    let mut life = |key, what| {
        let ttl = section.duration(key, Flag::NONE, what);
        if ttl == Some(Duration::ZERO) && key != "agent_ttl" {
            section.problem_at(key, format!("{key} must be more than zero"));
        }
        ttl.filter(|ttl| !ttl.is_zero())
    };
    let ca_ttl = life("ca_ttl", "default CA ttl {}").unwrap_or(defaults.ca_ttl);
    let x509 =
        life("default_x509_svid_ttl", "default X509 SVID ttl {}").unwrap_or(defaults.default_x509_svid_ttl);
    let jwt_ttl =
        life("default_jwt_svid_ttl", "default JWT SVID ttl {}").unwrap_or(defaults.default_jwt_svid_ttl);
    let agent = life("agent_ttl", "agent ttl {}");
    let lives = [
        ("default_x509_svid_ttl", Some(x509)),
        ("default_jwt_svid_ttl", Some(jwt_ttl)),
        ("agent_ttl", agent),
    ];
    for (key, ttl) in lives {
        if let Some(doubt) = ttl.and_then(|ttl| ttl::doubt(key, ttl, ca_ttl)) {
            section.warn_at(key, doubt);
        }
    }
    let jwt = match section.is_set("disable_jwt_svids", false) {
        true => JwtSwitch::Disabled,
        false => JwtSwitch::Enabled,
    };
    AuthorityConfig {
        ca_key_type,
        jwt_key_type,
        ca_ttl,
        default_x509_svid_ttl: x509,
        default_jwt_svid_ttl: jwt_ttl,
        agent_ttl: agent.unwrap_or(x509),
        ca_subject: read_subject(section).unwrap_or_else(AuthorityConfig::default_ca_subject),
        jwt_issuer: section.optional_text("jwt_issuer").map(|issuer| issuer.value),
        jwt,
        ..defaults
    }
}

fn read_key_type(section: &mut Reader<'_>, key: &'static str) -> Option<KeyType> {
    let name = section.optional_text(key)?;
    let known = KeyType::parse(&name.value);
    if known.is_none() {
        let message = format!(
            "error parsing {key}: key type {:?} is unknown; must be one of [rsa-2048, rsa-4096, ec-p256, ec-p384]",
            name.value
        );
        section.problem(&name, message);
    }
    known
}

/// The subject of authorities; nothing if the file says nothing of it.
fn read_subject(section: &mut Reader<'_>) -> Option<DistinguishedName> {
    let is_there = section.has("ca_subject");
    let mut subject = section.block("ca_subject");
    let country = subject.texts("country");
    let organization = subject.texts("organization");
    let common_name = subject.text("common_name", Flag::NONE, "").value;
    subject.finish("ca_subject");
    let of = |kind, values: &[String]| values.iter().map(|value| (kind, value.clone())).collect::<Vec<_>>();
    let mut attributes = of(AttributeKind::Country, &country);
    attributes.extend(of(AttributeKind::Organization, &organization));
    attributes.extend(Some((AttributeKind::CommonName, common_name)).filter(|(_, name)| !name.is_empty()));
    let attributes: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
    let name = DistinguishedName::new(&attributes);
    if is_there && name.is_empty() {
        section.warn_at("ca_subject", "ca_subject configurable is set but empty; the default will be used");
    }
    Some(name).filter(|name| !name.is_empty())
}

fn read_limits(section: &mut Reader<'_>) -> (Switch, Switch) {
    let mut limits = section.block("ratelimit");
    let mut switch = |key| if limits.is_set_unless(key, false, true) { Switch::On } else { Switch::Off };
    let both = (switch("attestation"), switch("signing"));
    limits.finish("ratelimit");
    both
}

fn read_agent_pruning(section: &mut Reader<'_>) -> Option<AgentPruning> {
    let batch = section.number("prune_attested_nodes_batch_size", None, 1000);
    let size = u32::try_from(batch.value).ok().filter(|size| *size > 0);
    if size.is_none() {
        section.problem(&batch, "prune_attested_nodes_batch_size must be more than zero");
    }
    let scope = match section.is_set("prune_tofu_nodes", false) {
        true => PruneScope::All,
        false => PruneScope::Reattestable,
    };
    let what = "prune_attested_nodes_expired_for";
    let expired_for = section.duration("prune_attested_nodes_expired_for", Flag::NONE, what)?;
    // SPIRE's zero turns it off.
    Some(AgentPruning { expired_for, scope, batch: size? }).filter(|pruning| !pruning.expired_for.is_zero())
}

fn read_proxies(section: &mut Reader<'_>) {
    let ranges = section.texts("proxy_protocol_trusted_cidrs");
    for range in &ranges {
        if !is_cidr(range) {
            let message = format!(
                "invalid proxy_protocol_trusted_cidrs value {range:?}: invalid CIDR address: {range}"
            );
            section.problem_at("proxy_protocol_trusted_cidrs", message);
        }
    }
    if !ranges.is_empty() {
        section.problem_at(
            "proxy_protocol_trusted_cidrs",
            "the PROXY protocol is not available in this version; let agents connect directly",
        );
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
}

struct Experimental {
    audit_file: Option<PathBuf>,
    keep_events: Duration,
    agent_id_selector: AgentIdSelector,
    key_exchange: KeyExchange,
}

const INDEX_IN_MEMORY: &str = "the index of entries is in memory and always up to date";

fn read_experimental(section: &mut Reader<'_>) -> Experimental {
    let mut experimental = section.block("experimental");
    for (key, what) in [
        ("cache_reload_interval", "cache reload interval"),
        ("full_cache_reload_interval", "full cache reload interval"),
        ("event_timeout", "event timeout interval"),
        ("sql_transaction_timeout", "SQL transaction timeout interval"),
    ] {
        if experimental.duration(key, Flag::NONE, what).is_some() {
            experimental.warn_at(key, format!("has no effect: {INDEX_IN_MEMORY}"));
        }
    }
    if experimental.has("event_timeout") && experimental.has("sql_transaction_timeout") {
        experimental.problem_at(
            "sql_transaction_timeout",
            "both experimental sql_transaction_timeout and event_timeout set, only set event_timeout",
        );
    }
    experimental.without_effect(&["events_based_cache"], INDEX_IN_MEMORY);
    experimental
        .without_effect(&["wit_key_type", "wit_issuer"], "WIT-SVIDs are not available in this version");
    experimental.refused(
        &["auth_opa_policy_engine"],
        "a policy of your own is not available in this version; the built-in policy is that of SPIRE",
    );
    experimental.refused(
        &["named_pipe_name"],
        "invalid configuration: named_pipe_name is not supported in this platform; please use socket_path instead",
    );
    process::read_feature_flags(&mut experimental);
    let keep_events = experimental.duration("prune_events_older_than", Flag::NONE, "prune events interval");
    let audit_file = experimental.optional_text("audit_log_file");
    let settings = Experimental {
        audit_file: audit_file.map(|file| path::absolute(&file.value)),
        keep_events: keep_events.filter(|keep| !keep.is_zero()).unwrap_or(HOUR * 12),
        agent_id_selector: match experimental.is_set("agent_spiffe_id_as_selector", false) {
            true => AgentIdSelector::Add,
            false => AgentIdSelector::Omit,
        },
        key_exchange: read_key_exchange(&mut experimental),
    };
    experimental.finish_with_warnings();
    settings
}

/// Reads `require_pq_kem`, also for agents.
pub(super) fn read_key_exchange(experimental: &mut Reader<'_>) -> KeyExchange {
    match experimental.is_set("require_pq_kem", false) {
        true => KeyExchange::PostQuantum,
        false => KeyExchange::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::is_cidr;

    #[test]
    fn ranges_of_addresses() {
        for (text, want) in [
            ("10.0.0.0/8", true),
            ("::1/128", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0/+8", false),
            ("10.0.0.0", false),
            ("x", false),
            ("x/8", false),
        ] {
            assert_eq!(is_cidr(text), want, "{text}");
        }
    }
}
