//! How fields of Prompt Studio are read.

use tidegate_domain::text::line;
use tidegate_prompts::analytics::of_organization::{Metric, Period};
use tidegate_prompts::executions::execution::{
    ExecutionKind, ExecutionStatus, MAX_QUESTION, MAX_SCHEMAS, MAX_SOURCES,
};
use tidegate_prompts::executions::format::ResultFormat;
use tidegate_prompts::records::history::{HistorySorting, TimePeriod};
use tidegate_prompts::records::list::{Order, Sorting};
use tidegate_prompts::records::prompt::PromptStatus;
use tidegate_prompts::templates::parameter::ParameterType;
use tidegate_prompts::templates::template::TemplateStatus;

use crate::wire::fields::{Check, Field};
use crate::wire::openapi::shapes::Shape;

/// Longest text that is searched for, in characters.
const MAX_SEARCH: usize = 255;
/// Longest name of a schema, in characters.
const MAX_SCHEMA: usize = 512;
/// Most items of a page; who asks for more gets so many.
const MAX_PAGE_SIZE: i64 = 100;

/// All words of an enum.
macro_rules! all {
    ($of:ty) => {
        <$of>::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>()
    };
}

/// Shapes of texts of this part of the contract.
pub(in super::super) fn texts() -> Vec<Shape> {
    let word = |format, words| Shape { format, words, ..Shape::default() };
    vec![
        word("prompt-status", all!(PromptStatus)),
        word("execution-status", all!(ExecutionStatus)),
        word("execution-kind", all!(ExecutionKind)),
        word("prompt-sort-field", all!(Sorting)),
        word("history-sort-field", all!(HistorySorting)),
        word("time-period", all!(TimePeriod)),
        word("analytics-period", all!(Period)),
        word("analytics-metric", all!(Metric)),
        word("result-format", all!(ResultFormat)),
        word("parameter-type", all!(ParameterType)),
        word("template-status", all!(TemplateStatus)),
    ]
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Page {
    pub(in super::super) page: i64,
    pub(in super::super) page_size: i64,
}

/// The page that is asked for.
pub(in super::super) fn page(
    check: &mut Check,
    page: Option<String>,
    page_size: Option<String>,
) -> Option<Page> {
    use super::super::data_sources::list::positive;
    let page = positive(check, "page", page, 1);
    let page_size = positive(check, "page_size", page_size, 20);
    page.zip(page_size).map(|(page, page_size)| Page { page, page_size: page_size.min(MAX_PAGE_SIZE) })
}

/// One word of several.
pub(in super::super) fn one_of<T>(
    check: &mut Check,
    name: &'static str,
    sent: Option<String>,
    read: impl Fn(&str) -> Option<T>,
    words: &[&str],
) -> Option<T> {
    let text = sent?;
    match read(&text) {
        Some(one) => Some(one),
        None => check.violated(name, format!("must be one of {}", words.join(", "))),
    }
}

/// The same for a `words!` type.
macro_rules! word {
    ($check:expr, $name:literal, $sent:expr, $of:ty) => {
        $crate::contracts::rivergen::prompts::fields::one_of(
            $check,
            $name,
            $sent,
            <$of>::from_name,
            &<$of>::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
        )
    };
}
pub(in super::super) use word;

/// A whole number of a query.
pub(super) fn integer(check: &mut Check, name: &'static str, sent: Option<String>) -> Option<i64> {
    let number = sent?.parse::<i64>().map_err(|_| "must be an integer");
    check.parsed(name, number)
}

/// What is searched for; blank is nothing.
pub(super) fn search(check: &mut Check, sent: Option<String>) -> Option<String> {
    let text = sent.filter(|text| !text.trim().is_empty())?;
    if text.chars().count() > MAX_SEARCH || text.contains('\0') {
        return check.violated("search", format!("must be at most {MAX_SEARCH} characters"));
    }
    Some(text.trim().to_owned())
}

/// A direction.
pub(super) fn order(check: &mut Check, sent: Option<&str>) -> Option<Order> {
    match sent {
        None | Some("desc") => Some(Order::Descending),
        Some("asc") => Some(Order::Ascending),
        Some(_) => check.violated("sort_order", "must be asc or desc"),
    }
}

/// A text of several lines that says something.
pub(super) fn long_text(check: &mut Check, name: &'static str, text: String, max: usize) -> Option<String> {
    if text.trim().is_empty() {
        return check.violated(name, "must not be empty");
    }
    if text.contains('\0') {
        return check.violated(name, "must not contain NUL characters");
    }
    if text.chars().count() > max {
        return check.violated(name, format!("must be at most {max} characters"));
    }
    Some(text)
}

/// A question.
pub(super) fn question(check: &mut Check, field: Field<String>) -> Option<String> {
    let text = check.required("prompt_text", field)?;
    long_text(check, "prompt_text", text, MAX_QUESTION)
}

/// Numbers of data sources: one or more, each once.
pub(in super::super) fn sources(
    check: &mut Check,
    name: &'static str,
    field: Field<Vec<i64>>,
) -> Option<Vec<i64>> {
    let sent = check.required(name, field)?;
    let mut numbers: Vec<i64> = Vec::new();
    for number in sent {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        if numbers.len() > MAX_SOURCES {
            return check.violated(name, format!("must have at most {MAX_SOURCES} values"));
        }
    }
    if numbers.is_empty() { check.violated(name, "must have at least 1 value") } else { Some(numbers) }
}

/// Names of schemas, each once. A blank one names none.
pub(in super::super) fn schemas(check: &mut Check, field: Field<Vec<String>>) -> Option<Vec<String>> {
    let name = "selected_schema_names";
    let sent = match check.optional(name, field) {
        Some(sent) => sent,
        None if check.blames(name) => return None,
        None => return Some(Vec::new()),
    };
    let mut names: Vec<String> = Vec::new();
    for text in sent {
        if text.contains('\0') || text.chars().count() > MAX_SCHEMA {
            return check.violated(name, format!("must have names of at most {MAX_SCHEMA} characters"));
        }
        if !text.is_empty() && !names.contains(&text) {
            names.push(text);
        }
        if names.len() > MAX_SCHEMAS {
            return check.violated(name, format!("must have at most {MAX_SCHEMAS} values"));
        }
    }
    Some(names)
}

/// A single line, or nothing for a blank one.
pub(super) fn optional_line(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    max: usize,
) -> Option<String> {
    let text = check.optional(name, field).filter(|text| !text.trim().is_empty())?;
    check.parsed(name, line(&text, max))
}
