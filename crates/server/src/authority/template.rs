//! What goes into certificates and tokens (parity §1.8). Pure.

use super::config::AuthorityConfig;
use super::error::IssueError;
use finial_identity::jwt::JwtClaims;
use finial_identity::x509::{
    AttributeKind, Certificate, CertificateTemplate, DistinguishedName, Profile, SerialNumber, Validity,
    X509Error,
};
use finial_identity::{PublicKey, SpiffeId, TrustDomain, UnixTime};
use std::time::{Duration, SystemTime};

/// So many seconds before their signature certificates begin, for clocks that are behind.
const BACKDATE: i64 = 10;

/// A year far enough for any lifetime that does not fit into the clock.
const FAR_FUTURE: UnixTime = UnixTime::from_seconds(253_402_300_799);

/// From ten seconds ago until `ttl` from now, but not longer than whoever signs.
pub(super) fn validity(now: SystemTime, ttl: Duration, cap: Option<UnixTime>) -> Validity {
    let not_before = UnixTime::from(now).plus_seconds(-BACKDATE);
    Validity { not_before, not_after: end(now, ttl, cap) }
}

/// `ttl` from now in whole seconds, at most `cap`.
pub(super) fn end(now: SystemTime, ttl: Duration, cap: Option<UnixTime>) -> UnixTime {
    let wished = now.checked_add(ttl).map_or(FAR_FUTURE, UnixTime::from).min(FAR_FUTURE);
    cap.map_or(wished, |cap| wished.min(cap))
}

/// A self-signed X.509 authority.
pub(super) fn x509_authority(
    config: &AuthorityConfig,
    serial: SerialNumber,
    key: &PublicKey,
    now: SystemTime,
) -> CertificateTemplate {
    CertificateTemplate {
        serial,
        subject: authority_subject(&config.ca_subject, &serial),
        validity: validity(now, config.ca_ttl, None),
        subject_key: key.clone(),
        profile: Profile::Authority { uri: config.trust_domain.id() },
        extra_extensions: Vec::new(),
    }
}

/// An authority for a server below: the name of its issuer, which says how far below it is.
pub(super) fn downstream_authority(
    config: &AuthorityConfig,
    wish: DownstreamWish<'_>,
    serial: SerialNumber,
    now: SystemTime,
) -> Result<CertificateTemplate, X509Error> {
    let DownstreamWish { issuer, depth, key, ttl } = wish;
    let unit = format!("DOWNSTREAM-{depth}");
    let subject = DistinguishedName::from_der(issuer.raw_subject())?.normalized();
    let ttl = ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(config.ca_ttl);
    Ok(CertificateTemplate {
        serial,
        subject: subject.with(AttributeKind::OrganizationalUnit, &[&unit]),
        validity: validity(now, ttl, Some(issuer.not_after())),
        subject_key: key.clone(),
        profile: Profile::Authority { uri: config.trust_domain.id() },
        extra_extensions: Vec::new(),
    })
}

/// An authority that a server below is to get.
#[derive(Debug, Clone, Copy)]
pub(super) struct DownstreamWish<'a> {
    /// Who signs.
    pub(super) issuer: &'a Certificate,
    /// How many certificates lead from it to the root, its own and, if nobody is above, the root.
    pub(super) depth: usize,
    pub(super) key: &'a PublicKey,
    /// The lifetime of authorities here, if nothing is said.
    pub(super) ttl: Option<Duration>,
}

/// An SVID that nobody gets: it shows whether an authority can sign what peers believe.
pub(super) fn throwaway(
    config: &AuthorityConfig,
    serial: SerialNumber,
    authority: &Certificate,
    key: &PublicKey,
) -> CertificateTemplate {
    CertificateTemplate {
        serial,
        subject: svid_subject(&[]),
        validity: authority.validity(),
        subject_key: key.clone(),
        profile: Profile::Svid { id: config.trust_domain.server_id(), dns_names: Vec::new() },
        extra_extensions: Vec::new(),
    }
}

/// The configured subject; with the serial number of the certificate if it has none, so that two authorities
/// of one server never have the same name.
pub(super) fn authority_subject(configured: &DistinguishedName, serial: &SerialNumber) -> DistinguishedName {
    let default = AuthorityConfig::default_ca_subject();
    let subject = if configured.is_empty() { &default } else { configured };
    let has_serial = subject
        .attributes()
        .iter()
        .any(|(kind, value)| *kind == AttributeKind::SerialNumber && !value.is_empty());
    if has_serial {
        return subject.clone();
    }
    subject.with(AttributeKind::SerialNumber, &[&serial.to_decimal()])
}

/// An X509-SVID that somebody is to get.
#[derive(Debug, Clone)]
pub(super) struct X509Wish<'a> {
    pub(super) id: &'a SpiffeId,
    pub(super) key: &'a PublicKey,
    pub(super) dns_names: &'a [String],
    pub(super) subject: DistinguishedName,
    pub(super) ttl: Duration,
}

/// An X509-SVID, checked to be of our trust domain and not to be too long.
pub(super) fn x509_svid(
    trust_domain: &TrustDomain,
    wish: X509Wish<'_>,
    serial: SerialNumber,
    now: SystemTime,
    cap: UnixTime,
) -> Result<CertificateTemplate, IssueError> {
    trust_domain.require_issuable(wish.id).map_err(IssueError::X509Id)?;
    Ok(CertificateTemplate {
        serial,
        subject: wish.subject,
        validity: validity(now, wish.ttl, Some(cap)),
        subject_key: wish.key.clone(),
        profile: Profile::Svid { id: wish.id.clone(), dns_names: wish.dns_names.to_vec() },
        extra_extensions: Vec::new(),
    })
}

/// `C=US, O=SPIRE`, and the first DNS name as common name.
pub(super) fn svid_subject(dns_names: &[String]) -> DistinguishedName {
    let base = [(AttributeKind::Country, "US"), (AttributeKind::Organization, "SPIRE")];
    match dns_names.first() {
        None => DistinguishedName::new(&base),
        Some(name) => DistinguishedName::new(&[base[0], base[1], (AttributeKind::CommonName, name)]),
    }
}

/// The subject that a request to mint asks for, with the first DNS name as common name; without attributes,
/// the default.
pub(super) fn mint_subject(raw: &[u8], dns_names: &[String]) -> Result<DistinguishedName, X509Error> {
    if raw.is_empty() {
        return Ok(svid_subject(dns_names));
    }
    let wished = DistinguishedName::from_der(raw)?;
    if wished.to_string().is_empty() {
        return Ok(svid_subject(dns_names));
    }
    let subject = wished.normalized();
    Ok(match dns_names.first() {
        None => subject,
        Some(name) => subject.with(AttributeKind::CommonName, &[name]),
    })
}

/// Whether a JWT-SVID tells itself apart from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JtiSwitch {
    /// With a unique `jti`.
    Include,
    /// Without.
    Omit,
}

/// A JWT-SVID that somebody is to get.
#[derive(Debug, Clone, Copy)]
pub struct JwtRequest<'a> {
    /// For whom it speaks.
    pub id: &'a SpiffeId,
    /// To whom; empty texts do not count.
    pub audience: &'a [String],
    /// For how long; the server's default if nothing is said.
    pub ttl: Option<Duration>,
    /// Whether it is unique.
    pub jti: JtiSwitch,
}

/// The claims of a JWT-SVID. `jti` is called only if the request wants one.
pub(super) fn jwt_claims(
    config: &AuthorityConfig,
    request: JwtRequest<'_>,
    jti: impl FnOnce() -> String,
    now: SystemTime,
    cap: UnixTime,
) -> Result<JwtClaims, IssueError> {
    config.trust_domain.require_issuable(request.id).map_err(IssueError::JwtId)?;
    let audience: Vec<String> = request.audience.iter().filter(|one| !one.is_empty()).cloned().collect();
    if audience.is_empty() {
        return Err(IssueError::NoAudience);
    }
    let ttl = request.ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(config.default_jwt_svid_ttl);
    Ok(JwtClaims {
        subject: request.id.clone(),
        audience,
        issued_at: now.into(),
        expires_at: end(now, ttl, Some(cap)),
        issuer: config.jwt_issuer.clone().filter(|issuer| !issuer.is_empty()),
        jti: (request.jti == JtiSwitch::Include).then(jti),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::testing::{config, key};

    const NOW: u64 = 1_800_000_000;

    fn now(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(NOW * 1000 + millis)
    }

    fn at(offset: i64) -> UnixTime {
        UnixTime::from_seconds(NOW as i64 + offset)
    }

    fn id(text: &str) -> SpiffeId {
        SpiffeId::parse(text).unwrap()
    }

    #[test]
    fn lifetimes_are_capped_to_the_second() {
        let hour = Duration::from_secs(3600);
        for (millis, cap, end) in [
            (0, None, 3600),
            (999, None, 3600),
            (0, Some(3601), 3600),
            (0, Some(3600), 3600),
            (0, Some(3599), 3599),
            (0, Some(-5), -5),
        ] {
            let span = validity(now(millis), hour, cap.map(at));
            assert_eq!((span.not_before, span.not_after), (at(-10), at(end)), "{cap:?}");
        }
        assert_eq!(validity(now(0), Duration::MAX, None).not_after, FAR_FUTURE);
        assert_eq!(validity(now(600), Duration::from_millis(1500), None).not_after, at(2));
    }

    #[test]
    fn authorities_carry_their_serial_number() {
        let serial = SerialNumber::from_bytes([1; 16]);
        let decimal = serial.to_decimal();
        let mut config = config();
        let subject = |config: &AuthorityConfig| {
            x509_authority(config, serial, key().public_key(), now(0)).subject.to_string()
        };
        assert_eq!(subject(&config), format!("SERIALNUMBER={decimal},O=SPIFFE,C=US"));
        config.ca_subject = DistinguishedName::empty();
        assert_eq!(subject(&config), format!("SERIALNUMBER={decimal},O=SPIFFE,C=US"));
        config.ca_subject = DistinguishedName::new(&[(AttributeKind::CommonName, "root")]);
        assert_eq!(subject(&config), format!("SERIALNUMBER={decimal},CN=root"));
        config.ca_subject = config.ca_subject.with(AttributeKind::SerialNumber, &["7"]);
        assert_eq!(subject(&config), "SERIALNUMBER=7,CN=root");
    }

    #[test]
    fn subjects_of_svids() {
        let names = ["b.test".to_owned(), "a.test".to_owned()];
        assert_eq!(svid_subject(&[]).to_string(), "O=SPIRE,C=US");
        assert_eq!(svid_subject(&names).to_string(), "CN=b.test,O=SPIRE,C=US");

        let wished = DistinguishedName::new(&[
            (AttributeKind::Organization, "Ours"),
            (AttributeKind::CommonName, "mine"),
        ]);
        let mint = |raw: &[u8], names: &[String]| mint_subject(raw, names).unwrap().to_string();
        assert_eq!(mint(wished.der(), &[]), "CN=mine,O=Ours");
        assert_eq!(mint(wished.der(), &names), "CN=b.test,O=Ours");
        assert_eq!(mint(DistinguishedName::empty().der(), &[]), "O=SPIRE,C=US");
        assert_eq!(mint(&[], &names), "CN=b.test,O=SPIRE,C=US");
        mint_subject(b"no name", &[]).unwrap_err();
    }

    #[test]
    fn svids_are_of_our_trust_domain() {
        let (config, key) = (config(), key());
        let other = id("spiffe://other.test/a");
        let wish = X509Wish {
            id: &other,
            key: key.public_key(),
            dns_names: &[],
            subject: svid_subject(&[]),
            ttl: config.agent_ttl,
        };
        let serial = SerialNumber::from_bytes([1; 16]);
        let refused = x509_svid(&config.trust_domain, wish, serial, now(0), at(60)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "invalid X509-SVID ID: \"spiffe://other.test/a\" is not a member of trust domain \"example.org\""
        );
    }

    #[test]
    fn claims() {
        let mut config = config();
        let (ours, other) = (id("spiffe://example.org/a"), id("spiffe://other.test/a"));
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let both = texts(&["", "one", "", "two"]);
        let request = JwtRequest { id: &ours, audience: &both, ttl: None, jti: JtiSwitch::Omit };
        let make = |config: &AuthorityConfig, request: JwtRequest<'_>, cap: i64| {
            jwt_claims(config, request, || "unique".to_owned(), now(400), at(cap))
        };

        let claims = make(&config, request, 86_400).unwrap();
        assert_eq!(claims.audience, ["one", "two"]);
        assert_eq!((claims.issued_at, claims.expires_at), (at(0), at(300)));
        assert_eq!((claims.issuer, claims.jti), (None, None));

        config.jwt_issuer = Some("https://issuer.test".to_owned());
        let ttl = Some(Duration::from_secs(60));
        let unique = JwtRequest { ttl, jti: JtiSwitch::Include, ..request };
        let claims = make(&config, unique, 86_400).unwrap();
        assert_eq!(claims.expires_at, at(60));
        assert_eq!(claims.issuer.as_deref(), Some("https://issuer.test"));
        assert_eq!(claims.jti.as_deref(), Some("unique"));
        assert_eq!(make(&config, unique, 59).unwrap().expires_at, at(59));

        let nobody = texts(&["", ""]);
        for (request, text) in [
            (JwtRequest { audience: &nobody, ..request }, "invalid JWT-SVID audience: cannot be empty"),
            (
                JwtRequest { id: &other, ..request },
                "invalid JWT-SVID ID: \"spiffe://other.test/a\" is not a member of trust domain \"example.org\"",
            ),
        ] {
            assert_eq!(make(&config, request, 60).unwrap_err().to_string(), text);
        }
    }
}
