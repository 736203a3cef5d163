//! Where it was measured, and how much it was disturbed.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::fs;

/// Each of a thousand workloads needs several descriptors here and in the agent, which inherits the limit.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// The machine, and what others did on it meanwhile.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    pub(crate) processor: String,
    /// How many of them.
    pub(crate) processors: usize,
    /// Version of the kernel.
    pub(crate) kernel: String,
    /// Runnable tasks on average over one minute, at the end.
    pub(crate) load_average: f64,
    /// Share of the time in which another virtual machine had our processors.
    pub(crate) steal_percent: f64,
    #[serde(skip)]
    ticks_at_start: Ticks,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Machine {
    /// Begins to watch.
    pub(crate) fn at_start() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            processor: model.map_or_else(String::new, |(_, model)| model.to_owned()),
            processors: processors.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_average: 0.0,
            steal_percent: 0.0,
            ticks_at_start: Ticks::now()?,
        })
    }

    /// Ends watching.
    pub(crate) fn at_end(self) -> Result<Self> {
        let load = fs::read_to_string("/proc/loadavg")?;
        let load_average = load.split(' ').next().context("an empty /proc/loadavg")?.parse()?;
        let (from, to) = (self.ticks_at_start, Ticks::now()?);
        let all = (to.all - from.all).max(1);
        let steal_percent = 100.0 * (to.stolen - from.stolen) as f64 / all as f64;
        Ok(Self { load_average, steal_percent, ..self })
    }
}

impl Ticks {
    fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("an empty /proc/stat")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context(line.to_owned())?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of these.
        Ok(Self { all: ticks.iter().take(8).sum(), stolen: ticks.get(7).copied().unwrap_or(0) })
    }
}
