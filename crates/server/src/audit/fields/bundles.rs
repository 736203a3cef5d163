//! `bundle.v1.Bundle`.

use super::{Add, Fields, Talk, Told, hash};
use finial_proto::server::bundle::batch_delete_federated_bundle_request::Mode;
use finial_proto::server::bundle::{
    AppendBundleRequest, BatchCreateFederatedBundleRequest, BatchCreateFederatedBundleResponse,
    BatchDeleteFederatedBundleRequest, BatchDeleteFederatedBundleResponse, BatchSetFederatedBundleRequest,
    BatchSetFederatedBundleResponse, BatchUpdateFederatedBundleRequest, BatchUpdateFederatedBundleResponse,
    GetFederatedBundleRequest, PublishJwtAuthorityRequest,
};
use finial_proto::types;

pub(super) fn tell(method: &str, talk: &Talk<'_>) -> Told {
    let mut fields = Fields::new();
    match method {
        "GetBundle" => fields.add("trust_domain_id", talk.question.trust_domain.as_str()),
        "AppendBundle" => {
            let request = talk.asked::<AppendBundleRequest>();
            add_jwt(&mut fields, &request.jwt_authorities);
            add_x509(&mut fields, &request.x509_authorities);
        }
        "PublishJWTAuthority" => {
            if let Some(key) = talk.asked::<PublishJwtAuthorityRequest>().jwt_authority {
                add_key(&mut fields, "", &key);
            }
        }
        "GetFederatedBundle" => {
            fields.add("trust_domain_id", talk.asked::<GetFederatedBundleRequest>().trust_domain);
        }
        "BatchCreateFederatedBundle" => {
            let asked = talk.asked::<BatchCreateFederatedBundleRequest>();
            let answered = talk.answered::<BatchCreateFederatedBundleResponse>().results;
            return of_bundles(&asked.bundle, None, answered.into_iter().map(|result| result.status));
        }
        "BatchSetFederatedBundle" => {
            let asked = talk.asked::<BatchSetFederatedBundleRequest>();
            let answered = talk.answered::<BatchSetFederatedBundleResponse>().results;
            return of_bundles(&asked.bundle, None, answered.into_iter().map(|result| result.status));
        }
        "BatchUpdateFederatedBundle" => {
            let asked = talk.asked::<BatchUpdateFederatedBundleRequest>();
            let answered = talk.answered::<BatchUpdateFederatedBundleResponse>().results;
            let statuses = answered.into_iter().map(|result| result.status);
            return of_bundles(&asked.bundle, asked.input_mask.as_ref(), statuses);
        }
        "BatchDeleteFederatedBundle" => return of_deletion(talk),
        _ => {}
    }
    Told::Once(fields)
}

fn of_bundles(
    bundles: &[types::Bundle],
    mask: Option<&types::BundleMask>,
    statuses: impl Iterator<Item = Option<types::Status>>,
) -> Told {
    Told::Items(bundles.iter().map(|bundle| of_bundle(bundle, mask)).zip(statuses).collect())
}

fn of_deletion(talk: &Talk<'_>) -> Told {
    let asked = talk.asked::<BatchDeleteFederatedBundleRequest>();
    let mode = match asked.mode() {
        Mode::Restrict => "RESTRICT",
        Mode::Delete => "DELETE",
        Mode::Dissociate => "DISSOCIATE",
    };
    let answered = talk.answered::<BatchDeleteFederatedBundleResponse>().results;
    let items = asked.trust_domains.into_iter().zip(answered).map(|(trust_domain, result)| {
        let mut fields = Fields::new();
        fields.add("trust_domain_id", trust_domain);
        fields.add("mode", mode);
        (fields, result.status)
    });
    Told::Items(items.collect())
}

/// What of a bundle is told; all of it without a mask.
pub(super) fn of_bundle(bundle: &types::Bundle, mask: Option<&types::BundleMask>) -> Fields {
    let mut fields = Fields::new();
    fields.add("trust_domain_id", bundle.trust_domain.as_str());
    if mask.is_none_or(|mask| mask.refresh_hint) {
        fields.add("refresh_hint", bundle.refresh_hint);
    }
    if mask.is_none_or(|mask| mask.sequence_number) {
        fields.add("sequence_number", bundle.sequence_number);
    }
    if mask.is_none_or(|mask| mask.jwt_authorities) {
        add_jwt(&mut fields, &bundle.jwt_authorities);
    }
    if mask.is_none_or(|mask| mask.x509_authorities) {
        add_x509(&mut fields, &bundle.x509_authorities);
    }
    fields
}

fn add_jwt(fields: &mut Fields, keys: &[types::JwtKey]) {
    for (at, key) in keys.iter().enumerate() {
        add_key(fields, &format!(".{at}"), key);
    }
}

fn add_key(fields: &mut Fields, at: &str, key: &types::JwtKey) {
    fields.add(&format!("jwt_authority_expires_at{at}"), key.expires_at);
    fields.add(&format!("jwt_authority_key_id{at}"), key.key_id.as_str());
    fields.add(&format!("jwt_authority_public_key_sha256{at}"), hash(&key.public_key));
}

fn add_x509(fields: &mut Fields, authorities: &[types::X509Certificate]) {
    for (at, authority) in authorities.iter().enumerate() {
        fields.add(&format!("x509_authorities_asn1_sha256.{at}"), hash(&authority.asn1));
    }
}
