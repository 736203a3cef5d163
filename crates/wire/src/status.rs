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

/// What a status says, as a client got it; with Go's codes and words where tonic has its own for what happened
/// on this side: no connection, a lost connection, no time left.
pub fn to_failure(status: &tonic::Status) -> Failure {
    if let Some(error) = dial_error(status) {
        return unavailable(format!("connection error: desc = {:?}", error.to_string()));
    }
    if source_of::<tonic::TimeoutExpired>(status).is_some() {
        return Failure::new(Code::DeadlineExceeded, "context deadline exceeded");
    }
    match (status.code(), status.source()) {
        // Only statuses that were made here have a source.
        (tonic::Code::Unknown | tonic::Code::Cancelled, Some(source)) => {
            let is_closed = source_of::<hyper::Error>(status).is_some_and(|error| {
                error.is_canceled() || error.is_closed() || error.is_incomplete_message()
            });
            let why = if is_closed { "EOF".to_owned() } else { innermost(source) };
            unavailable(format!("error reading from server: {why}"))
        }
        _ => Failure {
            code: from_tonic_code(status.code()),
            message: status.message().to_owned(),
            reason: denial_reason(status),
        },
    }
}

fn unavailable(message: String) -> Failure {
    Failure::new(Code::Unavailable, message)
}

fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
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
        let Failure { code, message, .. } = to_failure(self.0);
        write!(f, "rpc error: code = {code} desc = {message}")
    }
}

impl Error for RpcError<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why no connection could be made, if that is what the status is about.
pub fn dial_error(status: &tonic::Status) -> Option<&crate::channel::DialError> {
    source_of(status)
}

fn source_of<E: Error + 'static>(status: &tonic::Status) -> Option<&E> {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [DenialReason; 5] = [
        DenialReason::AgentExpired,
        DenialReason::AgentNotAttested,
        DenialReason::AgentNotActive,
        DenialReason::AgentBanned,
        DenialReason::AgentMustReattest,
    ];

    #[test]
    fn codes_both_ways() {
        for number in 0..=16 {
            let code = Code::from_number(number);
            assert_eq!(code.number(), number);
            assert_eq!(from_tonic_code(tonic_code(code)), code);
        }
    }

    #[test]
    fn failures_both_ways() {
        for reason in REASONS {
            let failure = Failure::denied(reason, "no");
            assert_eq!(to_failure(&failure.to_status()), failure);
        }
        let failure = Failure::not_found("agent not found");
        assert!(failure.to_status().details().is_empty());
        assert_eq!(to_failure(&failure.to_status()), failure);
    }

    /// As Go's `status.WithDetails` writes it.
    #[test]
    fn bytes_of_a_denial() {
        let status = Failure::denied(DenialReason::AgentBanned, "x").to_status();
        let url = b"type.googleapis.com/spire.api.types.PermissionDeniedDetails";
        let mut expected = vec![0x08, 7, 0x12, 1, b'x', 0x1a, 65, 0x0a, 59];
        expected.extend_from_slice(url);
        expected.extend_from_slice(&[0x12, 2, 0x08, 4]);
        assert_eq!(status.details(), expected);
    }

    /// What a SPIRE server was seen to send.
    #[test]
    fn captured_denial() {
        let denial = Failure::denied(DenialReason::AgentMustReattest, "agent must reattest instead of renew");
        let hex: String = denial.to_status().details().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "080712246167656e74206d75737420726561747465737420696e7374656164206f662072656e65771a410a3b747970652e\
             676f6f676c65617069732e636f6d2f73706972652e6170692e74797065732e5065726d697373696f6e44656e69656444657461\
             696c7312020805"
        );
    }

    #[test]
    fn foreign_details_are_no_reason() {
        let with = |type_url: &str, value: Vec<u8>| {
            let any = prost_types::Any { type_url: type_url.to_owned(), value };
            let details = rpc::Status { code: 7, message: String::new(), details: vec![any] }.encode_to_vec();
            tonic::Status::with_details(tonic::Code::PermissionDenied, "", details.into())
        };
        assert_eq!(denial_reason(&with("type.googleapis.com/google.rpc.ErrorInfo", vec![8, 4])), None);
        assert_eq!(denial_reason(&with(DENIAL_TYPE_URL, vec![8, 0])), None);
        assert_eq!(denial_reason(&with(DENIAL_TYPE_URL, vec![8, 77])), None);
        assert_eq!(denial_reason(&with(DENIAL_TYPE_URL, vec![255])), None);
        assert_eq!(denial_reason(&with(DENIAL_TYPE_URL, vec![8, 5])), Some(DenialReason::AgentMustReattest));
        let garbage = tonic::Status::with_details(tonic::Code::PermissionDenied, "", vec![1, 2, 3].into());
        assert_eq!(denial_reason(&garbage), None);
    }

    #[test]
    fn as_go_prints_it() {
        let status = Failure::invalid("ttl is required, you must provide one").to_status();
        assert_eq!(
            RpcError(&status).to_string(),
            "rpc error: code = InvalidArgument desc = ttl is required, you must provide one"
        );
    }

    #[test]
    fn batch_items() {
        assert_eq!(item_status(&Ok(1)), types::Status { code: 0, message: "OK".to_owned() });
        let failure = Failure::new(Code::AlreadyExists, "similar entry already exists");
        let status = item_status::<()>(&Err(failure.clone()));
        assert_eq!((status.code, &*status.message), (6, "similar entry already exists"));
        assert_eq!(check_item(Some(&status)), Err(failure));
        assert_eq!(check_item(Some(&item_ok())), Ok(()));
        assert_eq!(check_item(None), Ok(()));
    }
}
