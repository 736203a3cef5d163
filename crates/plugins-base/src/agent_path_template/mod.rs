//! Templates of agent paths: the part of Go's `text/template` that operators use to name agents.
//!
//! SPIRE runs an operator's `agent_path_template` with all of `text/template` and about 120 functions. Here is
//! the part that names things; where it is here it gives the same text, and where it is not, [`parse`] says so
//! when the configuration is read, with the name and the place, instead of naming an agent differently.
//!
//! | there | |
//! |---|---|
//! | text, comments, trimming | `/a/{{- .B -}}`, `{{/* … */}}` |
//! | operands | `.`, `.A.B`, `$`, `$x.A`, `(pipeline).A`, strings (both quotes), integers, characters, `true`, `false`, `nil` |
//! | pipelines | `.A \| trunc 8 \| lower`, variables `$x := …`, `$x = …` |
//! | control | `if`, `else if`, `else`, `with`, `range` over lists and maps (also `$k, $v :=`), `end` |
//! | Go's functions | `and or not eq ne lt le gt ge len index print println printf` |
//! | sprig's functions | see the modules of `functions` |
//!
//! A field that is not there is an error (`missingkey=error`). Differences that remain: integers are 64 bits
//! and there is no floating point; texts are UTF-8 and are never cut inside a character; the order of `keys`
//! and `values` is alphabetical where Go's is random; regular expressions know no Unicode classes.
//!
//! [`parse`]: AgentPathTemplate::parse

mod eval;
mod functions;
mod lex;
mod parse;
mod value;

#[cfg(test)]
mod tests;

pub use value::Value;

use finial_identity::spiffe_id::SpiffeIdError;
use finial_identity::{SpiffeId, TrustDomain};
use parse::Node;
use std::fmt;

/// A place in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a template cannot be read or run: the place and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct TemplateError {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

/// Why a template does not give an agent's ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentIdError {
    /// The template failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What came out is no path.
    #[error("invalid agent path suffix {suffix:?}: {source}")]
    InvalidPath {
        /// What came out.
        suffix: String,
        /// What is wrong with it.
        source: SpiffeIdError,
    },
}

/// A template that was read without error.
#[derive(Debug, Clone)]
pub struct AgentPathTemplate {
    nodes: Vec<Node>,
    fields: Vec<(String, Position)>,
}

impl AgentPathTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let parse::Parsed { nodes, fields } = parse::parse(text)?;
        Ok(Self { nodes, fields })
    }

    /// Finds a field of the data that the template uses and that is not among `known`: what would otherwise only
    /// come up when an agent attests.
    pub fn check_fields(&self, known: &[&str]) -> Result<(), TemplateError> {
        match self.fields.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, at)) => {
                let message = format!("there is no field {name:?}; there are {}", known.join(", "));
                Err(TemplateError { at: *at, message })
            }
        }
    }

    /// Runs the template.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        eval::render(&self.nodes, data)
    }

    /// Runs the template and makes the agent's ID of what comes out, which begins with `/`.
    pub fn agent_id(&self, trust_domain: &TrustDomain, data: &Value) -> Result<SpiffeId, AgentIdError> {
        agent_id(trust_domain, &self.render(data)?)
    }
}

/// The ID of an agent from what follows `/spire/agent` in its path, slash included.
pub fn agent_id(trust_domain: &TrustDomain, suffix: &str) -> Result<SpiffeId, AgentIdError> {
    let invalid = |source| AgentIdError::InvalidPath { suffix: suffix.to_owned(), source };
    if suffix.is_empty() {
        return Err(invalid(SpiffeIdError::Empty));
    }
    finial_identity::spiffe_id::check_path(suffix).map_err(invalid)?;
    SpiffeId::from_path(trust_domain, &format!("/spire/agent{suffix}")).map_err(invalid)
}
