//! Which schema a database has, and whether it can be used: SPIRE's rules for every database.

use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};

/// The schema that this code reads and writes.
pub(crate) const LATEST: i64 = 25;
/// The oldest schema that is brought up to [`LATEST`] here.
const OLDEST: i64 = 23;
/// The SPIRE release whose store this one equals, as the `migrations` row names it.
pub(crate) const CODE_VERSION: &str = "1.16.0";

/// Whether an older schema may be brought up to date (`disable_migration` of SPIRE's configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MigrationPolicy {
    /// Migrate when the store opens.
    #[default]
    Migrate,
    /// Do not open a database that would have to be migrated.
    Refuse,
}

/// What to do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can be used as it is.
    Current,
    /// It must be migrated.
    Migrate {
        /// The schema that it has.
        from: i64,
    },
}

/// The row of `migrations`.
pub(crate) struct StoredVersion {
    pub(crate) schema: i64,
    pub(crate) code: String,
}

impl StoredVersion {
    /// What to do with this database; an error says why it cannot be used.
    pub(crate) fn verdict(&self, policy: MigrationPolicy) -> StoreResult<Verdict> {
        match self.schema {
            LATEST => Ok(Verdict::Current),
            newer if newer > LATEST => self.tolerate_newer().map(|()| Verdict::Current),
            older if older < OLDEST => Err(self.too_old()),
            _ if policy == MigrationPolicy::Refuse => {
                Err(refused("auto-migration must be enabled for current DB".to_owned()))
            }
            older => Ok(Verdict::Migrate { from: older }),
        }
    }

    /// A database that a newer server of the same cluster has migrated already may be used as long as
    /// that server is at most one minor release ahead.
    fn tolerate_newer(&self) -> StoreResult<()> {
        let ours = minor_release(CODE_VERSION);
        let near = match (ours, minor_release(&self.code)) {
            (Some((our_major, our_minor)), Some((major, minor))) => {
                our_major == major && our_minor.abs_diff(minor) <= 1
            }
            _ => false,
        };
        if near {
            tracing::warn!(
                schema = self.schema,
                version_info = self.code,
                "DB schema is ahead of code version, upgrading SPIRE Server is recommended"
            );
            return Ok(());
        }
        Err(refused(format!(
            "incompatible DB schema and code version: the database has schema version {} of SPIRE {:?}, this \
             server knows schema version {LATEST} of SPIRE {CODE_VERSION}; use a newer release of this server",
            self.schema, self.code
        )))
    }

    fn too_old(&self) -> StoreError {
        refused(format!(
            "migrating from schema version {} requires a previous SPIRE release; please follow the upgrade \
             strategy at doc/upgrading.md: let SPIRE upgrade this database to schema version {OLDEST} or later \
             (SPIRE 1.8 to 1.14), then open it again",
            self.schema
        ))
    }
}

/// Major and minor number of a semantic version; no version at all counts as 0.0.
fn minor_release(version: &str) -> Option<(u64, u64)> {
    if version.is_empty() {
        return Some((0, 0));
    }
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn refused(text: String) -> StoreError {
    StoreError::new(Code::FailedPrecondition, format!("datastore-sql: {text}"))
}
