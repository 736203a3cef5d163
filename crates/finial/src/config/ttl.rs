//! Life times that cannot be kept: an SVID must end before the authority that signed it.

use super::duration::short;
use std::time::Duration;

/// A new authority is activated at the latest so long before the old one ends.
const ACTIVATION_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What part of its life an authority has left when the next one is activated.
const ACTIVATION_PART: u32 = 6;

/// The longest life an SVID is sure to get.
fn longest_svid(ca_ttl: Duration) -> Duration {
    (ca_ttl / ACTIVATION_PART).min(ACTIVATION_MAX)
}

/// The shortest life of an authority with which an SVID is sure to get `svid_ttl`.
fn shortest_ca(svid_ttl: Duration) -> Duration {
    svid_ttl.saturating_mul(ACTIVATION_PART)
}

/// What to say about the life time under `key`, if it may be cut short. The words are SPIRE's.
pub(super) fn doubt(key: &str, ttl: Duration, ca_ttl: Duration) -> Option<String> {
    if ttl <= longest_svid(ca_ttl) {
        return None;
    }
    let rest = format!("to guarantee the full {key} lifetime when CA rotations are scheduled.");
    Some(if ttl < ACTIVATION_MAX {
        format!(
            "{key} is too high for the configured ca_ttl value. SVIDs with shorter lifetimes may be issued. Please \
             set {key} to {} or less, or the ca_ttl to {} or more, {rest}",
            short(longest_svid(ca_ttl)),
            short(shortest_ca(ttl)),
        )
    } else if ca_ttl < shortest_ca(ACTIVATION_MAX) {
        format!(
            "{key} is too high and the ca_ttl is too low. SVIDs with shorter lifetimes may be issued. Please set \
             {key} to {} or less, and the ca_ttl to {} or more, {rest}",
            short(ACTIVATION_MAX),
            short(shortest_ca(ACTIVATION_MAX)),
        )
    } else {
        format!(
            "{key} is too high. SVIDs with shorter lifetimes may be issued. Please set {key} to {} or less {rest}",
            short(longest_svid(ca_ttl)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn what_fits_is_not_mentioned() {
        assert_eq!(doubt("agent_ttl", HOUR * 4, HOUR * 24), None);
        assert_eq!(doubt("agent_ttl", DAY * 7, DAY * 42), None);
    }

    #[test]
    fn the_three_ways_of_being_too_long() {
        let text = |ttl, ca_ttl| doubt("agent_ttl", ttl, ca_ttl).unwrap();
        assert_eq!(
            text(HOUR * 5, HOUR * 24),
            "agent_ttl is too high for the configured ca_ttl value. SVIDs with shorter lifetimes may be issued. \
             Please set agent_ttl to 4h or less, or the ca_ttl to 30h or more, to guarantee the full agent_ttl \
             lifetime when CA rotations are scheduled."
        );
        assert_eq!(
            text(DAY * 8, HOUR * 24),
            "agent_ttl is too high and the ca_ttl is too low. SVIDs with shorter lifetimes may be issued. Please set \
             agent_ttl to 168h or less, and the ca_ttl to 1008h or more, to guarantee the full agent_ttl lifetime \
             when CA rotations are scheduled."
        );
        assert_eq!(
            text(DAY * 8, DAY * 100),
            "agent_ttl is too high. SVIDs with shorter lifetimes may be issued. Please set agent_ttl to 168h or less \
             to guarantee the full agent_ttl lifetime when CA rotations are scheduled."
        );
    }
}
