//! `tidegate source`

use serde_json::{Value, json};
use tidegate_catalog::schemas::discover::Discovery;
use tidegate_catalog::sources::{DataSource, SourceRefusal};
use tidegate_domain::Timestamp;
use tidegate_kernel::{Call, Refused};

use super::org::find;
use crate::cli::{NamedSource, NumberedSource, Source, SourceDelete, SourceList};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Answer, progress, table};
use crate::wiring::{Opened, Purpose, open};

pub(super) async fn run(config: &Config, command: Source) -> Result<Answer, Failure> {
    if let Source::Delete(SourceDelete { number, yes: false, .. }) = &command {
        return Err(Failure::usage(format!("add --yes to delete data source {number}")));
    }
    let opened = open(config, &Purpose::Existing).await?;
    let answer = match command {
        Source::List(command) => list(&opened, &command).await,
        Source::Show(command) => show(&opened, &command).await,
        Source::Test(command) => test(&opened, &command).await,
        Source::Discover(command) => discover(&opened, &command).await,
        Source::Pause(command) => pause(&opened, &command, true).await,
        Source::Resume(command) => pause(&opened, &command, false).await,
        Source::Restore(command) => restore(&opened, &command).await,
        Source::Delete(command) => delete(&opened, &command).await,
    };
    opened.close().await;
    answer
}

fn call(opened: &Opened) -> Call {
    Call::from_cli(opened.kernel.settings().contracts.of_installation())
}

fn refused(refused: Refused<SourceRefusal>) -> Failure {
    match refused {
        Refused::Rule(error @ SourceRefusal::NotFound) => {
            Failure::advised("not_found", error.to_string(), "`tidegate source list` lists all of them")
        }
        // Who runs this may know what the server does not tell its users.
        Refused::Rule(SourceRefusal::Failed { code, message, detail }) => {
            let detail = if detail.is_empty() { detail } else { format!("\n{detail}") };
            Failure::new("source_failed", format!("{}: {message}{detail}", code.as_str()))
        }
        Refused::Rule(error) => Failure::new("source_refused", error.to_string()),
        Refused::Fault(fault) => fault.into(),
    }
}

async fn list(opened: &Opened, command: &SourceList) -> Result<Answer, Failure> {
    let organization = match command.organization {
        Some(name) => Some(find(opened, name).await?),
        None => None,
    };
    let limit = i64::from(command.limit);
    let listed = opened.catalog.data_sources_for_operator(organization, command.after, limit).await?;
    let json = listed.iter().map(described).collect();
    if listed.is_empty() {
        let text = if organization.is_none() && command.after == 0 {
            "There is no data source yet: members of organizations connect them, with POST /api/v1/data-sources."
        } else {
            "There is no such data source."
        };
        return Ok(Answer::new(text, json));
    }
    let rows: Vec<[String; 6]> = listed
        .iter()
        .map(|found| {
            [
                found.number.to_string(),
                found.name.clone(),
                found.kind.as_str().to_owned(),
                found.organization_number.to_string(),
                found.status.as_str().to_owned(),
                found.last_tested_at.map(Timestamp::iso_seconds).unwrap_or_default(),
            ]
        })
        .collect();
    Ok(Answer::new(table(["NUMBER", "NAME", "TYPE", "ORGANIZATION", "STATUS", "LAST TESTED"], &rows), json))
}

/// The number of the one that is meant.
async fn number_of(opened: &Opened, NamedSource { source }: &NamedSource) -> Result<i64, Failure> {
    if let Ok(number) = source.parse() {
        return Ok(number);
    }
    let named = opened.catalog.data_sources_named(source).await?;
    match named.as_slice() {
        [] => Err(refused(Refused::Rule(SourceRefusal::NotFound))),
        [one] => Ok(one.number),
        several => {
            let several: Vec<String> = several.iter().map(|found| found.number.to_string()).collect();
            let what = format!("several data sources are called {source}: {}", several.join(", "));
            Err(Failure::usage(format!("{what}; give the number of one")))
        }
    }
}

async fn show(opened: &Opened, command: &NamedSource) -> Result<Answer, Failure> {
    let number = number_of(opened, command).await?;
    let found = opened.catalog.data_source_for_operator(number).await.map_err(refused)?;
    Ok(Answer::new(shown(&found), described(&found)))
}

async fn test(opened: &Opened, command: &NamedSource) -> Result<Answer, Failure> {
    let number = number_of(opened, command).await?;
    let bar = progress("testing the data source");
    let tested = opened.catalog.test_data_source_for_operator(number).await;
    bar.finish_and_clear();
    let report = tested.map_err(refused)?;
    Ok(match report.outcome {
        Ok(tested) => {
            let version = tested.version.unwrap_or_default();
            let milliseconds = tested.elapsed.as_millis();
            let json = json!({
                "number": report.number,
                "connection_successful": true,
                "response_time_ms": u64::try_from(milliseconds).unwrap_or(u64::MAX),
                "database_version": version,
                "warnings": report.warnings,
            });
            let text = format!("It answers within {milliseconds} ms: {version}");
            Answer::new(with_warnings(text, &report.warnings), json)
        }
        Err(error) => {
            let code = error.code.as_str();
            let json = json!({
                "number": report.number,
                "connection_successful": false,
                "error_code": code,
                "error_message": error.message,
                "detail": error.detail,
            });
            let text = format!("It does not answer. {code}: {}\n{}", error.message, error.detail);
            Answer { good: false, ..Answer::new(text, json) }
        }
    })
}

/// A text, and what looks well and is not, a line each.
fn with_warnings(text: String, warnings: &[String]) -> String {
    warnings.iter().fold(text, |text, warning| format!("{text}\n{warning}"))
}

async fn discover(opened: &Opened, command: &NamedSource) -> Result<Answer, Failure> {
    let number = number_of(opened, command).await?;
    let bar = progress("discovering the tables of the data source");
    let found = opened.catalog.discover_for_operator(number).await;
    bar.finish_and_clear();
    let found: Discovery = found.map_err(refused)?;
    let (tables, columns) = (found.tables(), found.columns());
    let rows: Vec<[String; 4]> = found
        .schemas
        .iter()
        .map(|schema| {
            [
                schema.name.clone(),
                schema.tables.to_string(),
                schema.views.to_string(),
                schema.columns.to_string(),
            ]
        })
        .collect();
    let text = format!(
        "{}\n\n{tables} tables with {columns} columns in {} ms.",
        table(["SCHEMA", "TABLES", "VIEWS", "COLUMNS"], &rows),
        found.duration_ms
    );
    let schemas = found.schemas.iter().map(|schema| {
        json!({ "name": schema.name, "tables": schema.tables, "views": schema.views, "columns": schema.columns })
    });
    let json = json!({
        "number": found.number,
        "schemas": schemas.collect::<Vec<Value>>(),
        "tables": tables,
        "columns": columns,
        "duration_ms": found.duration_ms,
        "warnings": found.warnings,
    });
    Ok(Answer::new(with_warnings(text, &found.warnings), json))
}

async fn pause(opened: &Opened, command: &NamedSource, paused: bool) -> Result<Answer, Failure> {
    let number = number_of(opened, command).await?;
    let changed = opened.catalog.pause_data_source(&call(opened), number, paused).await;
    let changed = changed.map_err(refused)?;
    let text = if paused {
        format!("{} is paused: it is not checked until it is resumed.", changed.name)
    } else {
        format!("{} is tested as soon as a server runs.", changed.name)
    };
    Ok(Answer::new(text, described(&changed)))
}

async fn restore(opened: &Opened, command: &NumberedSource) -> Result<Answer, Failure> {
    let restored = opened.catalog.restore_data_source(&call(opened), command.number).await;
    let restored = restored.map_err(refused)?;
    Ok(Answer::new(format!("{} is there again, as {}.", restored.name, restored.slug), described(&restored)))
}

async fn delete(opened: &Opened, command: &SourceDelete) -> Result<Answer, Failure> {
    let SourceDelete { number, force, .. } = *command;
    let deleted = opened.catalog.delete_data_source_for_operator(&call(opened), number, force).await;
    let deleted = deleted.map_err(refused)?;
    let text = if force {
        format!("{} is removed, with all that was known of it.", deleted.name)
    } else {
        format!("{} is deleted. Its row is kept for a while.", deleted.name)
    };
    Ok(Answer::new(text, json!({ "number": number, "deleted": true, "force": force })))
}

fn described(source: &DataSource) -> Value {
    let at = |instant: Option<Timestamp>| instant.map(Timestamp::iso_seconds);
    json!({
        "number": source.number,
        "id": source.id,
        "organization": source.organization_number,
        "workspace": source.workspace_number,
        "name": source.name,
        "slug": source.slug,
        "type": source.kind.as_str(),
        "host": source.connection.host,
        "port": source.connection.port,
        "database_name": source.connection.database_name,
        "file_path": source.connection.file_path,
        "connection_string": source.connection_string,
        "ssh_host_key": source.ssh_host_key,
        "status": source.status.as_str(),
        "failure_count": source.failure_count,
        "failure_reason": source.failure_reason,
        "last_tested_at": at(source.last_tested_at),
        "last_success_at": at(source.last_success_at),
        "schema_discovered_at": at(source.schema_discovered_at),
        "created_at": source.created_at.iso_seconds(),
    })
}

fn shown(source: &DataSource) -> String {
    let at = |instant: Option<Timestamp>| instant.map_or_else(|| "never".to_owned(), Timestamp::iso_seconds);
    let connection = &source.connection;
    let place = match (&connection.host, &source.connection_string, &connection.file_path) {
        (Some(host), ..) => {
            let port = connection.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{host}{port}/{}", connection.database_name.as_deref().unwrap_or_default())
        }
        (None, Some(text), _) => text.clone(),
        (None, None, Some(path)) => path.clone(),
        (None, None, None) => String::new(),
    };
    let lines = [
        ("name", source.name.clone()),
        ("in SQL", source.slug.clone()),
        ("type", source.kind.as_str().to_owned()),
        ("place", place),
        ("tunnel", connection.ssh_host.clone().unwrap_or_default()),
        ("tunnel's key", source.ssh_host_key.clone().unwrap_or_default()),
        ("organization", source.organization_number.to_string()),
        ("workspace", source.workspace_number.to_string()),
        ("status", source.status.as_str().to_owned()),
        ("failures", source.failure_count.to_string()),
        ("failure", source.failure_reason.clone().unwrap_or_default()),
        ("last tested", at(source.last_tested_at)),
        ("last answered", at(source.last_success_at)),
        ("discovered", at(source.schema_discovered_at)),
        ("created", source.created_at.iso_seconds()),
    ];
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<17}{value}")).collect::<Vec<_>>().join("\n")
}
