//! Results of the server's commands, for people.

pub(crate) mod agent;
pub(crate) mod authority;
pub(crate) mod bundle;
pub(crate) mod debug;
pub(crate) mod entry;
pub(crate) mod federation;
pub(crate) mod svid;

#[cfg(test)]
mod tests;

use super::go_text::quoted;
use finial_identity::Code;
use finial_proto::types;

/// What SPIRE says when a response lacks what it must have.
const PRINTER_BUG: &str = "internal error: cli printer; please report this bug";

/// An ID of a message as text; empty if there is none.
pub(crate) fn id_text(id: Option<&types::Spiffeid>) -> String {
    id.map(|id| format!("spiffe://{}{}", id.trust_domain, id.path)).unwrap_or_default()
}

/// Whether one item of a batch succeeded.
fn is_ok(status: Option<&types::Status>) -> bool {
    status.is_none_or(|status| status.code == Code::Ok.number())
}

/// `(code: NotFound, msg: "entry not found")`
fn verdict(status: Option<&types::Status>) -> String {
    let (code, message) = status.map_or((0, ""), |status| (status.code, status.message.as_str()));
    format!("(code: {}, msg: {})", Code::from_number(code), quoted(message))
}

fn message(status: Option<&types::Status>) -> &str {
    status.map_or("", |status| status.message.as_str())
}
