//! One fetch of one bundle from its endpoint.

use super::config::Endpoint;
use finial_identity::bundle::format::{BundleError, DOCUMENT_MAX, decode_spiffe};
use finial_identity::{Bundle, BundleEndpointProfile, SpiffeId, TrustDomain};
use finial_runtime::clock::Clock;
use finial_wire::tls::{
    ExpectedServer, KeyExchange, TlsOptions, TrustSource, WebRoots, WebRootsError, WebVerifyError,
    client_config, web_client_config,
};
use finial_wire::web::{self, Answer, GetError, Via};
use http::{StatusCode, Uri};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

const HTTP1: &[u8] = b"http/1.1";
/// How much is shown of what an endpoint says when it refuses.
const REFUSAL_SHOWN: usize = 1024;

/// Limits of a fetch, and who is believed.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// How long it may take, with all redirects.
    pub time: Duration,
    /// Who vouches for endpoints of the web.
    pub roots: WebRoots,
    /// Which key exchanges are taken from endpoints with an SVID.
    pub key_exchange: KeyExchange,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), roots: WebRoots::System, key_exchange: KeyExchange::default() }
    }
}

/// Why a bundle could not be fetched. The texts are SPIRE's.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be read.
    #[error("failed to fetch bundle: {url:?} is no URL")]
    Url {
        /// Which.
        url: String,
        /// Why.
        source: http::uri::InvalidUri,
    },
    /// TLS could not be set up.
    #[error("failed to fetch bundle")]
    Tls(#[from] rustls::Error),
    /// No server of the web can be believed.
    #[error("failed to fetch bundle")]
    Roots(#[from] WebRootsError),
    /// Not to be had.
    #[error("failed to fetch bundle: Get {url:?}")]
    Get {
        /// From where.
        url: String,
        /// Why.
        source: GetError,
    },
    /// The endpoint has an SVID where it should be one of the web.
    #[error(
        "failed to authenticate bundle endpoint using web authentication but the server certificate contains \
         SPIFFE ID {:?}: maybe use https_spiffe instead of https_web: Get {url:?}", id.as_str()
    )]
    WebShowsSvid {
        /// Whose SVID.
        id: SpiffeId,
        /// From where.
        url: String,
        /// Why it is not believed.
        source: GetError,
    },
    /// It takes too long.
    #[error("failed to fetch bundle: Get {url:?}: no answer within {seconds} seconds")]
    TooSlow {
        /// From where.
        url: String,
        /// The limit.
        seconds: u64,
    },
    /// The endpoint refuses.
    #[error("unexpected status {status} fetching bundle: {body}")]
    Status {
        /// Its number.
        status: u16,
        /// How its answer begins.
        body: String,
    },
    /// What came is no bundle.
    #[error("failed to decode bundle")]
    Bundle(#[from] BundleError),
}

/// Fetches bundles.
#[derive(Debug)]
pub(super) struct Fetcher {
    limits: FetchLimits,
    clock: Arc<dyn Clock>,
}

impl Fetcher {
    pub(super) fn new(limits: FetchLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock }
    }

    /// Fetches the bundle of `trust_domain`. `vouching` is the bundle of the trust domain that the endpoint's
    /// SVID is of; without need for an endpoint of the web.
    pub(super) async fn fetch(
        &self,
        trust_domain: &TrustDomain,
        endpoint: &Endpoint,
        vouching: Option<Arc<Bundle>>,
    ) -> Result<Bundle, FetchError> {
        let fetched = tokio::time::timeout(self.limits.time, self.get(endpoint, vouching)).await;
        let answer = fetched.unwrap_or_else(|_| {
            Err(FetchError::TooSlow { url: endpoint.url.clone(), seconds: self.limits.time.as_secs() })
        })?;
        if answer.status != StatusCode::OK {
            let shown = answer.body.get(..REFUSAL_SHOWN).unwrap_or(&answer.body);
            let body = String::from_utf8_lossy(shown).into_owned();
            return Err(FetchError::Status { status: answer.status.as_u16(), body });
        }
        Ok(decode_spiffe(trust_domain.clone(), &answer.body)?)
    }

    async fn get(&self, endpoint: &Endpoint, vouching: Option<Arc<Bundle>>) -> Result<Answer, FetchError> {
        let url = &endpoint.url;
        let uri: Uri = url.parse().map_err(|source| FetchError::Url { url: url.clone(), source })?;
        let tls = match &endpoint.profile {
            BundleEndpointProfile::HttpsWeb => self.tls_of_web().await?,
            BundleEndpointProfile::HttpsSpiffe { endpoint_id } => self.tls_of_svid(endpoint_id, vouching)?,
        };
        web::get(&uri, &Via::Tls(Arc::new(tls)), DOCUMENT_MAX).await.map_err(|source| {
            let url = url.clone();
            match shown_id(&source) {
                Some(id) => FetchError::WebShowsSvid { id, url, source },
                None => FetchError::Get { url, source },
            }
        })
    }

    /// As SPIRE does, `require_pq_kem` does not ask it of the web.
    async fn tls_of_web(&self) -> Result<ClientConfig, FetchError> {
        let options = TlsOptions { clock: Arc::clone(&self.clock), ..TlsOptions::default() };
        let roots = self.limits.roots.clone();
        let made = tokio::task::spawn_blocking(move || web_client_config(&roots, &options)).await;
        Ok(made.unwrap_or(Err(WebRootsError::NoAuthorities))?)
    }

    fn tls_of_svid(&self, id: &SpiffeId, vouching: Option<Arc<Bundle>>) -> Result<ClientConfig, FetchError> {
        let options = TlsOptions { clock: Arc::clone(&self.clock), key_exchange: self.limits.key_exchange };
        let trust = Arc::new(Vouching(vouching));
        let mut config = client_config(ExpectedServer::Is { id: id.clone(), trust }, None, &options)?;
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(config)
    }
}

fn shown_id(error: &GetError) -> Option<SpiffeId> {
    match error {
        GetError::Handshake(error) => WebVerifyError::of(error)?.spiffe_id.clone(),
        _ => None,
    }
}

/// One bundle, for one handshake.
#[derive(Debug)]
struct Vouching(Option<Arc<Bundle>>);

impl TrustSource for Vouching {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        self.0.clone().filter(|bundle| bundle.trust_domain == *trust_domain)
    }
}
