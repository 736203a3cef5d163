//! Groups of workloads that have the same selectors.

use super::View;
use finial_identity::GrantedEntry;
use finial_identity::Selector;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The name of a group; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u64);

/// One group with what it sees.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) selectors: HashSet<Selector>,
    pub(super) view: Arc<View>,
    members: usize,
    key: BTreeSet<Selector>,
}

/// All groups that have a member.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<GroupId, Group>,
    by_key: HashMap<BTreeSet<Selector>, GroupId>,
    by_selector: HashMap<Selector, HashSet<GroupId>>,
    next: u64,
}

impl Groups {
    /// Adds a member to the group of these selectors, making the group with `view` if it is new.
    pub(super) fn join(
        &mut self,
        selectors: &[Selector],
        view: impl FnOnce(&HashSet<Selector>) -> Arc<View>,
    ) -> GroupId {
        let key: BTreeSet<Selector> = selectors.iter().cloned().collect();
        if let Some(id) = self.by_key.get(&key).copied()
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.members += 1;
            return id;
        }
        self.next += 1;
        let id = GroupId(self.next);
        for selector in &key {
            self.by_selector.entry(selector.clone()).or_default().insert(id);
        }
        let selectors: HashSet<Selector> = key.iter().cloned().collect();
        let view = view(&selectors);
        self.by_key.insert(key.clone(), id);
        self.groups.insert(id, Group { selectors, view, members: 1, key });
        id
    }

    /// Takes a member out; the last one takes the group with it.
    pub(super) fn leave(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.members -= 1;
        if group.members > 0 {
            return;
        }
        let Some(group) = self.groups.remove(&id) else { return };
        self.by_key.remove(&group.key);
        for selector in &group.key {
            if let Some(file) = self.by_selector.get_mut(selector) {
                file.remove(&id);
                if file.is_empty() {
                    self.by_selector.remove(selector);
                }
            }
        }
    }

    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(&id)
    }

    pub(super) fn ids(&self) -> Vec<GroupId> {
        self.groups.keys().copied().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The groups that an entry matches.
    pub(super) fn matched_by<'a>(&'a self, entry: &'a GrantedEntry) -> impl Iterator<Item = GroupId> + 'a {
        let groups_of = |selector: &Selector| self.by_selector.get(selector);
        // A selector that nobody has is the rarest, and then nobody matches.
        let rarest = entry.selectors.iter().min_by_key(|s| groups_of(s).map_or(0, HashSet::len));
        let matches = |id: &GroupId| {
            let group = self.groups.get(id);
            group.is_some_and(|group| entry.selectors.iter().all(|s| group.selectors.contains(s)))
        };
        rarest.and_then(groups_of).into_iter().flatten().copied().filter(matches)
    }
}
