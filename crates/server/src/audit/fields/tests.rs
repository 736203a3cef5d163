//! Records compared with those that SPIRE 1.16 writes for the same calls.

use super::*;
use expect_test::{Expect, expect};
use finial_proto::server::agent::{
    BanAgentRequest, CreateJoinTokenRequest, ListAgentsRequest, list_agents_request,
};
use finial_proto::server::entry::{
    BatchCreateEntryRequest, BatchCreateEntryResponse, BatchDeleteEntryRequest, ListEntriesRequest,
    batch_create_entry_response, list_entries_request,
};
use finial_proto::server::logger::SetLogLevelRequest;
use finial_proto::server::svid::{
    BatchNewX509svidRequest, BatchNewX509svidResponse, MintJwtsvidRequest, NewJwtsvidRequest,
    NewJwtsvidResponse, NewX509svidParams, batch_new_x509svid_response,
};

const OK: Outcome<'static> = Outcome { code: 0, message: "" };

fn id(path: &str) -> Option<types::Spiffeid> {
    Some(types::Spiffeid { trust_domain: "example.org".to_owned(), path: path.to_owned() })
}

fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), bytes.as_slice()].concat()
}

fn told(path: &str, request: &impl Message, response: &impl Message, outcome: Outcome<'_>) -> String {
    let trust_domain = TrustDomain::parse("example.org").unwrap();
    let caller = SpiffeId::parse("spiffe://example.org/spire/agent/a").unwrap();
    let question = Question {
        path: &format!("/spire.api.server.{path}"),
        trust_domain: &trust_domain,
        caller: Some(&caller),
        jwt_ttl_of_entry: &|id| (id == "e1").then_some(300),
    };
    let lines =
        records(&question, &framed(request), &framed(response), outcome).into_iter().map(|mut fields| {
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            let texts = fields.into_iter().map(|(name, value)| match value {
                FieldValue::Text(text) => format!("{name}={text:?}"),
                FieldValue::Integer(number) => format!("{name}={number}"),
                FieldValue::Bool(value) => format!("{name}={value}"),
                FieldValue::Float(number) => format!("{name}={number}"),
            });
            texts.collect::<Vec<_>>().join(" ") + "\n"
        });
    lines.collect()
}

fn check(path: &str, request: &impl Message, response: &impl Message, outcome: Outcome<'_>, want: Expect) {
    want.assert_eq(&told(path, request, response, outcome));
}

fn status(code: i32, message: &str) -> Option<types::Status> {
    Some(types::Status { code, message: message.to_owned() })
}

#[test]
fn each_item_of_a_batch_has_a_record() {
    let entry = types::Entry {
        spiffe_id: id("/w"),
        parent_id: id("/a"),
        selectors: vec![types::Selector { r#type: "unix".to_owned(), value: "uid:1".to_owned() }],
        ..Default::default()
    };
    let request = BatchCreateEntryRequest { entries: vec![entry.clone(), entry], output_mask: None };
    let result = |status| batch_create_entry_response::Result { status, entry: None };
    let results = vec![result(status(0, "OK")), result(status(6, "similar entry already exists"))];
    check(
        "entry.v1.Entry/BatchCreateEntry",
        &request,
        &BatchCreateEntryResponse { results },
        OK,
        expect![[r#"
            admin=false created_at=0 downstream=false expires_at=0 hint="" jwt_svid_ttl=0 parent_id="spiffe://example.org/a" revision_number=0 selectors="unix:uid:1" spiffe_id="spiffe://example.org/w" status="success" store_svid=false x509_svid_ttl=0
            admin=false created_at=0 downstream=false expires_at=0 hint="" jwt_svid_ttl=0 parent_id="spiffe://example.org/a" revision_number=0 selectors="unix:uid:1" spiffe_id="spiffe://example.org/w" status="error" status_code="AlreadyExists" status_message="similar entry already exists" store_svid=false x509_svid_ttl=0
        "#]],
    );
}

#[test]
fn a_batch_that_fails_has_one_record() {
    let request = BatchDeleteEntryRequest { ids: vec!["a".to_owned(), "b".to_owned()] };
    check(
        "entry.v1.Entry/BatchDeleteEntry",
        &request,
        &(),
        Outcome { code: 1, message: "context canceled" },
        expect![[r#"
            status="error" status_code="Canceled" status_message="context canceled"
        "#]],
    );
}

#[test]
fn what_is_not_good_is_not_told() {
    let outcome = Outcome { code: 3, message: "invalid agent ID: no" };
    check(
        "agent.v1.Agent/BanAgent",
        &BanAgentRequest { id: id("/zz") },
        &(),
        outcome,
        expect![[r#"
            status="error" status_code="InvalidArgument" status_message="invalid agent ID: no"
        "#]],
    );
    check(
        "agent.v1.Agent/BanAgent",
        &BanAgentRequest { id: id("/spire/agent/x") },
        &(),
        OK,
        expect![[r#"
            spiffe_id="spiffe://example.org/spire/agent/x" status="success"
        "#]],
    );
}

#[test]
fn filters_are_told() {
    let filter = list_agents_request::Filter {
        by_attestation_type: "join_token".to_owned(),
        by_banned: Some(false),
        by_selector_match: Some(types::SelectorMatch::default()),
        ..Default::default()
    };
    check(
        "agent.v1.Agent/ListAgents",
        &ListAgentsRequest { filter: Some(filter), ..Default::default() },
        &(),
        OK,
        expect![[r#"
            by_banned=false by_selector_match="MATCH_EXACT" by_selectors="" node_attestor_type="join_token" status="success"
        "#]],
    );
    let filter = list_entries_request::Filter {
        by_spiffe_id: id("/w"),
        by_federates_with: Some(types::FederatesWithMatch {
            trust_domains: vec!["a".to_owned(), "b".to_owned()],
            r#match: 1,
        }),
        by_downstream: Some(true),
        ..Default::default()
    };
    check(
        "entry.v1.Entry/ListEntries",
        &ListEntriesRequest { filter: Some(filter), ..Default::default() },
        &(),
        OK,
        expect![[r#"
            downstream=true federates_with="a,b" federates_with_match="MATCH_SUBSET" spiffe_id="spiffe://example.org/w" status="success"
        "#]],
    );
}

#[test]
fn issuing_tells_for_whom() {
    let params = vec![NewX509svidParams { entry_id: "e1".to_owned(), csr: b"csr".as_slice().into() }];
    let svid = types::X509svid { id: id("/w"), expires_at: 1_800_000_000, ..Default::default() };
    let results = vec![batch_new_x509svid_response::Result { status: status(0, ""), svid: Some(svid) }];
    check(
        "svid.v1.SVID/BatchNewX509SVID",
        &BatchNewX509svidRequest { params },
        &BatchNewX509svidResponse { results },
        OK,
        expect![[r#"
            csr="c27338c453067b437471afbce792704d816112c6031bb996b62c698ea599ef80" entry_id="e1" expires_at=1800000000 spiffe_id="spiffe://example.org/w" status="success"
        "#]],
    );
    let svid = types::Jwtsvid { id: id("/w"), token: "secret".to_owned(), ..Default::default() };
    check(
        "svid.v1.SVID/NewJWTSVID",
        &NewJwtsvidRequest { entry_id: "e1".to_owned(), audience: vec!["a".to_owned(), "b".to_owned()] },
        &NewJwtsvidResponse { svid: Some(svid) },
        OK,
        expect![[r#"
            audience="a,b" entry_id="e1" spiffe_id="spiffe://example.org/w" status="success" ttl=300
        "#]],
    );
    check(
        "svid.v1.SVID/MintJWTSVID",
        &MintJwtsvidRequest { id: id("/x"), audience: vec!["a".to_owned()], ttl: 0 },
        &(),
        OK,
        expect![[r#"
            audience="a" spiffe_id="spiffe://example.org/x" status="success" ttl=0
        "#]],
    );
}

#[test]
fn tokens_are_not_told() {
    let request = CreateJoinTokenRequest { ttl: 600, token: "secret".to_owned(), agent_id: id("/n") };
    check(
        "agent.v1.Agent/CreateJoinToken",
        &request,
        &(),
        OK,
        expect![[r#"
            spiffe_id="spiffe://example.org/n" status="success" ttl=600
        "#]],
    );
}

#[test]
fn other_services() {
    check(
        "logger.v1.Logger/SetLogLevel",
        &SetLogLevelRequest { new_level: types::LogLevel::Debug as i32 },
        &(),
        OK,
        expect![[r#"
            new_log_level="DEBUG" status="success"
        "#]],
    );
    check(
        "bundle.v1.Bundle/CountBundles",
        &(),
        &(),
        OK,
        expect![[r#"
        status="success"
    "#]],
    );
    check(
        "bundle.v1.Bundle/GetBundle",
        &(),
        &(),
        OK,
        expect![[r#"
        status="success" trust_domain_id="example.org"
    "#]],
    );
}

#[test]
fn foreign_bytes_are_no_messages() {
    for bytes in [&b""[..], b"\0", b"\0\xff\xff\xff\xff", b"\x01\0\0\0\0", b"\0\0\0\0\x02\xff\xff"] {
        assert_eq!(messages::<BanAgentRequest>(bytes).count(), 0, "{bytes:?}");
    }
}
