//! The contracts against what is published: names, numbers, types, paths, bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::{agent, common, journal, rpc, server, types, workload};

const STORED: &[u8] = descriptors!("stored");
const JOURNAL: &[u8] = descriptors!("journal");
const RPC: &[u8] = descriptors!("rpc");

fn decode(set: &[u8]) -> FileDescriptorSet {
    FileDescriptorSet::decode(set).expect("the build wrote it")
}

/// Full message name → "number type" by field name.
fn fields(set: &[u8]) -> BTreeMap<String, BTreeMap<String, String>> {
    fn collect(prefix: &str, message: &DescriptorProto, to: &mut BTreeMap<String, BTreeMap<String, String>>) {
        let name = format!("{prefix}{}", message.name());
        for nested in &message.nested_type {
            collect(&format!("{name}."), nested, to);
        }
        to.insert(name, message.field.iter().map(|f| (f.name().to_owned(), describe(f))).collect());
    }
    let mut to = BTreeMap::new();
    for file in decode(set).file {
        let prefix = if file.package().is_empty() { String::new() } else { format!("{}.", file.package()) };
        for message in &file.message_type {
            collect(&prefix, message, &mut to);
        }
    }
    to
}

fn describe(field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
    format!("{} {repeated}{kind}", field.number())
}

/// Full service name → "Method" or "Method stream>" or "Method >stream" or "Method stream>stream".
fn methods(set: &[u8]) -> Vec<(String, Vec<String>)> {
    let mut services = Vec::new();
    for file in decode(set).file {
        for service in &file.service {
            let name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            let methods = service.method.iter().map(|method| {
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "",
                    (false, true) => " >stream",
                    (true, false) => " stream>",
                    (true, true) => " stream>stream",
                };
                format!("{}{kind}", method.name())
            });
            services.push((name, methods.collect()));
        }
    }
    services.sort();
    services
}

#[test]
fn fields_are_as_published() {
    #[rustfmt::skip]
    let published = [
        (server::FILE_DESCRIPTOR_SET, &[
            ("spire.api.types.Agent", "x509svid_serial_number", "3 string"),
            ("spire.api.types.Agent", "x509svid_expires_at", "4 int64"),
            ("spire.api.types.Agent", "agent_version", "8 string"),
            ("spire.api.types.AgentMask", "attestation_type", "2 bool"),
            ("spire.api.types.AgentMask", "agent_version", "8 bool"),
            ("spire.api.types.AttestationData", "payload", "2 bytes"),
            ("spire.api.types.Bundle", "x509_authorities", "2 repeated spire.api.types.X509Certificate"),
            ("spire.api.types.Bundle", "sequence_number", "5 uint64"),
            ("spire.api.types.Bundle", "wit_authorities", "6 repeated spire.api.types.WITKey"),
            ("spire.api.types.BundleMask", "x509_authorities", "2 bool"),
            ("spire.api.types.Entry", "x509_svid_ttl", "5 int32"),
            ("spire.api.types.Entry", "revision_number", "11 int64"),
            ("spire.api.types.Entry", "jwt_svid_ttl", "13 int32"),
            ("spire.api.types.Entry", "created_at", "15 int64"),
            ("spire.api.types.Entry", "additional_attributes", "16 spire.api.types.Entry.AdditionalAttributes"),
            ("spire.api.types.Entry.AdditionalAttributes", "jwt_svid_include_jti", "2 bool"),
            ("spire.api.types.EntryMask", "additional_attributes", "16 bool"),
            ("spire.api.types.FederationRelationship", "https_spiffe", "4 spire.api.types.HTTPSSPIFFEProfile"),
            ("spire.api.types.FederatesWithMatch", "match", "2 spire.api.types.FederatesWithMatch.MatchBehavior"),
            ("spire.api.types.JWTKey", "tainted", "4 bool"),
            ("spire.api.types.JWTSVID", "issued_at", "4 int64"),
            ("spire.api.types.PermissionDeniedDetails", "reason", "1 spire.api.types.PermissionDeniedDetails.Reason"),
            ("spire.api.types.SPIFFEID", "path", "2 string"),
            ("spire.api.types.Status", "code", "1 int32"),
            ("spire.api.types.X509SVID", "cert_chain", "1 repeated bytes"),
            ("spire.api.server.agent.v1.AgentX509SVIDParams", "csr", "1 bytes"),
            ("spire.api.server.agent.v1.AttestAgentRequest", "challenge_response", "2 bytes"),
            ("spire.api.server.agent.v1.AttestAgentResponse.Result", "reattestable", "2 bool"),
            ("spire.api.server.agent.v1.ListAgentsRequest.Filter", "by_banned", "3 google.protobuf.BoolValue"),
            ("spire.api.server.agent.v1.PostStatusRequest", "current_bundle_serial", "1 uint64"),
            ("spire.api.server.bundle.v1.AppendBundleRequest", "output_mask", "3 spire.api.types.BundleMask"),
            ("spire.api.server.bundle.v1.AppendBundleRequest", "wit_authorities", "4 repeated spire.api.types.WITKey"),
            ("spire.api.server.bundle.v1.BatchDeleteFederatedBundleRequest", "mode",
                "2 spire.api.server.bundle.v1.BatchDeleteFederatedBundleRequest.Mode"),
            ("spire.api.server.debug.v1.GetInfoResponse", "entries_count", "5 int32"),
            ("spire.api.server.entry.v1.ListEntriesRequest.Filter", "by_hint", "5 google.protobuf.StringValue"),
            ("spire.api.server.entry.v1.SyncAuthorizedEntriesRequest", "ids", "2 repeated string"),
            ("spire.api.server.entry.v1.SyncAuthorizedEntriesResponse", "more", "3 bool"),
            ("spire.api.server.entry.v1.EntryRevision", "created_at", "3 int64"),
            ("spire.api.server.localauthority.v1.AuthorityState", "upstream_authority_subject_key_id", "3 string"),
            ("spire.api.server.logger.v1.SetLogLevelRequest", "new_level", "1 spire.api.types.LogLevel"),
            ("spire.api.server.svid.v1.NewX509SVIDParams", "csr", "2 bytes"),
            ("spire.api.server.svid.v1.MintJWTSVIDRequest", "audience", "2 repeated string"),
            ("spire.api.server.svid.v1.NewDownstreamX509CAResponse", "x509_authorities", "2 repeated bytes"),
            ("spire.api.server.trustdomain.v1.BatchDeleteFederationRelationshipResponse.Result", "trust_domain",
                "2 string"),
        ] as &[_]),
        (agent::FILE_DESCRIPTOR_SET, &[
            ("spire.agent.debug.v1.GetInfoResponse", "last_sync_success", "4 int64"),
            ("spire.agent.debug.v1.GetInfoResponse", "cached_svidstore_x509_svids_count", "7 int32"),
            ("spire.api.agent.delegatedidentity.v1.X509SVIDWithKey", "x509_svid_key", "2 bytes"),
            ("spire.api.agent.delegatedidentity.v1.FetchJWTSVIDsRequest", "pid", "3 int32"),
            ("spire.api.agent.delegatedidentity.v1.SubscribeToX509BundlesResponse.CaCertificatesEntry", "value",
                "2 bytes"),
        ]),
        (workload::FILE_DESCRIPTOR_SET, &[
            ("X509SVIDResponse", "federated_bundles", "3 repeated X509SVIDResponse.FederatedBundlesEntry"),
            ("X509SVID", "x509_svid", "2 bytes"),
            ("X509SVID", "x509_svid_key", "3 bytes"),
            ("X509SVID", "bundle", "4 bytes"),
            ("X509SVID", "hint", "5 string"),
            ("X509BundlesResponse", "crl", "1 repeated bytes"),
            ("X509BundlesResponse", "bundles", "2 repeated X509BundlesResponse.BundlesEntry"),
            ("JWTSVIDRequest", "spiffe_id", "2 string"),
            ("JWTBundlesResponse.BundlesEntry", "value", "2 bytes"),
            ("WITBundlesResponse.BundlesEntry", "value", "2 string"),
            ("ValidateJWTSVIDResponse", "claims", "2 google.protobuf.Struct"),
            ("WITSVID", "wit_svid_key", "3 string"),
        ]),
        (STORED, &[
            ("spire.common.Bundle", "trust_domain_id", "1 string"),
            ("spire.common.Bundle", "wit_signing_keys", "6 repeated spire.common.PublicKey"),
            ("spire.common.Certificate", "tainted_key", "2 bool"),
            ("spire.common.PublicKey", "not_after", "3 int64"),
            ("spire.common.RegistrationEntry", "spiffe_id", "3 string"),
            ("spire.common.RegistrationEntry", "entryExpiry", "9 int64"),
            ("spire.common.RegistrationEntry", "additional_attributes",
                "16 spire.common.RegistrationEntry.AdditionalAttributes"),
            ("spire.common.Selectors", "entries", "1 repeated spire.common.Selector"),
        ]),
        (JOURNAL, &[
            ("Entries", "x509CAs", "1 repeated X509CAEntry"),
            ("Entries", "jwtKeys", "2 repeated JWTKeyEntry"),
            ("Entries", "witKeys", "3 repeated WITKeyEntry"),
            ("X509CAEntry", "upstream_chain", "4 repeated bytes"),
            ("X509CAEntry", "upstream_authority_id", "8 string"),
            ("JWTKeyEntry", "status", "6 Status"),
            ("WITKeyEntry", "authority_id", "7 string"),
        ]),
        (RPC, &[
            ("google.rpc.Status", "details", "3 repeated google.protobuf.Any"),
            ("google.rpc.ErrorInfo.MetadataEntry", "value", "2 string"),
        ]),
    ];
    for (set, rows) in published {
        let ours = fields(set);
        for (message, field, expected) in rows {
            let found = ours.get(*message).and_then(|fields| fields.get(*field));
            assert_eq!(found.map(String::as_str), Some(*expected), "{message}.{field}");
        }
    }
}

#[test]
fn server_methods_are_as_published() {
    check_methods(
        server::FILE_DESCRIPTOR_SET,
        &[
            (
                "spire.api.server.agent.v1.Agent",
                "CountAgents, ListAgents, GetAgent, DeleteAgent, BanAgent, AttestAgent stream>stream, \
                 RenewAgent, CreateJoinToken, PostStatus",
            ),
            (
                "spire.api.server.bundle.v1.Bundle",
                "CountBundles, GetBundle, AppendBundle, PublishJWTAuthority, PublishWITAuthority, \
                 ListFederatedBundles, GetFederatedBundle, BatchCreateFederatedBundle, \
                 BatchUpdateFederatedBundle, BatchSetFederatedBundle, BatchDeleteFederatedBundle",
            ),
            ("spire.api.server.debug.v1.Debug", "GetInfo"),
            (
                "spire.api.server.entry.v1.Entry",
                "CountEntries, ListEntries, GetEntry, BatchCreateEntry, BatchUpdateEntry, BatchDeleteEntry, \
                 GetAuthorizedEntries, SyncAuthorizedEntries stream>stream",
            ),
            (
                "spire.api.server.localauthority.v1.LocalAuthority",
                "GetJWTAuthorityState, PrepareJWTAuthority, ActivateJWTAuthority, TaintJWTAuthority, \
                 RevokeJWTAuthority, GetX509AuthorityState, PrepareX509Authority, ActivateX509Authority, \
                 TaintX509Authority, TaintX509UpstreamAuthority, RevokeX509Authority, \
                 RevokeX509UpstreamAuthority, GetWITAuthorityState, PrepareWITAuthority, \
                 ActivateWITAuthority, TaintWITAuthority, RevokeWITAuthority",
            ),
            ("spire.api.server.logger.v1.Logger", "GetLogger, SetLogLevel, ResetLogLevel"),
            (
                "spire.api.server.svid.v1.SVID",
                "MintX509SVID, MintJWTSVID, MintWITSVID, BatchNewX509SVID, NewJWTSVID, BatchNewWITSVID, \
                 NewDownstreamX509CA",
            ),
            (
                "spire.api.server.trustdomain.v1.TrustDomain",
                "ListFederationRelationships, GetFederationRelationship, BatchCreateFederationRelationship, \
                 BatchUpdateFederationRelationship, BatchDeleteFederationRelationship, RefreshBundle",
            ),
        ],
    );
    let count: usize = methods(server::FILE_DESCRIPTOR_SET).iter().map(|(_, methods)| methods.len()).sum();
    assert_eq!(count, 62);
}

#[test]
fn agent_methods_are_as_published() {
    check_methods(
        agent::FILE_DESCRIPTOR_SET,
        &[
            ("spire.agent.debug.v1.Debug", "GetInfo"),
            (
                "spire.api.agent.delegatedidentity.v1.DelegatedIdentity",
                "SubscribeToX509SVIDs >stream, SubscribeToX509Bundles >stream, FetchJWTSVIDs, \
                 SubscribeToJWTBundles >stream",
            ),
            ("spire.api.agent.logger.v1.Logger", "GetLogger, SetLogLevel, ResetLogLevel"),
        ],
    );
}

#[test]
fn workload_methods_are_as_published() {
    check_methods(
        workload::FILE_DESCRIPTOR_SET,
        &[(
            "SpiffeWorkloadAPI",
            "FetchX509SVID >stream, FetchX509Bundles >stream, FetchJWTSVID, FetchJWTBundles >stream, \
             ValidateJWTSVID, FetchWITSVID >stream, FetchWITBundles >stream",
        )],
    );
}

#[track_caller]
fn check_methods(set: &[u8], published: &[(&str, &str)]) {
    let ours: Vec<_> = methods(set).into_iter().map(|(name, methods)| (name, methods.join(", "))).collect();
    let published: Vec<_> = published.iter().map(|(n, m)| ((*n).to_owned(), (*m).to_owned())).collect();
    assert_eq!(ours, published);
}

#[test]
fn stubs_serve_the_published_names() {
    assert_eq!(server::agent::agent_server::SERVICE_NAME, "spire.api.server.agent.v1.Agent");
    assert_eq!(server::bundle::bundle_server::SERVICE_NAME, "spire.api.server.bundle.v1.Bundle");
    assert_eq!(server::debug::debug_server::SERVICE_NAME, "spire.api.server.debug.v1.Debug");
    assert_eq!(server::entry::entry_server::SERVICE_NAME, "spire.api.server.entry.v1.Entry");
    assert_eq!(
        server::localauthority::local_authority_server::SERVICE_NAME,
        "spire.api.server.localauthority.v1.LocalAuthority"
    );
    assert_eq!(server::logger::logger_server::SERVICE_NAME, "spire.api.server.logger.v1.Logger");
    assert_eq!(server::svid::svid_server::SERVICE_NAME, "spire.api.server.svid.v1.SVID");
    assert_eq!(
        server::trustdomain::trust_domain_server::SERVICE_NAME,
        "spire.api.server.trustdomain.v1.TrustDomain"
    );
    assert_eq!(agent::debug::debug_server::SERVICE_NAME, "spire.agent.debug.v1.Debug");
    assert_eq!(
        agent::delegated_identity::delegated_identity_server::SERVICE_NAME,
        "spire.api.agent.delegatedidentity.v1.DelegatedIdentity"
    );
    assert_eq!(agent::logger::logger_server::SERVICE_NAME, "spire.api.agent.logger.v1.Logger");
    assert_eq!(workload::spiffe_workload_api_server::SERVICE_NAME, "SpiffeWorkloadAPI");
}

#[test]
fn enums_are_as_published() {
    use types::permission_denied_details::Reason;
    assert_eq!(Reason::AgentExpired as i32, 1);
    assert_eq!(Reason::AgentMustReattest as i32, 5);
    assert_eq!(types::LogLevel::Unspecified as i32, 0);
    assert_eq!(types::LogLevel::Trace as i32, 7);
    assert_eq!(types::selector_match::MatchBehavior::MatchSuperset as i32, 2);
    assert_eq!(types::federates_with_match::MatchBehavior::MatchAny as i32, 3);
    assert_eq!(server::bundle::batch_delete_federated_bundle_request::Mode::Dissociate as i32, 2);
    assert_eq!(journal::Status::Prepared as i32, 2);
    assert_eq!(journal::Status::Old as i32, 4);
}

#[track_caller]
fn check_bytes<M: Message + Default + PartialEq + std::fmt::Debug>(message: M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes);
    assert_eq!(M::decode(bytes).expect("known bytes"), message);
}

#[test]
fn messages_have_the_known_bytes() {
    check_bytes(types::Spiffeid { trust_domain: "td".into(), path: "/w".into() }, b"\x0a\x02td\x12\x02/w");
    check_bytes(
        types::Entry {
            id: "e".into(),
            x509_svid_ttl: 3600,
            admin: true,
            additional_attributes: Some(types::entry::AdditionalAttributes {
                disable_x509_svid_prefetch: false,
                jwt_svid_include_jti: true,
            }),
            ..Default::default()
        },
        b"\x0a\x01e\x28\x90\x1c\x38\x01\x82\x01\x02\x10\x01",
    );
    check_bytes(
        workload::X509svid {
            spiffe_id: "s".into(),
            x509_svid: Bytes::from_static(b"c"),
            x509_svid_key: Bytes::from_static(b"k"),
            bundle: Bytes::from_static(b"b"),
            hint: "h".into(),
        },
        b"\x0a\x01s\x12\x01c\x1a\x01k\x22\x01b\x2a\x01h",
    );
    check_bytes(
        workload::JwtBundlesResponse {
            bundles: [("spiffe://td".to_owned(), Bytes::from_static(b"{}"))].into(),
        },
        b"\x0a\x11\x0a\x0bspiffe://td\x12\x02{}",
    );
    check_bytes(
        server::agent::AttestAgentRequest {
            step: Some(server::agent::attest_agent_request::Step::ChallengeResponse(Bytes::new())),
        },
        b"\x12\x00",
    );
    check_bytes(
        common::Bundle {
            trust_domain_id: "spiffe://td".into(),
            root_cas: vec![common::Certificate { der_bytes: Bytes::from_static(b"r"), tainted_key: true }],
            sequence_number: 300,
            ..Default::default()
        },
        b"\x0a\x0bspiffe://td\x12\x05\x0a\x01r\x10\x01\x28\xac\x02",
    );
    check_bytes(
        journal::Entries {
            x509_c_as: vec![journal::X509caEntry {
                slot_id: "A".into(),
                status: journal::Status::Active.into(),
                ..Default::default()
            }],
            ..Default::default()
        },
        b"\x0a\x05\x0a\x01A\x28\x03",
    );
    check_bytes(
        rpc::Status {
            code: 7,
            message: "m".into(),
            details: vec![prost_types::Any { type_url: "t".into(), value: vec![8, 4] }],
        },
        b"\x08\x07\x12\x01m\x1a\x07\x0a\x01t\x12\x02\x08\x04",
    );
}

#[test]
fn secrets_are_not_printed() {
    let svid = workload::X509svid {
        spiffe_id: "spiffe://td/w".into(),
        x509_svid_key: Bytes::from_static(b"sesame"),
        ..Default::default()
    };
    let printed = format!("{:?}", workload::X509svidResponse { svids: vec![svid], ..Default::default() });
    assert!(printed.contains("spiffe://td/w"), "{printed}");
    assert!(printed.contains("x509_svid_key: <6 bytes hidden>"), "{printed}");
    assert!(!printed.contains("sesame"), "{printed}");
}
