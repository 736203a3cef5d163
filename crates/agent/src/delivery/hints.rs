//! One identity per hint. Pure.

use finial_identity::EntryId;
use finial_identity::GrantedEntry;
use std::collections::{HashMap, HashSet};
use tracing::warn;

/// The entries whose hint belongs to another one: to the older, and of two of one age to that with the
/// smaller ID. Entries without a hint are never among them.
pub(super) fn duplicates<'a>(entries: impl IntoIterator<Item = &'a GrantedEntry>) -> HashSet<&'a EntryId> {
    let mut keepers: HashMap<&str, &GrantedEntry> = HashMap::new();
    let mut ignored = HashSet::new();
    for entry in entries.into_iter().filter(|entry| !entry.hint.is_empty()) {
        let keeper = keepers.entry(&entry.hint).or_insert(entry);
        if keeper.id == entry.id {
            continue;
        }
        let precedence = |entry: &'a GrantedEntry| (entry.created_at, &entry.id);
        let loser =
            if precedence(entry) < precedence(keeper) { std::mem::replace(keeper, entry) } else { entry };
        warn!(hint = loser.hint, entry_id = %loser.id, "Ignoring entry with duplicate hint");
        ignored.insert(&loser.id);
    }
    ignored
}
