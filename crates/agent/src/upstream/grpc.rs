//! [`Upstream`] over SPIRE's wire, with the agent's own SVID.

use super::{EntrySync, HeldVersions, Upstream, X509Request};
use async_trait::async_trait;
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, Code, EntryId, Failure, GrantedEntry, TrustDomain, UnixTime};
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::agent::{AgentX509svidParams, PostStatusRequest, RenewAgentRequest};
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::bundle::{GetBundleRequest, GetFederatedBundleRequest};
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::server::entry::{SyncAuthorizedEntriesRequest, SyncAuthorizedEntriesResponse};
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::server::svid::{BatchNewX509svidRequest, NewJwtsvidRequest, NewX509svidParams};
use finial_proto::types;
use finial_wire::channel::ServerChannel;
use finial_wire::convert::bundles::bundle_from_server;
use finial_wire::convert::entries::granted_from_proto;
use finial_wire::convert::svids::{chain_from_proto, jwt_svid_from_proto};
use finial_wire::status::{check_item, to_failure};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tracing::warn;

/// Longest wait for any answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// IDs asked for in one message of a sync.
const IDS_AT_A_TIME: usize = 500;
/// Largest message taken from the server: it is trusted, and lists may be long.
const MESSAGE_MAX: usize = 64 << 20;

/// What agents ask for of each entry. `parent_id`, lifetimes and DNS names matter to the server only.
const MASK: types::EntryMask = types::EntryMask {
    spiffe_id: true,
    parent_id: false,
    selectors: true,
    x509_svid_ttl: false,
    federates_with: true,
    admin: true,
    downstream: true,
    expires_at: false,
    dns_names: false,
    revision_number: true,
    store_svid: true,
    jwt_svid_ttl: false,
    hint: true,
    created_at: true,
    additional_attributes: true,
};

/// The server, reached over one connection that is remade when the agent's identity changes.
pub struct GrpcUpstream {
    channel: Arc<ServerChannel>,
}

impl GrpcUpstream {
    /// Speaks through a channel that shows the agent's SVID.
    pub fn new(channel: Arc<ServerChannel>) -> Self {
        Self { channel }
    }

    fn bundles(&self) -> BundleClient<Channel> {
        BundleClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX)
    }

    fn entries(&self) -> EntryClient<Channel> {
        EntryClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX)
    }

    fn svids(&self) -> SvidClient<Channel> {
        SvidClient::new(self.channel.get()).max_decoding_message_size(MESSAGE_MAX)
    }

    fn agents(&self) -> AgentClient<Channel> {
        AgentClient::new(self.channel.get())
    }
}

fn within_patience<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// Waits for an answer, but not for ever: a server that hangs must not hang the agent.
async fn patiently<T>(answer: impl Future<Output = Result<T, Status>>, what: &str) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => {
            let failure = to_failure(&status);
            let said = format!("rpc error: code = {} desc = {}", failure.code, failure.message);
            Err(Failure { message: format!("failed to {what}: {said}"), ..failure })
        }
        Err(_) => {
            let text = format!("failed to {what}: no answer within {} s", PATIENCE.as_secs());
            Err(Failure::new(Code::DeadlineExceeded, text))
        }
    }
}

/// Reads entries; one that cannot be read is skipped, so that it cannot take the others with it.
fn read_entries(entries: &[types::Entry]) -> impl Iterator<Item = GrantedEntry> {
    entries.iter().filter_map(|entry| match granted_from_proto(entry) {
        Ok(entry) => Some(entry),
        Err(error) => {
            warn!(entry_id = entry.id, error = %error, "The server sent an entry that cannot be read");
            None
        }
    })
}

/// Sorts what the server sent into kept and changed.
fn sort_in(synced: &mut EntrySync, held: &HeldVersions, entry: GrantedEntry) {
    if held.get(&entry.id).is_some_and(|(revision, created)| entry.is_version(*revision, *created)) {
        synced.kept.insert(entry.id);
    } else {
        synced.changed.push(entry);
    }
}

async fn sync(mut client: EntryClient<Channel>, held: &HeldVersions) -> Result<EntrySync, Status> {
    let (requests, outbound) = mpsc::channel(1);
    let first = SyncAuthorizedEntriesRequest { output_mask: Some(MASK), ids: vec![] };
    send(&requests, first).await?;
    let outbound = tokio_stream::wrappers::ReceiverStream::new(outbound);
    let mut answers = client.sync_authorized_entries(within_patience(outbound)).await?.into_inner();
    let mut synced = EntrySync::default();
    let mut wanted: Vec<String> = Vec::new();
    loop {
        let answer = next(&mut answers).await?;
        read_entries(&answer.entries).for_each(|entry| sort_in(&mut synced, held, entry));
        for revision in answer.entry_revisions {
            let Ok(id) = EntryId::parse(revision.id.clone()) else { continue };
            let version = (revision.revision_number, UnixTime::from_seconds(revision.created_at));
            if held.get(&id) == Some(&version) {
                synced.kept.insert(id);
            } else {
                wanted.push(revision.id);
            }
        }
        if !answer.more {
            break;
        }
    }
    wanted.sort_unstable();
    for ids in wanted.chunks(IDS_AT_A_TIME) {
        send(&requests, SyncAuthorizedEntriesRequest { output_mask: None, ids: ids.to_vec() }).await?;
        loop {
            let answer = next(&mut answers).await?;
            synced.changed.extend(read_entries(&answer.entries));
            if !answer.more {
                break;
            }
        }
    }
    Ok(synced)
}

async fn send(
    requests: &mpsc::Sender<SyncAuthorizedEntriesRequest>,
    request: SyncAuthorizedEntriesRequest,
) -> Result<(), Status> {
    requests.send(request).await.map_err(|_| Status::unavailable("the stream has ended"))
}

async fn next(
    answers: &mut Streaming<SyncAuthorizedEntriesResponse>,
) -> Result<SyncAuthorizedEntriesResponse, Status> {
    answers.message().await?.ok_or_else(|| Status::internal("the server ended the stream too early"))
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::internal(format!("the server sent a {what} that cannot be read: {error}"))
}

#[async_trait]
impl Upstream for GrpcUpstream {
    async fn sync_entries(&self, held: &HeldVersions) -> Result<EntrySync, Failure> {
        let synced: Result<EntrySync, Failure> =
            patiently(sync(self.entries(), held), "fetch authorized entries").await;
        let mut synced = synced?;
        // An entry that changes while the server sends pages may come twice.
        let changed: HashSet<EntryId> = synced.changed.iter().map(|entry| entry.id.clone()).collect();
        synced.kept.retain(|id| !changed.contains(id));
        Ok(synced)
    }

    async fn own_bundle(&self) -> Result<Bundle, Failure> {
        let mut client = self.bundles();
        let request = within_patience(GetBundleRequest { output_mask: None });
        let bundle = patiently(client.get_bundle(request), "get bundle").await?.into_inner();
        bundle_from_server(&bundle).map_err(|e| unreadable("bundle", &e))
    }

    async fn foreign_bundle(&self, trust_domain: &TrustDomain) -> Result<Option<Bundle>, Failure> {
        let mut client = self.bundles();
        let request =
            GetFederatedBundleRequest { trust_domain: trust_domain.as_str().to_owned(), output_mask: None };
        let answer = client.get_federated_bundle(within_patience(request));
        match patiently(answer, "get federated bundle").await {
            Ok(bundle) => {
                bundle_from_server(bundle.get_ref()).map(Some).map_err(|e| unreadable("bundle", &e))
            }
            Err(failure) if failure.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn sign_x509(
        &self,
        requests: Vec<X509Request>,
    ) -> Result<Vec<Result<Vec<Certificate>, Failure>>, Failure> {
        let params = requests.into_iter().map(|request| NewX509svidParams {
            entry_id: request.entry_id.to_string(),
            csr: request.csr.into(),
        });
        let request = within_patience(BatchNewX509svidRequest { params: params.collect() });
        let mut client = self.svids();
        let answer = patiently(client.batch_new_x509svid(request), "batch new X509 SVID(s)").await?;
        let results = answer.into_inner().results.into_iter().map(|result| {
            check_item(result.status.as_ref())?;
            let svid = result.svid.ok_or_else(|| Failure::internal("the server sent no X509-SVID"))?;
            chain_from_proto(&svid.cert_chain).map_err(|e| unreadable("certificate", &e))
        });
        Ok(results.collect())
    }

    async fn new_jwt(&self, entry_id: &EntryId, audience: &[String]) -> Result<JwtSvid, Failure> {
        let request = NewJwtsvidRequest { entry_id: entry_id.to_string(), audience: audience.to_vec() };
        let mut client = self.svids();
        let answer = patiently(client.new_jwtsvid(within_patience(request)), "fetch JWT SVID").await?;
        let svid = answer.into_inner().svid;
        jwt_svid_from_proto(svid.as_ref()).map_err(|e| unreadable("JWT-SVID", &e))
    }

    async fn renew_agent(&self, csr: Vec<u8>) -> Result<Vec<Certificate>, Failure> {
        let params = Some(AgentX509svidParams { csr: csr.into() });
        let mut client = self.agents();
        let answer = client.renew_agent(within_patience(RenewAgentRequest { params }));
        let svid = patiently(answer, "renew agent").await?.into_inner().svid;
        let svid = svid.ok_or_else(|| Failure::internal("failed to renew agent: empty SVID"))?;
        chain_from_proto(&svid.cert_chain).map_err(|e| unreadable("certificate", &e))
    }

    async fn post_status(&self, version: &str) -> Result<(), Failure> {
        let request = PostStatusRequest { current_bundle_serial: 0, agent_version: version.to_owned() };
        let mut client = self.agents();
        patiently(client.post_status(within_patience(request)), "post status").await.map(|_| ())
    }
}
