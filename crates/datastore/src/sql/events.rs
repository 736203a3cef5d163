//! The change feed: one row for each change of an entry or a node, written in the transaction of that change.
//!
//! The database numbers the rows when they are written, not when they are committed: a slow transaction's
//! row appears below newer ones. The contract says what readers must do about it.

use super::fault::Fault;
use super::session::{Session, Value, first, insert_rows};
use crate::time::DateTime;
use finial_plugin::datastore::ChangeEvent;

/// The SQL of one feed.
pub(super) struct Feed {
    append: &'static str,
    page: &'static str,
    pub(super) newest: &'static str,
    oldest: &'static str,
    drop: &'static str,
}

macro_rules! feed {
    ($table:literal, $subject:literal) => {
        Feed {
            append: concat!("INSERT INTO ", $table, " (created_at, updated_at, ", $subject, ") VALUES "),
            page: concat!("SELECT id, ", $subject, " FROM ", $table, " WHERE id > ? ORDER BY id LIMIT ?"),
            newest: concat!("SELECT MAX(id) FROM ", $table),
            oldest: concat!("SELECT id, created_at FROM ", $table, " ORDER BY id LIMIT ?"),
            drop: concat!("DELETE FROM ", $table, " WHERE id <= ?"),
        }
    };
}

/// Changes of registration entries.
pub(super) const ENTRIES: Feed = feed!("registered_entries_events", "entry_id");
/// Changes of attested nodes.
pub(super) const NODES: Feed = feed!("attested_node_entries_events", "spiffe_id");

impl Feed {
    /// Tells that something about each subject changed, in this order.
    pub(super) async fn append(
        &self,
        db: &mut dyn Session,
        events: &[(&str, DateTime)],
    ) -> Result<(), Fault> {
        let mut rows = Vec::with_capacity(events.len());
        for (subject, now) in events {
            let now = Value::Moment(Some(*now));
            rows.push(vec![now, now, Value::Text(subject)]);
        }
        insert_rows(db, self.append, "", &rows).await
    }

    /// Events after `after`. A subject that `parse` refuses is left out; it names nothing that exists.
    pub(super) async fn page<T>(
        &self,
        db: &mut dyn Session,
        after: i64,
        limit: u32,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<ChangeEvent<T>>, Fault> {
        let mut after = after;
        loop {
            let rows = db.query(self.page, &[Value::Int(after), Value::Int(limit.into())]).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let mut events = Vec::with_capacity(rows.len());
            for mut row in rows {
                let event_id = row.int()?;
                after = event_id;
                events.extend(parse(&row.text()?).map(|subject| ChangeEvent { event_id, subject }));
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The newest event's number, 0 if there is none.
    pub(super) async fn newest(&self, db: &mut dyn Session) -> Result<i64, Fault> {
        match first(db, self.newest, &[]).await? {
            Some(mut row) => row.int(),
            None => Ok(0),
        }
    }

    /// Drops events from the oldest on, up to the first that is not older than `before`: there is no
    /// index on their age, but they stand roughly in the order in which they were written.
    pub(super) async fn prune(
        &self,
        db: &mut dyn Session,
        before: DateTime,
        limit: u32,
    ) -> Result<u64, Fault> {
        let mut last_old = None;
        for mut row in db.query(self.oldest, &[Value::Int(limit.into())]).await? {
            let event_id = row.int()?;
            if row.moment()?.is_some_and(|created_at| created_at >= before) {
                break;
            }
            last_old = Some(event_id);
        }
        match last_old {
            Some(event_id) => Ok(db.execute(self.drop, &[Value::Int(event_id)]).await?),
            None => Ok(0),
        }
    }
}
