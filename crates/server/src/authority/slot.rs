//! The two slots that a kind of signing authority has. Pure.
//!
//! One slot is current, the other next; activation swaps them. An authority that is old cannot sign any more,
//! because its slot does not hold it any more: only what is needed to taint and revoke it.

use super::rotation::{Outlook, Term};
use finial_identity::{AuthorityId, Bundle, UnixTime};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Which slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotId {
    A,
    B,
}

impl SlotId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "A" => Some(Self::A),
            "B" => Some(Self::B),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What there is to say about a signing authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityInfo {
    /// Its ID.
    pub id: AuthorityId,
    /// The ID of the upstream authority that signed it; empty if there is none.
    pub upstream_id: AuthorityId,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// The signing authorities of one kind, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorityState {
    /// Signs.
    pub active: Option<AuthorityInfo>,
    /// Will sign.
    pub prepared: Option<AuthorityInfo>,
    /// Has signed.
    pub old: Option<AuthorityInfo>,
}

/// What can be in a slot.
pub(super) trait SigningAuthority {
    /// The key manager's name of a slot's key begins so and ends with the slot.
    const KEY_PREFIX: &'static str;

    fn info(&self) -> &AuthorityInfo;

    /// Whether those who read the bundle believe what it signs.
    fn is_trusted_by(&self, bundle: &Bundle) -> bool;
}

/// The key manager's name of the key of a slot.
pub(super) fn key_id<A: SigningAuthority>(slot: SlotId) -> String {
    format!("{}{slot}", A::KEY_PREFIX)
}

/// Where an authority stands in its life.
pub(super) enum Stage<A> {
    Prepared(Arc<A>),
    Active(Arc<A>),
    Old,
}

impl<A> Stage<A> {
    /// As SPIRE names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Prepared(_) => "PREPARED",
            Self::Active(_) => "ACTIVE",
            Self::Old => "OLD",
        }
    }
}

/// What is in a slot.
pub(super) struct Held<A> {
    pub(super) info: AuthorityInfo,
    pub(super) issued_at: SystemTime,
    pub(super) stage: Stage<A>,
}

impl<A: SigningAuthority> Held<A> {
    pub(super) fn prepared(authority: A, issued_at: SystemTime) -> Self {
        let info = authority.info().clone();
        Self { info, issued_at, stage: Stage::Prepared(Arc::new(authority)) }
    }

    /// The authority's term, if `authority` is in the bundle and has not ended.
    fn term(&self, authority: &A, bundle: &Bundle, now: UnixTime) -> Option<Term> {
        let not_after = self.info.expires_at;
        let is_usable = now <= not_after && authority.is_trusted_by(bundle);
        is_usable.then(|| Term { issued_at: self.issued_at.into(), not_after })
    }
}

/// A slot.
pub(super) struct Slot<A> {
    pub(super) id: SlotId,
    pub(super) held: Option<Held<A>>,
}

impl<A> Slot<A> {
    pub(super) fn empty(id: SlotId) -> Self {
        Self { id, held: None }
    }

    pub(super) fn active(&self) -> Option<(&Held<A>, &Arc<A>)> {
        let held = self.held.as_ref()?;
        if let Stage::Active(authority) = &held.stage { Some((held, authority)) } else { None }
    }

    pub(super) fn prepared(&self) -> Option<(&Held<A>, &Arc<A>)> {
        let held = self.held.as_ref()?;
        if let Stage::Prepared(authority) = &held.stage { Some((held, authority)) } else { None }
    }

    pub(super) fn old(&self) -> Option<&Held<A>> {
        self.held.as_ref().filter(|held| matches!(held.stage, Stage::Old))
    }

    pub(super) fn holds(&self, id: &AuthorityId) -> Option<&Held<A>> {
        self.held.as_ref().filter(|held| held.info.id == *id)
    }
}

/// Which of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Current,
    Next,
}

/// Both slots of one kind.
pub(super) struct SlotPair<A> {
    pub(super) current: Slot<A>,
    pub(super) next: Slot<A>,
}

/// What an activation changed.
pub(super) struct Activation<A> {
    pub(super) slot: SlotId,
    pub(super) authority: Arc<A>,
    pub(super) issued_at: SystemTime,
    /// The authority that was active until now.
    pub(super) retired: Option<AuthorityId>,
}

impl<A: SigningAuthority> SlotPair<A> {
    /// Two slots; the second is made the other of the first.
    pub(super) fn new(current: Slot<A>, next: Option<Held<A>>) -> Self {
        let next = Slot { id: current.id.other(), held: next };
        Self { current, next }
    }

    pub(super) fn empty() -> Self {
        Self::new(Slot::empty(SlotId::A), None)
    }

    /// What may be used at that moment.
    pub(super) fn outlook(&self, bundle: &Bundle, now: UnixTime) -> Outlook {
        let usable = |(held, authority): (&Held<A>, &Arc<A>)| held.term(authority, bundle, now);
        let prepared = self.next.prepared().and_then(usable);
        Outlook { active: self.current.active().and_then(usable), prepared }
    }

    pub(super) fn state(&self) -> AuthorityState {
        AuthorityState {
            active: self.current.active().map(|(held, _)| held.info.clone()),
            prepared: self.next.prepared().map(|(held, _)| held.info.clone()),
            old: self.next.old().map(|held| held.info.clone()),
        }
    }

    /// The authority that signs, with its slot.
    pub(super) fn active(&self) -> Option<(SlotId, SystemTime, &Arc<A>)> {
        self.current.active().map(|(held, authority)| (self.current.id, held.issued_at, authority))
    }

    /// Empties a slot whose key is about to be replaced, and says which it is and what was active in it.
    pub(super) fn clear(&mut self, place: Place) -> (SlotId, Option<AuthorityId>) {
        let slot = self.slot(place);
        let was_active = slot.active().map(|(held, _)| held.info.id.clone());
        slot.held = None;
        (slot.id, was_active)
    }

    /// Puts a prepared authority into a slot.
    pub(super) fn fill(&mut self, place: Place, authority: A, issued_at: SystemTime) {
        self.slot(place).held = Some(Held::prepared(authority, issued_at));
    }

    /// Makes the prepared authority active: the one in the current slot if there is one, otherwise the one in
    /// the next, which then becomes current.
    pub(super) fn activate(&mut self) -> Option<Activation<A>> {
        let mut retired = None;
        if self.current.prepared().is_none() {
            self.next.prepared()?;
            std::mem::swap(&mut self.current, &mut self.next);
            if let Some(held) = &mut self.next.held {
                held.stage = Stage::Old;
                retired = Some(held.info.id.clone());
            }
        }
        let slot = self.current.id;
        let held = self.current.held.as_mut()?;
        let Stage::Prepared(authority) = &held.stage else { return None };
        let authority = Arc::clone(authority);
        held.stage = Stage::Active(Arc::clone(&authority));
        Some(Activation { slot, authority, issued_at: held.issued_at, retired })
    }

    fn slot(&mut self, place: Place) -> &mut Slot<A> {
        match place {
            Place::Current => &mut self.current,
            Place::Next => &mut self.next,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use finial_identity::TrustDomain;
    use std::time::Duration;

    /// Trusted by every bundle.
    pub(in super::super) struct Named(AuthorityInfo);

    impl SigningAuthority for Named {
        const KEY_PREFIX: &'static str = "key-";

        fn info(&self) -> &AuthorityInfo {
            &self.0
        }

        fn is_trusted_by(&self, _bundle: &Bundle) -> bool {
            true
        }
    }

    fn named(id: &str) -> Named {
        let (id, upstream_id) = (AuthorityId::new(id), AuthorityId::new(format!("above {id}")));
        Named(AuthorityInfo { id, upstream_id, expires_at: UnixTime::from_seconds(100) })
    }

    fn issued() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(10)
    }

    fn shown(pair: &SlotPair<Named>) -> String {
        let text = |info: Option<AuthorityInfo>| info.map_or("-".to_owned(), |info| info.id.to_string());
        let state = pair.state();
        format!("{} {} {}", text(state.active), text(state.prepared), text(state.old))
    }

    pub(in super::super) fn started() -> SlotPair<Named> {
        let mut pair = SlotPair::empty();
        assert_eq!(pair.clear(Place::Current), (SlotId::A, None));
        pair.fill(Place::Current, named("one"), issued());
        assert_eq!(shown(&pair), "- - -");
        let activation = pair.activate().unwrap();
        assert_eq!((activation.slot, activation.retired), (SlotId::A, None));
        pair
    }

    pub(in super::super) fn prepare(pair: &mut SlotPair<Named>, id: &str) -> SlotId {
        let (slot, _) = pair.clear(Place::Next);
        pair.fill(Place::Next, named(id), issued());
        slot
    }

    #[test]
    fn takes_turns() {
        let mut pair = started();
        assert_eq!(shown(&pair), "one - -");
        assert!(pair.activate().is_none());
        assert_eq!(prepare(&mut pair, "two"), SlotId::B);
        assert_eq!(shown(&pair), "one two -");
        let activation = pair.activate().unwrap();
        assert_eq!((activation.slot, activation.retired), (SlotId::B, Some(AuthorityId::new("one"))));
        assert_eq!(shown(&pair), "two - one");
        assert_eq!(prepare(&mut pair, "three"), SlotId::A);
        assert_eq!(shown(&pair), "two three -");
        assert_eq!(pair.clear(Place::Current), (SlotId::B, Some(AuthorityId::new("two"))));
        assert_eq!(shown(&pair), "- three -");
        assert_eq!(pair.activate().unwrap().retired, None);
        assert_eq!(shown(&pair), "three - -");
    }

    #[test]
    fn an_ended_authority_is_no_outlook() {
        let pair = started();
        let bundle = Bundle::new(TrustDomain::parse("example.org").unwrap());
        let active = |now| pair.outlook(&bundle, UnixTime::from_seconds(now)).active;
        assert_eq!(active(100).unwrap().issued_at, UnixTime::from_seconds(10));
        assert_eq!(active(101), None);
    }
}
