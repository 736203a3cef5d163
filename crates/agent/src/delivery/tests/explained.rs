//! A refusal says why, in a detail that clients may overlook.

use super::world::{Plan, World, two_entries, with_header};
use finial_proto::rpc;
use finial_proto::workload::{JwtsvidRequest, X509svidRequest};
use prost::Message;
use tonic::Status;

fn info(refused: &Status) -> (rpc::Status, rpc::ErrorInfo) {
    let status = rpc::Status::decode(refused.details()).unwrap();
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = rpc::ErrorInfo::decode(&*status.details[0].value).unwrap();
    (status, info)
}

#[tokio::test]
async fn no_entry_matches() {
    for (entries, reason) in [(two_entries(), "NO_MATCHING_ENTRY"), (vec![], "NO_ENTRIES")] {
        let world = World::new(Plan { entries, ..Plan::stranger() }).await;
        let refused = world.client().fetch_x509svid(with_header(X509svidRequest {})).await.unwrap_err();
        let (status, info) = info(&refused);
        assert_eq!((status.code, status.message.as_str()), (7, "no identity issued"));
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "finial"));
        assert_eq!(info.metadata["sync_age_seconds"], "0");
    }
}

#[tokio::test]
async fn not_the_identity_that_was_asked_for() {
    let world = World::new(Plan::default()).await;
    let request =
        JwtsvidRequest { audience: vec!["a".to_owned()], spiffe_id: "spiffe://example.org/x".to_owned() };
    let refused = world.client().fetch_jwtsvid(with_header(request)).await.unwrap_err();
    assert_eq!(info(&refused).1.reason, "ID_NOT_GRANTED");
}
