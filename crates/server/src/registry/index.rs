//! The index of entries and agents: who may have what, without asking the store. Pure.
//!
//! Entries hang under their parent. An agent may have every entry below its own ID and below the IDs of
//! the node aliases that fit it, however deep: an entry's identity is itself a possible parent. A *node
//! alias* is an entry whose parent is the server; it stands for all agents that have its selectors and is
//! never handed out itself. Aliases are found through one of their selectors, so that an agent costs its
//! own selectors and not the number of aliases.

use super::filter::{EntryFilter, NodeFilter};
use finial_identity::{AttestedNode, EntryId, RegistrationEntry, Selector, SpiffeId, TrustDomain, UnixTime};
use finial_plugin::datastore::Row;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// An entry in the index.
pub type IndexedEntry = Arc<Row<RegistrationEntry>>;
/// An agent in the index.
pub type IndexedNode = Arc<Row<AttestedNode>>;

/// The entries one agent may have, at one revision of the index.
#[derive(Debug, Default)]
pub struct AuthorizedEntries {
    /// Sorted by entry ID.
    entries: Vec<IndexedEntry>,
}

impl AuthorizedEntries {
    /// All of them, sorted by entry ID.
    pub fn as_slice(&self) -> &[IndexedEntry] {
        &self.entries
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&IndexedEntry> {
        self.entries.get(self.position(id)?)
    }

    /// Where an entry stands in [`Self::as_slice`].
    pub fn position(&self, id: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.value.id.as_str().cmp(id)).ok()
    }
}

/// Entries and agents of one trust domain.
#[derive(Debug)]
pub struct Index {
    server_id: SpiffeId,
    revision: u64,
    entries: HashMap<EntryId, IndexedEntry>,
    entries_by_row: BTreeMap<i64, IndexedEntry>,
    children: HashMap<SpiffeId, HashMap<EntryId, IndexedEntry>>,
    by_spiffe_id: HashMap<SpiffeId, HashMap<EntryId, IndexedEntry>>,
    aliases: HashMap<Selector, HashMap<EntryId, IndexedEntry>>,
    nodes: HashMap<SpiffeId, IndexedNode>,
    nodes_by_row: BTreeMap<i64, IndexedNode>,
}

impl Index {
    /// An empty index.
    pub fn new(trust_domain: &TrustDomain) -> Self {
        Self {
            server_id: trust_domain.server_id(),
            revision: 0,
            entries: HashMap::new(),
            entries_by_row: BTreeMap::new(),
            children: HashMap::new(),
            by_spiffe_id: HashMap::new(),
            aliases: HashMap::new(),
            nodes: HashMap::new(),
            nodes_by_row: BTreeMap::new(),
        }
    }

    /// Grows with each change of what any agent may have.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Adds an entry or replaces it.
    pub fn put_entry(&mut self, row: Row<RegistrationEntry>) {
        self.remove_entry(&row.value.id);
        let entry = Arc::new(row);
        let (id, spec) = (&entry.value.id, &entry.value.spec);
        self.entries.insert(id.clone(), Arc::clone(&entry));
        self.entries_by_row.insert(entry.row_id, Arc::clone(&entry));
        self.by_spiffe_id.entry(spec.spiffe_id.clone()).or_default().insert(id.clone(), Arc::clone(&entry));
        if spec.parent_id == self.server_id {
            if let Some(selector) = self.rarest_alias_selector(&spec.selectors) {
                self.aliases.entry(selector).or_default().insert(id.clone(), Arc::clone(&entry));
            }
        } else {
            let siblings = self.children.entry(spec.parent_id.clone()).or_default();
            siblings.insert(id.clone(), Arc::clone(&entry));
        }
    }

    /// Removes an entry.
    pub fn remove_entry(&mut self, id: &EntryId) -> Option<IndexedEntry> {
        self.revision += 1;
        let entry = self.entries.remove(id)?;
        let spec = &entry.value.spec;
        self.entries_by_row.remove(&entry.row_id);
        forget(&mut self.by_spiffe_id, &spec.spiffe_id, id);
        if spec.parent_id == self.server_id {
            for selector in &spec.selectors {
                forget(&mut self.aliases, selector, id);
            }
        } else {
            forget(&mut self.children, &spec.parent_id, id);
        }
        Some(entry)
    }

    /// Adds an agent or replaces it.
    pub fn put_node(&mut self, row: Row<AttestedNode>) {
        self.remove_node(&row.value.id);
        let node = Arc::new(row);
        self.nodes_by_row.insert(node.row_id, Arc::clone(&node));
        self.nodes.insert(node.value.id.clone(), node);
    }

    /// Removes an agent.
    pub fn remove_node(&mut self, id: &SpiffeId) -> Option<IndexedNode> {
        self.revision += 1;
        let node = self.nodes.remove(id)?;
        self.nodes_by_row.remove(&node.row_id);
        Some(node)
    }

    /// One entry.
    pub fn entry(&self, id: &EntryId) -> Option<&IndexedEntry> {
        self.entries.get(id)
    }

    /// One agent.
    pub fn node(&self, id: &SpiffeId) -> Option<&IndexedNode> {
        self.nodes.get(id)
    }

    /// The entries that give an identity.
    pub fn entries_of(&self, id: &SpiffeId) -> impl Iterator<Item = &IndexedEntry> {
        self.by_spiffe_id.get(id).into_iter().flat_map(HashMap::values)
    }

    /// How many entries are wanted.
    pub fn count_entries(&self, filter: &EntryFilter) -> usize {
        if filter.is_empty() { self.entries.len() } else { self.candidates(filter, i64::MIN).count() }
    }

    /// Wanted entries after a row, in row order.
    pub fn page_entries(&self, filter: &EntryFilter, after_row: i64, limit: usize) -> Vec<IndexedEntry> {
        let mut page: Vec<_> = match &filter.spiffe_id {
            // Few entries share an identity; they are not in row order.
            Some(_) => self.candidates(filter, after_row).cloned().collect(),
            None => self.candidates(filter, after_row).take(limit).cloned().collect(),
        };
        page.sort_by_key(|entry| entry.row_id);
        page.truncate(limit);
        page
    }

    fn candidates<'a>(
        &'a self,
        filter: &'a EntryFilter,
        after_row: i64,
    ) -> Box<dyn Iterator<Item = &'a IndexedEntry> + 'a> {
        let wanted = move |entry: &&IndexedEntry| entry.row_id > after_row && filter.accepts(&entry.value);
        match &filter.spiffe_id {
            Some(id) => Box::new(self.entries_of(id).filter(wanted)),
            None => {
                let rows = (std::ops::Bound::Excluded(after_row), std::ops::Bound::Unbounded);
                Box::new(self.entries_by_row.range(rows).map(|(_, entry)| entry).filter(wanted))
            }
        }
    }

    /// How many agents are wanted.
    pub fn count_nodes(&self, filter: &NodeFilter) -> usize {
        if filter.is_empty() {
            return self.nodes.len();
        }
        self.nodes.values().filter(|node| filter.accepts(&node.value)).count()
    }

    /// Wanted agents after a row, in row order.
    pub fn page_nodes(&self, filter: &NodeFilter, after_row: i64, limit: usize) -> Vec<IndexedNode> {
        let rows = (std::ops::Bound::Excluded(after_row), std::ops::Bound::Unbounded);
        self.nodes_by_row
            .range(rows)
            .map(|(_, node)| node)
            .filter(|node| filter.accepts(&node.value))
            .take(limit)
            .cloned()
            .collect()
    }

    /// Everything an agent may have. An agent that is not known, is banned or has expired fits no alias.
    pub fn authorized(&self, agent: &SpiffeId, now: UnixTime) -> AuthorizedEntries {
        let mut seen = HashSet::from([agent.clone()]);
        let mut parents = vec![agent.clone()];
        for alias in self.aliases_of(agent, now) {
            if seen.insert(alias.clone()) {
                parents.push(alias);
            }
        }
        let mut entries = Vec::new();
        while let Some(parent) = parents.pop() {
            for child in self.children.get(&parent).into_iter().flat_map(HashMap::values) {
                let identity = &child.value.spec.spiffe_id;
                entries.push(Arc::clone(child));
                if seen.insert(identity.clone()) {
                    parents.push(identity.clone());
                }
            }
        }
        entries.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        AuthorizedEntries { entries }
    }

    /// The identities of the node aliases that fit an agent.
    fn aliases_of(&self, agent: &SpiffeId, now: UnixTime) -> Vec<SpiffeId> {
        let Some(node) = self.nodes.get(agent).map(|row| &row.value) else { return Vec::new() };
        if node.is_banned() || node.current.expires_at < now {
            return Vec::new();
        }
        let has: HashSet<&Selector> = node.selectors.iter().collect();
        let fits = |alias: &&IndexedEntry| alias.value.spec.selectors.iter().all(|s| has.contains(s));
        has.iter()
            .filter_map(|selector| self.aliases.get(*selector))
            .flat_map(HashMap::values)
            .filter(fits)
            .map(|alias| alias.value.spec.spiffe_id.clone())
            .collect()
    }

    /// The selector of an alias that the fewest aliases are filed under.
    fn rarest_alias_selector(&self, selectors: &[Selector]) -> Option<Selector> {
        selectors.iter().min_by_key(|selector| self.aliases.get(*selector).map_or(0, HashMap::len)).cloned()
    }
}

fn forget<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, HashMap<EntryId, IndexedEntry>>,
    key: &K,
    id: &EntryId,
) {
    if let Some(inner) = map.get_mut(key) {
        inner.remove(id);
        if inner.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
