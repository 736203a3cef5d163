//! `Failure` ⇄ gRPC status, for services, clients and command lines.
//!
//! A denial reason travels as a `google.rpc.Status` in the trailer `grpc-status-details-bin`, in the bytes that
//! SPIRE sends; agents act on it and not on the code.

use finial_identity::{Code, DenialReason, Failure};
use finial_proto::rpc;
use finial_proto::types::{self, PermissionDeniedDetails, permission_denied_details::Reason};
use prost::Message;
use std::error::Error;
use std::fmt;

/// Type URL of the one detail that SPIRE attaches.
const DENIAL_TYPE_URL: &str = "type.googleapis.com/spire.api.types.PermissionDeniedDetails";

/// What a failure looks like on the wire.
pub trait ToStatus {
    /// The status that ends an RPC.
    fn to_status(&self) -> tonic::Status;

    /// The status of one item of a batch.
    fn to_item_status(&self) -> types::Status;
}

impl ToStatus for Failure {
    fn to_status(&self) -> tonic::Status {
        let code = tonic_code(self.code);
        match self.reason {
            None => tonic::Status::new(code, &self.message),
            Some(reason) => {
                let details = encode_denial(self.code, &self.message, reason);
                tonic::Status::with_details(code, &self.message, details.into())
            }
        }
    }

    fn to_item_status(&self) -> types::Status {
        types::Status { code: self.code.number(), message: self.message.clone() }
    }
}

/// What a status says, as a client got it.
pub fn to_failure(status: &tonic::Status) -> Failure {
    Failure {
        code: from_tonic_code(status.code()),
        message: status.message().to_owned(),
        reason: denial_reason(status),
    }
}

/// The reason that a server attached to a status, if it attached one that is known.
pub fn denial_reason(status: &tonic::Status) -> Option<DenialReason> {
    let details = rpc::Status::decode(status.details()).ok()?;
    let any = details.details.iter().find(|any| any.type_url == DENIAL_TYPE_URL)?;
    match PermissionDeniedDetails::decode(any.value.as_ref()).ok()?.reason() {
        Reason::Unknown => None,
        Reason::AgentExpired => Some(DenialReason::AgentExpired),
        Reason::AgentNotAttested => Some(DenialReason::AgentNotAttested),
        Reason::AgentNotActive => Some(DenialReason::AgentNotActive),
        Reason::AgentBanned => Some(DenialReason::AgentBanned),
        Reason::AgentMustReattest => Some(DenialReason::AgentMustReattest),
    }
}

fn encode_denial(code: Code, message: &str, reason: DenialReason) -> Vec<u8> {
    let detail = PermissionDeniedDetails { reason: reason as i32 };
    let any = prost_types::Any { type_url: DENIAL_TYPE_URL.to_owned(), value: detail.encode_to_vec() };
    rpc::Status { code: code.number(), message: message.to_owned(), details: vec![any] }.encode_to_vec()
}

/// The status of a batch item that succeeded.
pub fn item_ok() -> types::Status {
    types::Status { code: Code::Ok.number(), message: "OK".to_owned() }
}

/// The status of a batch item.
pub fn item_status<T>(result: &Result<T, Failure>) -> types::Status {
    match result {
        Ok(_) => item_ok(),
        Err(failure) => failure.to_item_status(),
    }
}

/// Reads the status of a batch item. One that is missing counts as success, as in SPIRE's WIT batches.
pub fn check_item(status: Option<&types::Status>) -> Result<(), Failure> {
    match status {
        Some(status) if status.code != Code::Ok.number() => {
            Err(Failure::new(Code::from_number(status.code), &status.message))
        }
        _ => Ok(()),
    }
}

/// The code as tonic has it.
pub fn tonic_code(code: Code) -> tonic::Code {
    tonic::Code::from_i32(code.number())
}

/// The code as the domain has it.
pub fn from_tonic_code(code: tonic::Code) -> Code {
    Code::from_number(code as i32)
}

/// Prints a status as Go's gRPC prints an RPC error: `rpc error: code = NotFound desc = agent not found`.
///
/// A connection that could not be made is printed as Go would, too, if it was made by
/// [`channel`](crate::channel).
#[derive(Debug, Clone, Copy)]
pub struct RpcError<'a>(pub &'a tonic::Status);

impl fmt::Display for RpcError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, text) = match dial_error(self.0) {
            Some(error) => (Code::Unavailable, format!("connection error: desc = \"{error}\"")),
            None => (from_tonic_code(self.0.code()), self.0.message().to_owned()),
        };
        write!(f, "rpc error: code = {code} desc = {text}")
    }
}

impl Error for RpcError<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why no connection could be made, if that is what the status is about.
pub fn dial_error(status: &tonic::Status) -> Option<&crate::channel::DialError> {
    std::iter::successors(status.source(), |error| error.source()).find_map(|error| error.downcast_ref())
}
