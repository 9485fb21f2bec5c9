//! Which files can have rows that a filter selects, by the values of their folders.

use std::cmp::Ordering;

use super::layout::{PartOf, Relation};
use crate::files::Kind;
use crate::filter::{Filter, Literal, Operator};
use crate::rows::Cell;
use crate::truth::{self, Known, Truth};

/// Whether a filter is about folders alone, so that reading fewer files is all there is to it.
pub(super) fn is_decided(relation: &Relation, filter: &Filter) -> bool {
    let mut decided = true;
    filter.leaves(&mut |column, _, values| {
        let kind = relation.keys.iter().find(|(key, _)| key == column).map(|(_, kind)| *kind);
        decided &= kind.is_some_and(|kind| values.iter().all(|value| takes(kind, value)));
    });
    decided
}

fn takes(kind: Kind, literal: &Literal) -> bool {
    matches!(
        (kind, literal),
        (Kind::Int, Literal::Int(_))
            | (Kind::Boolean, Literal::Boolean(_))
            | (Kind::Text | Kind::Unknown, Literal::Utf8(_))
            | (Kind::Date, Literal::Date(_))
            | (Kind::Timestamp | Kind::Instant, Literal::Timestamp(_))
    )
}

/// Whether a file may have rows for which all filters hold.
pub(super) fn may_have(relation: &Relation, file: &PartOf, filters: &[Filter]) -> bool {
    truth::may_hold(filters, &Folders { relation, file })
}

/// What the folders of a file tell of its rows.
struct Folders<'a> {
    relation: &'a Relation,
    file: &'a PartOf,
}

impl Known for Folders<'_> {
    fn compared(&self, column: &str, operator: Operator, value: &Literal) -> Truth {
        ordered(compared(self.relation, self.file, column, value), operator)
    }

    fn null(&self, column: &str) -> Truth {
        match self.relation.keys.iter().any(|(key, _)| key == column) {
            true => Truth::of(self.file.value(column).is_none_or(str::is_empty)),
            false => Truth::MAYBE,
        }
    }
}

/// How a folder's value compares with another one: an order, NULL (`Ok(None)`), or that it cannot be told.
type Compared = Result<Option<Ordering>, ()>;

fn ordered(compared: Compared, operator: Operator) -> Truth {
    match compared {
        Err(()) => Truth::MAYBE,
        Ok(None) => Truth::NULL,
        Ok(Some(order)) => Truth::of(match operator {
            Operator::Eq => order.is_eq(),
            Operator::NotEq => order.is_ne(),
            Operator::Lt => order.is_lt(),
            Operator::LtEq => order.is_le(),
            Operator::Gt => order.is_gt(),
            Operator::GtEq => order.is_ge(),
        }),
    }
}

fn compared(relation: &Relation, file: &PartOf, column: &str, literal: &Literal) -> Compared {
    let Some((_, kind)) = relation.keys.iter().find(|(key, _)| key == column) else { return Err(()) };
    if !takes(*kind, literal) {
        return Err(());
    }
    let Some(text) = file.value(column) else { return Ok(None) };
    let order = match (kind.cell(text).map_err(|_| ())?, literal) {
        (Cell::Null, _) => return Ok(None),
        (Cell::Int(one), Literal::Int(other)) => one.cmp(other),
        (Cell::Boolean(one), Literal::Boolean(other)) => one.cmp(other),
        (Cell::Text(one), Literal::Utf8(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Cell::Date(one), Literal::Date(other)) => one.cmp(other),
        (Cell::Timestamp(one), Literal::Timestamp(other)) => one.cmp(other),
        _ => return Err(()),
    };
    Ok(Some(order))
}

#[cfg(test)]
mod tests {
    use tidegate_objects::ListedFile;

    use super::*;

    fn fixture() -> (Relation, PartOf, PartOf) {
        let part = |year: Option<&str>| PartOf {
            file: ListedFile { key: "k".to_owned(), size: 1, etag: String::new() },
            values: vec![("year".to_owned(), year.map(str::to_owned))],
        };
        let relation = Relation {
            name: "r".to_owned(),
            format: crate::SourceType::Csv,
            files: vec![],
            keys: vec![("year".to_owned(), Kind::Int)],
        };
        (relation, part(Some("2024")), part(None))
    }

    fn year(operator: Operator, year: i64) -> Filter {
        Filter::Compare { column: "year".to_owned(), operator, value: Literal::Int(year) }
    }

    fn other() -> Filter {
        Filter::Compare { column: "x".to_owned(), operator: Operator::Eq, value: Literal::Int(1) }
    }

    #[test]
    fn files_are_left_out_only_when_no_row_of_them_is_selected() {
        let (relation, known, null) = fixture();
        let has = |file: &PartOf, filter: Filter| may_have(&relation, file, &[filter]);
        assert!(has(&known, year(Operator::Eq, 2024)));
        assert!(!has(&known, year(Operator::Gt, 2024)));
        assert!(!has(&null, year(Operator::NotEq, 2024)), "a comparison with NULL is unknown");
        assert!(!has(&null, Filter::Not(Box::new(year(Operator::Eq, 2024)))));
        assert!(has(&null, Filter::IsNull { column: "year".to_owned(), negated: false }));
        assert!(has(&known, other()));
        assert!(!has(&known, Filter::And(vec![other(), year(Operator::Lt, 2000)])));
        assert!(has(&known, Filter::Or(vec![other(), year(Operator::Lt, 2000)])));
        assert!(has(&known, Filter::Not(Box::new(Filter::And(vec![other(), year(Operator::Eq, 2024)])))));
        // Whatever a row has, it is not selected by what is unknown of the folder; by its negation it may be.
        assert!(!has(&null, Filter::And(vec![other(), year(Operator::Lt, 2030)])));
        assert!(has(&null, Filter::Or(vec![other(), year(Operator::Lt, 2030)])));
        assert!(has(&null, Filter::Not(Box::new(Filter::And(vec![other(), year(Operator::Lt, 2030)])))));
        let text = Filter::In {
            column: "year".to_owned(),
            values: vec![Literal::Utf8("2023".to_owned())],
            negated: false,
        };
        assert!(has(&known, text.clone()), "another type is the engine's business");
        assert!(!is_decided(&relation, &text));
        assert!(is_decided(&relation, &year(Operator::Eq, 1)));
        assert!(!is_decided(&relation, &Filter::And(vec![other(), year(Operator::Eq, 1)])));
        assert!(!may_have(&relation, &known, &[other(), year(Operator::Eq, 1)]));
    }
}
