//! When signing keys and SVIDs are replaced: arithmetic only (parity §1.7 and §2.4).
//!
//! Chance comes in as `draw`, a number from 0 up to but not including 1. Draw *once* per SVID and keep the
//! moment: SPIRE draws anew at each look, which makes rotation the earlier the more often it looks.

use crate::UnixTime;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// At most so long before its successor must be there is an authority's successor prepared.
const PREPARE_CAP: Duration = Duration::from_secs(30 * DAY.as_secs());
/// At most so long before its end is an authority replaced by its successor.
const ACTIVATE_CAP: Duration = Duration::from_secs(7 * DAY.as_secs());
/// An availability target that leaves no more than this of a lifetime is not followed.
const GRACE: Duration = Duration::from_secs(12 * HOUR.as_secs());
/// By up to this much is a rotation for availability moved ahead.
const AVAILABILITY_SPREAD: Duration = Duration::from_secs(10 * 60);

/// When the successor of a signing authority is prepared: half its lifetime, at most 30 days, before its end.
/// It is due once that moment has *passed*.
pub fn prepare_at(issued_at: UnixTime, not_after: UnixTime) -> SystemTime {
    before(not_after, (lifetime(issued_at, not_after) / 2).min(PREPARE_CAP))
}

/// When the prepared successor takes over: a sixth of the lifetime, at most 7 days, before the end. It is due
/// once that moment has *passed*.
pub fn activate_at(issued_at: UnixTime, not_after: UnixTime) -> SystemTime {
    before(not_after, (lifetime(issued_at, not_after) / 6).min(ACTIVATE_CAP))
}

/// When an X509-SVID is replaced: at half of its life, moved by up to a tenth of that half; or when no more
/// than the availability target and up to ten minutes are left of it, if that is earlier and the target
/// [can be followed](follows_availability_target).
pub fn x509_svid_rotate_at(
    not_before: UnixTime,
    not_after: UnixTime,
    availability_target: Option<Duration>,
    draw: f64,
) -> SystemTime {
    let lifetime = lifetime(not_before, not_after);
    let half = remaining_at_half(lifetime, draw);
    let remaining = match availability_target {
        Some(target) if follows_availability_target(lifetime, target) => {
            half.max(target.saturating_add(AVAILABILITY_SPREAD.mul_f64(unit(draw))))
        }
        _ => half,
    };
    before(not_after, remaining)
}

/// When a cached JWT-SVID is replaced: at half of its life, moved by up to a tenth of that half.
pub fn jwt_svid_rotate_at(issued_at: UnixTime, expires_at: UnixTime, draw: f64) -> SystemTime {
    before(expires_at, remaining_at_half(lifetime(issued_at, expires_at), draw))
}

/// Moves a rotation that comes too soon: an SVID is used for at least a third of the life that is left when it
/// is received at `now`.
///
/// `notBefore` lies ten seconds before the moment of issue, so that half of a very short life may have passed
/// when it begins; without this, such an SVID would be replaced again and again without a pause.
pub fn no_sooner(rotate_at: SystemTime, now: SystemTime, not_after: UnixTime) -> SystemTime {
    let left = not_after.to_system_time().duration_since(now).unwrap_or_default();
    rotate_at.max(now + (left / 3).max(Duration::from_secs(1)))
}

/// Whether a lifetime is so long that the availability target leaves more than 12 hours of it. Where a target
/// is set and this is not so, SPIRE warns and rotates at half of the life.
pub fn follows_availability_target(lifetime: Duration, target: Duration) -> bool {
    !target.is_zero() && lifetime.saturating_sub(target) > GRACE
}

/// From 90 % to 110 % of half a lifetime.
fn remaining_at_half(lifetime: Duration, draw: f64) -> Duration {
    let half = lifetime / 2;
    let tenth = half / 10;
    half - tenth + (tenth * 2).mul_f64(unit(draw))
}

fn unit(draw: f64) -> f64 {
    if draw.is_nan() { 0.5 } else { draw.clamp(0.0, 1.0) }
}

fn lifetime(from: UnixTime, until: UnixTime) -> Duration {
    let seconds = until.seconds().saturating_sub(from.seconds());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn before(end: UnixTime, distance: Duration) -> SystemTime {
    let end = end.to_system_time();
    end.checked_sub(distance).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGIN: UnixTime = UnixTime::from_seconds(1_800_000_000);

    fn end(lifetime: Duration) -> UnixTime {
        BEGIN.plus_seconds(lifetime.as_secs() as i64)
    }

    fn remaining(moment: SystemTime, lifetime: Duration) -> Duration {
        end(lifetime).to_system_time().duration_since(moment).unwrap()
    }

    #[test]
    fn authorities() {
        for (lifetime, prepare, activate) in [
            (DAY, 12 * HOUR, 4 * HOUR),
            (6 * DAY, 3 * DAY, DAY),
            (42 * DAY, 21 * DAY, 7 * DAY),
            (60 * DAY, 30 * DAY, 7 * DAY),
            (365 * DAY, 30 * DAY, 7 * DAY),
            (Duration::from_secs(1), Duration::from_millis(500), Duration::from_secs(1) / 6),
            (Duration::ZERO, Duration::ZERO, Duration::ZERO),
        ] {
            assert_eq!(remaining(prepare_at(BEGIN, end(lifetime)), lifetime), prepare);
            assert_eq!(remaining(activate_at(BEGIN, end(lifetime)), lifetime), activate);
        }
        assert_eq!(prepare_at(end(HOUR), BEGIN), BEGIN.to_system_time());
    }

    #[test]
    fn svids_at_half_life() {
        for (draw, minutes) in [(0.0, 27), (0.5, 30), (1.0, 33)] {
            let expected = Duration::from_secs(minutes * 60);
            assert_eq!(remaining(x509_svid_rotate_at(BEGIN, end(HOUR), None, draw), HOUR), expected);
            assert_eq!(remaining(jwt_svid_rotate_at(BEGIN, end(HOUR), draw), HOUR), expected);
        }
    }

    #[test]
    fn svids_by_availability_target() {
        let at = |lifetime, target, draw| {
            remaining(x509_svid_rotate_at(BEGIN, end(lifetime), Some(target), draw), lifetime)
        };
        assert_eq!(at(48 * HOUR, 30 * HOUR, 0.0), 30 * HOUR);
        assert_eq!(at(48 * HOUR, 30 * HOUR, 0.5), 30 * HOUR + AVAILABILITY_SPREAD / 2);
        assert_eq!(at(48 * HOUR, 36 * HOUR, 0.5), 24 * HOUR, "only 12 hours are left");
        assert_eq!(at(48 * HOUR, 10 * HOUR, 0.5), 24 * HOUR, "half of the life comes first");
        assert_eq!(at(48 * HOUR, Duration::ZERO, 0.5), 24 * HOUR);
    }

    proptest! {
        #[test]
        fn rotation_is_within_the_lifetime(lifetime in 0..4_000_000_000u64, target in any::<Option<u64>>(), draw in any::<f64>()) {
            let until = BEGIN.plus_seconds(lifetime as i64);
            let target = target.map(Duration::from_secs);
            let moment = x509_svid_rotate_at(BEGIN, until, target, draw);
            prop_assert!(moment >= BEGIN.to_system_time() && moment <= until.to_system_time());
        }

        #[test]
        fn nothing_panics(from in any::<i64>(), until in any::<i64>(), target in any::<Option<u64>>(), draw in any::<f64>()) {
            let (from, until) = (UnixTime::from_seconds(from), UnixTime::from_seconds(until));
            x509_svid_rotate_at(from, until, target.map(Duration::from_secs), draw);
            jwt_svid_rotate_at(from, until, draw);
            prepare_at(from, until);
            activate_at(from, until);
        }
    }
}
