//! What both ends of a node attestor must do, run against each other.

use crate::node_attestor::{AgentNodeAttestor, Attestation, Challenger, Prover, ServerNodeAttestor};
use async_trait::async_trait;
use finial_identity::{Code, Failure, TrustDomain};
use std::collections::HashSet;
use std::net::IpAddr;

/// Lets the agent's end attest at the server's end, as if `peer` connected.
pub async fn attest(
    agent: &dyn AgentNodeAttestor,
    server: &dyn ServerNodeAttestor,
    peer: Option<IpAddr>,
) -> Result<Attestation, Failure> {
    run(agent, server, peer, &mut Wire::Honest).await.0
}

/// Checks both ends, given that this agent may attest at this server.
///
/// # Panics
/// When the contract is broken.
pub async fn check(
    agent: &dyn AgentNodeAttestor,
    server: &dyn ServerNodeAttestor,
    trust_domain: &TrustDomain,
    peer: Option<IpAddr>,
) {
    assert_eq!(agent.name(), server.name(), "both ends have one name");
    let mut answers = Vec::new();
    let (attested, payload) = run(agent, server, peer, &mut Wire::Recording(&mut answers)).await;
    let attested = attested.expect("this agent may attest");
    is_sound(&attested, server.name(), trust_domain);
    if attested.can_reattest {
        let again = attest(agent, server, peer).await;
        assert_eq!(again.as_ref(), Ok(&attested), "the same proof gives the same agent");
    }
    refuses_foreign_payloads(server, &payload, peer).await;
    if !answers.is_empty() {
        refuses_wrong_answers(agent, server, peer, &answers).await;
    }
}

fn is_sound(attested: &Attestation, name: &str, trust_domain: &TrustDomain) {
    trust_domain.require_agent(&attested.agent_id).expect("the ID is an agent's");
    let namespace = format!("/spire/agent/{name}/");
    assert!(
        attested.agent_id.path().starts_with(&namespace),
        "{} is not below {namespace}",
        attested.agent_id
    );
    let mut seen = HashSet::new();
    for selector in &attested.selectors {
        assert_eq!(selector.kind, name, "selectors are of the attestor's kind");
        assert!(seen.insert(selector), "{selector} is there twice");
    }
}

async fn refuses_foreign_payloads(server: &dyn ServerNodeAttestor, good: &[u8], peer: Option<IpAddr>) {
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let payloads: [&[u8]; 8] =
        [b"", b"\0", b"null", b"{}", b"[]", b"\xff\xfe\xfd", &deep, &good[..good.len() / 2]];
    for payload in payloads {
        let refused = server.attest(payload, peer, &mut Wire::Broken).await.expect_err("nothing was proven");
        let is_refusal = matches!(refused.code, Code::InvalidArgument | Code::PermissionDenied);
        assert!(is_refusal, "a bad payload is the caller's fault, not {}: {}", refused.code, refused.message);
    }
}

async fn refuses_wrong_answers(
    agent: &dyn AgentNodeAttestor,
    server: &dyn ServerNodeAttestor,
    peer: Option<IpAddr>,
    old: &[Vec<u8>],
) {
    let (gone, _) = run(agent, server, peer, &mut Wire::Broken).await;
    assert_eq!(gone, Err(broken()), "an agent that goes away ends the attestation");
    let (replayed, _) = run(agent, server, peer, &mut Wire::Replaying(old.iter())).await;
    replayed.expect_err("the answers of another session must not do");
    for damage in [
        |_: Vec<u8>| Vec::new(),
        |answer: Vec<u8>| answer[..answer.len() / 2].to_vec(),
        |answer: Vec<u8>| vec![b'['; answer.len()],
    ] {
        let (damaged, _) = run(agent, server, peer, &mut Wire::Damaging(damage)).await;
        let refused = damaged.expect_err("a damaged answer must not do");
        assert!(
            matches!(refused.code, Code::InvalidArgument | Code::PermissionDenied),
            "{}",
            refused.message
        );
    }
}

/// What happens to answers on their way to the server.
enum Wire<'a> {
    Honest,
    Recording(&'a mut Vec<Vec<u8>>),
    Replaying(std::slice::Iter<'a, Vec<u8>>),
    Damaging(fn(Vec<u8>) -> Vec<u8>),
    Broken,
}

fn broken() -> Failure {
    Failure::new(Code::Cancelled, "the agent went away")
}

async fn run(
    agent: &dyn AgentNodeAttestor,
    server: &dyn ServerNodeAttestor,
    peer: Option<IpAddr>,
    wire: &mut Wire<'_>,
) -> (Result<Attestation, Failure>, Vec<u8>) {
    let prover = match agent.begin().await {
        Ok(prover) => prover,
        Err(failure) => return (Err(failure), Vec::new()),
    };
    let payload = prover.payload();
    let attested = server.attest(&payload, peer, &mut Between { prover, wire }).await;
    (attested, payload)
}

struct Between<'w, 'a> {
    prover: Box<dyn Prover>,
    wire: &'w mut Wire<'a>,
}

#[async_trait]
impl Challenger for Between<'_, '_> {
    async fn challenge(&mut self, challenge: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let answer = self.prover.answer(&challenge).await?;
        match self.wire {
            Wire::Honest => Ok(answer),
            Wire::Recording(answers) => {
                answers.push(answer.clone());
                Ok(answer)
            }
            Wire::Replaying(old) => old.next().cloned().ok_or_else(broken),
            Wire::Damaging(damage) => Ok(damage(answer)),
            Wire::Broken => Err(broken()),
        }
    }
}

/// A caller that goes away when it is asked.
#[async_trait]
impl Challenger for Wire<'_> {
    async fn challenge(&mut self, _challenge: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Err(broken())
    }
}
