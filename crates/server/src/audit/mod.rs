//! The audit log: who called what, with which request, and how it ended; one record for each call, and for
//! each item of a batch.
//!
//! A layer between the gate and the services reads along: [`layer`] keeps the messages of a call, [`fields`]
//! (pure) makes SPIRE's records of them, and they go to the process's log and to a chained [`file`]. The services
//! know nothing of it, and without an audit log nothing is kept. As in SPIRE there is no record of calls that
//! the gate refused, which the log tells, nor of health checks.

pub mod fields;
pub mod file;
pub mod layer;

pub use file::{AuditFile, AuditFileError};
pub use layer::{Audited, Auditing};

use finial_runtime::logging::{FieldValue, Handle, Level};
use std::sync::Arc;

/// The message of each record in the log.
const MESSAGE: &str = "API accessed";

/// Fields of a record by name.
pub type Fields = Vec<(String, FieldValue)>;

/// Where records go.
#[derive(Clone, Default)]
pub struct AuditSinks {
    /// The process's log: SPIRE's `audit_log_enabled`.
    pub log: Option<Handle>,
    /// A file of its own.
    pub file: Option<Arc<AuditFile>>,
}

impl AuditSinks {
    /// Whether anybody wants records.
    pub fn is_on(&self) -> bool {
        self.log.is_some() || self.file.is_some()
    }

    fn write(&self, fields: Fields) {
        if let Some(file) = &self.file {
            file.append(&fields);
        }
        if let Some(log) = &self.log {
            let subsystem = ("subsystem_name".to_owned(), FieldValue::from("api"));
            log.write(Level::Info, MESSAGE, fields.into_iter().chain([subsystem]));
        }
    }
}
