//! What the kernel knows of a process: CPU time and memory.

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// Reads what one process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauge {
    pid: u32,
    clock: ClockId,
}

impl Gauge {
    /// Of a running process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid)?))?;
        Ok(Self { pid, clock })
    }

    /// User and system time of all its threads, also of those that have ended. This is the sum of utime and stime
    /// in `/proc/<pid>/stat`, in nanoseconds instead of clock ticks.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(Duration::from(clock_gettime(self.clock)?))
    }

    /// Resident memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/smaps_rollup", self.pid);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let bytes = |name: &str| -> Result<u64> {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib: u64 =
                found.with_context(|| format!("no {name}"))?.trim().trim_end_matches(" kB").parse()?;
            Ok(kib * 1024)
        };
        Ok(Memory { resident: bytes("Rss")?, anonymous: bytes("Anonymous")? })
    }
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: u64,
    /// Heap and stacks: what is not a page of a file.
    pub(crate) anonymous: u64,
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}
