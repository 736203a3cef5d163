//! Preparing and activating signing authorities.
//!
//! The order is the safety: key, bundle, slot, journal. Whatever point a crash comes at, no authority is
//! active that the bundle does not have, and one whose journal entry is missing is replaced.

use super::Authority;
use super::config::JwtSwitch;
use super::error::{AuthorityError, PrepareError};
use super::journal::Journal;
use super::numbers::internal;
use super::rotation::{Outlook, STEPS_MAX, Step, hold_back_until, next_step};
use super::signing::{JwtKey, X509Ca};
use super::slot::{Activation, Held, Place, SigningAuthority, SlotId, SlotPair, key_id};
use super::template;
use finial_identity::UnixTime;
use finial_identity::x509::SerialNumber;
use finial_proto::journal::Status;
use finial_runtime::logging::{chain, go_time};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::{debug, error, info, warn};

/// What only one task at a time works on: readers have the snapshots in [`Authority`].
pub(super) struct Workshop {
    pub(super) x509: SlotPair<X509Ca>,
    pub(super) jwt: SlotPair<JwtKey>,
    pub(super) journal: Journal,
}

impl Authority {
    /// Saves what could not be saved before and takes all steps that are due. JWT authorities wait until there is an X.509 one, for without it the
    /// journal could not be saved.
    pub(super) async fn rotate(&self, workshop: &mut Workshop) -> Result<(), AuthorityError> {
        self.save(workshop).await;
        let x509 = self.rotate_x509(workshop).await;
        if let Err(error) = &x509 {
            error!(error = %chain(error), "Unable to rotate X509 CA");
        }
        let jwt = match (workshop.x509.active(), self.config.jwt) {
            (Some(_), JwtSwitch::Enabled) => self.rotate_jwt(workshop).await,
            _ => Ok(()),
        };
        if let Err(error) = &jwt {
            error!(error = %chain(error), "Unable to rotate JWT key");
        }
        x509.map_err(AuthorityError::RotateX509).and(jwt.map_err(AuthorityError::RotateJwt))
    }

    async fn rotate_x509(&self, workshop: &mut Workshop) -> Result<(), PrepareError> {
        for _ in 0..STEPS_MAX {
            let now = self.clock.now();
            let outlook = workshop.x509.outlook(&self.own_bundle.current(), now.into());
            match next_step(outlook, now) {
                None => break,
                Some(Step::Activate) if self.is_held_back(&workshop.x509, outlook, now) => break,
                Some(Step::Prepare) => self.prepare_x509(workshop, Place::Next).await?,
                Some(Step::Activate) => self.activate_x509(workshop).await,
                Some(Step::Begin) => {
                    self.prepare_x509(workshop, Place::Current).await?;
                    self.activate_x509(workshop).await;
                }
            }
        }
        Ok(())
    }

    async fn rotate_jwt(&self, workshop: &mut Workshop) -> Result<(), PrepareError> {
        for _ in 0..STEPS_MAX {
            let now = self.clock.now();
            let outlook = workshop.jwt.outlook(&self.own_bundle.current(), now.into());
            match next_step(outlook, now) {
                None => break,
                Some(Step::Activate) if self.is_held_back(&workshop.jwt, outlook, now) => break,
                Some(Step::Prepare) => self.prepare_jwt(workshop, Place::Next).await?,
                Some(Step::Activate) => self.activate_jwt(workshop).await,
                Some(Step::Begin) => {
                    self.prepare_jwt(workshop, Place::Current).await?;
                    self.activate_jwt(workshop).await;
                }
            }
        }
        Ok(())
    }

    /// Whether a prepared authority must wait because agents or servers below have not fetched it yet. While
    /// nothing else can sign it never must, and otherwise not for long.
    fn is_held_back<A: SigningAuthority>(
        &self,
        pair: &SlotPair<A>,
        outlook: Outlook,
        now: SystemTime,
    ) -> bool {
        let Some(active) = outlook.active else { return false };
        let Some((held, unaware)) = self.count_unaware(pair, now) else { return false };
        if unaware == 0 {
            return false;
        }
        let id = held.info.id.as_str();
        let is_late = now > hold_back_until(active);
        if is_late {
            warn!(
                local_authority_id = id,
                count = unaware,
                "Activating an authority that not all agents know yet"
            );
        } else {
            info!(
                local_authority_id = id,
                count = unaware,
                "Waiting until all agents know the prepared authority"
            );
        }
        !is_late
    }

    /// The prepared authority, and how many of those that asked for the bundle lately were given none with it.
    pub(super) fn count_unaware<'a, A: SigningAuthority>(
        &self,
        pair: &'a SlotPair<A>,
        now: SystemTime,
    ) -> Option<(&'a Held<A>, usize)> {
        let (held, prepared) = pair.next.prepared()?;
        let readers = self.own_bundle.readers();
        Some((held, readers.count_lacking(now.into(), |bundle| !prepared.is_trusted_by(bundle))))
    }

    /// Makes a key, gets a certificate for it, and publishes what peers must trust.
    pub(super) async fn prepare_x509(
        &self,
        workshop: &mut Workshop,
        place: Place,
    ) -> Result<(), PrepareError> {
        self.numbers.x509_prepare.measure(self.make_x509(workshop, place), internal).await
    }

    async fn make_x509(&self, workshop: &mut Workshop, place: Place) -> Result<(), PrepareError> {
        let (slot, was_active) = workshop.x509.clear(place);
        debug!(slot = slot.as_str(), "Preparing X509 CA");
        if let Some(id) = was_active {
            workshop.journal.mark_x509(&id, Status::Old);
        }
        self.publish(workshop);
        let now = self.clock.now();
        let key_name = key_id::<X509Ca>(slot);
        let key = self.keys.key_generate(&key_name, self.config.ca_key_type).await;
        let key = key.map_err(PrepareError::Key)?;
        let authority = self.certify_x509(key, now).await?;
        if !authority.is_trusted_by(&self.own_bundle.current()) {
            return Err(PrepareError::NotPublished);
        }
        workshop.journal.append_x509(slot, now, &authority);
        let info = authority.info().clone();
        workshop.x509.fill(place, authority, now);
        self.publish(workshop);
        self.save(workshop).await;
        info!(
            slot = slot.as_str(),
            issued_at = go_time(now),
            expiration = go_time(info.expires_at.to_system_time()),
            self_signed = self.above.is_none(),
            local_authority_id = info.id.as_str(),
            upstream_authority_id = info.upstream_id.as_str(),
            "X509 CA prepared"
        );
        Ok(())
    }

    /// Makes a key and publishes it.
    pub(super) async fn prepare_jwt(
        &self,
        workshop: &mut Workshop,
        place: Place,
    ) -> Result<(), PrepareError> {
        self.numbers.jwt_prepare.measure(self.make_jwt(workshop, place), internal).await
    }

    async fn make_jwt(&self, workshop: &mut Workshop, place: Place) -> Result<(), PrepareError> {
        let (slot, was_active) = workshop.jwt.clear(place);
        debug!(slot = slot.as_str(), "Preparing JWT key");
        if let Some(id) = was_active {
            workshop.journal.mark_jwt(&id, Status::Old);
        }
        self.publish(workshop);
        let now = self.clock.now();
        let key = self.keys.key_generate(&key_id::<JwtKey>(slot), self.config.jwt_key_type).await;
        let key = key.map_err(PrepareError::Key)?;
        let expires_at = template::end(now, self.config.ca_ttl, None);
        let authority = JwtKey::new(key, &random_key_id()?, expires_at).map_err(PrepareError::Header)?;
        let published = self.publish_jwt_key(authority.to_bundle()).await;
        if !authority.is_trusted_by(&*published.map_err(PrepareError::PublishJwt)?) {
            return Err(PrepareError::NotPublished);
        }
        workshop.journal.append_jwt(slot, now, &authority);
        let info = authority.info().clone();
        workshop.jwt.fill(place, authority, now);
        self.publish(workshop);
        self.save(workshop).await;
        info!(
            slot = slot.as_str(),
            issued_at = go_time(now),
            expiration = go_time(info.expires_at.to_system_time()),
            local_authority_id = info.id.as_str(),
            "JWT key prepared"
        );
        Ok(())
    }

    /// From now on the prepared X.509 authority signs.
    pub(super) async fn activate_x509(&self, workshop: &mut Workshop) {
        let Some(Activation { slot, authority, issued_at, retired }) = workshop.x509.activate() else {
            return;
        };
        if let Some(retired) = retired {
            workshop.journal.mark_x509(&retired, Status::Old);
        }
        workshop.journal.mark_x509(&authority.info().id, Status::Active);
        self.publish(workshop);
        self.tell_x509_active(slot, issued_at, &authority);
        self.save(workshop).await;
    }

    /// From now on the prepared JWT authority signs.
    pub(super) async fn activate_jwt(&self, workshop: &mut Workshop) {
        let Some(Activation { slot, authority, issued_at, retired }) = workshop.jwt.activate() else {
            return;
        };
        if let Some(retired) = retired {
            workshop.journal.mark_jwt(&retired, Status::Old);
        }
        workshop.journal.mark_jwt(&authority.info().id, Status::Active);
        self.publish(workshop);
        self.numbers.jwt_activate.increment();
        tell_jwt_active(slot, issued_at, &authority);
        self.save(workshop).await;
    }

    /// Says which authorities of the journal sign again after a start.
    pub(super) fn resume(&self, workshop: &Workshop) {
        self.publish(workshop);
        if let Some((slot, issued_at, authority)) = workshop.x509.active() {
            self.tell_x509_active(slot, issued_at, authority);
        }
        if let Some((slot, issued_at, authority)) = workshop.jwt.active() {
            self.numbers.jwt_activate.increment();
            tell_jwt_active(slot, issued_at, authority);
        }
    }

    fn tell_x509_active(&self, slot: SlotId, issued_at: SystemTime, authority: &Arc<X509Ca>) {
        let info = authority.info();
        info!(
            slot = slot.as_str(),
            issued_at = go_time(issued_at),
            expiration = go_time(info.expires_at.to_system_time()),
            local_authority_id = info.id.as_str(),
            upstream_authority_id = info.upstream_id.as_str(),
            "X509 CA activated"
        );
        let now = self.clock.now();
        let left = info.expires_at.to_system_time().duration_since(now).unwrap_or_default();
        self.numbers.x509_activated(info.expires_at.seconds(), left.as_secs_f64());
        let left = info.expires_at.seconds() - UnixTime::from(now).seconds();
        debug!(
            trust_domain_id = self.config.trust_domain.id().as_str(),
            ttl = left,
            "Successfully rotated X.509 CA"
        );
    }

    /// A failed save is told and tried again with the next change or look.
    async fn save(&self, workshop: &mut Workshop) {
        if let Err(error) = workshop.journal.save(self.clock.now()).await {
            error!(%error, "could not save CA journal in the datastore");
        }
    }
}

fn tell_jwt_active(slot: SlotId, issued_at: SystemTime, authority: &Arc<JwtKey>) {
    let info = authority.info();
    info!(
        slot = slot.as_str(),
        issued_at = go_time(issued_at),
        expiration = go_time(info.expires_at.to_system_time()),
        local_authority_id = info.id.as_str(),
        "JWT key activated"
    );
}

/// 32 random letters and digits.
fn random_key_id() -> Result<String, PrepareError> {
    const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = String::with_capacity(32);
    while text.len() < 32 {
        let random = SerialNumber::random().map_err(PrepareError::Random)?;
        // Octets from 248 on would make the first letters likelier.
        let fair = random.as_bytes().iter().map(|octet| usize::from(*octet)).filter(|octet| *octet < 248);
        text.extend(fair.take(32 - text.len()).map(|octet| char::from(ALPHABET[octet % 62])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_are_random_text() {
        let (one, two) = (random_key_id().unwrap(), random_key_id().unwrap());
        assert_ne!(one, two);
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
