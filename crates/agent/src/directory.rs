//! The reader's half of the agent: what workloads and operators may look at.
//!
//! A [`Directory`] is cheap to clone. Reading never waits for the server, with one exception that is asked
//! for by name: [`Directory::refreshed`] rings the *demand bell* and waits for one fresh look, shared by
//! all who ask at the same time. The writer's half is crate-private and belongs to `sync`.

use crate::cache::{BundleSet, Cache, GroupId, Plan, Touched, View};
use finial_identity::Selector;
use finial_runtime::reconcile::Bell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// How far the syncs with the server have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncProgress {
    /// How many syncs were begun.
    pub begun: u64,
    /// Up to which sync all have ended, well or badly.
    pub ended: u64,
    /// When the last one succeeded.
    pub last_success: Option<SystemTime>,
}

/// What readers look at. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Directory {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    bundles: watch::Sender<Arc<BundleSet>>,
    progress: watch::Sender<SyncProgress>,
    sync_bell: Bell,
    sign_bell: Bell,
}

struct State {
    cache: Cache,
    listeners: HashMap<GroupId, watch::Sender<Arc<View>>>,
}

impl State {
    /// Shows these groups what they see now.
    fn tell(&self, touched: &Touched) {
        for group in touched {
            if let (Some(listener), Some(view)) = (self.listeners.get(group), self.cache.view(*group)) {
                listener.send_replace(view);
            }
        }
    }
}

impl Directory {
    /// A directory around a cache.
    pub fn new(cache: Cache) -> Self {
        let shared = Shared {
            bundles: watch::Sender::new(Arc::clone(cache.bundles())),
            state: Mutex::new(State { cache, listeners: HashMap::new() }),
            progress: watch::Sender::new(SyncProgress::default()),
            sync_bell: Bell::new(),
            sign_bell: Bell::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a workload. Its SVIDs are held, and signed first, as long as the subscription lives.
    pub fn subscribe(&self, selectors: &[Selector]) -> Subscription {
        let mut state = self.lock();
        let (group, view) = state.cache.join(selectors);
        let complete = view.is_complete();
        let views = match state.listeners.get(&group) {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(view);
                state.listeners.insert(group, sender);
                receiver
            }
        };
        drop(state);
        if !complete {
            self.shared.sign_bell.ring();
        }
        Subscription { directory: self.clone(), group, views }
    }

    /// What a workload with these selectors may have right now.
    pub fn look(&self, selectors: &[Selector]) -> View {
        self.lock().cache.look(selectors)
    }

    /// Waits for the end of one sync that began after this call; at most until the sync gives up.
    pub async fn refreshed(&self) {
        let mut progress = self.shared.progress.subscribe();
        let wanted = progress.borrow().begun + 1;
        self.shared.sync_bell.ring();
        // The writer outlives its readers; should it be gone, there is nothing to wait for.
        let _ = progress.wait_for(|progress| progress.ended >= wanted).await;
    }

    /// Waits until a sync has succeeded for the first time.
    pub async fn synced_once(&self) {
        let mut progress = self.shared.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.last_success.is_some()).await;
    }

    /// The bundles of now.
    pub fn bundles(&self) -> Arc<BundleSet> {
        Arc::clone(&self.shared.bundles.borrow())
    }

    /// The bundles, and every change of them.
    pub fn watch_bundles(&self) -> watch::Receiver<Arc<BundleSet>> {
        self.shared.bundles.subscribe()
    }

    /// How far the syncs have come.
    pub fn progress(&self) -> SyncProgress {
        *self.shared.progress.borrow()
    }

    /// How many X509-SVIDs are held.
    pub fn x509_count(&self) -> usize {
        self.lock().cache.x509_count()
    }

    /// Rung by whoever wants a fresh look at the server.
    pub(crate) fn sync_bell(&self) -> &Bell {
        &self.shared.sync_bell
    }

    /// Rung when a workload waits for a signature.
    pub(crate) fn sign_bell(&self) -> &Bell {
        &self.shared.sign_bell
    }

    /// Reads the cache.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Cache) -> T) -> T {
        look(&self.lock().cache)
    }

    /// What must be signed now.
    pub(crate) fn plan(&self, now: SystemTime) -> Plan {
        let mut state = self.lock();
        let plan = state.cache.plan(now);
        state.tell(&plan.touched);
        plan
    }

    /// Changes the cache and tells those whose view changed.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Cache) -> Touched) {
        let mut state = self.lock();
        let touched = change(&mut state.cache);
        state.tell(&touched);
        let bundles = Arc::clone(state.cache.bundles());
        drop(state);
        self.shared.bundles.send_if_modified(|held| {
            let changed = !Arc::ptr_eq(held, &bundles);
            *held = bundles;
            changed
        });
    }

    /// Says that a sync begins; gives its number.
    pub(crate) fn sync_begins(&self) -> u64 {
        let mut number = 0;
        self.shared.progress.send_modify(|progress| {
            progress.begun += 1;
            number = progress.begun;
        });
        number
    }

    /// Says that a sync has ended, and when, if it succeeded.
    pub(crate) fn sync_ends(&self, number: u64, success: Option<SystemTime>) {
        self.shared.progress.send_modify(|progress| {
            progress.ended = progress.ended.max(number);
            progress.last_success = success.or(progress.last_success);
        });
    }

    fn leave(&self, group: GroupId) {
        let mut state = self.lock();
        state.cache.leave(group);
        if state.cache.view(group).is_none() {
            state.listeners.remove(&group);
        }
    }
}

/// A workload that listens.
pub struct Subscription {
    directory: Directory,
    group: GroupId,
    views: watch::Receiver<Arc<View>>,
}

impl Subscription {
    /// What it sees now.
    pub fn view(&mut self) -> Arc<View> {
        Arc::clone(&self.views.borrow_and_update())
    }

    /// Waits until it sees something else than at the last [`Self::view`].
    pub async fn changed(&mut self) {
        // The sender lives as long as the group has a member, and this is one.
        let _ = self.views.changed().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.directory.leave(self.group);
    }
}
