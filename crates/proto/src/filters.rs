//! A count and a list are asked for with the same filter, which the contracts define once for each: either one can
//! be made of the other.

use crate::server::{agent, entry};

macro_rules! same_filter {
    ($one:ty, $other:ty, $($field:ident),+) => {
        same_filter!(@from $one, $other, $($field),+);
        same_filter!(@from $other, $one, $($field),+);
    };
    (@from $from:ty, $into:ty, $($field:ident),+) => {
        impl From<$from> for $into {
            fn from(filter: $from) -> Self {
                Self { $($field: filter.$field),+ }
            }
        }
    };
}

same_filter!(
    agent::count_agents_request::Filter,
    agent::list_agents_request::Filter,
    by_attestation_type,
    by_selector_match,
    by_banned,
    by_can_reattest,
    by_expires_before
);
same_filter!(
    entry::count_entries_request::Filter,
    entry::list_entries_request::Filter,
    by_spiffe_id,
    by_parent_id,
    by_selectors,
    by_federates_with,
    by_hint,
    by_downstream
);
