//! The workloads of the demo: what a program does with its identity, in a few lines.
//!
//! They print what happens to them as `<what> <details>`, for the story to pick up. (`finial demo-workload` is
//! not for operators and stands in no help.)
#![allow(clippy::print_stdout, reason = "their output is what the demo reads")]

use anyhow::{Context, Result, anyhow, bail};
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, PrivateKey, SpiffeId, TrustDomain, X509Authority};
use finial_proto::rpc;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_proto::workload::{JwtsvidRequest, ValidateJwtsvidRequest, X509svidRequest, X509svidResponse};
use finial_runtime::clock::SystemClock;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::listen::{Listener, TcpOptions, TlsConnection, TlsListener};
use finial_wire::tls::{
    ExpectedServer, IdentityCell, KeyExchange, LocalIdentity, TlsOptions, TrustSource, client_config,
    server_config,
};
use prost::Message;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};

/// What a workload of the demo does.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// Answers one peer over mutual TLS.
    Serve {
        /// The only peer that is answered.
        peer: SpiffeId,
    },
    /// Visits a peer again and again.
    Visit {
        /// Where.
        address: SocketAddr,
        /// Whom.
        peer: SpiffeId,
    },
    /// Fetches a JWT-SVID and has it validated.
    Token {
        /// For whom.
        audience: String,
    },
    /// Asks who it is.
    Introduce,
}

/// Reads the words of the command line: a role, its details, and `--socket PATH`.
pub(crate) fn read(words: &[String]) -> Result<(PathBuf, Role)> {
    let (role, details) = words.split_first().ok_or_else(|| anyhow!("no role"))?;
    let detail = |name: &str| {
        let at = details.iter().position(|word| word == name).map(|at| at + 1);
        at.and_then(|at| details.get(at)).ok_or_else(|| anyhow!("{name} is missing"))
    };
    let role = match role.as_str() {
        "serve" => Role::Serve { peer: SpiffeId::parse(detail("--peer")?)? },
        "visit" => {
            Role::Visit { address: detail("--connect")?.parse()?, peer: SpiffeId::parse(detail("--peer")?)? }
        }
        "token" => Role::Token { audience: detail("--audience")?.clone() },
        "introduce" => Role::Introduce,
        other => bail!("unknown role {other:?}"),
    };
    Ok((PathBuf::from(detail("--socket")?), role))
}

/// Plays a role.
pub(crate) async fn run(socket: PathBuf, role: Role) -> Result<()> {
    let api = Api { channel: unix_channel(UnixTarget::new(socket), &ChannelOptions::default()) };
    let outcome = match role {
        Role::Serve { peer } => serve(&api, &peer).await,
        Role::Visit { address, peer } => visit(&api, address, peer).await,
        Role::Token { audience } => token(&api, audience).await,
        Role::Introduce => introduce(&api).await,
    };
    if let Err(error) = &outcome {
        println!("failed {error:#}");
    }
    outcome
}

/// The Workload API.
struct Api {
    channel: Channel,
}

impl Api {
    fn client(&self) -> SpiffeWorkloadApiClient<Channel> {
        SpiffeWorkloadApiClient::new(self.channel.clone())
    }

    async fn follow(&self) -> Result<Streaming<X509svidResponse>, tonic::Status> {
        Ok(self.client().fetch_x509svid(with_header(X509svidRequest {})).await?.into_inner())
    }
}

/// Every call says that it means the Workload API (SPIFFE Workload Endpoint §3).
fn with_header<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
    request
}

/// An identity that follows the Workload API while it is used.
struct Identity {
    cell: Arc<IdentityCell>,
    trust: Arc<Trust>,
}

/// The bundle of the moment.
#[derive(Debug, Default)]
struct Trust(Mutex<Option<Arc<Bundle>>>);

impl TrustSource for Trust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        held.filter(|bundle| bundle.trust_domain == *trust_domain)
    }
}

impl Identity {
    /// Gets the first SVID and follows the others in the background.
    async fn follow(api: &Api) -> Result<Arc<Self>> {
        let mut updates = api.follow().await?;
        let identity = Arc::new(Self { cell: IdentityCell::empty(), trust: Arc::default() });
        let first = updates.message().await?.ok_or_else(|| anyhow!("the Workload API ended"))?;
        println!("svid {}", identity.take(&first)?);
        let follower = Arc::clone(&identity);
        tokio::spawn(async move {
            while let Ok(Some(update)) = updates.message().await {
                match follower.take(&update) {
                    Ok(svid) => println!("rotated {svid}"),
                    Err(error) => println!("failed {error:#}"),
                }
            }
        });
        Ok(identity)
    }

    /// Takes over an update; tells whose SVID it is.
    fn take(&self, update: &X509svidResponse) -> Result<String> {
        let svid = update.svids.first().ok_or_else(|| anyhow!("no identity"))?;
        let chain = Certificate::chain_from_der(&svid.x509_svid)?;
        let key = PrivateKey::from_pkcs8(&svid.x509_svid_key)?;
        let identity = LocalIdentity::new(chain, Arc::new(key))?;
        let mut bundle = Bundle::new(identity.id().trust_domain().clone());
        for authority in Certificate::chain_from_der(&svid.bundle)? {
            bundle.x509_authorities.push(X509Authority::new(authority));
        }
        *self.trust.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(bundle));
        let serial = identity.svid().leaf().serial_decimal();
        let told = format!("{} with serial {}…", identity.id(), serial.get(..8).unwrap_or(&serial));
        self.cell.set(identity);
        Ok(told)
    }
}

fn tls_options() -> TlsOptions {
    TlsOptions { key_exchange: KeyExchange::default(), clock: SystemClock::shared() }
}

async fn serve(api: &Api, peer: &SpiffeId) -> Result<()> {
    let identity = Identity::follow(api).await?;
    let tls = server_config(Arc::clone(&identity.cell), identity.trust.clone(), &tls_options())?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut listener = TlsListener::bind(any_port, tls, TcpOptions::default()).await?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let connection = listener.accept().await;
        let peer = peer.clone();
        tokio::spawn(async move { answer(connection, &peer).await });
    }
}

/// Answers the one peer that may come; anybody else is hung up on.
async fn answer(connection: TlsConnection, wanted: &SpiffeId) -> Result<()> {
    let visitor = connection.peer().svid.as_ref().map(|svid| svid.id.clone());
    if visitor.as_ref() != Some(wanted) {
        return Ok(());
    }
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    (&mut connection).take(1024).read_line(&mut line).await?;
    let reply = format!("hello {wanted}, I am sure that it is you\n");
    connection.write_all(reply.as_bytes()).await?;
    connection.shutdown().await?;
    Ok(())
}

async fn visit(api: &Api, address: SocketAddr, peer: SpiffeId) -> Result<()> {
    let identity = Identity::follow(api).await?;
    let expected = ExpectedServer::Is { id: peer, trust: identity.trust.clone() };
    let tls = client_config(expected, Some(Arc::clone(&identity.cell)), &tls_options())?;
    let connector = TlsConnector::from(Arc::new(tls));
    let mut visits = 0_u32;
    loop {
        let reply = visit_once(&connector, address).await.context("visiting")?;
        visits += 1;
        if visits == 1 {
            println!("answer {reply}");
        } else {
            println!("visits {visits} visits, each on a new connection, none failed");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn visit_once(connector: &TlsConnector, address: SocketAddr) -> Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut connection = connector.connect(ServerName::IpAddress(address.ip().into()), stream).await?;
    connection.write_all(b"hello\n").await?;
    let mut reply = String::new();
    connection.take(1024).read_to_string(&mut reply).await?;
    if reply.is_empty() {
        bail!("the peer hung up");
    }
    Ok(reply.trim_end().to_owned())
}

async fn token(api: &Api, audience: String) -> Result<()> {
    let request = JwtsvidRequest { audience: vec![audience.clone()], spiffe_id: String::new() };
    let svids = api.client().fetch_jwtsvid(with_header(request)).await?.into_inner().svids;
    let svid = svids.into_iter().next().ok_or_else(|| anyhow!("no JWT-SVID"))?.svid;
    let request = ValidateJwtsvidRequest { audience: audience.clone(), svid: svid.clone() };
    let valid = api.client().validate_jwtsvid(with_header(request)).await?.into_inner();
    let request = ValidateJwtsvidRequest { audience: "somebody else".to_owned(), svid };
    match api.client().validate_jwtsvid(with_header(request)).await {
        Ok(_) => bail!("a token for {audience} was valid for somebody else"),
        Err(_) => println!("valid {} for {audience}, and for nobody else", valid.spiffe_id),
    }
    Ok(())
}

async fn introduce(api: &Api) -> Result<()> {
    let answer = match api.follow().await {
        Ok(mut updates) => updates.message().await,
        Err(status) => Err(status),
    };
    match answer {
        Err(status) if status.code() == Code::PermissionDenied => {
            let reason = reason_of(&status).unwrap_or_else(|| "no reason given".to_owned());
            println!("refused {:?}: {} ({reason})", status.code(), status.message());
            Ok(())
        }
        Err(status) => Err(status.into()),
        Ok(_) => bail!("a stranger got an identity"),
    }
}

/// The machine-readable reason that an agent attaches to a refusal.
fn reason_of(status: &tonic::Status) -> Option<String> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo"))?;
    Some(rpc::ErrorInfo::decode(info.value.as_slice()).ok()?.reason)
}
