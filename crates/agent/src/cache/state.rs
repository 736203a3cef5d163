//! The cache itself: entries, SVIDs, bundles and groups, and what follows from them.

use super::groups::{GroupId, Groups};
use super::index::EntryIndex;
use super::{BundleSet, Identity, View, X509Material};
use finial_identity::GrantedEntry;
use finial_identity::{EntryId, Selector, UnixTime};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

/// How much the cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// X509-SVIDs to hold; those that a connected workload uses are held beyond it.
    pub x509_max: usize,
}

/// What must be signed now, most urgent first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Entries whose X509-SVID is missing, outdated or due.
    pub sign: Vec<EntryId>,
    /// The groups that lost an SVID because it has ended.
    pub touched: Touched,
}

/// The groups whose view changed.
pub type Touched = BTreeSet<GroupId>;

/// What the agent may hand out. One writer; views are immutable.
#[derive(Debug)]
pub struct Cache {
    options: CacheOptions,
    entries: EntryIndex,
    x509: HashMap<EntryId, Arc<X509Material>>,
    /// Authorities that must no longer be used, lower-case hex key IDs.
    tainted: BTreeSet<String>,
    /// When an entry's SVID was last wanted, by a counter.
    used: HashMap<EntryId, u64>,
    uses: u64,
    bundles: Arc<BundleSet>,
    groups: Groups,
}

impl Cache {
    /// An empty cache.
    pub fn new(options: CacheOptions, bundles: BundleSet) -> Self {
        Self {
            options,
            entries: EntryIndex::default(),
            x509: HashMap::new(),
            tainted: BTreeSet::new(),
            used: HashMap::new(),
            uses: 0,
            bundles: Arc::new(bundles),
            groups: Groups::default(),
        }
    }

    /// Which state of an entry is held.
    pub fn entry(&self, id: &EntryId) -> Option<&Arc<GrantedEntry>> {
        self.entries.get(id)
    }

    /// All entries, in the order of their IDs.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<GrantedEntry>> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The X509-SVIDs that are held, by their entries.
    pub fn x509(&self) -> &HashMap<EntryId, Arc<X509Material>> {
        &self.x509
    }

    /// How many X509-SVIDs are held.
    pub fn x509_count(&self) -> usize {
        self.x509.len()
    }

    /// How many groups of workloads are connected.
    #[cfg(test)]
    pub(crate) fn group_count(&self) -> usize {
        self.groups.iter().count()
    }

    /// The X.509 authorities of the own trust domain that must no longer be used, lower-case hex key IDs.
    pub fn tainted(&self) -> &BTreeSet<String> {
        &self.tainted
    }

    /// The bundles.
    pub fn bundles(&self) -> &Arc<BundleSet> {
        &self.bundles
    }

    /// Takes over the whole set of entries that the server grants: `kept` stay as they are, `changed` are
    /// new or different, everything else is gone.
    pub fn set_entries(&mut self, kept: &HashSet<EntryId>, changed: Vec<GrantedEntry>) -> Touched {
        let changed: BTreeMap<EntryId, GrantedEntry> =
            changed.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let gone: Vec<EntryId> = self
            .entries
            .iter()
            .map(|entry| &entry.id)
            .filter(|id| !kept.contains(*id) && !changed.contains_key(*id))
            .cloned()
            .collect();
        let mut touched = Touched::new();
        for id in gone {
            if let Some(entry) = self.entries.remove(&id) {
                touched.extend(self.groups.matched_by(&entry));
            }
            self.x509.remove(&id);
            self.used.remove(&id);
        }
        for (id, entry) in changed {
            let entry = Arc::new(entry);
            if let Some(before) = self.entries.get(&id) {
                if **before == *entry {
                    continue;
                }
                touched.extend(self.groups.matched_by(before));
                let another_identity =
                    before.spiffe_id != entry.spiffe_id || before.created_at != entry.created_at;
                if another_identity {
                    self.x509.remove(&id);
                }
            }
            touched.extend(self.groups.matched_by(&entry));
            self.entries.put(entry);
        }
        self.renew_views(&touched);
        touched
    }

    /// Takes over bundles; every group sees a change.
    pub fn set_bundles(&mut self, bundles: BundleSet) -> Touched {
        if self.bundles.same_as(&bundles) {
            return Touched::new();
        }
        self.tainted = tainted_authorities(&bundles);
        self.bundles = Arc::new(bundles);
        let touched: Touched = self.groups.ids().into_iter().collect();
        self.renew_views(&touched);
        touched
    }

    /// Takes over signed SVIDs. One for an entry that is gone meanwhile is dropped.
    pub fn install(&mut self, signed: Vec<(EntryId, X509Material)>) -> Touched {
        let mut touched = Touched::new();
        for (id, material) in signed {
            let Some(entry) = self.entries.get(&id) else { continue };
            touched.extend(self.groups.matched_by(entry));
            self.x509.insert(id, Arc::new(material));
        }
        self.renew_views(&touched);
        touched
    }

    /// What must be signed at `now`, and forgets SVIDs that have ended, that are over the limit, or that are
    /// due and will not be renewed because nobody wants them.
    ///
    /// SVIDs that a connected workload waits for come first, then those that a connected workload uses,
    /// then the rest up to the limit, most recently used first.
    pub fn plan(&mut self, now: SystemTime) -> Plan {
        let pinned = self.pinned();
        let wanted = self.wanted(&pinned);
        let touched = self.forget_ended(now.into());
        self.forget_unwanted(&wanted, now);
        let wanted = self.entries.iter().filter(|entry| wanted.contains(&entry.id));
        let due = wanted.filter(|entry| self.is_due(entry, now));
        let mut sign: Vec<EntryId> = due.map(|entry| entry.id.clone()).collect();
        sign.sort_by_key(|id| (!pinned.contains(id), self.x509.contains_key(id)));
        Plan { sign, touched }
    }

    /// When the next SVID falls due, if nothing else happens.
    pub fn next_due(&self) -> Option<SystemTime> {
        self.x509.values().map(|material| material.rotate_at).min()
    }

    fn pinned(&self) -> HashSet<EntryId> {
        let identities = self.groups.iter().flat_map(|group| &group.view.identities);
        identities.map(|identity| identity.entry.id.clone()).collect()
    }

    /// The entries whose SVIDs are worth having: those in use, and others up to the limit.
    fn wanted(&self, pinned: &HashSet<EntryId>) -> HashSet<EntryId> {
        let spare = self.options.x509_max.saturating_sub(pinned.len());
        let mut others: Vec<&Arc<GrantedEntry>> =
            self.entries.iter().filter(|entry| !pinned.contains(&entry.id) && is_prefetched(entry)).collect();
        if others.len() > spare {
            others.sort_by_key(|entry| std::cmp::Reverse(self.last_use(&entry.id)));
            others.truncate(spare);
        }
        pinned.iter().cloned().chain(others.into_iter().map(|entry| entry.id.clone())).collect()
    }

    fn last_use(&self, id: &EntryId) -> u64 {
        self.used.get(id).copied().unwrap_or(0)
    }

    fn is_due(&self, entry: &GrantedEntry, now: SystemTime) -> bool {
        match self.x509.get(&entry.id) {
            None => true,
            Some(held) => {
                held.rotate_at <= now
                    || !entry.is_version(held.revision, held.created_at)
                    || self.tainted.contains(&held.authority_key_id)
            }
        }
    }

    /// Drops SVIDs that have ended, also of connected workloads.
    fn forget_ended(&mut self, now: UnixTime) -> Touched {
        let ended: Vec<EntryId> =
            self.x509.iter().filter(|(_, held)| held.expires_at < now).map(|(id, _)| id.clone()).collect();
        let mut touched = Touched::new();
        for id in ended {
            self.x509.remove(&id);
            touched.extend(self.entries.get(&id).into_iter().flat_map(|entry| self.groups.matched_by(entry)));
        }
        self.renew_views(&touched);
        touched
    }

    /// Drops what nobody wants: at once if it is due, for it will not be renewed; else only what is over the
    /// limit, least recently used first. What is wanted is never over the limit for long, so that nothing is
    /// dropped here that would be signed again.
    fn forget_unwanted(&mut self, wanted: &HashSet<EntryId>, now: SystemTime) {
        let held = self.x509.keys().filter(|id| !wanted.contains(*id));
        let mut unwanted: Vec<EntryId> = held.cloned().collect();
        unwanted.sort_by_key(|id| self.last_use(id));
        let mut over = self.x509.len().saturating_sub(self.options.x509_max.max(wanted.len()));
        for id in unwanted {
            let is_due = self.entries.get(&id).is_none_or(|entry| self.is_due(entry, now));
            if is_due || over > 0 {
                self.x509.remove(&id);
                over = over.saturating_sub(1);
            }
        }
    }

    /// Adds a workload; its SVIDs are held as long as it stays.
    pub fn join(&mut self, selectors: &[Selector]) -> (GroupId, Arc<View>) {
        let Self { entries, x509, bundles, groups, .. } = self;
        let id = groups.join(selectors, |set| Arc::new(make_view(entries, x509, bundles, set)));
        let view = groups.get(id).map(|group| Arc::clone(&group.view));
        let view = view.unwrap_or_else(|| Arc::new(View::new(vec![], Arc::clone(bundles))));
        self.mark_used(&view);
        (id, view)
    }

    /// Takes a workload out.
    pub fn leave(&mut self, id: GroupId) {
        if let Some(view) = self.groups.get(id).map(|group| Arc::clone(&group.view)) {
            self.mark_used(&view);
        }
        self.groups.leave(id);
    }

    /// What a group sees.
    pub fn view(&self, id: GroupId) -> Option<Arc<View>> {
        self.groups.get(id).map(|group| Arc::clone(&group.view))
    }

    /// What a workload with these selectors would see.
    pub fn look(&self, selectors: &[Selector]) -> View {
        let set: HashSet<Selector> = selectors.iter().cloned().collect();
        make_view(&self.entries, &self.x509, &self.bundles, &set)
    }

    fn mark_used(&mut self, view: &View) {
        self.uses += 1;
        for identity in &view.identities {
            self.used.insert(identity.entry.id.clone(), self.uses);
        }
    }

    fn renew_views(&mut self, touched: &Touched) {
        for id in touched {
            if let Some(group) = self.groups.get_mut(*id) {
                let view = make_view(&self.entries, &self.x509, &self.bundles, &group.selectors);
                group.view = Arc::new(view);
            }
        }
    }
}

fn make_view(
    entries: &EntryIndex,
    x509: &HashMap<EntryId, Arc<X509Material>>,
    bundles: &Arc<BundleSet>,
    selectors: &HashSet<Selector>,
) -> View {
    let for_workloads = entries.matching(selectors).into_iter().filter(|entry| !entry.store_svid);
    let identities = for_workloads.map(|entry| Identity { x509: x509.get(&entry.id).cloned(), entry });
    View::new(identities.collect(), Arc::clone(bundles))
}

fn is_prefetched(entry: &GrantedEntry) -> bool {
    !entry.additional.disable_x509_svid_prefetch && !entry.store_svid
}

fn tainted_authorities(bundles: &BundleSet) -> BTreeSet<String> {
    let authorities = bundles.own().into_iter().flat_map(|bundle| &bundle.x509_authorities);
    authorities.filter(|authority| authority.tainted).map(|authority| authority.id().to_string()).collect()
}
