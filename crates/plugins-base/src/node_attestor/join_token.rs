//! The node attestor `join_token`, agent's end: a secret that is good for one attestation.
//!
//! The server's end is inside the server, because a token is a row of its store.

use async_trait::async_trait;
use finial_identity::{Code, Failure};
use finial_plugin::node_attestor::{AgentNodeAttestor, Prover};
use zeroize::Zeroizing;

/// Presents a join token.
pub struct JoinTokenAgent {
    token: Zeroizing<String>,
}

impl JoinTokenAgent {
    /// `token` is the agent's `join_token`; without one each attestation fails and says so.
    #[must_use]
    pub fn new(token: Option<String>) -> Self {
        Self { token: Zeroizing::new(token.unwrap_or_default()) }
    }
}

#[async_trait]
impl AgentNodeAttestor for JoinTokenAgent {
    fn name(&self) -> &str {
        "join_token"
    }

    async fn begin(&self) -> Result<Box<dyn Prover>, Failure> {
        if self.token.is_empty() {
            return Err(Failure::invalid("join token was not provided"));
        }
        Ok(Box::new(Presented { token: self.token.clone() }))
    }
}

struct Presented {
    token: Zeroizing<String>,
}

#[async_trait]
impl Prover for Presented {
    fn payload(&self) -> Vec<u8> {
        self.token.as_bytes().to_vec()
    }

    async fn answer(&mut self, _challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        Err(Failure::new(Code::Internal, "server issued unexpected challenge"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_payload_is_the_token() {
        let agent = JoinTokenAgent::new(Some("0a1b".into()));
        let mut prover = agent.begin().await.unwrap();
        assert_eq!(prover.payload(), b"0a1b");
        assert_eq!(prover.answer(b"").await.unwrap_err().message, "server issued unexpected challenge");
    }

    #[tokio::test]
    async fn a_missing_token_is_said_so() {
        let missing = JoinTokenAgent::new(None).begin().await.err().unwrap();
        assert_eq!(missing, Failure::invalid("join token was not provided"));
    }
}
