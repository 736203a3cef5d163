//! Challenge and answer: the server's nonce, the agent's nonce, and a signature over both.
//!
//! The agent adds a nonce of its own so that it never signs what somebody else chose.

use super::Bytes;
use aws_lc_rs::rand;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, RSA_PSS_2048_8192_SHA256,
    RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::{AnyRef, UintRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag};
use finial_identity::key::PublicKeyKind;
use finial_identity::{PrivateKey, PublicKey, SignatureScheme};
use serde::{Deserialize, Serialize};

/// Octets of a nonce.
const NONCE: usize = 32;
/// The longest number of an ECDSA signature: P-521.
const ECDSA_NUMBER_MAX: usize = 66;

/// Why a challenge or an answer is not accepted. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChallengeError {
    #[error("no randomness")]
    NoRandomness,
    #[error("unsupported public key type")]
    UnsupportedKey,
    #[error("expecting RSA challenge")]
    NoRsaChallenge,
    #[error("expecting ECDSA challenge")]
    NoEcdsaChallenge,
    #[error("expecting RSA response")]
    NoRsaResponse,
    #[error("expecting ECDSA response")]
    NoEcdsaResponse,
    #[error("invalid challenge nonce")]
    BadChallengeNonce,
    #[error("invalid response nonce")]
    BadResponseNonce,
    #[error("RSA signature verify failed")]
    BadRsaSignature,
    #[error("ECDSA signature verify failed")]
    BadEcdsaSignature,
    #[error("cannot sign: {0}")]
    CannotSign(#[from] finial_identity::key::KeyError),
}

/// The server's message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Challenge {
    #[serde(default)]
    rsa_signature: Option<Nonce>,
    #[serde(default)]
    ecdsa_signature: Option<Nonce>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Nonce {
    #[serde(default)]
    nonce: Bytes,
}

/// The agent's message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Response {
    #[serde(default)]
    rsa_signature: Option<RsaAnswer>,
    #[serde(default)]
    ecdsa_signature: Option<EcdsaAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RsaAnswer {
    #[serde(default)]
    nonce: Bytes,
    #[serde(default)]
    signature: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
struct EcdsaAnswer {
    #[serde(default)]
    nonce: Bytes,
    #[serde(default)]
    r: Bytes,
    #[serde(default)]
    s: Bytes,
}

impl Challenge {
    /// A new challenge for the holder of a key.
    pub(super) fn generate(key: &PublicKey) -> Result<Self, ChallengeError> {
        Self::with_nonce(key, random_nonce()?)
    }

    pub(super) fn with_nonce(key: &PublicKey, nonce: Vec<u8>) -> Result<Self, ChallengeError> {
        let nonce = Some(Nonce { nonce: Bytes(nonce) });
        match key.kind() {
            PublicKeyKind::Rsa(_) => Ok(Self { rsa_signature: nonce, ecdsa_signature: None }),
            kind if is_ecdsa(kind) => Ok(Self { rsa_signature: None, ecdsa_signature: nonce }),
            _ => Err(ChallengeError::UnsupportedKey),
        }
    }

    /// The answer of the holder of `key`.
    pub(super) fn answer(&self, key: &PrivateKey) -> Result<Response, ChallengeError> {
        let scheme = signing_scheme(key.public_key().kind()).ok_or(ChallengeError::UnsupportedKey)?;
        let nonce = random_nonce()?;
        if scheme == SignatureScheme::RsaPssSha256 {
            let challenge = self.rsa_signature.as_ref().ok_or(ChallengeError::NoRsaChallenge)?;
            let signature = Bytes(key.sign(scheme, &combine(&challenge.nonce.0, &nonce)?)?);
            let answer = RsaAnswer { nonce: Bytes(nonce), signature };
            return Ok(Response { rsa_signature: Some(answer), ecdsa_signature: None });
        }
        let challenge = self.ecdsa_signature.as_ref().ok_or(ChallengeError::NoEcdsaChallenge)?;
        let signature = key.sign(scheme, &combine(&challenge.nonce.0, &nonce)?)?;
        let (r, s) = read_ecdsa(&signature).ok_or(ChallengeError::BadEcdsaSignature)?;
        let answer = EcdsaAnswer { nonce: Bytes(nonce), r, s };
        Ok(Response { rsa_signature: None, ecdsa_signature: Some(answer) })
    }

    /// Checks that an answer to this challenge is of the holder of `key`.
    pub(super) fn verify(&self, key: &PublicKey, response: &Response) -> Result<(), ChallengeError> {
        match key.kind() {
            PublicKeyKind::Rsa(_) => self.verify_rsa(key, response),
            kind => self.verify_ecdsa(key, ecdsa_algorithm(kind)?, response),
        }
    }

    fn verify_rsa(&self, key: &PublicKey, response: &Response) -> Result<(), ChallengeError> {
        let challenge = self.rsa_signature.as_ref().ok_or(ChallengeError::NoRsaChallenge)?;
        let answer = response.rsa_signature.as_ref().ok_or(ChallengeError::NoRsaResponse)?;
        let message = combine(&challenge.nonce.0, &answer.nonce.0)?;
        // Go signs with the longest salt that fits, in FIPS mode and most others with one as long as the hash.
        let lengths: [&'static dyn VerificationAlgorithm; 2] = [
            &RSA_PSS_2048_8192_SHA256,
            &const { RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) },
        ];
        let is_good = |algorithm| {
            UnparsedPublicKey::new(algorithm, key.bits()).verify(&message, &answer.signature.0).is_ok()
        };
        if lengths.into_iter().any(is_good) { Ok(()) } else { Err(ChallengeError::BadRsaSignature) }
    }

    fn verify_ecdsa(
        &self,
        key: &PublicKey,
        algorithm: &'static dyn VerificationAlgorithm,
        response: &Response,
    ) -> Result<(), ChallengeError> {
        let challenge = self.ecdsa_signature.as_ref().ok_or(ChallengeError::NoEcdsaChallenge)?;
        let answer = response.ecdsa_signature.as_ref().ok_or(ChallengeError::NoEcdsaResponse)?;
        let message = combine(&challenge.nonce.0, &answer.nonce.0)?;
        let signature = write_ecdsa(&answer.r, &answer.s).ok_or(ChallengeError::BadEcdsaSignature)?;
        UnparsedPublicKey::new(algorithm, key.bits())
            .verify(&message, &signature)
            .map_err(|_| ChallengeError::BadEcdsaSignature)
    }
}

/// Whatever the curve, the hash is SHA-256.
pub(super) fn signing_scheme(kind: PublicKeyKind) -> Option<SignatureScheme> {
    match kind {
        PublicKeyKind::EcP256 => Some(SignatureScheme::EcdsaP256Sha256),
        PublicKeyKind::EcP384 => Some(SignatureScheme::EcdsaP384Sha256),
        PublicKeyKind::Rsa(_) => Some(SignatureScheme::RsaPssSha256),
        PublicKeyKind::EcP521 | PublicKeyKind::Ed25519 => None,
    }
}

fn is_ecdsa(kind: PublicKeyKind) -> bool {
    ecdsa_algorithm(kind).is_ok()
}

fn ecdsa_algorithm(kind: PublicKeyKind) -> Result<&'static dyn VerificationAlgorithm, ChallengeError> {
    match kind {
        PublicKeyKind::EcP256 => Ok(&ECDSA_P256_SHA256_ASN1),
        PublicKeyKind::EcP384 => Ok(&ECDSA_P384_SHA256_ASN1),
        PublicKeyKind::EcP521 => Ok(&ECDSA_P521_SHA256_ASN1),
        PublicKeyKind::Rsa(_) | PublicKeyKind::Ed25519 => Err(ChallengeError::UnsupportedKey),
    }
}

fn random_nonce() -> Result<Vec<u8>, ChallengeError> {
    let mut nonce = vec![0; NONCE];
    rand::fill(&mut nonce).map_err(|_| ChallengeError::NoRandomness)?;
    Ok(nonce)
}

/// What is signed: both nonces, one after the other.
fn combine(challenge: &[u8], response: &[u8]) -> Result<Vec<u8>, ChallengeError> {
    if challenge.len() != NONCE {
        return Err(ChallengeError::BadChallengeNonce);
    }
    if response.len() != NONCE {
        return Err(ChallengeError::BadResponseNonce);
    }
    Ok([challenge, response].concat())
}

/// The numbers of an ECDSA signature in DER, without leading zeros.
fn read_ecdsa(signature: &[u8]) -> Option<(Bytes, Bytes)> {
    let content = AnyRef::from_der(signature).ok()?;
    let mut reader = SliceReader::new(content.value()).ok()?;
    let mut number = || UintRef::decode(&mut reader).map(|number| Bytes(number.as_bytes().to_vec())).ok();
    let (r, s) = (number()?, number()?);
    reader.is_finished().then_some((r, s))
}

fn write_ecdsa(r: &Bytes, s: &Bytes) -> Option<Vec<u8>> {
    if r.0.len() > ECDSA_NUMBER_MAX || s.0.len() > ECDSA_NUMBER_MAX {
        return None;
    }
    let number = |bytes: &Bytes| UintRef::new(&bytes.0).and_then(|number| number.to_der()).ok();
    let content = [number(r)?, number(s)?].concat();
    AnyRef::new(Tag::Sequence, &content).and_then(|sequence| sequence.to_der()).ok()
}
