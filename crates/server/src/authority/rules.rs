//! What operators may do with signing authorities. Pure; the texts are SPIRE's, because tools match on them.

use super::slot::{AuthorityInfo, SigningAuthority, Slot, SlotPair, Stage};
use finial_identity::{AuthorityId, Bundle, Code, Failure};

impl<A: SigningAuthority> SlotPair<A> {
    /// A successor may be prepared only while something is active.
    pub(super) fn may_prepare(&self) -> Result<(), Failure> {
        let initializing = || Failure::new(Code::Unavailable, "server is initializing");
        self.current.active().map(|_| ()).ok_or_else(initializing)
    }

    /// Only the prepared authority may be activated.
    pub(super) fn may_activate(&self, id: &AuthorityId) -> Result<(), Failure> {
        require_id(id)?;
        let held = self.next.holds(id).ok_or_else(|| Failure::invalid("unexpected authority ID"))?;
        match &held.stage {
            Stage::Prepared(_) => Ok(()),
            stage => {
                let what = "only Prepared authorities can be activated";
                Err(Failure::internal(format!(
                    "{what}: unsupported local authority status: {}",
                    stage.name()
                )))
            }
        }
    }

    /// Only the old authority may be tainted.
    pub(super) fn may_taint(&self, id: &AuthorityId) -> Result<AuthorityInfo, Failure> {
        require_id(id)?;
        if self.current.holds(id).is_some() {
            return Err(Failure::invalid("unable to taint current local authority"));
        }
        let held = self.next.holds(id).ok_or_else(|| Failure::invalid("unexpected authority ID"))?;
        match &held.stage {
            Stage::Old => Ok(held.info.clone()),
            stage => {
                let what = "only Old local authorities can be tainted";
                Err(Failure::invalid(format!("{what}: unsupported local authority status: {}", stage.name())))
            }
        }
    }

    /// Only the old X.509 authority may be revoked.
    pub(super) fn may_revoke_x509(&self, id: &AuthorityId) -> Result<(), Failure> {
        let invalid = |why: &str| Err(Failure::invalid(format!("invalid authority ID: {why}")));
        match () {
            () if id.as_str().is_empty() => invalid("no authority ID provided"),
            () if self.current.holds(id).is_some() => invalid("unable to use current authority"),
            () if self.next.old().is_none_or(|old| old.info.id != *id) => {
                invalid("only Old local authority can be revoked")
            }
            () => Ok(()),
        }
    }

    /// Only an upstream authority may be tainted or revoked that signed the old authority and not the active
    /// one; `what` begins the refusal.
    pub(super) fn may_use_upstream(&self, id: &AuthorityId, what: &str) -> Result<(), Failure> {
        let upstream = |slot: &Slot<A>| slot.held.as_ref().is_some_and(|held| held.info.upstream_id == *id);
        let why = match () {
            () if id.as_str().is_empty() => "no subject key ID provided",
            () if upstream(&self.current) => "unable to use upstream authority singing current authority",
            () if !upstream(&self.next) => "upstream authority didn't sign the old local authority",
            () if self.next.prepared().is_some() => {
                "only upstream authorities signing an old authority can be used"
            }
            () => return Ok(()),
        };
        Err(Failure::invalid(format!("{what}: {why}")))
    }

    /// Any JWT authority of the bundle may be revoked that neither signs nor will.
    pub(super) fn may_revoke_jwt(&self, id: &AuthorityId, bundle: &Bundle) -> Result<(), Failure> {
        let invalid = |why: &str| Err(Failure::invalid(format!("invalid authority ID: {why}")));
        match () {
            () if id.as_str().is_empty() => invalid("no authority ID provided"),
            () if self.next.prepared().is_some_and(|(held, _)| held.info.id == *id) => {
                invalid("unable to use a prepared key")
            }
            () if self.current.holds(id).is_some() => invalid("unable to use current authority"),
            () if self.next.holds(id).is_none() && bundle.find_jwt(id.as_str()).is_none() => {
                invalid("no JWT authority found with provided authority ID")
            }
            () => Ok(()),
        }
    }
}

fn require_id(id: &AuthorityId) -> Result<(), Failure> {
    if id.as_str().is_empty() { Err(Failure::invalid("no authority ID provided")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::slot::tests::{Named, prepare, started};
    use super::*;
    use finial_identity::TrustDomain;

    #[test]
    fn rules_for_upstream_authorities() {
        let refused = |pair: &SlotPair<Named>, id: &str| {
            let verdict = pair.may_use_upstream(&AuthorityId::new(id), "invalid subject key ID");
            verdict.map_or_else(|failure| failure.message, |()| "ok".into())
        };
        let mut pair = started();
        assert_eq!(refused(&pair, ""), "invalid subject key ID: no subject key ID provided");
        let current = "invalid subject key ID: unable to use upstream authority singing current authority";
        assert_eq!(refused(&pair, "above one"), current);
        let stranger = "invalid subject key ID: upstream authority didn't sign the old local authority";
        assert_eq!(refused(&pair, "above two"), stranger);
        prepare(&mut pair, "two");
        let prepared =
            "invalid subject key ID: only upstream authorities signing an old authority can be used";
        assert_eq!(refused(&pair, "above two"), prepared);
        pair.activate().unwrap();
        assert_eq!(refused(&pair, "above one"), "ok");
        assert_eq!(refused(&pair, "above two"), current);
    }

    #[test]
    fn rules_for_operators() {
        let id = |text: &str| AuthorityId::new(text);
        let text =
            |verdict: Result<(), Failure>| verdict.map_or_else(|failure| failure.message, |()| "ok".into());
        let mut bundle = Bundle::new(TrustDomain::parse("example.org").unwrap());
        let key = super::super::testing::key().public_key().clone();
        bundle.jwt_authorities.push(finial_identity::JwtAuthority::new("elsewhere", key));

        let nothing = SlotPair::<Named>::empty();
        assert_eq!(nothing.may_prepare().unwrap_err().code, Code::Unavailable);

        let mut pair = started();
        pair.may_prepare().unwrap();
        assert_eq!(text(pair.may_activate(&id(""))), "no authority ID provided");
        assert_eq!(text(pair.may_activate(&id("one"))), "unexpected authority ID");
        prepare(&mut pair, "two");
        assert_eq!(text(pair.may_activate(&id("two"))), "ok");
        assert_eq!(
            text(pair.may_taint(&id("two")).map(drop)),
            "only Old local authorities can be tainted: unsupported local authority status: PREPARED"
        );
        let revoke = |pair: &SlotPair<Named>, name: &str| {
            (text(pair.may_revoke_x509(&id(name))), text(pair.may_revoke_jwt(&id(name), &bundle)))
        };
        let both = |x509: &str, jwt: &str| {
            let invalid = |why: &str| match why {
                "ok" => "ok".to_owned(),
                why => format!("invalid authority ID: {why}"),
            };
            (invalid(x509), invalid(jwt))
        };
        let only_old = "only Old local authority can be revoked";
        assert_eq!(revoke(&pair, ""), both("no authority ID provided", "no authority ID provided"));
        assert_eq!(revoke(&pair, "two"), both(only_old, "unable to use a prepared key"));

        pair.activate().unwrap();
        let refused = pair.may_activate(&id("one")).unwrap_err();
        assert_eq!(refused.code, Code::Internal);
        assert_eq!(
            refused.message,
            "only Prepared authorities can be activated: unsupported local authority status: OLD"
        );
        assert_eq!(text(pair.may_taint(&id("")).map(drop)), "no authority ID provided");
        assert_eq!(text(pair.may_taint(&id("two")).map(drop)), "unable to taint current local authority");
        assert_eq!(text(pair.may_taint(&id("zero")).map(drop)), "unexpected authority ID");
        assert_eq!(pair.may_taint(&id("one")).unwrap().id, id("one"));
        assert_eq!(
            revoke(&pair, "two"),
            both("unable to use current authority", "unable to use current authority")
        );
        assert_eq!(revoke(&pair, "one"), both("ok", "ok"));
        assert_eq!(revoke(&pair, "elsewhere"), both(only_old, "ok"));
        let unknown = "no JWT authority found with provided authority ID";
        assert_eq!(revoke(&pair, "zero"), both(only_old, unknown));
    }
}
