//! `federation create`, `update`, `list`, `show`, `refresh`, `delete`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect::{self, MESSAGE_MAX};
use crate::cli::input::federation::{WrittenBundle, WrittenRelationship, parse_relationships, to_proto};
use crate::cli::input::read_input;
use crate::flags::{Flag, Kind, Values, text};
use crate::output::Fault;
use crate::output::go_text::quoted;
use crate::output::server::federation::{print_batch, print_deleted, print_list, print_one};
use finial_proto::server::trustdomain::trust_domain_client::TrustDomainClient;
use finial_proto::server::trustdomain::{
    BatchCreateFederationRelationshipRequest, BatchDeleteFederationRelationshipRequest,
    BatchUpdateFederationRelationshipRequest, GetFederationRelationshipRequest,
    ListFederationRelationshipsRequest, RefreshBundleRequest,
};
use finial_proto::types::FederationRelationship;
use finial_wire::status::item_ok;
use std::io::Write;
use tonic::transport::Channel;

pub(super) static CREATE: Command = server_command!(
    "federation create",
    "Creates a dynamic federation relationship with a foreign trust domain",
    "Makes the server fetch another trust domain's bundle from an endpoint, again and again. A \
     relationship is described by flags, many by a JSON file (`-data`).",
    RELATIONSHIP_FLAGS,
    create,
    [(
        "federation create -trustDomain other.org -bundleEndpointURL https://other.org/bundle -bundleEndpointProfile https_web",
        "follow a bundle over the web's PKI"
    )]
);
pub(super) static UPDATE: Command = server_command!(
    "federation update",
    "Updates a dynamic federation relationship with a foreign trust domain",
    "Replaces what is known of a relationship by what the flags or the file say.",
    RELATIONSHIP_FLAGS,
    update,
    [(
        "federation update -trustDomain other.org -bundleEndpointURL https://new.other.org/bundle -bundleEndpointProfile https_web",
        "the endpoint has moved"
    )]
);
pub(super) static LIST: Command = server_command!(
    "federation list",
    "Lists all dynamic federation relationships",
    "Shows the relationships that were created by `federation create`.",
    &[],
    list,
    [("federation list", "all relationships")]
);
pub(super) static SHOW: Command = server_command!(
    "federation show",
    "Shows a dynamic federation relationship",
    "Shows one relationship, with the bundle that was given when it was created.",
    &[text("trustDomain", "The trust domain name of the federation relationship to show")],
    show,
    [("federation show -trustDomain other.org", "one relationship")]
);
pub(super) static REFRESH: Command = server_command!(
    "federation refresh",
    "Refreshes the bundle from the specified federated trust domain",
    "Fetches another trust domain's bundle now instead of when it is due.",
    &[text("id", "SPIFFE ID of the trust domain")],
    refresh,
    [("federation refresh -id other.org", "see at once whether the endpoint answers")]
);
pub(super) static DELETE: Command = server_command!(
    "federation delete",
    "Deletes a dynamic federation relationship",
    "Ends a relationship: the bundle is no longer fetched. What was fetched stays; `bundle delete` \
     forgets it.",
    &[text("id", "SPIFFE ID of the trust domain")],
    delete,
    [("federation delete -id other.org", "stop following other.org")]
);

const RELATIONSHIP_FLAGS: &[Flag] = &[
    text("bundleEndpointProfile", "Endpoint profile type (either \"https_web\" or \"https_spiffe\")"),
    text(
        "bundleEndpointURL",
        "URL of the SPIFFE bundle endpoint that provides the trust bundle (must use the HTTPS protocol)",
    ),
    text(
        "data",
        "Path to a file containing federation relationships in JSON format (optional). \
         If set to '-', read the JSON from stdin.",
    ),
    text(
        "endpointSpiffeID",
        "SPIFFE ID of the SPIFFE bundle endpoint server. Only used for 'spiffe' profile.",
    ),
    text("trustDomain", "Name of the trust domain to federate with (e.g., example.org)"),
    Flag {
        name: "trustDomainBundleFormat",
        kind: Kind::Text("pem"),
        help: "The format of the bundle data (optional). Either \"pem\" or \"spiffe\".",
    },
    text("trustDomainBundlePath", "Path to the trust domain bundle data (optional)."),
];

fn client(flags: &Values) -> Result<TrustDomainClient<Channel>, Fault> {
    Ok(TrustDomainClient::new(connect::to_server(flags)?).max_decoding_message_size(MESSAGE_MAX))
}

fn wanted_relationships(flags: &Values) -> Result<Vec<FederationRelationship>, Fault> {
    let written = WrittenRelationship {
        trust_domain: flags.text("trustDomain").to_owned(),
        bundle_endpoint_url: flags.text("bundleEndpointURL").to_owned(),
        bundle_endpoint_profile: flags.text("bundleEndpointProfile").to_owned(),
        endpoint_spiffe_id: flags.text("endpointSpiffeID").to_owned(),
        bundle: match flags.some_text("trustDomainBundlePath") {
            Some(path) => WrittenBundle::File(path.to_owned()),
            None => WrittenBundle::Absent,
        },
        bundle_format: flags.text("trustDomainBundleFormat").to_owned(),
    };
    let Some(path) = flags.some_text("data") else { return Ok(vec![to_proto(&written)?]) };
    let nothing = WrittenRelationship { bundle_format: "pem".to_owned(), ..WrittenRelationship::default() };
    if written != nothing {
        return Err(Fault::new(
            "cannot use other flags to specify relationship fields when 'data' flag is set",
        ));
    }
    parse_relationships(&read_input(path, "-")?)
}

fn wanted_id(flags: &Values) -> Result<String, Fault> {
    Ok(flags.some_text("id").ok_or_else(|| Fault::new("id is required"))?.to_owned())
}

async fn create(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let asked = wanted_relationships(flags)?;
    let response = client
        .batch_create_federation_relationship(BatchCreateFederationRelationshipRequest {
            federation_relationships: asked.clone(),
            output_mask: None,
        })
        .await
        .map_err(|status| Fault::of_call_while("request failed", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| {
        let results = response.results.iter();
        let results = results.map(|r| (r.status.as_ref(), r.federation_relationship.as_ref()));
        print_batch(terminal, "create", &asked, results)
    })
}

async fn update(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let asked = wanted_relationships(flags)?;
    let response = client
        .batch_update_federation_relationship(BatchUpdateFederationRelationshipRequest {
            federation_relationships: asked.clone(),
            input_mask: None,
            output_mask: None,
        })
        .await
        .map_err(|status| Fault::of_call_while("request failed", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| {
        let results = response.results.iter();
        let results = results.map(|r| (r.status.as_ref(), r.federation_relationship.as_ref()));
        print_batch(terminal, "update", &asked, results)
    })
}

async fn list(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let response = client(flags)?
        .list_federation_relationships(ListFederationRelationshipsRequest::default())
        .await
        .map_err(|status| Fault::of_call_while("error listing federation relationship", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| {
        print_list(&mut terminal.out, &response.federation_relationships)
    })
}

async fn show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let name = flags.some_text("trustDomain");
    let name = name.ok_or_else(|| Fault::new("a trust domain name is required"))?;
    let request = GetFederationRelationshipRequest { trust_domain: name.to_owned(), output_mask: None };
    let found = client
        .get_federation_relationship(request)
        .await
        .map_err(|status| Fault::of_call_while("error showing federation relationship", &status))?
        .into_inner();
    terminal.show(flags.format(), &found, |terminal| print_one(&mut terminal.out, name, &found))
}

async fn refresh(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let id = wanted_id(flags)?;
    let answer = client.refresh_bundle(RefreshBundleRequest { trust_domain: id.clone() }).await;
    answer.map_err(|status| match status.code() {
        tonic::Code::NotFound => {
            Fault::new(format!("there is no federation relationship with trust domain {}", quoted(&id)))
        }
        _ => Fault::of_call_while("failed to refresh bundle", &status),
    })?;
    terminal.show(flags.format(), &item_ok(), |terminal| Ok(writeln!(terminal.out, "Bundle refreshed")?))
}

async fn delete(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = BatchDeleteFederationRelationshipRequest { trust_domains: vec![wanted_id(flags)?] };
    let response = client
        .batch_delete_federation_relationship(request)
        .await
        .map_err(|status| Fault::of_call_while("failed to delete federation relationship", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| print_deleted(&mut terminal.out, &response))
}
