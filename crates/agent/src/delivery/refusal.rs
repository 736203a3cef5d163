//! The statuses that workloads get, in SPIRE's words.

use crate::explain::Reason;
use finial_proto::rpc;
use prost::Message;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};

const NO_IDENTITY: &str = "no identity issued";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// No identity. Code and text are SPIRE's, for clients act on them; why is said in a detail.
pub(super) fn no_identity(reason: Reason, sync_age: Option<Duration>) -> Status {
    let age = sync_age.map(|age| ("sync_age_seconds".to_owned(), age.as_secs().to_string()));
    let info = rpc::ErrorInfo {
        reason: reason.code().to_owned(),
        domain: "finial".to_owned(),
        metadata: age.into_iter().collect::<HashMap<_, _>>(),
    };
    let any = prost_types::Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() };
    let code = Code::PermissionDenied;
    let details = rpc::Status { code: code.into(), message: NO_IDENTITY.to_owned(), details: vec![any] };
    Status::with_details(code, NO_IDENTITY, details.encode_to_vec().into())
}

/// The caller could not be recognised. Not a denial: trying again may help.
pub(super) fn not_attested() -> Status {
    Status::unavailable("workload attestation failed")
}

/// The agent stops. An error rather than an end: some clients do not come back after an end.
pub(super) fn stopping() -> Status {
    Status::unavailable("the agent is shutting down")
}

/// No audience, or none that says anything.
pub(super) fn no_audience() -> Status {
    Status::invalid_argument("audience must be specified")
}
