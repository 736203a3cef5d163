//! Cases 102 to 123 of `docs/reference/bad-input.md`, the rules of change, and the formats byte for byte.

use super::format::{
    DOCUMENT_MAX, REFRESH_HINT_MAX, decode_pem, decode_spiffe, encode_jwks_workload, encode_pem,
    encode_spiffe,
};
use super::*;
use crate::jwt::Jwk;
use crate::key::PublicKeyKind;
use crate::{Code, KeyType, PrivateKey, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// What a SPIRE server serves at its bundle endpoint.
const ENDPOINT_BODY: &str = include_str!("testdata/endpoint-body.json");
/// Three root certificates that SPIRE printed: P-256, P-521, P-256.
const ROOTS: &str = include_str!("testdata/roots.pem");
const LEAF: &str = include_str!("testdata/leaf.pem");

static RSA_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyType::Rsa2048).unwrap());

fn example_org() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn decode(document: impl AsRef<[u8]>) -> Result<Bundle, BundleError> {
    decode_spiffe(example_org(), document.as_ref())
}

fn spire_bundle() -> Bundle {
    decode(ENDPOINT_BODY).unwrap()
}

fn roots() -> Vec<X509Authority> {
    decode_pem(example_org(), ROOTS.as_bytes()).unwrap().x509_authorities
}

fn ec_key() -> PublicKey {
    PrivateKey::generate(KeyType::EcP256).unwrap().public_key().clone()
}

#[test]
fn a_chain_hangs_on_a_tainted_authority() {
    let leaf = decode_pem(example_org(), LEAF.as_bytes()).unwrap().x509_authorities.remove(0).certificate;
    let mut bundle = Bundle::new(example_org());
    bundle.x509_authorities = roots();
    let root = bundle.x509_authorities[0].certificate.clone();
    assert!(!bundle.has_tainted_issuer_of(std::slice::from_ref(&leaf)));
    bundle.x509_authorities[1].tainted = true;
    assert!(!bundle.has_tainted_issuer_of(std::slice::from_ref(&leaf)), "another authority is tainted");
    bundle.x509_authorities[0].tainted = true;
    assert!(bundle.has_tainted_issuer_of(std::slice::from_ref(&leaf)));
    assert!(bundle.has_tainted_issuer_of(&[root.clone(), leaf]), "wherever in the chain it stands");
    assert!(!bundle.has_tainted_issuer_of(&[root]), "a certificate without authority key ID");
    assert!(!bundle.has_tainted_issuer_of(&[]));
}

// --- formats ---

#[test]
fn the_endpoint_body_is_read_and_written_byte_for_byte() {
    let bundle = spire_bundle();
    assert_eq!((bundle.sequence_number, bundle.refresh_hint), (1, 300));
    assert_eq!(bundle.x509_authorities[0].id().as_str(), "fef45e6d4597045a2e5f022d8c0f60da2a2cb055");
    assert_eq!(bundle.x509_authorities[0].certificate, roots()[0].certificate);
    assert_eq!(bundle.jwt_authorities[0].key_id, "J8Gs1jGYXJ0fwujoNwWeHDGMiCTgp8NA");
    assert_eq!(encode_spiffe(&bundle), ENDPOINT_BODY);
}

#[test]
fn unset_numbers_are_not_written() {
    let unset = Bundle { sequence_number: 0, refresh_hint: 0, ..spire_bundle() };
    let (want, _) = ENDPOINT_BODY.split_once(",\n    \"spiffe_sequence\"").unwrap();
    assert_eq!(encode_spiffe(&unset), format!("{want}\n}}"));
    assert_eq!(encode_spiffe(&Bundle::new(example_org())), "{\n    \"keys\": []\n}");
}

#[test]
fn every_kind_of_key_comes_back() {
    let mut bundle = spire_bundle();
    bundle.x509_authorities = roots();
    bundle.jwt_authorities.push(JwtAuthority::new("<rsa>&", RSA_KEY.public_key().clone()));
    let p384 = PrivateKey::generate(KeyType::EcP384).unwrap();
    bundle.wit_authorities.push(WitAuthority::new("w", p384.public_key().clone()));
    bundle.sequence_number = u64::MAX;
    let text = encode_spiffe(&bundle);
    assert!(text.contains(r#""kid": "\u003crsa\u003e\u0026""#), "as Go escapes");
    assert_eq!(decode(&text).unwrap(), bundle);
}

#[test]
fn the_workload_api_gets_plain_keys() {
    let mut bundle = spire_bundle();
    bundle.wit_authorities.push(WitAuthority::new("w", ec_key()));
    let want = r#"{
    "keys": [
        {
            "kty": "EC",
            "kid": "J8Gs1jGYXJ0fwujoNwWeHDGMiCTgp8NA",
            "crv": "P-256",
            "x": "_iZufTbUY5OtJayi0C-G1TivgjrbZzIxDvhjjcKjRAo",
            "y": "HtHlSUW30Esivjvx5G5UAYMO_1TaUR7QGGGvDE-DL9U"
        }
    ]
}"#;
    assert_eq!(String::from_utf8(encode_jwks_workload(&bundle)).unwrap(), want);
    assert_eq!(encode_jwks_workload(&Bundle::new(example_org())), b"{\n    \"keys\": []\n}");
}

#[test]
fn pem_both_ways() {
    let bundle = decode_pem(example_org(), ROOTS.as_bytes()).unwrap();
    assert_eq!(bundle.x509_authorities.len(), 3);
    assert_eq!(encode_pem(&bundle), ROOTS);
    assert_eq!(
        decode_pem(example_org(), format!("{ROOTS}\n{ROOTS}").as_bytes()).unwrap(),
        bundle,
        "counted once"
    );
    let concatenated: Vec<u8> =
        bundle.x509_authorities.iter().flat_map(|root| root.certificate.der().to_vec()).collect();
    assert_eq!(bundle.x509_roots_der(), concatenated);
}

#[test]
fn pem_that_is_refused() {
    let refused = |text: &str| decode_pem(example_org(), text.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused(""), "no PEM blocks");
    assert_eq!(refused(ENDPOINT_BODY), "no PEM blocks");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(refused(&format!("{ROOTS}{key}")), r#"expected block type "CERTIFICATE"; got "PRIVATE KEY""#);
    let broken = format!("{LEAF}{}", key.replace("PRIVATE KEY", "CERTIFICATE"));
    assert!(refused(&broken).starts_with(r#"unable to parse "CERTIFICATE" PEM block 2: "#));
}

// --- documents ---

/// What a document is taken for: how many X.509 and JWT authorities, or how the text of the refusal begins.
type Verdict = Result<(usize, usize), &'static str>;

fn check(cases: impl IntoIterator<Item = (u8, String, Verdict)>) {
    for (case, document, want) in cases {
        let got = decode(&document);
        match (&got, want) {
            (Ok(bundle), Ok(counts)) => {
                let found = (bundle.x509_authorities.len(), bundle.jwt_authorities.len());
                assert_eq!(found, counts, "case {case}: {document:.400}");
            }
            (Err(error), Err(text)) => {
                assert!(error.to_string().starts_with(text), "case {case}: {error}; {document:.400}");
            }
            _ => panic!("case {case}: got {got:?}, want {want:?}; {document:.400}"),
        }
    }
}

/// The X.509 entry of the endpoint body, changed.
fn x509(change: impl FnOnce(&mut Value)) -> String {
    entry(0, change)
}

/// The JWT entry of the endpoint body, changed.
fn jwt(change: impl FnOnce(&mut Value)) -> String {
    entry(1, change)
}

fn entry(at: usize, change: impl FnOnce(&mut Value)) -> String {
    let document: Value = serde_json::from_str(ENDPOINT_BODY).unwrap();
    let mut key = document["keys"][at].clone();
    change(&mut key);
    json!({ "keys": [key] }).to_string()
}

fn remove(member: &'static str) -> impl FnOnce(&mut Value) {
    move |key| {
        key.as_object_mut().unwrap().remove(member);
    }
}

fn set(member: &'static str, value: impl Into<Value>) -> impl FnOnce(&mut Value) {
    let value = value.into();
    move |key| key[member] = value
}

#[test]
fn cases_102_to_105_document() {
    let body = ENDPOINT_BODY.to_owned();
    check([
        (102, r#"{"keys":[]}"#.to_owned(), Ok((0, 0))),
        (103, "{}".to_owned(), Err("no authorities found")),
        (103, r#"{"keys":null}"#.to_owned(), Err("no authorities found")),
        (104, r#"{"keys":{}}"#.to_owned(), Err("no authorities found")),
        (104, r#"{"keys":[5]}"#.to_owned(), Err("no authorities found")),
        (
            104,
            format!("[{body}]"),
            Err(
                "unable to parse JWKS: json: cannot unmarshal array into Go value of type spiffebundle.bundleDoc",
            ),
        ),
        (104, String::new(), Err("unable to parse JWKS: ")),
        (104, "keys".to_owned(), Err("unable to parse JWKS: ")),
        (104, format!("\u{feff}{body}"), Err("unable to parse JWKS: ")),
        (104, ROOTS.to_owned(), Err("unable to parse JWKS: ")),
        (105, format!("{body}x"), Err("unable to parse JWKS: ")),
        (105, format!("{body}{body}"), Err("unable to parse JWKS: ")),
        (105, format!("\n{body}\n "), Ok((1, 1))),
    ]);
}

#[test]
fn cases_106_and_107_entries_that_are_passed_over() {
    check([
        (106, x509(set("use", "other")), Ok((0, 0))),
        (106, x509(remove("use")), Ok((0, 0))),
        (106, jwt(set("use", "sig")), Ok((0, 0))),
        (106, x509(set("use", "X509-SVID")), Ok((0, 0))),
        (106, jwt(set("use", Value::Null)), Ok((0, 0))),
        (107, x509(set("kty", "AKP")), Ok((0, 0))),
        (107, jwt(remove("kty")), Ok((0, 0))),
        (107, jwt(set("kty", "ec")), Ok((0, 0))),
        (107, jwt(set("crv", "secp256k1")), Ok((0, 0))),
    ]);
}

#[test]
fn cases_108_to_112_x509_entries() {
    let root = |at: usize| STANDARD.encode(roots()[at].certificate.der());
    let leaf = decode_pem(example_org(), LEAF.as_bytes()).unwrap().x509_authorities.remove(0);
    let mut leaf_entry = serde_json::to_value(Jwk::of(&leaf.certificate.public_key().unwrap())).unwrap();
    leaf_entry["use"] = "x509-svid".into();
    leaf_entry["x5c"] = json!([STANDARD.encode(leaf.certificate.der())]);
    let trailing = STANDARD.encode([roots()[0].certificate.der(), &[0]].concat());
    let not_a_certificate = Err("error adding authority 0 of JWKS: x5c is not a certificate");
    check([
        (108, x509(remove("x5c")), Ok((0, 0))),
        (108, x509(set("x5c", json!([]))), Ok((0, 0))),
        (108, x509(set("x5c", Value::Null)), Ok((0, 0))),
        (109, x509(set("x5c", json!([root(0), root(1)]))), Ok((1, 0))),
        (109, x509(set("x5c", json!([root(0), "garbage"]))), Ok((1, 0))),
        (
            110,
            x509(set("x5c", json!([URL_SAFE_NO_PAD.encode(roots()[0].certificate.der())]))),
            not_a_certificate,
        ),
        (110, x509(set("x5c", json!(["garbage"]))), not_a_certificate),
        (110, x509(set("x5c", json!([STANDARD.encode("garbage")]))), not_a_certificate),
        (110, x509(set("x5c", json!([trailing]))), not_a_certificate),
        (110, x509(set("x5c", root(0))), not_a_certificate),
        (110, x509(set("x5c", json!([5]))), not_a_certificate),
        (
            110,
            x509(set("x5c", json!([root(2)]))),
            Err("error adding authority 0 of JWKS: public keys in key and x5c"),
        ),
        (111, x509(set("kid", "x")), Ok((1, 0))),
        (112, json!({"keys": [leaf_entry]}).to_string(), Ok((1, 0))),
    ]);
}

#[test]
fn cases_113_to_118_jwt_entries() {
    let document: Value = serde_json::from_str(ENDPOINT_BODY).unwrap();
    let entry = &document["keys"][1];
    let mut other = serde_json::to_value(Jwk::of(&ec_key())).unwrap();
    other["use"] = "jwt-svid".into();
    other["kid"] = entry["kid"].clone();
    let secret = json!({"use": "jwt-svid", "kty": "oct", "kid": "s", "k": "c2VjcmV0"});
    let ed25519 = json!({"use": "jwt-svid", "kty": "OKP", "kid": "e", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let wit =
        json!({"use": "wit-svid", "kid": "w", "kty": "EC", "crv": "P-256", "x": entry["x"], "y": entry["y"]});
    let two = |second: &Value| json!({ "keys": [entry, second] }).to_string();
    let bad_key = Err("error adding authority 0 of JWKS: ");
    check([
        (113, jwt(remove("kid")), Err("missing key ID in jwt-svid entry 0")),
        (113, jwt(set("kid", "")), Err("missing key ID in jwt-svid entry 0")),
        (113, jwt(set("kid", 5)), Err("missing key ID in jwt-svid entry 0")),
        (114, two(entry), Ok((0, 1))),
        (114, two(&other), Err("key ID of jwt-svid entry 1 belongs to another key already")),
        (115, jwt(set("y", entry["x"].clone())), bad_key),
        (115, jwt(set("x", "AAAA")), bad_key),
        (115, jwt(set("x", format!("A{}", entry["x"].as_str().unwrap()))), bad_key),
        (115, jwt(remove("y")), bad_key),
        (115, jwt(set("y", 5)), bad_key),
        (115, jwt(remove("crv")), bad_key),
        (115, json!({"keys": [{"use": "jwt-svid", "kty": "RSA", "kid": "r"}]}).to_string(), bad_key),
        (117, json!({ "keys": [secret] }).to_string(), Ok((0, 0))),
        (118, json!({ "keys": [ed25519] }).to_string(), Ok((0, 0))),
    ]);
    let wit_bundle = decode(two(&wit)).unwrap();
    assert_eq!((wit_bundle.jwt_authorities.len(), wit_bundle.wit_authorities.len()), (1, 1));
    assert!(wit_bundle.find_jwt("w").is_none(), "kept apart");

    let private = decode(jwt(set("d", "c2VjcmV0"))).unwrap();
    assert_eq!(private.jwt_authorities.len(), 1, "case 116");
    assert!(!encode_spiffe(&private).contains("\"d\""), "case 116: never published again");
}

#[test]
fn rsa_keys_out_of_range_are_passed_over_and_broken_ones_refused() {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = |modulus: &[u8], exponent: &[u8]| {
        let key =
            json!({"use": "jwt-svid", "kid": "r", "kty": "RSA", "n": number(modulus), "e": number(exponent)});
        json!({ "keys": [key] }).to_string()
    };
    check([
        (107, rsa(&[0xff; 128], &[1, 0, 1]), Ok((0, 0))),
        (107, rsa(&[0xff; 1025], &[1, 0, 1]), Ok((0, 0))),
        (107, rsa(&[], &[1, 0, 1]), Ok((0, 0))),
        (107, rsa(&[0xff; 256], &[0xff; 16]), Err("error adding authority 0 of JWKS: the key is not valid")),
        (107, rsa(&[0xff; 256], &[]), Err("error adding authority 0 of JWKS: the key is not valid")),
    ]);
}

#[test]
fn cases_119_to_122_members() {
    let with = |members: &str| ENDPOINT_BODY.replace("\"spiffe_sequence\": 1", members);
    let sequence = |value: &str| with(&format!("\"spiffe_sequence\": {value}"));
    let hint = |value: &str| ENDPOINT_BODY.replace("hint\": 300", &format!("hint\": {value}"));
    let not_a_sequence = Err("spiffe_sequence is not an integer in range");
    let not_a_hint = Err("spiffe_refresh_hint is not an integer in range");
    check([
        (119, sequence("\"1\""), not_a_sequence),
        (119, sequence("-1"), not_a_sequence),
        (119, sequence("1.0"), not_a_sequence),
        (119, sequence("18446744073709551616"), not_a_sequence),
        (119, sequence("9223372036854775808"), Ok((1, 1))),
        (119, sequence("null"), Ok((1, 1))),
        (120, hint("\"300\""), not_a_hint),
        (120, hint("1.5"), not_a_hint),
        (121, with("\"other\": {\"a\": [1]}"), Ok((1, 1))),
        (122, with("\"keys\": []"), Err("unable to parse JWKS: json: duplicate key 'keys' in object")),
        (
            122,
            jwt(|_| ()).replace("\"kid\"", "\"kid\":\"x\",\"kid\""),
            Err("unable to parse JWKS: json: duplicate"),
        ),
        (122, " ".repeat(DOCUMENT_MAX + 1), Err("the bundle is too long")),
    ]);
    assert_eq!(decode(sequence("9223372036854775808")).unwrap().sequence_number, 1 << 63);
    for (value, want) in [
        ("0", 0),
        ("-5", 0),
        ("60", 60),
        ("9223372036854775807", REFRESH_HINT_MAX),
        ("18446744073709551615", REFRESH_HINT_MAX),
    ] {
        assert_eq!(decode(hint(value)).unwrap().refresh_hint, want, "case 120: {value}");
    }
}

#[test]
fn case_123_older_bundles() {
    let at = |sequence_number| Bundle { sequence_number, ..Bundle::new(example_org()) };
    assert!(at(4).is_older_than(&at(5)));
    assert!(!at(5).is_older_than(&at(5)));
    assert!(!at(6).is_older_than(&at(5)));
    assert!(!at(0).is_older_than(&at(5)), "says nothing: what was fetched last is the newest");
}

// --- rules ---

#[test]
fn append_adds_what_is_unknown() {
    let mut bundle = spire_bundle();
    bundle.x509_authorities[0].tainted = true;
    let before = bundle.clone();
    assert!(!bundle.append(&spire_bundle()), "taint does not make an authority another one");
    assert_eq!(bundle, before);

    let mut more = Bundle::new(example_org());
    more.x509_authorities = roots();
    more.jwt_authorities = vec![JwtAuthority::new("new", ec_key()), JwtAuthority::new("new", ec_key())];
    more.wit_authorities = vec![WitAuthority::new("new", ec_key())];
    assert!(bundle.append(&more));
    let counts = (bundle.x509_authorities.len(), bundle.jwt_authorities.len(), bundle.wit_authorities.len());
    assert_eq!(counts, (3, 2, 1), "no second key under one key ID");
    assert_eq!(bundle.sequence_number, 2);
    assert!(!bundle.append(&more));

    let impostor =
        Bundle { jwt_authorities: vec![JwtAuthority::new("new", ec_key())], ..Bundle::new(example_org()) };
    assert!(!bundle.append(&impostor));
}

#[test]
fn prune_removes_what_ended_but_never_all() {
    let key = |key_id: &str, expires_at| JwtAuthority {
        expires_at: UnixTime::from_seconds(expires_at),
        ..JwtAuthority::new(key_id, ec_key())
    };
    let mut bundle = spire_bundle();
    bundle.x509_authorities = roots();
    bundle.jwt_authorities = vec![key("old", 100), key("new", 2_000_000_000), key("forever", 0)];
    let oldest = bundle.x509_authorities[1].certificate.not_after();

    let nothing = bundle.clone().prune(UnixTime::from_seconds(99)).unwrap();
    assert!(nothing.is_empty());

    let pruned = bundle.prune(oldest).unwrap();
    assert_eq!(pruned.x509_authorities, [roots()[1].clone()], "at its very end");
    assert_eq!(pruned.jwt_authorities.len(), 1);
    assert_eq!(
        (bundle.x509_authorities.len(), bundle.jwt_authorities.len(), bundle.sequence_number),
        (2, 2, 2)
    );
    assert!(bundle.prune(oldest).unwrap().is_empty());
    assert_eq!((bundle.sequence_number, bundle.refresh_hint), (2, 300));

    let before = bundle.clone();
    let late = UnixTime::from_seconds(3_000_000_000);
    assert_eq!(bundle.prune(late), Err(PruneError::AllX509));
    assert_eq!(bundle, before, "nothing was changed");
    bundle.x509_authorities.clear();
    bundle.jwt_authorities.pop();
    assert_eq!(bundle.prune(late), Err(PruneError::AllJwt));
    bundle.jwt_authorities.clear();
    let ending = WitAuthority { expires_at: UnixTime::from_seconds(1), ..WitAuthority::new("w", ec_key()) };
    bundle.wit_authorities.push(ending);
    assert_eq!(bundle.prune(late), Err(PruneError::AllWit));
}

#[test]
fn taint_then_revoke_x509() {
    let mut bundle = spire_bundle();
    bundle.x509_authorities = roots();
    let id = AuthorityId::new("fef45e6d4597045a2e5f022d8c0f60da2a2cb055");
    let unknown = AuthorityId::new("00");
    assert_eq!(bundle.taint_x509(&unknown), Err(AuthorityError::X509NotFound));
    assert_eq!(bundle.revoke_x509(&unknown), Err(AuthorityError::X509NotFoundToRevoke));
    assert_eq!(bundle.revoke_x509(&id), Err(AuthorityError::X509NotTainted));
    assert_eq!(bundle.sequence_number, 1);

    bundle.taint_x509(&id).unwrap();
    assert_eq!(bundle.taint_x509(&id), Err(AuthorityError::X509AlreadyTainted));
    let tainted: Vec<bool> = bundle.x509_authorities.iter().map(|authority| authority.tainted).collect();
    assert_eq!(tainted, [true, false, false]);

    let revoked = bundle.revoke_x509(&id).unwrap();
    assert_eq!((revoked.len(), bundle.x509_authorities.len(), bundle.sequence_number), (1, 2, 3));
}

#[test]
fn taint_then_revoke_jwt() {
    let mut bundle = spire_bundle();
    let id = bundle.jwt_authorities[0].id();
    let unknown = AuthorityId::new("x");
    assert_eq!(bundle.taint_jwt(&unknown), Err(AuthorityError::JwtNotFound));
    assert_eq!(bundle.revoke_jwt(&unknown), Err(AuthorityError::JwtNotFound));
    assert_eq!(bundle.revoke_jwt(&id), Err(AuthorityError::JwtNotTainted));

    assert!(bundle.taint_jwt(&id).unwrap().tainted);
    assert_eq!(bundle.taint_jwt(&id), Err(AuthorityError::JwtAlreadyTainted));
    assert!(bundle.jwt_key(id.as_str()).is_ok(), "tainted is still trusted");
    assert!(bundle.revoke_jwt(&id).is_ok());
    assert!(bundle.jwt_key(id.as_str()).is_err());
    assert_eq!(bundle.sequence_number, 3);
}

#[test]
fn refusals_are_sorted_as_spire_does() {
    assert_eq!(AuthorityError::X509NotFound.code(), Code::NotFound);
    assert_eq!(AuthorityError::JwtNotFound.code(), Code::NotFound);
    assert_eq!(AuthorityError::JwtAlreadyTainted.code(), Code::InvalidArgument);
    assert_eq!(AuthorityError::X509NotTainted.code(), Code::InvalidArgument);
}

#[test]
fn the_p521_root_is_known() {
    assert_eq!(roots()[1].certificate.public_key().unwrap().kind(), PublicKeyKind::EcP521);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
        let _ = decode_pem(example_org(), &bytes);
    }

    #[test]
    fn mutated_documents_never_panic(
        at in any::<proptest::sample::Index>(), with in any::<u8>(), cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = ENDPOINT_BODY.as_bytes().to_vec();
        let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
        let _ = decode(&bytes[..cut]);
        bytes[at] = with;
        if let Ok(bundle) = decode(&bytes) {
            prop_assert_eq!(decode(encode_spiffe(&bundle)).unwrap(), bundle);
        }
    }

    #[test]
    fn whatever_is_encoded_is_decoded(
        key_ids in proptest::collection::btree_set(".{1,12}", 0..4), sequence_number: u64, hint in 0..REFRESH_HINT_MAX,
    ) {
        let key = spire_bundle().jwt_authorities[0].public_key.clone();
        let bundle = Bundle {
            sequence_number,
            refresh_hint: hint,
            jwt_authorities: key_ids.iter().map(|key_id| JwtAuthority::new(key_id, key.clone())).collect(),
            ..spire_bundle()
        };
        prop_assert_eq!(decode(encode_spiffe(&bundle)).unwrap(), bundle);
    }
}
