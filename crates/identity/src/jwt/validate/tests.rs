//! Cases 69 to 100 of `docs/reference/bad-input.md`, each with the verdict that a SPIRE drop-in owes. The
//! texts are those of SPIRE's agent where it refuses as well.

use super::*;
use crate::jwt::{Algorithm, JwtSvid, TOKEN_MAX, assemble};
use crate::key::SignatureScheme;
use crate::{KeyType, PrivateKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use std::sync::LazyLock;

const NOW: i64 = 1_800_000_000;
const HEADER: &str = r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#;

struct Keys {
    p256: PrivateKey,
    p384: PrivateKey,
    rsa: PrivateKey,
    stranger: PrivateKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let generate = |kind| PrivateKey::generate(kind).unwrap();
    Keys {
        p256: generate(KeyType::EcP256),
        p384: generate(KeyType::EcP384),
        rsa: generate(KeyType::Rsa2048),
        stranger: generate(KeyType::EcP256),
    }
});

fn find_key(trust_domain: &TrustDomain, key_id: &str) -> Result<PublicKey, JwtError> {
    if trust_domain.as_str() != "example.org" {
        return Err(JwtError::NoBundle(trust_domain.clone()));
    }
    let key = match key_id {
        "ec" => &KEYS.p256,
        "ec384" => &KEYS.p384,
        "rsa" => &KEYS.rsa,
        _ => {
            let (key_id, trust_domain) = (key_id.to_owned(), trust_domain.clone());
            return Err(JwtError::UnknownKey { key_id, trust_domain });
        }
    };
    Ok(key.public_key().clone())
}

fn judge(token: &str) -> Result<ValidatedJwtSvid, JwtError> {
    validate(token, "aud1", UnixTime::from_seconds(NOW).to_system_time(), &find_key)
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and payload as they stand, signed with `key` as `algorithm` would.
fn signed(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    key: &PrivateKey,
    algorithm: Algorithm,
) -> String {
    let input = format!("{}.{}", base64(header), base64(payload));
    let signature = key.sign(algorithm.scheme(), input.as_bytes()).unwrap();
    assemble(input, algorithm.scheme(), &signature).unwrap()
}

fn with_header(header: impl AsRef<[u8]>) -> String {
    signed(header, payload(""), &KEYS.p256, Algorithm::Es256)
}

fn with_payload(payload: impl AsRef<[u8]>) -> String {
    signed(HEADER, payload, &KEYS.p256, Algorithm::Es256)
}

/// A good payload in which `claims` replace those of the same name; the value `DROP` leaves one out.
fn payload(claims: &str) -> String {
    let mut good = vec![
        ("sub", r#""spiffe://example.org/workload""#.to_owned()),
        ("aud", r#"["aud1"]"#.to_owned()),
        ("exp", (NOW + 300).to_string()),
        ("iat", NOW.to_string()),
    ];
    let replaced = |name: &str| claims.contains(&format!("{name:?}:"));
    good.retain(|(name, _)| !replaced(name));
    let mut members: Vec<String> = good.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    members.extend((!claims.is_empty() && !claims.ends_with("DROP")).then(|| claims.to_owned()));
    format!("{{{}}}", members.join(","))
}

fn claims(claims: &str) -> String {
    with_payload(payload(claims))
}

fn good() -> String {
    claims("")
}

fn parts(token: &str) -> (&str, &str, &str) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    (header, payload, signature)
}

const CRYPTO: &str = "go-jose/go-jose: error in cryptographic primitive";
const THREE_PARTS: &str =
    "unable to parse JWT token: go-jose/go-jose: compact JWS format must have three parts";
const ILLEGAL_BASE64: &str = "unable to parse JWT token: illegal base64 data at input byte ";
const TYPE: &str = "token header type not equal to either JWT or JOSE";
const DATE: &str = "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate";
const AUDIENCE: &str = "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience";

/// Each line: the number of the case, the token, and the beginning of the text it is refused with, or
/// nothing if it is accepted.
fn check(cases: impl IntoIterator<Item = (u8, String, &'static str)>) {
    for (case, token, want) in cases {
        match judge(&token) {
            Ok(svid) => {
                assert_eq!(want, "", "case {case}: accepted {token:.600}");
                assert_eq!(svid.id.trust_domain().as_str(), "example.org");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !want.is_empty() && text.starts_with(want),
                    "case {case}: {token:.600}\n got {text}\nwant {want}"
                );
            }
        }
    }
}

#[test]
fn cases_69_to_72_algorithm_key_and_signature() {
    let wrong = |alg: &str| {
        let header = format!(r#"{{"alg":{alg},"kid":"ec","typ":"JWT"}}"#);
        with_header(header)
    };
    let unexpected = |name: &str| -> &'static str {
        let list = r#"["ES256" "ES384" "ES512" "RS256" "RS384" "RS512" "PS256" "PS384" "PS512"]"#;
        format!("unable to parse JWT token: unexpected signature algorithm {name:?}; expected {list}").leak()
    };
    check([
        (69, wrong(r#""none""#), unexpected("none")),
        (69, wrong(r#""NONE""#), unexpected("NONE")),
        (69, wrong(r#""HS256""#), unexpected("HS256")),
        (69, wrong(r#""EdDSA""#), unexpected("EdDSA")),
        (69, wrong(r#""es256""#), unexpected("es256")),
        (69, wrong("null"), unexpected("")),
        (69, wrong("5"), "unable to parse JWT token: failed to unmarshal algorithm"),
        (69, with_header(r#"{"kid":"ec","typ":"JWT"}"#), unexpected("")),
        (
            69,
            format!("{}.{}.", base64(r#"{"alg":"none","kid":"ec"}"#), base64(payload(""))),
            unexpected("none"),
        ),
        (70, wrong(r#""RS256""#), CRYPTO),
        (70, wrong(r#""ES384""#), CRYPTO),
        (70, with_header(r#"{"alg":"ES256","kid":"rsa"}"#), CRYPTO),
        (70, with_header(r#"{"alg":"ES256","kid":"ec384"}"#), CRYPTO),
        (70, signed(r#"{"alg":"RS512","kid":"rsa"}"#, payload(""), &KEYS.rsa, Algorithm::Rs256), CRYPTO),
        (70, signed(r#"{"alg":"PS256","kid":"rsa"}"#, payload(""), &KEYS.rsa, Algorithm::Rs256), CRYPTO),
        (71, with_header(r#"{"alg":"ES256","typ":"JWT"}"#), "token header missing key id"),
        (71, with_header(r#"{"alg":"ES256","kid":""}"#), "token header missing key id"),
        (71, with_header(r#"{"alg":"ES256","kid":null}"#), "token header missing key id"),
        (
            71,
            with_header(r#"{"alg":"ES256","kid":7}"#),
            "unable to parse JWT token: failed to unmarshal key ID",
        ),
        (
            71,
            with_header(r#"{"alg":"ES256","kid":"x"}"#),
            r#"public key "x" not found in trust domain "example.org""#,
        ),
        (
            71,
            with_header(r#"{"alg":"ES256","kid":"EC"}"#),
            r#"public key "EC" not found in trust domain "example.org""#,
        ),
    ]);

    let token = good();
    let (header, body, signature) = parts(&token);
    let fixed = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der =
        KEYS.p256.sign(SignatureScheme::EcdsaP256Sha256, format!("{header}.{body}").as_bytes()).unwrap();
    check([
        (72, signed(HEADER, payload(""), &KEYS.stranger, Algorithm::Es256), CRYPTO),
        (72, format!("{header}.{}.{signature}", base64(payload(r#""x":1"#))), CRYPTO),
        (72, format!("{header}.{body}.{}", base64([0; 64])), CRYPTO),
        (72, format!("{header}.{body}.{}", base64([0xff; 64])), CRYPTO),
        (72, format!("{header}.{body}."), CRYPTO),
        (72, format!("{header}.{body}.{}", base64(der)), CRYPTO),
        (72, format!("{header}.{body}.{}", base64(&fixed[..63])), CRYPTO),
        (72, format!("{header}.{body}.{}", base64([&fixed[..], &[0]].concat())), CRYPTO),
    ]);
}

#[test]
fn every_algorithm_is_accepted_with_its_key() {
    let signs = [
        (Algorithm::Es256, "ec", &KEYS.p256),
        (Algorithm::Es384, "ec384", &KEYS.p384),
        (Algorithm::Rs256, "rsa", &KEYS.rsa),
        (Algorithm::Rs384, "rsa", &KEYS.rsa),
        (Algorithm::Rs512, "rsa", &KEYS.rsa),
        (Algorithm::Ps256, "rsa", &KEYS.rsa),
        (Algorithm::Ps384, "rsa", &KEYS.rsa),
        (Algorithm::Ps512, "rsa", &KEYS.rsa),
    ];
    for (algorithm, key_id, key) in signs {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{key_id}","typ":"JWT"}}"#);
        check([(75, signed(header, payload(""), key, algorithm), "")]);
    }
}

#[test]
fn cases_73_to_79_header() {
    let extra = |member: &str| with_header(format!(r#"{{"alg":"ES256","kid":"ec",{member}}}"#));
    let attacker = serde_json::to_string(&crate::jwt::Jwk::of(KEYS.stranger.public_key())).unwrap();
    let own_key = format!(r#"{{"alg":"ES256","kid":"ec","jwk":{attacker}}}"#);
    check([
        (73, extra(r#""typ":"OTHER""#), TYPE),
        (73, extra(r#""typ":"jwt""#), TYPE),
        (73, extra(r#""typ":"at+jwt""#), TYPE),
        (73, extra(r#""typ":"wit+jwt""#), TYPE),
        (73, extra(r#""typ":5"#), TYPE),
        (73, extra(r#""typ":"""#), TYPE),
        (74, extra(r#""typ":null"#), TYPE),
        (75, extra(r#""typ":"JWT""#), ""),
        (75, extra(r#""typ":"JOSE""#), ""),
        (75, with_header(r#"{"alg":"ES256","kid":"ec"}"#), ""),
        (76, extra(r#""x5t":"abc""#), ""),
        (76, extra(r#""foo":{"bar":[1]}"#), ""),
        (76, extra(r#""jku":"https://attacker.example/keys""#), ""),
        (77, signed(own_key, payload(""), &KEYS.stranger, Algorithm::Es256), CRYPTO),
        (78, extra(r#""crit":["foo"],"foo":1"#), "go-jose/go-jose: unsupported critical header"),
        (78, extra(r#""crit":[]"#), "go-jose/go-jose: unsupported critical header"),
        (78, extra(r#""crit":null"#), "go-jose/go-jose: unsupported critical header"),
        (79, extra(r#""b64":false"#), CRYPTO),
        (79, extra(r#""b64":false,"crit":["b64"]"#), "go-jose/go-jose: unsupported critical header"),
    ]);
}

#[test]
fn cases_80_to_82_serialization() {
    let token = good();
    let (header, body, signature) = parts(&token);
    let flattened = format!(r#"{{"payload":"{body}","protected":"{header}","signature":"{signature}"}}"#);
    let general = format!(
        r#"{{"payload":"{body}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
    );
    let standard_alphabet = format!(
        "{}.{body}.{signature}",
        STANDARD_NO_PAD.encode(r#"{"alg":"ES256","kid":"ec","x":"???>>>"}"#)
    );
    assert!(standard_alphabet.contains(['+', '/']));
    check([
        (80, String::new(), THREE_PARTS),
        (80, "garbage".to_owned(), THREE_PARTS),
        (80, format!("{header}.{body}"), THREE_PARTS),
        (80, format!("{token}.x"), THREE_PARTS),
        (80, format!("{header}.{body}.{signature}.{signature}.{signature}"), THREE_PARTS),
        (80, flattened, THREE_PARTS),
        (80, general, THREE_PARTS),
        (80, "..".to_owned(), r#"unable to parse JWT token: unexpected signature algorithm """#),
        (81, format!(" {token}"), ILLEGAL_BASE64),
        (81, format!("{token} "), ILLEGAL_BASE64),
        (81, format!("{header}.{}.{signature}", URL_SAFE.encode(payload(r#""x":1"#))), ILLEGAL_BASE64),
        (81, format!("{token}=="), ILLEGAL_BASE64),
        (81, standard_alphabet, ILLEGAL_BASE64),
        (81, format!("{header}.{body}.*"), ILLEGAL_BASE64),
        (82, format!("{header}\n.{body}.{signature}"), ILLEGAL_BASE64),
        (82, format!("{header}.\r\n{body}.{signature}"), ILLEGAL_BASE64),
        (82, format!("{token}\n"), ILLEGAL_BASE64),
        (82, format!("{header}.{body}\t.{signature}"), ILLEGAL_BASE64),
    ]);
}

/// The last symbol of a part may carry bits that mean nothing; were they free, one token would have
/// several spellings.
#[test]
fn a_token_has_one_spelling() {
    let token = good();
    let last = token.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for symbol in alphabet.chars().filter(|symbol| *symbol != last) {
        let other = format!("{}{symbol}", &token[..token.len() - 1]);
        assert!(judge(&other).is_err(), "{symbol}");
    }
}

#[test]
fn cases_83_to_86_subject() {
    let invalid = "token has in invalid subject claim: ";
    check([
        (83, claims(r#""sub":DROP"#), "token missing subject claim"),
        (83, claims(r#""sub":"""#), "token missing subject claim"),
        (83, claims(r#""sub":null"#), "token missing subject claim"),
        (83, claims(r#""sub":"joe""#), "token has in invalid subject claim: scheme is missing or invalid"),
        (83, claims(r#""sub":"https://example.org/a""#), invalid),
        (83, claims(r#""sub":5"#), "json: "),
        (83, claims(r#""sub":["spiffe://example.org/a"]"#), "json: "),
        (83, claims(r#""sub":"spiffe://example.org/a/""#), invalid),
        (83, claims(r#""sub":"spiffe://example.org/a?b""#), invalid),
        (84, claims(r#""sub":"spiffe://EXAMPLE.org/a""#), invalid),
        (85, claims(r#""sub":"spiffe://other.org/a""#), r#"no keys found for trust domain "other.org""#),
        (86, claims(r#""sub":"spiffe://example.org""#), ""),
    ]);
}

#[test]
fn cases_87_to_89_audience() {
    check([
        (87, claims(r#""aud":DROP"#), r#"expected audience in ["aud1"] (audience=[])"#),
        (87, claims(r#""aud":[]"#), r#"expected audience in ["aud1"] (audience=[])"#),
        (87, claims(r#""aud":null"#), AUDIENCE),
        (87, claims(r#""aud":5"#), AUDIENCE),
        (87, claims(r#""aud":["aud1",5]"#), AUDIENCE),
        (87, claims(r#""aud":{"aud1":1}"#), AUDIENCE),
        (88, claims(r#""aud":["a","b"]"#), r#"expected audience in ["aud1"] (audience=["a" "b"])"#),
        (88, claims(r#""aud":["AUD1"]"#), r#"expected audience in ["aud1"] (audience=["AUD1"])"#),
        (88, claims(r#""aud":["aud"]"#), r#"expected audience in ["aud1"] (audience=["aud"])"#),
        (88, claims(r#""aud":["aud11"]"#), "expected audience in "),
        (88, claims(r#""aud":[""]"#), "expected audience in "),
        (89, claims(r#""aud":"aud1""#), ""),
        (89, claims(r#""aud":["x","aud1","y"]"#), ""),
    ]);
    let empty =
        validate(&claims(r#""aud":[""]"#), "", UnixTime::from_seconds(NOW).to_system_time(), &find_key);
    assert!(matches!(empty, Err(JwtError::WrongAudience { .. })), "nobody is nobody's audience");
}

#[test]
fn cases_90_to_96_times() {
    let exp = |value: &str| claims(&format!(r#""exp":{value}"#));
    let at = |name: &str, offset: i64| claims(&format!(r#"{name:?}:{}"#, NOW + offset));
    let expired = "token has expired";
    let not_yet = "go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)";
    let future = "go-jose/go-jose/jwt: validation field, token issued in the future (iat)";
    check([
        (90, exp("DROP"), "token missing exp claim"),
        (90, exp("null"), "token missing exp claim"),
        (90, exp("0"), expired),
        (90, exp("-1"), expired),
        (91, at("exp", -3600), expired),
        (91, at("exp", -90), expired),
        (91, at("exp", -61), expired),
        (91, at("exp", -60), ""),
        (91, at("exp", -5), ""),
        (92, exp(&format!("\"{}\"", NOW + 300)), DATE),
        (92, exp("true"), DATE),
        (93, exp(&format!("{}.5", NOW + 300)), ""),
        (93, exp("1.8000003e9"), ""),
        (94, exp("1e300"), DATE),
        (94, exp("-1e300"), DATE),
        (94, exp("9223372036854775808"), DATE),
        (94, exp("18446744073709551615"), DATE),
        (94, exp("1e999"), "json: "),
        (94, exp("9223372036854775807"), DATE),
        (94, exp("-9223372036854775808"), DATE),
        (94, exp("8999999999999990000"), ""),
        (94, exp("-8999999999999990000"), expired),
        (95, at("nbf", 3600), not_yet),
        (95, at("nbf", 61), not_yet),
        (95, at("nbf", 60), ""),
        (95, at("nbf", -3600), ""),
        (95, claims(r#""nbf":"1""#), DATE),
        (95, claims(r#""nbf":8999999999999990000"#), not_yet),
        (96, at("iat", 3600), future),
        (96, at("iat", 60), ""),
        (96, claims(r#""iat":DROP"#), ""),
        (96, claims(r#""iat":9223372036854775807"#), DATE),
        (96, claims(r#""iat":8999999999999990000"#), future),
        (96, claims(r#""iat":-8999999999999990000"#), ""),
    ]);
}

#[test]
fn cases_97_and_98_json() {
    let refused_header = "unable to parse JWT token: json: ";
    let twice = "json: duplicate key 'sub' in object";
    check([
        (97, with_header(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#), refused_header),
        (97, with_header(r#"{"alg":"ES256","kid":"ec","kid":"ec"}"#), refused_header),
        (97, with_payload(payload("").replace('{', r#"{"sub":"spiffe://example.org/b","#)), twice),
        (97, with_payload(payload("").replace('{', r#"{"s\u0075b":"x","#)), twice),
        (97, claims(r#""deep":[{"a":1,"a":2}]"#), "json: duplicate key 'a' in object"),
        (98, with_payload(r#"["sub"]"#), "json: cannot unmarshal array into Go value of type jwt.Claims"),
        (98, with_payload("xyz"), "invalid character 'x' looking for beginning of value"),
        (98, with_payload(""), "unexpected end of JSON input"),
        (98, with_payload(format!("{} x", payload(""))), "invalid character 'x' after top-level value"),
        (98, with_payload(format!("{}{{}}", payload(""))), "invalid character '{' after top-level value"),
        (98, with_payload(format!(r#"{{"x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000))), "json: "),
        (98, with_header(r#"["alg"]"#), refused_header),
        (98, with_header(b"{\"alg\":\"ES256\",\"kid\":\"ec\",\"x\":\"\xff\"}"), refused_header),
        (98, with_payload([b"{\"x\":\"\xff\",", &payload("").as_bytes()[1..]].concat()), "json: "),
    ]);
}

#[test]
fn cases_99_and_100_other_claims() {
    let long = "x".repeat(64 << 10);
    check([
        (99, claims(r#""iss":"https://issuer","jti":"j","groups":["a",{"b":null}]"#), ""),
        (99, claims(r#""iss":5"#), "json: "),
        (100, claims(&format!(r#""long":"{long}""#)), ""),
        (100, "x".repeat(TOKEN_MAX + 1), "unable to parse JWT token: the token is too long"),
    ]);
}

#[test]
fn what_the_validator_learns() {
    let token = claims(r#""aud":"aud1","groups":["a"],"admin":true"#);
    let mut svid = judge(&token).unwrap();
    assert_eq!(svid.id.as_str(), "spiffe://example.org/workload");
    assert_eq!(svid.expires_at.seconds(), NOW + 300);
    assert_eq!(svid.claims["aud"], serde_json::json!(["aud1"]), "always a list");
    svid.keep_standard_claims_and(|name| name == "groups");
    let names: Vec<&String> = svid.claims.keys().collect();
    assert_eq!(names, ["aud", "exp", "groups", "sub"]);
}

#[test]
fn what_the_holder_learns() {
    let token = claims(&format!(r#""exp":{}"#, NOW - 9999));
    let svid = JwtSvid::parse_unverified(token.clone()).unwrap();
    assert_eq!((svid.issued_at.seconds(), svid.expires_at.seconds()), (NOW, NOW - 9999));
    assert_eq!(svid.audience, ["aud1"]);
    assert!(!format!("{svid:?}").contains(&token), "a bearer credential is not printed");
    let refused = |token: String| JwtSvid::parse_unverified(token).unwrap_err();
    assert_eq!(refused(claims(r#""iat":DROP"#)), JwtError::MissingIssuedAt);
    assert_eq!(refused(claims(r#""exp":DROP"#)), JwtError::MissingExpiry);
    assert_eq!(refused(claims(r#""sub":DROP"#)), JwtError::MissingSubject);
    assert_eq!(refused("garbage".to_owned()).to_string(), THREE_PARTS);
}

/// Messages end in the trailers of an RPC.
#[test]
fn long_foreign_texts_make_short_messages() {
    let long = "x".repeat(1 << 20);
    let many = vec![r#""y""#; 10_000].join(",");
    for token in [
        claims(&format!(r#""aud":"{long}""#)),
        claims(&format!(r#""aud":[{many}]"#)),
        claims(&format!(r#""{long}":1,"{long}":2"#)),
        with_header(format!(r#"{{"alg":"ES256","kid":"{long}"}}"#)),
        with_header(format!(r#"{{"alg":"{long}","kid":"ec"}}"#)),
    ] {
        let text = judge(&token).unwrap_err().to_string();
        assert!(text.len() < 1000, "{} bytes", text.len());
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}", parts in "[A-Za-z0-9_.\\-]{0,200}") {
        prop_assert!(judge(&text).is_err());
        prop_assert!(judge(&parts).is_err());
        let _ = JwtSvid::parse_unverified(text);
    }

    #[test]
    fn arbitrary_claims_never_panic(name in "sub|aud|exp|nbf|iat|iss|jti", value in r#"[\[\]\{\}",:a0-9eE+\.\-]{0,24}"#) {
        let _ = judge(&claims(&format!("{name:?}:{value}")));
    }

    #[test]
    fn a_changed_token_is_not_believed(at in any::<proptest::sample::Index>(), with in any::<u8>()) {
        static TOKEN: LazyLock<String> = LazyLock::new(good);
        let mut bytes = TOKEN.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(judge(&text).is_err());
            let _ = JwtSvid::parse_unverified(text);
        }
    }
}
