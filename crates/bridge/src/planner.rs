//! The built-in planner, for Prompt Studio.

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tidegate_planner::chart;
use tidegate_planner::{
    Answer, Column, ColumnId, ForeignKey, Kind, LANGUAGES, MemoryValues, Parameter, Reading, Reason, Refusal,
    Request, Schema, Table,
};
use tidegate_prompts::ports::{NoPlan, Plan, Planner, Question, Relation, RelationColumn, ResultColumn};

/// How sure the planner is: it answers only what it reads in one way.
const SURE: f64 = 0.95;

/// It.
pub(crate) struct BuiltIn;

impl Planner for BuiltIn {
    fn plan(&self, question: &Question<'_>) -> Result<Plan, NoPlan> {
        match answer(question) {
            Answer::Plan(plan) => Ok(Plan {
                sql: plan.sql,
                parameters: plan.parameters.into_iter().map(value).collect(),
                reading: told(&plan.reading),
                confidence: SURE,
            }),
            Answer::Refusal(refusal) => Err(refused(refusal, question.text)),
        }
    }

    fn chart(&self, _: &str, columns: &[ResultColumn], rows: &str) -> Option<Value> {
        let rows: Vec<Map<String, Value>> = serde_json::from_str(rows).ok()?;
        let of = |row: &Map<String, Value>| -> Vec<Value> {
            columns.iter().map(|column| row.get(&column.name).cloned().unwrap_or_default()).collect()
        };
        let rows: Vec<Vec<Value>> = rows.iter().map(of).collect();
        let columns: Vec<chart::ResultColumn> = columns
            .iter()
            .map(|column| chart::ResultColumn {
                name: column.name.clone(),
                kind: kind_of_result(&column.type_name),
            })
            .collect();
        chart::suggest(&columns, &rows)
    }
}

/// What the planner makes of a question. The fact set is asked through this too, so that it measures what is served.
pub(crate) fn answer(question: &Question<'_>) -> Answer {
    let tables = question.relations.iter().map(|relation| table(relation, question.relations));
    let schema = Schema { tables: tables.collect(), glossary: Vec::new() };
    let mut values = MemoryValues::default();
    for known in question.values {
        let column = ColumnId { table: known.relation, column: known.column };
        known.values.iter().for_each(|value| values.add(column, value));
    }
    let now = jiff::Timestamp::from_microsecond(question.now_micros).unwrap_or_default();
    let zone = TimeZone::UTC;
    let today = now.to_zoned(zone.clone()).date();
    tidegate_planner::plan(&Request {
        schema: &schema,
        values: &values,
        today,
        zone: &zone,
        language: question.language,
        question: question.text,
    })
}

/// How a question was read, in words.
fn told(reading: &Reading) -> String {
    let mut text = reading.summary.clone();
    for (name, parts) in [
        ("Tables", &reading.tables),
        ("Columns", &reading.columns),
        ("Joins", &reading.joins),
        ("Filters", &reading.filters),
        ("Assumptions", &reading.assumptions),
    ] {
        if !parts.is_empty() {
            text.push_str(&format!(" {name}: {}.", parts.join("; ")));
        }
    }
    text
}

fn refused(refusal: Refusal, question: &str) -> NoPlan {
    let message = match refusal.reason {
        Reason::TooLong => "The question is too long: at most 80 words are read.".to_owned(),
        Reason::Empty => "The question has no words.".to_owned(),
        Reason::UnknownWords => unknown(&refusal, question),
        Reason::Ambiguous => ambiguous(&refusal),
        Reason::NotSupported => unfit(&refusal),
    };
    let suggestions = refusal.readings.into_iter().chain(refusal.examples).collect();
    NoPlan { message, not_understood: refusal.not_understood, suggestions }
}

/// The words that nothing knows; where these are half of a question or of another script, it may be in a language that is not read, or not
/// for this client.
fn unknown(refusal: &Refusal, question: &str) -> String {
    let unknown = refusal.not_understood.join(", ");
    let count = |text: &str| text.split_whitespace().count();
    let mut text = format!("These words are not understood: {unknown}.");
    if count(&unknown) * 2 >= count(question) || unknown.chars().any(is_of_another_script) {
        let [english, others @ ..] = LANGUAGES;
        text.push_str(&format!(
            " Questions are read in {english} and, where Accept-Language prefers it, in {}.",
            others.join(" or ")
        ));
        if let Some(example) = refusal.readings.iter().chain(&refusal.examples).next() {
            text.push_str(&format!(" For example: \"{example}\"."));
        }
    }
    text
}

/// Whether a letter is none of the Latin script, in which all languages that are read are written.
fn is_of_another_script(letter: char) -> bool {
    letter.is_alphabetic() && !matches!(letter, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// The word that does not go with the others; where no other question is offered, what usually is the reason.
fn unfit(refusal: &Refusal) -> String {
    let known = "The words are known, but not what they ask together";
    let Some(word) = refusal.not_understood.first() else { return format!("{known}.") };
    let mut text = format!("{known}: \"{word}\" does not fit.");
    if refusal.readings.is_empty() {
        text.push_str(
            " Totals, averages and the largest need a column of numbers, months and days one of dates: see the types of the columns.",
        );
    }
    text
}

/// What ambiguous words can mean, and a question that says which.
fn ambiguous(refusal: &Refusal) -> String {
    let mut text = match (refusal.not_understood.first(), refusal.meanings.split_last()) {
        (Some(words), Some((last, before))) if !before.is_empty() => {
            format!("\"{words}\" can mean {} or {last}", before.join(", "))
        }
        _ => "The question can be read in more than one way".to_owned(),
    };
    let says = |reading: &&String| refusal.meanings.iter().any(|meaning| reading.contains(meaning.as_str()));
    if let Some(reading) = refusal.readings.first().filter(says) {
        text.push_str(&format!("; say for example \"{reading}\""));
    }
    text.push('.');
    text
}

fn value(parameter: Parameter) -> Value {
    match parameter {
        Parameter::Integer(number) => Value::from(number),
        // As it was written, where that is a number of JSON.
        Parameter::Decimal(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Parameter::Text(text)
        | Parameter::Date(text)
        | Parameter::Timestamp(text)
        | Parameter::Instant(text) => Value::String(text),
    }
}

fn table(relation: &Relation, all: &[Relation]) -> Table {
    let path = |schema: &str, table: &str| vec![relation.source.clone(), schema.to_owned(), table.to_owned()];
    let foreign_key = |column: &RelationColumn| {
        let (schema, table, other) = column.references.as_ref()?;
        // SQLite need not name the column: it is the other table's key.
        let other =
            if other.is_empty() { key_of(all, &relation.source, schema, table)? } else { other.as_str() };
        Some(ForeignKey {
            columns: vec![column.name.clone()],
            table: path(schema, table),
            references: vec![other.to_owned()],
        })
    };
    Table {
        path: path(&relation.schema, &relation.table),
        comment: relation.comment.clone(),
        columns: relation.columns.iter().map(column).collect(),
        primary_key: relation
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.clone())
            .collect(),
        foreign_keys: relation.columns.iter().filter_map(foreign_key).collect(),
        rows: None,
    }
}

/// The column that is the key of a relation, if it is one.
fn key_of<'r>(all: &'r [Relation], source: &str, schema: &str, table: &str) -> Option<&'r str> {
    let found =
        all.iter().find(|each| each.source == source && each.schema == schema && each.table == table)?;
    let mut keys = found.columns.iter().filter(|column| column.primary_key);
    let key = keys.next()?;
    keys.next().is_none().then_some(key.name.as_str())
}

fn column(column: &RelationColumn) -> Column {
    Column {
        name: column.name.clone(),
        kind: kind(&column.type_name),
        // A key is there, though SQLite does not say so.
        nullable: column.nullable && !column.primary_key,
        untyped: !column.is_typed,
        comment: column.comment.clone(),
    }
}

/// What a column holds, by the name that its source has for its type.
fn kind(type_name: &str) -> Kind {
    // ClickHouse's, which is a moment; MySQL's `datetime` and BigQuery's `DATETIME` are none.
    if type_name.starts_with("DateTime") {
        return Kind::Instant;
    }
    let name = type_name.to_lowercase();
    let base = name.split('(').next().unwrap_or_default().trim();
    let has = |words: &[&str]| words.iter().any(|word| base.contains(word));
    if base.ends_with("[]")
        || has(&["array", "list", "struct", "map", "json", "byte", "blob", "binary", "interval"])
    {
        Kind::Other
    } else if has(&["timestamptz", "with time zone", "timestamp_ltz"]) && !has(&["without"]) {
        Kind::Instant
    } else if has(&["timestamp", "datetime"]) {
        Kind::Timestamp
    } else if has(&["date"]) {
        Kind::Date
    } else if has(&["bool"]) {
        Kind::Boolean
    } else if has(&["decimal", "numeric", "money", "number"]) {
        Kind::Decimal
    } else if has(&["double", "float", "real"]) {
        Kind::Double
    } else if has(&["int", "serial"]) {
        Kind::Integer
    } else if has(&["char", "text", "string", "enum", "utf8", "uuid", "clob"]) {
        Kind::Text
    } else {
        Kind::Other
    }
}

/// What a column of a result holds.
fn kind_of_result(type_name: &str) -> Kind {
    match type_name {
        "integer" => Kind::Integer,
        "number" => Kind::Double,
        "string" => Kind::Text,
        "boolean" => Kind::Boolean,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_sources_are_kinds_of_the_planner() {
        for (name, expected) in [
            ("integer", Kind::Integer),
            ("bigserial", Kind::Integer),
            ("numeric(10,2)", Kind::Decimal),
            ("double precision", Kind::Double),
            ("character varying(20)", Kind::Text),
            ("date", Kind::Date),
            ("timestamp without time zone", Kind::Timestamp),
            ("timestamp with time zone", Kind::Instant),
            ("datetime", Kind::Timestamp),
            ("DateTime64(3)", Kind::Instant),
            ("boolean", Kind::Boolean),
            ("text[]", Kind::Other),
            ("bytea", Kind::Other),
            ("interval", Kind::Other),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }

    #[test]
    fn a_word_that_does_not_fit_is_named() {
        let told = |words: &[&str], readings: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            let (not_understood, readings) = (owned(words), owned(readings));
            let reason = Reason::NotSupported;
            let (meanings, examples) = (Vec::new(), vec!["list sales".to_owned()]);
            refused(Refusal { reason, not_understood, meanings, readings, examples }, "total sales").message
        };
        let known = "The words are known, but not what they ask together";
        assert_eq!(told(&[], &[]), format!("{known}."));
        assert_eq!(told(&["total"], &["list sales"]), format!("{known}: \"total\" does not fit."));
        assert!(told(&["total"], &[]).starts_with(&format!("{known}: \"total\" does not fit. Totals, ")));
    }

    #[test]
    fn a_question_in_another_language_is_told_which_are_read() {
        let told = |question: &str, unknown: &[&str]| {
            let not_understood = unknown.iter().map(|&word| word.to_owned()).collect();
            let (reason, readings) = (Reason::UnknownWords, vec!["sales per month".to_owned()]);
            let (meanings, examples) = (Vec::new(), vec!["list sales".to_owned()]);
            refused(Refusal { reason, not_understood, meanings, readings, examples }, question)
        };
        let read = "Questions are read in English and, where Accept-Language prefers it, in Swahili.";
        let german = told("Wie viele Bestellungen gab es?", &["Wie", "viele", "Bestellungen", "gab", "es"]);
        assert_eq!(
            german.message,
            format!(
                "These words are not understood: Wie, viele, Bestellungen, gab, es. {read} For example: \"sales per month\"."
            )
        );
        assert_eq!(german.suggestions, ["sales per month", "list sales"]);
        for (question, unknown) in [
            ("total ventas", &["ventas"][..]),
            ("liste sales par month", &["liste", "par"]),
            ("total sales 上个月 by region", &["上个月"]),
            ("sales per month по городам and region", &["по", "городам"]),
        ] {
            assert!(told(question, unknown).message.contains(read), "{question}");
        }
        let english = told("sales by planet", &["planet"]);
        assert_eq!(english.message, "These words are not understood: planet.");
        let turkish = told("sales by region of Gökçeada", &["Gökçeada"]);
        assert_eq!(turkish.message, "These words are not understood: Gökçeada.");
    }

    /// What is offered are questions about the relations that the person sees.
    #[test]
    fn whatever_language_a_question_has_examples_are_of_visible_tables() {
        let column = |name: &str, type_name: &str| RelationColumn {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            nullable: false,
            is_typed: true,
            comment: None,
            primary_key: false,
            references: None,
        };
        let relations = [Relation {
            source: "shop".to_owned(),
            schema: "main".to_owned(),
            table: "invoices".to_owned(),
            comment: None,
            columns: vec![column("id", "integer"), column("amount", "numeric"), column("paid_on", "date")],
        }];
        let ask = |text: &str| {
            let question =
                Question { text, language: "en", relations: &relations, values: &[], now_micros: 0 };
            BuiltIn.plan(&question)
        };
        for text in [
            "Wie viele Bestellungen gab es letzten Monat?",
            "¿Cuántos pedidos hubo el mes pasado?",
            "Combien de commandes le mois dernier ?",
            "Сколько заказов было в прошлом месяце?",
            "上个月有多少订单？",
            "كم عدد الطلبات الشهر الماضي؟",
            "maagizo mangapi mwezi uliopita?",
        ] {
            let refused = ask(text).unwrap_err();
            let example = refused.suggestions.first().unwrap();
            assert!(example.contains("invoices"), "{text}: {refused:?}");
            let end = format!("in Swahili. For example: \"{example}\".");
            assert!(refused.message.ends_with(&end), "{text}: {refused:?}");
            assert!(ask(example).is_ok(), "{text}: {refused:?}");
        }
    }

    #[test]
    fn charts_are_made_of_rows_in_the_order_of_columns() {
        let column = |name: &str, type_name: &str| ResultColumn {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
        };
        let columns = [column("region", "string"), column("orders", "integer")];
        let rows = r#"[{"region":"EU","orders":3},{"region":"US","orders":5}]"#;
        assert!(BuiltIn.chart("", &columns, rows).is_some());
        assert!(BuiltIn.chart("", &columns, "[]").is_none());
        assert!(BuiltIn.chart("", &columns, "no rows").is_none());
    }
}
