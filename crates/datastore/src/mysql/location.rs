//! `connection_string` as SPIRE's driver reads it: `user:password@tcp(host:port)/name?parseTime=true`.
//!
//! `parseTime=true` must be there, as in SPIRE, so that the same text serves both. What the driver knows and
//! this one has not is refused by name where leaving it out would be less safe.

use crate::percent;
use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};
use jiff::tz::TimeZone;

/// Settings that change nothing here: how its driver talks to a server.
const WITHOUT_EFFECT: [&str; 16] = [
    "allowAllFiles",
    "allowNativePasswords",
    "allowOldPasswords",
    "charset",
    "checkConnLiveness",
    "clientFoundRows",
    "collation",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "maxAllowedPacket",
    "multiStatements",
    "readTimeout",
    "timeTruncate",
    "writeTimeout",
];

/// A connection string, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Location {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Instead of host and port.
    pub(super) socket: Option<String>,
    pub(super) database: String,
    pub(super) tls: TlsMode,
    /// `allowFallbackToPlaintext`.
    pub(super) plain_fallback: bool,
    /// `allowCleartextPasswords`.
    pub(super) cleartext: bool,
    /// `loc`: the zone in which moments are kept.
    pub(super) zone: TimeZone,
    /// Variables of the session.
    pub(super) settings: Vec<(String, String)>,
}

/// `tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// None.
    Off,
    /// The server's certificate is for its host, from an authority of the operating system.
    Verify,
    /// Whoever answers is believed.
    SkipVerify,
    /// The same, and without TLS where the server has none.
    Preferred,
}

impl Location {
    pub(super) fn parse(text: &str) -> StoreResult<Self> {
        if text.is_empty() {
            return Err(refused("connection_string must be set"));
        }
        // A password or a socket may have a slash in it.
        let (place, rest) = text
            .rsplit_once('/')
            .ok_or_else(|| refused("invalid DSN: missing the slash separating the database name"))?;
        let (database, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, address) = place.rsplit_once('@').unwrap_or(("", place));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let mut location = Self {
            user: user.to_owned(),
            password: password.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 3306,
            socket: None,
            database: percent::decode(database)
                .ok_or_else(|| refused("invalid dbname in connection_string"))?,
            tls: TlsMode::Off,
            plain_fallback: false,
            cleartext: false,
            zone: TimeZone::UTC,
            settings: Vec::new(),
        };
        location.set_address(address)?;
        let mut parse_time = false;
        for (key, value) in parameters.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "parseTime" => parse_time = flag(key, value)?,
                _ => location.set_parameter(key, value)?,
            }
        }
        if !parse_time {
            return Err(refused("invalid mysql config: missing parseTime=true param in connection_string"));
        }
        Ok(location)
    }

    /// `tcp(host:port)` or `unix(/path)`.
    fn set_address(&mut self, text: &str) -> StoreResult<()> {
        let (network, address) = match text.split_once('(') {
            None => (text, ""),
            Some((network, rest)) => match rest.strip_suffix(')') {
                Some(address) => (network, address),
                None if rest.contains(')') => {
                    return Err(refused("invalid DSN: did you forget to escape a param value?"));
                }
                None => {
                    return Err(refused(
                        "invalid DSN: network address not terminated (missing closing brace)",
                    ));
                }
            },
        };
        match (network, address) {
            ("" | "tcp", "") => {}
            ("" | "tcp", address) => self.set_host_and_port(address)?,
            ("unix", "") => self.socket = Some("/tmp/mysql.sock".to_owned()),
            ("unix", path) => self.socket = Some(path.to_owned()),
            (other, _) => {
                return Err(refused(&format!("network {other:?} is not supported; there are tcp and unix")));
            }
        }
        Ok(())
    }

    fn set_host_and_port(&mut self, address: &str) -> StoreResult<()> {
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') && !host.contains(':') || address.contains("]:") => {
                (host, Some(port))
            }
            _ => (address, None),
        };
        self.host = host.trim_matches(['[', ']']).to_owned();
        if let Some(port) = port {
            self.port = port.parse().map_err(|_| refused(&format!("port {port:?} is not a port")))?;
        }
        Ok(())
    }

    fn set_parameter(&mut self, key: &str, value: &str) -> StoreResult<()> {
        let decoded =
            || percent::decode_query(value).ok_or_else(|| refused(&format!("invalid value of {key}")));
        match key {
            "tls" => self.tls = tls_mode(&decoded()?)?,
            "allowFallbackToPlaintext" => self.plain_fallback = flag(key, value)?,
            "allowCleartextPasswords" => self.cleartext = flag(key, value)?,
            "loc" => self.zone = zone(&decoded()?)?,
            "serverPubKey" => {
                return Err(refused(&format!("invalid value / unknown server pub key name: {}", decoded()?)));
            }
            // Ours is shorter than most and bounds the whole of connecting.
            "timeout" | "rejectReadOnly" => {}
            key if WITHOUT_EFFECT.contains(&key) => {}
            key if key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '.')) => {
                self.settings.push((key.to_owned(), decoded()?));
            }
            key => return Err(refused(&format!("{key:?} is no variable of a session"))),
        }
        Ok(())
    }

    /// Host, port and database, for people.
    pub(super) fn target(&self) -> String {
        let place = match &self.socket {
            Some(path) => path.clone(),
            None => format!("{}:{}", self.host, self.port),
        };
        format!("MySQL at {place} database {:?}", self.database)
    }
}

fn flag(key: &str, value: &str) -> StoreResult<bool> {
    match value {
        "1" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(refused(&format!("invalid bool value of {key}: {value}"))),
    }
}

fn tls_mode(value: &str) -> StoreResult<TlsMode> {
    match value.to_ascii_lowercase().as_str() {
        "skip-verify" => Ok(TlsMode::SkipVerify),
        "preferred" => Ok(TlsMode::Preferred),
        _ => match flag("tls", value) {
            Ok(true) => Ok(TlsMode::Verify),
            Ok(false) => Ok(TlsMode::Off),
            Err(_) => Err(refused(&format!("invalid value / unknown config name: {value}"))),
        },
    }
}

fn zone(name: &str) -> StoreResult<TimeZone> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        name => TimeZone::get(name).map_err(|_| refused(&format!("unknown time zone {name}"))),
    }
}

fn refused(text: &str) -> StoreError {
    StoreError::new(Code::InvalidArgument, format!("datastore-sql: {text}"))
}

#[cfg(test)]
mod tests;
