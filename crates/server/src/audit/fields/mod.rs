//! From the messages of a call to the fields of its records, which are SPIRE's. Pure.
//!
//! A field of the request is told also if the call failed, unless it is not good: then SPIRE tells nothing of it.
//! Of a batch each item has a record with its own outcome; a batch that fails as a whole has one record without
//! fields.

mod agents;
mod bundles;
mod entries;
mod others;
mod svids;
#[cfg(test)]
mod tests;

use super::Fields;
use finial_identity::key::sha256_hex;
use finial_identity::{Code, SpiffeId, TrustDomain};
use finial_proto::types;
use finial_runtime::logging::FieldValue;
use prost::Message;

/// What the records are about.
pub struct Question<'a> {
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// Whose server this is.
    pub trust_domain: &'a TrustDomain,
    /// Who calls, if known.
    pub caller: Option<&'a SpiffeId>,
    /// The lifetime of JWT-SVIDs that an entry wants, by its ID.
    pub jwt_ttl_of_entry: &'a dyn Fn(&str) -> Option<i32>,
}

/// How the call ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The gRPC status; 0 is success.
    pub code: i32,
    /// Its message.
    pub message: &'a str,
}

impl Outcome<'_> {
    fn is_ok(self) -> bool {
        self.code == 0
    }
}

/// Both sides of a call as bytes with the frames of gRPC around its messages.
struct Talk<'a> {
    question: &'a Question<'a>,
    request: &'a [u8],
    response: &'a [u8],
    outcome: Outcome<'a>,
}

/// One record, or one for each item of a batch.
enum Told {
    Once(Fields),
    /// Each item with its status.
    Items(Vec<(Fields, Option<types::Status>)>),
}

/// The records of a call.
pub fn records(
    question: &Question<'_>,
    request: &[u8],
    response: &[u8],
    outcome: Outcome<'_>,
) -> Vec<Fields> {
    let talk = Talk { question, request, response, outcome };
    let path = question.path.trim_start_matches("/spire.api.server.");
    let told = match path.split_once('/') {
        Some(("agent.v1.Agent", method)) => agents::tell(method, &talk),
        Some(("bundle.v1.Bundle", method)) => bundles::tell(method, &talk),
        Some(("entry.v1.Entry", method)) => entries::tell(method, &talk),
        Some(("svid.v1.SVID", method)) => svids::tell(method, &talk),
        Some((service, method)) => others::tell(service, method, &talk),
        None => Told::Once(Fields::new()),
    };
    match told {
        Told::Items(items) if outcome.is_ok() => items
            .into_iter()
            .map(|(fields, status)| {
                let status = status.unwrap_or_default();
                with_status(fields, Outcome { code: status.code, message: &status.message })
            })
            .collect(),
        Told::Items(_) => vec![with_status(Fields::new(), outcome)],
        Told::Once(fields) => vec![with_status(fields, outcome)],
    }
}

fn with_status(mut fields: Fields, outcome: Outcome<'_>) -> Fields {
    if outcome.is_ok() {
        fields.add("status", "success");
    } else {
        fields.add("status", "error");
        fields.add("status_code", Code::from_number(outcome.code).name());
        fields.add("status_message", outcome.message);
    }
    fields
}

impl<'a> Talk<'a> {
    /// The first message of the request.
    fn asked<M: Message + Default>(&self) -> M {
        messages(self.request).next().unwrap_or_default()
    }

    /// The last message of the response; an empty one if there is none.
    fn answered<M: Message + Default>(&self) -> M {
        messages(self.response).last().unwrap_or_default()
    }
}

/// The messages in gRPC's frames: a flag, four octets of length, the message. None after one that cannot be read.
fn messages<M: Message + Default>(mut rest: &[u8]) -> impl Iterator<Item = M> {
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<5>()?;
        let [0, length @ ..] = *head else { return None };
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let message = after.get(..length)?;
        rest = &after[length..];
        M::decode(message).ok()
    })
}

/// Adds fields.
trait Add {
    fn add(&mut self, name: &str, value: impl Into<FieldValue>);
    /// Unless it is empty.
    fn add_text(&mut self, name: &str, text: &str);
    /// The ID, if there is one.
    fn add_id(&mut self, name: &str, id: Option<String>);
}

impl Add for Fields {
    fn add(&mut self, name: &str, value: impl Into<FieldValue>) {
        self.push((name.to_owned(), value.into()));
    }

    fn add_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.add(name, text);
        }
    }

    fn add_id(&mut self, name: &str, id: Option<String>) {
        if let Some(id) = id {
            self.add(name, id);
        }
    }
}

/// The SHA-256 in hex; nothing of nothing.
fn hash(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { sha256_hex(bytes) }
}

/// `type:value` between commas.
fn selectors_text(selectors: &[types::Selector]) -> String {
    let texts: Vec<String> = selectors.iter().map(|s| format!("{}:{}", s.r#type, s.value)).collect();
    texts.join(",")
}

fn add_selector_match(fields: &mut Fields, wanted: Option<&types::SelectorMatch>) {
    if let Some(wanted) = wanted {
        fields.add("by_selector_match", wanted.r#match().as_str_name());
        fields.add("by_selectors", selectors_text(&wanted.selectors));
    }
}
