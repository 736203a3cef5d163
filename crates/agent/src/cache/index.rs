//! Which entries match a set of selectors.
//!
//! An entry matches when all its selectors are attested. It is filed under one of its selectors, the one
//! that the fewest entries are filed under, so that a look-up costs the selectors of the workload and the
//! hits, also where every workload shares a selector.

use finial_identity::GrantedEntry;
use finial_identity::{EntryId, Selector};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Entries, findable by ID and by selectors.
#[derive(Debug, Default)]
pub(super) struct EntryIndex {
    entries: BTreeMap<EntryId, (Arc<GrantedEntry>, Option<Selector>)>,
    filed: HashMap<Selector, HashSet<EntryId>>,
}

impl EntryIndex {
    pub(super) fn get(&self, id: &EntryId) -> Option<&Arc<GrantedEntry>> {
        self.entries.get(id).map(|(entry, _)| entry)
    }

    /// All entries in the order of their IDs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<GrantedEntry>> {
        self.entries.values().map(|(entry, _)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn put(&mut self, entry: Arc<GrantedEntry>) {
        self.remove(&entry.id);
        let crowd = |selector: &&Selector| self.filed.get(*selector).map_or(0, HashSet::len);
        let selector = entry.selectors.iter().min_by_key(crowd).cloned();
        if let Some(selector) = &selector {
            self.filed.entry(selector.clone()).or_default().insert(entry.id.clone());
        }
        self.entries.insert(entry.id.clone(), (entry, selector));
    }

    pub(super) fn remove(&mut self, id: &EntryId) -> Option<Arc<GrantedEntry>> {
        let (entry, selector) = self.entries.remove(id)?;
        if let Some(selector) = selector
            && let Some(file) = self.filed.get_mut(&selector)
        {
            file.remove(id);
            if file.is_empty() {
                self.filed.remove(&selector);
            }
        }
        Some(entry)
    }

    /// The entries that match, in the order of their IDs. An entry without selectors matches nobody.
    pub(super) fn matching(&self, selectors: &HashSet<Selector>) -> Vec<Arc<GrantedEntry>> {
        let mut found: Vec<_> = selectors
            .iter()
            .filter_map(|selector| self.filed.get(selector))
            .flatten()
            .filter_map(|id| self.get(id))
            .filter(|entry| entry.selectors.iter().all(|selector| selectors.contains(selector)))
            .cloned()
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}
