//! Where an agent's first bundle comes from: a file, a web server, or a service behind a Unix socket.
//!
//! The bundle is read anew for each attempt, so that it may be brought or renewed while the agent waits, and
//! an agent that already has a bundle does not need the source at all.

use async_trait::async_trait;
use finial_agent::config::BundleSource;
use finial_identity::bundle::format::{DOCUMENT_MAX, decode_pem, decode_spiffe};
use finial_identity::{Bundle, TrustDomain};
use finial_runtime::files;
use finial_runtime::logging::chain;
use finial_wire::tls::{TlsOptions, WebRoots, web_client_config};
use finial_wire::web::{self, Via};
use http::{StatusCode, Uri};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How the bundle is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Certificates in PEM.
    Pem,
    /// A SPIFFE bundle document.
    Spiffe,
}

impl Format {
    fn decode(self, trust_domain: &TrustDomain, document: &[u8]) -> Result<Bundle, String> {
        let decoded = match self {
            Self::Pem => decode_pem(trust_domain.clone(), document),
            Self::Spiffe => decode_spiffe(trust_domain.clone(), document),
        };
        let bundle = decoded.map_err(|error| format!("could not parse trust bundle: {}", chain(&error)))?;
        if bundle.x509_authorities.is_empty() {
            return Err("no certificates found in trust bundle".to_owned());
        }
        Ok(bundle)
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct BundleFile {
    path: PathBuf,
    format: Format,
    trust_domain: TrustDomain,
}

impl BundleFile {
    pub(super) fn new(path: PathBuf, format: Format, trust_domain: TrustDomain) -> Self {
        Self { path, format, trust_domain }
    }
}

#[async_trait]
impl BundleSource for BundleFile {
    async fn fetch(&self) -> Result<Bundle, String> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || files::read_bounded(&path, DOCUMENT_MAX as u64)).await;
        let document = read.map_err(|error| error.to_string())?;
        let document = document.map_err(|error| format!("could not read trust bundle: {}", chain(&error)))?;
        self.format.decode(&self.trust_domain, &document)
    }
}

/// What a service behind a Unix socket is told about the agent that asks.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) server: String,
    pub(super) port: i64,
    /// Whether this agent has been attested before.
    pub(super) is_known_here: bool,
}

/// How a document is reached.
#[derive(Debug, Clone)]
enum Way {
    Web(WebRoots),
    Socket(PathBuf),
}

impl Way {
    async fn open(&self) -> Result<Via, String> {
        let roots = match self {
            Self::Web(roots) => roots.clone(),
            Self::Socket(path) => return Ok(Via::Unix(path.clone())),
        };
        let made = tokio::task::spawn_blocking(move || web_client_config(&roots, &TlsOptions::default()));
        let config = made.await.map_err(|error| error.to_string())?;
        Ok(Via::Tls(Arc::new(config.map_err(|error| chain(&error).to_string())?)))
    }
}

/// A document on the web.
#[derive(Debug)]
pub(super) struct BundleUrl {
    url: Uri,
    way: Way,
    visit: Option<Visit>,
    format: Format,
    trust_domain: TrustDomain,
    attempts: AtomicU64,
    started: OnceLock<SystemTime>,
}

impl BundleUrl {
    /// From a server whose certificate the system's authorities vouch for.
    pub(super) fn over_tls(url: Uri, format: Format, trust_domain: TrustDomain) -> Self {
        Self::new(url, Way::Web(WebRoots::System), None, format, trust_domain)
    }

    /// From a service behind a Unix socket.
    pub(super) fn over_unix(
        url: Uri,
        socket: PathBuf,
        visit: Visit,
        format: Format,
        trust_domain: TrustDomain,
    ) -> Self {
        Self::new(url, Way::Socket(socket), Some(visit), format, trust_domain)
    }

    fn new(url: Uri, way: Way, visit: Option<Visit>, format: Format, trust_domain: TrustDomain) -> Self {
        let (attempts, started) = Default::default();
        Self { url, way, visit, format, trust_domain, attempts, started }
    }

    /// The URL with what SPIRE tells the service in its query, names in order.
    fn url_of_visit(&self, visit: &Visit, now: SystemTime) -> Result<Uri, String> {
        let attempts = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let started = self.started.get_or_init(|| now);
        let started = started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let started =
            jiff::Timestamp::from_second(started.cast_signed()).map_err(|error| error.to_string())?;
        let own = [
            ("spiffe-trust-domain", self.trust_domain.to_string()),
            ("spire-attest-mode", if visit.is_known_here { "rebootstrap" } else { "bootstrap" }.to_owned()),
            ("spire-attest-start-time", started.to_string()),
            ("spire-connection-attempts", attempts.to_string()),
            ("spire-server-address", visit.server.clone()),
            ("spire-server-port", visit.port.to_string()),
        ];
        let own = own.iter().map(|(name, value)| format!("{name}={}", escape(value)));
        let given = self.url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut pairs: Vec<String> = given.map(str::to_owned).chain(own).collect();
        pairs.sort();
        let target = format!("{}?{}", self.url.path(), pairs.join("&"));
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query =
            Some(target.parse().map_err(|error| format!("{target:?} is no URL: {error}"))?);
        Uri::from_parts(parts).map_err(|error| error.to_string())
    }
}

async fn get(url: &Uri, way: &Way) -> Result<Vec<u8>, String> {
    let via = way.open().await?;
    let answer = web::get(url, &via, DOCUMENT_MAX).await.map_err(|error| error.to_string())?;
    match answer.status {
        StatusCode::OK => Ok(answer.body.to_vec()),
        status => Err(format!("error downloading trust bundle: {status}")),
    }
}

/// As Go escapes the value of a query.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte))
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[async_trait]
impl BundleSource for BundleUrl {
    async fn fetch(&self) -> Result<Bundle, String> {
        let url = match &self.visit {
            Some(visit) => self.url_of_visit(visit, SystemTime::now())?,
            None => self.url.clone(),
        };
        let fetched = timeout(FETCH_TIMEOUT, get(&url, &self.way)).await;
        let document = fetched
            .unwrap_or_else(|_| Err(format!("no answer within {} seconds", FETCH_TIMEOUT.as_secs())))
            .map_err(|why| format!("unable to fetch trust bundle URL {}: {why}", self.url))?;
        self.format.decode(&self.trust_domain, &document)
    }
}

#[cfg(test)]
mod tests;
