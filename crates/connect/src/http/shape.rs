//! What is said of an answer whose rows are not where the settings say: names of its members, and nothing of their values.

use super::client::Response;
use super::oauth::Api;
use super::{at_path, elements, json_body, nothing_at};
use crate::error::{SourceError, quoted};
use crate::members::of_object;

/// How deep lists of rows are looked for below one object, and how many are told.
const DEEPEST: usize = 2;
const MOST_TOLD: usize = 3;
/// Bytes of a page in which its title is looked for.
const SEARCHED: usize = 16 << 10;

/// The body of an answer, checked to be JSON. A page for browsers is told as one; its title is for the log.
pub(super) async fn json_of<'a>(api: &Api, answer: &'a Response) -> Result<&'a str, SourceError> {
    let Some(page) = page(&answer.body) else { return json_body(&answer.body) };
    let status = answer.status.as_u16();
    let detail = api.told(&format!("the title of the page: {}", title(&page).unwrap_or_default())).await;
    let told = format!(
        "The answer (status {status}) is an HTML page, as of a sign-in, and no JSON: see whether metadata.url is the address of the API \
         itself, and whether the credentials are those that it takes."
    );
    Err(SourceError::query(told).with_detail(detail))
}

/// The beginning of a body that is a page for browsers.
fn page(body: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(body.get(..body.len().min(SEARCHED)).unwrap_or_default());
    let page = start.trim_start_matches('\u{feff}').trim_start();
    let begins = |with: &str| page.get(..with.len()).is_some_and(|first| first.eq_ignore_ascii_case(with));
    (begins("<!doctype html") || begins("<html")).then(|| page.to_owned())
}

fn title(page: &str) -> Option<&str> {
    // The same length as the page.
    let small = page.to_ascii_lowercase();
    let (before, rest) = small.split_once("<title")?;
    let (attributes, rest) = rest.split_once('>')?;
    let (text, _) = rest.split_once("</title")?;
    let begin = before.len() + "<title".len() + attributes.len() + 1;
    page.get(begin..begin + text.len()).map(str::trim)
}

/// The rows of an answer: the elements of what stands at the path.
pub(super) fn rows_at<'a>(json: &'a str, path: &str) -> Result<Vec<&'a str>, SourceError> {
    elements(at_path(json, path)?.ok_or_else(|| no_rows(json, path))?)
}

/// The answer has nothing at the path; what there is, as far as the path leads.
fn no_rows(json: &str, path: &str) -> SourceError {
    let (mut here, mut known) = (json, String::new());
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let Ok(Some(deeper)) = at_path(here, name) else { break };
        here = deeper;
        known = below(&known, name);
    }
    let none = nothing_at(path);
    let is_list = here.trim_start().starts_with('[');
    if is_list && known.is_empty() {
        let message = format!("{} It is a list itself: leave metadata.rows_path out.", none.message);
        return SourceError::query(message);
    }
    let there = match is_list {
        true => vec![known],
        false => members(here).into_iter().map(|(name, _)| below(&known, &name)).collect(),
    };
    none.with_names(path, there)
}

/// What is said where the rows are one object that has lists of objects in it: these are mostly the rows.
pub(super) fn deeper(json: &str, path: &str) -> Option<String> {
    let here = at_path(json, path).ok().flatten()?;
    let mut found = Vec::new();
    lists(here, path, DEEPEST, &mut found);
    let paths: Vec<String> = found.iter().take(MOST_TOLD).map(|path| quoted(path)).collect();
    (!paths.is_empty())
        .then(|| format!("the answer is one object: metadata.rows_path could be {}", paths.join(" or ")))
}

/// Paths of the lists of objects below an object.
fn lists(json: &str, at: &str, depth: usize, found: &mut Vec<String>) {
    // No path leads to a name with a dot.
    let named = members(json).into_iter().filter(|(name, _)| !name.is_empty() && !name.contains('.'));
    for (name, value) in named {
        let list = value.trim_start().strip_prefix('[');
        if list.is_some_and(|rest| rest.trim_start().starts_with('{')) {
            found.push(below(at, &name));
        } else if depth > 1 {
            lists(value, &below(at, &name), depth - 1, found);
        }
    }
}

fn members(json: &str) -> Vec<(String, &str)> {
    of_object(json.as_bytes()).unwrap_or_default()
}

/// The path of a member.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_told_what_there_is() {
        let told = |json: &str, path: &str| {
            let error = rows_at(json, path).unwrap_err();
            (error.message, error.names)
        };
        let json = r#"{"data": {"items": [{"id": 1}], "total": 7}, "next": null}"#;
        assert_eq!(rows_at(json, "data.items").unwrap(), [r#"{"id": 1}"#]);
        let (message, names) = told(json, "data.itemz");
        assert_eq!(message, r#"The answer has nothing at the path "data.itemz"."#);
        assert_eq!(names, ["data.items", "data.total"]);
        let (_, mut names) = told(json, "rows");
        names.sort();
        assert_eq!(names, ["data", "next"]);
        assert_eq!(told(json, "data.items.id").1, ["data.items"]);
        let (message, names) = told("[1]", "data");
        assert!(message.ends_with("It is a list itself: leave metadata.rows_path out."), "{message}");
        assert!(names.is_empty());
        assert!(told(r#"{"data": 7}"#, "data.items").1.is_empty());
    }

    #[test]
    fn lists_below_one_object_are_told() {
        let json = r#"{"data": [{"id": 1}], "more": {"rows": [ {} ], "a.b": [{}], "deep": {"er": [{}]}}, "ids": [1]}"#;
        let told = deeper(json, "").unwrap();
        assert!(told.ends_with(r#"metadata.rows_path could be "data" or "more.rows""#), "{told}");
        assert!(deeper(json, "more").unwrap().ends_with(r#"could be "more.rows" or "more.deep.er""#));
        for (json, path) in [(json, "data"), (json, "ids"), (r#"[{"a": [{}]}]"#, ""), (r#"{"a": 1}"#, "")] {
            assert_eq!(deeper(json, path), None, "{json} {path}");
        }
    }

    #[test]
    fn pages_for_browsers_have_a_title() {
        let body = b"\xef\xbb\xbf\n<!DOCTYPE HTML><HTML><Title lang=de>\n Anmelden \xc3\xa4</TITLE>";
        assert_eq!(title(&page(body).unwrap()), Some("Anmelden \u{e4}"));
        assert_eq!(title(&page(b"<html><title>cut").unwrap()), None);
        for body in [&b"{}"[..], b"<?xml version='1.0'?><html/>", b"", b"<htm", b"\xff<html>"] {
            assert_eq!(page(body), None);
        }
    }
}
