//! `entry show` and `entry count`.

use super::{client, server_command};
use crate::cli::command::{Command, Invocation};
use crate::cli::input::{parse_id, parse_match, parse_selector};
use crate::cli::server::paging::all_pages;
use crate::flags::{Flag, Kind, Values, list, switch, text};
use crate::output::Fault;
use crate::output::go_text::quoted;
use crate::output::server::entry::{print_count, print_found};
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::server::entry::{
    CountEntriesRequest, GetEntryRequest, ListEntriesRequest, ListEntriesResponse, list_entries_request,
};
use finial_proto::types::selector_match::MatchBehavior;
use finial_proto::types::{Entry, FederatesWithMatch, SelectorMatch, Spiffeid};
use std::cmp::Ordering;
use tonic::transport::Channel;

pub(in crate::cli::server) static SHOW: Command = server_command!(
    "entry show",
    "Displays configured registration entries",
    "Shows registration entries, in a fixed order. All filters given must hold at once; `-entryID` \
     stands alone. How selectors and trust domains must match is said by the flags `-match…`: \
     `superset` (the entry has at least these) unless said otherwise.",
    SHOW_FLAGS,
    show,
    [
        ("entry show", "all entries"),
        ("entry show -selector unix:uid:1000", "those that a process of user 1000 could get"),
        (
            "entry show -parentID spiffe://example.org/my-node -output json",
            "those of one node, for a program"
        )
    ]
);
pub(in crate::cli::server) static COUNT: Command = server_command!(
    "entry count",
    "Count registration entries",
    "Counts the entries that `entry show` would show with the same filters.",
    COUNT_FLAGS,
    count,
    [("entry count -parentID spiffe://example.org/my-node", "the entries of one node")]
);

const DOWNSTREAM: Flag = switch(
    "downstream",
    "A boolean value that, when set, indicates that the entry describes a downstream SPIRE server",
);
const FEDERATES_WITH: Flag = list(
    "federatesWith",
    "SPIFFE ID of a trust domain an entry is federate with. Can be used more than once",
);
const SELECTOR: Flag = list("selector", "A colon-delimited type:value selector. Can be used more than once");
const MATCH_FEDERATES_WITH: Flag = Flag {
    name: "matchFederatesWithOn",
    kind: Kind::Text("superset"),
    help: "The match mode used when filtering by federates with. Options: exact, any, superset and subset",
};
const MATCH_SELECTORS: Flag = Flag {
    name: "matchSelectorsOn",
    kind: Kind::Text("superset"),
    help: "The match mode used when filtering by selectors. Options: exact, any, superset and subset",
};

const SHOW_FLAGS: &[Flag] = &[
    DOWNSTREAM,
    text("entryID", "The Entry ID of the records to show"),
    FEDERATES_WITH,
    text("hint", "The Hint of the records to show (optional)"),
    MATCH_FEDERATES_WITH,
    MATCH_SELECTORS,
    text("parentID", "The Parent ID of the records to show"),
    SELECTOR,
    text("spiffeID", "The SPIFFE ID of the records to show"),
];

const COUNT_FLAGS: &[Flag] = &[
    DOWNSTREAM,
    FEDERATES_WITH,
    text("hint", "The Hint of the records to count (optional)"),
    MATCH_FEDERATES_WITH,
    MATCH_SELECTORS,
    text("parentID", "The Parent ID of the records to count"),
    SELECTOR,
    text("spiffeID", "The SPIFFE ID of the records to count"),
];

/// Entries in one page.
const PAGE_SIZE: i32 = 500;

async fn show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let mut entries = match flags.some_text("entryID") {
        Some(id) => vec![fetch_one(&mut client, id, flags).await?],
        None => fetch_all(&mut client, filter(flags)?).await?,
    };
    sort_entries(&mut entries);
    let found = ListEntriesResponse { entries, next_page_token: String::new() };
    terminal.show(flags.format(), &found, |terminal| print_found(&mut terminal.out, &found.entries))
}

async fn fetch_one(client: &mut EntryClient<Channel>, id: &str, flags: &Values) -> Result<Entry, Fault> {
    let has_others = flags.some_text("parentID").is_some()
        || flags.some_text("spiffeID").is_some()
        || !flags.list("selector").is_empty();
    if has_others {
        return Err(Fault::new("the -entryID flag can't be combined with others"));
    }
    let request = GetEntryRequest { id: id.to_owned(), output_mask: None };
    let doing = format!("error fetching entry ID {id}");
    let answer = client.get_entry(request).await.map_err(|status| Fault::of_call_while(&doing, &status))?;
    Ok(answer.into_inner())
}

async fn fetch_all(
    client: &mut EntryClient<Channel>,
    filter: list_entries_request::Filter,
) -> Result<Vec<Entry>, Fault> {
    let all = all_pages(async |page_token| {
        let request = ListEntriesRequest {
            filter: Some(filter.clone()),
            output_mask: None,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_entries(request).await;
        let page =
            page.map_err(|status| Fault::of_call_while("error fetching entries", &status))?.into_inner();
        Ok((page.entries, page.next_page_token))
    });
    all.await
}

async fn count(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let filter = filter(flags)?.into();
    let counted = client
        .count_entries(CountEntriesRequest { filter: Some(filter) })
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &counted, |terminal| print_count(&mut terminal.out, counted.count))
}

/// Whether downstream entries are wanted is always said: the server takes "no" for "all".
fn filter(flags: &Values) -> Result<list_entries_request::Filter, Fault> {
    let by_parent_id = id_filter(flags, "parentID", "parent ID")?;
    let by_spiffe_id = id_filter(flags, "spiffeID", "SPIFFE ID")?;
    let by_selectors = match flags.list("selector") {
        [] => None,
        texts => {
            let behavior = match_behavior(flags.text("matchSelectorsOn"))?;
            let selectors = texts.iter().map(|text| parse_selector(text)).collect::<Result<_, _>>();
            let selectors = selectors.map_err(|fault| fault.after("error parsing selectors"))?;
            Some(SelectorMatch { selectors, r#match: behavior.into() })
        }
    };
    let by_federates_with = match flags.list("federatesWith") {
        [] => None,
        trust_domains => Some(FederatesWithMatch {
            trust_domains: trust_domains.to_vec(),
            r#match: match_behavior(flags.text("matchFederatesWithOn"))?.into(),
        }),
    };
    Ok(list_entries_request::Filter {
        by_spiffe_id,
        by_parent_id,
        by_selectors,
        by_federates_with,
        by_hint: flags.some_text("hint").map(str::to_owned),
        by_downstream: Some(flags.is_on("downstream")),
    })
}

fn id_filter(flags: &Values, name: &str, what: &str) -> Result<Option<Spiffeid>, Fault> {
    let parse =
        |text| parse_id(text).map_err(|fault| fault.after(&format!("error parsing {what} {}", quoted(text))));
    flags.some_text(name).map(parse).transpose()
}

fn match_behavior(name: &str) -> Result<MatchBehavior, Fault> {
    parse_match(name).ok_or_else(|| Fault::new(format!("match behavior {} unknown", quoted(name))))
}

/// The order in which SPIRE shows entries; selectors within an entry are ordered, too.
fn sort_entries(entries: &mut [Entry]) {
    for entry in entries.iter_mut() {
        entry.selectors.sort_by(|a, b| (&a.r#type, &a.value).cmp(&(&b.r#type, &b.value)));
    }
    entries.sort_by(compare_entries);
}

fn compare_entries(a: &Entry, b: &Entry) -> Ordering {
    let id = |id: &Option<Spiffeid>| id.clone().map(|id| (id.trust_domain, id.path)).unwrap_or_default();
    let selectors = |entry: &Entry| {
        let pairs = entry.selectors.iter().map(|s| (s.r#type.clone(), s.value.clone()));
        (entry.selectors.len(), pairs.collect::<Vec<_>>())
    };
    id(&a.spiffe_id)
        .cmp(&id(&b.spiffe_id))
        .then_with(|| id(&a.parent_id).cmp(&id(&b.parent_id)))
        .then_with(|| (a.x509_svid_ttl, a.jwt_svid_ttl).cmp(&(b.x509_svid_ttl, b.jwt_svid_ttl)))
        .then_with(|| selectors(a).cmp(&selectors(b)))
}
