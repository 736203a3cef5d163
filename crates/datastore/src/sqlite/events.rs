//! The change feed: one row for each change of an entry or a node, written in the transaction of that
//! change and numbered by SQLite, never twice with the same number.

use super::fault::Fault;
use crate::time::DateTime;
use finial_plugin::datastore::ChangeEvent;
use rusqlite::{Connection, OptionalExtension};

/// The SQL of one feed.
pub(super) struct Feed {
    append: &'static str,
    page: &'static str,
    newest: &'static str,
    oldest: &'static str,
    drop: &'static str,
}

macro_rules! feed {
    ($table:literal, $subject:literal) => {
        Feed {
            append: concat!(
                "INSERT INTO ",
                $table,
                " (created_at, updated_at, ",
                $subject,
                ") VALUES (?1, ?1, ?2)"
            ),
            page: concat!(
                "SELECT id, COALESCE(",
                $subject,
                ", '') FROM ",
                $table,
                " WHERE id > ?1 ORDER BY id LIMIT ?2"
            ),
            newest: concat!("SELECT id FROM ", $table, " ORDER BY id DESC LIMIT 1"),
            oldest: concat!("SELECT id, created_at FROM ", $table, " ORDER BY id LIMIT ?1"),
            drop: concat!("DELETE FROM ", $table, " WHERE id <= ?1"),
        }
    };
}

/// Changes of registration entries.
pub(super) const ENTRIES: Feed = feed!("registered_entries_events", "entry_id");
/// Changes of attested nodes.
pub(super) const NODES: Feed = feed!("attested_node_entries_events", "spiffe_id");

impl Feed {
    /// Tells that something about `subject` changed.
    pub(super) fn append(&self, db: &Connection, subject: &str, now: DateTime) -> Result<(), Fault> {
        db.prepare_cached(self.append)?.execute((now, subject))?;
        Ok(())
    }

    /// Events after `after`. A subject that `parse` refuses is left out; it names nothing that exists.
    pub(super) fn page<T>(
        &self,
        db: &Connection,
        after: i64,
        limit: u32,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<ChangeEvent<T>>, Fault> {
        let mut after = after;
        loop {
            let rows = db
                .prepare_cached(self.page)?
                .query_map((after, limit), |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
            let Some((last, _)) = rows.last() else {
                return Ok(Vec::new());
            };
            after = *last;
            let event = |(event_id, text): (i64, String)| {
                parse(&text).map(|subject| ChangeEvent { event_id, subject })
            };
            let events: Vec<_> = rows.into_iter().filter_map(event).collect();
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The newest event's number, 0 if there is none.
    pub(super) fn newest(&self, db: &Connection) -> Result<i64, Fault> {
        Ok(db.prepare_cached(self.newest)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Drops events from the oldest on, up to the first that is not older than `before`: there is no
    /// index on their age, but they stand in the order in which they were written.
    pub(super) fn prune(&self, db: &Connection, before: DateTime, limit: u32) -> Result<u64, Fault> {
        let mut last_old = None;
        {
            let mut statement = db.prepare_cached(self.oldest)?;
            let mut rows = statement.query([limit])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, Option<DateTime>>(1)?.is_some_and(|created_at| created_at >= before) {
                    break;
                }
                last_old = Some(row.get::<_, i64>(0)?);
            }
        }
        let Some(last_old) = last_old else {
            return Ok(0);
        };
        let dropped = db.prepare_cached(self.drop)?.execute([last_old])?;
        Ok(u64::try_from(dropped).unwrap_or(u64::MAX))
    }
}
