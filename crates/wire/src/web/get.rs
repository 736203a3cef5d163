//! One GET, over TLS or through a Unix socket, with limits on what comes back. It does not look at proxies.

use crate::tls;
use bytes::Bytes;
use finial_runtime::logging::chain;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;
const HTTPS_PORT: u16 = 443;

/// How the server is reached.
#[derive(Debug, Clone)]
pub enum Via {
    /// Over TCP and TLS; the configuration says who is believed.
    Tls(Arc<ClientConfig>),
    /// Through a socket on this machine.
    Unix(PathBuf),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; never one of a redirect that could be followed.
    pub status: StatusCode,
    /// All of the body.
    pub body: Bytes,
}

/// Why nothing came back. The texts are whole, and Go's where Go has one.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The URL cannot be asked.
    #[error("{url:?} cannot be asked: {reason}")]
    Url {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// The name of the host is not known.
    #[error("dial tcp: lookup {host}: {error}")]
    Lookup {
        /// Which.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// No connection.
    #[error("dial tcp {address}: connect: {}", go_text(error))]
    Dial {
        /// To where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// No connection to a socket.
    #[error("{}: {error}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The server was not believed, or does not speak TLS.
    #[error("{}", tls::explain(.0))]
    Handshake(io::Error),
    /// The server does not speak HTTP, or stopped in the middle.
    #[error("{0}")]
    Http(String),
    /// More than was allowed.
    #[error("length limit exceeded")]
    TooLong,
    /// Sent to where the answer could not be believed.
    #[error("redirected to {location:?}, which is {problem}")]
    BadRedirect {
        /// To where.
        location: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Sent around.
    #[error("stopped after {REDIRECTS_MAX} redirects")]
    Redirects,
}

/// An error of the system in the words of Go, which are those of the C library in small letters.
fn go_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Gets a document of at most `limit` bytes. Follows redirects, over TLS to TLS only and under the same rules of
/// belief. The caller limits the time.
pub async fn get(url: &Uri, via: &Via, limit: usize) -> Result<Answer, GetError> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut connections = JoinSet::new();
        let response = request(&url, via, &mut connections).await?;
        if let Some(elsewhere) = redirect(&url, &response, via)? {
            url = elsewhere;
            continue;
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), limit).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => GetError::TooLong,
            false => GetError::Http(chain(&*error).to_string()),
        })?;
        return Ok(Answer { status, body: body.to_bytes() });
    }
    Err(GetError::Redirects)
}

fn bad_url(url: &Uri, reason: impl ToString) -> GetError {
    GetError::Url { url: url.to_string(), reason: reason.to_string() }
}

async fn request(
    url: &Uri,
    via: &Via,
    connections: &mut JoinSet<()>,
) -> Result<Response<Incoming>, GetError> {
    match via {
        Via::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            let stream = stream.map_err(|error| GetError::Socket { path: path.clone(), error })?;
            exchange(url, stream, connections).await
        }
        Via::Tls(config) => {
            let host = url.host().ok_or_else(|| bad_url(url, "it has no host"))?.trim_matches(['[', ']']);
            let name = ServerName::try_from(host.to_owned()).map_err(|error| bad_url(url, error))?;
            let stream = dial(host, url.port_u16().unwrap_or(HTTPS_PORT)).await?;
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
            exchange(url, stream.map_err(GetError::Handshake)?, connections).await
        }
    }
}

/// Connects to the first address of a host that answers.
async fn dial(host: &str, port: u16) -> Result<TcpStream, GetError> {
    let lookup = |error| GetError::Lookup { host: host.to_owned(), error };
    let addresses = lookup_host((host, port)).await.map_err(lookup)?;
    let mut failure = lookup(io::Error::other("no such host"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = GetError::Dial { address, error },
        }
    }
    Err(failure)
}

async fn exchange(
    url: &Uri,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    connections: &mut JoinSet<()>,
) -> Result<Response<Incoming>, GetError> {
    let told = |error: hyper::Error| GetError::Http(chain(&error).to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    connections.spawn(async move {
        // Whoever waits for the answer hears of the error.
        let _ = connection.await;
    });
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::get(target)
        .header(HOST, url.authority().map_or("localhost", |authority| authority.as_str()))
        .header(USER_AGENT, concat!("finial/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .map_err(|error| bad_url(url, error))?;
    sender.send_request(request).await.map_err(told)
}

/// Where to look instead; nothing if this is the answer.
fn redirect(url: &Uri, response: &Response<Incoming>, via: &Via) -> Result<Option<Uri>, GetError> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location.filter(|_| is_redirect) else { return Ok(None) };
    let refused = |problem| GetError::BadRedirect { location: location.to_owned(), problem };
    let elsewhere: Uri = location.parse().map_err(|_| refused("no URL"))?;
    let elsewhere = if elsewhere.host().is_none() && location.starts_with('/') {
        let mut parts = url.clone().into_parts();
        parts.path_and_query = elsewhere.into_parts().path_and_query;
        Uri::from_parts(parts).map_err(|_| refused("no URL"))?
    } else {
        elsewhere
    };
    if matches!(via, Via::Tls(_)) {
        if elsewhere.scheme_str() != Some("https") {
            return Err(refused("not https"));
        }
        if elsewhere.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("one with user info"));
        }
    }
    Ok(Some(elsewhere))
}
