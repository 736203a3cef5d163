//! `entry create` and `entry update`.

use super::{client, server_command};
use crate::cli::command::{Command, Invocation};
use crate::cli::input::entries::parse_entries;
use crate::cli::input::{parse_id, parse_selector, read_input, to_int32};
use crate::flags::{Flag, Kind, Values, list, switch, text};
use crate::output::Fault;
use crate::output::server::entry::{print_created, print_updated};
use finial_identity::Code;
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::server::entry::{BatchCreateEntryRequest, BatchUpdateEntryRequest, GetEntryRequest};
use finial_proto::types::entry::AdditionalAttributes;
use finial_proto::types::{Entry, Spiffeid, Status};
use tonic::transport::Channel;

pub(in crate::cli::server) static CREATE: Command = server_command!(
    "entry create",
    "Creates registration entries",
    "Registers who gets which identity: a process on the parent's node that has all the selectors \
     becomes the SPIFFE ID. Shows the entry as it was stored, with its ID. One entry is described by \
     flags, many by a JSON file (`-data`). An entry that says the same as a stored one is refused, \
     and the other entries of a file are still created.",
    CREATE_FLAGS,
    create,
    [
        (
            "entry create -parentID spiffe://example.org/my-node -spiffeID spiffe://example.org/web \
             -selector unix:uid:1000",
            "processes of user 1000 on my-node are spiffe://example.org/web"
        ),
        (
            "entry create -node -spiffeID spiffe://example.org/web-nodes -selector x509pop:subject:cn:web1",
            "one name for all agents with a selector, to be used as a parent"
        ),
        ("entry create -data entries.json", "many at once: {\"entries\": [{\"spiffe_id\": …}]}")
    ]
);
pub(in crate::cli::server) static UPDATE: Command = server_command!(
    "entry update",
    "Updates registration entries",
    "Replaces the entry with this ID by what the flags or the file say: whatever is not given falls \
     back to its default. Agents and open streams of workloads hear of it within seconds.",
    UPDATE_FLAGS,
    update,
    [(
        "entry update -entryID web -parentID spiffe://example.org/my-node -spiffeID spiffe://example.org/web \
         -selector unix:uid:1001",
        "replace an entry: what is not given is not kept"
    )]
);

const PREFETCH_HELP: &str = "A boolean value that, when set, disables prefetching X509 SVID for this entry";
const JTI_HELP: &str = "A boolean value that, when set, includes a unique 'jti' claim in JWT-SVIDs issued for \
                        this entry and bypasses the agent JWT-SVID cache";

const ADMIN: Flag = switch(
    "admin",
    "If set, the SPIFFE ID in this entry will be granted access to the SPIRE Server's management APIs",
);
const DATA: Flag = text(
    "data",
    "Path to a file containing registration JSON (optional). If set to '-', read the JSON from stdin.",
);
const DNS: Flag = list(
    "dns",
    "A DNS name that will be included in SVIDs issued based on this entry, where appropriate. \
     Can be used more than once",
);
const DOWNSTREAM: Flag = switch(
    "downstream",
    "A boolean value that, when set, indicates that the entry describes a downstream SPIRE server",
);
const ENTRY_EXPIRY: Flag = Flag {
    name: "entryExpiry",
    kind: Kind::Int(0),
    help: "An expiry, from epoch in seconds, for the resulting registration entry to be pruned",
};
const FEDERATES_WITH: Flag =
    list("federatesWith", "SPIFFE ID of a trust domain to federate with. Can be used more than once");
const HINT: Flag = text("hint", "The entry hint, used to disambiguate entries with the same SPIFFE ID");
const JWT_TTL: Flag = Flag {
    name: "jwtSVIDTTL",
    kind: Kind::Int(0),
    help: "The lifetime, in seconds, for JWT-SVIDs issued based on this registration entry.",
};
const PARENT_ID: Flag = text("parentID", "The SPIFFE ID of this record's parent");
const SELECTOR: Flag = list("selector", "A colon-delimited type:value selector. Can be used more than once");
const SPIFFE_ID: Flag = text("spiffeID", "The SPIFFE ID that this record represents");
const STORE_SVID: Flag = switch(
    "storeSVID",
    "A boolean value that, when set, indicates that the resulting issued SVID from this entry must be stored \
     through an SVIDStore plugin",
);
const X509_TTL: Flag = Flag {
    name: "x509SVIDTTL",
    kind: Kind::Int(0),
    help: "The lifetime, in seconds, for x509-SVIDs issued based on this registration entry.",
};

const CREATE_FLAGS: &[Flag] = &[
    ADMIN,
    DATA,
    switch("disableX509SVIDPrefetch", PREFETCH_HELP),
    DNS,
    DOWNSTREAM,
    ENTRY_EXPIRY,
    text(
        "entryID",
        "A custom ID for this registration entry (optional). If not set, a new entry ID will be generated",
    ),
    FEDERATES_WITH,
    HINT,
    switch("jwtSVIDIncludeJTI", JTI_HELP),
    JWT_TTL,
    switch("node", "If set, this entry will be applied to matching nodes rather than workloads"),
    PARENT_ID,
    SELECTOR,
    SPIFFE_ID,
    STORE_SVID,
    X509_TTL,
];

/// Two of its flags turn on whatever they are given, as in SPIRE: `=false` does not turn them off.
const UPDATE_FLAGS: &[Flag] = &[
    ADMIN,
    DATA,
    Flag { name: "disableX509SVIDPrefetch", kind: Kind::Switch, help: PREFETCH_HELP },
    DNS,
    DOWNSTREAM,
    ENTRY_EXPIRY,
    text("entryID", "The Registration Entry ID of the record to update"),
    FEDERATES_WITH,
    HINT,
    Flag { name: "jwtSVIDIncludeJTI", kind: Kind::Switch, help: JTI_HELP },
    JWT_TTL,
    PARENT_ID,
    SELECTOR,
    SPIFFE_ID,
    STORE_SVID,
    X509_TTL,
];

async fn create(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let entries = match flags.some_text("data") {
        Some(path) => parse_entries(&read_input(path, "-")?)?,
        None => vec![entry_to_create(flags)?],
    };
    let request = BatchCreateEntryRequest { entries: entries.clone(), output_mask: None };
    let answer = client.batch_create_entry(request).await.map_err(|status| Fault::of_call(&status))?;
    let mut response = answer.into_inner();
    for (result, asked) in response.results.iter_mut().zip(entries) {
        if is_refused(result.status.as_ref()) {
            result.entry = Some(asked);
        }
    }
    terminal.show(flags.format(), &response, |terminal| print_created(terminal, &response))
}

async fn update(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let entries = match flags.some_text("data") {
        Some(path) => parse_entries(&read_input(path, "-")?)?,
        None => vec![entry_to_update(&mut client, flags).await?],
    };
    let request = BatchUpdateEntryRequest { entries: entries.clone(), input_mask: None, output_mask: None };
    let answer = client.batch_update_entry(request).await.map_err(|status| Fault::of_call(&status))?;
    let mut response = answer.into_inner();
    for (result, asked) in response.results.iter_mut().zip(entries) {
        if is_refused(result.status.as_ref()) {
            result.entry = Some(asked);
        }
    }
    terminal.show(flags.format(), &response, |terminal| print_updated(terminal, &response))
}

/// The server does not send back what it refused, so what was asked for is shown.
fn is_refused(status: Option<&Status>) -> bool {
    status.is_some_and(|status| status.code != Code::Ok.number())
}

/// What `entry create` was asked for. The order of the checks is SPIRE's, here and below.
fn entry_to_create(flags: &Values) -> Result<Entry, Fault> {
    let is_node = flags.is_on("node");
    if flags.list("selector").is_empty() {
        return Err(Fault::new("at least one selector is required"));
    }
    if is_node && !flags.list("federatesWith").is_empty() {
        return Err(Fault::new("node entries can not federate"));
    }
    if flags.some_text("parentID").is_none() && !is_node {
        return Err(Fault::new("a parent ID is required if the node flag is not set"));
    }
    require_spiffe_id_and_ttls(flags)?;
    let spiffe_id = parse_id(flags.text("spiffeID"))?;
    let parent_id = if is_node {
        Spiffeid { trust_domain: spiffe_id.trust_domain.clone(), path: "/spire/server".to_owned() }
    } else {
        parse_id(flags.text("parentID"))?
    };
    described_entry(flags, spiffe_id, parent_id)
}

async fn entry_to_update(client: &mut EntryClient<Channel>, flags: &Values) -> Result<Entry, Fault> {
    if flags.some_text("entryID").is_none() {
        return Err(Fault::new("entry ID is required"));
    }
    if flags.list("selector").is_empty() {
        return Err(Fault::new("at least one selector is required"));
    }
    if flags.some_text("parentID").is_none() {
        return Err(Fault::new("a parent ID is required"));
    }
    require_spiffe_id_and_ttls(flags)?;
    let parent_id = parse_id(flags.text("parentID"))?;
    let spiffe_id = parse_id(flags.text("spiffeID"))?;
    let mut entry = described_entry(flags, spiffe_id, parent_id)?;
    if let Some(wanted) = &mut entry.additional_attributes {
        keep_other_attributes(client, &entry.id, wanted).await?;
    }
    Ok(entry)
}

/// These attributes travel as a whole, so those that were not given are taken from the entry as it is.
async fn keep_other_attributes(
    client: &mut EntryClient<Channel>,
    id: &str,
    wanted: &mut AdditionalAttributes,
) -> Result<(), Fault> {
    const DOING: &str = "failed to fetch existing entry to merge additional attributes";
    let request = GetEntryRequest { id: id.to_owned(), output_mask: None };
    let answer = client.get_entry(request).await.map_err(|status| Fault::of_call_while(DOING, &status))?;
    if let Some(stored) = answer.into_inner().additional_attributes {
        wanted.disable_x509_svid_prefetch |= stored.disable_x509_svid_prefetch;
        wanted.jwt_svid_include_jti |= stored.jwt_svid_include_jti;
    }
    Ok(())
}

fn require_spiffe_id_and_ttls(flags: &Values) -> Result<(), Fault> {
    if flags.some_text("spiffeID").is_none() {
        return Err(Fault::new("a SPIFFE ID is required"));
    }
    if flags.int("x509SVIDTTL") < 0 {
        return Err(Fault::new("a positive x509-SVID TTL is required"));
    }
    if flags.int("jwtSVIDTTL") < 0 {
        return Err(Fault::new("a positive JWT-SVID TTL is required"));
    }
    Ok(())
}

fn described_entry(flags: &Values, spiffe_id: Spiffeid, parent_id: Spiffeid) -> Result<Entry, Fault> {
    let x509_svid_ttl = to_int32(flags.int("x509SVIDTTL"), "X509 SVID TTL")?;
    let jwt_svid_ttl = to_int32(flags.int("jwtSVIDTTL"), "JWT SVID TTL")?;
    let selectors =
        flags.list("selector").iter().map(|text| parse_selector(text)).collect::<Result<_, _>>()?;
    let additional = AdditionalAttributes {
        disable_x509_svid_prefetch: flags.is_on("disableX509SVIDPrefetch"),
        jwt_svid_include_jti: flags.is_on("jwtSVIDIncludeJTI"),
    };
    Ok(Entry {
        id: flags.text("entryID").to_owned(),
        spiffe_id: Some(spiffe_id),
        parent_id: Some(parent_id),
        selectors,
        x509_svid_ttl,
        federates_with: flags.list("federatesWith").to_vec(),
        admin: flags.is_on("admin"),
        downstream: flags.is_on("downstream"),
        expires_at: flags.int("entryExpiry"),
        dns_names: flags.list("dns").to_vec(),
        revision_number: 0,
        store_svid: flags.is_on("storeSVID"),
        jwt_svid_ttl,
        hint: flags.text("hint").to_owned(),
        created_at: 0,
        additional_attributes: Some(additional).filter(|wanted| *wanted != AdditionalAttributes::default()),
    })
}
