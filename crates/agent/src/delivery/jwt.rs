//! `FetchJWTSVID` and `ValidateJWTSVID`.

use super::rate_limits::Method;
use super::workload_api::Caller;
use super::{WorkloadApi, bundles, hints, refusal};
use crate::cache::View;
use finial_identity::GrantedEntry;
use finial_identity::jwt::{JwtError, validate};
use finial_identity::{PublicKey, SpiffeId, TrustDomain};
use finial_proto::workload::{
    Jwtsvid, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest, ValidateJwtsvidResponse,
};
use finial_wire::peer::UnixPeer;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::Map;
use std::sync::Arc;
use tonic::Status;
use tracing::{debug, error, warn};

/// Tokens asked for at a time for one call.
const TOKENS_AT_A_TIME: usize = 8;

impl WorkloadApi {
    /// One token for each identity, or for the one that is asked for.
    pub(super) async fn fetch_jwt_svid(
        &self,
        peer: &UnixPeer,
        request: JwtsvidRequest,
    ) -> Result<JwtsvidResponse, Status> {
        if request.audience.is_empty() {
            error!("Missing required audience parameter");
            return Err(refusal::no_audience());
        }
        let wanted = wanted_id(&request.spiffe_id)?;
        let caller = self.admit(peer, Method::FetchJwtSvid).await?;
        let entries = self.entries_for(&caller, wanted.as_ref()).await?;
        // The server would refuse empty names, and there is no use in asking it.
        let audience: Vec<String> = request.audience.into_iter().filter(|name| !name.is_empty()).collect();
        if audience.is_empty() {
            error!("Missing required audience parameter");
            return Err(refusal::no_audience());
        }
        let tokens: Vec<_> = entries.iter().map(|entry| self.token(entry, &audience).boxed()).collect();
        let svids = stream::iter(tokens).buffered(TOKENS_AT_A_TIME).try_collect().await?;
        Ok(JwtsvidResponse { svids })
    }

    async fn entries_for(
        &self,
        caller: &Caller,
        wanted: Option<&SpiffeId>,
    ) -> Result<Vec<Arc<GrantedEntry>>, Status> {
        let view = self.view(caller, |view| !choose(view, wanted).is_empty()).await;
        let entries = choose(&view, wanted);
        if entries.is_empty() {
            return Err(self.refuse(caller, view.identities.len()));
        }
        Ok(entries)
    }

    async fn token(&self, entry: &GrantedEntry, audience: &[String]) -> Result<Jwtsvid, Status> {
        match self.jwt_cache().token(entry, audience).await {
            Ok(token) => {
                let left = token.expires_at.to_system_time().duration_since(self.now()).unwrap_or_default();
                debug!(registered = true, spiffe_id = %entry.spiffe_id, ttl = left.as_secs_f64(), "Fetched JWT SVID");
                Ok(Jwtsvid {
                    spiffe_id: entry.spiffe_id.as_str().to_owned(),
                    svid: token.token.clone(),
                    hint: entry.hint.clone(),
                })
            }
            Err(failure) => {
                error!(registered = true, spiffe_id = %entry.spiffe_id, error = %failure, "Could not fetch JWT-SVID");
                Err(Status::unavailable(format!("could not fetch JWT-SVID: {failure}")))
            }
        }
    }

    /// Judges somebody else's token by the bundles that concern the caller; an identity is not needed.
    pub(super) async fn validate_jwt_svid(
        &self,
        peer: &UnixPeer,
        request: ValidateJwtsvidRequest,
    ) -> Result<ValidateJwtsvidResponse, Status> {
        if request.audience.is_empty() {
            error!("Missing required audience parameter");
            return Err(refusal::no_audience());
        }
        if request.svid.is_empty() {
            error!("Missing required svid parameter");
            return Err(Status::invalid_argument("svid must be specified"));
        }
        let caller = self.recognize(peer).await?;
        let view = self.directory().look(&caller.selectors);
        let find_key = |trust_domain: &TrustDomain, key_id: &str| find_key(&view, trust_domain, key_id);
        let mut valid =
            validate(&request.svid, &request.audience, self.now(), &find_key).map_err(|refused| {
                warn!(audience = request.audience, error = %refused, "Failed to validate JWT");
                Status::invalid_argument(refused.to_string())
            })?;
        debug!(audience = request.audience, spiffe_id = %valid.id, "Successfully validated JWT");
        if valid.id.trust_domain() != view.bundles.trust_domain() {
            let allowed = &self.options().allowed_foreign_jwt_claims;
            valid.keep_standard_claims_and(|claim| allowed.contains(claim));
        }
        Ok(ValidateJwtsvidResponse {
            spiffe_id: valid.id.as_str().to_owned(),
            claims: Some(to_struct(valid.claims)),
        })
    }
}

fn wanted_id(text: &str) -> Result<Option<SpiffeId>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    SpiffeId::parse(text).map(Some).map_err(|refused| {
        error!(spiffe_id = text, error = %refused, "Invalid requested SPIFFE ID");
        Status::invalid_argument(format!("invalid requested SPIFFE ID: {refused}"))
    })
}

/// The entries of a view that give tokens. As in SPIRE one whose hint belongs to another entry does not, also
/// if it is asked for by its ID.
fn choose(view: &View, wanted: Option<&SpiffeId>) -> Vec<Arc<GrantedEntry>> {
    let entries = view.identities.iter().map(|identity| &identity.entry);
    let ignored = hints::duplicates(entries.clone().map(|entry| &**entry));
    entries
        .filter(|entry| !ignored.contains(&entry.id))
        .filter(|entry| wanted.is_none_or(|wanted| entry.spiffe_id == *wanted))
        .cloned()
        .collect()
}

fn find_key(view: &View, trust_domain: &TrustDomain, key_id: &str) -> Result<PublicKey, JwtError> {
    let bundle =
        view.bundles.get(trust_domain).filter(|_| bundles::trust_domains(view).contains(trust_domain));
    bundle.ok_or_else(|| JwtError::NoBundle(trust_domain.clone()))?.jwt_key(key_id)
}

/// JSON as protobuf has it: all numbers are doubles.
fn to_struct(members: Map<String, serde_json::Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_value).collect() })
        }
        Json::Object(members) => Kind::StructValue(to_struct(members)),
    };
    Value { kind: Some(kind) }
}
