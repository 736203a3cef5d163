//! `bundle show`, `list`, `count`, `set`, `delete`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect::{self, MESSAGE_MAX};
use crate::cli::input::federation::parse_bundle;
use crate::cli::input::read_input;
use crate::flags::{Flag, Kind, Values, text};
use crate::output::Fault;
use crate::output::go_text::quoted;
use crate::output::server::bundle::{
    BundleFormat, print_bundle, print_bundles, print_count, print_deleted, print_set,
};
use finial_proto::server::bundle::batch_delete_federated_bundle_request::Mode;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::bundle::{
    BatchDeleteFederatedBundleRequest, BatchSetFederatedBundleRequest, CountBundlesRequest, GetBundleRequest,
    GetFederatedBundleRequest, ListFederatedBundlesRequest,
};
use tonic::transport::Channel;

pub(super) static SHOW: Command = server_command!(
    "bundle show",
    "Prints server CA bundle to stdout",
    "Prints the authorities of the server's own trust domain: in PEM the X.509 authorities alone, as \
     agents and TLS programs want them; as a SPIFFE bundle (JWKS) the keys for tokens, too.",
    &[Flag {
        name: "format",
        kind: Kind::Text("pem"),
        help: "The format to show the bundle (only pretty output format supports this flag). \
               Either \"pem\" or \"spiffe\".",
    }],
    show,
    [
        ("bundle show > bootstrap.crt", "what a new agent needs to know its server"),
        ("bundle show -format spiffe", "what another trust domain needs to federate")
    ]
);
pub(super) static LIST: Command = server_command!(
    "bundle list",
    "Lists federated bundle data",
    "Prints the bundles of other trust domains, one after the other under a heading, or that of the \
     one that `-id` names, without heading.",
    &[
        text("id", "SPIFFE ID of the trust domain"),
        Flag {
            name: "format",
            kind: Kind::Text("pem"),
            help: "The format to list federated bundles (only pretty output format supports this flag). \
                   Either \"pem\" or \"spiffe\".",
        },
    ],
    list,
    [
        ("bundle list", "all foreign bundles"),
        ("bundle list -id spiffe://other.org -format spiffe", "that of one trust domain, as JWKS")
    ]
);
pub(super) static COUNT: Command = server_command!(
    "bundle count",
    "Count bundles",
    "Counts the bundles that the server keeps, its own included.",
    &[],
    count,
    [("bundle count -output json", "for a program")]
);
pub(super) static SET: Command = server_command!(
    "bundle set",
    "Creates or updates federated bundle data",
    "Stores the bundle of another trust domain, in place of what was known of it. Entries can then \
     say that they federate with it, and their workloads receive the bundle. Without `-path` the \
     bundle is read from standard input.",
    &[
        text("id", "SPIFFE ID of the trust domain"),
        text("path", "Path to the bundle data"),
        Flag {
            name: "format",
            kind: Kind::Text("pem"),
            help: "The format of the bundle data. Either \"pem\" or \"spiffe\".",
        },
    ],
    set,
    [(
        "bundle set -id spiffe://other.org -format spiffe -path other.json",
        "trust another trust domain's authorities for what concerns it"
    )]
);
pub(super) static DELETE: Command = server_command!(
    "bundle delete",
    "Deletes federated bundle data",
    "Forgets the bundle of another trust domain. What happens to entries that federate with it is \
     said by `-mode`: `restrict` refuses if there are any, `dissociate` keeps the entries without it, \
     `delete` deletes the entries.",
    &[
        text("id", "SPIFFE ID of the trust domain"),
        Flag {
            name: "mode",
            kind: Kind::Text("restrict"),
            help: "Deletion mode: one of restrict, delete, or dissociate",
        },
    ],
    delete,
    [(
        "bundle delete -id spiffe://other.org -mode dissociate",
        "forget a trust domain, and keep the entries that federate with it"
    )]
);

fn client(flags: &Values) -> Result<BundleClient<Channel>, Fault> {
    Ok(BundleClient::new(connect::to_server(flags)?).max_decoding_message_size(MESSAGE_MAX))
}

async fn show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let bundle = client(flags)?
        .get_bundle(GetBundleRequest { output_mask: None })
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &bundle, |terminal| {
        print_bundle(&mut terminal.out, &bundle, flags.text("format"))
    })
}

async fn list(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    if let Some(id) = flags.some_text("id") {
        let request = GetFederatedBundleRequest { trust_domain: id.to_owned(), output_mask: None };
        let bundle = client.get_federated_bundle(request).await;
        let bundle = bundle.map_err(|status| Fault::of_call(&status))?.into_inner();
        return terminal.show(flags.format(), &bundle, |terminal| {
            print_bundle(&mut terminal.out, &bundle, flags.text("format"))
        });
    }
    let listed = client
        .list_federated_bundles(ListFederatedBundlesRequest::default())
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &listed, |terminal| {
        print_bundles(&mut terminal.out, &listed.bundles, flags.text("format"))
    })
}

async fn count(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let counted = client(flags)?
        .count_bundles(CountBundlesRequest {})
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &counted, |terminal| print_count(&mut terminal.out, counted.count))
}

async fn set(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let id = flags.some_text("id").ok_or_else(|| Fault::new("id flag is required"))?;
    let format = BundleFormat::parse(flags.text("format"))?;
    let document =
        read_input(flags.text("path"), "").map_err(|fault| fault.after("unable to load bundle data"))?;
    let bundle = parse_bundle(&document, format, id)?;
    let response = client
        .batch_set_federated_bundle(BatchSetFederatedBundleRequest {
            bundle: vec![bundle],
            output_mask: None,
        })
        .await
        .map_err(|status| Fault::of_call_while("failed to set federated bundle", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| print_set(&mut terminal.out, &response))
}

async fn delete(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let id = flags.some_text("id").ok_or_else(|| Fault::new("id is required"))?;
    let mode = match flags.text("mode") {
        "" | "restrict" => Mode::Restrict,
        "dissociate" => Mode::Dissociate,
        "delete" => Mode::Delete,
        other => return Err(Fault::new(format!("unsupported mode {}", quoted(other)))),
    };
    let request = BatchDeleteFederatedBundleRequest { trust_domains: vec![id.to_owned()], mode: mode.into() };
    let response = client
        .batch_delete_federated_bundle(request)
        .await
        .map_err(|status| Fault::of_call_while("failed to delete federated bundle", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| print_deleted(&mut terminal.out, &response))
}
