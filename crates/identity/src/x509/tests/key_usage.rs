//! Key usage of issuers, as it should not be encoded (case 138). The verdicts are Go's: what is not DER is
//! refused, and what is merely odd is read.

use super::super::X509Error;
use super::super::der_reader::tag;
use super::verifying::{Draft, accepted, authority, leaf, verify};

const KEY_USAGE: &str = "2.5.29.15";
/// Certificate and CRL signing, as everybody writes it.
const SIGNING: [u8; 4] = [tag::BIT_STRING, 2, 1, 6];

/// The verdict on a sound leaf of this intermediate of a sound root.
fn verdict(draft: Draft) -> Result<String, X509Error> {
    let root = authority().authority("root", None);
    let issuer = draft.try_authority("intermediate", Some(&root))?;
    verify(&[&leaf().leaf_of(&issuer), &issuer.certificate], &[&root])
}

fn usage(value: &[u8]) -> Result<String, X509Error> {
    verdict(authority().with(KEY_USAGE, value))
}

#[test]
fn case_138_what_is_not_der() {
    for (what, value) in [
        ("a BOOLEAN", &[tag::BOOLEAN, 1, 0xff][..]),
        ("a second value", &[tag::BIT_STRING, 2, 1, 6, 5, 0]),
        ("cut off", &[tag::BIT_STRING, 2, 1]),
        ("without number of unused bits", &[tag::BIT_STRING, 0]),
        ("eight unused bits", &[tag::BIT_STRING, 2, 8, 6]),
        ("unused bits that are set", &[tag::BIT_STRING, 2, 2, 7]),
        ("unused bits of nothing", &[tag::BIT_STRING, 1, 3]),
        ("a length of two octets", &[tag::BIT_STRING, 0x81, 2, 1, 6]),
        ("without a length", &[tag::BIT_STRING, 0x80, 2, 1, 6, 0, 0]),
        ("in parts", &[0x20 | tag::BIT_STRING, 4, tag::BIT_STRING, 2, 1, 6]),
        ("nothing", &[]),
    ] {
        assert!(
            matches!(usage(value), Err(X509Error::MalformedCertificate(_))),
            "{what}: {:?}",
            usage(value)
        );
    }
    let twice = authority().with(KEY_USAGE, &SIGNING).with(KEY_USAGE, &SIGNING);
    assert!(matches!(verdict(twice), Err(X509Error::MalformedCertificate(_))), "twice");
}

#[test]
fn case_138_what_is_odd() {
    for (what, value) in [
        ("as everybody writes it", &SIGNING[..]),
        ("signing certificates only", &[tag::BIT_STRING, 2, 2, 4]),
        ("bits of value zero at the end", &[tag::BIT_STRING, 2, 0, 4]),
        ("a ninth bit", &[tag::BIT_STRING, 3, 7, 0x0c, 0x80]),
        ("a bit without a name", &[tag::BIT_STRING, 3, 6, 4, 0x40]),
    ] {
        assert_eq!(usage(value), accepted(), "{what}");
    }
    for value in [[tag::BIT_STRING, 2, 1, 2], [tag::BIT_STRING, 2, 7, 0x80], [tag::BIT_STRING, 2, 0, 0xfb]] {
        assert_eq!(usage(&value), Err(X509Error::IssuerWithoutCertSign), "{value:?}");
    }
}

/// An issuer whose key two authorities have signed: a path that is sound counts, and no other.
#[test]
fn case_138_crossed_chains() {
    let root = authority().authority("root", None);
    let restricted = authority().with(KEY_USAGE, &[tag::BIT_STRING, 2, 1, 2]).authority("upper", Some(&root));
    let sound = authority().authority("upper", Some(&root));
    let below = |upper| {
        let issuer = authority().authority("issuer", Some(upper));
        (leaf().leaf_of(&issuer), issuer)
    };
    let (svid, issuer) = below(&sound);
    let chain = |upper| verify(&[&svid, &issuer.certificate, upper], &[&root]);
    assert_eq!(chain(&sound.certificate), accepted());
    assert_eq!(chain(&restricted.certificate), Err(X509Error::IssuerWithoutCertSign));
    let (svid, issuer) = below(&restricted);
    let both = [&svid, &issuer.certificate, &restricted.certificate, &sound.certificate];
    assert!(verify(&both, &[&root]).is_err(), "signed by the restricted one alone");
}
