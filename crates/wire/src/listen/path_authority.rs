//! Clients on a Unix socket that send its path as `:authority`.
//!
//! gRPC's C core (Python, C++, Ruby) sends it percent-encoded and grpc-java as it is. Neither is an authority to
//! h2, which resets the stream. Nobody reads the authority on a Unix socket; so the bytes that h2 would not take
//! are replaced before it sees them, one for one, and lengths and HPACK tables stay what both ends think.
//!
//! Only what these clients send is touched: a literal value without Huffman coding, of a literal or static
//! name. Everything else passes as it came, and what is wrong with it is for h2 to say.

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
/// Frame types with header blocks.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// Flags of HEADERS.
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;

const NAME: &[u8] = b":authority";
/// The index of the name in HPACK's static table.
const NAME_INDEX: u32 = 1;

/// What a client has sent so far, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct PathAuthority {
    place: Place,
    block: HeaderBlock,
}

/// Where in the connection the next byte is.
#[derive(Debug)]
enum Place {
    Preface { seen: usize },
    NotHttp2,
    Header { bytes: [u8; FRAME_HEADER], seen: usize },
    PadLength { priority: usize, rest: usize },
    Block { before: usize, block: usize, after: usize },
    Skip(usize),
}

impl Default for Place {
    fn default() -> Self {
        Self::Preface { seen: 0 }
    }
}

impl PathAuthority {
    /// Takes the next bytes of the connection and makes them fit for h2.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let used = self.step(bytes);
            bytes = &mut bytes[used..];
        }
    }

    /// Uses at least one byte and says how many.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.place {
            Place::NotHttp2 => bytes.len(),
            Place::Preface { seen } => {
                let is_next = PREFACE.get(*seen) == bytes.first();
                *seen += 1;
                if !is_next {
                    self.place = Place::NotHttp2;
                } else if *seen == PREFACE.len() {
                    self.place = next_frame();
                }
                1
            }
            Place::Header { bytes: header, seen } => {
                header[*seen] = bytes[0];
                *seen += 1;
                if *seen == FRAME_HEADER {
                    let header = *header;
                    self.begin_frame(header);
                }
                1
            }
            Place::PadLength { priority, rest } => {
                let padding = usize::from(bytes[0]);
                let block = rest.saturating_sub(*priority).saturating_sub(padding);
                let before = (*rest - block).min(*priority);
                self.place = Place::Block { before, block, after: *rest - block - before };
                self.end_empty();
                1
            }
            Place::Block { before, block, after } => {
                let used = if *before > 0 {
                    let used = bytes.len().min(*before);
                    *before -= used;
                    used
                } else if *block > 0 {
                    let used = bytes.len().min(*block);
                    bytes[..used].iter_mut().for_each(|byte| self.block.take(byte));
                    *block -= used;
                    used
                } else {
                    let used = bytes.len().min(*after);
                    *after -= used;
                    used
                };
                self.end_empty();
                used
            }
            Place::Skip(left) => {
                let used = bytes.len().min(*left);
                *left -= used;
                self.end_empty();
                used
            }
        }
    }

    fn begin_frame(&mut self, header: [u8; FRAME_HEADER]) {
        let [a, b, c, kind, flags, ..] = header;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let priority = if flags & PRIORITY != 0 { PRIORITY_LENGTH.min(length) } else { 0 };
        self.place = match kind {
            HEADERS if flags & PADDED != 0 && length > 0 => {
                self.block = HeaderBlock::default();
                Place::PadLength { priority, rest: length - 1 }
            }
            HEADERS => {
                self.block = HeaderBlock::default();
                Place::Block { before: priority, block: length - priority, after: 0 }
            }
            CONTINUATION => Place::Block { before: 0, block: length, after: 0 },
            _ => Place::Skip(length),
        };
        self.end_empty();
    }

    /// Goes on to the next frame if nothing is left of this one.
    fn end_empty(&mut self) {
        if matches!(self.place, Place::Skip(0) | Place::Block { before: 0, block: 0, after: 0 }) {
            self.place = next_frame();
        }
    }
}

fn next_frame() -> Place {
    Place::Header { bytes: [0; FRAME_HEADER], seen: 0 }
}

/// A header block (RFC 7541 §6), as far as literals can be told apart without its tables.
#[derive(Debug, Default)]
enum HeaderBlock {
    /// A representation begins.
    #[default]
    Representation,
    /// The rest of a number that says nothing here: an index of a whole field, or a table size.
    Number(Integer),
    /// The rest of the index of a literal's name. It is too large for the name's own.
    NameIndex(Integer),
    NameLength,
    LongNameLength(Integer),
    /// A name of which so many bytes are still to come; all so far are those of [`NAME`], or nothing.
    Name {
        left: u32,
        same: Option<usize>,
    },
    ValueLength {
        field: Field,
    },
    LongValueLength {
        field: Field,
        coding: Coding,
        length: Integer,
    },
    Value {
        left: u32,
        field: Field,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Authority,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Huffman,
}

impl HeaderBlock {
    /// Takes a byte, and replaces it if it must not stay.
    fn take(&mut self, byte: &mut u8) {
        let next = match self {
            Self::Representation => Self::begin(*byte),
            Self::Number(number) => match number.push(*byte) {
                Some(_) => Self::Representation,
                None => return,
            },
            Self::NameIndex(number) => match number.push(*byte) {
                Some(_) => Self::ValueLength { field: Field::Other },
                None => return,
            },
            Self::NameLength => match Integer::begin(*byte, 7) {
                Ok(length) => Self::name(length),
                Err(more) => Self::LongNameLength(more),
            },
            Self::LongNameLength(number) => match number.push(*byte) {
                Some(length) => Self::name(length),
                None => return,
            },
            Self::Name { left, same } => {
                *same = same.filter(|&at| NAME.get(at) == Some(&*byte)).map(|at| at + 1);
                *left -= 1;
                if *left > 0 {
                    return;
                }
                let is_authority = *same == Some(NAME.len());
                Self::ValueLength { field: if is_authority { Field::Authority } else { Field::Other } }
            }
            Self::ValueLength { field } => {
                let (field, coding) = (*field, coding(*byte));
                match Integer::begin(*byte, 7) {
                    Ok(length) => Self::value(field, coding, length),
                    Err(length) => Self::LongValueLength { field, coding, length },
                }
            }
            Self::LongValueLength { field, coding, length } => match length.push(*byte) {
                Some(length) => Self::value(*field, *coding, length),
                None => return,
            },
            Self::Value { left, field } => {
                if *field == Field::Authority && !fits(*byte) {
                    *byte = b'-';
                }
                *left -= 1;
                if *left > 0 {
                    return;
                }
                Self::Representation
            }
        };
        *self = next;
    }

    fn begin(byte: u8) -> Self {
        let number = |bits| match Integer::begin(byte, bits) {
            Ok(_) => Self::Representation,
            Err(more) => Self::Number(more),
        };
        let literal = |bits| match Integer::begin(byte, bits) {
            Ok(0) => Self::NameLength,
            Ok(NAME_INDEX) => Self::ValueLength { field: Field::Authority },
            Ok(_) => Self::ValueLength { field: Field::Other },
            Err(more) => Self::NameIndex(more),
        };
        match byte {
            0x80.. => number(7),
            0x40.. => literal(6),
            0x20.. => number(5),
            _ => literal(4),
        }
    }

    fn name(length: u32) -> Self {
        match length {
            0 => Self::ValueLength { field: Field::Other },
            left => Self::Name { left, same: Some(0) },
        }
    }

    fn value(field: Field, coding: Coding, length: u32) -> Self {
        let field = if coding == Coding::Plain { field } else { Field::Other };
        match length {
            0 => Self::Representation,
            left => Self::Value { left, field },
        }
    }
}

fn coding(length: u8) -> Coding {
    if length & 0x80 == 0 { Coding::Plain } else { Coding::Huffman }
}

/// What may stand anywhere in an authority.
fn fits(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// A number in HPACK's form (RFC 7541 §5.1) of which bytes are still to come.
#[derive(Debug)]
struct Integer {
    value: u32,
    shift: u32,
}

impl Integer {
    /// The first byte, whose low `bits` belong to the number.
    fn begin(byte: u8, bits: u32) -> Result<u32, Self> {
        let most = (1_u32 << bits) - 1;
        let value = u32::from(byte) & most;
        if value < most { Ok(value) } else { Err(Self { value, shift: 0 }) }
    }

    /// A further byte; gives the number if it was the last. One that is too large for h2 is cut to something
    /// that is too large as well.
    fn push(&mut self, byte: u8) -> Option<u32> {
        let part = u32::from(byte & 0x7f).checked_mul(1_u32.checked_shl(self.shift).unwrap_or(u32::MAX));
        self.value = self.value.saturating_add(part.unwrap_or(u32::MAX));
        self.shift = self.shift.saturating_add(7);
        (byte & 0x80 == 0).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame with its header.
    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [.., a, b, c] = payload.len().to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
        [PREFACE, &frames.concat()].concat()
    }

    fn passed(mut bytes: Vec<u8>) -> Vec<u8> {
        PathAuthority::default().pass(&mut bytes);
        bytes
    }

    /// As grpcio 1.85 sends them.
    const PYTHON: &[u8] =
        b"@\x05:path /SpiffeWorkloadAPI/FetchX509SVID@\n:authority\x14tmp%2Fsys%2Fcap.sock\x83\x86@\x02te\x08trailers";
    /// As grpc-java 1.80 sends them.
    const JAVA: &[u8] =
        b"A\x11/tmp/sys/cap.sockD /SpiffeWorkloadAPI/FetchX509SVID\x83\x86@\x02te\x08trailers";

    #[test]
    fn a_path_becomes_an_authority() {
        let python = passed(connection(&[frame(4, 0, b"settings"), frame(HEADERS, 4, PYTHON)]));
        let (path, rest) =
            PYTHON.split_at(PYTHON.len() - b"tmp%2Fsys%2Fcap.sock\x83\x86@\x02te\x08trailers".len());
        let expected = [path, b"tmp-2Fsys-2Fcap.sock", &rest[20..]].concat();
        assert!(python.ends_with(&expected));
        let java = passed(connection(&[frame(HEADERS, 4, JAVA)]));
        assert_eq!(java[PREFACE.len() + FRAME_HEADER..][..19], *b"A\x11-tmp-sys-cap.sock");
        assert!(java.ends_with(&JAVA[19..]));
    }

    #[test]
    fn padding_priority_and_continuations_are_seen_through() {
        let padded = [&[3][..], &[9; PRIORITY_LENGTH], &JAVA[..7], b"%/%"].concat();
        let bytes = connection(&[
            frame(HEADERS, PADDED | PRIORITY, &padded),
            frame(CONTINUATION, 4, &JAVA[7..]),
            frame(0, 0, b"A\x11/tmp/sys/cap.sock"),
        ]);
        let expected = [&[3][..], &[9; PRIORITY_LENGTH], b"A\x11-tmp-", b"%/%"].concat();
        let rest = [b"sys-cap.sock", &JAVA[19..]].concat();
        let expected = connection(&[
            frame(HEADERS, PADDED | PRIORITY, &expected),
            frame(CONTINUATION, 4, &rest),
            frame(0, 0, b"A\x11/tmp/sys/cap.sock"),
        ]);
        assert_eq!(passed(bytes), expected);
    }

    #[test]
    fn everything_else_passes_as_it_came() {
        let others: [&[u8]; 5] = [
            b"@\x0a:authorits\x03a/b",
            b"D\x04/a/b",
            b"A\x83\x61\x62\x63",
            b"\x7f\x10\x03a/b",
            b"@\x7f\xff\xff\xff\xff\xff\x0f/",
        ];
        for block in others {
            let bytes = connection(&[frame(HEADERS, 4, block)]);
            assert_eq!(passed(bytes.clone()), bytes, "{block:?}");
        }
        let http1 = b"GET /a%2Fb HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec();
        assert_eq!(passed(http1.clone()), http1);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            noise in proptest::collection::vec(any::<u8>(), 0..200),
            kinds in proptest::collection::vec((0_u8..10, any::<u8>(), 0_usize..60), 0..6),
            size in 1_usize..9,
        ) {
            let frames = kinds.iter().map(|&(kind, flags, length)| {
                frame(kind, flags, &noise[..length.min(noise.len())])
            });
            let mut bytes = connection(&frames.collect::<Vec<_>>());
            bytes.extend_from_slice(&noise);
            let whole = passed(bytes.clone());
            let mut filter = PathAuthority::default();
            bytes.chunks_mut(size).for_each(|piece| filter.pass(piece));
            prop_assert_eq!(bytes, whole);
        }
    }
}
