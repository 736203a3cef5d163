//! The node attestor `x509pop`: an agent shows a certificate and proves that it holds its key.
//!
//! The agent sends its chain; the server checks it and sends a nonce; the agent signs both nonces. All messages
//! are SPIRE's JSON, so that either end may be SPIRE's.

mod agent;
mod chain;
mod challenge;
mod describe;
mod server;

#[cfg(test)]
mod tests;

pub use agent::{X509PopAgent, X509PopAgentConfig};
pub use server::{X509PopServer, X509PopServerConfig};

use serde::{Deserialize, Serialize};

const NAME: &str = "x509pop";

/// What opens an attestation: the chain in DER, leaf first.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    #[serde(default, deserialize_with = "null_is_default")]
    certificates: Vec<Bytes>,
}

/// Bytes as Go puts them in JSON: base64, `null` for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        to.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text: Option<String> = Deserialize::deserialize(from)?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(text.unwrap_or_default());
        decoded.map(Self).map_err(|_| serde::de::Error::custom("illegal base64 data"))
    }
}

fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}
