//! The printers of the server's results against what SPIRE printed.

use super::agent::{Fate, PurgedAgent, print_agent, print_agents, print_purged, purged_json};
use super::authority::{Authorities, AuthorityKind, print_authorities, print_changed, print_upstream};
use super::bundle::{print_bundle, print_bundles};
use super::debug::print_info;
use super::entry::{print_created, print_deleted, print_found, print_updated};
use super::{agent, bundle, entry, federation};
use crate::output::logger::print_logger;
use crate::output::recorded::{message, printed, recorded};
use finial_proto::server::agent::{CountAgentsResponse, ListAgentsResponse};
use finial_proto::server::bundle::{
    BatchDeleteFederatedBundleResponse, CountBundlesResponse, ListFederatedBundlesResponse,
};
use finial_proto::server::debug::GetInfoResponse;
use finial_proto::server::entry::{
    BatchCreateEntryResponse, BatchDeleteEntryResponse, BatchUpdateEntryResponse, CountEntriesResponse,
    ListEntriesResponse, batch_create_entry_response, batch_delete_entry_response,
    batch_update_entry_response,
};
use finial_proto::server::localauthority::{
    AuthorityState, GetJwtAuthorityStateResponse, GetX509AuthorityStateResponse,
};
use finial_proto::server::svid::MintJwtsvidResponse;
use finial_proto::types::federation_relationship::BundleEndpointProfile;
use finial_proto::types::{
    Agent, Bundle, Entry, FederationRelationship, HttpsspiffeProfile, JoinToken, Logger, Selector, Spiffeid,
    Status,
};

fn id(path: &str) -> Option<Spiffeid> {
    Some(Spiffeid { trust_domain: "example.org".into(), path: path.into() })
}

fn status(code: i32, message: &str) -> Option<Status> {
    Some(Status { code, message: message.into() })
}

fn small_entry(entry_id: &str, path: &str, selector: (&str, &str)) -> Entry {
    Entry {
        id: entry_id.into(),
        spiffe_id: id(path),
        parent_id: id("/spire/agent/p"),
        selectors: vec![Selector { r#type: selector.0.into(), value: selector.1.into() }],
        ..Entry::default()
    }
}

#[test]
fn entries_found() {
    for line in [
        "spire-server entry show -federatesWith federated.test",
        "spire-server entry show -entryID e-full",
        "spire-server entry show -parentID spiffe://example.org/none",
    ] {
        let response: ListEntriesResponse = message(&format!("{line} -output json"));
        assert_eq!(printed(|terminal| print_found(&mut terminal.out, &response.entries)), recorded(line));
    }
}

#[test]
fn entry_created() {
    let created: BatchCreateEntryResponse =
        message("spire-server entry create -parentID spiffe://example.org/spire/agent/p -entryID e-full-2");
    let mut entry = created.results[0].entry.clone().unwrap();
    // The same but for its names.
    entry.id = "e-full".into();
    entry.spiffe_id = id("/full");
    let result = batch_create_entry_response::Result { status: status(0, "OK"), entry: Some(entry) };
    let response = BatchCreateEntryResponse { results: vec![result] };
    let expected =
        recorded("spire-server entry create -parentID spiffe://example.org/spire/agent/p -entryID e-full -");
    assert_eq!(printed(|terminal| print_created(terminal, &response)), expected);
}

#[test]
fn entry_refused() {
    let mut entry = small_entry("", "/store2", ("a", "b"));
    entry.selectors.push(Selector { r#type: "c".into(), value: "d".into() });
    entry.store_svid = true;
    let why = "failed to create entry: datastore-validation: invalid registration entry: selector types must be \
               the same when store SVID is enabled";
    let result = batch_create_entry_response::Result { status: status(3, why), entry: Some(entry) };
    let response = BatchCreateEntryResponse { results: vec![result] };
    let line = "spire-server entry create -parentID spiffe://example.org/spire/agent/p -spiffeID \
                spiffe://example.org/store2";
    assert_eq!(printed(|terminal| print_created(terminal, &response)), recorded(line));
}

#[test]
fn entries_partly_created_as_json() {
    let _: BatchCreateEntryResponse = message("spire-server entry create -data - -output json");
}

#[test]
fn entries_partly_updated() {
    let done = Entry { revision_number: 5, ..small_entry("e-full", "/full", ("unix", "uid:1")) };
    let refused = small_entry("nope", "/full", ("unix", "uid:1"));
    let results = [(status(0, "OK"), done), (status(5, "failed to update entry"), refused)];
    let results =
        results.map(|(status, entry)| batch_update_entry_response::Result { status, entry: Some(entry) });
    let response = BatchUpdateEntryResponse { results: results.to_vec() };
    let printed = printed(|terminal| print_updated(terminal, &response));
    assert_eq!(printed, recorded("spire-server entry update -data -"));
}

#[test]
fn entries_deleted() {
    let deleted = |ids: &[(&str, i32)]| {
        let result = |(id, code): &(&str, i32)| batch_delete_entry_response::Result {
            status: status(*code, if *code == 0 { "OK" } else { "entry not found" }),
            id: (*id).into(),
        };
        let response = BatchDeleteEntryResponse { results: ids.iter().map(result).collect() };
        printed(|terminal| print_deleted(terminal, &response))
    };
    assert_eq!(deleted(&[("del1", 0)]), recorded("spire-server entry delete -entryID del1"));
    assert_eq!(deleted(&[("del3", 0), ("nope", 5)]), recorded("spire-server entry delete -file -   <stdin>"));
    assert_eq!(deleted(&[("x", 5)]), recorded("spire-server entry delete -file - -entryID a"));
    let _: BatchDeleteEntryResponse = message("spire-server entry delete -entryID del1 -output json");
}

#[test]
fn counts() {
    let entries: CountEntriesResponse = message("spire-server entry count -output json");
    let agents: CountAgentsResponse = message("spire-server agent count -output json");
    let bundles: CountBundlesResponse = message("spire-server bundle count -output json");
    let printed_entries = printed(|terminal| entry::print_count(&mut terminal.out, entries.count));
    assert_eq!(printed_entries, recorded("spire-server entry count"));
    assert_eq!(
        printed(|terminal| agent::print_count(&mut terminal.out, agents.count)),
        recorded("spire-server agent count")
    );
    assert_eq!(
        printed(|terminal| bundle::print_count(&mut terminal.out, bundles.count)),
        recorded("spire-server bundle count")
    );
}

/// The record is from a machine in UTC; other machines show their own zone.
fn is_machine_in_utc() -> bool {
    crate::output::go_time::local(0) == crate::output::go_time::utc(0)
}

#[test]
fn agents() {
    let listed: ListAgentsResponse = message("spire-server agent list -output json");
    let shown: Agent = message("spire-server agent show -output json");
    if is_machine_in_utc() {
        let printed_list = printed(|terminal| print_agents(&mut terminal.out, &listed.agents));
        assert_eq!(printed_list, recorded("spire-server agent list"));
        // The record of the list has a banned agent; that of a single one is older.
        let line = "spire-server agent show -spiffeID spiffe://example.org/spire/agent/x509pop";
        assert_eq!(printed(|terminal| print_agent(&mut terminal.out, &shown)), recorded(line));
    }
    assert_eq!(printed(|terminal| print_agents(&mut terminal.out, &[])).out, "No attested agents found\n");
}

#[test]
fn agents_purged() {
    let purged = |fate| PurgedAgent {
        agent_id: "spiffe://example.org/spire/agent/x509pop/5a0420fc4ec9554298bc9fcb6e058669bd3422f8".into(),
        fate,
    };
    let pretty = |agents: &[PurgedAgent], dry_run| printed(|t| print_purged(&mut t.out, agents, dry_run));
    let dry = [purged(Fate::Kept)];
    assert_eq!(pretty(&dry, true), recorded("spire-server agent purge -expiredFor 1s -dryRun"));
    let line = "spire-server agent purge -expiredFor 1s -dryRun -output json";
    assert_eq!(purged_json(&dry) + "\n", recorded(line).out);
    let line = "spire-server agent purge -expiredFor 1s -output json";
    assert_eq!(purged_json(&[purged(Fate::Deleted)]) + "\n", recorded(line).out);
    assert_eq!(pretty(&[], false).out, "No agents to purge.\n");
    let refused = purged(Fate::Refused("no".into()));
    assert!(purged_json(std::slice::from_ref(&refused)).ends_with(",\"deleted\":false,\"error\":\"no\"}]}"));
    let id = &refused.agent_id;
    assert_eq!(
        pretty(&[purged(Fate::Deleted), refused.clone()], false).out,
        format!(
            "Found 2 expired agents\n\nAgents purged:\nSPIFFE ID         : {id}\nAgents not purged:\n\
             SPIFFE ID         : {id}\nError             : no\n"
        )
    );
}

#[test]
fn bundles() {
    let own: Bundle = message("spire-server bundle show -output json");
    let show = |format| printed(|terminal| print_bundle(&mut terminal.out, &own, format));
    assert_eq!(show("pem"), recorded("spire-server bundle show"));
    assert_eq!(show("SPIFFE"), recorded("spire-server bundle show -format spiffe"));
    assert_eq!(show("bogus").err, "Error: invalid format: \"bogus\"\n");
    let none = Bundle { trust_domain: "none.test".to_owned(), ..Bundle::default() };
    let shown = printed(|terminal| print_bundle(&mut terminal.out, &none, "spiffe"));
    assert_eq!(shown.out, "{\n    \"keys\": null\n}\n");

    let one: Bundle = message("spire-server bundle list -id spiffe://federated.test -output json");
    assert_eq!(
        printed(|terminal| print_bundle(&mut terminal.out, &one, "")),
        recorded("spire-server bundle list -id spiffe://federated.test")
    );
    let all: ListFederatedBundlesResponse = message("spire-server bundle list -output json");
    let list = |format| printed(|terminal| print_bundles(&mut terminal.out, &all.bundles, format));
    assert_eq!(list("pem"), recorded("spire-server bundle list"));
    assert_eq!(list("spiffe"), recorded("spire-server bundle list -format spiffe"));
}

#[test]
fn bundle_not_deleted() {
    let line = "spire-server bundle delete -id spiffe://federated.test -mode restrict";
    let response: BatchDeleteFederatedBundleResponse = message(&format!("{line} -output json"));
    assert_eq!(printed(|terminal| bundle::print_deleted(&mut terminal.out, &response)), recorded(line));
}

#[test]
fn info_and_levels() {
    let info: GetInfoResponse = message("spire-server debug getinfo -output json");
    let printed_info = printed(|terminal| print_info(&mut terminal.out, &info));
    assert_eq!(printed_info, recorded("spire-server debug getinfo"));
    let logger: Logger = message("spire-server logger get -output json");
    let printed_levels = printed(|terminal| print_logger(&mut terminal.out, &logger));
    assert_eq!(printed_levels, recorded("spire-server logger get"));
}

#[test]
fn authorities() {
    let x509: GetX509AuthorityStateResponse = message("spire-server localauthority x509 show -output json");
    let jwt: GetJwtAuthorityStateResponse = message("spire-server localauthority jwt show -output json");
    let of_x509 = Authorities {
        active: x509.active.as_ref(),
        prepared: x509.prepared.as_ref(),
        old: x509.old.as_ref(),
    };
    let of_jwt =
        Authorities { active: jwt.active.as_ref(), prepared: jwt.prepared.as_ref(), old: jwt.old.as_ref() };
    let show = |kind, authorities| printed(|t| print_authorities(&mut t.out, kind, authorities)).out;
    let shown = show(AuthorityKind::X509, of_x509);
    assert!(shown.starts_with("Active X.509 authority:\n  Authority ID: "), "{shown}");
    assert!(shown.ends_with("\n\nOld X.509 authority:\n  No old X.509 authority found\n"), "{shown}");
    assert!(show(AuthorityKind::Jwt, of_jwt).contains("\n\nPrepared JWT authority:\n  Authority ID: "));
}

#[test]
fn authority_changed() {
    let state = AuthorityState {
        authority_id: "a".into(),
        expires_at: 1_795_466_900,
        upstream_authority_subject_key_id: "up".into(),
    };
    let out = printed(|t| print_changed(&mut t.out, AuthorityKind::X509, "tainted", Some(&state))).out;
    assert_eq!(
        out,
        "Tainted X.509 authority:\n  Authority ID: a\n  Expires at: 2026-11-23 20:48:20 +0000 UTC\n  \
         Upstream authority Subject Key ID: up\n"
    );
    assert_eq!(
        printed(|t| print_changed(&mut t.out, AuthorityKind::Jwt, "revoked", None)).err,
        "Error: internal error: expected to have revoked JWT authority information\n"
    );
    assert_eq!(
        printed(|t| print_upstream(&mut t.out, "revoked", "x")).out,
        "Revoked X.509 upstream authority:\n  Subject Key ID: x\n"
    );
}

#[test]
fn tokens_as_json() {
    let token: JoinToken = message("spire-server token generate -output json");
    let pretty = printed(|t| agent::print_token(&mut t.out, &token, false)).out;
    assert_eq!(pretty, format!("Token: {}\nWarning: Missing SPIFFE ID.\n", token.value));
    let _: MintJwtsvidResponse = message("spire-server jwt mint");
}

#[test]
fn federation_relationships() {
    let profile = BundleEndpointProfile::HttpsSpiffe(HttpsspiffeProfile {
        endpoint_spiffe_id: "spiffe://f.test/e".into(),
    });
    let relationship = FederationRelationship {
        trust_domain: "f.test".into(),
        bundle_endpoint_url: "https://x.y/z".into(),
        bundle_endpoint_profile: Some(profile),
        trust_domain_bundle: None,
    };
    let block = "Trust domain              : f.test\nBundle endpoint URL       : https://x.y/z\n\
                 Bundle endpoint profile   : https_spiffe\nEndpoint SPIFFE ID        : spiffe://f.test/e\n";
    let list = std::slice::from_ref(&relationship);
    assert_eq!(
        printed(|t| federation::print_list(&mut t.out, list)).out,
        format!("Found 1 federation relationship\n\n{block}")
    );
    let refused = Status { code: 6, message: "there".into() };
    let results = [(Some(&refused), None)];
    let got = printed(|t| federation::print_batch(t, "create", list, results.into_iter()));
    assert_eq!(got.out, "\n");
    assert_eq!(
        got.err,
        format!(
            "Failed to create the following federation relationship (code: AlreadyExists, msg: \"there\"):\n{block}\
             Error: failed to create one or more federation relationships\n"
        )
    );
}
