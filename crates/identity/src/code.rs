//! The one classification of what went wrong, and what the party at the other end is told.
//!
//! Every room sorts its errors into a [`Code`]; the border (`wire`) turns codes into gRPC statuses.

use std::fmt;

/// The canonical codes of RPC errors, with their published numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// Not an error.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// No better code is known.
    Unknown = 2,
    /// The request is wrong in itself.
    InvalidArgument = 3,
    /// Time ran out.
    DeadlineExceeded = 4,
    /// The thing named is not there.
    NotFound = 5,
    /// The thing is there already.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A limit was reached.
    ResourceExhausted = 8,
    /// The state of the system forbids it.
    FailedPrecondition = 9,
    /// A concurrent change got in the way.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// Not offered here.
    Unimplemented = 12,
    /// An invariant broke.
    Internal = 13,
    /// Not reachable or not ready; trying again may help.
    Unavailable = 14,
    /// Data was lost.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    /// The published number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code of a number; numbers out of range are `Unknown`.
    pub fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }

    /// The name as gRPC tools print it, for example `InvalidArgument`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "Canceled",
            Self::Unknown => "Unknown",
            Self::InvalidArgument => "InvalidArgument",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::PermissionDenied => "PermissionDenied",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::Aborted => "Aborted",
            Self::OutOfRange => "OutOfRange",
            Self::Unimplemented => "Unimplemented",
            Self::Internal => "Internal",
            Self::Unavailable => "Unavailable",
            Self::DataLoss => "DataLoss",
            Self::Unauthenticated => "Unauthenticated",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an agent is refused; agents act on this and not on the code
/// (`spire.api.types.PermissionDeniedDetails.Reason`, same numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum DenialReason {
    /// The agent's SVID has expired.
    AgentExpired = 1,
    /// The server has no record of the agent.
    AgentNotAttested = 2,
    /// The SVID is not the agent's current one.
    AgentNotActive = 3,
    /// The agent is banned.
    AgentBanned = 4,
    /// The agent must attest again instead of renewing.
    AgentMustReattest = 5,
}

/// A refusal as the other end sees it: code, designed text, and for agents the reason to act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Classification.
    pub code: Code,
    /// Text in SPIRE's wording where tools match on it.
    pub message: String,
    /// Machine-readable reason attached to `PermissionDenied` for agents.
    pub reason: Option<DenialReason>,
}

impl Failure {
    /// A failure without a denial reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason: None }
    }

    /// `InvalidArgument`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// `NotFound`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// `Internal`.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// `PermissionDenied` with the reason an agent acts on.
    pub fn denied(reason: DenialReason, message: impl Into<String>) -> Self {
        Self { code: Code::PermissionDenied, message: message.into(), reason: Some(reason) }
    }
}
