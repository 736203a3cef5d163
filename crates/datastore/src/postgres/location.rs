//! `connection_string` as SPIRE's driver reads it: `key=value` pairs or a URL.
//!
//! Settings that are left out come from the environment variables of libpq, as there. What the driver knows
//! and this one has not is refused by name, never passed over; all else is a setting of the session.

use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

/// Settings and the environment variables that give them where they are left out.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("sslmode", "PGSSLMODE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];
/// Settings of SPIRE's driver that this one has not.
const REFUSED: [&str; 12] = [
    "hostaddr",
    "passfile",
    "service",
    "servicefile",
    "sslinline",
    "sslsni",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "krbspn",
    "load_balance_hosts",
];
/// Settings that change nothing here: how its driver talks to a server, and what is always so.
const WITHOUT_EFFECT: [&str; 7] = [
    "binary_parameters",
    "disable_prepared_binary_result",
    "fallback_application_name",
    "client_encoding",
    "datestyle",
    "min_protocol_version",
    "max_protocol_version",
];
/// After so long without a word from the server it is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A connection string, understood.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) config: Config,
    pub(super) tls: TlsSettings,
}

/// How the server proves who it is, and how we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) check: Check,
    /// `sslrootcert`; without it the authorities of the operating system.
    pub(super) roots: Option<PathBuf>,
    /// `sslcert` and `sslkey`.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// What is checked of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: whoever answers is believed.
    Nothing,
    /// That an authority issued it.
    Authority,
    /// That, and that it is for this host.
    AuthorityAndHost,
}

impl Location {
    pub(super) fn parse(connection_string: &str) -> StoreResult<Self> {
        Self::from_settings(settings(connection_string)?, |name| std::env::var(name).ok())
    }

    fn from_settings(
        mut settings: BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> StoreResult<Self> {
        for (key, variable) in ENVIRONMENT {
            if let Some(value) = environment(variable).filter(|_| !settings.contains_key(key)) {
                settings.insert(key.to_owned(), value);
            }
        }
        if let Some(key) = REFUSED.iter().find(|key| settings.contains_key(**key)) {
            return Err(refused(format!("{key} of connection_string is not supported; leave it out")));
        }
        WITHOUT_EFFECT.iter().for_each(|key| drop(settings.remove(*key)));
        let mut config = Config::new();
        config.keepalives_idle(KEEPALIVE).tcp_user_timeout(KEEPALIVE);
        set_place(&mut config, &mut settings)?;
        let tls = set_tls(&mut config, &mut settings)?;
        set_session(&mut config, settings)?;
        Ok(Self { config, tls })
    }

    /// Host, port and database, for people.
    pub(super) fn target(&self) -> String {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<_> = self.config.get_hosts().iter().map(host).collect();
        let ports: Vec<_> = self.config.get_ports().iter().map(ToString::to_string).collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("PostgreSQL at {}:{} database {database:?}", hosts.join(","), ports.join(","))
    }
}

/// Where the server is and who we are.
fn set_place(config: &mut Config, settings: &mut BTreeMap<String, String>) -> StoreResult<()> {
    let mut take = |key: &str| settings.remove(key).filter(|value| !value.is_empty());
    let hosts = take("host").unwrap_or_else(|| "localhost".to_owned());
    for host in hosts.split(',') {
        config.host(host);
    }
    for port in take("port").unwrap_or_else(|| "5432".to_owned()).split(',') {
        config.port(port.parse().map_err(|_| refused(format!("port {port:?} is not a port")))?);
    }
    let user = take("user").or_else(|| std::env::var("USER").ok());
    config.user(user.ok_or_else(|| refused("connection_string names no user".to_owned()))?);
    if let Some(password) = take("password") {
        config.password(password);
    }
    if let Some(database) = take("dbname") {
        config.dbname(database);
    }
    Ok(())
}

fn set_tls(config: &mut Config, settings: &mut BTreeMap<String, String>) -> StoreResult<TlsSettings> {
    let mut take = |key: &str| settings.remove(key).filter(|value| !value.is_empty());
    let mode = take("sslmode");
    let named_roots = take("sslrootcert");
    let system = named_roots.as_deref() == Some("system");
    let roots = named_roots.filter(|_| !system).map(PathBuf::from);
    let over_sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let default = if system { "verify-full" } else { "require" };
    let (ssl_mode, check) = match mode.as_deref().unwrap_or(default) {
        _ if over_sockets => (SslMode::Disable, Check::Nothing),
        "disable" => (SslMode::Disable, Check::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
        // As libpq has it: whoever names authorities wants them to be asked.
        "require" if roots.as_ref().is_some_and(|path| path.exists()) => (SslMode::Require, Check::Authority),
        "require" => (SslMode::Require, Check::Nothing),
        "verify-ca" => (SslMode::Require, Check::Authority),
        "verify-full" => (SslMode::Require, Check::AuthorityAndHost),
        other => {
            return Err(refused(format!(
                "unknown sslmode {other:?}; there are disable, allow, prefer, require, verify-ca, verify-full"
            )));
        }
    };
    if system && check != Check::AuthorityAndHost && !over_sockets {
        return Err(refused("sslrootcert=system needs sslmode=verify-full".to_owned()));
    }
    config.ssl_mode(ssl_mode);
    let client = match (take("sslcert"), take("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err(refused("sslcert and sslkey of connection_string go together".to_owned())),
    };
    Ok(TlsSettings { check, roots, client })
}

/// What is left: settings of the session.
fn set_session(config: &mut Config, mut settings: BTreeMap<String, String>) -> StoreResult<()> {
    if let Some(name) = settings.remove("application_name") {
        config.application_name(name);
    }
    if let Some(seconds) = settings.remove("connect_timeout").filter(|seconds| seconds != "0") {
        let seconds =
            seconds.parse().map_err(|_| refused(format!("connect_timeout {seconds:?} is no number")))?;
        config.connect_timeout(Duration::from_secs(seconds));
    }
    if let Some(wanted) = settings.remove("target_session_attrs") {
        config.target_session_attrs(match wanted.as_str() {
            "any" => TargetSessionAttrs::Any,
            "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
            "read-only" | "standby" => TargetSessionAttrs::ReadOnly,
            other => return Err(refused(format!("target_session_attrs {other:?} is not supported"))),
        });
    }
    let mut options: Vec<String> = settings.remove("options").into_iter().collect();
    for (key, value) in settings {
        let escaped = value.replace('\\', "\\\\").replace(' ', "\\ ");
        options.push(format!("-c {key}={escaped}"));
    }
    if !options.is_empty() {
        config.options(options.join(" "));
    }
    Ok(())
}

/// Keys and values of either form.
fn settings(text: &str) -> StoreResult<BTreeMap<String, String>> {
    if text.is_empty() {
        return Err(refused("connection_string must be set".to_owned()));
    }
    let url = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => from_url(rest),
        None => from_pairs(text),
    }
}

/// `user:password@host:port/dbname?key=value`.
fn from_url(rest: &str) -> StoreResult<BTreeMap<String, String>> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (hosts, ports): (Vec<_>, Vec<_>) = host.split(',').map(host_and_port).unzip();
    let ports: Vec<&str> = ports.into_iter().flatten().collect();
    let (hosts, ports) = (hosts.join(","), ports.join(","));
    let named =
        [("user", user), ("password", password), ("host", &hosts), ("port", &ports), ("dbname", database)];
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut settings = BTreeMap::new();
    for (key, value) in named.into_iter().chain(pairs).filter(|(_, value)| !value.is_empty()) {
        settings.insert(decoded(key)?, decoded(value)?);
    }
    Ok(settings)
}

fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host.trim_matches(['[', ']']), Some(port)),
        _ => (text.trim_matches(['[', ']']), None),
    }
}

fn decoded(text: &str) -> StoreResult<String> {
    crate::percent::decode(text)
        .ok_or_else(|| refused("malformed connection_string: a percent sign without two digits".to_owned()))
}

/// `key = value`, where a value may stand in quotes, and a backslash takes the next character as it is.
fn from_pairs(text: &str) -> StoreResult<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let key = &rest[..end];
        let after = rest[end..].trim_start().strip_prefix('=');
        let after = after
            .ok_or_else(|| refused(format!("missing \"=\" after {:?} in connection_string", shown(key))))?;
        let (value, left) = take_value(after.trim_start())?;
        settings.insert(key.to_owned(), value);
        rest = left.trim_start();
    }
    Ok(settings)
}

/// What came where a key should be may be the rest of a password.
fn shown(key: &str) -> &str {
    if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') { key } else { "…" }
}

fn take_value(text: &str) -> StoreResult<(String, &str)> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (_, escaped) = chars.next().ok_or_else(|| {
                    refused("missing character after backslash in connection_string".to_owned())
                })?;
                value.push(escaped);
            }
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(refused("unterminated quoted value in connection_string".to_owned()));
    }
    Ok((value, ""))
}

fn refused(text: String) -> StoreError {
    StoreError::new(Code::InvalidArgument, format!("datastore-sql: {text}"))
}

#[cfg(test)]
mod tests;
