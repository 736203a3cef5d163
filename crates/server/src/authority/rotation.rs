//! What to do now with a pair of signing authorities (parity §1.7). Pure.

use finial_identity::UnixTime;
use finial_identity::rotation::{activate_at, prepare_at};
use std::time::SystemTime;

/// From when until when an authority may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) issued_at: UnixTime,
    pub(super) not_after: UnixTime,
}

/// The authorities of a pair that may be used: neither ended nor missing from the bundle nor tainted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outlook {
    pub(super) active: Option<Term>,
    pub(super) prepared: Option<Term>,
}

/// One step towards a pair that needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing can sign: prepare an authority in the current slot and activate it at once.
    Begin,
    /// Prepare a successor in the next slot.
    Prepare,
    /// Let the prepared successor take over.
    Activate,
}

/// The next step that is due, if any. Taking all steps that are due needs at most [`STEPS_MAX`].
pub(super) fn next_step(outlook: Outlook, now: SystemTime) -> Option<Step> {
    let Some(active) = outlook.active else {
        return Some(if outlook.prepared.is_some() { Step::Activate } else { Step::Begin });
    };
    match outlook.prepared {
        Some(_) => (now > activate_at(active.issued_at, active.not_after)).then_some(Step::Activate),
        None => (now > prepare_at(active.issued_at, active.not_after)).then_some(Step::Prepare),
    }
}

/// Until when an authority that is to take over may be held back because not all who verify know it yet: half
/// of what is left of the active one when it is due.
pub(super) fn hold_back_until(active: Term) -> SystemTime {
    let due = activate_at(active.issued_at, active.not_after);
    let left = active.not_after.to_system_time().duration_since(due).unwrap_or_default();
    due + left / 2
}

/// Most steps that can be due at once: a server that slept until its prepared authority was old activates
/// it, prepares a successor and activates that. The bound holds also where lifetimes are absurdly short.
pub(super) const STEPS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const BEGIN: i64 = 1_800_000_000;

    fn term(issued: i64, lifetime: i64) -> Option<Term> {
        let at = |offset| UnixTime::from_seconds(BEGIN + offset);
        Some(Term { issued_at: at(issued), not_after: at(issued + lifetime) })
    }

    fn at(offset: i64) -> SystemTime {
        UnixTime::from_seconds(BEGIN + offset).to_system_time()
    }

    #[test]
    fn thresholds() {
        const DAY: i64 = 86_400;
        let alone = Outlook { active: term(0, DAY), prepared: None };
        let both = Outlook { active: term(0, DAY), prepared: term(DAY / 2, DAY) };
        for (outlook, moment, step) in [
            (Outlook::default(), 0, Some(Step::Begin)),
            (Outlook { active: None, prepared: term(0, DAY) }, 0, Some(Step::Activate)),
            (alone, DAY / 2, None),
            (alone, DAY / 2 + 1, Some(Step::Prepare)),
            (both, DAY / 2 + 1, None),
            (both, DAY / 6 * 5, None),
            (both, DAY / 6 * 5 + 1, Some(Step::Activate)),
        ] {
            assert_eq!(next_step(outlook, at(moment)), step, "{outlook:?} at {moment}");
        }
    }

    #[test]
    fn a_successor_is_not_held_back_for_long() {
        let at = |seconds| UnixTime::from_seconds(seconds).to_system_time();
        let day = term(0, 86_400).unwrap();
        assert_eq!(hold_back_until(day), at(BEGIN + 86_400 - 7_200));
        let moment = term(0, 1).unwrap();
        assert!(hold_back_until(moment) <= moment.not_after.to_system_time());
    }

    proptest! {
        #[test]
        fn all_steps_are_few(lifetime in 2..400_000_000i64, prepared_age in 0..400_000_000i64, age in 0..400_000_000i64) {
            let moment = at(age.max(prepared_age));
            let alive = |term: Option<Term>| term.filter(|term| moment <= term.not_after.to_system_time());
            let mut outlook = Outlook {
                active: alive(term(0, lifetime)),
                prepared: alive(term(prepared_age, lifetime)),
            };
            let mut steps = 0;
            while let Some(step) = next_step(outlook, moment) {
                steps += 1;
                prop_assert!(steps <= STEPS_MAX);
                let fresh = term(age.max(prepared_age), lifetime);
                outlook = match step {
                    Step::Begin => Outlook { active: fresh, ..outlook },
                    Step::Prepare => Outlook { prepared: fresh, ..outlook },
                    Step::Activate => Outlook { active: outlook.prepared, prepared: None },
                };
            }
            let active = outlook.active.unwrap();
            prop_assert!(moment + Duration::ZERO <= active.not_after.to_system_time());
        }
    }
}
