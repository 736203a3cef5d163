//! The writer against a server that grants nothing and counts how often it is asked.

use super::super::*;
use crate::cache::{Cache, CacheOptions};
use crate::upstream::{EntrySync, X509Request};
use async_trait::async_trait;
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::Certificate;
use finial_identity::{EntryId, KeyType};
use finial_runtime::clock::TestClock;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: u64 = 1_800_000_000;

#[derive(Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl Upstream for Counting {
    async fn sync_entries(&self, _: &HeldVersions) -> Result<EntrySync, Failure> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(EntrySync::default())
    }

    async fn own_bundle(&self) -> Result<Bundle, Failure> {
        Ok(Bundle::new(TrustDomain::parse("example.org").unwrap()))
    }

    async fn foreign_bundle(&self, _: &TrustDomain) -> Result<Option<Bundle>, Failure> {
        Ok(None)
    }

    async fn sign_x509(
        &self,
        _: Vec<X509Request>,
    ) -> Result<Vec<Result<Vec<Certificate>, Failure>>, Failure> {
        Err(Failure::internal("nothing was granted"))
    }

    async fn new_jwt(&self, _: &EntryId, _: &[String]) -> Result<JwtSvid, Failure> {
        Err(Failure::internal("nothing was granted"))
    }

    async fn renew_agent(&self, _: Vec<u8>) -> Result<Vec<Certificate>, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn post_status(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

struct World {
    clock: TestClock,
    directory: Directory,
    server: Arc<Counting>,
    shutdown: Shutdown,
}

impl World {
    /// A writer that has synchronized once.
    async fn new() -> Self {
        let clock = TestClock::at_unix(NOW);
        let bundles = BundleSet::new(Bundle::new(TrustDomain::parse("example.org").unwrap()));
        let directory = Directory::new(Cache::new(CacheOptions { x509_max: 10 }, bundles));
        let (server, shutdown) = (Arc::new(Counting::default()), Shutdown::new());
        let sign = SignOptions { key_type: KeyType::EcP256, availability_target: None };
        let upstream = Arc::clone(&server) as Arc<dyn Upstream>;
        let interval = Duration::from_secs(5);
        let shared = Arc::new(clock.clone());
        let sync = Sync::new(upstream, directory.clone(), Verdicts::default(), interval, sign, shared);
        tokio::spawn(sync.run(shutdown.clone()));
        directory.synced_once().await;
        Self { clock, directory, server, shutdown }
    }

    fn asked(&self) -> usize {
        self.server.0.load(Ordering::SeqCst)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

#[tokio::test]
async fn strangers_are_looked_up_at_once_until_they_are_too_many() {
    let world = World::new().await;
    for number in 2..=5 {
        world.directory.refreshed().await;
        assert_eq!(world.asked(), number);
    }
    // The fifth waits, and so does whoever comes meanwhile: for the same answer.
    let ask = || {
        let directory = world.directory.clone();
        tokio::spawn(async move { directory.refreshed().await })
    };
    let (fifth, sixth) = (ask(), ask());
    let wait = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) + Duration::from_millis(250);
    while world.clock.next_deadline() != Some(wait) {
        tokio::task::yield_now().await;
    }
    assert!(!fifth.is_finished() && !sixth.is_finished());
    assert_eq!(world.asked(), 5);
    world.clock.set(wait);
    fifth.await.unwrap();
    sixth.await.unwrap();
    assert_eq!(world.asked(), 6);
}
