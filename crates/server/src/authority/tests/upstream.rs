//! Below another authority: another server of ours plays it.

use super::{HOUR, Server, World};
use crate::authority::PublishError;
use async_trait::async_trait;
use finial_identity::x509::{Certificate, Csr};
use finial_identity::{AuthorityId, Code, Failure, JwtAuthority};
use finial_plugin::datastore::BundleChange;
use finial_plugin::upstream_authority::{BundleUpdates, MintedX509Ca, UpstreamAuthority, UpstreamBundle};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn is_tainted(server: &Server, id: &AuthorityId) -> bool {
    server.bundle.current().find_x509(id).any(|authority| authority.tainted)
}

/// The server above, called without a wire.
struct Root {
    server: Server,
    is_away: AtomicBool,
}

impl Root {
    async fn start() -> Arc<Self> {
        Arc::new(Self { server: World::new().start().await, is_away: AtomicBool::new(false) })
    }

    fn reachable(&self) -> Result<(), Failure> {
        match self.is_away.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Failure::new(Code::Unavailable, "away")),
        }
    }
}

#[async_trait]
impl UpstreamAuthority for Root {
    fn name(&self) -> &str {
        "root"
    }

    async fn mint_x509_ca(&self, csr: &[u8], ttl: Duration) -> Result<MintedX509Ca, Failure> {
        self.reachable()?;
        let csr = Csr::parse(csr).map_err(|e| Failure::invalid(e.to_string()))?;
        let issued = self.server.authority.issue_downstream_x509_ca(&csr.public_key, Some(ttl)).await?;
        Ok(MintedX509Ca {
            chain: issued.chain.iter().map(|der| Certificate::from_der(der).unwrap()).collect(),
            roots: self.server.bundle.current().x509_authorities.clone(),
            updates: stream::empty().boxed(),
        })
    }

    async fn publish_jwt_key(&self, key: &JwtAuthority) -> Result<Vec<JwtAuthority>, Failure> {
        self.reachable()?;
        let published = self.server.authority.publish_jwt_key(key.clone()).await;
        let bundle = published.map_err(|e: PublishError| Failure::internal(e.to_string()))?;
        Ok(bundle.jwt_authorities.clone())
    }

    async fn follow_local_bundle(&self) -> Result<BundleUpdates, Failure> {
        let changes = self.server.bundle.subscribe();
        let updates = stream::unfold((changes, true), |(mut changes, is_first)| async move {
            if !is_first {
                changes.changed().await.ok()?;
            }
            let bundle = changes.borrow_and_update().clone();
            let update = UpstreamBundle {
                x509_authorities: bundle.x509_authorities.clone(),
                jwt_authorities: bundle.jwt_authorities.clone(),
            };
            Some((Ok(update), (changes, false)))
        });
        Ok(updates.boxed())
    }
}

async fn below(root: &Arc<Root>, world: &World) -> Server {
    world.try_start_below(Some(root.clone())).await.unwrap()
}

/// Polls the follower while `work` goes on.
async fn following<T>(server: &Server, work: impl Future<Output = T>) -> T {
    tokio::select! {
        () = server.authority.follow_upstream() => unreachable!("it never ends"),
        done = work => done,
    }
}

async fn until(server: &Server, holds: impl Fn(&Server) -> bool) {
    let mut changes = server.bundle.subscribe();
    while !holds(server) {
        changes.changed().await.unwrap();
    }
}

#[tokio::test]
async fn what_it_signs_hangs_on_the_root() {
    let root = Root::start().await;
    let world = World::new();
    let server = below(&root, &world).await;
    let state = server.authority.x509_state().active.unwrap();
    assert_eq!(state.upstream_id, root.server.active_x509());
    let identity = server.authority.issue_server_identity().await.unwrap();
    assert_eq!(identity.svid().chain.len(), 2);
    assert_eq!(identity.svid().chain[1].subject().matches("OU=DOWNSTREAM-1").count(), 1);
    let chain: Vec<_> = identity.svid().chain.iter().map(|c| bytes::Bytes::from(c.der().to_vec())).collect();
    root.server.verify(&chain);
    server.verify(&chain);
    let (here, above) = (server.bundle.current(), root.server.bundle.current());
    assert_eq!(here.x509_authorities, above.x509_authorities, "roots only");
    assert!(above.find_jwt(server.active_jwt().as_str()).is_some(), "JWT authorities go up");
    assert!(here.find_jwt(root.server.active_jwt().as_str()).is_some(), "and come down");

    let third = below(&Arc::new(Root { server, is_away: AtomicBool::new(false) }), &World::new()).await;
    let identity = third.authority.issue_server_identity().await.unwrap();
    assert_eq!(identity.svid().chain.len(), 3);
    let chain: Vec<_> = identity.svid().chain.iter().map(|c| bytes::Bytes::from(c.der().to_vec())).collect();
    root.server.verify(&chain);
    assert!(root.server.bundle.current().find_jwt(third.active_jwt().as_str()).is_some(), "from two below");
}

#[tokio::test]
async fn it_comes_back_with_its_chain() {
    let root = Root::start().await;
    let world = World::new();
    let active = below(&root, &world).await.authority.x509_state();
    root.is_away.store(true, Ordering::Relaxed);
    let again = below(&root, &world).await;
    assert_eq!(again.authority.x509_state(), active);
    let identity = again.authority.issue_server_identity().await.unwrap();
    assert_eq!(identity.svid().chain.len(), 2);
    let refused = again.authority.prepare_x509_authority().await.unwrap_err();
    assert_eq!(
        refused.message,
        "failed to prepare X.509 authority: the upstream authority did not mint an X.509 authority: away"
    );
}

#[tokio::test]
async fn a_root_that_is_tainted_above_is_left_and_then_tainted_and_revoked() {
    let root = Root::start().await;
    let server = below(&root, &World::new()).await;
    let old_root = root.server.active_x509();
    let old = server.active_x509();
    let above = &root.server.authority;
    following(&server, async {
        let prepared = above.prepare_x509_authority().await.unwrap();
        above.activate_x509_authority(&prepared.id).await.unwrap();
        until(&server, |server| server.bundle.current().find_x509(&prepared.id).next().is_some()).await;
        assert_eq!(server.active_x509(), old, "a new root is no reason to leave");

        above.taint_x509_authority(&old_root).await.unwrap();
        until(&server, |server| is_tainted(server, &old_root)).await;
        let state = server.authority.x509_state();
        assert_ne!(state.active.as_ref().unwrap().id, old);
        assert_eq!(state.active.unwrap().upstream_id, prepared.id);

        above.revoke_x509_authority(&old_root).await.unwrap();
        until(&server, |server| server.bundle.current().find_x509(&old_root).next().is_none()).await;
        assert_eq!(server.bundle.current().x509_authorities.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn jwt_authorities_follow_too() {
    let root = Root::start().await;
    let server = below(&root, &World::new()).await;
    let above = &root.server.authority;
    let old = root.server.active_jwt();
    following(&server, async {
        let prepared = above.prepare_jwt_authority().await.unwrap();
        until(&server, |server| server.bundle.current().find_jwt(prepared.id.as_str()).is_some()).await;
        above.activate_jwt_authority(&prepared.id).await.unwrap();
        above.taint_jwt_authority(&old).await.unwrap();
        let is_tainted =
            |server: &Server| server.bundle.current().find_jwt(old.as_str()).is_some_and(|key| key.tainted);
        until(&server, is_tainted).await;
        above.revoke_jwt_authority(&old).await.unwrap();
        until(&server, |server| server.bundle.current().find_jwt(old.as_str()).is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn operators_taint_what_is_above_and_not_what_is_here() {
    let root = Root::start().await;
    let server = below(&root, &World::new()).await;
    let authority = &server.authority;
    let old_root = root.server.active_x509();
    let first = server.active_x509();
    let refused = authority.taint_x509_authority(&first).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert_eq!(refused.message, "local authority can't be tainted if there is an upstream authority");
    let refused = authority.revoke_x509_authority(&first).await.unwrap_err();
    assert_eq!(refused.message, "local authority can't be revoked if there is an upstream authority");
    let refused = authority.taint_x509_upstream_authority(old_root.as_str()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "provided subject key id is not valid: unable to use upstream authority singing current authority"
    );

    let prepared = root.server.authority.prepare_x509_authority().await.unwrap();
    root.server.authority.activate_x509_authority(&prepared.id).await.unwrap();
    let next = authority.prepare_x509_authority().await.unwrap();
    assert_eq!(next.upstream_id, prepared.id);
    authority.activate_x509_authority(&next.id).await.unwrap();
    let upper = old_root.as_str().to_uppercase();
    assert_eq!(authority.taint_x509_upstream_authority(&upper).await.unwrap(), old_root);
    assert!(is_tainted(&server, &old_root));
    assert_eq!(authority.revoke_x509_upstream_authority(&upper).await.unwrap(), old_root);
    assert!(server.bundle.current().find_x509(&old_root).next().is_none());

    let alone = World::new().start().await;
    let refused = alone.authority.taint_x509_upstream_authority("ab").await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Code::FailedPrecondition, "upstream authority is not configured")
    );
}

#[tokio::test]
async fn what_is_signed_below_a_tainted_root_is_refused() {
    let root = Root::start().await;
    let server = below(&root, &World::new()).await;
    let first = server.active_x509();
    // A server above that goes on signing with what it says is tainted.
    let id: AuthorityId = root.server.active_x509();
    root.server.bundle.apply(BundleChange::TaintX509(id)).await.unwrap();
    let refused = server.authority.prepare_x509_authority().await.unwrap_err();
    assert!(
        refused.message.contains("X509 CA minted by upstream authority is invalid"),
        "{}",
        refused.message
    );
    assert_eq!(server.active_x509(), first);
}

#[tokio::test]
async fn it_lives_no_longer_than_its_issuer() {
    let root = Root::start().await;
    root.server.clock.advance(Duration::from_secs(11 * HOUR));
    let mut world = World::new();
    world.clock = root.server.clock.clone();
    world.config.ca_ttl = Duration::from_secs(48 * HOUR);
    let server = below(&root, &world).await;
    let above = root.server.authority.x509_state().active.unwrap();
    assert_eq!(server.authority.x509_state().active.unwrap().expires_at, above.expires_at);
}
