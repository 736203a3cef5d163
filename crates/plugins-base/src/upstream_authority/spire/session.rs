//! One conversation with the server above: an SVID from the Workload API, and a connection that shows it.

use super::Place;
use bytes::Bytes;
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, Code, Failure, JwtAuthority, PrivateKey, TrustDomain, X509Authority};
use finial_plugin::upstream_authority::UpstreamBundle;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::bundle::{GetBundleRequest, PublishJwtAuthorityRequest};
use finial_proto::server::svid::NewDownstreamX509caRequest;
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_proto::workload::{X509svidRequest, X509svidResponse};
use finial_wire::channel::{ChannelOptions, ServerChannel, UnixTarget, unix_channel};
use finial_wire::convert::bundles::{bundle_from_server, jwt_authorities_to_proto, jwt_authority_from_proto};
use finial_wire::status::to_failure;
use finial_wire::tls::{ExpectedServer, IdentityCell, LocalIdentity, TlsOptions, TrustSource, client_config};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

/// Longest wait for the SVID, and for each answer of the server above.
const PATIENCE: Duration = Duration::from_secs(15);
/// Largest message taken from agent and server: both are trusted, and bundles may be long.
const MESSAGE_MAX: usize = 64 << 20;

/// What the agent said last of the own trust domain.
#[derive(Clone)]
struct Trust {
    trust_domain: TrustDomain,
    bundle: Arc<Mutex<Arc<Bundle>>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("trust_domain", &self.trust_domain).finish_non_exhaustive()
    }
}

impl TrustSource for Trust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        let bundle = || Arc::clone(&self.bundle.lock().unwrap_or_else(PoisonError::into_inner));
        (*trust_domain == self.trust_domain).then(bundle)
    }
}

/// A session; it holds the stream of the Workload API.
pub(super) struct Session {
    updates: Streaming<X509svidResponse>,
    identity: Arc<IdentityCell>,
    trust: Trust,
    channel: ServerChannel,
}

impl Session {
    /// Waits for an SVID and gets ready to show it. Nothing is sent to the server yet.
    pub(super) async fn open(place: &Place) -> Result<Self, Failure> {
        let trust_domain = place.trust_domain.clone();
        let bundle = Arc::new(Mutex::new(Arc::new(Bundle::new(trust_domain.clone()))));
        let trust = Trust { trust_domain, bundle };
        let identity = IdentityCell::empty();
        let expected =
            ExpectedServer::Is { id: place.trust_domain.server_id(), trust: Arc::new(trust.clone()) };
        let tls = TlsOptions { key_exchange: place.key_exchange, clock: Arc::clone(&place.clock) };
        let tls = client_config(expected, Some(Arc::clone(&identity)), &tls)
            .map_err(|error| Failure::internal(format!("could not set up TLS: {error}")))?;
        let options = ChannelOptions { connect_timeout: PATIENCE, ..ChannelOptions::default() };
        let channel = ServerChannel::new(place.target.clone(), tls, Arc::clone(&identity), options.clone());
        let agent = unix_channel(UnixTarget::new(&place.socket), &options);
        let agent = SpiffeWorkloadApiClient::new(agent).max_decoding_message_size(MESSAGE_MAX);
        let what = "get an SVID from the Workload API";
        let updates = in_time(what, open_stream(agent)).await?;
        let mut session = Self { updates, identity, trust, channel };
        tokio::time::timeout(PATIENCE, session.renewed()).await.map_err(|_| late(what)).flatten()?;
        Ok(session)
    }

    /// Waits for the next SVID and takes it up; calls made afterwards show it.
    pub(super) async fn renewed(&mut self) -> Result<(), Failure> {
        let update = self.updates.message().await.map_err(|status| said("Workload API", &status))?;
        let update = update.ok_or_else(|| Failure::new(Code::Unavailable, "the agent ended the stream"))?;
        let (identity, bundle) = read(update, &self.trust.trust_domain)
            .map_err(|what| Failure::internal(format!("the Workload API gave no usable SVID: {what}")))?;
        *self.trust.bundle.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(bundle);
        self.identity.set(identity);
        Ok(())
    }

    /// The next call connects anew.
    pub(super) fn reconnect(&self) {
        self.channel.reset();
    }

    /// Has an authority signed for the key of a request.
    pub(super) async fn new_downstream_x509_ca(
        &self,
        csr: &[u8],
        ttl: Duration,
    ) -> Result<Vec<Certificate>, Failure> {
        let preferred_ttl = i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX);
        let request = NewDownstreamX509caRequest { csr: Bytes::copy_from_slice(csr), preferred_ttl };
        let mut client = SvidClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX);
        let what = "request a new Downstream X509CA";
        let answer = in_time(what, client.new_downstream_x509ca(request)).await?;
        let chain: Result<Vec<_>, _> =
            answer.ca_cert_chain.iter().map(|der| Certificate::from_der(der)).collect();
        chain.map_err(|error| Failure::internal(format!("unable to parse CA cert chain: {error}")))
    }

    /// The bundle above.
    pub(super) async fn bundle(&self) -> Result<UpstreamBundle, Failure> {
        let mut client = BundleClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX);
        let answer = client.get_bundle(GetBundleRequest { output_mask: None });
        let bundle = in_time("fetch bundle from upstream server", answer).await?;
        let bundle = bundle_from_server(&bundle)
            .map_err(|error| Failure::internal(format!("failed to parse the bundle above: {error}")))?;
        Ok(UpstreamBundle {
            x509_authorities: bundle.x509_authorities,
            jwt_authorities: bundle.jwt_authorities,
        })
    }

    /// Makes a JWT authority known above, and gives all of them.
    pub(super) async fn publish_jwt_authority(
        &self,
        key: &JwtAuthority,
    ) -> Result<Vec<JwtAuthority>, Failure> {
        let jwt_authority = jwt_authorities_to_proto(std::slice::from_ref(key)).pop();
        let mut client = BundleClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX);
        let answer = client.publish_jwt_authority(PublishJwtAuthorityRequest { jwt_authority });
        let answer = in_time("push JWT authority", answer).await?;
        let keys = answer.jwt_authorities.iter().map(|key| {
            let read = jwt_authority_from_proto(key);
            read.map(|authority| JwtAuthority { tainted: key.tainted, ..authority })
        });
        let keys: Result<Vec<_>, _> = keys.collect();
        keys.map_err(|error| Failure::internal(format!("unable to parse JWT authorities: {error}")))
    }
}

async fn open_stream(
    mut agent: SpiffeWorkloadApiClient<tonic::transport::Channel>,
) -> Result<Response<Streaming<X509svidResponse>>, Status> {
    let mut request = Request::new(X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
    agent.fetch_x509svid(request).await
}

/// The first SVID, which go-spiffe takes, too, and the bundle of its trust domain.
fn read(update: X509svidResponse, trust_domain: &TrustDomain) -> Result<(LocalIdentity, Bundle), String> {
    let svid = update.svids.into_iter().next().ok_or("no SVID")?;
    let chain = Certificate::chain_from_der(&svid.x509_svid).map_err(|e| e.to_string())?;
    let key = PrivateKey::from_pkcs8(&svid.x509_svid_key).map_err(|e| e.to_string())?;
    let identity = LocalIdentity::new(chain, Arc::new(key)).map_err(|e| e.to_string())?;
    if identity.id().trust_domain() != trust_domain {
        return Err(format!("it is {}, which is not of {trust_domain}", identity.id()));
    }
    let roots = Certificate::chain_from_der(&svid.bundle).map_err(|e| e.to_string())?;
    let mut bundle = Bundle::new(trust_domain.clone());
    bundle.x509_authorities = roots.into_iter().map(X509Authority::new).collect();
    Ok((identity, bundle))
}

fn late(what: &str) -> Failure {
    let text = format!("failed to {what}: no answer within {} s", PATIENCE.as_secs());
    Failure::new(Code::DeadlineExceeded, text)
}

fn said(who: &str, status: &Status) -> Failure {
    let failure = to_failure(status);
    Failure { message: format!("{who}: {}", failure.message), ..failure }
}

async fn in_time<T>(
    what: &str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(said(&format!("failed to {what}"), &status)),
        Err(_) => Err(late(what)),
    }
}
