//! Refuses requests whose messages are too large, with the status that gRPC has for it.
//!
//! tonic refuses them too, but as `OutOfRange`; clients know `ResourceExhausted`.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;

/// Largest message of a request in bytes: gRPC's own default.
pub const MESSAGE_MAX: usize = 4 << 20;

/// Length of what stands before each message: a flag and the length.
const PREFIX: usize = 5;

/// A request body that fails when a message of it announces to be too large.
pub(super) struct MessageLimit<B> {
    body: B,
    scan: Scan,
}

impl<B> MessageLimit<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, scan: Scan::default() }
    }
}

/// Where in the sequence of messages the reader is.
#[derive(Default)]
struct Scan {
    prefix: [u8; PREFIX],
    /// How much of the prefix has been seen.
    seen: usize,
    /// How much of the message is still to come.
    remaining: usize,
}

impl Scan {
    /// Looks at more bytes; gives the length of a message that is too large.
    fn advance(&mut self, mut bytes: &[u8]) -> Result<(), usize> {
        while !bytes.is_empty() {
            if self.remaining > 0 {
                let skipped = self.remaining.min(bytes.len());
                self.remaining -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = (PREFIX - self.seen).min(bytes.len());
            self.prefix[self.seen..self.seen + wanted].copy_from_slice(&bytes[..wanted]);
            self.seen += wanted;
            bytes = &bytes[wanted..];
            if self.seen == PREFIX {
                let [_, a, b, c, d] = self.prefix;
                self.seen = 0;
                self.remaining = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.remaining > MESSAGE_MAX {
                    return Err(self.remaining);
                }
            }
        }
        Ok(())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for MessageLimit<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(Into::into)?;
        if let Some(data) = frame.data_ref()
            && let Err(length) = self.scan.advance(data)
        {
            let text = format!("grpc: received message larger than max ({length} vs. {MESSAGE_MAX})");
            return Poll::Ready(Some(Err(Status::resource_exhausted(text).into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        bytes.resize(PREFIX + length, 7);
        bytes
    }

    #[test]
    fn too_large_is_refused_at_its_prefix() {
        let mut scan = Scan::default();
        assert_eq!(scan.advance(&message(MESSAGE_MAX)), Ok(()));
        assert_eq!(scan.advance(&[0, 0, 64, 0, 1]), Err(MESSAGE_MAX + 1));
    }

    proptest! {
        #[test]
        fn however_it_is_cut(lengths in prop::collection::vec(0..300usize, 0..20), cut in 1..64usize) {
            let mut bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            bytes.extend_from_slice(&[1, 255, 255, 255, 255]);
            let mut scan = Scan::default();
            let verdicts: Vec<_> = bytes.chunks(cut).map(|chunk| scan.advance(chunk)).collect();
            let (last, before) = verdicts.split_last().unwrap();
            prop_assert_eq!(last, &Err(u32::MAX as usize));
            prop_assert!(before.iter().all(Result::is_ok));
        }
    }
}
