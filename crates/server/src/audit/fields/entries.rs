//! `entry.v1.Entry`.

use super::{Add, Fields, Talk, Told, add_selector_match, selectors_text};
use finial_proto::server::entry::{
    BatchCreateEntryRequest, BatchCreateEntryResponse, BatchDeleteEntryRequest, BatchDeleteEntryResponse,
    BatchUpdateEntryRequest, BatchUpdateEntryResponse, CountEntriesRequest, GetEntryRequest,
    ListEntriesRequest, list_entries_request,
};
use finial_proto::types;
use finial_wire::convert::ids::{id_from_proto, member_from_proto, workload_from_proto};

pub(super) fn tell(method: &str, talk: &Talk<'_>) -> Told {
    let mut fields = Fields::new();
    match method {
        "CountEntries" => {
            if let Some(filter) = talk.asked::<CountEntriesRequest>().filter {
                add_filter(&mut fields, talk, filter.into());
            }
        }
        "ListEntries" => {
            if let Some(filter) = talk.asked::<ListEntriesRequest>().filter {
                add_filter(&mut fields, talk, filter);
            }
        }
        "GetEntry" => fields.add_text("entry_id", &talk.asked::<GetEntryRequest>().id),
        "BatchCreateEntry" => {
            let asked = talk.asked::<BatchCreateEntryRequest>().entries;
            let answered = talk.answered::<BatchCreateEntryResponse>().results.into_iter();
            let fields = asked.iter().map(|entry| of_entry(entry, None));
            return Told::Items(fields.zip(answered.map(|result| result.status)).collect());
        }
        "BatchUpdateEntry" => {
            let asked = talk.asked::<BatchUpdateEntryRequest>();
            let answered = talk.answered::<BatchUpdateEntryResponse>().results.into_iter();
            let fields = asked.entries.iter().map(|entry| of_entry(entry, asked.input_mask.as_ref()));
            return Told::Items(fields.zip(answered.map(|result| result.status)).collect());
        }
        "BatchDeleteEntry" => {
            let asked = talk.asked::<BatchDeleteEntryRequest>().ids.into_iter();
            let answered = talk.answered::<BatchDeleteEntryResponse>().results.into_iter();
            let fields = asked.map(|id| vec![("entry_id".to_owned(), id.into())]);
            return Told::Items(fields.zip(answered.map(|result| result.status)).collect());
        }
        _ => {}
    }
    Told::Once(fields)
}

/// SPIRE prints where the wish for downstream entries is in memory; here it is the wish.
fn add_filter(fields: &mut Fields, talk: &Talk<'_>, filter: list_entries_request::Filter) {
    let trust_domain = talk.question.trust_domain;
    if let Some(hint) = filter.by_hint {
        fields.add("hint", hint);
    }
    let parent = member_from_proto(trust_domain, filter.by_parent_id.as_ref()).ok();
    fields.add_id("parent_id", parent.map(|id| id.to_string()));
    let id = workload_from_proto(trust_domain, filter.by_spiffe_id.as_ref()).ok();
    fields.add_id("spiffe_id", id.map(|id| id.to_string()));
    add_selector_match(fields, filter.by_selectors.as_ref());
    if let Some(wanted) = filter.by_federates_with {
        fields.add("federates_with_match", wanted.r#match().as_str_name());
        fields.add("federates_with", wanted.trust_domains.join(","));
    }
    if let Some(downstream) = filter.by_downstream {
        fields.add("downstream", downstream);
    }
}

fn of_entry(entry: &types::Entry, mask: Option<&types::EntryMask>) -> Fields {
    let mut fields = Fields::new();
    let shows = |part: fn(&types::EntryMask) -> bool| mask.is_none_or(part);
    let id = |id: &Option<types::Spiffeid>| id_from_proto(id.as_ref()).ok().map(|id| id.to_string());
    fields.add_text("entry_id", &entry.id);
    if shows(|mask| mask.spiffe_id) {
        fields.add_id("spiffe_id", id(&entry.spiffe_id));
    }
    if shows(|mask| mask.parent_id) {
        fields.add_id("parent_id", id(&entry.parent_id));
    }
    if shows(|mask| mask.selectors) {
        fields.add_text("selectors", &selectors_text(&entry.selectors));
    }
    if shows(|mask| mask.x509_svid_ttl) {
        fields.add("x509_svid_ttl", i64::from(entry.x509_svid_ttl));
    }
    if shows(|mask| mask.jwt_svid_ttl) {
        fields.add("jwt_svid_ttl", i64::from(entry.jwt_svid_ttl));
    }
    if shows(|mask| mask.federates_with) {
        fields.add_text("federates_with", &entry.federates_with.join(","));
    }
    if shows(|mask| mask.admin) {
        fields.add("admin", entry.admin);
    }
    if shows(|mask| mask.downstream) {
        fields.add("downstream", entry.downstream);
    }
    if shows(|mask| mask.expires_at) {
        fields.add("expires_at", entry.expires_at);
    }
    if shows(|mask| mask.dns_names) {
        fields.add_text("dns_name", &entry.dns_names.join(","));
    }
    if shows(|mask| mask.revision_number) {
        fields.add("revision_number", entry.revision_number);
    }
    if shows(|mask| mask.store_svid) {
        fields.add("store_svid", entry.store_svid);
    }
    if shows(|mask| mask.hint) {
        fields.add("hint", entry.hint.as_str());
    }
    if shows(|mask| mask.created_at) {
        fields.add("created_at", entry.created_at);
    }
    fields
}
