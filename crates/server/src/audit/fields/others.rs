//! The smaller services: federation relationships, signing authorities, the logger.

use super::bundles::of_bundle;
use super::{Add, Fields, Talk, Told};
use finial_proto::server::localauthority::{ActivateX509AuthorityRequest, TaintX509UpstreamAuthorityRequest};
use finial_proto::server::logger::SetLogLevelRequest;
use finial_proto::server::trustdomain::{
    BatchCreateFederationRelationshipRequest, BatchCreateFederationRelationshipResponse,
    BatchDeleteFederationRelationshipRequest, BatchDeleteFederationRelationshipResponse,
    BatchUpdateFederationRelationshipRequest, BatchUpdateFederationRelationshipResponse,
    GetFederationRelationshipRequest,
};
use finial_proto::types;
use finial_proto::types::federation_relationship::BundleEndpointProfile;

pub(super) fn tell(service: &str, method: &str, talk: &Talk<'_>) -> Told {
    match service {
        "trustdomain.v1.TrustDomain" => of_trust_domain(method, talk),
        "localauthority.v1.LocalAuthority" => Told::Once(of_authority(method, talk)),
        "logger.v1.Logger" if method == "SetLogLevel" => {
            let level = talk.asked::<SetLogLevelRequest>().new_level();
            Told::Once(vec![("new_log_level".to_owned(), level.as_str_name().into())])
        }
        _ => Told::Once(Fields::new()),
    }
}

/// The requests about one authority have the same shape, and so have those about one above this server.
fn of_authority(method: &str, talk: &Talk<'_>) -> Fields {
    let mut fields = Fields::new();
    if method.contains("Upstream") {
        let id = talk.asked::<TaintX509UpstreamAuthorityRequest>().subject_key_id;
        fields.add_text("subject_key_id", &id);
    } else if ["Activate", "Taint", "Revoke"].iter().any(|verb| method.starts_with(verb)) {
        fields.add_text("local_authority_id", &talk.asked::<ActivateX509AuthorityRequest>().authority_id);
    }
    fields
}

fn of_trust_domain(method: &str, talk: &Talk<'_>) -> Told {
    let of_name = |name: String| vec![("trust_domain_id".to_owned(), name.into())];
    let asked: Vec<Fields>;
    let statuses: Vec<Option<types::Status>>;
    match method {
        "BatchCreateFederationRelationship" => {
            let request = talk.asked::<BatchCreateFederationRelationshipRequest>();
            asked = request.federation_relationships.iter().map(|one| of_relationship(one, None)).collect();
            let response = talk.answered::<BatchCreateFederationRelationshipResponse>();
            statuses = response.results.into_iter().map(|result| result.status).collect();
        }
        "BatchUpdateFederationRelationship" => {
            let request = talk.asked::<BatchUpdateFederationRelationshipRequest>();
            let mask = request.input_mask.as_ref();
            asked = request.federation_relationships.iter().map(|one| of_relationship(one, mask)).collect();
            let response = talk.answered::<BatchUpdateFederationRelationshipResponse>();
            statuses = response.results.into_iter().map(|result| result.status).collect();
        }
        "BatchDeleteFederationRelationship" => {
            let request = talk.asked::<BatchDeleteFederationRelationshipRequest>();
            asked = request.trust_domains.into_iter().map(of_name).collect();
            let response = talk.answered::<BatchDeleteFederationRelationshipResponse>();
            statuses = response.results.into_iter().map(|result| result.status).collect();
        }
        "GetFederationRelationship" | "RefreshBundle" => {
            // Both requests begin with the name.
            let request = talk.asked::<GetFederationRelationshipRequest>();
            return Told::Once(of_name(request.trust_domain));
        }
        _ => return Told::Once(Fields::new()),
    }
    Told::Items(asked.into_iter().zip(statuses).collect())
}

fn of_relationship(
    relationship: &types::FederationRelationship,
    mask: Option<&types::FederationRelationshipMask>,
) -> Fields {
    let mut fields = Fields::new();
    fields.add_text("trust_domain_id", &relationship.trust_domain);
    if mask.is_none_or(|mask| mask.bundle_endpoint_url) {
        fields.add("bundle_endpoint_url", relationship.bundle_endpoint_url.as_str());
    }
    if mask.is_none_or(|mask| mask.bundle_endpoint_profile) {
        match &relationship.bundle_endpoint_profile {
            Some(BundleEndpointProfile::HttpsWeb(_)) => fields.add("bundle_endpoint_profile", "https_web"),
            Some(BundleEndpointProfile::HttpsSpiffe(profile)) => {
                fields.add("bundle_endpoint_profile", "https_spiffe");
                fields.add("endpoint_spiffe_id", profile.endpoint_spiffe_id.as_str());
            }
            None => {}
        }
    }
    let bundle = relationship.trust_domain_bundle.as_ref();
    if let Some(bundle) = bundle.filter(|_| mask.is_none_or(|mask| mask.trust_domain_bundle)) {
        let told = of_bundle(bundle, None);
        fields.extend(told.into_iter().map(|(name, value)| (format!("bundle_{name}"), value)));
    }
    fields
}
