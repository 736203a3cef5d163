//! The end of a file without reading all of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// What is read first; most lines are far shorter.
const FIRST_LOOK: u64 = 64 << 10;

/// The end of a file of lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last line that has an end, without it.
    pub(super) last_line: Option<Vec<u8>>,
    /// What comes after it.
    pub(super) torn: Vec<u8>,
    /// How long the file is without that.
    pub(super) whole_length: u64,
}

/// Reads backwards, in growing steps, until a whole line is found.
pub(super) fn read(file: &mut File) -> io::Result<Tail> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut look = FIRST_LOOK;
    loop {
        let from = length.saturating_sub(look);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(length - from).read_to_end(&mut bytes)?;
        if let Some(tail) = tail_of(&bytes, from) {
            return Ok(tail);
        }
        look = look.saturating_mul(4);
    }
}

/// The tail in the last bytes of a file, which begin at `from`; nothing if more must be read.
fn tail_of(bytes: &[u8], from: u64) -> Option<Tail> {
    let end_of_last = bytes.iter().rposition(|byte| *byte == b'\n');
    let Some(end) = end_of_last else {
        return (from == 0).then(|| Tail { torn: bytes.to_vec(), ..Tail::default() });
    };
    let begin = match bytes[..end].iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if from == 0 => 0,
        None => return None,
    };
    Some(Tail {
        last_line: Some(bytes[begin..end].to_vec()),
        torn: bytes[end + 1..].to_vec(),
        whole_length: from + end as u64 + 1,
    })
}
