//! Plans questions for `scripts/eval-prompts`. Standard input: a line with a JSON object per question, `{"schema", "values", "today",
//! "question"}`, of which schema and values may be left out when they are as before. Standard output: the answer, a line each.

use serde::Deserialize;
use std::io::{BufRead, Write};
use tidegate_planner::{ColumnId, MemoryValues, Request, Schema, plan};

/// A question, and what it is asked of.
#[derive(Deserialize)]
struct Line {
    schema: Option<Schema>,
    /// Values by table and column.
    #[serde(default)]
    values: Vec<(String, String, Vec<String>)>,
    today: jiff_date::Date,
    question: String,
}

/// Dates as ISO 8601 writes them.
mod jiff_date {
    /// A day.
    pub(crate) struct Date(pub(crate) jiff::civil::Date);

    impl<'de> serde::Deserialize<'de> for Date {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = <String as serde::Deserialize>::deserialize(deserializer)?;
            text.parse().map(Self).map_err(serde::de::Error::custom)
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut schema = Schema::default();
    let mut values = MemoryValues::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line: Line = serde_json::from_str(&line?)?;
        if let Some(new) = line.schema {
            schema = new;
            values = MemoryValues::default();
            for (table, column, list) in &line.values {
                let Some(at) = schema.tables.iter().position(|each| each.name() == table) else { continue };
                let Some(place) = schema.tables.get(at).and_then(|each| each.position(column)) else {
                    continue;
                };
                list.iter().for_each(|value| values.add(ColumnId { table: at, column: place }, value));
            }
        }
        let zone = jiff::tz::TimeZone::UTC;
        let request = Request {
            schema: &schema,
            values: &values,
            today: line.today.0,
            zone: &zone,
            language: "en",
            question: &line.question,
        };
        serde_json::to_writer(&mut out, &plan(&request))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
