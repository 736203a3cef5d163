//! `agent.v1.Agent`.

use super::{Add, Fields, Talk, Told, add_selector_match, hash};
use finial_proto::server::agent::{
    AttestAgentRequest, AttestAgentResponse, BanAgentRequest, CountAgentsRequest, CreateJoinTokenRequest,
    DeleteAgentRequest, GetAgentRequest, ListAgentsRequest, PostStatusRequest, RenewAgentRequest,
    attest_agent_request, attest_agent_response, list_agents_request,
};
use finial_proto::types;
use finial_wire::convert::ids::{agent_from_proto, id_from_proto, workload_from_proto};

/// Longer versions are refused.
const VERSION_MAX: usize = 255;

pub(super) fn tell(method: &str, talk: &Talk<'_>) -> Told {
    Told::Once(match method {
        "CountAgents" => of_filter(talk.asked::<CountAgentsRequest>().filter.unwrap_or_default().into()),
        "ListAgents" => of_filter(talk.asked::<ListAgentsRequest>().filter.unwrap_or_default()),
        "GetAgent" => of_agent(talk, talk.asked::<GetAgentRequest>().id.as_ref()),
        "DeleteAgent" => of_agent(talk, talk.asked::<DeleteAgentRequest>().id.as_ref()),
        "BanAgent" => of_agent(talk, talk.asked::<BanAgentRequest>().id.as_ref()),
        "AttestAgent" => of_attestation(talk),
        "RenewAgent" => {
            let csr = talk.asked::<RenewAgentRequest>().params.unwrap_or_default().csr;
            let mut fields = Fields::new();
            fields.add_text("csr", &hash(&csr));
            fields
        }
        "PostStatus" => of_status(talk),
        "CreateJoinToken" => of_join_token(talk),
        _ => Fields::new(),
    })
}

fn of_filter(filter: list_agents_request::Filter) -> Fields {
    let mut fields = Fields::new();
    fields.add_text("node_attestor_type", &filter.by_attestation_type);
    if let Some(banned) = filter.by_banned {
        fields.add("by_banned", banned);
    }
    if let Some(can_reattest) = filter.by_can_reattest {
        fields.add("by_can_reattest", can_reattest);
    }
    add_selector_match(&mut fields, filter.by_selector_match.as_ref());
    fields
}

fn of_agent(talk: &Talk<'_>, id: Option<&types::Spiffeid>) -> Fields {
    let mut fields = Fields::new();
    let id = agent_from_proto(talk.question.trust_domain, id).ok();
    fields.add_id("spiffe_id", id.map(|id| id.to_string()));
    fields
}

fn of_attestation(talk: &Talk<'_>) -> Fields {
    let mut fields = Fields::new();
    if let Some(attest_agent_request::Step::Params(params)) = talk.asked::<AttestAgentRequest>().step {
        let csr = params.params.unwrap_or_default().csr;
        let data = params.data.unwrap_or_default();
        if !csr.is_empty() && !data.payload.is_empty() {
            fields.add_text("node_attestor_type", &data.r#type);
        }
    }
    if let Some(attest_agent_response::Step::Result(result)) = talk.answered::<AttestAgentResponse>().step {
        let id = result.svid.and_then(|svid| id_from_proto(svid.id.as_ref()).ok());
        fields.add_id("agent_id", id.map(|id| id.to_string()));
    }
    fields
}

fn of_status(talk: &Talk<'_>) -> Fields {
    let mut fields = Fields::new();
    fields.add_id("spiffe_id", talk.question.caller.map(ToString::to_string));
    let version = talk.asked::<PostStatusRequest>().agent_version;
    if version.len() <= VERSION_MAX {
        fields.add_text("agent_version", &version);
    }
    fields
}

fn of_join_token(talk: &Talk<'_>) -> Fields {
    let request = talk.asked::<CreateJoinTokenRequest>();
    let mut fields = Fields::new();
    if request.ttl > 0 {
        fields.add("ttl", i64::from(request.ttl));
        let id = workload_from_proto(talk.question.trust_domain, request.agent_id.as_ref()).ok();
        fields.add_id("spiffe_id", id.map(|id| id.to_string()));
    }
    fields
}
