//! What a source was asked for, for those who manage policies: columns, conditions without their values, a limit.

use tidegate_connect::{Filter, Order};

/// Conditions, and columns of an order, of one reading that are told at most: a statement may have thousands, and what is told is kept.
const MOST_FILTERS: usize = 20;
/// Bytes of a condition that are told at most.
const MOST_TEXT: usize = 500;

/// What one reading of a relation left to its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The columns that it was asked for: those of the query, and those that conditions read.
    pub columns: Vec<String>,
    /// Conditions that it applies, of policies and of the query. Values are left out: they are in the policy and in the statement.
    pub filters: Vec<String>,
    /// The order whose first rows it sends, as `total desc`; any rows, if there is none.
    pub order: Vec<String>,
    /// The number of rows after which it stops.
    pub limit: Option<usize>,
}

impl Pushed {
    /// Notes that the first rows in an order are all that is sent.
    pub(crate) fn first(&mut self, order: &[Order], rows: usize) {
        let word = |key: &Order| format!("{} {}", key.column, if key.descending { "desc" } else { "asc" });
        self.order = order.iter().take(MOST_FILTERS).map(word).collect();
        self.limit = Some(rows);
    }
}

/// The first of some conditions, without their values.
pub(super) fn shapes(filters: &[Filter]) -> Vec<String> {
    filters.iter().take(MOST_FILTERS).map(shape).collect()
}

/// A condition without its values.
fn shape(filter: &Filter) -> String {
    let mut text = String::new();
    write(filter, &mut text);
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= MOST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn write(filter: &Filter, text: &mut String) {
    // What is cut off need not be written.
    if text.len() > MOST_TEXT {
        return;
    }
    let not = |negated: bool| if negated { "not " } else { "" };
    match filter {
        Filter::Compare { column, operator, .. } => *text += &format!("{column} {} ?", operator.as_sql()),
        Filter::In { column, values, negated } => {
            *text += &format!("{column} {}in ({} values)", not(*negated), values.len());
        }
        Filter::Between { column, negated, .. } => {
            *text += &format!("{column} {}between ? and ?", not(*negated));
        }
        Filter::IsNull { column, negated } => *text += &format!("{column} is {}null", not(*negated)),
        Filter::And(all) => write_joined(all, " and ", text),
        Filter::Or(any) => write_joined(any, " or ", text),
        Filter::Not(inner) => {
            *text += "not (";
            write(inner, text);
            *text += ")";
        }
    }
}

fn write_joined(filters: &[Filter], between: &str, text: &mut String) {
    *text += "(";
    for (place, filter) in filters.iter().enumerate() {
        if place > 0 {
            *text += between;
        }
        write(filter, text);
    }
    *text += ")";
}

#[cfg(test)]
mod tests {
    use tidegate_connect::{Literal, Operator};

    use super::*;

    #[test]
    fn a_condition_is_told_without_its_values() {
        let region = || Filter::Compare {
            column: "region".to_owned(),
            operator: Operator::Eq,
            value: Literal::Int(4_711),
        };
        let ids = Filter::In {
            column: "id".to_owned(),
            values: vec![Literal::Int(4_711), Literal::Int(4_712)],
            negated: true,
        };
        let all = Filter::And(vec![Filter::Not(Box::new(region())), Filter::Or(vec![ids, region()])]);
        assert_eq!(shape(&all), "(not (region = ?) and (id not in (2 values) or region = ?))");
        let long = shape(&Filter::And(vec![region(); 10_000]));
        assert!(long.len() < 600 && long.ends_with('…'), "{long}");
        let many = vec![region(); 5_000];
        assert_eq!(shapes(&many).len(), MOST_FILTERS, "whoever asks does not fill the records");
    }
}
