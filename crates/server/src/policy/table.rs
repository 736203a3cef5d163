//! The table of methods and the callers that they admit. Pure.

use finial_wire::measure::Answers;

/// The kinds of caller that a method admits besides nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whoever can connect.
    pub anyone: bool,
    /// The operator on the private socket.
    pub local: bool,
    /// An identity listed in `admin_ids` or whose entry says admin.
    pub admin: bool,
    /// An identity whose entry says downstream.
    pub downstream: bool,
    /// An attested agent with its current SVID.
    pub agent: bool,
}

/// As what a caller was let in; the names are those of the log field `authorized_as`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Nobody in particular.
    Anyone,
    /// The operator on the private socket.
    Local,
    /// An administrator.
    Admin,
    /// A downstream server.
    Downstream,
    /// An agent.
    Agent,
}

impl Grant {
    /// The value of the log field `authorized_as`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyone => "nobody",
            Self::Local => "local",
            Self::Admin => "admin",
            Self::Downstream => "downstream",
            Self::Agent => "agent",
        }
    }
}

const NOBODY: Access = Access { anyone: false, local: false, admin: false, downstream: false, agent: false };
const ANYONE: Access = Access { anyone: true, ..NOBODY };
const LOCAL: Access = Access { local: true, ..NOBODY };
const DOWNSTREAM: Access = Access { downstream: true, ..NOBODY };
const OPERATOR: Access = Access { local: true, admin: true, ..NOBODY };
const AGENT: Access = Access { agent: true, ..NOBODY };
const OPERATOR_OR_AGENT: Access = Access { local: true, admin: true, agent: true, ..NOBODY };

const AGENTS: &str = "/spire.api.server.agent.v1.Agent/";
const BUNDLES: &str = "/spire.api.server.bundle.v1.Bundle/";
const ENTRIES: &str = "/spire.api.server.entry.v1.Entry/";
const SVIDS: &str = "/spire.api.server.svid.v1.SVID/";
const TRUST_DOMAINS: &str = "/spire.api.server.trustdomain.v1.TrustDomain/";
const AUTHORITIES: &str = "/spire.api.server.localauthority.v1.LocalAuthority/";
const DEBUG: &str = "/spire.api.server.debug.v1.Debug/";
const LOGGER: &str = "/spire.api.server.logger.v1.Logger/";
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The callers that a method (`/package.Service/Method`) admits; `None` for a method that is not served.
pub fn access_of(path: &str) -> Option<Access> {
    let (service, method) = path.split_at(path.rfind('/')? + 1);
    Some(match (service, method) {
        (BUNDLES, "GetBundle") | (AGENTS, "AttestAgent") => ANYONE,
        (SVIDS, "BatchNewX509SVID" | "NewJWTSVID" | "BatchNewWITSVID") => AGENT,
        (ENTRIES, "GetAuthorizedEntries" | "SyncAuthorizedEntries") => AGENT,
        (AGENTS, "RenewAgent" | "PostStatus") => AGENT,
        (SVIDS, "NewDownstreamX509CA") => DOWNSTREAM,
        (BUNDLES, "PublishJWTAuthority" | "PublishWITAuthority") => DOWNSTREAM,
        (BUNDLES, "GetFederatedBundle") => OPERATOR_OR_AGENT,
        (SVIDS, "MintX509SVID" | "MintJWTSVID" | "MintWITSVID") => OPERATOR,
        (
            BUNDLES,
            "AppendBundle"
            | "CountBundles"
            | "ListFederatedBundles"
            | "BatchCreateFederatedBundle"
            | "BatchUpdateFederatedBundle"
            | "BatchSetFederatedBundle"
            | "BatchDeleteFederatedBundle",
        ) => OPERATOR,
        (
            ENTRIES,
            "CountEntries" | "ListEntries" | "GetEntry" | "BatchCreateEntry" | "BatchUpdateEntry"
            | "BatchDeleteEntry",
        ) => OPERATOR,
        (
            AGENTS,
            "CountAgents" | "ListAgents" | "GetAgent" | "DeleteAgent" | "BanAgent" | "CreateJoinToken",
        ) => OPERATOR,
        (
            TRUST_DOMAINS,
            "ListFederationRelationships"
            | "GetFederationRelationship"
            | "BatchCreateFederationRelationship"
            | "BatchUpdateFederationRelationship"
            | "BatchDeleteFederationRelationship"
            | "RefreshBundle",
        ) => OPERATOR,
        (
            AUTHORITIES,
            "GetJWTAuthorityState"
            | "PrepareJWTAuthority"
            | "ActivateJWTAuthority"
            | "TaintJWTAuthority"
            | "RevokeJWTAuthority"
            | "GetX509AuthorityState"
            | "PrepareX509Authority"
            | "ActivateX509Authority"
            | "TaintX509Authority"
            | "TaintX509UpstreamAuthority"
            | "RevokeX509Authority"
            | "RevokeX509UpstreamAuthority"
            | "GetWITAuthorityState"
            | "PrepareWITAuthority"
            | "ActivateWITAuthority"
            | "TaintWITAuthority"
            | "RevokeWITAuthority",
        ) => OPERATOR,
        (DEBUG, "GetInfo") => LOCAL,
        (LOGGER, "GetLogger" | "SetLogLevel" | "ResetLogLevel") => LOCAL,
        (HEALTH, "Check" | "List" | "Watch") => LOCAL,
        _ => return None,
    })
}

/// How many answers a method that is served gives.
pub fn answers_of(path: &str) -> Option<Answers> {
    access_of(path)?;
    let is_stream = path.ends_with("/AttestAgent")
        || path.ends_with("/SyncAuthorizedEntries")
        || path == "/grpc.health.v1.Health/Watch";
    Some(if is_stream { Answers::Many } else { Answers::One })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_of_the_table() {
        assert_eq!(access_of("/spire.api.server.bundle.v1.Bundle/GetBundle"), Some(ANYONE));
        assert_eq!(access_of("/spire.api.server.svid.v1.SVID/NewJWTSVID"), Some(AGENT));
        assert_eq!(access_of("/spire.api.server.entry.v1.Entry/BatchCreateEntry"), Some(OPERATOR));
        assert_eq!(access_of("/spire.api.server.svid.v1.SVID/NewDownstreamX509CA"), Some(DOWNSTREAM));
        assert_eq!(
            access_of("/spire.api.server.localauthority.v1.LocalAuthority/RevokeX509UpstreamAuthority"),
            Some(OPERATOR)
        );
        assert_eq!(access_of("/spire.api.server.debug.v1.Debug/GetInfo"), Some(LOCAL));
        assert_eq!(access_of("/spire.api.server.entry.v1.Entry/"), None);
        assert_eq!(access_of("/spire.api.server.entry.v1.Entry/Nope"), None);
        assert_eq!(access_of("nonsense"), None);
    }
}
