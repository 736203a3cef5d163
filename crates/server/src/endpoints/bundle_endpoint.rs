//! The bundle endpoint: our own bundle over HTTPS, for whoever asks (SPIFFE Federation, section 5).

use super::ServerIdentity;
use super::serving_certificate::{ServingCertificate, ServingCertificateError};
use crate::bundle::OwnBundle;
use crate::federation::{BundleEndpointConfig, ServedAs};
use bytes::Bytes;
use finial_identity::Bundle;
use finial_identity::bundle::format::encode_spiffe;
use finial_runtime::clock::Clock;
use finial_runtime::config::GoDuration;
use finial_runtime::tasks::Shutdown;
use finial_wire::listen::{TcpOptions, TlsListener};
use finial_wire::tls::{Shown, TlsOptions, web_server_config};
use finial_wire::web::{WebOptions, serve_web};
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::{error, info};

/// For so long a document is served without asking the store: as long as SPIRE does.
const FRESH_FOR: Duration = Duration::from_secs(1);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Why the endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BundleEndpointError {
    /// The certificate of the web is not to be had.
    #[error("could not set up the bundle endpoint")]
    Certificate(#[from] ServingCertificateError),
    /// TLS could not be set up.
    #[error("could not set up TLS of the bundle endpoint")]
    Tls(#[from] rustls::Error),
    /// The address is not to be had.
    #[error("could not listen on {address} for the bundle endpoint: is something else running there?")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An endpoint that listens and is not served yet.
pub struct BundleEndpoint {
    listener: TlsListener,
    document: Arc<Document>,
    certificate: Option<Arc<ServingCertificate>>,
}

impl BundleEndpoint {
    /// Listens.
    pub async fn open(
        config: &BundleEndpointConfig,
        identity: &ServerIdentity,
        bundle: Arc<OwnBundle>,
        tls: &TlsOptions,
    ) -> Result<Self, BundleEndpointError> {
        let certificate = match &config.served_as {
            ServedAs::Spiffe => None,
            ServedAs::Web(files) => Some(ServingCertificate::load(files.clone()).await?),
        };
        let shown = match &certificate {
            None => Shown::Svid(identity.cell()),
            Some(certificate) => Shown::Certificate(certificate.cell()),
        };
        let config_of_tls = web_server_config(shown, tls)?;
        let listener = TlsListener::bind(config.bind, config_of_tls, TcpOptions::default()).await;
        let listener =
            listener.map_err(|source| BundleEndpointError::Listen { address: config.bind, source })?;
        let refresh_hint = GoDuration::from(config.refresh_hint).to_string();
        info!(addr = %config.bind, refresh_hint, subsystem_name = "endpoints", "Serving bundle endpoint");
        let document = Document::new(bundle, config.refresh_hint, Arc::clone(&tls.clock));
        Ok(Self { listener, document, certificate })
    }

    /// The certificate of the web, if that is what the endpoint shows.
    pub fn certificate(&self) -> Option<Arc<ServingCertificate>> {
        self.certificate.clone()
    }

    /// Serves until the process stops.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let document = self.document;
        let answer = move |request: http::Request<hyper::body::Incoming>| {
            let document = Arc::clone(&document);
            async move { document.answer(request.method(), request.uri().path()).await }
        };
        serve_web(self.listener, answer, WebOptions::default(), shutdown).await;
        Ok(())
    }
}

/// The document that is served.
struct Document {
    bundle: Arc<OwnBundle>,
    refresh_hint: i64,
    clock: Arc<dyn Clock>,
    made: Mutex<Option<(SystemTime, Bytes)>>,
}

impl Document {
    fn new(bundle: Arc<OwnBundle>, refresh_hint: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let refresh_hint = i64::try_from(refresh_hint.as_secs()).unwrap_or(i64::MAX);
        Arc::new(Self { bundle, refresh_hint, clock, made: Mutex::new(None) })
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
        }
        if path != "/" {
            return refusal(StatusCode::NOT_FOUND, "404 page not found\n");
        }
        let Some(body) = self.current().await else {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "500 unable to retrieve local bundle\n");
        };
        let mut response = Response::new(Full::new(body));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    }

    /// The document, at most a second old; nothing before there is an authority.
    async fn current(&self) -> Option<Bytes> {
        let now = self.clock.now();
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, body)) = made
            && now.duration_since(at).is_ok_and(|age| age < FRESH_FOR)
        {
            return Some(body);
        }
        let bundle = self.bundle.refresh().await.unwrap_or_else(|error| {
            error!(%error, subsystem_name = "bundle_endpoint", "Unable to retrieve local bundle");
            // What this server signs with is in the bundle that it knows: better than nothing.
            self.bundle.current()
        });
        if bundle.x509_authorities.is_empty() && bundle.jwt_authorities.is_empty() {
            return None;
        }
        let bundle = Bundle { refresh_hint: self.refresh_hint, ..Bundle::clone(&bundle) };
        let body = Bytes::from(encode_spiffe(&bundle));
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, body.clone()));
        Some(body)
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::testing::{MemoryStore, root};
    use finial_identity::{TrustDomain, UnixTime, X509Authority};
    use finial_plugin::datastore::BundleChange;
    use finial_runtime::clock::TestClock;
    use http_body_util::BodyExt;

    const NOW: i64 = 1_800_000_000;

    async fn shown(document: &Document, method: Method, path: &str) -> (u16, String, Bundle) {
        let response = document.answer(&method, path).await;
        let status = response.status().as_u16();
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let name = TrustDomain::parse("example.org").unwrap();
        let bundle = finial_identity::bundle::format::decode_spiffe(name.clone(), &body);
        (status, kind, bundle.unwrap_or(Bundle::new(name)))
    }

    #[tokio::test]
    async fn only_the_bundle_and_only_by_get() {
        let (store, clock) = (MemoryStore::shared(), TestClock::at_unix(NOW.unsigned_abs()));
        let name = TrustDomain::parse("example.org").unwrap();
        let ours = OwnBundle::over(name.clone(), store.clone(), Arc::new(clock.clone())).await.unwrap();
        let theirs = OwnBundle::over(name, store.clone(), Arc::new(clock.clone())).await.unwrap();
        let document = Document::new(Arc::clone(&ours), Duration::from_secs(60), Arc::new(clock.clone()));
        let append = || {
            let root = root(UnixTime::from_seconds(NOW + 3600));
            BundleChange::Append { x509: vec![X509Authority::new(root)], jwt: Vec::new() }
        };
        assert_eq!(shown(&document, Method::GET, "/").await.0, 500, "nothing to show yet");
        ours.apply(append()).await.unwrap();
        for (method, path, status) in [
            (Method::GET, "/x", 404),
            (Method::GET, "//", 404),
            (Method::POST, "/", 405),
            (Method::HEAD, "/", 405),
            (Method::PUT, "/x", 405),
        ] {
            let (got, kind, _) = shown(&document, method.clone(), path).await;
            assert_eq!((got, kind.as_str()), (status, "text/plain; charset=utf-8"), "{method} {path}");
        }
        let (status, kind, bundle) = shown(&document, Method::GET, "/").await;
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        assert_eq!((bundle.x509_authorities.len(), bundle.refresh_hint), (1, 60));

        // What another server did is seen a second later.
        theirs.apply(append()).await.unwrap();
        assert_eq!(shown(&document, Method::GET, "/").await.2.x509_authorities.len(), 1);
        clock.advance(FRESH_FOR);
        assert_eq!(shown(&document, Method::GET, "/").await.2.x509_authorities.len(), 2);
    }
}
