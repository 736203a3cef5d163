//! A server that goes on signing with an authority that it says is tainted.

use crate::cache::{BundleSet, Cache, CacheOptions};
use crate::directory::Directory;
use crate::own_identity::Verdicts;
use crate::sync::{SignOptions, Sync};
use crate::upstream::{EntrySync, HeldVersions, Upstream, X509Request};
use async_trait::async_trait;
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::{
    Certificate, CertificateTemplate, Csr, DistinguishedName, Issuer, Profile, SerialNumber, Validity,
    assemble, to_be_signed,
};
use finial_identity::{
    AdditionalAttributes, Bundle, Code, EntryId, Failure, GrantedEntry, KeyType, PrivateKey, PublicKey,
    Selector, SignatureScheme, SpiffeId, TrustDomain, UnixTime, X509Authority,
};
use finial_runtime::clock::{Clock, TestClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NOW: u64 = 1_800_000_000;
const SCHEME: SignatureScheme = SignatureScheme::EcdsaP256Sha256;

fn trust_domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn sign(key: &PrivateKey, issuer: Option<&Certificate>, of: &PublicKey, profile: Profile) -> Certificate {
    let now = UnixTime::from_seconds(NOW as i64);
    let template = CertificateTemplate {
        serial: SerialNumber::random().unwrap(),
        subject: DistinguishedName::spire(),
        validity: Validity { not_before: now.plus_seconds(-10), not_after: now.plus_seconds(3600) },
        subject_key: of.clone(),
        profile,
        extra_extensions: vec![],
    };
    let subject_der = template.subject.der();
    let issuer = Issuer { subject_der, key_id: issuer.and_then(Certificate::subject_key_id), scheme: SCHEME };
    let tbs = to_be_signed(&template, &issuer);
    Certificate::from_der(&assemble(&tbs, SCHEME, &key.sign(SCHEME, &tbs).unwrap())).unwrap()
}

struct Stubborn {
    key: PrivateKey,
    root: Certificate,
    asked: AtomicUsize,
}

#[async_trait]
impl Upstream for Stubborn {
    async fn sync_entries(&self, _: &HeldVersions) -> Result<EntrySync, Failure> {
        let entry = GrantedEntry {
            id: EntryId::parse("w").unwrap(),
            spiffe_id: SpiffeId::parse("spiffe://example.org/w").unwrap(),
            selectors: vec![Selector::parse("unix:uid:0").unwrap()],
            federates_with: vec![],
            admin: false,
            downstream: false,
            revision: 0,
            created_at: UnixTime::from_seconds(1000),
            store_svid: false,
            hint: String::new(),
            additional: AdditionalAttributes::default(),
        };
        Ok(EntrySync { changed: vec![entry], ..EntrySync::default() })
    }

    async fn own_bundle(&self) -> Result<Bundle, Failure> {
        let mut bundle = Bundle::new(trust_domain());
        bundle.x509_authorities.push(X509Authority { certificate: self.root.clone(), tainted: true });
        Ok(bundle)
    }

    async fn foreign_bundle(&self, _: &TrustDomain) -> Result<Option<Bundle>, Failure> {
        Ok(None)
    }

    async fn sign_x509(
        &self,
        requests: Vec<X509Request>,
    ) -> Result<Vec<Result<Vec<Certificate>, Failure>>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let chains = requests.iter().map(|request| {
            let of = Csr::parse(&request.csr).unwrap().public_key;
            let id = SpiffeId::parse("spiffe://example.org/w").unwrap();
            let profile = Profile::Svid { id, dns_names: vec![] };
            Ok(vec![sign(&self.key, Some(&self.root), &of, profile)])
        });
        Ok(chains.collect())
    }

    async fn new_jwt(&self, _: &EntryId, _: &[String]) -> Result<JwtSvid, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn renew_agent(&self, _: Vec<u8>) -> Result<Vec<Certificate>, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn post_status(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test]
async fn is_asked_once_and_then_waited_for() {
    let key = PrivateKey::generate(KeyType::EcP256).unwrap();
    let root = sign(&key, None, key.public_key(), Profile::Authority { uri: trust_domain().id() });
    let upstream = Arc::new(Stubborn { key, root, asked: AtomicUsize::new(0) });
    let cache = Cache::new(CacheOptions { x509_max: 10 }, BundleSet::new(Bundle::new(trust_domain())));
    let directory = Directory::new(cache);
    let clock: Arc<dyn Clock> = Arc::new(TestClock::at_unix(NOW));
    let options = SignOptions { key_type: KeyType::EcP256, availability_target: None };
    let verdicts = Verdicts::default();
    let sync =
        Sync::new(upstream.clone(), directory.clone(), verdicts, Duration::from_secs(5), options, clock);
    sync.synchronize().await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(20), sync.sign_planned()).await.unwrap();
    assert_eq!(outcome.unwrap_err().code, Code::Unavailable);
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 1);
    assert_eq!(directory.x509_count(), 1, "what there is is served");
}
