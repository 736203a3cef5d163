//! Why a token was refused. The texts are what SPIRE answers to `ValidateJWTSVID`, because tools and
//! people match on them; they name neither keys nor claims beyond what the caller sent.

use super::Algorithm;
use crate::TrustDomain;
use crate::spiffe_id::SpiffeIdError;

/// Why a text is not a signed token in compact form (RFC 7515 §3.1, §5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not header, payload and signature: encrypted, JSON-serialized, or no token at all.
    #[error("go-jose/go-jose: compact JWS format must have three parts")]
    NotThreeParts,
    /// A part is not base64url without padding; the position is that within the part.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// The header is not one JSON object, or a member of it is of the wrong type or there twice.
    #[error("{0}")]
    Header(String),
    /// An algorithm that no JWT-SVID has, or none.
    #[error("unexpected signature algorithm {:?}; expected [{}]", clipped(.0), quoted(&Algorithm::ALL.map(Algorithm::name)))]
    Algorithm(String),
    /// Longer than [`TOKEN_MAX`](super::TOKEN_MAX).
    #[error("the token is too long")]
    TooLong,
}

/// Why a JWT-SVID was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a signed token.
    #[error("unable to parse JWT token: {0}")]
    Malformed(#[from] JwsError),
    /// `typ` is there and neither `JWT` nor `JOSE` (JWT-SVID §2.3).
    #[error("token header type not equal to either JWT or JOSE")]
    WrongType,
    /// No `kid`.
    #[error("token header missing key id")]
    MissingKeyId,
    /// A `crit` header: no extension is understood here (RFC 7515 §4.1.11).
    #[error("go-jose/go-jose: unsupported critical header")]
    CriticalHeader,
    /// The payload is not one JSON object, or a claim of it is of the wrong type or there twice.
    #[error("{0}")]
    Payload(String),
    /// `exp`, `nbf` or `iat` is not a number that a time can have.
    #[error("go-jose/go-jose/jwt: expected number value to unmarshal NumericDate")]
    NotADate,
    /// `aud` is neither a text nor a list of texts.
    #[error("go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience")]
    NotAnAudience,
    /// No `sub`.
    #[error("token missing subject claim")]
    MissingSubject,
    /// No `exp`.
    #[error("token missing exp claim")]
    MissingExpiry,
    /// No `iat`, which the agent needs for rotation; validation does without.
    #[error("JWT missing iat claim")]
    MissingIssuedAt,
    /// `sub` is not a SPIFFE ID.
    #[error("token has in invalid subject claim: {0}")]
    InvalidSubject(SpiffeIdError),
    /// There is no bundle for the trust domain of the subject.
    #[error("no keys found for trust domain {:?}", .0.as_str())]
    NoBundle(TrustDomain),
    /// The bundle has no such key.
    #[error("public key {:?} not found in trust domain {:?}", clipped(.key_id), .trust_domain.as_str())]
    UnknownKey {
        /// The `kid` of the token.
        key_id: String,
        /// The trust domain of the subject.
        trust_domain: TrustDomain,
    },
    /// The signature is not that of the key, or the algorithm does not fit the key.
    #[error("go-jose/go-jose: error in cryptographic primitive")]
    BadSignature,
    /// Made for somebody else.
    #[error("expected audience in [{expected:?}] (audience=[{}])", quoted(.found))]
    WrongAudience {
        /// Whom the validator is.
        expected: String,
        /// Whom the token is for.
        found: Vec<String>,
    },
    /// `nbf` is ahead.
    #[error("go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)")]
    NotValidYet,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `iat` is ahead.
    #[error("go-jose/go-jose/jwt: validation field, token issued in the future (iat)")]
    IssuedInTheFuture,
    /// The scheme, or the signature made with it, is none that a JWT-SVID can carry.
    #[error("the signature scheme cannot sign a JWT")]
    UnsupportedScheme,
}

/// Most texts of a foreign token that one message repeats, and most characters of each: messages end
/// in the trailers of an RPC, which are small.
const ECHOED_TEXTS: usize = 32;
const ECHOED_CHARS: usize = 256;

fn quoted(texts: &[impl AsRef<str>]) -> String {
    let shown = texts.iter().take(ECHOED_TEXTS).map(|text| format!("{:?}", clipped(text.as_ref())));
    shown.collect::<Vec<_>>().join(" ")
}

pub(super) fn clipped(text: &str) -> &str {
    text.char_indices().nth(ECHOED_CHARS).map_or(text, |(end, _)| &text[..end])
}
