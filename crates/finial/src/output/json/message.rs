//! Protobuf messages as values, by their descriptors.

use finial_proto::agent::debug as agent_debug;
use finial_proto::server::{agent, bundle, debug, entry, localauthority, svid, trustdomain};
use finial_proto::{types, workload};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// A message whose description we have.
pub(crate) trait Described: Message {
    /// Its full name.
    const NAME: &'static str;
    /// Where it is described.
    const CONTRACT: Contract;
}

/// The sets of descriptors, one per API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// The APIs of the server.
    Server,
    /// The admin APIs of the agent.
    Agent,
    /// The Workload API.
    Workload,
}

/// The message does not fit its description: the two were not made from the same files.
#[derive(Debug, thiserror::Error)]
#[error("internal error: cli printer: {name}: {why}")]
pub(crate) struct DescribeError {
    name: &'static str,
    why: String,
}

static SERVER: LazyLock<Pool> = LazyLock::new(|| pool(finial_proto::server::FILE_DESCRIPTOR_SET));
static AGENT: LazyLock<Pool> = LazyLock::new(|| pool(finial_proto::agent::FILE_DESCRIPTOR_SET));
static WORKLOAD: LazyLock<Pool> = LazyLock::new(|| pool(workload::FILE_DESCRIPTOR_SET));

type Pool = Result<DescriptorPool, String>;

fn pool(descriptors: &[u8]) -> Pool {
    DescriptorPool::decode(descriptors).map_err(|error| error.to_string())
}

/// The message as SPIRE's JSON has it.
pub(crate) fn to_value<M: Described>(message: &M) -> Result<Value, DescribeError> {
    value_of(M::CONTRACT, M::NAME, message)
}

/// A free-form structure, as the claims of a token are.
pub(crate) fn describe_struct(fields: &prost_types::Struct) -> Result<Value, DescribeError> {
    value_of(Contract::Workload, "google.protobuf.Struct", fields)
}

fn value_of(contract: Contract, name: &'static str, message: &impl Message) -> Result<Value, DescribeError> {
    let fail = |why: String| DescribeError { name, why };
    let pool = match contract {
        Contract::Server => &*SERVER,
        Contract::Agent => &*AGENT,
        Contract::Workload => &*WORKLOAD,
    };
    let pool = pool.as_ref().map_err(|why| fail(why.clone()))?;
    let descriptor = pool.get_message_by_name(name).ok_or_else(|| fail("no such message".to_owned()))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| fail(error.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let value = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| fail(error.to_string()))?;
    Ok(without_nulls(value))
}

/// The message that a recorded JSON text shows.
#[cfg(test)]
pub(crate) fn read_recorded<M: Described + Default>(text: &str) -> M {
    let pool = match M::CONTRACT {
        Contract::Server => &*SERVER,
        Contract::Agent => &*AGENT,
        Contract::Workload => &*WORKLOAD,
    };
    let descriptor = pool.as_ref().unwrap().get_message_by_name(M::NAME).unwrap();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor, &mut deserializer).unwrap();
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(key, member)| (key, without_nulls(member)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().filter(|item| !item.is_null()).map(without_nulls).collect())
        }
        other => other,
    }
}

macro_rules! described {
    ($contract:ident, $package:literal: $($message:path = $name:literal),+ $(,)?) => { $(
        impl Described for $message {
            const NAME: &'static str = concat!($package, $name);
            const CONTRACT: Contract = Contract::$contract;
        }
    )+ };
}

described! { Server, "spire.api.types.":
    types::Agent = "Agent",
    types::Bundle = "Bundle",
    types::FederationRelationship = "FederationRelationship",
    types::JoinToken = "JoinToken",
    types::Logger = "Logger",
    types::Status = "Status",
}
described! { Server, "spire.api.server.agent.v1.":
    agent::CountAgentsResponse = "CountAgentsResponse",
    agent::ListAgentsResponse = "ListAgentsResponse",
}
described! { Server, "spire.api.server.bundle.v1.":
    bundle::BatchDeleteFederatedBundleResponse = "BatchDeleteFederatedBundleResponse",
    bundle::BatchSetFederatedBundleResponse = "BatchSetFederatedBundleResponse",
    bundle::CountBundlesResponse = "CountBundlesResponse",
    bundle::ListFederatedBundlesResponse = "ListFederatedBundlesResponse",
}
described! { Server, "spire.api.server.debug.v1.":
    debug::GetInfoResponse = "GetInfoResponse",
}
described! { Server, "spire.api.server.entry.v1.":
    entry::BatchCreateEntryResponse = "BatchCreateEntryResponse",
    entry::BatchDeleteEntryResponse = "BatchDeleteEntryResponse",
    entry::BatchUpdateEntryResponse = "BatchUpdateEntryResponse",
    entry::CountEntriesResponse = "CountEntriesResponse",
    entry::ListEntriesResponse = "ListEntriesResponse",
}
described! { Server, "spire.api.server.localauthority.v1.":
    localauthority::ActivateJwtAuthorityResponse = "ActivateJWTAuthorityResponse",
    localauthority::ActivateX509AuthorityResponse = "ActivateX509AuthorityResponse",
    localauthority::GetJwtAuthorityStateResponse = "GetJWTAuthorityStateResponse",
    localauthority::GetX509AuthorityStateResponse = "GetX509AuthorityStateResponse",
    localauthority::PrepareJwtAuthorityResponse = "PrepareJWTAuthorityResponse",
    localauthority::PrepareX509AuthorityResponse = "PrepareX509AuthorityResponse",
    localauthority::RevokeJwtAuthorityResponse = "RevokeJWTAuthorityResponse",
    localauthority::RevokeX509AuthorityResponse = "RevokeX509AuthorityResponse",
    localauthority::RevokeX509UpstreamAuthorityResponse = "RevokeX509UpstreamAuthorityResponse",
    localauthority::TaintJwtAuthorityResponse = "TaintJWTAuthorityResponse",
    localauthority::TaintX509AuthorityResponse = "TaintX509AuthorityResponse",
    localauthority::TaintX509UpstreamAuthorityResponse = "TaintX509UpstreamAuthorityResponse",
}
described! { Server, "spire.api.server.svid.v1.":
    svid::MintJwtsvidResponse = "MintJWTSVIDResponse",
}
described! { Server, "spire.api.server.trustdomain.v1.":
    trustdomain::BatchCreateFederationRelationshipResponse = "BatchCreateFederationRelationshipResponse",
    trustdomain::BatchDeleteFederationRelationshipResponse = "BatchDeleteFederationRelationshipResponse",
    trustdomain::BatchUpdateFederationRelationshipResponse = "BatchUpdateFederationRelationshipResponse",
    trustdomain::ListFederationRelationshipsResponse = "ListFederationRelationshipsResponse",
}
described! { Agent, "spire.agent.debug.v1.":
    agent_debug::GetInfoResponse = "GetInfoResponse",
}
described! { Workload, "":
    workload::JwtBundlesResponse = "JWTBundlesResponse",
    workload::JwtsvidResponse = "JWTSVIDResponse",
    workload::ValidateJwtsvidResponse = "ValidateJWTSVIDResponse",
    workload::X509svidResponse = "X509SVIDResponse",
}
