//! Join tokens: made by an operator, redeemed once by an agent.

use super::Nodes;
use super::attest::JOIN_TOKEN;
use finial_identity::{EntryDraft, EntrySpec, Failure, Selector, SpiffeId, UnixTime};
use finial_plugin::datastore::JoinToken;
use finial_plugin::node_attestor::Attestation;
use uuid::Uuid;

/// A token that an operator asks for.
pub struct TokenRequest {
    /// The secret, if the operator brings one.
    pub value: Option<String>,
    /// For how many seconds it may be used, at least 1.
    pub ttl_seconds: i32,
    /// An identity that the agent shall also stand for.
    pub agent_id: Option<SpiffeId>,
}

impl Nodes {
    /// Makes a token.
    pub async fn create_token(&self, request: TokenRequest) -> Result<JoinToken, Failure> {
        if request.ttl_seconds < 1 {
            return Err(Failure::invalid("ttl is required, you must provide one"));
        }
        if let Some(id) = &request.agent_id {
            let checked = self.trust_domain.require_workload(id);
            checked.map_err(|e| Failure::invalid(format!("invalid agent ID: {e}")))?;
        }
        let value = request.value.unwrap_or_else(|| Uuid::new_v4().to_string());
        let token_agent = self.token_agent_id(&value)?;
        let now = self.clock.now();
        let expires_at = UnixTime::from(now).plus_seconds(request.ttl_seconds.into());
        let token = JoinToken { value, expires_at };
        let created = self.registry.store().token_create(token.clone(), now).await;
        created.map_err(|e| Failure::internal(format!("failed to create token: {e}")))?;
        if let Some(agent_id) = request.agent_id {
            self.create_token_alias(token_agent, agent_id).await?;
        }
        Ok(token)
    }

    /// Redeems a token: it is gone afterwards, whether it was still good or not.
    pub(super) async fn redeem_token(&self, payload: &[u8]) -> Result<Attestation, Failure> {
        const UNKNOWN: &str = "failed to attest: join token does not exist or has already been used";
        let value = std::str::from_utf8(payload).map_err(|_| Failure::invalid(UNKNOWN))?;
        let taken = self.registry.store().token_take(value).await;
        let taken = taken.map_err(|e| Failure::internal(format!("failed to fetch join token: {e}")))?;
        let token = taken.ok_or_else(|| Failure::invalid(UNKNOWN))?;
        if token.expires_at < UnixTime::from(self.clock.now()) {
            return Err(Failure::invalid("join token expired"));
        }
        Ok(Attestation { agent_id: self.token_agent_id(value)?, selectors: vec![], can_reattest: false })
    }

    fn token_agent_id(&self, value: &str) -> Result<SpiffeId, Failure> {
        let path = format!("/spire/agent/{JOIN_TOKEN}/{value}");
        SpiffeId::from_path(&self.trust_domain, &path)
            .map_err(|e| Failure::internal(format!("failed to create join token ID: {e}")))
    }

    /// The entry through which the agent stands for another identity; it goes with the agent.
    async fn create_token_alias(&self, token_agent: SpiffeId, agent_id: SpiffeId) -> Result<(), Failure> {
        let selector = Selector { kind: "spiffe_id".into(), value: token_agent.to_string() };
        let spec = EntrySpec {
            spiffe_id: agent_id,
            parent_id: token_agent,
            selectors: vec![selector],
            x509_svid_ttl: 0,
            jwt_svid_ttl: 0,
            federates_with: vec![],
            admin: false,
            downstream: false,
            expires_at: None,
            dns_names: vec![],
            store_svid: false,
            hint: String::new(),
            additional: None,
        };
        let drafts = vec![EntryDraft { id: None, spec }];
        let admitted = self.registry.create_entries(drafts, self.clock.now()).await;
        let verdict = admitted.and_then(|mut all| all.pop().transpose()).map(|_| ());
        verdict.map_err(|e| Failure::internal(format!("failed to create join token registration entry: {e}")))
    }
}
