//! How a bundle may change: append, prune, taint, revoke. The verdicts and texts are SPIRE's.
//!
//! Every change that was made raises the sequence number by one (§4.1.1); a change that was refused
//! leaves the bundle as it was.

use super::authority::KeyAuthority;
use super::{AuthorityId, Bundle, JwtAuthority, WitAuthority, X509Authority};
use crate::{Code, UnixTime};

/// Why an authority was not tainted or revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// No X.509 authority to taint.
    #[error("no ca found with provided subject key ID")]
    X509NotFound,
    /// No X.509 authority to revoke.
    #[error("no root CA found with provided subject key ID")]
    X509NotFoundToRevoke,
    /// The X.509 authority was tainted before.
    #[error("root CA is already tainted")]
    X509AlreadyTainted,
    /// Only a tainted X.509 authority is revoked.
    #[error("it is not possible to revoke an untainted root CA")]
    X509NotTainted,
    /// No JWT authority.
    #[error("no JWT Key found with provided key ID")]
    JwtNotFound,
    /// The JWT authority was tainted before.
    #[error("key is already tainted")]
    JwtAlreadyTainted,
    /// Only a tainted JWT authority is revoked.
    #[error("it is not possible to revoke an untainted key")]
    JwtNotTainted,
}

impl AuthorityError {
    /// The classification.
    pub fn code(self) -> Code {
        match self {
            Self::X509NotFound | Self::X509NotFoundToRevoke | Self::JwtNotFound => Code::NotFound,
            _ => Code::InvalidArgument,
        }
    }
}

/// Why nothing was pruned: a bundle never loses its last authority of a kind this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PruneError {
    /// All X.509 authorities have ended.
    #[error("would prune all certificates")]
    AllX509,
    /// All JWT authorities have ended.
    #[error("would prune all JWT signing keys")]
    AllJwt,
    /// All WIT authorities have ended.
    #[error("would prune all WIT signing keys")]
    AllWit,
}

/// What was pruned, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// X.509 authorities that are gone.
    pub x509_authorities: Vec<X509Authority>,
    /// JWT authorities that are gone.
    pub jwt_authorities: Vec<JwtAuthority>,
    /// WIT authorities that are gone.
    pub wit_authorities: Vec<WitAuthority>,
}

impl Pruned {
    /// Whether the bundle is what it was.
    pub fn is_empty(&self) -> bool {
        self.x509_authorities.is_empty() && self.jwt_authorities.is_empty() && self.wit_authorities.is_empty()
    }
}

impl Bundle {
    /// Adds the authorities of `other` that are not known yet and says whether there were any.
    ///
    /// Known is a certificate with the same DER or a key with the same key ID: an authority keeps the
    /// taint and the end it has, and no second key slips in under a known key ID.
    pub fn append(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for authority in &other.x509_authorities {
            let known = self.x509_authorities.iter().any(|known| known.certificate == authority.certificate);
            if !known {
                self.x509_authorities.push(authority.clone());
                changed = true;
            }
        }
        changed |= append_keys(&mut self.jwt_authorities, &other.jwt_authorities);
        changed |= append_keys(&mut self.wit_authorities, &other.wit_authorities);
        self.count_change(changed);
        changed
    }

    /// Removes authorities that ended at or before `moment`. One that does not say when it ends stays.
    pub fn prune(&mut self, moment: UnixTime) -> Result<Pruned, PruneError> {
        let (x509, ended_x509) = split(&self.x509_authorities, |authority: &X509Authority| {
            authority.certificate.not_after() <= moment
        });
        let (jwt, ended_jwt) =
            split(&self.jwt_authorities, |authority: &JwtAuthority| has_ended(authority, moment));
        let (wit, ended_wit) =
            split(&self.wit_authorities, |authority: &WitAuthority| has_ended(authority, moment));
        if x509.is_empty() && !ended_x509.is_empty() {
            return Err(PruneError::AllX509);
        }
        if jwt.is_empty() && !ended_jwt.is_empty() {
            return Err(PruneError::AllJwt);
        }
        if wit.is_empty() && !ended_wit.is_empty() {
            return Err(PruneError::AllWit);
        }
        (self.x509_authorities, self.jwt_authorities, self.wit_authorities) = (x509, jwt, wit);
        let pruned =
            Pruned { x509_authorities: ended_x509, jwt_authorities: ended_jwt, wit_authorities: ended_wit };
        self.count_change(!pruned.is_empty());
        Ok(pruned)
    }

    /// Taints all certificates of an X.509 authority.
    pub fn taint_x509(&mut self, id: &AuthorityId) -> Result<(), AuthorityError> {
        if self.find_x509(id).any(|authority| authority.tainted) {
            return Err(AuthorityError::X509AlreadyTainted);
        }
        let mut found = false;
        for authority in self.x509_authorities.iter_mut().filter(|authority| authority.id() == *id) {
            authority.tainted = true;
            found = true;
        }
        if !found {
            return Err(AuthorityError::X509NotFound);
        }
        self.count_change(true);
        Ok(())
    }

    /// Removes a tainted X.509 authority and gives back its certificates.
    pub fn revoke_x509(&mut self, id: &AuthorityId) -> Result<Vec<X509Authority>, AuthorityError> {
        let (kept, revoked) =
            split(&self.x509_authorities, |authority: &X509Authority| authority.id() == *id);
        if revoked.is_empty() {
            return Err(AuthorityError::X509NotFoundToRevoke);
        }
        if revoked.iter().any(|authority| !authority.tainted) {
            return Err(AuthorityError::X509NotTainted);
        }
        self.x509_authorities = kept;
        self.count_change(true);
        Ok(revoked)
    }

    /// Taints a JWT authority and gives a copy of it.
    pub fn taint_jwt(&mut self, id: &AuthorityId) -> Result<JwtAuthority, AuthorityError> {
        let found = self.jwt_authorities.iter_mut().find(|authority| authority.key_id == id.as_str());
        let authority = found.ok_or(AuthorityError::JwtNotFound)?;
        if authority.tainted {
            return Err(AuthorityError::JwtAlreadyTainted);
        }
        authority.tainted = true;
        let tainted = authority.clone();
        self.count_change(true);
        Ok(tainted)
    }

    /// Removes a tainted JWT authority and gives it back.
    pub fn revoke_jwt(&mut self, id: &AuthorityId) -> Result<JwtAuthority, AuthorityError> {
        let found = self.jwt_authorities.iter().position(|authority| authority.key_id == id.as_str());
        let at = found.ok_or(AuthorityError::JwtNotFound)?;
        if !self.jwt_authorities[at].tainted {
            return Err(AuthorityError::JwtNotTainted);
        }
        let revoked = self.jwt_authorities.remove(at);
        self.count_change(true);
        Ok(revoked)
    }

    /// Whether this bundle, just fetched, is older than the one stored (Federation §5.1): both say a
    /// sequence number and this one's is lower. Otherwise what was fetched last is the newest.
    pub fn is_older_than(&self, stored: &Self) -> bool {
        self.sequence_number != 0 && self.sequence_number < stored.sequence_number
    }

    fn count_change(&mut self, changed: bool) {
        self.sequence_number = self.sequence_number.saturating_add(u64::from(changed));
    }
}

fn append_keys<A: KeyAuthority + Clone>(known: &mut Vec<A>, offered: &[A]) -> bool {
    let before = known.len();
    for authority in offered {
        if !known.iter().any(|known| known.key_id() == authority.key_id()) {
            known.push(authority.clone());
        }
    }
    known.len() != before
}

fn has_ended(authority: &impl KeyAuthority, moment: UnixTime) -> bool {
    authority.expires_at() != UnixTime::default() && authority.expires_at() <= moment
}

/// Those that stay and those that go.
fn split<A: Clone>(authorities: &[A], goes: impl Fn(&A) -> bool) -> (Vec<A>, Vec<A>) {
    let (going, staying): (Vec<A>, Vec<A>) = authorities.iter().cloned().partition(goes);
    (staying, going)
}
