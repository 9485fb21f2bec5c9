//! What the figures were measured on.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;

/// Flushes timed.
const FLUSHES: usize = 200;

/// The machine, as far as it explains the figures.
pub(crate) struct Machine {
    pub(crate) cores: usize,
    model: String,
    memory_gib: f64,
    flush: Duration,
}

impl Machine {
    /// Looks at this machine, and times the disk that holds `dir`.
    pub(crate) fn inspect(dir: &Path) -> Result<Self> {
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            model: value(&fs::read_to_string("/proc/cpuinfo")?, "model name").unwrap_or_default(),
            memory_gib: memory.trim_end_matches(" kB").parse::<f64>()? / 1_048_576.0,
            flush: median_flush(&dir.join("flush"))?,
        })
    }

    pub(crate) fn describe(&self) -> String {
        let Self { cores, model, memory_gib, flush } = self;
        format!("{cores} cores, {model}, {memory_gib:.0} GiB, one flush to disk {} us", flush.as_micros())
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.model,
            "memory_gib": self.memory_gib,
            "flush_us": u64::try_from(self.flush.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

/// What bounds a lone durable write: appending a page and flushing it.
fn median_flush(path: &Path) -> Result<Duration> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    fs::remove_file(path)?;
    Ok(median(times))
}

/// The middle one.
pub(crate) fn median<T: PartialOrd + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Processes that ran or wanted to in the last minute, on average: above zero before a run, others share the machine.
pub(crate) fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
