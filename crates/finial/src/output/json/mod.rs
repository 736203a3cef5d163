//! JSON as SPIRE's commands print it.
//!
//! A message becomes protobuf JSON with the names of the `.proto` files and all fields, set or not; then it
//! passes through a map, as in SPIRE: keys come in alphabetical order, `null` is left out. One line.

mod go;
mod message;

pub(crate) use go::{write_compact, write_protobuf_line};
pub(crate) use message::{DescribeError, Described, describe_struct, to_value};

#[cfg(test)]
pub(crate) use message::read_recorded;

use super::Stream;
use serde_json::Value;
use std::io::{self, Write};

/// Why a result could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
    /// The message does not fit its description.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// The stream is gone.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Prints a message in one line.
pub(crate) fn print<M: Described>(out: &mut Stream, message: &M) -> Result<(), PrintError> {
    print_values(out, &[to_value(message)?])
}

/// Prints one value as it is, several as a list.
pub(crate) fn print_values(out: &mut Stream, values: &[Value]) -> Result<(), PrintError> {
    let text = match values {
        [] => return Ok(()),
        [value] => write_compact(value),
        values => write_compact(&Value::Array(values.to_vec())),
    };
    writeln!(out, "{text}")?;
    Ok(())
}
