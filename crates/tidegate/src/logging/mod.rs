//! Logs, on standard error.

mod writer;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use self::writer::LogWriter;
pub(crate) use self::writer::{flush, measure_dropped_lines, write_line};

use crate::config::{Config, LogFormat};
use crate::failure::Failure;

/// What a server logs by default: without what PostgreSQL notices at each start (a table that is there already), and without what the
/// pool says of connections that idled while PostgreSQL was restarted, which are replaced.
pub(crate) const OF_SERVERS: &str = "info,sqlx::postgres::notice=warn,sqlx_core::pool=error";
/// What commands log by default: what is wrong with the database they say themselves, with what to do.
pub(crate) const OF_COMMANDS: &str = "warn,sqlx_core::pool=error,tidegate_database::damage=off";

/// Starts logging as configured, or else at `default_filter`.
///
/// # Errors
/// When the filter cannot be read.
pub(crate) fn start(config: &Config, default_filter: &str) -> Result<(), Failure> {
    let filter = config.log.filter.as_deref().unwrap_or(default_filter);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| Failure::configuration(format!("log.filter: {error}")))?;
    let writer = LogWriter::start()
        .map_err(|error| Failure::internal(format!("no thread for writing the log: {error}")))?;
    // The subscriber's own complaints would go to standard error, and panic where that cannot be written.
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    match format(config) {
        LogFormat::Json => {
            logs.json().flatten_event(true).with_current_span(true).with_span_list(false).init()
        }
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}

/// The configured format; text on a terminal, JSON otherwise.
pub(crate) fn format(config: &Config) -> LogFormat {
    config.log.format.unwrap_or(if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    })
}
