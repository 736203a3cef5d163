//! Moments in fields, as Go prints them.

use jiff::Timestamp;
use std::time::SystemTime;

/// As Go prints a moment, for example `2026-11-23 20:25:08.474380877 +0000 UTC`.
#[must_use]
pub fn go_time(moment: SystemTime) -> String {
    shown(moment, "%Y-%m-%d %H:%M:%S%.f +0000 UTC")
}

/// To the second, for example `2026-11-23T20:25:08Z`.
#[must_use]
pub fn rfc3339(moment: SystemTime) -> String {
    shown(moment, "%Y-%m-%dT%H:%M:%SZ")
}

fn shown(moment: SystemTime, format: &str) -> String {
    match Timestamp::try_from(moment) {
        Ok(moment) => moment.strftime(format).to_string(),
        Err(_) => "out of range".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_as_go_prints_them() {
        let moment = |nanos| SystemTime::UNIX_EPOCH + Duration::new(1_795_465_508, nanos);
        assert_eq!(go_time(moment(474_380_877)), "2026-11-23 20:25:08.474380877 +0000 UTC");
        assert_eq!(go_time(moment(470_000_000)), "2026-11-23 20:25:08.47 +0000 UTC");
        assert_eq!(go_time(moment(0)), "2026-11-23 20:25:08 +0000 UTC");
        assert_eq!(rfc3339(moment(470_000_000)), "2026-11-23T20:25:08Z");
    }
}
