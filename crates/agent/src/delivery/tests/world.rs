//! A little world around one public socket: fakes that are small true implementations.

use crate::attest::Ourselves;
use crate::cache::{BundleSet, Cache, CacheOptions, X509Material};
use crate::config::UnauthenticatedVerifiers;
use crate::delivery::{RateLimits, WorkloadApi, WorkloadApiOptions, WorkloadApiParts};
use crate::directory::Directory;
use crate::endpoints::{answers_of, serve_workload_socket};
use crate::sync::{JwtCache, JwtCacheOptions};
use crate::upstream::{EntrySync, HeldVersions, Upstream, X509Request};
use async_trait::async_trait;
use bytes::Bytes;
use finial_identity::GrantedEntry;
use finial_identity::jwt::{self, JwtClaims, JwtHeader, JwtSvid};
use finial_identity::x509::{
    Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber, Validity, assemble,
    to_be_signed,
};
use finial_identity::{
    AdditionalAttributes, Bundle, EntryId, Failure, JwtAuthority, KeyType, PrivateKey, Selector,
    SignatureScheme, SpiffeId, TrustDomain, UnixTime, X509Authority,
};
use finial_plugin::workload_attestor::{WorkloadAttestor, WorkloadRef};
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_runtime::clock::{Clock, TestClock};
use finial_runtime::tasks::Shutdown;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

pub(super) const NOW: u64 = 1_800_000_000;
const SCHEME: SignatureScheme = SignatureScheme::EcdsaP256Sha256;

pub(super) fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

pub(super) fn selectors(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| Selector::parse(text).unwrap()).collect()
}

pub(super) fn entry(id: &str, wanted: &[&str], hint: &str) -> GrantedEntry {
    GrantedEntry {
        id: EntryId::parse(id).unwrap(),
        spiffe_id: SpiffeId::parse(&format!("spiffe://example.org/{id}")).unwrap(),
        selectors: selectors(wanted),
        federates_with: vec![],
        admin: false,
        downstream: false,
        revision: 0,
        created_at: UnixTime::from_seconds(1000),
        store_svid: false,
        hint: hint.to_owned(),
        additional: AdditionalAttributes::default(),
    }
}

/// The two identities of the recorded SPIRE.
pub(super) fn two_entries() -> Vec<GrantedEntry> {
    let one = GrantedEntry {
        federates_with: vec![td("example-federated.org")],
        ..entry("myservice", &["unix:uid:0"], "myservice")
    };
    vec![one, entry("myservice2", &["unix:uid:0"], "myservice2")]
}

pub(super) fn material(entry: &GrantedEntry, chain: &str) -> (EntryId, X509Material) {
    let material = X509Material {
        chain: Bytes::from(chain.to_owned()),
        key_pkcs8: b"key".to_vec().into(),
        authority_key_id: String::new(),
        not_before: UnixTime::from_seconds(NOW as i64),
        expires_at: UnixTime::from_seconds(NOW as i64 + 3600),
        rotate_at: UnixTime::from_seconds(NOW as i64 + 1800).to_system_time(),
        revision: entry.revision,
        created_at: entry.created_at,
    };
    (entry.id.clone(), material)
}

/// An authority of a trust domain: its certificate and its JWT key, which is the same key here.
pub(super) struct Authority {
    pub(super) key: PrivateKey,
    pub(super) bundle: Bundle,
}

impl Authority {
    pub(super) fn new(trust_domain: &str) -> Self {
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let trust_domain = td(trust_domain);
        let mut bundle = Bundle::new(trust_domain.clone());
        let certificate = certificate(&key, &trust_domain);
        bundle.x509_authorities.push(X509Authority::new(certificate));
        bundle.jwt_authorities.push(JwtAuthority::new("kid1", key.public_key().clone()));
        Self { key, bundle }
    }

    /// A token with these claims beside the necessary ones.
    pub(super) fn token(&self, subject: &str, audience: &[&str], more: serde_json::Value) -> String {
        let claims = JwtClaims {
            subject: SpiffeId::parse(subject).unwrap(),
            audience: audience.iter().map(|name| (*name).to_owned()).collect(),
            issued_at: UnixTime::from_seconds(NOW as i64),
            expires_at: UnixTime::from_seconds(NOW as i64 + 300),
            issuer: None,
            jti: None,
        };
        let mut claims = claims.to_object();
        claims.extend(more.as_object().cloned().unwrap_or_default());
        let input = jwt::signing_input_of(&JwtHeader::new(SCHEME, "kid1").unwrap(), &claims);
        let signature = self.key.sign(SCHEME, input.as_bytes()).unwrap();
        jwt::assemble(input, SCHEME, &signature).unwrap()
    }
}

fn certificate(key: &PrivateKey, trust_domain: &TrustDomain) -> Certificate {
    let subject = DistinguishedName::spire();
    let template = CertificateTemplate {
        serial: SerialNumber::random().unwrap(),
        subject: subject.clone(),
        validity: Validity {
            not_before: UnixTime::from_seconds(NOW as i64),
            not_after: UnixTime::from_seconds(NOW as i64 + 86_400),
        },
        subject_key: key.public_key().clone(),
        profile: Profile::Authority { uri: trust_domain.id() },
        extra_extensions: vec![],
    };
    let issuer = Issuer { subject_der: subject.der(), key_id: None, scheme: SCHEME };
    let tbs = to_be_signed(&template, &issuer);
    let signature = key.sign(SCHEME, &tbs).unwrap();
    Certificate::from_der(&assemble(&tbs, SCHEME, &signature)).unwrap()
}

/// A server that signs tokens and does nothing else.
pub(super) struct FakeUpstream {
    authority: Arc<Authority>,
    pub(super) tokens: AtomicUsize,
    pub(super) fault: Mutex<Option<Failure>>,
    /// While shut, no token is signed.
    pub(super) gate: watch::Sender<bool>,
}

#[async_trait]
impl Upstream for FakeUpstream {
    async fn sync_entries(&self, _: &HeldVersions) -> Result<EntrySync, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn own_bundle(&self) -> Result<Bundle, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn foreign_bundle(&self, _: &TrustDomain) -> Result<Option<Bundle>, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn sign_x509(
        &self,
        _: Vec<X509Request>,
    ) -> Result<Vec<Result<Vec<Certificate>, Failure>>, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn new_jwt(&self, entry_id: &EntryId, audience: &[String]) -> Result<JwtSvid, Failure> {
        self.tokens.fetch_add(1, Ordering::SeqCst);
        self.gate.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(fault);
        }
        let audience: Vec<&str> = audience.iter().map(String::as_str).collect();
        let subject = format!("spiffe://example.org/{entry_id}");
        let token = self.authority.token(&subject, &audience, serde_json::json!({}));
        Ok(JwtSvid::parse_unverified(token).unwrap())
    }

    async fn renew_agent(&self, _: Vec<u8>) -> Result<Vec<Certificate>, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn post_status(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

/// Says of everybody what the test wants.
pub(super) struct FakeAttestor {
    pub(super) answer: Mutex<Result<Vec<Selector>, Failure>>,
    /// While shut, nobody is answered.
    pub(super) gate: watch::Sender<bool>,
    pub(super) asked: AtomicUsize,
    pub(super) given_up: Arc<AtomicUsize>,
    pub(super) somebody_asks: Notify,
}

impl FakeAttestor {
    pub(super) fn new(answer: Result<Vec<Selector>, Failure>) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(answer),
            gate: watch::Sender::new(true),
            asked: AtomicUsize::new(0),
            given_up: Arc::default(),
            somebody_asks: Notify::new(),
        })
    }
}

/// Counts questions that were dropped before they were answered.
struct GivenUp(Option<Arc<AtomicUsize>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl WorkloadAttestor for FakeAttestor {
    fn name(&self) -> &str {
        "fake"
    }

    async fn attest(&self, workload: &WorkloadRef) -> Result<Vec<Selector>, Failure> {
        assert_eq!(i64::from(workload.pid), i64::from(std::process::id()));
        let mut given_up = GivenUp(Some(Arc::clone(&self.given_up)));
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.somebody_asks.notify_one();
        self.gate.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        given_up.0 = None;
        self.answer.lock().unwrap().clone()
    }
}

/// How a world begins.
pub(super) struct Plan {
    pub(super) caller: Vec<Selector>,
    pub(super) entries: Vec<GrantedEntry>,
    pub(super) verifiers: UnauthenticatedVerifiers,
    pub(super) foreign_claims: BTreeSet<String>,
    pub(super) attestors: Option<Vec<Arc<dyn WorkloadAttestor>>>,
    /// Whether the server answers syncs.
    pub(super) server: Server,
    pub(super) ourselves: Ourselves,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Server {
    Answers,
    Silent,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            caller: selectors(&["unix:uid:0", "unix:gid:0"]),
            entries: two_entries(),
            verifiers: UnauthenticatedVerifiers::Refuse,
            foreign_claims: BTreeSet::new(),
            attestors: None,
            server: Server::Answers,
            ourselves: Ourselves(0),
        }
    }
}

impl Plan {
    /// A caller that matches nothing.
    pub(super) fn stranger() -> Self {
        Self { caller: selectors(&["unix:uid:4242"]), ..Self::default() }
    }
}

/// One public socket and what is behind it.
pub(super) struct World {
    pub(super) directory: Directory,
    pub(super) clock: TestClock,
    pub(super) own: Arc<Authority>,
    pub(super) federated: Authority,
    pub(super) upstream: Arc<FakeUpstream>,
    pub(super) attestor: Arc<FakeAttestor>,
    pub(super) api: WorkloadApi,
    pub(super) jwt: JwtCache,
    pub(super) shutdown: Shutdown,
    pub(super) socket: PathBuf,
    /// What the server will say at the next sync.
    pub(super) next: Arc<Mutex<Option<Vec<GrantedEntry>>>>,
    pub(super) served: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn new(plan: Plan) -> Self {
        let (own, federated) =
            (Arc::new(Authority::new("example.org")), Authority::new("example-federated.org"));
        let other = Authority::new("other.org");
        let bundles = BundleSet::new(own.bundle.clone()).replaced_by([
            own.bundle.clone(),
            federated.bundle.clone(),
            other.bundle,
        ]);
        let directory = Directory::new(Cache::new(CacheOptions { x509_max: 1000 }, bundles));
        let clock = TestClock::at_unix(NOW);
        let upstream = Arc::new(FakeUpstream {
            authority: Arc::clone(&own),
            tokens: AtomicUsize::new(0),
            fault: Mutex::default(),
            gate: watch::Sender::new(true),
        });
        let options = JwtCacheOptions { max: 100, hit_timeout: Duration::from_secs(5) };
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let jwt = JwtCache::new(Arc::clone(&upstream) as Arc<dyn Upstream>, options, Arc::clone(&shared));
        let attestor = FakeAttestor::new(Ok(plan.caller));
        let fake: Arc<dyn WorkloadAttestor> = attestor.clone();
        let parts = WorkloadApiParts {
            directory: directory.clone(),
            jwt: jwt.clone(),
            attestors: plan.attestors.unwrap_or(vec![fake]),
            options: WorkloadApiOptions {
                unauthenticated_verifiers: plan.verifiers,
                allowed_foreign_jwt_claims: plan.foreign_claims,
                log_selectors: BTreeSet::new(),
                rate_limits: RateLimits::default(),
            },
            clock: shared,
        };
        let api = WorkloadApi::of_process(parts, plan.ourselves);
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            directory,
            clock,
            own,
            federated,
            upstream,
            attestor,
            api,
            jwt,
            shutdown: Shutdown::new(),
            socket: folder.path().join("run/agent.sock"),
            next: Arc::default(),
            served: None,
            _folder: folder,
        };
        world.set_entries(plan.entries.clone());
        world.sign(&plan.entries, "chain");
        let number = world.directory.sync_begins();
        world.directory.sync_ends(number, Some(world.clock.now()));
        if plan.server == Server::Answers {
            world.answer_syncs();
        }
        world.serve().await;
        world
    }

    async fn serve(&mut self) {
        let (path, api, shutdown) = (self.socket.clone(), self.api.clone(), self.shutdown.clone());
        self.served = Some(tokio::spawn(async move {
            serve_workload_socket(&path, api, uncounted(), shutdown).await.unwrap()
        }));
        while !self.socket.exists() {
            tokio::task::yield_now().await;
        }
    }

    fn answer_syncs(&self) {
        let (directory, clock, next) = (self.directory.clone(), self.clock.clone(), Arc::clone(&self.next));
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = directory.sync_bell().heard() => {}
                    () = shutdown.stopping() => return,
                }
                let number = directory.sync_begins();
                let news = next.lock().unwrap().take();
                if let Some(entries) = news {
                    directory.change(|cache| cache.set_entries(&HashSet::new(), entries.clone()));
                    let signed = entries.iter().map(|entry| material(entry, "chain")).collect();
                    directory.change(|cache| cache.install(signed));
                }
                directory.sync_ends(number, Some(clock.now()));
            }
        });
    }

    pub(super) fn set_entries(&self, entries: Vec<GrantedEntry>) {
        self.directory.change(|cache| cache.set_entries(&HashSet::new(), entries));
    }

    pub(super) fn sign(&self, entries: &[GrantedEntry], chain: &str) {
        let signed = entries.iter().map(|entry| material(entry, chain)).collect();
        self.directory.change(|cache| cache.install(signed));
    }

    pub(super) fn set_bundles(&self, bundles: impl IntoIterator<Item = Bundle>) {
        self.directory.change(|cache| {
            let next = cache.bundles().replaced_by(bundles);
            cache.set_bundles(next)
        });
    }

    pub(super) fn channel(&self) -> Channel {
        unix_channel(UnixTarget::new(&self.socket), &ChannelOptions::default())
    }

    pub(super) fn client(&self) -> SpiffeWorkloadApiClient<Channel> {
        SpiffeWorkloadApiClient::new(self.channel())
    }

    /// How many distinct groups of workloads are connected: those that have a view.
    pub(super) fn connected(&self) -> usize {
        self.directory.read(|cache| cache.group_count())
    }
}

/// A request with the header that it must have.
pub(super) fn with_header<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", "true".parse().unwrap());
    request
}

/// Waits for something that will come, without a clock.
pub(super) async fn eventually(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// Counters that nobody reads.
pub(super) fn uncounted() -> finial_wire::measure::Measure {
    finial_wire::measure::Measure::new(&finial_runtime::metrics::Metrics::default(), answers_of)
}
