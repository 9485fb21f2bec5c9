//! `tidegate copy`

use serde_json::json;
use tidegate_database::{CopiedTable, DatabaseUrl, Store, StoreError};

use crate::cli::CopyDatabase;
use crate::config::{Config, Database};
use crate::failure::Failure;
use crate::installation::{ServingLock, refuse_empty_source, refuse_missing_source};
use crate::opening::{MissingStore, migrate, open_copy_target, open_store};
use crate::output::{Answer, progress, table};

pub(super) async fn run(config: &Config, command: CopyDatabase) -> Result<Answer, Failure> {
    let is_named = command.from.is_some();
    let from = command.from.unwrap_or_else(|| config.database_url());
    if from == command.to {
        return Err(Failure::usage("--from and --to are the same database"));
    }
    let of_source = with_database(config, &from);
    if is_named {
        refuse_missing_source(&of_source)?;
    }
    // What a server wrote after the copy has begun would be lost.
    let _unserved = match of_source.database_file().filter(|path| path.exists()) {
        Some(path) => Some(ServingLock::take_or(&path, "stop that process first")?),
        None => None,
    };
    let source = open_store(&of_source, MissingStore::Refuse).await?;
    let copied = match refuse_empty_source(&of_source, &source).await {
        Ok(()) => copy(config, &source, &command.to).await,
        Err(failure) => Err(failure),
    };
    source.close().await;
    copied.map(|tables| answer(&tables, &command.to))
}

/// The configuration with another database.
fn with_database(config: &Config, url: &DatabaseUrl) -> Config {
    Config { database: Some(Database(url.clone())), database_listen: None, ..config.clone() }
}

async fn copy(config: &Config, source: &Store, to: &DatabaseUrl) -> Result<Vec<CopiedTable>, Failure> {
    if source.pending_migrations().await? > 0 {
        return Err(Failure::new(
            "database_schema",
            "the source has the schema of an earlier version: run `tidegate migrate` on it, then copy",
        ));
    }
    let not_copied = |error: StoreError| Failure::from(error).about("nothing was copied");
    let target = open_copy_target(&with_database(config, to)).await?;
    let copied = async {
        // Before the tables: without rows they look like a new installation.
        target.mark_copy().await.map_err(not_copied)?;
        migrate(&target).await?;
        let bar = progress("copying");
        let copied = source
            .copy_to(&target, |table, rows| bar.set_message(format!("copying {table}: {rows} rows")))
            .await;
        bar.finish_and_clear();
        copied.map_err(not_copied)
    };
    let copied = copied.await;
    target.close().await;
    copied
}

fn answer(tables: &[CopiedTable], to: &DatabaseUrl) -> Answer {
    let rows: Vec<[String; 2]> =
        tables.iter().map(|table| [table.name.clone(), table.rows.to_string()]).collect();
    let total: u64 = tables.iter().map(|table| table.rows).sum();
    let text = format!(
        "{}\n\nCopied {total} rows to {to}. Start the servers there with the same master key and the same public_url.",
        table(["TABLE", "ROWS"], &rows)
    );
    let by_table: serde_json::Map<_, _> =
        tables.iter().map(|table| (table.name.clone(), json!(table.rows))).collect();
    Answer::new(text, json!({ "rows": total, "tables": by_table }))
}
