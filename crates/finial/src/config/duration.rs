//! Durations for people.

use finial_runtime::config::GoDuration;
use std::time::Duration;

/// As Go prints it: `1h0m0s`.
pub(super) fn shown(duration: Duration) -> String {
    GoDuration::from(duration).to_string()
}

/// In whole seconds and without trailing zero units: `1h`, `4m`, `1h30m`.
pub(super) fn short(duration: Duration) -> String {
    let mut text = shown(Duration::from_secs(duration.as_secs()));
    for (ending, kept) in [("m0s", 1), ("h0m", 1)] {
        if text.ends_with(ending) {
            text.truncate(text.len() - ending.len() + kept);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_zeros_are_left_out() {
        for (seconds, want) in
            [(0, "0s"), (30, "30s"), (240, "4m"), (3600, "1h"), (5400, "1h30m"), (3601, "1h0m1s")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), want);
        }
    }
}
