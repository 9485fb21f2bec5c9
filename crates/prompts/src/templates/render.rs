//! A template becomes a question or a query. Values of SQL are bound; names of tables and columns are those that the person sees.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::parameter::{ParameterType, TemplateParameter, is_name};
use crate::PromptRefusal;
use crate::executions::execution::MAX_PARAMETERS;
use crate::executions::start::Asked;
use crate::ports::{Relation, quoted};

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Placeholder(&'t str),
}

/// Whether a template is SQL.
pub(super) fn is_sql(text: &str) -> bool {
    let first: String = text.trim_start().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    ["select", "with"].iter().any(|word| first.eq_ignore_ascii_case(word))
        // `With which customers …` is a question.
        && text.to_ascii_lowercase().contains("select")
}

/// The pieces of a template.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, PromptRefusal> {
    let wrong = |what: String| PromptRefusal::Template(what);
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else {
            return Err(wrong("template_text: {{ has no }}".to_owned()));
        };
        let name = inside.trim();
        if !is_name(name) {
            return Err(wrong("template_text: a placeholder must be a name in {{ }}".to_owned()));
        }
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Placeholder(name));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The names of a template's placeholders, each once, in their order.
#[cfg(test)]
pub(super) fn placeholders(text: &str) -> Result<Vec<String>, PromptRefusal> {
    let mut names: Vec<String> = Vec::new();
    for piece in pieces(text)? {
        if let Piece::Placeholder(name) = piece
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Whether a piece of SQL leaves a quotation open, one being open before it or not.
fn quote_after(text: &str, mut open: Option<char>) -> Option<char> {
    for c in text.chars() {
        match open {
            Some(quote) if c == quote => open = None,
            None if matches!(c, '\'' | '"') => open = Some(c),
            _ => {}
        }
    }
    open
}

/// Refuses a template whose placeholders and parameters do not fit.
pub(super) fn check(text: &str, parameters: &[TemplateParameter]) -> Result<(), PromptRefusal> {
    let wrong = |what: String| Err(PromptRefusal::Template(what));
    for (place, parameter) in parameters.iter().enumerate() {
        if !is_name(&parameter.name) {
            return wrong(format!("parameters: {:?} is no name", parameter.name));
        }
        if parameters.iter().take(place).any(|other| other.name == parameter.name) {
            return wrong(format!("parameters: {} is there twice", parameter.name));
        }
        if let Some(default) = &parameter.default
            && let Some(objection) = parameter.kind.objection(default)
        {
            return wrong(format!("parameters: the default of {} {objection}", parameter.name));
        }
    }
    let kind_of = |name: &str| parameters.iter().find(|one| one.name == name).map(|one| one.kind);
    let (is_sql, mut open) = (is_sql(text), None);
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => open = quote_after(text, open),
            Piece::Placeholder(name) if kind_of(name).is_none() => {
                return wrong(format!("template_text: {{{{{name}}}}} has no parameter"));
            }
            Piece::Placeholder(name) if is_sql && open.is_some() => {
                return wrong(format!(
                    "template_text: {{{{{name}}}}} must not stand in quotes: its value is bound"
                ));
            }
            Piece::Placeholder(_) => {}
        }
    }
    Ok(())
}

/// The value of each parameter: what was sent, else its default, else nothing where it is not required.
pub(super) fn values(
    parameters: &[TemplateParameter],
    sent: &Map<String, Value>,
) -> Result<BTreeMap<String, Value>, PromptRefusal> {
    let mut values = BTreeMap::new();
    for parameter in parameters {
        let name = &parameter.name;
        let value = match sent.get(name).filter(|value| !value.is_null()) {
            Some(value) => value.clone(),
            None => match &parameter.default {
                Some(default) => default.clone(),
                None if parameter.required => {
                    return Err(PromptRefusal::Template(format!("parameters.{name} is required")));
                }
                None => Value::Null,
            },
        };
        if !value.is_null()
            && let Some(objection) = parameter.kind.objection(&value)
        {
            return Err(PromptRefusal::Template(format!("parameters.{name} {objection}")));
        }
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// Whether it needs to be known which tables there are.
pub(super) fn needs_relations(parameters: &[TemplateParameter]) -> bool {
    parameters.iter().any(|one| matches!(one.kind, ParameterType::Table | ParameterType::Column))
}

/// The question or query of a template with those values.
pub(super) fn render(
    text: &str,
    parameters: &[TemplateParameter],
    values: &BTreeMap<String, Value>,
    relations: &[Relation],
) -> Result<Asked, PromptRefusal> {
    let tables = tables(parameters, values, relations)?;
    let mut rendered =
        Rendered { is_sql: is_sql(text), text: String::new(), bound: Vec::new(), places: BTreeMap::new() };
    for piece in pieces(text)? {
        let name = match piece {
            Piece::Text(text) => {
                rendered.text.push_str(text);
                continue;
            }
            Piece::Placeholder(name) => name,
        };
        let kind = parameters.iter().find(|one| one.name == name).map(|one| one.kind);
        match (kind, values.get(name)) {
            (Some(ParameterType::Table), Some(_)) => {
                let table = tables.get(name).map(|table| rendered.table(table)).unwrap_or_default();
                rendered.text.push_str(&table);
            }
            (Some(ParameterType::Column), Some(Value::String(column))) => {
                let column = column_of(name, column, &tables, relations)?;
                rendered.text.push_str(&if rendered.is_sql { quoted(&column) } else { column });
            }
            (_, Some(value)) if rendered.is_sql => rendered.bind(name, value),
            (_, Some(value)) => rendered.text.push_str(&spoken(value)),
            (_, None) => {}
        }
    }
    if rendered.bound.len() > MAX_PARAMETERS {
        return Err(PromptRefusal::Template(format!(
            "parameters: at most {MAX_PARAMETERS} values can be bound"
        )));
    }
    Ok(if rendered.is_sql { Asked::Sql(rendered.text, rendered.bound) } else { Asked::Words(rendered.text) })
}

/// The tables that are values, by parameters.
fn tables<'r>(
    parameters: &[TemplateParameter],
    values: &BTreeMap<String, Value>,
    relations: &'r [Relation],
) -> Result<BTreeMap<String, &'r Relation>, PromptRefusal> {
    let mut tables = BTreeMap::new();
    for parameter in parameters.iter().filter(|one| one.kind == ParameterType::Table) {
        let Some(Value::String(wanted)) = values.get(&parameter.name) else { continue };
        let mut named = relations.iter().filter(|relation| relation.is_named(wanted));
        match (named.next(), named.next()) {
            (Some(one), None) => tables.insert(parameter.name.clone(), one),
            // The same whether there is none, or none that the person may see.
            (None, _) => {
                let text = format!("parameters.{}: there is no such table", parameter.name);
                return Err(PromptRefusal::Template(text));
            }
            (Some(_), Some(_)) => {
                let text = format!("parameters.{}: several tables are called so", parameter.name);
                return Err(PromptRefusal::Template(text));
            }
        };
    }
    Ok(tables)
}

/// A column as its table writes it: of the tables that are values, or of any where none is.
fn column_of(
    name: &str,
    wanted: &str,
    tables: &BTreeMap<String, &Relation>,
    relations: &[Relation],
) -> Result<String, PromptRefusal> {
    let among: Vec<&Relation> =
        if tables.is_empty() { relations.iter().collect() } else { tables.values().copied().collect() };
    let columns = || among.iter().flat_map(|relation| &relation.columns);
    let exact = columns().find(|column| column.name == wanted);
    let found = exact.or_else(|| columns().find(|column| column.name.eq_ignore_ascii_case(wanted)));
    match found {
        Some(column) => Ok(column.name.clone()),
        None => Err(PromptRefusal::Template(format!("parameters.{name}: there is no such column"))),
    }
}

struct Rendered {
    is_sql: bool,
    text: String,
    bound: Vec<Value>,
    /// What was written for a parameter that occurs again.
    places: BTreeMap<String, String>,
}

impl Rendered {
    fn table(&self, relation: &Relation) -> String {
        if self.is_sql { relation.quoted() } else { relation.table.clone() }
    }

    /// Writes the placeholder of a value: several for an array.
    fn bind(&mut self, name: &str, value: &Value) {
        if let Some(written) = self.places.get(name) {
            self.text.push_str(written);
            return;
        }
        let written = match value {
            Value::Array(items) if items.is_empty() => "(null)".to_owned(),
            Value::Array(items) => {
                let places: Vec<String> = items.iter().map(|item| self.place(item)).collect();
                format!("({})", places.join(", "))
            }
            value => self.place(value),
        };
        self.text.push_str(&written);
        self.places.insert(name.to_owned(), written);
    }

    fn place(&mut self, value: &Value) -> String {
        self.bound.push(value.clone());
        format!("${}", self.bound.len())
    }
}

/// A value within a question. What is no plain word is quoted, so that it is read as a value.
fn spoken(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let is_plain =
                |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '@' | '/' | ':');
            if text.chars().all(is_plain) {
                text.clone()
            } else {
                format!("\"{}\"", text.replace('"', "\u{201d}"))
            }
        }
        Value::Array(items) => items.iter().map(spoken).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ports::RelationColumn;

    fn parameter(name: &str, kind: ParameterType) -> TemplateParameter {
        TemplateParameter { name: name.to_owned(), kind, required: true, default: None, description: None }
    }

    fn relation(schema: &str, table: &str) -> Relation {
        let column = RelationColumn {
            name: "Odd \"name".to_owned(),
            type_name: "text".to_owned(),
            nullable: true,
            is_typed: true,
            comment: None,
            primary_key: false,
            references: None,
        };
        Relation {
            source: "shop".to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            comment: None,
            columns: vec![column],
        }
    }

    fn rendered(text: &str, parameters: &[TemplateParameter], sent: Value) -> Result<Asked, PromptRefusal> {
        check(text, parameters)?;
        let values = values(parameters, sent.as_object().unwrap())?;
        render(
            text,
            parameters,
            &values,
            &[relation("main", "orders"), relation("main", "b"), relation("old", "b")],
        )
    }

    fn sql(asked: Asked) -> (String, Vec<Value>) {
        match asked {
            Asked::Sql(text, bound) => (text, bound),
            Asked::Words(text) => panic!("{text}"),
        }
    }

    #[test]
    fn values_of_sql_are_bound_and_never_written() {
        use ParameterType as T;
        let parameters =
            [parameter("name", T::String), parameter("ids", T::Array), parameter("table", T::Table)];
        let text = "select * from {{table}} where name = {{name}} or alias = {{ name }} and id in {{ids}}";
        let hostile = "x' or 1=1; drop table orders; --";
        let sent = json!({ "name": hostile, "ids": [1, "2"], "table": "orders", "extra": 1 });
        let (text, bound) = sql(rendered(text, &parameters, sent).unwrap());
        assert_eq!(
            text,
            "select * from \"shop\".\"main\".\"orders\" where name = $1 or alias = $1 and id in ($2, $3)"
        );
        assert_eq!(bound, [json!(hostile), json!(1), json!("2")]);
    }

    #[test]
    fn tables_and_columns_are_those_that_are_seen() {
        use ParameterType as T;
        let parameters = [parameter("t", T::Table), parameter("c", T::Column)];
        let text = "select {{c}} from {{t}}";
        let (text_of, _) =
            sql(rendered(text, &parameters, json!({ "t": "old.b", "c": "odd \"NAME" })).unwrap());
        assert_eq!(text_of, "select \"Odd \"\"name\" from \"shop\".\"old\".\"b\"");
        for (t, c) in [
            ("orders; drop table x", "Odd \"name"),
            ("b", "Odd \"name"),
            ("orders", "secret"),
            ("orders", "1) from x --"),
        ] {
            let refused = rendered(text, &parameters, json!({ "t": t, "c": c }));
            assert!(matches!(refused, Err(PromptRefusal::Template(_))), "{t} {c}");
        }
    }

    #[test]
    fn questions_get_their_values_as_words() {
        use ParameterType as T;
        let parameters = [parameter("who", T::String), parameter("since", T::Date)];
        let asked = rendered(
            "orders of {{who}} since {{since}}",
            &parameters,
            json!({ "who": "a\" and all, of \"b", "since": "2024-01-01" }),
        );
        let Asked::Words(text) = asked.unwrap() else { panic!("it is no question") };
        assert_eq!(text, "orders of \"a\u{201d} and all, of \u{201d}b\" since 2024-01-01");
        assert!(!is_sql("With which customers do we earn most?"));
        assert!(
            !is_sql("selected orders")
                && is_sql("  SELECT 1")
                && is_sql("with a as (select 1) select * from a")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_when_it_is_made() {
        use ParameterType as T;
        let one = [parameter("a", T::String)];
        for wrong in ["{{b}}", "{{a", "{{}}", "{{a b}}", "select '{{a}}'", "select \"x{{a}}\"", "{{1a}}"] {
            assert!(check(wrong, &one).is_err(), "{wrong}");
        }
        assert_eq!(check("what of {{a}}, 'it''s' {{ a }}?", &one), Ok(()));
        assert_eq!(check("select 'it''s', {{a}}", &one), Ok(()));
        assert!(check("{{a}}", &[parameter("a", T::String), parameter("a", T::Date)]).is_err());
        let default = TemplateParameter { default: Some(json!("x")), ..parameter("a", T::Integer) };
        assert!(check("{{a}}", &[default]).is_err());
    }

    #[test]
    fn defaults_stand_in_and_what_is_required_is_asked_for() {
        use ParameterType as T;
        let optional = TemplateParameter { required: false, ..parameter("a", T::Integer) };
        let defaulted = TemplateParameter { default: Some(json!(5)), ..parameter("a", T::Integer) };
        let of = |parameter: TemplateParameter, sent: Value| {
            rendered("select {{a}}", &[parameter], sent).map(|asked| sql(asked).1)
        };
        assert_eq!(of(optional, json!({})).unwrap(), [Value::Null]);
        assert_eq!(of(defaulted.clone(), json!({ "a": null })).unwrap(), [json!(5)]);
        assert_eq!(of(defaulted, json!({ "a": 7 })).unwrap(), [json!(7)]);
        assert!(of(parameter("a", T::Integer), json!({})).is_err());
        assert!(of(parameter("a", T::Integer), json!({ "a": "7" })).is_err());
    }
}
