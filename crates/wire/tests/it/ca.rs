//! A certificate authority for tests.

use finial_identity::x509::{
    AttributeKind, Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber,
    Validity, assemble, to_be_signed,
};
use finial_identity::{
    Bundle, KeyType, PrivateKey, PublicKey, SpiffeId, TrustDomain, UnixTime, X509Authority,
};
use finial_wire::tls::{LocalIdentity, TrustSource};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) struct Authority {
    key: PrivateKey,
    certificate: Certificate,
    pub(crate) trust_domain: TrustDomain,
}

fn subject() -> DistinguishedName {
    DistinguishedName::new(&[(AttributeKind::Country, "US"), (AttributeKind::Organization, "SPIFFE")])
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

fn lifetime(from: i64, until: i64) -> Validity {
    Validity { not_before: now().plus_seconds(from), not_after: now().plus_seconds(until) }
}

impl Authority {
    pub(crate) fn of(trust_domain: &str) -> Self {
        let trust_domain = TrustDomain::parse(trust_domain).unwrap();
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let serial = SerialNumber::random().unwrap();
        let template = CertificateTemplate {
            serial,
            subject: subject().with(AttributeKind::SerialNumber, &[&serial.to_decimal()]),
            validity: lifetime(-60, 3600),
            subject_key: key.public_key().clone(),
            profile: Profile::Authority { uri: trust_domain.id() },
            extra_extensions: Vec::new(),
        };
        let certificate = sign(&template, &key, None);
        Self { key, certificate, trust_domain }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let mut bundle = Bundle::new(self.trust_domain.clone());
        bundle.x509_authorities.push(X509Authority::new(self.certificate.clone()));
        bundle
    }

    pub(crate) fn identity(&self, path: &str) -> LocalIdentity {
        self.identity_for(path, KeyType::EcP256, lifetime(-60, 600))
    }

    pub(crate) fn expired(&self, path: &str) -> LocalIdentity {
        self.identity_for(path, KeyType::EcP256, lifetime(-600, -60))
    }

    pub(crate) fn with_key(&self, path: &str, key_type: KeyType) -> LocalIdentity {
        self.identity_for(path, key_type, lifetime(-60, 600))
    }

    fn identity_for(&self, path: &str, key_type: KeyType, validity: Validity) -> LocalIdentity {
        let key = PrivateKey::generate(key_type).unwrap();
        let leaf = self.leaf(path, key.public_key(), validity);
        LocalIdentity::new(vec![leaf], Arc::new(key)).unwrap()
    }

    pub(crate) fn leaf(&self, path: &str, key: &PublicKey, validity: Validity) -> Certificate {
        let template = CertificateTemplate {
            serial: SerialNumber::random().unwrap(),
            subject: subject(),
            validity,
            subject_key: key.clone(),
            profile: Profile::Svid {
                id: SpiffeId::from_path(&self.trust_domain, path).unwrap(),
                dns_names: Vec::new(),
            },
            extra_extensions: Vec::new(),
        };
        sign(&template, &self.key, Some(&self.certificate))
    }
}

fn sign(template: &CertificateTemplate, key: &PrivateKey, issuer: Option<&Certificate>) -> Certificate {
    let scheme = key.public_key().certificate_scheme().unwrap();
    let own_subject = template.subject.der();
    let issuer = Issuer {
        subject_der: issuer.map_or(own_subject, Certificate::raw_subject),
        key_id: issuer.and_then(Certificate::subject_key_id),
        scheme,
    };
    let tbs = to_be_signed(template, &issuer);
    let signature = key.sign(scheme, &tbs).unwrap();
    Certificate::from_der(&assemble(&tbs, scheme, &signature)).unwrap()
}

/// Trusts these bundles; admits everybody but one.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) bundles: Vec<Arc<Bundle>>,
    pub(crate) shunned: Option<SpiffeId>,
}

pub(crate) fn trust(authorities: &[&Authority]) -> Arc<Trust> {
    let bundles = authorities.iter().map(|authority| Arc::new(authority.bundle())).collect();
    Arc::new(Trust { bundles, shunned: None })
}

impl TrustSource for Trust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        self.bundles.iter().find(|bundle| bundle.trust_domain == *trust_domain).cloned()
    }

    fn admits(&self, id: &SpiffeId) -> bool {
        self.shunned.as_ref() != Some(id)
    }
}
