//! Endpoint addresses: `unix:///run/x.sock` and `tcp://127.0.0.1:8000` (Workload Endpoint §4, verdicts and
//! texts of go-spiffe).
//!
//! For `SPIFFE_ENDPOINT_SOCKET`, for command lines and for clients. Where go-spiffe takes a host before the
//! path of a Unix socket, or `/` as the path, we do not: no socket is there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

/// The environment variable that names the Workload API.
pub const SOCKET_ENV: &str = "SPIFFE_ENDPOINT_SOCKET";

/// Where an endpoint listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// The absolute path of a socket.
    Unix(PathBuf),
    /// An IP address and a port.
    Tcp(SocketAddr),
}

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URI.
    #[error("workload endpoint socket is not a valid URI: parse {uri:?}: {why}")]
    NotUri {
        /// What was given.
        uri: String,
        /// What Go says about it.
        why: &'static str,
    },
    /// Neither `tcp` nor `unix`.
    #[error("workload endpoint socket URI must have a \"tcp\" or \"unix\" scheme")]
    Scheme,
    /// No slash after the scheme.
    #[error("workload endpoint {0} socket URI must not be opaque")]
    Opaque(Network),
    /// `user@`.
    #[error("workload endpoint {0} socket URI must not include user info")]
    UserInfo(Network),
    /// `?query`.
    #[error("workload endpoint {0} socket URI must not include query values")]
    Query(Network),
    /// `#fragment`.
    #[error("workload endpoint {0} socket URI must not include a fragment")]
    Fragment(Network),
    /// No socket named.
    #[error("workload endpoint unix socket URI must include a path")]
    NoPath,
    /// A host before the path of a socket.
    #[error("workload endpoint unix socket URI must not include a host")]
    UnixHost,
    /// No host.
    #[error("workload endpoint tcp socket URI must include a host")]
    NoHost,
    /// A path after the port.
    #[error("workload endpoint tcp socket URI must not include a path")]
    TcpPath,
    /// A host name.
    #[error("workload endpoint tcp socket URI host component must be an IP:port")]
    NotIp,
    /// No port.
    #[error("workload endpoint tcp socket URI host component must include a port")]
    NoPort,
    /// No such port.
    #[error("workload endpoint tcp socket URI port must be between 1 and 65535")]
    PortRange,
}

/// The two kinds of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// `unix`.
    Unix,
    /// `tcp`.
    Tcp,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        })
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl FromStr for EndpointAddress {
    type Err = AddressError;

    fn from_str(uri: &str) -> Result<Self, AddressError> {
        let parts = Parts::split(uri)?;
        match parts.scheme.as_str() {
            "unix" => unix(&parts),
            "tcp" => tcp(&parts),
            _ => Err(AddressError::Scheme),
        }
    }
}

/// A URI as Go's `net/url` splits it.
struct Parts<'a> {
    uri: &'a str,
    scheme: String,
    opaque: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    path: Vec<u8>,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    fn split(uri: &'a str) -> Result<Self, AddressError> {
        let not_uri = |why| AddressError::NotUri { uri: uri.to_owned(), why };
        if uri.chars().any(|c| c.is_ascii_control()) {
            return Err(not_uri("net/url: invalid control character in URL"));
        }
        let (rest, fragment) = uri.split_once('#').unwrap_or((uri, ""));
        let (scheme, rest) = split_scheme(rest).map_err(not_uri)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts =
            Parts { uri, scheme, opaque: "", user: None, host: "", path: Vec::new(), query, fragment };
        let path = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (parts.user, parts.host) = match authority.rsplit_once('@') {
                    Some((user, host)) => (Some(user), host),
                    None => (None, authority),
                };
                path
            }
            None if rest.starts_with('/') => rest,
            None => {
                parts.opaque = rest;
                ""
            }
        };
        parts.path = unescape(path).ok_or_else(|| not_uri("invalid URL escape"))?;
        Ok(parts)
    }

    /// What must not be there in either kind, in the order in which go-spiffe looks.
    fn refuse_user(&self, network: Network) -> Result<(), AddressError> {
        if !self.opaque.is_empty() {
            return Err(AddressError::Opaque(network));
        }
        if self.user.is_some() { Err(AddressError::UserInfo(network)) } else { Ok(()) }
    }

    fn refuse_query(&self, network: Network) -> Result<(), AddressError> {
        if !self.query.is_empty() {
            return Err(AddressError::Query(network));
        }
        if self.fragment.is_empty() { Ok(()) } else { Err(AddressError::Fragment(network)) }
    }
}

/// Scheme in lower case, empty if there is none, and what follows.
fn split_scheme(text: &str) -> Result<(String, &str), &'static str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
    let Some((scheme, rest)) = end.and_then(|end| Some((&text[..end], text[end..].strip_prefix(':')?)))
    else {
        return Ok((String::new(), text));
    };
    match scheme.bytes().next() {
        None => Err("missing protocol scheme"),
        Some(first) if first.is_ascii_alphabetic() => Ok((scheme.to_ascii_lowercase(), rest)),
        Some(_) => Err("first path segment in URL cannot contain colon"),
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    Some(out)
}

fn unix(parts: &Parts<'_>) -> Result<EndpointAddress, AddressError> {
    parts.refuse_user(Network::Unix)?;
    let has_path = parts.path.iter().any(|byte| *byte != b'/');
    if parts.host.is_empty() && !has_path {
        return Err(AddressError::NoPath);
    }
    parts.refuse_query(Network::Unix)?;
    if !parts.host.is_empty() {
        return Err(AddressError::UnixHost);
    }
    if parts.path.contains(&0) {
        return Err(AddressError::NotUri { uri: parts.uri.to_owned(), why: "invalid URL escape" });
    }
    Ok(EndpointAddress::Unix(PathBuf::from(std::ffi::OsString::from_vec(parts.path.clone()))))
}

fn tcp(parts: &Parts<'_>) -> Result<EndpointAddress, AddressError> {
    parts.refuse_user(Network::Tcp)?;
    if parts.host.is_empty() {
        return Err(AddressError::NoHost);
    }
    if !parts.path.is_empty() {
        return Err(AddressError::TcpPath);
    }
    parts.refuse_query(Network::Tcp)?;
    let (host, port) = split_port(parts.host);
    let ip: IpAddr = host.parse().map_err(|_| AddressError::NotIp)?;
    if port.is_empty() {
        return Err(AddressError::NoPort);
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::NotUri { uri: parts.uri.to_owned(), why: "invalid port after host" });
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(AddressError::PortRange),
        Ok(port) => Ok(EndpointAddress::Tcp(SocketAddr::new(ip, port))),
    }
}

fn split_port(host: &str) -> (&str, &str) {
    if let Some((ip, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (ip, rest.strip_prefix(':').unwrap_or(rest));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(uri: &str) -> String {
        match uri.parse::<EndpointAddress>() {
            Ok(address) => format!("ok {address}"),
            Err(error) => error.to_string(),
        }
    }

    /// Cases of `docs/reference/bad-input.md`, and those of go-spiffe's `addr_test.go`.
    #[test]
    fn cases_139_to_142_addresses() {
        let unix = |what: &str| format!("workload endpoint unix socket URI must not {what}");
        let tcp = |what: &str| format!("workload endpoint tcp socket URI must not {what}");
        let scheme = "workload endpoint socket URI must have a \"tcp\" or \"unix\" scheme".to_owned();
        let no_path = "workload endpoint unix socket URI must include a path".to_owned();
        let no_host = "workload endpoint tcp socket URI must include a host".to_owned();
        let not_ip = "workload endpoint tcp socket URI host component must be an IP:port".to_owned();
        let no_port = "workload endpoint tcp socket URI host component must include a port".to_owned();
        for (uri, expected) in [
            ("unix:///run/x.sock", "ok unix:///run/x.sock".to_owned()),
            ("unix:/run/x.sock", "ok unix:///run/x.sock".to_owned()),
            ("UNIX:///run/x.sock", "ok unix:///run/x.sock".to_owned()),
            ("unix:///run/a%20b", "ok unix:///run/a b".to_owned()),
            ("unix:///run/a:b@c", "ok unix:///run/a:b@c".to_owned()),
            ("unix:opaque", unix("be opaque")),
            ("unix:", no_path.clone()),
            ("unix:/", no_path.clone()),
            ("unix://", no_path.clone()),
            ("unix:///", no_path),
            ("unix://host", unix("include a host")),
            ("unix://host/p", unix("include a host")),
            ("unix:///p?q", unix("include query values")),
            ("unix:///p#f", unix("include a fragment")),
            ("unix://john:doe@/p", unix("include user info")),
            ("tcp://1.2.3.4:5", "ok tcp://1.2.3.4:5".to_owned()),
            ("tcp://[::1]:5", "ok tcp://[::1]:5".to_owned()),
            ("tcp:opaque", tcp("be opaque")),
            ("tcp://", no_host.clone()),
            ("tcp:", no_host),
            ("tcp://1.2.3.4:5?whatever", tcp("include query values")),
            ("tcp://1.2.3.4:5#whatever", tcp("include a fragment")),
            ("tcp://john:doe@1.2.3.4:5/path", tcp("include user info")),
            ("tcp://1.2.3.4:5/path", tcp("include a path")),
            ("tcp://1.2.3.4:5/", tcp("include a path")),
            ("tcp://foo", not_ip.clone()),
            ("tcp://localhost:8000", not_ip.clone()),
            ("tcp://:8000", not_ip),
            ("tcp://1.2.3.4", no_port.clone()),
            ("tcp://1.2.3.4:", no_port.clone()),
            ("tcp://[::1]", no_port),
            ("tcp://1.2.3.4:65536", "workload endpoint tcp socket URI port must be between 1 and 65535".to_owned()),
            ("tcp://1.2.3.4:0", "workload endpoint tcp socket URI port must be between 1 and 65535".to_owned()),
            ("blah", scheme.clone()),
            ("/run/x.sock", scheme.clone()),
            ("", scheme.clone()),
            ("http://1.2.3.4:5", scheme.clone()),
            ("spiffe://example.org/x", scheme),
            (
                "\t",
                "workload endpoint socket is not a valid URI: parse \"\\t\": net/url: invalid control character in URL"
                    .to_owned(),
            ),
            (":x", "workload endpoint socket is not a valid URI: parse \":x\": missing protocol scheme".to_owned()),
            ("unix:///%zz", "workload endpoint socket is not a valid URI: parse \"unix:///%zz\": invalid URL escape".to_owned()),
            ("unix:///a%00b", "workload endpoint socket is not a valid URI: parse \"unix:///a%00b\": invalid URL escape".to_owned()),
        ] {
            assert_eq!(verdict(uri), expected, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(uri in ".{0,40}", near in "(unix|tcp)?:?/{0,3}[a-z0-9.:@?#%\\[\\]/]{0,20}") {
            let _ = verdict(&uri);
            let _ = verdict(&near);
        }

        #[test]
        fn what_is_printed_is_read(port in 1..=u16::MAX, ip in any::<IpAddr>()) {
            let address = EndpointAddress::Tcp(SocketAddr::new(ip, port));
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
