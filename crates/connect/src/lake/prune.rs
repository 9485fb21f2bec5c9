//! Which files can have rows that a filter selects, by the values of their folders.

use std::cmp::Ordering;

use super::layout::{PartOf, Relation};
use crate::files::Kind;
use crate::filter::{Filter, Literal, Operator};
use crate::rows::Cell;

/// What a filter may be for rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Truth {
    is_true: bool,
    is_false: bool,
    is_null: bool,
}

impl Truth {
    const TRUE: Self = Self { is_true: true, is_false: false, is_null: false };
    const FALSE: Self = Self { is_true: false, is_false: true, is_null: false };
    const NULL: Self = Self { is_true: false, is_false: false, is_null: true };
    /// It depends on the rows.
    const MAYBE: Self = Self { is_true: true, is_false: true, is_null: true };

    fn of(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    fn not(self) -> Self {
        Self { is_true: self.is_false, is_false: self.is_true, is_null: self.is_null }
    }

    fn and(self, other: Self) -> Self {
        let (one, two) = (self.is_true || self.is_null, other.is_true || other.is_null);
        Self {
            is_true: self.is_true && other.is_true,
            is_false: self.is_false || other.is_false,
            is_null: one && two && (self.is_null || other.is_null),
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

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
    let all = filters.iter().fold(Truth::TRUE, |all, filter| all.and(truth(relation, file, filter)));
    all.is_true
}

fn truth(relation: &Relation, file: &PartOf, filter: &Filter) -> Truth {
    let compared = |column: &str, literal: &Literal| compared(relation, file, column, literal);
    match filter {
        Filter::Compare { column, operator, value } => ordered(compared(column, value), *operator),
        Filter::In { column, values, negated } => {
            let any = values
                .iter()
                .fold(Truth::FALSE, |any, value| any.or(ordered(compared(column, value), Operator::Eq)));
            if *negated { any.not() } else { any }
        }
        Filter::Between { column, low, high, negated } => {
            let above = ordered(compared(column, low), Operator::GtEq);
            let both = above.and(ordered(compared(column, high), Operator::LtEq));
            if *negated { both.not() } else { both }
        }
        Filter::IsNull { column, negated } => match relation.keys.iter().any(|(key, _)| key == column) {
            true => Truth::of(file.value(column).is_none_or(str::is_empty) != *negated),
            false => Truth::MAYBE,
        },
        Filter::And(all) => {
            all.iter().fold(Truth::TRUE, |all, filter| all.and(truth(relation, file, filter)))
        }
        Filter::Or(any) => any.iter().fold(Truth::FALSE, |any, filter| any.or(truth(relation, file, filter))),
        Filter::Not(inner) => truth(relation, file, inner).not(),
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
