//! Why does a caller get these identities, or none? Pure.
//!
//! For the log line at a refusal, for the detail that travels with it, and for operators who ask. The detail
//! goes to the refused process itself, so it says what kind of reason it is and nothing about the entries of
//! others; nearest entries are for operators only.

use crate::attest::LoggedSelectors;
use finial_identity::GrantedEntry;
use finial_identity::{EntryId, Selector, SpiffeId};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How many entries an explanation names.
const NEAREST_MAX: usize = 5;

/// Why there is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The agent has never heard from its server.
    NotSyncedYet,
    /// The server grants this agent no entries at all: wrong parent ID, or no entry yet.
    NoEntries,
    /// There are entries, and the caller lacks a selector of each.
    NoMatchingEntry,
    /// The caller has identities, and not the one it asked for.
    IdNotGranted,
}

impl Reason {
    /// The reason of a refusal.
    pub fn of_refusal(last_sync: Option<SystemTime>, entries: usize, identities: usize) -> Self {
        match (last_sync, entries, identities) {
            (_, _, 1..) => Self::IdNotGranted,
            (None, ..) => Self::NotSyncedYet,
            (_, 0, _) => Self::NoEntries,
            _ => Self::NoMatchingEntry,
        }
    }

    /// The `reason` of a `google.rpc.ErrorInfo`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotSyncedYet => "NOT_SYNCED_YET",
            Self::NoEntries => "NO_ENTRIES",
            Self::NoMatchingEntry => "NO_MATCHING_ENTRY",
            Self::IdNotGranted => "ID_NOT_GRANTED",
        }
    }
}

/// What stands between a caller and the identity of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The caller does not have these selectors of the entry.
    Missing(Vec<Selector>),
    /// The entry matches, and its SVID goes to an SVID store instead.
    GoesToStore,
    /// The entry has no selectors, so it matches nobody.
    NoSelectors,
}

/// An entry that is not the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Which entry.
    pub entry_id: EntryId,
    /// The identity that it gives.
    pub spiffe_id: SpiffeId,
    /// Why the caller does not get it.
    pub obstacle: Obstacle,
}

/// An identity that the caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// By which entry.
    pub entry_id: EntryId,
    /// The identity.
    pub spiffe_id: SpiffeId,
}

/// Everything that decides what one caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it gets, in the order of the entry IDs.
    pub granted: Vec<Granted>,
    /// If nothing: why.
    pub reason: Option<Reason>,
    /// What it nearly gets: entries of which it has at least one selector, those that lack least first; a few.
    pub nearest: Vec<Near>,
    /// How many entries this agent knows.
    pub entries: usize,
    /// How old that knowledge is; `None` if there never was any.
    pub sync_age: Option<Duration>,
}

/// Explains what a caller with these selectors gets out of these entries.
pub fn explain<'a>(
    selectors: &[Selector],
    entries: impl IntoIterator<Item = &'a Arc<GrantedEntry>>,
    last_sync: Option<SystemTime>,
    now: SystemTime,
) -> Explanation {
    let attested: HashSet<&Selector> = selectors.iter().collect();
    let mut granted = Vec::new();
    let mut near = Vec::new();
    let mut count = 0;
    for entry in entries {
        count += 1;
        let missing: Vec<&Selector> = entry.selectors.iter().filter(|s| !attested.contains(s)).collect();
        let obstacle = match missing.len() {
            _ if entry.selectors.is_empty() => (0, Obstacle::NoSelectors),
            0 if entry.store_svid => (0, Obstacle::GoesToStore),
            0 => {
                granted.push(Granted { entry_id: entry.id.clone(), spiffe_id: entry.spiffe_id.clone() });
                continue;
            }
            all if all == entry.selectors.len() => continue,
            some => (some, Obstacle::Missing(missing.into_iter().cloned().collect())),
        };
        near.push((obstacle, entry));
    }
    near.sort_by(|((lack, _), a), ((other, _), b)| (lack, &a.id).cmp(&(other, &b.id)));
    near.truncate(NEAREST_MAX);
    let nearest = near.into_iter().map(|((_, obstacle), entry)| Near {
        entry_id: entry.id.clone(),
        spiffe_id: entry.spiffe_id.clone(),
        obstacle,
    });
    let reason = granted.is_empty().then(|| Reason::of_refusal(last_sync, count, 0));
    Explanation {
        granted,
        reason,
        nearest: nearest.collect(),
        entries: count,
        sync_age: last_sync.map(|at| now.duration_since(at).unwrap_or_default()),
    }
}

impl Explanation {
    /// The nearest entries as one text; of selectors that may not be logged only the kind is shown.
    pub fn nearest_text(&self, logged: &LoggedSelectors) -> String {
        let mut text = String::new();
        for near in &self.nearest {
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a `String` does not fail.
            let _ = write!(text, "{separator}{} ({}) ", near.entry_id, near.spiffe_id);
            match &near.obstacle {
                Obstacle::GoesToStore => text.push_str("goes to an SVID store"),
                Obstacle::NoSelectors => text.push_str("has no selectors"),
                Obstacle::Missing(selectors) => {
                    let show = |selector: &Selector| {
                        if logged.allows(selector) {
                            selector.to_string()
                        } else {
                            format!("{}:(not logged)", selector.kind)
                        }
                    };
                    let missing: Vec<String> = selectors.iter().map(show).collect();
                    let _ = write!(text, "lacks {}", missing.join(" "));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_identity::{AdditionalAttributes, UnixTime};

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| Selector::parse(text).unwrap()).collect()
    }

    fn entry(id: &str, wanted: &[&str]) -> Arc<GrantedEntry> {
        Arc::new(GrantedEntry {
            id: EntryId::parse(id).unwrap(),
            spiffe_id: SpiffeId::parse(&format!("spiffe://example.org/{id}")).unwrap(),
            selectors: selectors(wanted),
            federates_with: vec![],
            admin: false,
            downstream: false,
            revision: 0,
            created_at: UnixTime::default(),
            store_svid: false,
            hint: String::new(),
            additional: AdditionalAttributes::default(),
        })
    }

    fn at(seconds: i64) -> SystemTime {
        UnixTime::from_seconds(seconds).to_system_time()
    }

    #[test]
    fn names_the_missing_selector_of_the_nearest_entry() {
        let stored = Arc::new(GrantedEntry { store_svid: true, ..(*entry("d", &["a:1"])).clone() });
        let entries = [
            entry("a", &["a:1", "b:2", "c:3"]),
            entry("b", &["a:1", "b:2"]),
            entry("c", &["x:9"]),
            stored,
            entry("e", &[]),
        ];
        let found = explain(&selectors(&["a:1"]), &entries, Some(at(100)), at(107));
        assert_eq!(found.reason, Some(Reason::NoMatchingEntry));
        assert_eq!((found.entries, found.sync_age), (5, Some(Duration::from_secs(7))));
        assert_eq!(
            found.nearest_text(&LoggedSelectors::new(["b".to_owned()].into())),
            "d (spiffe://example.org/d) goes to an SVID store; e (spiffe://example.org/e) has no selectors; \
             b (spiffe://example.org/b) lacks b:2; a (spiffe://example.org/a) lacks b:2 c:(not logged)"
        );
    }

    #[test]
    fn names_what_is_granted() {
        let entries = [entry("a", &["a:1"]), entry("b", &["a:1", "b:2"])];
        let found = explain(&selectors(&["a:1", "c:3"]), &entries, Some(at(0)), at(0));
        assert_eq!(found.reason, None);
        assert_eq!(found.granted.iter().map(|g| g.entry_id.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn reasons() {
        let reason = |last_sync, entries: &[Arc<GrantedEntry>]| {
            explain(&selectors(&["a:1"]), entries, last_sync, at(9)).reason.map(Reason::code)
        };
        assert_eq!(reason(None, &[]), Some("NOT_SYNCED_YET"));
        assert_eq!(reason(Some(at(0)), &[]), Some("NO_ENTRIES"));
        assert_eq!(reason(Some(at(0)), &[entry("a", &["z:1"])]), Some("NO_MATCHING_ENTRY"));
        assert_eq!(Reason::of_refusal(Some(at(0)), 3, 2).code(), "ID_NOT_GRANTED");
    }
}
