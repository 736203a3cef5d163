//! Why a command failed.

use super::go_text::system_error;
use super::json::{DescribeError, PrintError};
use finial_identity::spiffe_id::SpiffeIdError;
use finial_wire::status::RpcError;
use std::fmt;
use std::io;

/// A failure as the operator reads it: a text without its command's prefix.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What to say.
    Said(String),
    /// All has been said already.
    Silent,
    /// One of our own streams failed, so there is nowhere to say it.
    Stream(io::Error),
}

impl Fault {
    /// A failure with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }

    /// What a call failed with, as Go prints it.
    pub(crate) fn of_call(status: &tonic::Status) -> Self {
        Self::Said(RpcError(status).to_string())
    }

    /// As [`Self::of_call`], after a text.
    pub(crate) fn of_call_while(doing: &str, status: &tonic::Status) -> Self {
        Self::Said(format!("{doing}: {}", RpcError(status)))
    }

    /// A file that could not be opened, read or written, as Go prints it.
    pub(crate) fn of_file(operation: &str, path: &str, error: &io::Error) -> Self {
        Self::Said(format!("{operation} {path}: {}", system_error(error)))
    }

    /// The same failure after a text.
    #[must_use]
    pub(crate) fn after(self, doing: &str) -> Self {
        match self {
            Self::Said(text) => Self::Said(format!("{doing}: {text}")),
            other => other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),
            Self::Silent => Ok(()),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

/// For writing to our own streams; files have [`Fault::of_file`].
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<PrintError> for Fault {
    fn from(error: PrintError) -> Self {
        match error {
            PrintError::Io(error) => Self::Stream(error),
            PrintError::Describe(error) => error.into(),
        }
    }
}

impl From<DescribeError> for Fault {
    fn from(error: DescribeError) -> Self {
        Self::Said(error.to_string())
    }
}

impl From<SpiffeIdError> for Fault {
    fn from(error: SpiffeIdError) -> Self {
        Self::Said(error.to_string())
    }
}
