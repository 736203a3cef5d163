//! Go's grammar, case by case.

use super::*;
use finial_runtime::config::duration::GoDuration;

const SET: FlagSet = FlagSet {
    name: "test",
    groups: &[
        &[
            switch("b", "on or off"),
            Flag { name: "always", kind: Kind::Switch, help: "on" },
            text("s", "a text"),
            Flag { name: "n", kind: Kind::Int(600), help: "a number" },
            Flag { name: "d", kind: Kind::Duration(0), help: "a duration" },
            Flag { name: "t", kind: Kind::Timeout(5), help: "a timeout" },
        ],
        &[
            list("l", "texts"),
            Flag { name: "c", kind: Kind::CommaList, help: "texts" },
            Flag { name: "w", kind: Kind::ThreeWay, help: "a choice" },
            Flag { name: "format", kind: Kind::Format, help: "as output" },
            OUTPUT,
        ],
    ],
};

fn read(line: &str) -> Result<Values, FlagError> {
    let words: Vec<String> =
        line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace("''", "")).collect();
    parse(&SET, &words)
}

#[track_caller]
fn check_error(line: &str, expected: &str) {
    assert_eq!(read(line).unwrap_err().to_string(), expected);
}

#[test]
fn defaults() {
    let values = read("").unwrap();
    assert!(!values.is_on("b") && !values.is_given("b"));
    assert_eq!((values.text("s"), values.int("n")), ("", 600));
    assert_eq!(values.duration("t"), GoDuration::from_nanos(5_000_000_000));
    assert_eq!((values.list("l"), values.list("c")), (&[][..], &[][..]));
    assert_eq!((values.three_way("w"), values.format()), (None, Format::Pretty));
}

#[test]
fn values_of_all_kinds() {
    let line = "-b --always=no -s x --n=0x1F -d 1h30m -t=250ms -l a -l=b -c x,y -c z -w true -output JSON";
    let values = read(line).unwrap();
    assert!(values.is_on("b") && values.is_on("always") && values.is_given("s"));
    assert_eq!((values.text("s"), values.int("n")), ("x", 31));
    assert_eq!(values.duration("d"), GoDuration::from_nanos(5_400_000_000_000));
    assert_eq!(values.list("l"), ["a", "b"]);
    assert_eq!(values.list("c"), ["z"]);
    assert_eq!((values.three_way("w"), values.format()), (Some(true), Format::Json));
    assert_eq!(read("-w other").unwrap().three_way("w"), None);
    assert_eq!(read("-s= -l=").unwrap().list("l"), [""]);
    assert_eq!(read("-s -b").unwrap().text("s"), "-b");
    assert_eq!(read("-s=a=b").unwrap().text("s"), "a=b");
}

#[test]
fn where_flags_end() {
    let rest = |line: &str| read(line).unwrap().arguments().to_vec();
    assert_eq!(rest("-b true -s x"), ["true", "-s", "x"]);
    assert_eq!(rest("-b -- -s x"), ["-s", "x"]);
    assert_eq!(rest("- -b"), ["-", "-b"]);
    assert_eq!(rest("'' -b"), ["", "-b"]);
    assert!(!read("word -b").unwrap().is_on("b"));
}

#[test]
fn integers() {
    for (text, expected) in [
        ("0", 0),
        ("-5", -5),
        ("+7", 7),
        ("010", 8),
        ("0o17", 15),
        ("0b101", 5),
        ("0X1f", 31),
        ("0x_1f", 31),
        ("0_7", 7),
    ] {
        assert_eq!(read(&format!("-n {text}")).unwrap().int("n"), expected, "{text}");
    }
    for text in ["abc", "1.5", "08", "1_000", "0x", "_1", "0x1__2", "0x1_", "-", "1e3", "++1"] {
        check_error(&format!("-n {text}"), &format!("invalid value \"{text}\" for flag -n: parse error"));
    }
    check_error(
        "-n 99999999999999999999",
        "invalid value \"99999999999999999999\" for flag -n: value out of range",
    );
    assert_eq!(read("-n -9223372036854775808").unwrap().int("n"), i64::MIN);
    check_error(
        "-n 9223372036854775808",
        "invalid value \"9223372036854775808\" for flag -n: value out of range",
    );
}

#[test]
fn errors() {
    check_error("-x", "flag provided but not defined: -x");
    check_error("--x=1", "flag provided but not defined: -x");
    check_error("---s", "bad flag syntax: ---s");
    check_error("-=s", "bad flag syntax: -=s");
    check_error("-s", "flag needs an argument: -s");
    check_error("-b=2", "invalid boolean value \"2\" for -b: parse error");
    check_error("-d abc", "invalid value \"abc\" for flag -d: parse error");
    check_error("-t abc", "invalid value \"abc\" for flag -t: time: invalid duration \"abc\"");
    check_error("-t 5", "invalid value \"5\" for flag -t: time: missing unit in duration \"5\"");
    check_error(
        "-output yaml",
        "invalid value \"yaml\" for flag -output: bad formatter flag: unknown format option: \"yaml\"",
    );
    check_error(
        "-format json -output pretty",
        "invalid value \"pretty\" for flag -output: the output format has already been set to \"json\"",
    );
    check_error(
        "-output JSON -output JSON",
        "invalid value \"JSON\" for flag -output: the output format has already been set to \"json\"",
    );
    assert_eq!(read("-h").unwrap_err(), FlagError::Help);
    assert_eq!(read("--help").unwrap_err(), FlagError::Help);
}

#[test]
fn usage_text() {
    assert_eq!(
        usage(&SET),
        "Usage of test:\n  -always\n    \ton\n  -b\n    \ton or off\n  -c value\n    \ttexts\n  \
         -d duration\n    \ta duration\n  -format value\n    \tas output\n  -l value\n    \ttexts\n  \
         -n int\n    \ta number (default 600)\n  -output value\n    \tDesired output format (pretty, json); \
         default: pretty.\n  -s string\n    \ta text\n  -t value\n    \ta timeout (default 5s)\n  \
         -w value\n    \ta choice\n"
    );
}
