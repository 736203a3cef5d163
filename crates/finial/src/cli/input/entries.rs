//! Documents with registration entries, or with their IDs.

use super::json::{Decoder, Json, Place, parse};
use crate::output::Fault;
use finial_identity::{SpiffeId, TrustDomain};
use finial_proto::common::{RegistrationEntry, Selector, registration_entry::AdditionalAttributes};
use finial_proto::types;
use finial_wire::convert::ids::id_to_proto;

/// The entries of `{"entries": […]}`, which have the members of SPIRE's stored entries.
pub(crate) fn parse_entries(document: &[u8]) -> Result<Vec<types::Entry>, Fault> {
    let document = parse(document).map_err(|error| Fault::new(error.to_string()))?;
    let mut decoder = Decoder::default();
    let mut entries = Vec::new();
    let root = Place { field: None, go_type: "common.RegistrationEntries" };
    for (name, value) in decoder.members(&document, root) {
        if name.eq_ignore_ascii_case("entries") {
            let place = Place {
                field: Some(("RegistrationEntries", "entries")),
                go_type: "[]*common.RegistrationEntry",
            };
            let items = decoder.items(value, place);
            entries = items.iter().map(|item| read_entry(&mut decoder, item)).collect();
        }
    }
    let entries = decoder.finish(entries).map_err(Fault::new)?;
    entries.into_iter().map(to_proto).collect()
}

/// The IDs of `{"ids": […]}`.
pub(crate) fn parse_ids(document: &[u8]) -> Result<Vec<String>, Fault> {
    let document = parse(document).map_err(|error| Fault::new(error.to_string()))?;
    let mut decoder = Decoder::default();
    let mut ids = Vec::new();
    let root = Place { field: None, go_type: "entryv1.BatchDeleteEntryRequest" };
    for (name, value) in decoder.members(&document, root) {
        if name.eq_ignore_ascii_case("ids") {
            let place = Place { field: Some(("BatchDeleteEntryRequest", "ids")), go_type: "[]string" };
            decoder.texts(&mut ids, value, place);
        }
    }
    decoder.finish(ids).map_err(Fault::new)
}

/// Nothing for `null`.
fn read_entry(decoder: &mut Decoder, value: &Json) -> Option<RegistrationEntry> {
    if *value == Json::Null {
        return None;
    }
    let of_list =
        Place { field: Some(("RegistrationEntries", "entries")), go_type: "common.RegistrationEntry" };
    let mut entry = RegistrationEntry::default();
    for (name, value) in decoder.members(value, of_list) {
        let lower = name.to_ascii_lowercase();
        let path = format!("entries.{}", if lower == "entryexpiry" { "entryExpiry" } else { &lower });
        let place = |go_type| Place { field: Some(("RegistrationEntry", path.as_str())), go_type };
        match lower.as_str() {
            "selectors" => {
                let items = decoder.items(value, place("[]*common.Selector"));
                entry.selectors = items.iter().filter_map(|item| read_selector(decoder, item)).collect();
            }
            "parent_id" => decoder.text(&mut entry.parent_id, value, place("string")),
            "spiffe_id" => decoder.text(&mut entry.spiffe_id, value, place("string")),
            "x509_svid_ttl" => decoder.integer(&mut entry.x509_svid_ttl, value, place("int32")),
            "federates_with" => decoder.texts(&mut entry.federates_with, value, place("[]string")),
            "entry_id" => decoder.text(&mut entry.entry_id, value, place("string")),
            "admin" => decoder.bool(&mut entry.admin, value, place("bool")),
            "downstream" => decoder.bool(&mut entry.downstream, value, place("bool")),
            "entryexpiry" => decoder.integer(&mut entry.entry_expiry, value, place("int64")),
            "dns_names" => decoder.texts(&mut entry.dns_names, value, place("[]string")),
            "revision_number" => decoder.integer(&mut entry.revision_number, value, place("int64")),
            "store_svid" => decoder.bool(&mut entry.store_svid, value, place("bool")),
            "jwt_svid_ttl" => decoder.integer(&mut entry.jwt_svid_ttl, value, place("int32")),
            "hint" => decoder.text(&mut entry.hint, value, place("string")),
            "created_at" => decoder.integer(&mut entry.created_at, value, place("int64")),
            "additional_attributes" => entry.additional_attributes = read_additional(decoder, value),
            _ => {}
        }
    }
    Some(entry)
}

fn read_selector(decoder: &mut Decoder, value: &Json) -> Option<Selector> {
    if *value == Json::Null {
        return None;
    }
    let of_list =
        Place { field: Some(("RegistrationEntry", "entries.selectors")), go_type: "common.Selector" };
    let mut selector = Selector::default();
    for (name, value) in decoder.members(value, of_list) {
        let lower = name.to_ascii_lowercase();
        let path = format!("entries.selectors.{lower}");
        let place = Place { field: Some(("Selector", path.as_str())), go_type: "string" };
        match lower.as_str() {
            "type" => decoder.text(&mut selector.r#type, value, place),
            "value" => decoder.text(&mut selector.value, value, place),
            _ => {}
        }
    }
    Some(selector)
}

fn read_additional(decoder: &mut Decoder, value: &Json) -> Option<AdditionalAttributes> {
    if *value == Json::Null {
        return None;
    }
    let go_type = "common.RegistrationEntry_AdditionalAttributes";
    let of_entry = Place { field: Some(("RegistrationEntry", "entries.additional_attributes")), go_type };
    let mut additional = AdditionalAttributes::default();
    for (name, value) in decoder.members(value, of_entry) {
        let lower = name.to_ascii_lowercase();
        let path = format!("entries.additional_attributes.{lower}");
        let place =
            Place { field: Some(("RegistrationEntry_AdditionalAttributes", path.as_str())), go_type: "bool" };
        match lower.as_str() {
            "disable_x509_svid_prefetch" => {
                decoder.bool(&mut additional.disable_x509_svid_prefetch, value, place);
            }
            "jwt_svid_include_jti" => decoder.bool(&mut additional.jwt_svid_include_jti, value, place),
            _ => {}
        }
    }
    Some(additional)
}

/// An entry of a document as the API takes it: IDs are checked here already.
fn to_proto(entry: Option<RegistrationEntry>) -> Result<types::Entry, Fault> {
    let entry = entry.ok_or_else(|| Fault::new("missing registration entry"))?;
    let id = |what: &str, text: &str| {
        SpiffeId::parse(text)
            .map(|id| id_to_proto(&id))
            .map_err(|error| Fault::new(format!("invalid {what}: {error}")))
    };
    let spiffe_id = id("SPIFFE ID", &entry.spiffe_id)?;
    let parent_id = id("parent ID", &entry.parent_id)?;
    let trust_domain = |name: &String| {
        TrustDomain::parse(name)
            .map(|trust_domain| trust_domain.as_str().to_owned())
            .map_err(|error| Fault::new(format!("invalid federated trust domain: {error}")))
    };
    let federates_with = entry.federates_with.iter().map(trust_domain).collect::<Result<_, _>>()?;
    let selector = |selector: Selector| types::Selector { r#type: selector.r#type, value: selector.value };
    Ok(types::Entry {
        id: entry.entry_id,
        spiffe_id: Some(spiffe_id),
        parent_id: Some(parent_id),
        selectors: entry.selectors.into_iter().map(selector).collect(),
        x509_svid_ttl: entry.x509_svid_ttl,
        federates_with,
        admin: entry.admin,
        downstream: entry.downstream,
        expires_at: entry.entry_expiry,
        dns_names: entry.dns_names,
        revision_number: entry.revision_number,
        store_svid: entry.store_svid,
        jwt_svid_ttl: entry.jwt_svid_ttl,
        hint: entry.hint,
        created_at: entry.created_at,
        additional_attributes: entry.additional_attributes.map(|additional| {
            types::entry::AdditionalAttributes {
                disable_x509_svid_prefetch: additional.disable_x509_svid_prefetch,
                jwt_svid_include_jti: additional.jwt_svid_include_jti,
            }
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(document: &str, expected: &str) {
        assert_eq!(parse_entries(document.as_bytes()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_as_recorded() {
        check_error("", "unexpected end of JSON input");
        check_error("[]", "json: cannot unmarshal array into Go value of type common.RegistrationEntries");
        check_error("nonsense", "invalid character 'o' in literal null (expecting 'u')");
        check_error("{\"entries\":[{}]}", "invalid SPIFFE ID: cannot be empty");
        check_error(
            r#"{"Entries":[{"SPIFFE_ID":"spiffe://example.org/ci","parentId":"x"}]}"#,
            "invalid parent ID: cannot be empty",
        );
        let error = parse_ids(b"[]").unwrap_err().to_string();
        assert_eq!(
            error,
            "json: cannot unmarshal array into Go value of type entryv1.BatchDeleteEntryRequest"
        );
    }

    #[test]
    fn reads_all_members() {
        let document = br#"{"unknown": 1, "entries": [{"selectors": [{"type": "unix", "value": "uid:1"}],
            "spiffe_id": "spiffe://example.org/a", "parent_id": "spiffe://example.org/p", "x509_svid_ttl": 200,
            "jwt_svid_ttl": 30, "federates_with": ["spiffe://other.org"], "entry_id": "e", "admin": true,
            "downstream": true, "entryExpiry": 7, "dns_names": ["b", "a"], "store_svid": true, "hint": "h",
            "additional_attributes": {"disable_x509_svid_prefetch": true}}]}"#;
        let entries = parse_entries(document).unwrap();
        let id = |path: &str| types::Spiffeid { trust_domain: "example.org".into(), path: path.into() };
        assert_eq!(
            entries,
            [types::Entry {
                id: "e".into(),
                spiffe_id: Some(id("/a")),
                parent_id: Some(id("/p")),
                selectors: vec![types::Selector { r#type: "unix".into(), value: "uid:1".into() }],
                x509_svid_ttl: 200,
                federates_with: vec!["other.org".into()],
                admin: true,
                downstream: true,
                expires_at: 7,
                dns_names: vec!["b".into(), "a".into()],
                revision_number: 0,
                store_svid: true,
                jwt_svid_ttl: 30,
                hint: "h".into(),
                created_at: 0,
                additional_attributes: Some(types::entry::AdditionalAttributes {
                    disable_x509_svid_prefetch: true,
                    jwt_svid_include_jti: false,
                }),
            }]
        );
        assert_eq!(parse_entries(b"{}").unwrap(), []);
        assert_eq!(parse_ids(br#"{"IDS":["a",null]}"#).unwrap(), ["a", ""]);
    }
}
