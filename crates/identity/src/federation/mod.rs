//! Federation relationships: from where the bundle of a foreign trust domain is fetched, and how its
//! endpoint proves who it is (SPIFFE Trust Domain and Bundle, section 5; SPIFFE Federation, section 5.2).

mod url;

pub use url::{EndpointUrlError, check_endpoint_url};

use crate::bundle::format::REFRESH_HINT_MAX;
use crate::{Bundle, SpiffeId, TrustDomain, UnixTime};
use std::time::Duration;

/// How a bundle endpoint is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleEndpointProfile {
    /// By the authorities that the operating system trusts, for the host of the URL.
    HttpsWeb,
    /// By an X509-SVID of exactly this SPIFFE ID, which may belong to a third trust domain.
    HttpsSpiffe {
        /// Whom the endpoint must prove to be.
        endpoint_id: SpiffeId,
    },
}

impl BundleEndpointProfile {
    /// The name in configurations, on command lines and in the database.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HttpsWeb => "https_web",
            Self::HttpsSpiffe { .. } => "https_spiffe",
        }
    }

    /// Whom the endpoint must prove to be, if it does so with an SVID.
    pub fn endpoint_id(&self) -> Option<&SpiffeId> {
        match self {
            Self::HttpsWeb => None,
            Self::HttpsSpiffe { endpoint_id } => Some(endpoint_id),
        }
    }
}

/// A relationship with one foreign trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederationRelationship {
    /// The foreign trust domain, by which relationships are told apart.
    pub trust_domain: TrustDomain,
    /// A URL that [`check_endpoint_url`] has passed.
    pub bundle_endpoint_url: String,
    /// How the endpoint proves who it is.
    pub profile: BundleEndpointProfile,
    /// The bundle of that trust domain, if one is stored.
    pub bundle: Option<Bundle>,
}

/// Hints below this are read as this.
pub const REFRESH_HINT_MIN: Duration = Duration::from_secs(60);
/// Hints above this are read as this.
const REFRESH_HINT_LONGEST: Duration = Duration::from_secs(REFRESH_HINT_MAX.unsigned_abs());
/// A bundle is fetched so often within the time of its hint, so that one failure costs nothing.
const FETCHES_PER_HINT: u32 = 4;
/// Without a hint it is this part of the shortest life of an authority.
const LIVES_PER_HINT: u64 = 10;

/// When to fetch a bundle again after this one was seen: a quarter of its refresh hint.
pub fn refresh_interval(bundle: &Bundle) -> Duration {
    let hint = match u64::try_from(bundle.refresh_hint) {
        Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => shortest_life(bundle).unwrap_or_default(),
    };
    hint.clamp(REFRESH_HINT_MIN, REFRESH_HINT_LONGEST) / FETCHES_PER_HINT
}

fn shortest_life(bundle: &Bundle) -> Option<Duration> {
    let life = |begin: UnixTime, end: UnixTime| u64::try_from(end.seconds().saturating_sub(begin.seconds()));
    let certificates = bundle.x509_authorities.iter().map(|authority| &authority.certificate);
    let lives = certificates.map(|certificate| life(certificate.not_before(), certificate.not_after()));
    let shortest = lives.map(|life| life.unwrap_or(0)).min()?;
    Some(Duration::from_secs(shortest / LIVES_PER_HINT))
}

/// Whether a bundle that was fetched says what is stored already. An end or a taint of an authority is of the
/// store only: no bundle that is fetched has either.
pub fn says_the_same(fetched: &Bundle, stored: &Bundle) -> bool {
    let x509 = |bundle: &Bundle| -> Vec<Vec<u8>> {
        bundle.x509_authorities.iter().map(|authority| authority.certificate.der().to_vec()).collect()
    };
    let keys = |bundle: &Bundle| {
        let jwt =
            bundle.jwt_authorities.iter().map(|key| (key.key_id.clone(), key.public_key.spki().to_vec()));
        let wit =
            bundle.wit_authorities.iter().map(|key| (key.key_id.clone(), key.public_key.spki().to_vec()));
        let (mut jwt, mut wit): (Vec<_>, Vec<_>) = (jwt.collect(), wit.collect());
        jwt.sort_unstable();
        wit.sort_unstable();
        (jwt, wit)
    };
    fetched.trust_domain == stored.trust_domain
        && fetched.refresh_hint == stored.refresh_hint
        && fetched.sequence_number == stored.sequence_number
        && x509(fetched) == x509(stored)
        && keys(fetched) == keys(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::{Certificate, testdata};
    use crate::{JwtAuthority, KeyType, PrivateKey, X509Authority};

    fn bundle(refresh_hint: i64) -> Bundle {
        Bundle { refresh_hint, ..Bundle::new(TrustDomain::parse("other.test").unwrap()) }
    }

    #[test]
    fn a_quarter_of_the_hint_and_never_below_that_of_a_minute() {
        for (hint, seconds) in
            [(300, 75), (60, 15), (59, 15), (1, 15), (86_400, 21_600), (i64::MAX, 7_884_000)]
        {
            assert_eq!(refresh_interval(&bundle(hint)), Duration::from_secs(seconds), "{hint}");
        }
        assert_eq!(refresh_interval(&bundle(0)), Duration::from_secs(15));
        assert_eq!(refresh_interval(&bundle(-5)), Duration::from_secs(15));
    }

    #[test]
    fn without_a_hint_the_shortest_life_counts() {
        let authority = |name| X509Authority::new(Certificate::from_der(&testdata::der(name)).unwrap());
        let mut without = bundle(0);
        let mut shortest = i64::MAX;
        for name in ["ca-p256", "spire-root", "ca-rsa"] {
            let authority = authority(name);
            let (begin, end) = (authority.certificate.not_before(), authority.certificate.not_after());
            shortest = shortest.min(end.seconds() - begin.seconds());
            without.x509_authorities.push(authority);
        }
        let tenth = Duration::from_secs(u64::try_from(shortest / 10).unwrap());
        assert_eq!(refresh_interval(&without), tenth / 4);
    }

    #[test]
    fn order_of_keys_and_what_only_the_store_knows_make_no_difference() {
        let key = |id: &str| {
            let key = PrivateKey::generate(KeyType::EcP256).unwrap();
            JwtAuthority::new(id, key.public_key().clone())
        };
        let mut fetched = bundle(300);
        fetched.jwt_authorities = vec![key("a"), key("b")];
        let mut stored = fetched.clone();
        stored.jwt_authorities.reverse();
        stored.jwt_authorities[0].expires_at = UnixTime::from_seconds(5);
        assert!(says_the_same(&fetched, &stored));
        for change in [
            (|b| b.refresh_hint = 1) as fn(&mut Bundle),
            |b| b.sequence_number = 7,
            |b| drop(b.jwt_authorities.pop()),
            |b| b.jwt_authorities[0].key_id = "c".to_owned(),
        ] {
            let mut other = stored.clone();
            change(&mut other);
            assert!(!says_the_same(&fetched, &other), "{other:?}");
        }
    }
}
