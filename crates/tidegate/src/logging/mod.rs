//! Logs, on standard error.

mod writer;

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, fmt, registry};

use self::writer::LogWriter;
pub(crate) use self::writer::{flush, measure_dropped_lines, write_line};

use crate::config::{Config, LogFormat, read_log_filter};
use crate::failure::Failure;

/// What a server logs by default: without what PostgreSQL notices at each start (a table that is there already), and without what the
/// pool says of connections that idled while PostgreSQL was restarted, which are replaced.
pub(crate) const OF_SERVERS: &str = "info,sqlx::postgres::notice=warn,sqlx_core::pool=error";
/// What commands log by default: what is wrong with the database, and which notices are not mailed, they say themselves.
pub(crate) const OF_COMMANDS: &str =
    "warn,sqlx_core::pool=error,tidegate_database::damage=off,tidegate_kernel::message=off";

/// Starts logging as configured, or else at `default_filter`, which names targets alone.
///
/// # Errors
/// When the filter cannot be read.
pub(crate) fn start(config: &Config, default_filter: &str) -> Result<(), Failure> {
    let configured = config.log.filter.as_deref().map(read_log_filter).transpose();
    let configured = configured.map_err(|error| Failure::configuration(format!("log.filter: {error}")))?;
    let default = default_filter.parse::<Targets>();
    let default = default.map_err(|error| Failure::internal(format!("the log's own filter: {error}")))?;
    let writer = LogWriter::start()
        .map_err(|error| Failure::internal(format!("no thread for writing the log: {error}")))?;
    // The subscriber's own complaints would go to standard error, and panic where that cannot be written.
    let logs = fmt::layer::<Registry>().with_writer(writer).log_internal_errors(false);
    let is_terminal = std::io::stderr().is_terminal();
    let logs = match format(config) {
        // A person reads what commands say, wherever it goes.
        _ if default_filter == OF_COMMANDS && config.log.format.is_none() => {
            logs.without_time().with_target(false).with_ansi(is_terminal).boxed()
        }
        LogFormat::Json => {
            logs.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => logs.with_ansi(is_terminal).boxed(),
    };
    let logs = registry().with(logs);
    match configured {
        // An operator may name spans: whether one is meant is looked up under a lock each time that any is begun, entered, left and closed,
        // which is several times for each request.
        Some(configured) => logs.with(configured).init(),
        None => logs.with(default).init(),
    }
    Ok(())
}

/// The configured format of a server; text on a terminal, JSON otherwise.
pub(crate) fn format(config: &Config) -> LogFormat {
    config.log.format.unwrap_or(if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn by_default_servers_tell_more_than_commands_and_neither_what_others_repeat() {
        let [servers, commands] = [OF_SERVERS, OF_COMMANDS].map(|filter| filter.parse::<Targets>().unwrap());
        for (target, of_servers, of_commands) in [
            ("tidegate_http::wire::telemetry", Level::INFO, Level::WARN),
            ("sqlx::query", Level::INFO, Level::WARN),
            ("sqlx_core::pool::inner", Level::ERROR, Level::ERROR),
        ] {
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG] {
                assert_eq!(servers.would_enable(target, &level), level <= of_servers, "{target} {level}");
                assert_eq!(commands.would_enable(target, &level), level <= of_commands, "{target} {level}");
            }
        }
        assert!(!servers.would_enable("sqlx::postgres::notice", &Level::INFO));
        assert!(servers.would_enable("tidegate_database::damage", &Level::ERROR));
        assert!(servers.would_enable("tidegate_kernel::message", &Level::WARN));
        for told_otherwise in ["tidegate_database::damage", "tidegate_kernel::message"] {
            assert!(!commands.would_enable(told_otherwise, &Level::ERROR));
        }
    }
}
