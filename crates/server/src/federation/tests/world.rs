//! A federation on a store in memory, and an endpoint of another trust domain on a real socket.

use super::*;
use bytes::Bytes;
use finial_identity::x509::{
    Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber, Validity, assemble,
    to_be_signed,
};
use finial_identity::{KeyType, PrivateKey};
use finial_wire::listen::{TcpOptions, TlsListener};
use finial_wire::tls::{IdentityCell, LocalIdentity, Shown, TlsOptions, WebRoots, web_server_config};
use finial_wire::web::{WebOptions, serve_web};
use http::{Response, StatusCode};
use http_body_util::Full;
use std::sync::Mutex;
use std::time::SystemTime;
use tokio::task::JoinHandle;

/// An authority of another trust domain.
struct Authority {
    key: PrivateKey,
    certificate: Certificate,
}

fn sign(profile: Profile, key: &PrivateKey, by: &PrivateKey, issuer: Option<&Certificate>) -> Certificate {
    let now = UnixTime::from(SystemTime::now());
    let template = CertificateTemplate {
        serial: SerialNumber::random().unwrap(),
        subject: DistinguishedName::empty(),
        validity: Validity { not_before: now.plus_seconds(-60), not_after: now.plus_seconds(3600) },
        subject_key: key.public_key().clone(),
        profile,
        extra_extensions: Vec::new(),
    };
    let scheme = by.public_key().certificate_scheme().unwrap();
    let own = template.subject.der();
    let issuer = Issuer {
        subject_der: issuer.map_or(own, Certificate::raw_subject),
        key_id: issuer.and_then(Certificate::subject_key_id),
        scheme,
    };
    let tbs = to_be_signed(&template, &issuer);
    Certificate::from_der(&assemble(&tbs, scheme, &by.sign(scheme, &tbs).unwrap())).unwrap()
}

impl Authority {
    fn new(name: &TrustDomain) -> Self {
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let certificate = sign(Profile::Authority { uri: name.id() }, &key, &key, None);
        Self { key, certificate }
    }

    fn identity(&self, id: SpiffeId) -> LocalIdentity {
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let profile = Profile::Svid { id, dns_names: Vec::new() };
        let leaf = sign(profile, &key, &self.key, Some(&self.certificate));
        LocalIdentity::new(vec![leaf], Arc::new(key)).unwrap()
    }
}

pub(super) struct World {
    pub(super) other: TrustDomain,
    authority: Authority,
    stranger: Authority,
    store: Arc<SqliteStore>,
    pub(super) foreign: Arc<ForeignBundles>,
    pub(super) federation: Arc<Federation>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::made(BTreeMap::new(), FetchLimits::default().time).await
    }

    pub(super) async fn with_limit(time: Duration) -> Self {
        Self::made(BTreeMap::new(), time).await
    }

    pub(super) async fn configured(endpoint: &Endpoint) -> Self {
        let other = TrustDomain::parse("other.test").unwrap();
        Self::made(BTreeMap::from([(other, endpoint.clone())]), FetchLimits::default().time).await
    }

    async fn made(configured: BTreeMap<TrustDomain, Endpoint>, time: Duration) -> Self {
        let other = TrustDomain::parse("other.test").unwrap();
        let (authority, stranger) = (Authority::new(&other), Authority::new(&other));
        let store = Arc::new(SqliteStore::open(SqliteConfig::new(":memory:")).unwrap());
        let clock = SystemClock::shared();
        let own = TrustDomain::parse("example.org").unwrap();
        let shared: Arc<dyn DataStore> = store.clone();
        let foreign = ForeignBundles::load(own, shared, Arc::clone(&clock)).await.unwrap();
        // Nobody on the web is believed here.
        let roots = WebRoots::Given(vec![stranger.certificate.der().to_vec().into()]);
        let limits = FetchLimits { time, roots, ..FetchLimits::default() };
        let federation = Federation::new(configured, store.clone(), Arc::clone(&foreign), limits, clock);
        Self { other, authority, stranger, store, foreign, federation }
    }

    pub(super) fn bundle(&self, refresh_hint: i64, sequence_number: u64) -> Bundle {
        let x509_authorities = vec![X509Authority::new(self.authority.certificate.clone())];
        Bundle { x509_authorities, refresh_hint, sequence_number, ..Bundle::new(self.other.clone()) }
    }

    /// A bundle of somebody else who calls himself the same.
    pub(super) fn stranger_bundle(&self) -> Bundle {
        let x509_authorities = vec![X509Authority::new(self.stranger.certificate.clone())];
        Bundle { x509_authorities, ..self.bundle(0, 0) }
    }

    pub(super) fn relationship(&self, url: &str) -> FederationRelationship {
        FederationRelationship {
            trust_domain: self.other.clone(),
            bundle_endpoint_url: url.to_owned(),
            profile: BundleEndpointProfile::HttpsSpiffe { endpoint_id: self.other.server_id() },
            bundle: None,
        }
    }

    pub(super) async fn store_bundle(&self, bundle: &Bundle) {
        self.foreign.change(&self.other, BundleChange::Set(bundle.clone())).await.unwrap();
    }

    pub(super) async fn stored(&self) -> Option<Bundle> {
        self.store.bundle_get(&self.other).await.unwrap()
    }

    pub(super) async fn wait_for_sequence(&self, number: u64) {
        let reached = async {
            while self.stored().await.is_none_or(|bundle| bundle.sequence_number != number) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the bundle");
    }
}

enum Says {
    Answer(StatusCode, Bytes),
    Nothing,
}

/// An endpoint that shows the SVID of the other trust domain's server.
pub(super) struct EndpointServer {
    pub(super) url: String,
    says: Arc<Mutex<Says>>,
    task: JoinHandle<()>,
}

impl EndpointServer {
    pub(super) async fn start(world: &World) -> Self {
        let identity = IdentityCell::with(world.authority.identity(world.other.server_id()));
        let tls = web_server_config(Shown::Svid(identity), &TlsOptions::default()).unwrap();
        let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), tls, TcpOptions::default()).await;
        let listener = listener.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(Says::Nothing));
        let spoken = Arc::clone(&says);
        let answer = move |_| {
            let said = match &*spoken.lock().unwrap() {
                Says::Answer(status, body) => Some((*status, body.clone())),
                Says::Nothing => None,
            };
            async move {
                let Some((status, body)) = said else { return std::future::pending().await };
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                response
            }
        };
        let task = tokio::spawn(serve_web(listener, answer, WebOptions::default(), Shutdown::new()));
        Self { url, says, task }
    }

    pub(super) fn by_svid(&self, id: &str) -> Endpoint {
        let endpoint_id = SpiffeId::parse(id).unwrap();
        Endpoint { url: self.url.clone(), profile: BundleEndpointProfile::HttpsSpiffe { endpoint_id } }
    }

    pub(super) fn serve(&self, bundle: &Bundle) {
        self.answer(200, &encode_spiffe(bundle));
    }

    pub(super) fn answer(&self, status: u16, body: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.says.lock().unwrap() = Says::Answer(status, Bytes::copy_from_slice(body.as_bytes()));
    }

    pub(super) fn hang(&self) {
        *self.says.lock().unwrap() = Says::Nothing;
    }
}

impl Drop for EndpointServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
