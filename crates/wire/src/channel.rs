//! gRPC channels: over a Unix socket, and over TLS to a server that is verified by its SPIFFE ID.
//!
//! Channels connect at the first call, and again when a connection is lost. What a call over a connection that
//! could not be made fails with has a [`DialError`] among its sources.

use crate::tls::{self, Contiguous, IdentityCell, keep_alive};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// Settings of channels.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// How long connecting may take, with all addresses and the handshake.
    pub connect_timeout: Duration,
    /// How much one stream may send before we have read it, in bytes.
    pub stream_window: u32,
    /// How much one connection may send before we have read it, in bytes.
    pub connection_window: u32,
    /// HTTP/2 pings while calls are under way. Go's servers end connections on which they come oftener than
    /// every five minutes, so normally there are none: TCP's own keep-alive is always on.
    pub ping_interval: Option<Duration>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            stream_window: 1 << 20,
            connection_window: 2 << 20,
            ping_interval: None,
        }
    }
}

/// A connection that could not be made, in the words of Go's gRPC, which operators know.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A Unix socket.
    #[error("transport: Error while dialing: dial unix {shown}: connect: {}", go_text(.source))]
    Unix {
        /// The path, as SPIRE's command would print it.
        shown: String,
        /// Why not.
        source: io::Error,
    },
    /// A TCP address; of several, the last that was tried.
    #[error("transport: Error while dialing: dial tcp {address}: connect: {}", go_text(.source))]
    Tcp {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A name without an address.
    #[error("transport: Error while dialing: dial tcp: lookup {host}: no such host")]
    Lookup {
        /// Which one.
        host: String,
        /// Why not.
        #[source]
        source: Option<io::Error>,
    },
    /// It took too long.
    #[error("transport: Error while dialing: dial {target}: i/o timeout")]
    Timeout {
        /// What was dialled.
        target: String,
    },
    /// Somebody was there, and TLS failed: not the one expected, or we are not welcome.
    #[error("transport: authentication handshake failed: {}", tls::explain(.source))]
    Handshake {
        /// Why.
        source: io::Error,
    },
}

/// The system's words, as Go prints them: without the number, in lower case.
fn go_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A Unix socket to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixTarget {
    path: PathBuf,
    shown: String,
}

impl UnixTarget {
    /// The socket with this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let shown = path.display().to_string();
        Self { path, shown }
    }

    /// As [`Self::new`], but errors show the path as `///run/x.sock`, as those of the `spire-server` command do.
    #[must_use]
    pub fn shown_as_uri(self) -> Self {
        Self { shown: format!("//{}", self.path.display()), ..self }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A channel over a Unix socket. Must be called within a tokio runtime.
pub fn unix_channel(target: UnixTarget, options: &ChannelOptions) -> Channel {
    let limit = options.connect_timeout;
    let connector = service_fn(move |_: Uri| {
        let target = target.clone();
        async move { dial_unix(&target, limit).await.map(TokioIo::new) }
    });
    endpoint(options).connect_with_connector_lazy(connector)
}

async fn dial_unix(target: &UnixTarget, limit: Duration) -> Result<UnixStream, DialError> {
    match timeout(limit, UnixStream::connect(&target.path)).await {
        Ok(connected) => connected.map_err(|source| DialError::Unix { shown: target.shown.clone(), source }),
        Err(_) => Err(DialError::Timeout { target: format!("unix {}", target.shown) }),
    }
}

/// A server to connect to: host name or IP address, and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpTarget {
    host: String,
    port: u16,
}

/// The host is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a host name nor an IP address")]
pub struct TargetError(String);

impl TcpTarget {
    /// `host` is a name, or an IPv4 or IPv6 address, without brackets or with them.
    pub fn new(host: &str, port: u16) -> Result<Self, TargetError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let target = Self { host: bare.to_owned(), port };
        match target.origin() {
            Some(_) if !bare.is_empty() => Ok(target),
            _ => Err(TargetError(host.to_owned())),
        }
    }

    /// What requests carry as scheme and authority.
    fn origin(&self) -> Option<Uri> {
        Uri::builder().scheme("https").authority(self.to_string()).path_and_query("/").build().ok()
    }

    /// Go sends the host name; addresses and names that TLS does not know are not sent. Nobody verifies it.
    fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).unwrap_or(ServerName::IpAddress(
            rustls::pki_types::IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED),
        ))
    }
}

impl fmt::Display for TcpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A channel over TLS. `config` is from [`tls::client_config`]. Must be called within a tokio runtime.
pub fn tls_channel(target: TcpTarget, config: Arc<ClientConfig>, options: &ChannelOptions) -> Channel {
    let limit = options.connect_timeout;
    let endpoint = match target.origin() {
        Some(origin) => endpoint(options).origin(origin),
        None => endpoint(options),
    };
    let connector = service_fn(move |_: Uri| {
        let (target, config) = (target.clone(), config.clone());
        async move { dial_tls(&target, config, limit).await.map(|io| TokioIo::new(Contiguous(io))) }
    });
    endpoint.connect_with_connector_lazy(connector)
}

/// The URI is never dialled; over a Unix socket it is the authority, as with Go.
fn endpoint(options: &ChannelOptions) -> Endpoint {
    let endpoint = Endpoint::from(Uri::from_static("http://localhost"))
        .initial_stream_window_size(options.stream_window)
        .initial_connection_window_size(options.connection_window);
    match options.ping_interval {
        Some(interval) => endpoint.http2_keep_alive_interval(interval),
        None => endpoint,
    }
}

async fn dial_tls(
    target: &TcpTarget,
    config: Arc<ClientConfig>,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, DialError> {
    let deadline = Instant::now() + limit;
    let stream = dial_tcp(target, deadline).await?;
    let handshake = async {
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        TlsConnector::from(config).connect(target.server_name(), stream).await
    };
    match timeout_at(deadline, handshake).await {
        Ok(done) => done.map_err(|source| DialError::Handshake { source }),
        Err(_) => Err(timed_out(target)),
    }
}

/// Tries the addresses in turn, each with its share of the time that is left.
async fn dial_tcp(target: &TcpTarget, deadline: Instant) -> Result<TcpStream, DialError> {
    let not_found = |source| DialError::Lookup { host: target.host.clone(), source };
    let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
    let addresses: Vec<SocketAddr> = match timeout_at(deadline, lookup).await {
        Ok(found) => found.map_err(|error| not_found(Some(error)))?.collect(),
        Err(_) => return Err(timed_out(target)),
    };
    let mut last = not_found(None);
    for (tried, address) in addresses.iter().copied().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => last = DialError::Tcp { address, source },
            Err(_) => last = timed_out(target),
        }
    }
    Err(last)
}

fn timed_out(target: &TcpTarget) -> DialError {
    DialError::Timeout { target: format!("tcp {target}") }
}

/// A channel to a server that is remade when our identity changes, or when asked for.
///
/// Calls under way, and clones of a former channel, keep their connection; what is got from [`Self::get`]
/// afterwards connects anew, with the identity of then.
pub struct ServerChannel {
    target: TcpTarget,
    config: Arc<ClientConfig>,
    identity: Arc<IdentityCell>,
    options: ChannelOptions,
    current: Mutex<Option<(u64, Channel)>>,
}

impl fmt::Debug for ServerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerChannel").field("target", &self.target).finish_non_exhaustive()
    }
}

impl ServerChannel {
    /// `config` is from [`tls::client_config`], with the same cell.
    pub fn new(
        target: TcpTarget,
        config: ClientConfig,
        identity: Arc<IdentityCell>,
        options: ChannelOptions,
    ) -> Self {
        Self { target, config: Arc::new(config), identity, options, current: Mutex::new(None) }
    }

    /// The channel of the moment. Must be called within a tokio runtime.
    pub fn get(&self) -> Channel {
        let generation = self.identity.generation();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((built, channel)) if *built == generation => channel.clone(),
            _ => {
                let channel = tls_channel(self.target.clone(), self.config.clone(), &self.options);
                *current = Some((generation, channel.clone()));
                channel
            }
        }
    }

    /// Forgets the connection: the next [`Self::get`] gives a new channel.
    pub fn reset(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where it leads.
    pub fn target(&self) -> &TcpTarget {
        &self.target
    }
}
