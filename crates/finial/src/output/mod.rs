//! What commands print: two streams, two formats, one text per kind of result.
//!
//! For the commands in `cli`. Everything that reaches standard output or standard error goes through a
//! [`Terminal`]. The bytes are SPIRE's, since scripts read them. Nothing here talks to a server.
//!
//! | module | what |
//! |---|---|
//! | [`json`] | protobuf messages as SPIRE's JSON, and JSON as Go writes it |
//! | [`go_time`], [`go_text`] | times and quoted texts as Go prints them |
//! | [`server`], [`agent`], [`logger`] | one function per kind of result |

pub(crate) mod agent;
mod fault;
pub(crate) mod go_text;
pub(crate) mod go_time;
pub(crate) mod json;
pub(crate) mod logger;
#[cfg(test)]
mod recorded;
pub(crate) mod server;

pub(crate) use fault::Fault;

use std::io::{self, Write};

/// How results are printed. Tables and YAML have their place here when they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

impl Format {
    /// All that can be asked for, by the names that completion offers.
    pub(crate) const NAMES: [&str; 2] = ["pretty", "json"];

    /// Reads a name in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "pretty" | "prettyprint" => Some(Self::Pretty),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

/// Where a command writes to.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Results.
    pub(crate) out: Stream,
    /// Errors, warnings and usage texts.
    pub(crate) err: Stream,
}

impl Terminal {
    /// The streams of this process.
    pub(crate) fn of_process() -> Self {
        Self { out: Stream::Out(io::stdout()), err: Stream::Err(io::stderr()) }
    }

    /// Streams that keep what is written.
    #[cfg(test)]
    pub(crate) fn captured() -> Self {
        Self { out: Stream::Kept(Vec::new()), err: Stream::Kept(Vec::new()) }
    }

    /// Prints a result in the form that was asked for; `pretty` is how people see it.
    pub(crate) fn show<M: json::Described>(
        &mut self,
        format: Format,
        result: &M,
        pretty: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match format {
            Format::Json => Ok(json::print(&mut self.out, result)?),
            Format::Pretty => pretty(self),
        }
    }
}

/// One of the streams.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Standard output.
    Out(io::Stdout),
    /// Standard error.
    Err(io::Stderr),
    /// Memory.
    #[cfg(test)]
    Kept(Vec<u8>),
}

impl Stream {
    /// What has been written to memory.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Kept(bytes) => std::str::from_utf8(bytes).unwrap(),
            _ => "",
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Out(stream) => stream.write(bytes),
            Self::Err(stream) => stream.write(bytes),
            #[cfg(test)]
            Self::Kept(kept) => kept.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Out(stream) => stream.flush(),
            Self::Err(stream) => stream.flush(),
            #[cfg(test)]
            Self::Kept(_) => Ok(()),
        }
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
