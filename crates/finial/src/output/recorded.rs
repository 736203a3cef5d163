//! What real SPIRE printed, for the tests of the printers.
//!
//! The JSON of a result is read back into its message, so one record gives both the input and two expectations.

use super::json::{self, Described, read_recorded};
use super::{Fault, Terminal};

const RECORD: &str = include_str!("testdata/results.txt");

/// What a command printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) out: String,
    pub(super) err: String,
}

/// What SPIRE printed for this command line, or for the first recorded one that begins so.
#[track_caller]
pub(super) fn recorded(line: &str) -> Printed {
    let is_whole = |case: &&str| case.lines().next() == Some(line);
    let mut cases = RECORD.split("\n\n$ ");
    let case = cases.clone().find(is_whole).or_else(|| cases.find(|case| case.starts_with(line)));
    let case = case.unwrap_or_else(|| panic!("no record of {line:?}"));
    let mut printed = Printed::default();
    let mut into = None;
    for line in case.lines().skip(1) {
        match line {
            "[stdout]" => into = Some(true),
            "[stderr]" => into = Some(false),
            line if line.starts_with("[stdout] (") || line.starts_with("[stderr] (") => {}
            line if line.starts_with("[rc]") => break,
            line => {
                let text = if into == Some(true) { &mut printed.out } else { &mut printed.err };
                if into.is_some() {
                    match line.strip_suffix("<NO NEWLINE>") {
                        Some(line) => text.push_str(line),
                        None => *text += &format!("{line}\n"),
                    }
                }
            }
        }
    }
    printed
}

/// The message that SPIRE printed as JSON. Ours prints it in the same bytes.
#[track_caller]
pub(super) fn message<M: Described + Default>(line: &str) -> M {
    let text = recorded(line).out;
    let message = read_recorded(&text);
    let mut terminal = Terminal::captured();
    json::print(&mut terminal.out, &message).unwrap();
    assert_eq!(terminal.out.text(), text, "{line}");
    message
}

/// What our printer prints, with the failure as the command line tells it.
pub(super) fn printed(print: impl FnOnce(&mut Terminal) -> Result<(), Fault>) -> Printed {
    let mut terminal = Terminal::captured();
    let failure = print(&mut terminal).err().map(|fault| format!("Error: {fault}\n")).unwrap_or_default();
    Printed { out: terminal.out.text().to_owned(), err: terminal.err.text().to_owned() + &failure }
}
