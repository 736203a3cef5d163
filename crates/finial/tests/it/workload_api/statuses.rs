//! What a caller is answered, against the recording of a real agent.

use super::{ID, probe_command, with_two_identities};
use anyhow::Result;
use finial_proto::workload as api;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_testkit::{Outcome, Workload, is_root, skip, workload_channel};
use std::path::Path;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// What the recording of a real agent says.
const RECORDED: &str = include_str!("../../../../../tests/fixtures/workload-api-statuses.txt");

/// The lines of one caller in the recording.
fn recorded(caller: &str) -> Vec<String> {
    let sections = RECORDED.split("# ").find(|section| section.starts_with(caller));
    let lines = sections.unwrap_or_default().lines().skip(1).filter(|line| !line.is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_identities_gets_the_recorded_statuses() -> Result<()> {
    let (deployment, _agent) = with_two_identities().await?;
    let seen = statuses(&deployment.agent_socket("a")).await?;
    assert_eq!(seen.join("\n"), recorded("caller with two identities").join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_under_another_uid_gets_the_recorded_statuses() -> Result<()> {
    let test = "workload_api::statuses::a_caller_under_another_uid_gets_the_recorded_statuses";
    if !is_root() {
        skip(test, "only root can be somebody else");
        return Ok(());
    }
    let (deployment, _agent) = with_two_identities().await?;
    let mut stranger =
        probe_command(&deployment, &format!("statuses {}", deployment.agent_socket("a").display()))?;
    let printed = Outcome::of(stranger.uid(4242).gid(4242)).await?.ok()?;
    let seen: Vec<&str> = printed.lines().filter_map(|line| Some(line.split_once("PROBE ")?.1)).collect();
    assert_eq!(seen.join("\n"), recorded("caller without identity").join("\n"));
    Ok(())
}

/// Calls everything once, and gives a line for each: its name, the status, the message.
pub(super) async fn statuses(socket: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let channel = || workload_channel(socket);
    let mut note = |name: &str, outcome: Result<(), Status>| {
        let outcome = match outcome {
            Ok(()) => "OK".to_owned(),
            Err(status) => format!("{} | {}", upper_snake(status.code()), status.message()),
        };
        lines.push(format!("{name} {outcome}"));
    };
    let headers: [(&str, &[&str]); 5] = [
        ("FetchX509SVID no header", &[]),
        ("FetchX509SVID header false", &["false"]),
        ("FetchX509SVID header TRUE", &["TRUE"]),
        ("FetchX509SVID header twice", &["true", "true"]),
        ("FetchX509SVID header true + other", &["true", "+other"]),
    ];
    for (name, values) in headers {
        let mut request = Request::new(api::X509svidRequest {});
        set_headers(request.metadata_mut(), values)?;
        note(name, first(SpiffeWorkloadApiClient::new(channel()).fetch_x509svid(request).await).await);
    }
    let mut bare = SpiffeWorkloadApiClient::new(channel());
    let validation = api::ValidateJwtsvidRequest { audience: "a".to_owned(), svid: "x".to_owned() };
    note("ValidateJWTSVID no header", bare.validate_jwtsvid(validation).await.map(drop));

    let workload = Workload::of(socket);
    let mut client = workload.connect();
    note("FetchX509Bundles", first(client.fetch_x509_bundles(api::X509BundlesRequest {}).await).await);
    note("FetchJWTBundles", first(client.fetch_jwt_bundles(api::JwtBundlesRequest {}).await).await);
    note("FetchX509SVID", first(client.fetch_x509svid(api::X509svidRequest {}).await).await);
    let wanted: [(&str, &[&str], &str); 8] = [
        ("ok", &["a", "b"], ""),
        ("no audience", &[], ""),
        (r#"audience ["","a"]"#, &["", "a"], ""),
        ("bad id", &["a"], "bad"),
        ("upper td", &["a"], "spiffe://EXAMPLE.org/x"),
        ("unauthorized id", &["a"], "spiffe://example.org/nope"),
        ("foreign td id", &["a"], "spiffe://other.org/x"),
        ("own id", &["a"], ID),
    ];
    let mut token = String::new();
    for (name, audience, id) in wanted {
        let audience = audience.iter().map(|&audience| audience.to_owned()).collect();
        let request = api::JwtsvidRequest { audience, spiffe_id: id.to_owned() };
        let answer = client.fetch_jwtsvid(request).await.map(Response::into_inner);
        if let (Ok(answer), "ok") = (&answer, name) {
            token = answer.svids.first().map(|svid| svid.svid.clone()).unwrap_or_default();
        }
        note(&format!("FetchJWTSVID {name}"), answer.map(drop));
    }
    let mut validations = vec![
        ("empty audience", "", "x".to_owned()),
        ("empty svid", "a", String::new()),
        ("garbage", "a", "garbage".to_owned()),
    ];
    if !token.is_empty() {
        validations.push(("ok", "a", token.clone()));
        validations.push(("other aud", "zzz", token.clone()));
        validations.push(("tampered", "a", tampered(&token)));
    }
    for (name, audience, svid) in validations {
        let request = api::ValidateJwtsvidRequest { audience: audience.to_owned(), svid };
        let answer = client.validate_jwtsvid(request).await;
        note(&format!("ValidateJWTSVID {name}"), answer.map(drop));
    }
    let wit = api::WitsvidRequest { spiffe_id: String::new() };
    note("FetchWITSVID", first(client.fetch_witsvid(wit).await).await);
    note("FetchWITBundles", first(client.fetch_wit_bundles(api::WitBundlesRequest {}).await).await);
    note("Nope", unknown_method(channel()).await);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel());
    for (name, service) in [("health", ""), ("health svc x", "x")] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        note(name, health.check(request).await.map(drop));
    }
    Ok(lines)
}

/// The outcome of a stream's first message.
async fn first<T>(answer: Result<Response<tonic::Streaming<T>>, Status>) -> Result<(), Status> {
    let message = answer?.into_inner().message().await?;
    message.map(drop).ok_or_else(|| Status::unknown("no message"))
}

fn set_headers(metadata: &mut MetadataMap, values: &[&str]) -> Result<()> {
    for value in values {
        match value.strip_prefix('+') {
            Some(name) => _ = metadata.append("other", name.parse()?),
            None => _ = metadata.append("workload.spiffe.io", value.parse()?),
        }
    }
    Ok(())
}

async fn unknown_method(channel: Channel) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(api::X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
    let codec: tonic_prost::ProstCodec<_, api::X509svidResponse> = tonic_prost::ProstCodec::default();
    let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/Nope");
    grpc.unary(request, path, codec).await.map(|_| ())
}

/// The token with another signature.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{other}{}", signature.get(1..).unwrap_or_default())
}

/// `InvalidArgument` as `INVALID_ARGUMENT`.
fn upper_snake(code: tonic::Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}
