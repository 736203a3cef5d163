//! Lines for StatsD and DogStatsD, sent by UDP.
//!
//! Recording appends a prepared line to a buffer of bounded size; a task sends what is there ten times a second in
//! datagrams of whole lines. If nobody listens, or if the buffer is full, lines are lost, as the protocol means it.

use super::{Cell, Key, Kind, Sink};
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;

/// The largest datagram: what passes through an Ethernet in one piece.
const DATAGRAM_MAX: usize = 1400;
/// Lines that wait; some ten thousand.
const WAITING_MAX: usize = 1 << 20;
const SEND_EVERY: Duration = Duration::from_millis(100);

/// Which language is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Values of labels are further parts of the name.
    StatsD,
    /// Labels are tags.
    DogStatsD,
}

type Buffer = Arc<Mutex<Vec<u8>>>;

/// One receiver.
pub struct StatsD {
    dialect: Dialect,
    waiting: Buffer,
}

impl StatsD {
    /// A sink with nothing in it.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, waiting: Buffer::default() }
    }

    #[cfg(test)]
    pub(super) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.waiting.lock().unwrap())).unwrap()
    }

    /// Sends what is recorded until it is dropped. The address is looked up anew after every failure.
    pub async fn send_to(self: Arc<Self>, address: String) -> Result<(), Infallible> {
        let mut socket = None;
        let mut lines = Vec::new();
        loop {
            tokio::time::sleep(SEND_EVERY).await;
            std::mem::swap(&mut lines, &mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if lines.is_empty() {
                continue;
            }
            if let Err(error) = send(&mut socket, &address, &lines).await {
                tracing::debug!(address, %error, subsystem_name = "telemetry", "Could not send metrics");
                socket = None;
            }
            lines.clear();
        }
    }
}

async fn send(socket: &mut Option<UdpSocket>, address: &str, lines: &[u8]) -> io::Result<()> {
    let socket = match socket {
        Some(socket) => socket,
        none => none.insert(connect(address).await?),
    };
    for datagram in datagrams(lines) {
        socket.send(datagram).await?;
    }
    Ok(())
}

async fn connect(address: &str) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for target in tokio::net::lookup_host(address).await? {
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(target).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whole lines, as many as fit. A line that is longer goes alone.
fn datagrams(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let end_of = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let first_line = || rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let fitting = &rest[..rest.len().min(DATAGRAM_MAX)];
        let end =
            if rest.len() <= DATAGRAM_MAX { rest.len() } else { end_of(fitting).unwrap_or_else(first_line) };
        let (datagram, others) = rest.split_at(end);
        rest = others;
        (!datagram.is_empty()).then_some(datagram)
    })
}

struct Line {
    waiting: Buffer,
    dialect: Dialect,
    kind: Kind,
    name: String,
    end: String,
}

impl Sink for StatsD {
    fn cell(&self, kind: Kind, key: &Key) -> Option<Arc<dyn Cell>> {
        let kind_text = match kind {
            Kind::Counter => "c",
            Kind::Gauge => "g",
            Kind::Sample => "ms",
        };
        let mut name = one_word(&key.name);
        let mut tags = String::new();
        for (label, value) in &key.labels {
            let (label, value) = (one_word(label), one_word(value));
            match self.dialect {
                Dialect::StatsD => {
                    name.push('.');
                    name.push_str(&value);
                }
                Dialect::DogStatsD => {
                    tags.push_str(if tags.is_empty() { "|#" } else { "," });
                    tags.push_str(&label);
                    if !value.is_empty() {
                        tags.push(':');
                        tags.push_str(&value);
                    }
                }
            }
        }
        let (waiting, dialect) = (Arc::clone(&self.waiting), self.dialect);
        Some(Arc::new(Line { waiting, dialect, kind, name, end: format!("|{kind_text}{tags}\n") }))
    }
}

/// A colon or a blank would end the word.
fn one_word(text: &str) -> String {
    text.replace([':', ' '], "_")
}

impl Cell for Line {
    fn record(&self, value: f64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX {
            return;
        }
        let Self { name, end, .. } = self;
        // Writing into memory does not fail.
        let _ = match (self.dialect, self.kind) {
            (Dialect::DogStatsD, Kind::Counter | Kind::Gauge) => write!(waiting, "{name}:{value}{end}"),
            _ => write!(waiting, "{name}:{value:.6}{end}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_hold_whole_lines() {
        let line = format!("{}\n", "x".repeat(99));
        let lines = line.repeat(30);
        let sent: Vec<_> = datagrams(lines.as_bytes()).map(<[u8]>::len).collect();
        assert_eq!(sent, [1400, 1400, 200]);
        let long = format!("{}\n{line}", "y".repeat(5000));
        let sent: Vec<_> = datagrams(long.as_bytes()).map(<[u8]>::len).collect();
        assert_eq!(sent, [5001, 100]);
        assert_eq!(datagrams(b"").count(), 0);
    }

    #[test]
    fn a_full_buffer_loses_lines() {
        let sink = StatsD::new(Dialect::StatsD);
        let key = Key { name: "n".repeat(1000), labels: Vec::new() };
        let cell = sink.cell(Kind::Counter, &key).unwrap();
        (0..2000).for_each(|_| cell.record(1.0));
        let held = sink.waiting.lock().unwrap().len();
        assert!((WAITING_MAX..WAITING_MAX + 2000).contains(&held), "{held}");
    }

    #[tokio::test]
    async fn lines_arrive() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = receiver.local_addr().unwrap().to_string();
        let sink = Arc::new(StatsD::new(Dialect::DogStatsD));
        let key = Key { name: "a.b".to_owned(), labels: vec![("status".to_owned(), "OK".to_owned())] };
        sink.cell(Kind::Counter, &key).unwrap().record(1.0);
        let sending = tokio::spawn(Arc::clone(&sink).send_to(address));
        let mut datagram = [0; 100];
        let size = receiver.recv(&mut datagram).await.unwrap();
        assert_eq!(&datagram[..size], b"a.b:1|c|#status:OK\n");
        sending.abort();
    }
}
