//! `tidegate query`

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tidegate_catalog::sources::DataSource;
use tidegate_kernel::{Call, Member, Refused};
use tidegate_prompts::PromptRefusal;
use tidegate_prompts::executions::format::ResultFormat;
use tidegate_prompts::executions::operator::{OperatorAnswer, OperatorQuery};
use tidegate_prompts::executions::result::{Download, Interrupted};
use tidegate_prompts::ports::{Remarks, ResultColumn};

use super::org::find;
use super::user::{operator, refusal};
use crate::cli::{Query, QueryFormat};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Answer, columns, print_bytes, print_line, tell_afterwards};
use crate::wiring::{Opened, Purpose, open};

/// Digits after the point of a column whose decimals have any scale: as many as there may be.
const ANY_SCALE: usize = 38;

/// A row whose values are as they were written: a decimal read as a floating-point number loses digits.
type Row = BTreeMap<String, Box<RawValue>>;

pub(super) async fn run(config: &Config, command: Query, as_json: bool) -> Result<Option<Answer>, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = query(&opened, command, as_json).await;
    opened.prompts.operator_queries_recorded().await;
    opened.close().await;
    answer
}

async fn query(opened: &Opened, command: Query, as_json: bool) -> Result<Option<Answer>, Failure> {
    let (member, sources) = sources(opened, &command).await?;
    let Query { sql, workspace, parameters, format, .. } = command;
    let written = match format {
        QueryFormat::Csv if !as_json => ResultFormat::Csv,
        QueryFormat::Jsonl if !as_json => ResultFormat::JsonLines,
        _ => ResultFormat::Json,
    };
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    let query = OperatorQuery { member, workspace, sources, sql, parameters };
    let answer = opened.prompts.query_for_operator(&call, query, written).await;
    let OperatorAnswer { columns, rows, remarks } = answer.map_err(refused)?;
    if written != ResultFormat::Json {
        print(rows).await?;
        told(opened, &remarks, false).await;
        return Ok(None);
    }
    let bytes = collected(rows).await?;
    if as_json {
        let rows: Vec<Map<String, Value>> = read(&bytes)?;
        let remarks = told(opened, &remarks, rows.is_empty()).await;
        return Ok(Some(Answer::new(
            "",
            json!({ "columns": columns, "row_count": rows.len(), "rows": rows, "policies": remarks }),
        )));
    }
    let rows: Vec<Row> = read(&bytes)?;
    told(opened, &remarks, rows.is_empty()).await;
    print_line(&shown(&columns, &rows));
    Ok(None)
}

/// Tells, after the answer, which policies changed what the query read, once its rows were taken or dropped.
async fn told(opened: &Opened, remarks: &Remarks, is_empty: bool) -> Vec<String> {
    opened.prompts.operator_queries_recorded().await;
    let remarks = remarks.all();
    if is_empty && !remarks.is_empty() {
        tell_afterwards("No row, and policies change what this member sees:");
    }
    remarks.iter().for_each(|remark| tell_afterwards(remark));
    remarks
}

/// The member who is meant, and the numbers of the data sources.
async fn sources(opened: &Opened, command: &Query) -> Result<(Member, Vec<i64>), Failure> {
    let account = opened.identity.show_account(&operator(opened), &command.account).await.map_err(refusal)?;
    let organization = match command.organization {
        Some(name) => Some(find(opened, name).await?),
        None => None,
    };
    let mut found = Vec::new();
    for of in &account.organizations {
        if organization.is_some_and(|organization| organization != of.id) {
            continue;
        }
        let member = Member {
            account: account.summary.id,
            number: account.summary.number,
            organization: of.id,
            role: of.role,
        };
        let seen = opened.catalog.data_sources_of_member(member).await?;
        if let Some(numbers) = named(&seen, &command.sources)? {
            found.push((member, numbers));
        }
    }
    let several = found.len() > 1;
    match found.pop() {
        Some(_) if several => Err(Failure::usage(
            "data sources of several organizations of the member have these names: add --organization",
        )),
        Some(found) => Ok(found),
        None => Err(Failure::advised(
            "not_found",
            format!("the member sees no data source {}", command.sources.join(", ")),
            "`tidegate source list` lists all of them",
        )),
    }
}

/// The numbers of those that are meant; none where one of the names is unknown.
fn named(seen: &[DataSource], names: &[String]) -> Result<Option<Vec<i64>>, Failure> {
    let mut numbers = Vec::new();
    for name in names {
        let is_meant = |source: &&DataSource| {
            name.parse::<i64>().ok() == Some(source.number)
                || source.slug == *name
                || source.name.eq_ignore_ascii_case(name)
        };
        let meant: Vec<i64> = seen.iter().filter(is_meant).map(|source| source.number).collect();
        match meant.as_slice() {
            [] => return Ok(None),
            [number] => numbers.push(*number),
            several => {
                let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                let what = format!("several data sources are called {name}: {}", several.join(", "));
                return Err(Failure::usage(format!("{what}; give the number of one")));
            }
        }
    }
    Ok(Some(numbers))
}

fn refused(refused: Refused<PromptRefusal>) -> Failure {
    match refused {
        Refused::Rule(PromptRefusal::Query { code, message }) => Failure::new(code.as_str(), message),
        Refused::Rule(error @ PromptRefusal::WorkspaceNotFound) => {
            Failure::new("not_found", error.to_string())
        }
        Refused::Rule(error) => Failure::new("query_refused", error.to_string()),
        Refused::Fault(fault) => fault.into(),
    }
}

fn interrupted(interrupted: Interrupted) -> Failure {
    match interrupted.failure {
        Some(failure) => Failure::new(failure.code.as_str(), failure.message),
        None => Failure::internal("the rows of the result cannot be written"),
    }
}

/// Prints rows as they come. Who does not want the rest ends the query.
async fn print(mut rows: Download) -> Result<(), Failure> {
    while let Some(bytes) = rows.next().await.map_err(interrupted)? {
        if !print_bytes(&bytes) {
            break;
        }
    }
    Ok(())
}

/// All rows, as they are written.
async fn collected(mut rows: Download) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = rows.next().await.map_err(interrupted)? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn read<R: DeserializeOwned>(rows: &[u8]) -> Result<Vec<R>, Failure> {
    serde_json::from_slice(rows)
        .map_err(|error| Failure::internal(format!("the rows of the result cannot be read: {error}")))
}

/// Rows for people.
fn shown(of: &[ResultColumn], rows: &[Row]) -> String {
    let heads: Vec<String> = of.iter().map(|column| column.name.clone()).collect();
    let cell = |row: &Row, name: &String| row.get(name).map_or_else(String::new, |value| text_of(value));
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| heads.iter().map(|name| cell(row, name)).collect()).collect();
    let count = match rows.len() {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    };
    format!("{}\n\n{count}", columns(&heads, cells.iter().map(Vec::as_slice)))
}

/// A value for people. Numbers have the digits of their type: `10.00` of a `numeric(10,2)`.
fn text_of(value: &RawValue) -> String {
    let written = value.get();
    match serde_json::from_str::<Value>(written) {
        Ok(Value::Null) => String::new(),
        Ok(Value::String(text)) => text,
        Ok(Value::Number(_)) => without_filling(written).to_owned(),
        _ => written.to_owned(),
    }
}

/// A number without the zeros that only its column's type has.
fn without_filling(number: &str) -> &str {
    match number.split_once('.') {
        Some((_, fraction)) if fraction.len() == ANY_SCALE => {
            number.trim_end_matches('0').trim_end_matches('.')
        }
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_with_the_digits_that_it_has() {
        let filled = |number: &str, zeros: usize| format!("{number}{}", "0".repeat(zeros));
        for (written, expected) in [
            ("10.00".to_owned(), "10.00"),
            ("12345678901234567890123.10".to_owned(), "12345678901234567890123.10"),
            (filled("10.", 38), "10"),
            (filled("-1.5", 37), "-1.5"),
            ("0.5".to_owned(), "0.5"),
            ("null".to_owned(), ""),
            ("\"1.50\"".to_owned(), "1.50"),
            ("[1.50,null]".to_owned(), "[1.50,null]"),
        ] {
            let value = RawValue::from_string(written).unwrap();
            assert_eq!(text_of(&value), expected, "{value}");
        }
    }
}
