//! A table of a PostgreSQL server as CSV, through the driver of data sources.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{ConnectionString, NetworkPolicy, Relation, Scan, Settings, SourceType, open};

use crate::Result;
use crate::server::memory_of;

/// Rows after which memory is looked at for the first time.
const EARLY: u64 = 100_000;

/// Writes the file, and prints how many rows it has, how long that took, and the most memory there was: early, and at the end.
pub(crate) fn stream(address: &str, table: &str, file: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut settings = Settings::new(SourceType::Postgresql);
        settings.connection_string = Some(ConnectionString::new(address));
        settings.query_timeout = Duration::from_secs(300);
        let network = NetworkPolicy { allow_private: true, ..NetworkPolicy::default() };
        let source = open(settings, &network).await?;
        let mut csv = arrow_csv::Writer::new(BufWriter::with_capacity(1 << 20, File::create(file)?));
        let begun = Instant::now();
        let mut batches = source.scan(Scan::all(Relation::new("public", table))).await?;
        let (mut rows, mut early) = (0, None);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            csv.write(&batch)?;
            rows += batch.num_rows() as u64;
            if early.is_none() && rows >= EARLY {
                early = Some(most_memory()?);
            }
        }
        csv.into_inner().flush()?;
        let seconds = begun.elapsed().as_secs_f64();
        let early = early.ok_or_else(|| format!("the table has fewer than {EARLY} rows"))?;
        println!(
            "{}",
            json!({ "rows": rows, "seconds": seconds, "early_mb": early, "most_mb": most_memory()? })
        );
        Ok(())
    })
}

fn most_memory() -> Result<f64> {
    Ok(memory_of(std::process::id())?.1)
}
