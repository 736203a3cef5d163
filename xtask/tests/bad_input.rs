//! The page of bad input and the tests that it names: every case has one that carries its number.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The last case of the page.
const LAST: u32 = 150;
/// How the column of tests begins where there is nothing to test yet.
const LATER: &str = "later: ";

/// A row of the page.
struct Row {
    cases: BTreeSet<u32>,
    /// File and function of each test.
    tests: Vec<(String, String)>,
    is_later: bool,
}

fn rows(page: &str) -> Vec<Row> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    page.lines()
        .filter(|line| line.starts_with("| "))
        .map(cells)
        .filter_map(|cells| read_row(&cells))
        .collect()
}

fn read_row(cells: &[String]) -> Option<Row> {
    let [_, cases, .., tests, _] = cells else { return None };
    let (first, last) = cases.split_once('–').unwrap_or((cases, cases));
    let cases = first.parse().ok()?..=last.parse().ok()?;
    let quoted: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    let tests_named = quoted.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    Some(Row { cases: cases.collect(), tests: tests_named, is_later: tests.starts_with(LATER) })
}

/// The numbers in `case_7_…`, `cases_1_to_8_…`, `cases_9_and_30_to_32_…`.
fn numbers(name: &str) -> BTreeSet<u32> {
    let words = name.strip_prefix("cases_").or_else(|| name.strip_prefix("case_")).unwrap_or_default();
    let mut numbers = BTreeSet::new();
    let (mut last, mut is_range) = (0, false);
    for word in words.split('_') {
        match (word, word.parse::<u32>()) {
            (_, Ok(number)) => {
                numbers.extend(if is_range { last..=number } else { number..=number });
                (last, is_range) = (number, false);
            }
            ("to", _) => is_range = true,
            ("and", _) => {}
            _ => break,
        }
    }
    numbers
}

#[test]
fn every_case_has_a_test_that_carries_its_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/reference/bad-input.md")).unwrap();
    let mut listed = Vec::new();
    for row in rows(&page) {
        listed.extend(row.cases.iter().copied());
        let mut shown = BTreeSet::new();
        for (file, test) in &row.tests {
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
            let carried = numbers(test);
            assert!(!carried.is_disjoint(&row.cases), "{test} carries none of {:?}", row.cases);
            shown.extend(carried);
        }
        assert!(
            row.is_later || row.cases.is_subset(&shown),
            "of {:?}, only {shown:?} have a test",
            row.cases
        );
    }
    assert_eq!(listed, (1..=LAST).collect::<Vec<_>>(), "each case once, in order");
}

#[test]
fn numbers_in_names() {
    let read = |name: &str| numbers(name).into_iter().collect::<Vec<_>>();
    assert_eq!(read("case_40_our_own_2"), [40]);
    assert_eq!(read("cases_9_and_30_to_32_ids"), [9, 30, 31, 32]);
    assert_eq!(read("cases_30_48_and_51_are"), [30, 48, 51]);
    assert!(read("anything_7").is_empty());
}
