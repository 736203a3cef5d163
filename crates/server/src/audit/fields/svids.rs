//! `svid.v1.SVID`.

use super::{Add, Fields, Talk, Told, hash};
use finial_identity::x509::{Certificate, Csr, DistinguishedName};
use finial_proto::server::svid::{
    BatchNewX509svidRequest, BatchNewX509svidResponse, MintJwtsvidRequest, MintX509svidRequest,
    MintX509svidResponse, NewDownstreamX509caRequest, NewDownstreamX509caResponse, NewJwtsvidRequest,
    NewJwtsvidResponse,
};
use finial_proto::types;
use finial_wire::convert::ids::{id_from_proto, workload_from_proto};

pub(super) fn tell(method: &str, talk: &Talk<'_>) -> Told {
    Told::Once(match method {
        "MintX509SVID" => of_mint_x509(talk),
        "MintJWTSVID" => of_mint_jwt(talk),
        "BatchNewX509SVID" => return of_batch(talk),
        "NewJWTSVID" => of_new_jwt(talk),
        "NewDownstreamX509CA" => of_downstream(talk),
        _ => Fields::new(),
    })
}

fn of_mint_x509(talk: &Talk<'_>) -> Fields {
    let request = talk.asked::<MintX509svidRequest>();
    let mut fields = Fields::new();
    fields.add("csr", hash(&request.csr));
    fields.add("ttl", i64::from(request.ttl));
    let issued = talk.answered::<MintX509svidResponse>().svid;
    if let (Some(svid), Ok(csr)) = (issued, Csr::parse(&request.csr)) {
        fields.add("expires_at", rfc3339(svid.expires_at));
        fields.add_id("spiffe_id", id_text(svid.id.as_ref()));
        fields.add("dns_name", csr.dns_names.join(","));
        let subject = DistinguishedName::from_der(&csr.raw_subject);
        fields.add("subject", subject.map(|subject| subject.to_string()).unwrap_or_default());
    }
    fields
}

fn of_mint_jwt(talk: &Talk<'_>) -> Fields {
    let request = talk.asked::<MintJwtsvidRequest>();
    let mut fields = Fields::new();
    // Where JWT-SVIDs are switched off nothing is looked at.
    if talk.outcome.code == finial_identity::Code::Unimplemented.number() {
        return fields;
    }
    fields.add("ttl", i64::from(request.ttl));
    let id = workload_from_proto(talk.question.trust_domain, request.id.as_ref()).ok();
    fields.add_id("spiffe_id", id.map(|id| id.to_string()));
    fields.add_text("audience", &request.audience.join(","));
    fields
}

fn of_batch(talk: &Talk<'_>) -> Told {
    let asked = talk.asked::<BatchNewX509svidRequest>().params.into_iter();
    let answered = talk.answered::<BatchNewX509svidResponse>().results.into_iter();
    let items = asked.zip(answered).map(|(param, result)| {
        let mut fields = Fields::new();
        fields.add("csr", hash(&param.csr));
        fields.add("entry_id", param.entry_id);
        let id = result.svid.as_ref().and_then(|svid| id_text(svid.id.as_ref()));
        fields.add("spiffe_id", id.unwrap_or_default());
        if let Some(svid) = result.svid {
            fields.add("expires_at", svid.expires_at);
        }
        (fields, result.status)
    });
    Told::Items(items.collect())
}

fn of_new_jwt(talk: &Talk<'_>) -> Fields {
    let request = talk.asked::<NewJwtsvidRequest>();
    let mut fields = Fields::new();
    fields.add("entry_id", request.entry_id.as_str());
    fields.add("audience", request.audience.join(","));
    if let Some(svid) = talk.answered::<NewJwtsvidResponse>().svid {
        fields.add_id("spiffe_id", id_text(svid.id.as_ref()));
        let ttl = (talk.question.jwt_ttl_of_entry)(&request.entry_id).unwrap_or_default();
        fields.add("ttl", i64::from(ttl));
    }
    fields
}

fn of_downstream(talk: &Talk<'_>) -> Fields {
    let mut fields = Fields::new();
    fields.add("csr", hash(&talk.asked::<NewDownstreamX509caRequest>().csr));
    fields.add("trust_domain_id", talk.question.trust_domain.id().to_string());
    let chain = talk.answered::<NewDownstreamX509caResponse>().ca_cert_chain;
    if let Some(Ok(authority)) = chain.first().map(|der| Certificate::from_der(der)) {
        fields.add("expires_at", authority.not_after().seconds());
    }
    fields
}

fn id_text(id: Option<&types::Spiffeid>) -> Option<String> {
    id_from_proto(id).ok().map(|id| id.to_string())
}

fn rfc3339(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds);
    moment.map_or_else(|_| String::new(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
