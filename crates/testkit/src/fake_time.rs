//! Processes whose wall clock a test moves, by libfaketime.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where Debian and others keep the library.
const LIBRARIES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// A clock in a file. Only the wall clock is moved: timers go on as they did, as when an operator sets the
/// clock of a machine.
pub struct FakeTime {
    library: &'static str,
    file: PathBuf,
    offset: i64,
}

impl FakeTime {
    /// A clock that is right so far; nothing without libfaketime.
    pub fn new(directory: &Path) -> Option<Result<Self>> {
        let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists())?;
        let mut clock = Self { library, file: directory.join("clock"), offset: 0 };
        Some(clock.set_offset(0).map(|()| clock))
    }

    /// What a process must have in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("LD_PRELOAD", self.library),
            pair("FAKETIME_TIMESTAMP_FILE", &self.file.display().to_string()),
            pair("FAKETIME_NO_CACHE", "1"),
            pair("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            pair("DONT_FAKE_MONOTONIC", "1"),
            pair("FAKETIME_DONT_RESET", "1"),
        ]
    }

    /// Moves the clock to so many seconds from the truth.
    pub fn set_offset(&mut self, seconds: i64) -> Result<()> {
        // Renamed into place, so that nobody reads half a number.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).context("writing the clock")?;
        fs::rename(&new, &self.file).context("moving the clock")?;
        self.offset = seconds;
        Ok(())
    }

    /// Moves the clock to a moment.
    pub fn set(&mut self, moment: SystemTime) -> Result<()> {
        let offset = match moment.duration_since(SystemTime::now()) {
            Ok(ahead) => i64::try_from(ahead.as_secs())?,
            Err(behind) => -i64::try_from(behind.duration().as_secs())?,
        };
        self.set_offset(offset)
    }

    /// What the clock shows.
    pub fn now(&self) -> SystemTime {
        let distance = Duration::from_secs(self.offset.unsigned_abs());
        let now = SystemTime::now();
        if self.offset < 0 { now - distance } else { now + distance }
    }
}
