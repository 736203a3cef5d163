//! `FetchJWTSVID` and `ValidateJWTSVID` beyond their statuses.

use super::world::{Plan, World, eventually, two_entries, with_header};
use finial_identity::{Code as DomainCode, Failure};
use finial_proto::workload::{JwtsvidRequest, ValidateJwtsvidRequest, ValidateJwtsvidResponse};
use prost_types::value::Kind;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::{Code, Status};

fn fetch(audience: &[&str], id: &str) -> tonic::Request<JwtsvidRequest> {
    let audience = audience.iter().map(|name| (*name).to_owned()).collect();
    with_header(JwtsvidRequest { audience, spiffe_id: id.to_owned() })
}

async fn validate(world: &World, svid: String) -> Result<ValidateJwtsvidResponse, Status> {
    let request = ValidateJwtsvidRequest { audience: "a".to_owned(), svid };
    world.client().validate_jwtsvid(with_header(request)).await.map(tonic::Response::into_inner)
}

fn claim_names(response: &ValidateJwtsvidResponse) -> Vec<&str> {
    response.claims.as_ref().unwrap().fields.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn one_token_for_each_identity_or_the_one_asked_for() {
    let world = World::new(Plan::default()).await;
    let all = world.client().fetch_jwtsvid(fetch(&["a", "", "b"], "")).await.unwrap().into_inner().svids;
    let shown: Vec<_> = all.iter().map(|svid| (svid.spiffe_id.as_str(), svid.hint.as_str())).collect();
    let expected =
        [("spiffe://example.org/myservice", "myservice"), ("spiffe://example.org/myservice2", "myservice2")];
    assert_eq!(shown, expected);
    let response = validate(&world, all[1].svid.clone()).await.unwrap();
    assert_eq!(response.spiffe_id, "spiffe://example.org/myservice2");
    let one = fetch(&["b", "a"], "spiffe://example.org/myservice2");
    let one = world.client().fetch_jwtsvid(one).await.unwrap().into_inner().svids;
    assert_eq!(one, all[1..], "kept, and the order of the audience does not matter");
    assert_eq!(world.upstream.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_cannot_sign_is_unavailable() {
    let world = World::new(Plan::default()).await;
    *world.upstream.fault.lock().unwrap() = Some(Failure::new(DomainCode::Internal, "no key"));
    let refused = world.client().fetch_jwtsvid(fetch(&["a"], "")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "could not fetch JWT-SVID: no key"));
}

#[tokio::test]
async fn a_caller_who_leaves_while_a_token_is_signed_leaves_nothing_behind() {
    let world = World::new(Plan::default()).await;
    world.upstream.gate.send_replace(false);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let mut client = world.client();
            tokio::spawn(async move { client.fetch_jwtsvid(fetch(&["a"], "")).await })
        })
        .collect();
    eventually(|| world.jwt.fetches() == 2).await;
    for call in calls {
        call.abort();
    }
    eventually(|| world.jwt.fetches() == 0).await;
    world.upstream.gate.send_replace(true);
    world.client().fetch_jwtsvid(fetch(&["a"], "")).await.unwrap();
    assert_eq!((world.jwt.fetches(), world.jwt.len()), (0, 2));
}

/// The server is slow: whoever asks first waits a while, who asks next does not, and the new token comes once.
#[tokio::test]
async fn a_renewal_goes_on_while_the_kept_token_is_served() {
    let world = World::new(Plan::default()).await;
    let ask = || {
        let mut client = world.client();
        async move {
            let answer = client.fetch_jwtsvid(fetch(&["a"], "spiffe://example.org/myservice")).await;
            answer.unwrap().into_inner().svids.remove(0).svid
        }
    };
    let kept = ask().await;
    world.clock.advance(Duration::from_secs(200));
    world.upstream.gate.send_replace(false);
    let first = tokio::spawn(ask());
    eventually(|| world.jwt.fetches() == 1).await;
    world.clock.wait_for_sleepers(1).await;
    assert!(!first.is_finished());
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(first.await.unwrap(), kept);
    assert_eq!(ask().await, kept);
    assert_eq!((world.jwt.fetches(), world.upstream.tokens.load(Ordering::SeqCst)), (1, 2));
    world.upstream.gate.send_replace(true);
    eventually(|| world.jwt.fetches() == 0).await;
    assert_ne!(ask().await, kept);
    assert_eq!(world.upstream.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_kept_token_and_is_tried_again() {
    let world = World::new(Plan::default()).await;
    let ask = async || world.client().fetch_jwtsvid(fetch(&["a"], "spiffe://example.org/myservice")).await;
    let kept = ask().await.unwrap().into_inner();
    world.clock.advance(Duration::from_secs(200));
    let failure = |code, text: &str| Some(Failure::new(code, text));
    *world.upstream.fault.lock().unwrap() = failure(DomainCode::Unavailable, "not now");
    assert_eq!(ask().await.unwrap().into_inner(), kept);
    *world.upstream.fault.lock().unwrap() = failure(DomainCode::PermissionDenied, "not any more");
    assert!(ask().await.unwrap_err().message().ends_with("not any more"));
    *world.upstream.fault.lock().unwrap() = None;
    assert_ne!(ask().await.unwrap().into_inner(), kept);
    assert_eq!(world.upstream.tokens.load(Ordering::SeqCst), 4);
}

/// Tokens do not wait for certificates.
#[tokio::test]
async fn an_identity_without_x509_svid_still_has_tokens() {
    let world = World::new(Plan { entries: vec![], ..Plan::default() }).await;
    world.set_entries(two_entries());
    let tokens = world.client().fetch_jwtsvid(fetch(&["a"], "")).await.unwrap().into_inner();
    assert_eq!(tokens.svids.len(), 2);
}

#[tokio::test]
async fn claims_come_as_a_struct() {
    let world = World::new(Plan::default()).await;
    let more = serde_json::json!({"aud": "a", "foo": {"a": [1, 1.5, null, true, "x"]}});
    let response = validate(&world, world.own.token("spiffe://example.org/x", &[], more)).await.unwrap();
    assert_eq!(claim_names(&response), ["aud", "exp", "foo", "iat", "sub"]);
    let fields = response.claims.unwrap().fields;
    let Some(Kind::ListValue(audience)) = &fields["aud"].kind else { panic!("a text becomes a list") };
    assert_eq!(audience.values[0].kind, Some(Kind::StringValue("a".to_owned())));
    let Some(Kind::StructValue(foo)) = &fields["foo"].kind else { panic!() };
    let Some(Kind::ListValue(items)) = &foo.fields["a"].kind else { panic!() };
    let kinds: Vec<_> = items.values.iter().map(|item| item.kind.clone().unwrap()).collect();
    let expected = [
        Kind::NumberValue(1.0),
        Kind::NumberValue(1.5),
        Kind::NullValue(0),
        Kind::BoolValue(true),
        Kind::StringValue("x".to_owned()),
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn case_99_of_foreign_claims_only_those_that_are_allowed() {
    let plan = Plan { foreign_claims: ["foo".to_owned()].into(), ..Plan::default() };
    let world = World::new(plan).await;
    let more = serde_json::json!({"foo": 1, "bar": 2});
    let token = world.federated.token("spiffe://example-federated.org/x", &["a"], more.clone());
    assert_eq!(claim_names(&validate(&world, token).await.unwrap()), ["aud", "exp", "foo", "sub"]);
    let token = world.own.token("spiffe://example.org/x", &["a"], more);
    assert_eq!(
        claim_names(&validate(&world, token).await.unwrap()),
        ["aud", "bar", "exp", "foo", "iat", "sub"]
    );
}

/// The agent has the bundle of `other.org`, and the caller does not federate with it.
#[tokio::test]
async fn case_85_a_bundle_that_does_not_concern_the_caller_is_not_used() {
    let refusal = async |plan: Plan, trust_domain: &str| {
        let world = World::new(plan).await;
        let token =
            world.federated.token(&format!("spiffe://{trust_domain}/x"), &["a"], serde_json::json!({}));
        validate(&world, token).await.map(drop).map_err(|status| status.message().to_owned())
    };
    assert_eq!(refusal(Plan::default(), "example-federated.org").await, Ok(()));
    let no_keys = |name: &str| Err(format!("no keys found for trust domain {name:?}"));
    assert_eq!(refusal(Plan::default(), "other.org").await, no_keys("other.org"));
    assert_eq!(refusal(Plan::stranger(), "example-federated.org").await, no_keys("example-federated.org"));
}
