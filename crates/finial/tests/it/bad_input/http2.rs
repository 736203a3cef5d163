//! HTTP/2 frames by hand, to send what no client sends (RFC 9113).

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// How long a server may take to answer an abuse.
const PATIENCE: Duration = Duration::from_secs(20);

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&header(kind, flags, stream, payload.len())[..], payload].concat()
}

/// The header of a frame, whatever follows.
pub(super) fn header(kind: u8, flags: u8, stream: u32, length: usize) -> [u8; 9] {
    let [.., a, b, c] = length.to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// `initial_window` is how much of each answer the client will take.
pub(super) fn settings(initial_window: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 4][..], &initial_window.to_be_bytes()].concat())
}

/// The header block of a call, without compression.
pub(super) fn call(path: &str) -> Vec<u8> {
    let literal = |name: &str, value: &str| {
        [&[0, name.len() as u8][..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    // Of HPACK's static table: `:method POST` and `:scheme http`.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("workload.spiffe.io", "true"),
    ] {
        block.extend(literal(name, value));
    }
    block
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With `GOAWAY` and this code.
    GoAway(u32),
    /// Without a word.
    Closed,
    /// It has not: the server lives with what it was sent.
    Open,
}

/// Any connection.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Sends as much as the server takes while nothing is read. A server may stop reading, and may hang up: both
/// bound what an abuse costs.
pub(super) async fn pour(connection: &mut dyn Connection, bytes: &[u8]) {
    let _ = tokio::time::timeout(Duration::from_secs(2), async {
        connection.write_all(bytes).await?;
        connection.flush().await
    })
    .await;
}

/// Reads what the server says until it ends the connection, or answers a ping: then it lives on.
pub(super) async fn end_of(connection: &mut dyn Connection) -> End {
    pour(connection, &frame(PING, 0, 0, b"are you?")).await;
    let heard = tokio::time::timeout(PATIENCE, async {
        let mut code = None;
        loop {
            let mut header = [0; 9];
            if connection.read_exact(&mut header).await.is_err() {
                return code.map_or(End::Closed, End::GoAway);
            }
            let [a, b, c, kind, flags, ..] = header;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            if connection.read_exact(&mut payload).await.is_err() {
                return code.map_or(End::Closed, End::GoAway);
            }
            match (kind, flags, payload.as_slice()) {
                (GOAWAY, _, [_, _, _, _, a, b, c, d, ..]) => {
                    code = Some(u32::from_be_bytes([*a, *b, *c, *d]))
                }
                (PING, 1, b"are you?") => return End::Open,
                _ => {}
            }
        }
    });
    heard.await.unwrap_or(End::Open)
}
