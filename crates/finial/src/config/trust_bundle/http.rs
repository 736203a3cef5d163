//! One small GET over TLS or over a Unix socket.
//!
//! On the `hyper` and `rustls` that are in the binary anyway; it never speaks plain HTTP over a network, and
//! does not look at proxies.

use bytes::Bytes;
use finial_runtime::logging::chain;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
#[cfg(test)]
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const REDIRECTS_MAX: usize = 5;

/// How the server is reached.
#[derive(Debug, Clone)]
pub(super) enum Via {
    /// Over TCP, the server's certificate being checked.
    Tls(Roots),
    /// Through a socket on this machine.
    Unix(PathBuf),
}

/// Whom to believe that a server is the one in the URL.
#[derive(Debug, Clone)]
pub(super) enum Roots {
    /// The authorities that the operating system trusts.
    System,
    /// These.
    #[cfg(test)]
    Given(Vec<CertificateDer<'static>>),
}

impl Roots {
    fn store(&self) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        let certificates = match self {
            Self::System => rustls_native_certs::load_native_certs().certs,
            #[cfg(test)]
            Self::Given(certificates) => certificates.clone(),
        };
        store.add_parsable_certificates(certificates);
        if store.is_empty() {
            return Err("the system trusts no certificate authorities: install its CA certificates, or set \
                        SSL_CERT_FILE"
                .to_owned());
        }
        Ok(store)
    }

    async fn client_config(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = self.clone();
        let store =
            tokio::task::spawn_blocking(move || roots.store()).await.map_err(|error| error.to_string())??;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
    }
}

/// The body of the answer, of at most `limit` bytes. Follows redirects, over TLS to TLS only.
pub(super) async fn get(url: &Uri, via: &Via, limit: usize) -> Result<Vec<u8>, String> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut connections = JoinSet::new();
        let response = request(&url, via, &mut connections).await?;
        match redirect(&url, &response, via)? {
            Some(elsewhere) => url = elsewhere,
            None => {
                let body = Limited::new(response.into_body(), limit).collect().await;
                return body.map(|body| body.to_bytes().to_vec()).map_err(|error| chain(&*error).to_string());
            }
        }
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

async fn request(url: &Uri, via: &Via, connections: &mut JoinSet<()>) -> Result<Response<Incoming>, String> {
    let host = url.host().ok_or("the URL has no host")?;
    match via {
        Via::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            exchange(url, stream.map_err(|error| format!("{}: {error}", path.display()))?, connections).await
        }
        Via::Tls(roots) => {
            let config = roots.client_config().await?;
            let bare = host.trim_matches(['[', ']']);
            let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
            let address = (bare, url.port_u16().unwrap_or(443));
            let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            let stream = TlsConnector::from(config).connect(name, stream).await;
            exchange(url, stream.map_err(|error| error.to_string())?, connections).await
        }
    }
}

async fn exchange(
    url: &Uri,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    connections: &mut JoinSet<()>,
) -> Result<Response<Incoming>, String> {
    let told = |error: hyper::Error| chain(&error).to_string();
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
        .map_err(|error| error.to_string())?;
    sender.send_request(request).await.map_err(told)
}

/// Where to look instead; nothing if this is the answer.
fn redirect(url: &Uri, response: &Response<Incoming>, via: &Via) -> Result<Option<Uri>, String> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location.filter(|_| status.is_redirection()) else {
        return Err(format!("error downloading trust bundle: {status}"));
    };
    let elsewhere: Uri =
        location.parse().map_err(|_| format!("redirected to {location:?}, which is no URL"))?;
    let elsewhere = if elsewhere.host().is_none() && location.starts_with('/') {
        let mut parts = url.clone().into_parts();
        parts.path_and_query = elsewhere.into_parts().path_and_query;
        Uri::from_parts(parts).map_err(|error| error.to_string())?
    } else {
        elsewhere
    };
    if matches!(via, Via::Tls(_)) && elsewhere.scheme_str() != Some("https") {
        return Err(format!("redirected to {location:?}, which is not https"));
    }
    Ok(Some(elsewhere))
}
