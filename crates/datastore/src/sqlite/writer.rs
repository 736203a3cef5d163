//! The one connection that writes, and group commit.
//!
//! SQLite has one writer at a time. Operations queue up; whoever finds the connection idle starts a
//! blocking task that works the queue off, taking all that wait into one physical transaction, each in
//! its own savepoint: one sync to disk answers many callers, and nobody is answered before it.
//! The connection lives in the queue or in that task, never in two places.
//!
//! The task comes from the runtime's blocking pool, not from a thread of its own, so that a test's
//! paused clock stands still while a write is under way.

use super::fault::Fault;
use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most operations in one physical transaction.
const GROUP: usize = 256;

/// The way to the writing connection.
pub(super) struct Writer {
    queue: Arc<Mutex<Queue>>,
    file: Arc<str>,
}

struct Queue {
    waiting: VecDeque<Box<dyn Operation>>,
    writer: Seat,
}

/// Where the writing connection is.
enum Seat {
    Idle(Connection),
    Working,
    /// The working task was torn down together with the connection.
    Gone,
}

impl Writer {
    pub(super) fn new(connection: Connection, file: Arc<str>) -> Self {
        let queue = Queue { waiting: VecDeque::new(), writer: Seat::Idle(connection) };
        Self { queue: Arc::new(Mutex::new(queue)), file }
    }

    /// Runs `operation` in a transaction; `Ok` means that it is on disk. If the caller goes away the
    /// operation is still done.
    pub(super) async fn write<T, F>(&self, operation: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let file = self.file.clone();
        let pending = Pending { operation: Some(operation), outcome: None, reply, file };
        self.submit(Box::new(pending));
        answer.await.unwrap_or_else(|_| Err(gone(&self.file)))
    }

    fn submit(&self, operation: Box<dyn Operation>) {
        let mut queue = lock(&self.queue);
        match std::mem::replace(&mut queue.writer, Seat::Working) {
            Seat::Working => queue.waiting.push_back(operation),
            Seat::Gone => queue.writer = Seat::Gone,
            Seat::Idle(connection) => {
                queue.waiting.push_back(operation);
                let shift = Shift { queue: self.queue.clone(), connection: Some(connection) };
                drop(queue);
                tokio::task::spawn_blocking(move || shift.work());
            }
        }
    }
}

impl Drop for Writer {
    /// Closes the connection, unless it still works; then it is closed when that is done.
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        if matches!(queue.writer, Seat::Idle(_)) {
            queue.writer = Seat::Gone;
        }
    }
}

/// One run over the queue; holds the connection meanwhile.
struct Shift {
    queue: Arc<Mutex<Queue>>,
    connection: Option<Connection>,
}

impl Shift {
    /// Callers are answered when the connection is back in its seat, or busy with the next group: who
    /// closes the store after the last answer closes the connection.
    fn work(mut self) {
        let mut settled = Settled::nothing();
        while let Some(connection) = self.connection.take() {
            let mut queue = lock(&self.queue);
            if queue.waiting.is_empty() {
                queue.writer = Seat::Idle(connection);
                drop(queue);
                return settled.answer();
            }
            let many = queue.waiting.len().min(GROUP);
            let group: Vec<_> = queue.waiting.drain(..many).collect();
            drop(queue);
            settled.answer();
            let left_over;
            (settled, left_over) = run_group(self.connection.insert(connection), group);
            let mut queue = lock(&self.queue);
            left_over.into_iter().rev().for_each(|operation| queue.waiting.push_front(operation));
        }
    }
}

impl Drop for Shift {
    /// Reached with the seat still taken only if an operation panicked or the runtime went away: those
    /// who wait are told instead of left.
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        if matches!(queue.writer, Seat::Working) && self.connection.is_some() {
            queue.writer = Seat::Gone;
            queue.waiting.clear();
        }
    }
}

/// Operations whose transaction is over.
struct Settled {
    group: Vec<Box<dyn Operation>>,
    end: Result<(), Fault>,
}

impl Settled {
    fn nothing() -> Self {
        Self { group: Vec::new(), end: Ok(()) }
    }

    fn answer(self) {
        for operation in self.group {
            match &self.end {
                Ok(()) => operation.answer(),
                Err(fault) => operation.fail(fault),
            }
        }
    }
}

/// Runs operations in one transaction; gives back those that must run in another one because SQLite
/// ended this one early.
fn run_group(
    connection: &Connection,
    mut group: Vec<Box<dyn Operation>>,
) -> (Settled, Vec<Box<dyn Operation>>) {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        return (Settled { group, end: Err(error.into()) }, Vec::new());
    }
    let single = group.len() == 1;
    let mut done = 0;
    let mut any_kept = false;
    let mut ended_early = false;
    for operation in &mut group {
        done += 1;
        match run_one(connection, operation.as_mut(), single) {
            Ok(kept) => any_kept |= kept,
            Err(error) => operation.spoil(error.into()),
        }
        if connection.is_autocommit() {
            ended_early = true;
            break;
        }
    }
    let left_over = group.split_off(done);
    let end = match (ended_early, any_kept) {
        (true, _) => Err(ended_early_fault()),
        (false, true) => execute(connection, "COMMIT").map_err(Fault::from),
        (false, false) => execute(connection, "ROLLBACK").map_err(Fault::from),
    };
    if end.is_err() && !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK");
    }
    (Settled { group, end }, left_over)
}

fn run_one(connection: &Connection, operation: &mut dyn Operation, single: bool) -> rusqlite::Result<bool> {
    if single {
        return Ok(operation.run(connection));
    }
    execute(connection, "SAVEPOINT operation")?;
    let kept = operation.run(connection);
    if !kept && !connection.is_autocommit() {
        execute(connection, "ROLLBACK TO operation")?;
    }
    if !connection.is_autocommit() {
        execute(connection, "RELEASE operation")?;
    }
    Ok(kept)
}

/// Runs a nested operation that may fail without spoiling the transaction it is in.
pub(super) fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    execute(connection, "SAVEPOINT part")?;
    let outcome = operation(connection);
    if connection.is_autocommit() {
        // SQLite gave up the whole transaction; so do we.
        return Err(outcome.err().unwrap_or_else(ended_early_fault));
    }
    if outcome.is_err() {
        execute(connection, "ROLLBACK TO part")?;
    }
    execute(connection, "RELEASE part")?;
    Ok(outcome)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// An operation in the queue, whatever its type.
trait Operation: Send {
    /// Runs inside the transaction; says whether its changes stay.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Replaces the outcome of a run.
    fn spoil(&mut self, fault: Fault);
    /// The transaction is on disk: gives the caller the outcome.
    fn answer(self: Box<Self>);
    /// The transaction is not on disk: a failure of its own goes to the caller, success becomes `fault`.
    fn fail(self: Box<Self>, fault: &Fault);
}

struct Pending<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T, Fault>>,
    reply: oneshot::Sender<StoreResult<T>>,
    file: Arc<str>,
}

impl<T, F> Operation for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.operation.take().map(|operation| operation(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn spoil(&mut self, fault: Fault) {
        self.outcome = Some(Err(fault));
    }

    fn answer(self: Box<Self>) {
        let outcome = match self.outcome {
            Some(outcome) => outcome.map_err(|fault| fault.told(&self.file)),
            None => Err(gone(&self.file)),
        };
        let _ = self.reply.send(outcome);
    }

    fn fail(self: Box<Self>, fault: &Fault) {
        let error = match self.outcome {
            Some(Err(own)) => own.told(&self.file),
            _ => fault.copy_told(&self.file),
        };
        let _ = self.reply.send(Err(error));
    }
}

fn ended_early_fault() -> Fault {
    StoreError::new(
        Code::Unavailable,
        "datastore-sql: the transaction was rolled back because another operation in it failed",
    )
    .into()
}

fn gone(file: &str) -> StoreError {
    StoreError::new(Code::Unavailable, format!("datastore-sql: the writer of {file:?} has stopped"))
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
