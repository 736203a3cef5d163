//! The same on a real database and a real key manager.

use super::{DAY, HOUR, NOW};
use crate::authority::testing::config;
use crate::authority::{Authority, AuthorityState};
use crate::bundle::OwnBundle;
use finial_datastore::{SqliteConfig, SqliteStore};
use finial_plugin::datastore::DataStore;
use finial_plugin::key_manager::KeyManager;
use finial_plugins_base::key_manager::MemoryKeyManager;
use finial_runtime::clock::{Clock, TestClock};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn starts_rotates_and_comes_back() {
    let store: Arc<dyn DataStore> = Arc::new(SqliteStore::open(SqliteConfig::new(":memory:")).unwrap());
    let keys: Arc<dyn KeyManager> = Arc::new(MemoryKeyManager::new());
    let clock = TestClock::at_unix(NOW);
    let shared = || -> Arc<dyn Clock> { Arc::new(clock.clone()) };
    let start = async || {
        let trust_domain = config().trust_domain;
        let bundle = OwnBundle::load(trust_domain, Arc::clone(&store), shared()).await.unwrap();
        Authority::start(config(), Arc::clone(&keys), Arc::clone(&store), bundle, None, shared())
            .await
            .unwrap()
    };
    let states =
        |authority: &Authority| -> [AuthorityState; 2] { [authority.x509_state(), authority.jwt_state()] };
    let authority = start().await;
    for hours in [13, 8, 5] {
        clock.advance(Duration::from_secs(hours * HOUR));
        authority.rotate_if_due().await.unwrap();
        assert_eq!(states(&*start().await), states(&authority));
    }
    assert_eq!(store.journal_list().await.unwrap().len(), 1);
    let stored = store.bundle_get(&config().trust_domain).await.unwrap().unwrap();
    assert_eq!((stored.x509_authorities.len(), stored.jwt_authorities.len()), (3, 3));
    clock.advance(Duration::from_secs(30 * DAY));
    assert_eq!(states(&*start().await)[0].old, None);
}
