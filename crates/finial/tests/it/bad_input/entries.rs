//! Entries and bundles (cases 40, 61 to 65, 148).

use super::{expect, item_verdict, verdict};
use crate::{SERVER, serving};
use anyhow::Result;
use finial_proto::server::agent::ListAgentsRequest;
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::bundle::{
    BatchCreateFederatedBundleRequest, BatchDeleteFederatedBundleRequest, BatchSetFederatedBundleRequest,
    BatchUpdateFederatedBundleRequest, GetFederatedBundleRequest, ListFederatedBundlesRequest,
};
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::server::entry::{
    BatchCreateEntryRequest, BatchDeleteEntryRequest, BatchUpdateEntryRequest, GetEntryRequest,
    ListEntriesRequest,
};
use finial_proto::types;
use finial_testkit::{Deployment, entry};

async fn create(deployment: &Deployment, entry: types::Entry) -> String {
    let request = BatchCreateEntryRequest { entries: vec![entry], output_mask: None };
    match EntryClient::new(deployment.server_channel()).batch_create_entry(request).await {
        Ok(answer) => item_verdict(answer.into_inner().results.first().and_then(|one| one.status.as_ref())),
        Err(status) => verdict::<()>(Err(status)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_52_to_63_creation() -> Result<()> {
    let deployment = serving("", "").await?;
    let good = entry(SERVER, "spiffe://example.org/a", &["unix:uid:1", "unix:gid:1"])?;
    let hint = |hint: &str| types::Entry { hint: hint.into(), ..good.clone() };
    let named = |id: &str| types::Entry { id: id.into(), ..good.clone() };
    let stored =
        "InvalidArgument: failed to create entry: datastore-validation: invalid registration entry: ";
    for (case, entry, wanted) in [
        (
            52,
            types::Entry { selectors: vec![], ..good.clone() },
            "InvalidArgument: failed to convert entry: selector list is empty".to_owned(),
        ),
        (59, types::Entry { x509_svid_ttl: -1, ..good.clone() }, format!("{stored}X509SvidTtl is not set")),
        (
            60,
            hint(&"x".repeat(1025)),
            "InvalidArgument: failed to convert entry: hint is too long, max length is 1024 characters"
                .to_owned(),
        ),
        (61, named("a/b"), format!("{stored}entry ID contains invalid characters")),
        (61, named(&"x".repeat(256)), format!("{stored}entry ID too long")),
        (
            62,
            types::Entry { federates_with: vec!["unknown.test".into()], ..good.clone() },
            r#"Internal: failed to create entry: unable to find federated bundle "spiffe://unknown.test""#
                .to_owned(),
        ),
        (63, good.clone(), "ok".to_owned()),
        (63, good.clone(), "AlreadyExists: similar entry already exists".to_owned()),
        (
            63,
            types::Entry { x509_svid_ttl: 7, ..hint("other") },
            "AlreadyExists: similar entry already exists".to_owned(),
        ),
        (
            63,
            types::Entry { selectors: good.selectors.iter().rev().cloned().collect(), ..good.clone() },
            "AlreadyExists: similar entry already exists".to_owned(),
        ),
    ] {
        expect(case, &create(&deployment, entry).await, &wanted);
    }
    assert_eq!(deployment.entries().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn case_65_entries_that_are_not_there() -> Result<()> {
    let deployment = serving("", "").await?;
    let mut client = EntryClient::new(deployment.server_channel());
    let unknown = types::Entry { id: "unknown".into(), ..entry(SERVER, "spiffe://example.org/a", &["a:b"])? };
    let update = BatchUpdateEntryRequest { entries: vec![unknown], ..Default::default() };
    let updated = client.batch_update_entry(update).await?.into_inner().results;
    expect("65 update", &item_verdict(updated[0].status.as_ref()), "NotFound: failed to update entry…");
    let delete = BatchDeleteEntryRequest { ids: vec!["unknown".into(), String::new()] };
    let deleted = client.batch_delete_entry(delete).await?.into_inner().results;
    expect("65 delete", &item_verdict(deleted[0].status.as_ref()), "NotFound: entry not found");
    expect("65 delete", &item_verdict(deleted[1].status.as_ref()), "InvalidArgument: missing entry ID");
    let get = GetEntryRequest { id: "unknown".into(), output_mask: None };
    expect("65 show", &verdict(client.get_entry(get).await), "NotFound: entry not found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn case_40_our_own_bundle_is_not_a_federated_one() -> Result<()> {
    let deployment = serving("", "").await?;
    let mut client = BundleClient::new(deployment.server_channel());
    let bundle = || vec![types::Bundle { trust_domain: "example.org".into(), ..Default::default() }];
    let own = |doing: &str| {
        format!(
            "InvalidArgument: {doing} a federated bundle for the server's own trust domain is not allowed"
        )
    };
    let create = BatchCreateFederatedBundleRequest { bundle: bundle(), output_mask: None };
    let created = client.batch_create_federated_bundle(create).await?.into_inner().results;
    expect(40, &item_verdict(created[0].status.as_ref()), &own("creating"));
    let update = BatchUpdateFederatedBundleRequest { bundle: bundle(), input_mask: None, output_mask: None };
    let updated = client.batch_update_federated_bundle(update).await?.into_inner().results;
    expect(40, &item_verdict(updated[0].status.as_ref()), &own("updating"));
    let set = BatchSetFederatedBundleRequest { bundle: bundle(), output_mask: None };
    let set = client.batch_set_federated_bundle(set).await?.into_inner().results;
    expect(40, &item_verdict(set[0].status.as_ref()), &own("setting"));
    let delete = BatchDeleteFederatedBundleRequest { trust_domains: vec!["example.org".into()], mode: 0 };
    let deleted = client.batch_delete_federated_bundle(delete).await?.into_inner().results;
    let refused = "InvalidArgument: removing the bundle for the server trust domain is not allowed";
    expect(40, &item_verdict(deleted[0].status.as_ref()), refused);
    let get = GetFederatedBundleRequest { trust_domain: "example.org".into(), output_mask: None };
    expect(40, &verdict(client.get_federated_bundle(get).await), &own("getting"));
    Ok(())
}

/// SPIRE answers `Internal` to the token; the fault is the caller's.
#[tokio::test(flavor = "multi_thread")]
async fn case_148_page_tokens() -> Result<()> {
    let deployment = serving("", "").await?;
    let channel = deployment.server_channel();
    for garbage in ["x", "-", "1 ", "0x1", "99999999999999999999", "\u{0}"] {
        let refused =
            |what: &str| format!("InvalidArgument: failed to list {what}: could not parse token '{garbage}'");
        let (page_size, page_token) = (1, garbage.to_owned());
        let entries = ListEntriesRequest { page_size, page_token: page_token.clone(), ..Default::default() };
        let answer = EntryClient::new(channel.clone()).list_entries(entries).await;
        expect(148, &verdict(answer), &refused("entries"));
        let agents = ListAgentsRequest { page_size, page_token: page_token.clone(), ..Default::default() };
        let answer = AgentClient::new(channel.clone()).list_agents(agents).await;
        expect(148, &verdict(answer), &refused("agents"));
        let bundles = ListFederatedBundlesRequest { page_size, page_token, ..Default::default() };
        let answer = BundleClient::new(channel.clone()).list_federated_bundles(bundles).await;
        expect(148, &verdict(answer), &refused("bundles"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_147_and_148_a_batch_of_a_hundred_thousand() -> Result<()> {
    const COUNT: usize = 100_000;
    let mut deployment = serving("", "").await?;
    let mut client = EntryClient::new(deployment.server_channel()).max_decoding_message_size(usize::MAX);
    let request =
        BatchCreateEntryRequest { entries: vec![types::Entry::default(); COUNT], output_mask: None };
    let results = client.batch_create_entry(request).await?.into_inner().results;
    assert_eq!(results.len(), COUNT);
    for result in &results {
        let wanted =
            "InvalidArgument: failed to convert entry: invalid parent ID: request must specify SPIFFE ID";
        expect(148, &item_verdict(result.status.as_ref()), wanted);
    }
    let good = entry(SERVER, "spiffe://example.org/a", &["a:b"])?;
    let request = BatchCreateEntryRequest { entries: vec![good; COUNT], output_mask: None };
    expect(
        147,
        &verdict(client.batch_create_entry(request).await),
        "ResourceExhausted: grpc: received message larger than max (…",
    );
    assert!(deployment.server()?.is_running());
    assert!(deployment.entries().await?.is_empty());
    Ok(())
}
