//! `tidegate query`

use clap::{Args, ValueEnum};
use serde_json::Value;
use tidegate_identity::operator::AccountName;

use super::user::account;
use super::{OrganizationName, organization_name_or_id};

/// What comes after the help.
pub(super) const EXAMPLES: &str = "Policies hold as they do for the member's own queries. It counts against no limit of theirs.\n\nExamples:\n  \
        tidegate query --as ada@example.com --source orders \"select * from orders limit 10\"\n  \
        tidegate query --as 42 --source 4 --parameter EU --format csv 'select count(*) from orders where region = $1'\n  \
        tidegate query --as ada@example.com --source orders --source people --json \"select count(*) as n from people\"";

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// One SELECT statement; $1, $2, ... in it are the values of --parameter
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// The member whose rows and columns are shown: an e-mail address, phone number, id or number
    #[arg(long = "as", value_name = "ACCOUNT", value_parser = account)]
    pub(crate) account: AccountName,
    /// A data source that it may read: its name, its name in SQL or its number; can be given more than once
    #[arg(long = "source", value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<String>,
    /// The organization whose data sources are meant, where the member belongs to several: its id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: Option<OrganizationName>,
    /// The number of the workspace in which it runs [default: the member's own]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) workspace: Option<i64>,
    /// The value of $1, the next one that of $2: a number, true, false, null, or text; can be given more than once
    #[arg(long = "parameter", value_name = "VALUE", value_parser = parameter, allow_hyphen_values = true)]
    pub(crate) parameters: Vec<Value>,
    /// How the rows are printed, without --json
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// Columns, for people.
    Table,
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// A value: what is no number, truth value, null or quoted text is text as it stands.
fn parameter(text: &str) -> Result<Value, String> {
    Ok(match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_array() && !value.is_object() => value,
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_a_number_a_word_of_json_or_text() {
        for (text, value) in [
            ("5", json!(5)),
            ("-2.5", json!(-2.5)),
            ("true", json!(true)),
            ("null", Value::Null),
            ("\"5\"", json!("5")),
            ("O'Brien", json!("O'Brien")),
            ("2026-01-07", json!("2026-01-07")),
            ("[1]", json!("[1]")),
            ("", json!("")),
        ] {
            assert_eq!(parameter(text), Ok(value), "{text}");
        }
    }
}
