//! `spire.api.server.agent.v1.Agent`.

use super::Rooms;
use super::gate::Admitted;
use super::page::Page;
use super::refuse;
use crate::authority::IssuedX509;
use crate::nodes::{AttestationRequest, TokenRequest};
use crate::registry::{NodeFilter, SelectorMatch};
use async_trait::async_trait;
use finial_identity::{Failure, SpiffeId, UnixTime};
use finial_plugin::node_attestor::Challenger;
use finial_proto::server::agent::agent_server::Agent;
use finial_proto::server::agent::attest_agent_request::Step as Asked;
use finial_proto::server::agent::attest_agent_response::{Result as AttestResult, Step as Answered};
use finial_proto::server::agent::{
    AttestAgentRequest, AttestAgentResponse, BanAgentRequest, CountAgentsRequest, CountAgentsResponse,
    CreateJoinTokenRequest, DeleteAgentRequest, GetAgentRequest, ListAgentsRequest, ListAgentsResponse,
    PostStatusRequest, PostStatusResponse, RenewAgentRequest, RenewAgentResponse, attest_agent_request,
    list_agents_request,
};
use finial_proto::types;
use finial_wire::convert::agents::agent_to_proto;
use finial_wire::convert::ids::{agent_from_proto, id_to_proto, workload_from_proto};
use finial_wire::convert::selectors::{SetMatch, selectors_from_proto};
use futures_util::stream::BoxStream;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

/// The service.
pub struct AgentService {
    rooms: Arc<Rooms>,
}

impl AgentService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    fn agent_id(&self, id: Option<&types::Spiffeid>) -> Result<SpiffeId, Failure> {
        agent_from_proto(&self.rooms.trust_domain, id)
            .map_err(|e| Failure::invalid(format!("invalid agent ID: {e}")))
    }
}

fn read_filter(filter: Option<list_agents_request::Filter>) -> Result<NodeFilter, Failure> {
    let Some(filter) = filter else { return Ok(NodeFilter::default()) };
    let selectors = filter.by_selector_match.map(|wanted| {
        let selectors = selectors_from_proto(&wanted.selectors)
            .map_err(|e| Failure::invalid(format!("failed to parse selectors: {e}")))?;
        if selectors.is_empty() {
            return Err(Failure::invalid("cannot list by empty selectors set"));
        }
        let mode = SetMatch::from_number(wanted.r#match);
        Ok(SelectorMatch::new(selectors, mode.map_err(|e| Failure::invalid(e.to_string()))?))
    });
    Ok(NodeFilter {
        attestation_type: Some(filter.by_attestation_type).filter(|kind| !kind.is_empty()),
        selectors: selectors.transpose()?,
        banned: filter.by_banned,
        can_reattest: filter.by_can_reattest,
        // A moment that cannot be read is no condition: SPIRE's clients have come to rely on it.
        expires_before: read_moment(&filter.by_expires_before),
    })
}

/// Reads `2006-01-02 15:04:05 -0700 -07`, as SPIRE's command line writes it.
fn read_moment(text: &str) -> Option<UnixTime> {
    let (moment, _zone) = text.rsplit_once(' ')?;
    let moment = jiff::Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", moment).ok()?;
    Some(UnixTime::from_seconds(moment.as_second()))
}

#[async_trait]
impl Agent for AgentService {
    async fn count_agents(
        &self,
        request: Request<CountAgentsRequest>,
    ) -> Result<Response<CountAgentsResponse>, Status> {
        let filter = read_filter(request.into_inner().filter.map(Into::into)).map_err(refuse)?;
        let count = self.rooms.registry.count_nodes(&filter);
        Ok(Response::new(CountAgentsResponse { count: i32::try_from(count).unwrap_or(i32::MAX) }))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let request = request.into_inner();
        let filter = read_filter(request.filter).map_err(refuse)?;
        let page = Page::from_request(request.page_size, &request.page_token, "agents");
        let page = page.map_err(refuse)?;
        let nodes = self.rooms.registry.page_nodes(&filter, page.after_row, page.limit);
        let next_page_token = page.next_token(nodes.last().map(|node| node.row_id));
        let mask = request.output_mask.as_ref();
        let agents = nodes.iter().map(|node| agent_to_proto(&node.value, mask)).collect();
        Ok(Response::new(ListAgentsResponse { agents, next_page_token }))
    }

    async fn get_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<types::Agent>, Status> {
        let request = request.into_inner();
        let id = self.agent_id(request.id.as_ref()).map_err(refuse)?;
        let node = self.rooms.registry.node(&id);
        let node = node.ok_or_else(|| Status::not_found("agent not found"))?;
        Ok(Response::new(agent_to_proto(&node.value, request.output_mask.as_ref())))
    }

    async fn delete_agent(&self, request: Request<DeleteAgentRequest>) -> Result<Response<()>, Status> {
        let id = self.agent_id(request.into_inner().id.as_ref()).map_err(refuse)?;
        self.rooms.nodes.evict(&id).await.map_err(refuse)?;
        Ok(Response::new(()))
    }

    async fn ban_agent(&self, request: Request<BanAgentRequest>) -> Result<Response<()>, Status> {
        let id = self.agent_id(request.into_inner().id.as_ref()).map_err(refuse)?;
        self.rooms.nodes.ban(&id).await.map_err(refuse)?;
        Ok(Response::new(()))
    }

    type AttestAgentStream = BoxStream<'static, Result<AttestAgentResponse, Status>>;

    async fn attest_agent(
        &self,
        request: Request<Streaming<AttestAgentRequest>>,
    ) -> Result<Response<Self::AttestAgentStream>, Status> {
        let peer = Admitted::of(&request)?.peer;
        let waited = self.rooms.limits.attest.wait(peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to attest agent rate limiting"))?;
        let rooms = Arc::clone(&self.rooms);
        let (answers, answered) = mpsc::channel(1);
        let dialogue = Dialogue { requests: request.into_inner(), answers };
        // The dialogue lives in the response stream: it ends when the agent goes away.
        let work = async move { dialogue.run(&rooms, peer).await };
        Ok(Response::new(Box::pin(super::stream_while(work, answered))))
    }

    async fn renew_agent(
        &self,
        request: Request<RenewAgentRequest>,
    ) -> Result<Response<RenewAgentResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let waited = self.rooms.limits.renew.wait(caller.peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to renew agent rate limiting"))?;
        let id = caller.require_id()?.clone();
        let params = request.into_inner().params;
        let csr = params.as_ref().map(|params| params.csr.as_ref());
        let svid = self.rooms.nodes.renew(&id, csr).await.map_err(refuse)?;
        Ok(Response::new(RenewAgentResponse { svid: Some(svid_to_proto(&svid)) }))
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<types::JoinToken>, Status> {
        let request = request.into_inner();
        if request.ttl < 1 {
            return Err(Status::invalid_argument("ttl is required, you must provide one"));
        }
        let agent_id = request.agent_id.as_ref().map(|id| {
            workload_from_proto(&self.rooms.trust_domain, Some(id))
                .map_err(|e| Failure::invalid(format!("invalid agent ID: {e}")))
        });
        let wish = TokenRequest {
            value: Some(request.token).filter(|token| !token.is_empty()),
            ttl_seconds: request.ttl,
            agent_id: agent_id.transpose().map_err(refuse)?,
        };
        let token = self.rooms.nodes.create_token(wish).await.map_err(refuse)?;
        let expires_at = token.expires_at.seconds();
        Ok(Response::new(types::JoinToken { value: token.value, expires_at }))
    }

    async fn post_status(
        &self,
        request: Request<PostStatusRequest>,
    ) -> Result<Response<PostStatusResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let waited = self.rooms.limits.status.wait(caller.peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to post status rate limiting"))?;
        let id = caller.require_id()?.clone();
        let version = request.into_inner().agent_version;
        self.rooms.nodes.post_status(&id, &version).await.map_err(refuse)?;
        Ok(Response::new(PostStatusResponse {}))
    }
}

pub(super) fn limited(failure: Failure, what: &str) -> Status {
    refuse(Failure::new(failure.code, format!("{what}: {}", failure.message)))
}

pub(super) fn svid_to_proto(svid: &IssuedX509) -> types::X509svid {
    types::X509svid {
        cert_chain: svid.chain.clone(),
        id: Some(id_to_proto(&svid.id)),
        expires_at: svid.expires_at.seconds(),
        hint: String::new(),
    }
}

/// One attestation stream.
struct Dialogue {
    requests: Streaming<AttestAgentRequest>,
    answers: mpsc::Sender<AttestAgentResponse>,
}

impl Dialogue {
    async fn run(mut self, rooms: &Rooms, peer: Option<std::net::IpAddr>) -> Result<(), Status> {
        let first =
            self.requests.message().await.map_err(|e| {
                Status::invalid_argument(format!("failed to receive request from stream: {e}"))
            })?;
        let params = match first.and_then(|request| request.step) {
            Some(Asked::Params(params)) => Some(params),
            _ => None,
        };
        let request = read_params(params, peer)
            .map_err(|e| Status::invalid_argument(format!("malformed param: {e}")))?;
        let attested = rooms.nodes.attest(request, &mut self).await.map_err(refuse)?;
        let result =
            AttestResult { svid: Some(svid_to_proto(&attested.svid)), reattestable: attested.can_reattest };
        let sent = self.answers.send(AttestAgentResponse { step: Some(Answered::Result(result)) }).await;
        sent.map_err(|_| Status::internal("failed to send response over stream"))
    }
}

fn read_params(
    params: Option<attest_agent_request::Params>,
    peer: Option<std::net::IpAddr>,
) -> Result<AttestationRequest, &'static str> {
    let params = params.ok_or("missing params")?;
    let data = params.data.ok_or("missing attestation data")?;
    let csr = params.params.ok_or("missing X509-SVID parameters")?.csr;
    if csr.is_empty() {
        return Err("missing CSR");
    }
    if data.r#type.is_empty() {
        return Err("missing attestation data type");
    }
    if data.payload.is_empty() {
        return Err("missing attestation data payload");
    }
    Ok(AttestationRequest { attestor: data.r#type, payload: data.payload.into(), csr: csr.into(), peer })
}

#[async_trait]
impl Challenger for Dialogue {
    async fn challenge(&mut self, challenge: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let question = AttestAgentResponse { step: Some(Answered::Challenge(challenge.into())) };
        let sent = self.answers.send(question).await;
        sent.map_err(|_| Failure::internal("failed to send challenge to agent"))?;
        let answer = self.requests.message().await;
        let answer = answer
            .map_err(|e| Failure::internal(format!("failed to receive challenge from agent: {e}")))?
            .ok_or_else(|| Failure::internal("failed to receive challenge from agent: EOF"))?;
        Ok(match answer.step {
            Some(Asked::ChallengeResponse(bytes)) => bytes.into(),
            _ => Vec::new(),
        })
    }
}
