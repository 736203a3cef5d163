//! Keys in the bytes of Go, signatures, and that nothing panics.

use super::*;
use crate::x509::testdata::{der, mutated};
use proptest::prelude::*;

#[test]
fn names_of_key_types() {
    for key_type in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048, KeyType::Rsa4096] {
        assert_eq!(KeyType::parse(&key_type.to_string()), Some(key_type));
    }
    assert_eq!(KeyType::parse("EC-P256"), None);
}

#[test]
fn case_135_private_keys_are_written_as_go_writes_them() {
    for (name, forms) in [
        ("p256", &["pkcs8", "sec1"][..]),
        ("p384", &["pkcs8", "sec1"]),
        ("p521", &["pkcs8", "sec1"]),
        ("rsa2048", &["pkcs8", "pkcs1"]),
    ] {
        let pkcs8 = der(&format!("key-{name}-pkcs8"));
        assert_eq!(PrivateKey::from_pkcs8(&pkcs8).unwrap().to_pkcs8(), pkcs8, "{name}");
        for form in forms {
            let key = PrivateKey::from_der_any(&der(&format!("key-{name}-{form}"))).unwrap();
            assert_eq!(key.to_pkcs8(), pkcs8, "{name} {form}");
            assert_eq!(key.public_key().spki(), der(&format!("spki-{name}")), "{name} {form}");
        }
    }
    let spire = der("spire-svid-key");
    assert_eq!(PrivateKey::from_pkcs8(&spire).unwrap().to_pkcs8(), spire);
}

#[test]
fn generated_keys_have_gos_form() {
    for (key_type, length, kind) in
        [(KeyType::EcP256, 138, PublicKeyKind::EcP256), (KeyType::EcP384, 185, PublicKeyKind::EcP384)]
    {
        let key = PrivateKey::generate(key_type).unwrap();
        assert_eq!(key.to_pkcs8().len(), length);
        assert_eq!(key.public_key().kind(), kind);
        let again = PrivateKey::from_pkcs8(key.to_pkcs8()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
    }
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    assert_eq!(rsa.public_key().kind(), PublicKeyKind::Rsa(2048));
    assert!(!format!("{rsa:?}").contains("pkcs8"));
}

#[test]
fn every_scheme_signs_and_verifies() {
    use SignatureScheme as Scheme;
    let all = [
        Scheme::EcdsaP256Sha256,
        Scheme::EcdsaP384Sha384,
        Scheme::EcdsaP384Sha256,
        Scheme::EcdsaP521Sha512,
        Scheme::RsaPkcs1Sha256,
        Scheme::RsaPkcs1Sha384,
        Scheme::RsaPkcs1Sha512,
        Scheme::RsaPssSha256,
        Scheme::RsaPssSha384,
        Scheme::RsaPssSha512,
        Scheme::Ed25519,
    ];
    for name in ["p256", "p384", "p521", "rsa2048"] {
        let key = PrivateKey::from_pkcs8(&der(&format!("key-{name}-pkcs8"))).unwrap();
        let public = key.public_key();
        let fitting = all.iter().filter(|scheme| scheme.fits(public.kind()));
        assert_ne!(fitting.clone().count(), 0);
        for scheme in all {
            if !scheme.fits(public.kind()) {
                assert_eq!(key.sign(scheme, b"m").err(), Some(KeyError::SchemeMismatch));
                assert_eq!(public.verify(scheme, b"m", b"s").err(), Some(KeyError::SchemeMismatch));
                continue;
            }
            let signature = key.sign(scheme, b"message").unwrap();
            assert_eq!(public.verify(scheme, b"message", &signature), Ok(()), "{name} {scheme:?}");
            assert_eq!(public.verify(scheme, b"massage", &signature), Err(KeyError::BadSignature));
            for other in fitting.clone().filter(|other| **other != scheme) {
                assert!(public.verify(*other, b"message", &signature).is_err());
            }
        }
        assert!(public.certificate_scheme().unwrap().fits(public.kind()));
    }
}

#[test]
fn identifiers() {
    let key = PublicKey::from_spki(&der("spki-p256")).unwrap();
    assert_eq!(key.fingerprint(), to_hex(digest::digest(&digest::SHA256, &der("spki-p256")).as_ref()));
    assert_eq!(key.bits().len(), 65);
}

#[test]
fn public_keys_that_are_refused() {
    let p256 = der("spki-p256");
    let refused = |bytes: &[u8]| assert_eq!(PublicKey::from_spki(bytes), Err(KeyError::Unsupported));
    refused(&[]);
    refused(&p256[..p256.len() - 1]);
    refused(&[&p256[..], &[0]].concat());
    let mut off_curve = p256.clone();
    off_curve[60] ^= 1;
    refused(&off_curve);
    let mut hybrid = p256.clone();
    hybrid[26] = 6;
    refused(&hybrid);
    let rsa = der("spki-rsa2048");
    let mut without_null = rsa.clone();
    without_null[17] = 4;
    refused(&without_null);
}

#[test]
fn case_51_rsa_sizes() {
    let spki = |modulus: &[u8], exponent: &[u8]| {
        let mut out = Vec::new();
        crate::x509::der_writer::sequence(&mut out, |out| {
            out.extend([0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0]);
            let mut key = Vec::new();
            crate::x509::der_writer::sequence(&mut key, |out| {
                crate::x509::der_writer::unsigned(out, modulus);
                crate::x509::der_writer::unsigned(out, exponent);
            });
            crate::x509::der_writer::bit_string(out, &key);
        });
        PublicKey::from_spki(&out).map(|key| key.kind())
    };
    assert_eq!(spki(&[0xff; 256], &[1, 0, 1]), Ok(PublicKeyKind::Rsa(2048)));
    assert_eq!(spki(&[0xff; 1024], &[1, 0, 1]), Ok(PublicKeyKind::Rsa(8192)));
    for bytes in [64, 128, 255, 1025] {
        assert_eq!(spki(&vec![0xff; bytes], &[1, 0, 1]), Err(KeyError::Unsupported), "{bytes}");
    }
    assert_eq!(spki(&[0x7f; 256], &[1, 0, 1]), Err(KeyError::Unsupported), "2047 bits");
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
        assert_eq!(spki(&[0xff; 256], exponent), Err(KeyError::Unsupported), "{exponent:?}");
    }
}

#[test]
fn case_135_private_keys_that_are_refused() {
    for bytes in [&[][..], b"garbage", &der("spki-p256"), &der("spire-root")] {
        assert!(PrivateKey::from_pkcs8(bytes).is_err());
        assert!(PrivateKey::from_der_any(bytes).is_err());
    }
    assert!(PrivateKey::from_pkcs8(&der("key-p256-sec1")).is_err());
    let mut zero = der("key-p256-pkcs8");
    zero[36..68].fill(0);
    assert!(PrivateKey::from_pkcs8(&zero).is_err());
    let mut other_public = der("key-p256-pkcs8");
    let point = der("spire-svid-key");
    other_public[73..].copy_from_slice(&point[73..]);
    assert!(PrivateKey::from_pkcs8(&other_public).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        name in proptest::sample::select(&["key-p256-pkcs8", "key-p384-sec1", "spki-p521", "spki-rsa2048"][..]),
        changes in proptest::collection::vec(any::<(usize, u8)>(), 0..4),
        cut in prop_oneof![4 => Just(0usize), 1 => any::<usize>()],
    ) {
        for bytes in [bytes, mutated(der(name), &changes, cut)] {
            let _ = PublicKey::from_spki(&bytes).map(|key| key.key_id());
            let _ = PrivateKey::from_pkcs8(&bytes);
            let _ = PrivateKey::from_der_any(&bytes);
        }
    }
}
