use super::agents::*;
use super::bundles::*;
use super::entries::*;
use super::ids::{self, id_from_proto, id_to_proto, member_from_proto, workload_from_proto};
use super::selectors::*;
use super::svids::*;
use finial_identity::{
    AgentSerial, AttestedNode, Bundle, EntryId, EntrySpec, GrantedEntry, JwtAuthority, KeyType, PrivateKey,
    RegistrationEntry, Selector, SpiffeId, TrustDomain, UnixTime, WitAuthority,
};
use finial_proto::types::{self, entry::AdditionalAttributes};
use proptest::prelude::*;

fn domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn spiffe(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).unwrap()
}

fn id(trust_domain: &str, path: &str) -> types::Spiffeid {
    types::Spiffeid { trust_domain: trust_domain.to_owned(), path: path.to_owned() }
}

fn selector(kind: &str, value: &str) -> types::Selector {
    types::Selector { r#type: kind.to_owned(), value: value.to_owned() }
}

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

#[test]
fn ids() {
    let charset =
        "trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores";
    for (given, expected) in [
        (None, "request must specify SPIFFE ID"),
        (Some(id("", "/x")), "trust domain is missing"),
        (Some(id("EXAMPLE.org", "/x")), charset),
        (Some(id("example.org", "x")), "path must have a leading slash"),
        (Some(id("example.org", "/x/")), "path cannot have a trailing slash"),
        (Some(id("example.org", "//x")), "path cannot contain empty segments"),
        (Some(id("example.org", "/../x")), "path cannot contain dot segments"),
        (
            Some(id("example.org", "/x y")),
            "path segment characters are limited to letters, numbers, dots, dashes, and underscores",
        ),
        (Some(id("example.org", "")), "ok"),
        (Some(id("example.org", "/x")), "ok"),
        (Some(id("spiffe://example.org/ignored", "/x")), "ok"),
    ] {
        assert_eq!(text(id_from_proto(given.as_ref())), expected, "{given:?}");
    }
    assert_eq!(id_from_proto(Some(&id_to_proto(&spiffe("spiffe://a/b/c")))), Ok(spiffe("spiffe://a/b/c")));
    assert_eq!(id_to_proto(&spiffe("spiffe://example.org/a")), id("example.org", "/a"));
}

#[test]
fn cases_31_and_32_membership() {
    let of = |path: &str| Some(id("example.org", path));
    let foreign = r#""spiffe://other.org/x" is not a member of trust domain "example.org""#;
    for (given, member, agent, workload) in [
        (Some(id("other.org", "/x")), foreign, foreign, foreign),
        (
            of(""),
            r#""spiffe://example.org" is not a member of trust domain "example.org"; path is empty"#,
            r#""spiffe://example.org" is not an agent in trust domain "example.org"; path is empty"#,
            r#""spiffe://example.org" is not a workload in trust domain "example.org"; path is empty"#,
        ),
        (
            of("/spire"),
            "ok",
            r#""spiffe://example.org/spire" is not an agent in trust domain "example.org"; path is not in the agent namespace"#,
            r#""spiffe://example.org/spire" is not a workload in trust domain "example.org"; path is in the reserved namespace"#,
        ),
        (
            of("/spire/agent/x/y"),
            "ok",
            "ok",
            r#""spiffe://example.org/spire/agent/x/y" is not a workload in trust domain "example.org"; path is in the reserved namespace"#,
        ),
        (
            of("/spired"),
            "ok",
            r#""spiffe://example.org/spired" is not an agent in trust domain "example.org"; path is not in the agent namespace"#,
            "ok",
        ),
    ] {
        assert_eq!(text(member_from_proto(&domain(), given.as_ref())), member);
        assert_eq!(text(ids::agent_from_proto(&domain(), given.as_ref())), agent);
        assert_eq!(text(workload_from_proto(&domain(), given.as_ref())), workload);
    }
}

#[test]
fn selectors() {
    for (kind, value, expected) in [
        ("", "", "missing selector type"),
        ("", "v", "missing selector type"),
        ("a:b", "", "selector type contains ':'"),
        ("a", "", "missing selector value"),
        ("unix", "path:/a:b", "ok"),
    ] {
        assert_eq!(text(selectors_from_proto(&[selector(kind, value)])), expected);
    }
    let some = [selector("b", "2"), selector("a", "1"), selector("b", "2")];
    assert_eq!(selectors_to_proto(&selectors_from_proto(&some).unwrap()), some, "order and doubles stay");
}

#[test]
fn filters() {
    let by = |selectors: Vec<types::Selector>, r#match| types::SelectorMatch { selectors, r#match };
    assert_eq!(text(selector_filter(&by(vec![], 0))), "empty selector set");
    assert_eq!(text(selector_filter(&by(vec![selector("a", "")], 0))), "missing selector value");
    assert_eq!(text(selector_filter(&by(vec![selector("a", "b")], 9))), "unhandled match behavior 9");
    assert_eq!(selector_filter(&by(vec![selector("a", "b")], 1)).unwrap().1, SetMatch::Subset);
    let with = |names: &[&str]| types::FederatesWithMatch {
        trust_domains: names.iter().map(|name| (*name).to_owned()).collect(),
        r#match: 3,
    };
    assert_eq!(text(federation_filter(&with(&[]))), "empty trust domain set");
    assert_eq!(text(federation_filter(&with(&[""]))), "trust domain is missing");
    assert_eq!(federation_filter(&with(&["spiffe://a/b"])).unwrap().0, [TrustDomain::parse("a").unwrap()]);
    for number in 0..4 {
        assert_eq!(SetMatch::from_number(number).unwrap().number(), number);
    }
}

fn full_entry() -> types::Entry {
    types::Entry {
        id: "entry-1".to_owned(),
        spiffe_id: Some(id("example.org", "/workload")),
        parent_id: Some(id("example.org", "/spire/agent/x")),
        selectors: vec![selector("unix", "uid:1"), selector("unix", "gid:2")],
        x509_svid_ttl: 60,
        federates_with: vec!["other.org".to_owned()],
        admin: true,
        downstream: true,
        expires_at: 99,
        dns_names: vec!["b.example".to_owned(), "a_b".to_owned(), "*.a.example".to_owned()],
        revision_number: 4,
        store_svid: true,
        jwt_svid_ttl: 61,
        hint: "blue".to_owned(),
        created_at: 88,
        additional_attributes: Some(AdditionalAttributes {
            disable_x509_svid_prefetch: false,
            jwt_svid_include_jti: true,
        }),
    }
}

fn admitted() -> RegistrationEntry {
    let draft = draft_from_proto(&domain(), Some(&full_entry())).unwrap();
    RegistrationEntry {
        id: draft.id.unwrap(),
        revision: 4,
        created_at: UnixTime::from_seconds(88),
        spec: draft.spec,
    }
}

/// What an agent sees of an entry.
fn granted(entry: &RegistrationEntry) -> GrantedEntry {
    let RegistrationEntry { id, revision, created_at, spec } = entry.clone();
    GrantedEntry {
        id,
        spiffe_id: spec.spiffe_id,
        selectors: spec.selectors,
        federates_with: spec.federates_with,
        admin: spec.admin,
        downstream: spec.downstream,
        revision,
        created_at,
        store_svid: spec.store_svid,
        hint: spec.hint,
        additional: spec.additional.unwrap_or_default(),
    }
}

/// Agents leave out of their mask what only the server needs.
#[test]
fn granted_entries_need_no_parent() {
    let masked = types::EntryMask { parent_id: false, ..ENTRY_MASK_ALL };
    let sent = entry_to_proto(&admitted(), Some(&masked));
    assert_eq!(granted_from_proto(&sent).unwrap(), granted(&admitted()));
}

#[test]
fn entries_round_trip() {
    assert_eq!(entry_to_proto(&admitted(), None), full_entry());
    assert_eq!(granted_from_proto(&full_entry()).unwrap(), granted(&admitted()));
    let sent = spec_to_proto(Some(&admitted().id), &admitted().spec);
    assert_eq!(sent, types::Entry { revision_number: 0, created_at: 0, ..full_entry() });
}

/// One change of a good entry, and the verdict on it: `ok`, or the text of the refusal.
fn entry_verdict(change: impl FnOnce(&mut types::Entry)) -> String {
    let mut entry = full_entry();
    change(&mut entry);
    text(draft_from_proto(&domain(), Some(&entry)).map_err(|e| e.to_failure(EntryOperation::Create)))
}

type EntryCase = (&'static str, fn(&mut types::Entry), &'static str);

fn check_entries(prefix: &str, cases: &[EntryCase]) {
    for (case, change, expected) in cases {
        let expected = if *expected == "ok" { "ok".to_owned() } else { format!("{prefix}: {expected}") };
        assert_eq!(entry_verdict(change), expected, "{case}");
    }
}

/// Each with the number of its case in `docs/reference/bad-input.md`, if it has one.
#[test]
fn cases_29_to_34_and_48_to_60_entry_fields() {
    check_entries(
        "failed to convert entry",
        &[
            ("nothing", |_| (), "ok"),
            ("no spiffe ID", |e| e.spiffe_id = None, "invalid spiffe ID: request must specify SPIFFE ID"),
            ("no parent", |e| e.parent_id = None, "invalid parent ID: request must specify SPIFFE ID"),
            ("29: 255 bytes", |e| e.federates_with = vec!["a".repeat(255)], "ok"),
            (
                "29: 256 bytes",
                |e| e.federates_with = vec!["a".repeat(256)],
                "invalid federated trust domain: trust domain is longer than 255 bytes",
            ),
            ("30: 2048 bytes", |e| e.spiffe_id = Some(id("example.org", &long_path(2048))), "ok"),
            (
                "30: 2049 bytes",
                |e| e.spiffe_id = Some(id("example.org", &long_path(2049))),
                "invalid spiffe ID: SPIFFE ID \"spiffe://example.org/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"… has 2049 bytes, and at most 2048 may be issued",
            ),
            (
                "31",
                |e| e.spiffe_id = Some(id("example.org", "/spire/x")),
                "invalid spiffe ID: \"spiffe://example.org/spire/x\" is not a workload in trust domain \"example.org\"; path is in the reserved namespace",
            ),
            (
                "32",
                |e| e.spiffe_id = Some(id("other.org", "/x")),
                "invalid spiffe ID: \"spiffe://other.org/x\" is not a member of trust domain \"example.org\"",
            ),
            ("52", |e| e.selectors.clear(), "selector list is empty"),
            ("54: no type", |e| e.selectors.push(selector("", "v")), "missing selector type"),
            ("54: no value", |e| e.selectors.push(selector("a", "")), "missing selector value"),
            ("55", |e| e.selectors.push(selector("a:b", "c")), "selector type contains ':'"),
            ("56", |e| e.selectors = vec![selector("unix", "path:/a:b")], "ok"),
            (
                "57: foreign",
                |e| e.parent_id = Some(id("other.org", "/x")),
                "invalid parent ID: \"spiffe://other.org/x\" is not a member of trust domain \"example.org\"",
            ),
            (
                "57: no path",
                |e| e.parent_id = Some(id("example.org", "")),
                "invalid parent ID: \"spiffe://example.org\" is not a member of trust domain \"example.org\"; path is empty",
            ),
            ("58", |e| e.dns_names = vec!["a_b".to_owned()], "ok"),
            (
                "48: dot at the end",
                |e| e.dns_names.push("a.".to_owned()),
                "invalid DNS name: domain ends with dot",
            ),
            (
                "48, before the selectors",
                |e| {
                    e.dns_names = vec!["*.*.a".to_owned()];
                    e.selectors.clear();
                },
                "invalid DNS name: too many wildcards",
            ),
            (
                "34",
                |e| e.federates_with.push("A".to_owned()),
                "invalid federated trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores",
            ),
            ("60: 1024 bytes", |e| e.hint = "x".repeat(1024), "ok"),
            (
                "60: 1025 bytes",
                |e| e.hint = "x".repeat(1025),
                "hint is too long, max length is 1024 characters",
            ),
        ],
    );
    assert_eq!(text(draft_from_proto(&domain(), None)), "missing entry");
}

fn long_path(bytes: usize) -> String {
    format!("/{}", "a".repeat(bytes - "spiffe://example.org/".len()))
}

#[test]
fn cases_59_and_61_and_64_entry_rules() {
    check_entries(
        "failed to create entry: datastore-validation",
        &[
            ("59: X.509", |e| e.x509_svid_ttl = -1, "invalid registration entry: X509SvidTtl is not set"),
            ("59: JWT", |e| e.jwt_svid_ttl = -1, "invalid registration entry: JwtSvidTtl is not set"),
            ("61: 255 bytes", |e| e.id = "x".repeat(255), "ok"),
            ("61: 256 bytes", |e| e.id = "x".repeat(256), "invalid registration entry: entry ID too long"),
            (
                "61: a slash",
                |e| e.id = "a/b".to_owned(),
                "invalid registration entry: entry ID contains invalid characters",
            ),
            ("no id", |e| e.id.clear(), "ok"),
            (
                "64: mixed",
                |e| e.selectors.push(selector("docker", "x")),
                "invalid registration entry: selector types must be the same when store SVID is enabled",
            ),
            (
                "64: mixed, and not stored",
                |e| {
                    e.selectors.push(selector("docker", "x"));
                    e.store_svid = false;
                },
                "ok",
            ),
            (
                "64: without prefetch",
                |e| e.additional_attributes.as_mut().unwrap().disable_x509_svid_prefetch = true,
                "specifying cache behaviour is incompatible with storable SVIDs",
            ),
        ],
    );
}

#[test]
fn output_mask_of_entries() {
    let nothing = entry_to_proto(&admitted(), Some(&types::EntryMask::default()));
    assert_eq!(nothing, types::Entry { id: "entry-1".to_owned(), ..Default::default() });
    let mask = types::EntryMask { revision_number: true, hint: true, ..Default::default() };
    let some = entry_to_proto(&admitted(), Some(&mask));
    assert_eq!(
        some,
        types::Entry {
            id: "entry-1".to_owned(),
            revision_number: 4,
            hint: "blue".to_owned(),
            ..Default::default()
        }
    );
    assert_eq!(entry_to_proto(&admitted(), Some(&ENTRY_MASK_ALL)), full_entry());
}

#[test]
fn updates_by_mask() {
    let current = admitted().spec;
    let merge = |entry: &types::Entry, mask: Option<types::EntryMask>| {
        merge_entry(&domain(), &current, Some(entry), mask.as_ref())
    };
    let empty = types::Entry { id: "entry-1".to_owned(), ..Default::default() };
    assert_eq!(merge(&empty, Some(types::EntryMask::default())), Ok(current.clone()), "nothing is looked at");
    assert_eq!(
        text(merge(&empty, None)),
        "invalid parent ID: request must specify SPIFFE ID",
        "no mask means everything"
    );
    assert_eq!(merge(&full_entry(), None), Ok(current.clone()));

    let mask = types::EntryMask { hint: true, admin: true, expires_at: true, ..Default::default() };
    let expected = EntrySpec { hint: String::new(), admin: false, expires_at: None, ..current.clone() };
    assert_eq!(merge(&empty, Some(mask)), Ok(expected));

    let mask = types::EntryMask { x509_svid_ttl: true, ..Default::default() };
    let negative = types::Entry { x509_svid_ttl: -1, jwt_svid_ttl: -1, ..empty.clone() };
    assert_eq!(
        merge(&negative, Some(mask)).unwrap_err().to_failure(EntryOperation::Update).message,
        "failed to update entry: datastore-validation: invalid registration entry: X509SvidTtl is not set"
    );
    assert_eq!(merge(&negative, Some(types::EntryMask::default())), Ok(current.clone()));

    let mask = types::EntryMask { selectors: true, ..Default::default() };
    let mixed = types::Entry { selectors: vec![selector("a", "1"), selector("b", "2")], ..empty.clone() };
    assert_eq!(merge(&mixed, Some(mask)), Err(RuleError::MixedSelectors.into()));
    assert_eq!(merge(&empty, Some(mask)), Err(FieldError::NoSelectors.into()));

    let prefetch = AdditionalAttributes { disable_x509_svid_prefetch: true, jwt_svid_include_jti: false };
    let entry = types::Entry { additional_attributes: Some(prefetch), ..full_entry() };
    assert!(merge(&entry, None).is_ok(), "SPIRE checks this for new entries only");
}

fn node() -> AttestedNode {
    AttestedNode {
        id: spiffe("spiffe://example.org/spire/agent/x509pop/1"),
        attestation_type: "x509pop".to_owned(),
        current: AgentSerial { serial: "123".to_owned(), expires_at: UnixTime::from_seconds(7) },
        staged: None,
        can_reattest: true,
        agent_version: "1.16.0".to_owned(),
        selectors: vec![Selector::new("x509pop", "subject:cn:a").unwrap()],
    }
}

#[test]
fn agents() {
    let shown = agent_to_proto(&node(), None);
    let expected = types::Agent {
        id: Some(id("example.org", "/spire/agent/x509pop/1")),
        attestation_type: "x509pop".to_owned(),
        x509svid_serial_number: "123".to_owned(),
        x509svid_expires_at: 7,
        selectors: vec![selector("x509pop", "subject:cn:a")],
        banned: false,
        can_reattest: true,
        agent_version: "1.16.0".to_owned(),
    };
    assert_eq!(shown, expected);
    assert_eq!(agent_from_proto(&shown).unwrap(), node());
    let banned = AttestedNode { current: AgentSerial { serial: String::new(), ..node().current }, ..node() };
    assert!(agent_to_proto(&banned, None).banned);
    assert_eq!(agent_from_proto(&agent_to_proto(&banned, None)).unwrap(), banned);
    let masked = agent_to_proto(&banned, Some(&types::AgentMask::default()));
    assert_eq!(masked, types::Agent { id: expected.id, ..Default::default() });
}

fn bundle() -> Bundle {
    let key = || PrivateKey::generate(KeyType::EcP256).unwrap().public_key().clone();
    Bundle {
        jwt_authorities: vec![JwtAuthority {
            expires_at: UnixTime::from_seconds(9),
            tainted: true,
            ..JwtAuthority::new("a", key())
        }],
        wit_authorities: vec![WitAuthority::new("w", key())],
        refresh_hint: 60,
        sequence_number: 7,
        ..Bundle::new(domain())
    }
}

#[test]
fn bundles() {
    let stored = bundle();
    let shown = bundle_to_proto(&stored, None);
    assert_eq!(bundle_from_server(&shown).unwrap(), stored);
    let written = bundle_from_proto(Some(&shown)).unwrap();
    assert!(
        !written.jwt_authorities[0].tainted && written.wit_authorities.is_empty(),
        "not the writer's to say"
    );
    assert_eq!((written.refresh_hint, written.sequence_number), (60, 7));
    let masked = bundle_to_proto(&stored, Some(&types::BundleMask::default()));
    assert_eq!(masked, types::Bundle { trust_domain: "example.org".to_owned(), ..Default::default() });

    let mut doubled = shown.clone();
    doubled.jwt_authorities.push(shown.jwt_authorities[0].clone());
    assert_eq!(bundle_from_proto(Some(&doubled)).unwrap().jwt_authorities.len(), 1);
}

#[test]
fn bundle_verdicts() {
    let key = bundle_to_proto(&bundle(), None).jwt_authorities.remove(0);
    let with_root = |asn1: &'static [u8]| types::Bundle {
        trust_domain: "a".to_owned(),
        x509_authorities: vec![types::X509Certificate { asn1: asn1.into(), tainted: false }],
        ..Default::default()
    };
    let with_key = |key: types::JwtKey| types::Bundle {
        trust_domain: "a".to_owned(),
        jwt_authorities: vec![key],
        ..Default::default()
    };
    let malformed = "unable to parse X.509 authority: x509: malformed certificate";
    for (given, expected) in [
        (None, "no bundle provided"),
        (Some(types::Bundle::default()), "invalid trust domain: trust domain is missing"),
        (Some(with_root(b"")), malformed),
        (Some(with_root(b"garbage")), malformed),
        (Some(with_root(b"-----BEGIN CERTIFICATE-----")), malformed),
        (
            Some(with_key(types::JwtKey { public_key: "".into(), ..key.clone() })),
            "unable to parse JWT authority: asn1: syntax error: sequence truncated",
        ),
        (
            Some(with_key(types::JwtKey { public_key: "x".into(), ..key.clone() })),
            "unable to parse JWT authority: asn1: syntax error: truncated tag or length",
        ),
        (
            Some(with_key(types::JwtKey { key_id: String::new(), ..key.clone() })),
            "unable to parse JWT authority: missing key ID",
        ),
        (Some(with_key(key)), "ok"),
    ] {
        assert_eq!(text(bundle_from_proto(given.as_ref())), expected);
    }
}

#[test]
fn svid_verdicts() {
    assert_eq!(text(x509_svid_from_proto(None)), "X509SVID missing");
    assert_eq!(text(x509_svid_from_proto(Some(&types::X509svid::default()))), "empty X509SVID chain");
    let jwt = |token: &str, issued_at, expires_at| types::Jwtsvid {
        token: token.to_owned(),
        issued_at,
        expires_at,
        ..Default::default()
    };
    assert_eq!(text(jwt_svid_from_proto(None)), "JWTSVID response missing SVID");
    for (given, expected) in [
        (jwt("", 1, 2), "JWTSVID missing token"),
        (jwt("x", 0, 2), "JWTSVID missing issued at"),
        (jwt("x", 1, 0), "JWTSVID missing expires at"),
        (jwt("x", 3, 2), "JWTSVID issued after it has expired"),
    ] {
        assert_eq!(text(jwt_svid_from_proto(Some(&given))), expected);
    }
    assert!(text(jwt_svid_from_proto(Some(&jwt("x", 1, 2)))).starts_with("invalid JWTSVID: "));
}

fn any_id() -> impl Strategy<Value = Option<types::Spiffeid>> {
    prop_oneof![
        Just(None),
        (".{0,12}", ".{0,12}").prop_map(|(trust_domain, path)| Some(types::Spiffeid { trust_domain, path })),
        "(/(spire|agent|a|\\.){0,2}){0,4}".prop_map(|path| Some(id("example.org", &path))),
    ]
}

fn any_selectors() -> impl Strategy<Value = Vec<types::Selector>> {
    let selector = (".{0,5}", ".{0,5}").prop_map(|(r#type, value)| types::Selector { r#type, value });
    prop::collection::vec(selector, 0..4)
}

prop_compose! {
    fn any_entry()(
        (id, spiffe_id, parent_id, selectors) in (".{0,8}", any_id(), any_id(), any_selectors()),
        numbers in any::<(i32, i32, i64, i64, i64)>(),
        flags in any::<(bool, bool, bool, bool, bool)>(),
        (federates_with, dns_names, hint) in (
            prop::collection::vec(".{0,8}", 0..3),
            prop::collection::vec("[a-z.*xn-]{0,8}", 0..3),
            ".{0,8}",
        ),
    ) -> types::Entry {
        types::Entry {
            id, spiffe_id, parent_id, selectors, federates_with, dns_names, hint,
            x509_svid_ttl: numbers.0,
            jwt_svid_ttl: numbers.1,
            expires_at: numbers.2,
            revision_number: numbers.3,
            created_at: numbers.4,
            admin: flags.0,
            downstream: flags.1,
            store_svid: flags.2,
            additional_attributes: flags.3.then_some(AdditionalAttributes {
                disable_x509_svid_prefetch: flags.4,
                jwt_svid_include_jti: !flags.4,
            }),
        }
    }
}

fn mask_of(bits: u16) -> types::EntryMask {
    let bit = |n: u16| bits & (1 << n) != 0;
    types::EntryMask {
        spiffe_id: bit(0),
        parent_id: bit(1),
        selectors: bit(2),
        x509_svid_ttl: bit(3),
        federates_with: bit(4),
        admin: bit(5),
        downstream: bit(6),
        expires_at: bit(7),
        dns_names: bit(8),
        revision_number: bit(9),
        store_svid: bit(10),
        jwt_svid_ttl: bit(11),
        hint: bit(12),
        created_at: bit(13),
        additional_attributes: bit(14),
    }
}

proptest! {
    #[test]
    fn entries_never_panic(entry in any_entry(), bits in any::<u16>()) {
        let mask = mask_of(bits);
        if let Ok(draft) = draft_from_proto(&domain(), Some(&entry)) {
            let entry = RegistrationEntry {
                id: EntryId::random(),
                revision: 0,
                created_at: UnixTime::default(),
                spec: draft.spec.clone(),
            };
            let sent = entry_to_proto(&entry, None);
            prop_assert_eq!(granted_from_proto(&sent).unwrap(), granted(&entry));
            prop_assert_eq!(merge_entry(&domain(), &draft.spec, Some(&sent), None), Ok(draft.spec));
        }
        let _ = granted_from_proto(&entry);
        let merged = merge_entry(&domain(), &admitted().spec, Some(&entry), Some(&mask));
        if bits & 0x5fff == 0 {
            prop_assert_eq!(merged, Ok(admitted().spec));
        }
    }

    #[test]
    fn a_mask_shows_what_it_names(bits in any::<u16>()) {
        let mask = mask_of(bits);
        let rest = mask_of(!bits);
        let (shown, hidden) = (entry_to_proto(&admitted(), Some(&mask)), entry_to_proto(&admitted(), Some(&rest)));
        let mut encoded = prost::Message::encode_to_vec(&shown);
        encoded.extend(prost::Message::encode_to_vec(&types::Entry { id: String::new(), ..hidden }));
        let together: types::Entry = prost::Message::decode(&*encoded).unwrap();
        prop_assert_eq!(together, full_entry());
    }

    #[test]
    fn bundles_never_panic(der in prop::collection::vec(any::<u8>(), 0..200), name in ".{0,12}", kid in ".{0,4}") {
        let bundle = types::Bundle {
            trust_domain: name,
            x509_authorities: vec![types::X509Certificate { asn1: der.clone().into(), tainted: true }],
            jwt_authorities: vec![types::JwtKey { public_key: der.clone().into(), key_id: kid.clone(), ..Default::default() }],
            wit_authorities: vec![types::WitKey { public_key: der.clone().into(), key_id: kid, ..Default::default() }],
            ..Default::default()
        };
        let _ = bundle_from_proto(Some(&bundle));
        let _ = bundle_from_server(&bundle);
        let _ = jwt_authorities_from_proto(&bundle.jwt_authorities);
        let _ = chain_from_proto(&[der.into()]);
    }

    #[test]
    fn agents_and_svids_never_panic(id in any_id(), selectors in any_selectors(), token in ".{0,40}", times in any::<(i64, i64)>()) {
        let agent = types::Agent { id: id.clone(), selectors, x509svid_expires_at: times.0, ..Default::default() };
        let _ = agent_from_proto(&agent);
        let svid = types::Jwtsvid { id, token, issued_at: times.0, expires_at: times.1, ..Default::default() };
        let _ = jwt_svid_from_proto(Some(&svid));
    }
}
