//! Every row that was recorded of a running SPIRE, for a caller with two identities and one without.

use super::world::{Authority, Plan, World, with_header};
use expect_test::{Expect, expect};
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_proto::workload::{
    JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, WitBundlesRequest, WitsvidRequest,
    X509BundlesRequest, X509svidRequest, X509svidResponse,
};
use std::fmt::Write as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb;

type Client = SpiffeWorkloadApiClient<Channel>;

/// Rows in the form of the recording.
struct Rows(String);

impl Rows {
    fn add<T>(&mut self, name: &str, answer: Result<T, Status>) {
        let shown = match &answer {
            Ok(message) => format!("OK {}", std::any::type_name_of_val(message).rsplit("::").next().unwrap()),
            Err(status) => format!("{} | {}", code_name(status.code()), status.message()),
        };
        writeln!(self.0, "{name:<52} {shown}").unwrap();
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Unavailable => "UNAVAILABLE",
        _ => "?",
    }
}

async fn first<T>(stream: Result<Response<Streaming<T>>, Status>) -> Result<T, Status> {
    stream?.into_inner().message().await.map(|message| message.expect("a message"))
}

async fn unary<T>(answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    answer.await.map(Response::into_inner)
}

async fn fetch_with(
    client: &mut Client,
    headers: &[(&'static str, &str)],
) -> Result<X509svidResponse, Status> {
    let mut request = Request::new(X509svidRequest {});
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    first(client.fetch_x509svid(request).await).await
}

async fn headers(client: &mut Client, rows: &mut Rows) {
    const NAME: &str = "workload.spiffe.io";
    rows.add("FetchX509SVID no header", fetch_with(client, &[]).await);
    for value in ["false", "TRUE", "", "true "] {
        rows.add(&format!("FetchX509SVID header {value:?}"), fetch_with(client, &[(NAME, value)]).await);
    }
    rows.add("FetchX509SVID header twice", fetch_with(client, &[(NAME, "true"), (NAME, "true")]).await);
    rows.add("FetchX509SVID header true + other", fetch_with(client, &[(NAME, "true"), ("x", "y")]).await);
    let request = ValidateJwtsvidRequest { audience: "a".to_owned(), svid: "x".to_owned() };
    rows.add("ValidateJWTSVID no header", unary(client.validate_jwtsvid(Request::new(request))).await);
}

async fn tokens(client: &mut Client, rows: &mut Rows) {
    let jwt = |audience: &[&str], id: &str| {
        let audience = audience.iter().map(|name| (*name).to_owned()).collect();
        with_header(JwtsvidRequest { audience, spiffe_id: id.to_owned() })
    };
    for (name, request) in [
        ("ok", jwt(&["a", "b"], "")),
        ("one id", jwt(&["a"], "spiffe://example.org/myservice2")),
        ("no audience", jwt(&[], "")),
        ("audience [\"\"]", jwt(&[""], "")),
        ("audience [\"\",\"a\"]", jwt(&["", "a"], "")),
        ("bad id", jwt(&["a"], "bad")),
        ("upper td", jwt(&["a"], "spiffe://EXAMPLE.org/x")),
        ("unauthorized id", jwt(&["a"], "spiffe://example.org/other")),
        ("foreign td id", jwt(&["a"], "spiffe://other.org/x")),
    ] {
        rows.add(&format!("FetchJWTSVID {name}"), unary(client.fetch_jwtsvid(request)).await);
    }
}

async fn validations(own: &Authority, client: &mut Client, rows: &mut Rows) {
    let token = own.token("spiffe://example.org/myservice", &["a", "b"], serde_json::json!({}));
    let mut tampered = token.clone();
    tampered.replace_range(tampered.len() - 8..tampered.len() - 4, "AAAA");
    for (name, audience, svid) in [
        ("empty audience", "", "x"),
        ("empty svid", "a", ""),
        ("garbage", "a", "garbage"),
        ("ok", "a", &token),
        ("other aud", "zzz", &token),
        ("tampered", "a", &tampered),
    ] {
        let request = ValidateJwtsvidRequest { audience: audience.to_owned(), svid: svid.to_owned() };
        rows.add(
            &format!("ValidateJWTSVID {name}"),
            unary(client.validate_jwtsvid(with_header(request))).await,
        );
    }
}

async fn unknown(world: &World, path: &'static str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(world.channel());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    unary(grpc.unary(with_header(()), http::uri::PathAndQuery::from_static(path), codec)).await
}

async fn services(world: &World) -> [Vec<String>; 2] {
    use pb::{v1, v1alpha};
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(world.channel());
    let answer = client.server_reflection_info(tokio_stream::iter([request])).await;
    let one = match first(answer).await.unwrap().message_response.unwrap() {
        v1::server_reflection_response::MessageResponse::ListServicesResponse(list) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    };
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(world.channel());
    let answer = client.server_reflection_info(tokio_stream::iter([request])).await;
    let two = match first(answer).await.unwrap().message_response.unwrap() {
        v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    };
    [one, two]
}

async fn check(plan: Plan, expected: Expect) {
    let world = World::new(plan).await;
    let (mut client, mut rows) = (world.client(), Rows(String::new()));
    headers(&mut client, &mut rows).await;
    let bundles = client.fetch_x509_bundles(with_header(X509BundlesRequest {})).await;
    rows.add("FetchX509Bundles", first(bundles).await);
    let bundles = client.fetch_jwt_bundles(with_header(JwtBundlesRequest {})).await;
    rows.add("FetchJWTBundles", first(bundles).await);
    tokens(&mut client, &mut rows).await;
    validations(&world.own, &mut client, &mut rows).await;
    let svids = client.fetch_witsvid(with_header(WitsvidRequest { spiffe_id: String::new() })).await;
    rows.add("FetchWITSVID", first(svids).await);
    let bundles = client.fetch_wit_bundles(with_header(WitBundlesRequest {})).await;
    rows.add("FetchWITBundles", first(bundles).await);
    rows.add("Nope", unknown(&world, "/SpiffeWorkloadAPI/Nope").await);
    for mut services in services(&world).await {
        services.sort();
        writeln!(rows.0, "reflection {services:?}").unwrap();
    }
    let mut health = HealthClient::new(world.channel());
    for service in ["", "x"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        rows.add(&format!("health {service}"), unary(health.check(request)).await);
    }
    expected.assert_eq(&rows.0);
}

#[tokio::test]
async fn cases_101_and_143_caller_with_two_identities() {
    check(Plan::default(), expect![[r#"
        FetchX509SVID no header                              INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "false"                         INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "TRUE"                          INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header ""                              INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "true "                         INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header twice                           INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header true + other                    OK X509svidResponse
        ValidateJWTSVID no header                            INVALID_ARGUMENT | security header missing from request
        FetchX509Bundles                                     OK X509BundlesResponse
        FetchJWTBundles                                      OK JwtBundlesResponse
        FetchJWTSVID ok                                      OK JwtsvidResponse
        FetchJWTSVID one id                                  OK JwtsvidResponse
        FetchJWTSVID no audience                             INVALID_ARGUMENT | audience must be specified
        FetchJWTSVID audience [""]                           INVALID_ARGUMENT | audience must be specified
        FetchJWTSVID audience ["","a"]                       OK JwtsvidResponse
        FetchJWTSVID bad id                                  INVALID_ARGUMENT | invalid requested SPIFFE ID: scheme is missing or invalid
        FetchJWTSVID upper td                                INVALID_ARGUMENT | invalid requested SPIFFE ID: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
        FetchJWTSVID unauthorized id                         PERMISSION_DENIED | no identity issued
        FetchJWTSVID foreign td id                           PERMISSION_DENIED | no identity issued
        ValidateJWTSVID empty audience                       INVALID_ARGUMENT | audience must be specified
        ValidateJWTSVID empty svid                           INVALID_ARGUMENT | svid must be specified
        ValidateJWTSVID garbage                              INVALID_ARGUMENT | unable to parse JWT token: go-jose/go-jose: compact JWS format must have three parts
        ValidateJWTSVID ok                                   OK ValidateJwtsvidResponse
        ValidateJWTSVID other aud                            INVALID_ARGUMENT | expected audience in ["zzz"] (audience=["a" "b"])
        ValidateJWTSVID tampered                             INVALID_ARGUMENT | go-jose/go-jose: error in cryptographic primitive
        FetchWITSVID                                         UNIMPLEMENTED | fetching WIT-SVIDs is not implemented
        FetchWITBundles                                      UNIMPLEMENTED | fetching WIT bundles is not implemented
        Nope                                                 UNIMPLEMENTED | unknown method Nope for service SpiffeWorkloadAPI
        reflection ["SpiffeWorkloadAPI", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
        reflection ["SpiffeWorkloadAPI", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
        health                                               OK HealthCheckResponse
        health x                                             INVALID_ARGUMENT | per-service health is not supported
    "#]]).await;
}

#[tokio::test]
async fn cases_101_and_143_caller_without_identity() {
    check(Plan::stranger(), expect![[r#"
        FetchX509SVID no header                              INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "false"                         INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "TRUE"                          INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header ""                              INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header "true "                         INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header twice                           INVALID_ARGUMENT | security header missing from request
        FetchX509SVID header true + other                    PERMISSION_DENIED | no identity issued
        ValidateJWTSVID no header                            INVALID_ARGUMENT | security header missing from request
        FetchX509Bundles                                     PERMISSION_DENIED | no identity issued
        FetchJWTBundles                                      PERMISSION_DENIED | no identity issued
        FetchJWTSVID ok                                      PERMISSION_DENIED | no identity issued
        FetchJWTSVID one id                                  PERMISSION_DENIED | no identity issued
        FetchJWTSVID no audience                             INVALID_ARGUMENT | audience must be specified
        FetchJWTSVID audience [""]                           PERMISSION_DENIED | no identity issued
        FetchJWTSVID audience ["","a"]                       PERMISSION_DENIED | no identity issued
        FetchJWTSVID bad id                                  INVALID_ARGUMENT | invalid requested SPIFFE ID: scheme is missing or invalid
        FetchJWTSVID upper td                                INVALID_ARGUMENT | invalid requested SPIFFE ID: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
        FetchJWTSVID unauthorized id                         PERMISSION_DENIED | no identity issued
        FetchJWTSVID foreign td id                           PERMISSION_DENIED | no identity issued
        ValidateJWTSVID empty audience                       INVALID_ARGUMENT | audience must be specified
        ValidateJWTSVID empty svid                           INVALID_ARGUMENT | svid must be specified
        ValidateJWTSVID garbage                              INVALID_ARGUMENT | unable to parse JWT token: go-jose/go-jose: compact JWS format must have three parts
        ValidateJWTSVID ok                                   OK ValidateJwtsvidResponse
        ValidateJWTSVID other aud                            INVALID_ARGUMENT | expected audience in ["zzz"] (audience=["a" "b"])
        ValidateJWTSVID tampered                             INVALID_ARGUMENT | go-jose/go-jose: error in cryptographic primitive
        FetchWITSVID                                         UNIMPLEMENTED | fetching WIT-SVIDs is not implemented
        FetchWITBundles                                      UNIMPLEMENTED | fetching WIT bundles is not implemented
        Nope                                                 UNIMPLEMENTED | unknown method Nope for service SpiffeWorkloadAPI
        reflection ["SpiffeWorkloadAPI", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
        reflection ["SpiffeWorkloadAPI", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
        health                                               OK HealthCheckResponse
        health x                                             INVALID_ARGUMENT | per-service health is not supported
    "#]]).await;
}
