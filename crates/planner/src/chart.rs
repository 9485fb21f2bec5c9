//! A chart for a result, as a Vega-Lite 5 specification, where one suits it.
//!
//! The data stands in the specification under neutral names (`x`, `y`, `series`), so that no name or value of a source is read as an expression
//! or a path in it; names appear as titles only.

use crate::schema::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The version of the specification.
const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";
/// Most points of a chart.
const MOST_POINTS: usize = 1_000;
/// Most bars of a chart.
const MOST_BARS: usize = 50;
/// Most colours that people tell apart.
const MOST_SERIES: usize = 10;
/// Most slices that people tell apart.
const MOST_SLICES: usize = 8;
/// Fewest values whose distribution says something.
const FEWEST_VALUES: usize = 20;
/// Longest label, in characters.
const LONGEST_LABEL: usize = 120;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultColumn {
    pub name: String,
    pub kind: Kind,
}

/// What the columns of a result are to a chart.
#[derive(Debug, Default)]
struct Roles {
    times: Vec<usize>,
    texts: Vec<usize>,
    numbers: Vec<usize>,
    keys: Vec<usize>,
}

/// The chart that suits a result, or none. Rows are as the answer has them: decimals may be text, times are ISO 8601.
pub fn suggest(columns: &[ResultColumn], rows: &[Vec<Value>]) -> Option<Value> {
    if rows.len() < 2 || rows.len() > MOST_POINTS || columns.len() > 6 {
        return None;
    }
    let roles = roles(columns)?;
    let title = |at: &usize| columns.get(*at).map_or("", |column| column.name.as_str());
    match (roles.times.as_slice(), roles.numbers.as_slice()) {
        ([time], [number]) => line(rows, *time, *number, roles.texts.as_slice(), title),
        ([], [number]) if !roles.texts.is_empty() || !roles.keys.is_empty() => {
            bars(columns, rows, &roles, *number, title)
        }
        ([], [number]) if columns.len() == 1 => distribution(rows, *number, title(number)),
        _ => None,
    }
}

/// Sorts the columns by their role; none if one of them has no place in a chart.
fn roles(columns: &[ResultColumn]) -> Option<Roles> {
    let mut roles = Roles::default();
    for (at, column) in columns.iter().enumerate() {
        let words = crate::words::name(&column.name);
        let key = words.last().is_some_and(|last| last == "id");
        match column.kind {
            kind if kind.is_number() && key => roles.keys.push(at),
            kind if kind.is_number() => roles.numbers.push(at),
            kind if kind.is_time() => roles.times.push(at),
            Kind::Text => roles.texts.push(at),
            _ => return None,
        }
    }
    // A group by a number ("grade") and a computed number: the first is a label.
    if roles.numbers.len() == 2 && roles.texts.is_empty() && roles.times.is_empty() && roles.keys.is_empty() {
        roles.texts.push(roles.numbers.remove(0));
    }
    Some(roles)
}

/// A number, also from text.
fn number(value: Option<&Value>) -> Option<f64> {
    let number = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A label of at most so many characters.
fn label(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(none)".to_owned(),
        Some(Value::String(text)) => text.chars().take(LONGEST_LABEL).collect(),
        Some(other) => other.to_string().chars().take(LONGEST_LABEL).collect(),
    }
}

fn specification(data: Vec<Value>, mark: Value, encoding: Value) -> Value {
    json!({"$schema": SCHEMA, "data": {"values": data}, "mark": mark, "encoding": encoding})
}

/// Time series: one line, or one per series.
fn line<'a>(
    rows: &[Vec<Value>],
    time: usize,
    measure: usize,
    texts: &[usize],
    title: impl Fn(&usize) -> &'a str,
) -> Option<Value> {
    let series = match texts {
        [] => None,
        [one] => Some(*one),
        _ => return None,
    };
    let mut data = Vec::new();
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let (Some(Value::String(when)), Some(value)) = (row.get(time), number(row.get(measure))) else {
            continue;
        };
        let name = series.map(|at| label(row.get(at)));
        // Two values at one time are no series.
        if !seen.insert((when.clone(), name.clone())) {
            return None;
        }
        let mut point = Map::new();
        point.insert("x".to_owned(), json!(when));
        point.insert("y".to_owned(), json!(value));
        if let Some(name) = name {
            names.insert(name.clone());
            point.insert("series".to_owned(), json!(name));
        }
        data.push(Value::Object(point));
    }
    if data.len() < 2 || names.len() > MOST_SERIES {
        return None;
    }
    let mut encoding = json!({
        "x": {"field": "x", "type": "temporal", "title": title(&time)},
        "y": {"field": "y", "type": "quantitative", "title": title(&measure)},
    });
    if let (Some(at), Some(map)) = (series, encoding.as_object_mut()) {
        map.insert("color".to_owned(), json!({"field": "series", "type": "nominal", "title": title(&at)}));
    }
    Some(specification(data, json!({"type": "line", "point": true}), encoding))
}

/// Bars by label, longest first; slices where parts of a whole are few.
fn bars<'a>(
    columns: &[ResultColumn],
    rows: &[Vec<Value>],
    roles: &Roles,
    measure: usize,
    title: impl Fn(&usize) -> &'a str,
) -> Option<Value> {
    let whole_name =
        roles.texts.len() == 2 && roles.texts.iter().all(|at| title(at).to_lowercase().contains("name"));
    let (labels, series) = match roles.texts.as_slice() {
        [] => (roles.keys.get(..1)?.to_vec(), None),
        [one] => (vec![*one], None),
        [first, second] if whole_name => (vec![*first, *second], None),
        [first, second] if roles.keys.is_empty() => (vec![*first], Some(*second)),
        _ => return None,
    };
    let mut data = Vec::new();
    let (mut bars, mut names, mut total, mut least) = (BTreeSet::new(), BTreeSet::new(), 0.0, f64::MAX);
    for row in rows {
        let Some(value) = number(row.get(measure)) else { continue };
        let mut name = labels.iter().map(|at| label(row.get(*at))).collect::<Vec<_>>().join(" ");
        // Two rows of one name are told apart by their key.
        if series.is_none() && bars.contains(&name) {
            name = format!("{name} ({})", label(row.get(*roles.keys.first()?)));
        }
        bars.insert(name.clone());
        (total, least) = (total + value, f64::min(least, value));
        let mut point = Map::new();
        point.insert("x".to_owned(), json!(name));
        point.insert("y".to_owned(), json!(value));
        if let Some(at) = series {
            let name = label(row.get(at));
            names.insert(name.clone());
            point.insert("series".to_owned(), json!(name));
        }
        data.push(Value::Object(point));
    }
    if bars.len() < 2 || bars.len() > MOST_BARS || names.len() > MOST_SERIES {
        return None;
    }
    let name = labels.iter().map(&title).collect::<Vec<_>>().join(", ");
    let share = columns.get(measure).is_some_and(|column| column.name.starts_with("percent"));
    if share && series.is_none() && least >= 0.0 && (total - 100.0).abs() < 0.5 && data.len() <= MOST_SLICES {
        let encoding = json!({
            "theta": {"field": "y", "type": "quantitative", "title": title(&measure)},
            "color": {"field": "x", "type": "nominal", "title": name},
        });
        return Some(specification(data, json!({"type": "arc"}), encoding));
    }
    let mut encoding = json!({
        "y": {"field": "x", "type": "nominal", "sort": "-x", "title": name},
        "x": {"field": "y", "type": "quantitative", "title": title(&measure)},
    });
    if let (Some(at), Some(map)) = (series, encoding.as_object_mut()) {
        map.insert("color".to_owned(), json!({"field": "series", "type": "nominal", "title": title(&at)}));
    }
    Some(specification(data, json!({"type": "bar"}), encoding))
}

/// How often values occur, in ranges.
fn distribution(rows: &[Vec<Value>], measure: usize, title: &str) -> Option<Value> {
    let data: Vec<Value> =
        rows.iter().filter_map(|row| number(row.get(measure))).map(|value| json!({"x": value})).collect();
    let different: BTreeSet<String> = data.iter().map(Value::to_string).collect();
    if data.len() < FEWEST_VALUES || different.len() < 5 {
        return None;
    }
    let encoding = json!({
        "x": {"field": "x", "type": "quantitative", "bin": true, "title": title},
        "y": {"aggregate": "count", "type": "quantitative"},
    });
    Some(specification(data, json!({"type": "bar"}), encoding))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A chart without what differs from result to result: titles, which are texts, and points.
    fn shape(mut chart: Value) -> Value {
        for point in chart["data"]["values"].as_array().unwrap() {
            for (name, value) in point.as_object().unwrap() {
                assert!(["x", "y", "series"].contains(&name.as_str()), "{point}");
                assert!(value.is_string() || value.is_number(), "{point}");
            }
        }
        chart.as_object_mut().unwrap().remove("data");
        for channel in chart["encoding"].as_object_mut().unwrap().values_mut() {
            assert!(channel.as_object_mut().unwrap().remove("title").is_none_or(|title| title.is_string()));
        }
        chart
    }

    /// All charts that there are. A test of the program has each of them and compares it with the JSON schema of Vega-Lite (`charts.rs`): whoever
    /// adds one here adds it there.
    fn shapes() -> Vec<Value> {
        let of = |field: &str, kind: &str| json!({ "field": field, "type": kind });
        let chart =
            |mark: Value, encoding: Value| json!({ "$schema": SCHEMA, "mark": mark, "encoding": encoding });
        let line = json!({ "type": "line", "point": true });
        let bar = json!({ "type": "bar" });
        let bars = json!({ "field": "x", "type": "nominal", "sort": "-x" });
        let color = of("series", "nominal");
        let (time, number) = (of("x", "temporal"), of("y", "quantitative"));
        vec![
            chart(line.clone(), json!({ "x": time, "y": number })),
            chart(line, json!({ "x": time, "y": number, "color": color })),
            chart(bar.clone(), json!({ "y": bars, "x": number })),
            chart(bar.clone(), json!({ "y": bars, "x": number, "color": color })),
            chart(json!({ "type": "arc" }), json!({ "theta": number, "color": of("x", "nominal") })),
            chart(
                bar,
                json!({
                    "x": { "field": "x", "type": "quantitative", "bin": true },
                    "y": { "aggregate": "count", "type": "quantitative" },
                }),
            ),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            (-50_i64..50).prop_map(|number| json!(number)),
            (0_u32..28).prop_map(|day| json!(format!("2025-01-{:02}", day + 1))),
            "[a-c]{1,2}".prop_map(|text| json!(text)),
            "\\PC{0,12}".prop_map(|text| json!(text)),
            any::<f64>().prop_map(|number| json!(number)),
        ]
    }

    proptest! {
        #[test]
        fn every_chart_is_valid_whatever_the_result_is(
            described in prop::collection::vec(
                ("id|name|first_name|percent|\\PC{0,9}", prop::sample::select(vec![Kind::Text, Kind::Integer, Kind::Decimal, Kind::Date, Kind::Timestamp])),
                1..4,
            ),
            rows in prop::collection::vec(prop::collection::vec(any_value(), 0..4), 0..40),
        ) {
            let columns: Vec<ResultColumn> =
                described.into_iter().map(|(name, kind)| ResultColumn { name, kind }).collect();
            if let Some(chart) = suggest(&columns, &rows) {
                let shape = shape(chart);
                prop_assert!(shapes().contains(&shape), "{}", shape);
            }
        }
    }

    fn columns(list: &[(&str, Kind)]) -> Vec<ResultColumn> {
        list.iter().map(|(name, kind)| ResultColumn { name: (*name).to_owned(), kind: *kind }).collect()
    }

    fn at<'a>(chart: &'a Value, path: &str) -> &'a Value {
        chart.pointer(path).unwrap_or(&Value::Null)
    }

    #[test]
    fn a_time_series_is_a_line() {
        let rows: Vec<Vec<Value>> =
            (1..=6).map(|month| vec![json!(format!("2025-{month:02}-01")), json!(month * 10)]).collect();
        let chart = suggest(&columns(&[("month", Kind::Date), ("count", Kind::Integer)]), &rows).unwrap();
        assert_eq!(at(&chart, "/mark/type"), "line");
        assert_eq!(at(&chart, "/encoding/x/type"), "temporal");
        assert_eq!(at(&chart, "/encoding/y/title"), "count");
        assert_eq!(at(&chart, "/data/values/5/y"), &json!(60.0));
        assert_eq!(at(&chart, "/$schema"), SCHEMA);
        assert_eq!(shape(chart), shapes()[0]);
    }

    #[test]
    fn several_series_are_coloured_and_two_values_at_once_are_no_series() {
        let row = |when: &str, who: &str, value: f64| vec![json!(when), json!(who), json!(value)];
        let described = columns(&[("month", Kind::Date), ("status", Kind::Text), ("count", Kind::Integer)]);
        let chart = suggest(&described, &[row("2025-01-01", "a", 1.0), row("2025-01-01", "b", 2.0)]).unwrap();
        assert_eq!(at(&chart, "/encoding/color/title"), "status");
        assert_eq!(shape(chart), shapes()[1]);
        assert_eq!(suggest(&described, &[row("2025-01-01", "a", 1.0), row("2025-01-01", "a", 2.0)]), None);
    }

    #[test]
    fn a_top_list_is_bars_with_names_joined_and_decimals_read() {
        let described = columns(&[
            ("id", Kind::Integer),
            ("first_name", Kind::Text),
            ("last_name", Kind::Text),
            ("sum_total", Kind::Decimal),
        ]);
        let rows = vec![
            vec![json!(1), json!("Mina"), json!("Novak"), json!("10.50")],
            vec![json!(2), json!("Mina"), json!("Novak"), json!("9.00")],
        ];
        let chart = suggest(&described, &rows).unwrap();
        assert_eq!(at(&chart, "/mark/type"), "bar");
        assert_eq!(at(&chart, "/data/values/0"), &json!({"x": "Mina Novak", "y": 10.5}));
        assert_eq!(at(&chart, "/data/values/1/x"), "Mina Novak (2)");
        assert_eq!(at(&chart, "/encoding/y/sort"), "-x");
        assert_eq!(shape(chart), shapes()[2]);
    }

    #[test]
    fn parts_of_a_hundred_are_slices_only_where_they_are_few_and_whole() {
        let described = columns(&[("priority", Kind::Text), ("percent", Kind::Double)]);
        let rows = |last: f64| vec![vec![json!("low"), json!(60)], vec![json!("high"), json!(last)]];
        assert_eq!(shape(suggest(&described, &rows(40.0)).unwrap()), shapes()[4]);
        assert_eq!(at(&suggest(&described, &rows(10.0)).unwrap(), "/mark/type"), "bar");
    }

    #[test]
    fn many_numbers_are_a_distribution() {
        let rows: Vec<Vec<Value>> = (0..40).map(|value| vec![json!(value % 9)]).collect();
        let chart = suggest(&columns(&[("mark", Kind::Double)]), &rows).unwrap();
        assert_eq!(shape(chart), shapes()[5]);
        assert_eq!(suggest(&columns(&[("mark", Kind::Double)]), &rows[..10]), None);
    }

    #[test]
    fn one_number_whole_rows_and_long_lists_have_no_chart() {
        let count = columns(&[("count", Kind::Integer)]);
        assert_eq!(suggest(&count, &[vec![json!(5)]]), None);
        assert_eq!(suggest(&count, &[]), None);
        let wide: Vec<ResultColumn> = (0..8).flat_map(|_| columns(&[("name", Kind::Text)])).collect();
        assert_eq!(suggest(&wide, &[vec![], vec![]]), None);
        let named = columns(&[("name", Kind::Text), ("count", Kind::Integer)]);
        let many: Vec<Vec<Value>> = (0..51).map(|at| vec![json!(format!("n{at}")), json!(at)]).collect();
        assert_eq!(suggest(&named, &many), None);
    }

    #[test]
    fn names_and_values_of_a_source_are_titles_and_data_only() {
        let described = columns(&[("a.b[0]'] || datum", Kind::Text), ("count", Kind::Integer)]);
        let rows = vec![vec![json!("signal: x"), json!(1)], vec![Value::Null, json!(2)]];
        let chart = suggest(&described, &rows).unwrap();
        assert_eq!(at(&chart, "/encoding/y/field"), "x");
        assert_eq!(at(&chart, "/data/values/1/x"), "(none)");
        assert!(!chart.to_string().contains("\"field\":\"a.b"));
    }

    #[test]
    fn rows_that_do_not_fit_their_columns_are_left_out() {
        let described = columns(&[("name", Kind::Text), ("count", Kind::Integer)]);
        assert_eq!(suggest(&described, &[vec![json!("a")], vec![json!("b"), json!("NaN")], vec![]]), None);
    }
}
