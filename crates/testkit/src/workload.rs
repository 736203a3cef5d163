//! Workloads in the test's own process: the Workload API as a client sees it, everything checked.

use anyhow::{Context, Result, anyhow, ensure};
use finial_identity::x509::{Certificate, verify_svid};
use finial_identity::{Bundle, PrivateKey, SpiffeId, UnixTime, X509Authority};
use finial_proto::workload as api;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// The Workload API's client as this kit uses it.
pub type WorkloadClient = SpiffeWorkloadApiClient<InterceptedService<Channel, SecurityHeader>>;

/// How long a workload waits for an answer before it calls the agent dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Adds `workload.spiffe.io: true`.
#[derive(Debug, Clone, Copy)]
pub struct SecurityHeader;

impl Interceptor for SecurityHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = tonic::metadata::MetadataValue::from_static("true");
        request.metadata_mut().insert("workload.spiffe.io", value);
        Ok(request)
    }
}

/// A workload: this process, as an agent sees it. Each call is a connection of its own.
#[derive(Debug, Clone)]
pub struct Workload {
    socket: PathBuf,
}

impl Workload {
    /// A workload of the agent behind this socket.
    pub fn of(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// A new connection.
    pub fn connect(&self) -> WorkloadClient {
        let channel = workload_channel(&self.socket);
        SpiffeWorkloadApiClient::with_interceptor(channel, SecurityHeader)
    }

    /// Asks once for X509-SVIDs.
    pub async fn x509(&self) -> Result<X509Update, Status> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, async { self.watch_x509().await?.next().await });
        answer.await.map_err(|_| Status::deadline_exceeded("the agent does not answer"))?
    }

    /// Subscribes to X509-SVIDs.
    pub async fn watch_x509(&self) -> Result<X509Watch, Status> {
        let stream = self.connect().fetch_x509svid(api::X509svidRequest {}).await?.into_inner();
        Ok(X509Watch { stream })
    }

    /// Asks for JWT-SVIDs; gives SPIFFE ID and token of each.
    pub async fn jwt(&self, audience: &str) -> Result<Vec<(String, String)>, Status> {
        let request = api::JwtsvidRequest { audience: vec![audience.to_owned()], spiffe_id: String::new() };
        let svids = self.connect().fetch_jwtsvid(request).await?.into_inner().svids;
        Ok(svids.into_iter().map(|svid| (svid.spiffe_id, svid.svid)).collect())
    }

    /// Has a token validated; gives the SPIFFE ID.
    pub async fn validate(&self, audience: &str, token: &str) -> Result<String, Status> {
        let request = api::ValidateJwtsvidRequest { audience: audience.to_owned(), svid: token.to_owned() };
        Ok(self.connect().validate_jwtsvid(request).await?.into_inner().spiffe_id)
    }

    /// The JWT bundles of the moment: a JWKS for each trust domain.
    pub async fn jwt_bundles(&self) -> Result<BTreeMap<String, String>, Status> {
        let request = api::JwtBundlesRequest {};
        let mut stream = self.connect().fetch_jwt_bundles(request).await?.into_inner();
        let bundles = stream.message().await?.unwrap_or_default().bundles;
        let text = |jwks: bytes::Bytes| String::from_utf8_lossy(&jwks).into_owned();
        Ok(bundles.into_iter().map(|(id, jwks)| (id, text(jwks))).collect())
    }

    /// The X.509 bundles of the moment: how many authorities each trust domain has.
    pub async fn x509_bundles(&self) -> Result<BTreeMap<String, usize>, Status> {
        let request = api::X509BundlesRequest {};
        let mut stream = self.connect().fetch_x509_bundles(request).await?.into_inner();
        let bundles = stream.message().await?.unwrap_or_default().bundles;
        let count = |der: &[u8]| Certificate::chain_from_der(der).map_or(0, |chain| chain.len());
        Ok(bundles.into_iter().map(|(id, der)| (id, count(&der))).collect())
    }
}

/// A channel to a Workload API, without the security header.
pub fn workload_channel(socket: &Path) -> Channel {
    unix_channel(UnixTarget::new(socket), &ChannelOptions::default())
}

/// A subscription.
pub struct X509Watch {
    stream: Streaming<api::X509svidResponse>,
}

impl X509Watch {
    /// The next update, believed only if all in it is right: see [`X509Update::read`].
    pub async fn next(&mut self) -> Result<X509Update, Status> {
        self.next_at(SystemTime::now).await
    }

    /// The next update, as a workload sees it whose clock shows something else than ours.
    pub async fn next_at(&mut self, now: impl Fn() -> SystemTime) -> Result<X509Update, Status> {
        let message = self.stream.message().await?;
        let message = message.ok_or_else(|| Status::unavailable("the agent ended the stream"))?;
        X509Update::read(message, now()).map_err(|error| Status::data_loss(format!("{error:#}")))
    }
}

/// What one message brought.
#[derive(Debug, Clone)]
pub struct X509Update {
    /// The SVIDs, in the agent's order.
    pub svids: Vec<Svid>,
    /// Other trust domains, and how many authorities each has.
    pub federated: BTreeMap<String, usize>,
}

/// An X509-SVID with its key.
#[derive(Debug, Clone)]
pub struct Svid {
    /// Whose.
    pub id: String,
    /// Leaf first.
    pub chain: Vec<Certificate>,
    /// Of its own trust domain.
    pub authorities: Vec<X509Authority>,
    /// Which of several.
    pub hint: String,
}

impl X509Update {
    /// Reads a message: every SVID must be vouched for by its bundle now, and its key must be its own.
    pub fn read(message: api::X509svidResponse, now: SystemTime) -> Result<Self> {
        let svids = message.svids.iter().map(|svid| Svid::read(svid, now));
        let federated = message.federated_bundles.iter().map(|(id, der)| {
            let chain = Certificate::chain_from_der(der).with_context(|| format!("bundle of {id}"))?;
            Ok((id.clone(), chain.len()))
        });
        Ok(Self { svids: svids.collect::<Result<_>>()?, federated: federated.collect::<Result<_>>()? })
    }

    /// The SPIFFE IDs.
    pub fn ids(&self) -> Vec<&str> {
        self.svids.iter().map(|svid| svid.id.as_str()).collect()
    }

    /// The SVID of this ID.
    pub fn svid(&self, id: &str) -> Result<&Svid> {
        let found = self.svids.iter().find(|svid| svid.id == id);
        found.ok_or_else(|| anyhow!("no SVID for {id} among {:?}", self.ids()))
    }
}

impl Svid {
    fn read(svid: &api::X509svid, now: SystemTime) -> Result<Self> {
        let chain = Certificate::chain_from_der(&svid.x509_svid).context("the chain")?;
        let roots = Certificate::chain_from_der(&svid.bundle).context("the bundle")?;
        let authorities: Vec<X509Authority> = roots.into_iter().map(X509Authority::new).collect();
        let id = verify_svid(&chain, authorities.iter(), UnixTime::from(now))
            .with_context(|| format!("the SVID of {} does not verify", svid.spiffe_id))?;
        ensure!(id == SpiffeId::parse(&svid.spiffe_id)?, "{} is told as {}", id, svid.spiffe_id);
        let key = PrivateKey::from_pkcs8(&svid.x509_svid_key).context("the key")?;
        let leaf = chain.first().context("an empty chain")?;
        ensure!(leaf.spki() == key.public_key().spki(), "the key of {id} is not that of its SVID");
        Ok(Self { id: svid.spiffe_id.clone(), chain, authorities, hint: svid.hint.clone() })
    }

    /// The certificate itself.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Its serial number.
    pub fn serial(&self) -> String {
        self.leaf().serial_decimal()
    }

    /// Which authority signed it.
    pub fn issuer(&self) -> String {
        self.leaf().authority_key_id_hex()
    }

    /// The bundle it came with.
    pub fn bundle(&self) -> Result<Bundle> {
        let mut bundle = Bundle::new(SpiffeId::parse(&self.id)?.trust_domain().clone());
        bundle.x509_authorities = self.authorities.clone();
        Ok(bundle)
    }
}
