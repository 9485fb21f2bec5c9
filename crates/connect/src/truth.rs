//! What a condition may be for rows of which something is known before they are read: so what holds none that is wanted is left out.

use crate::filter::{Filter, Literal, Operator};

/// What a condition may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) is_true: bool,
    pub(crate) is_false: bool,
    pub(crate) is_null: bool,
}

impl Truth {
    pub(crate) const TRUE: Self = Self { is_true: true, is_false: false, is_null: false };
    pub(crate) const FALSE: Self = Self { is_true: false, is_false: true, is_null: false };
    pub(crate) const NULL: Self = Self { is_true: false, is_false: false, is_null: true };
    /// It depends on the rows.
    pub(crate) const MAYBE: Self = Self { is_true: true, is_false: true, is_null: true };

    pub(crate) fn of(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    pub(crate) fn not(self) -> Self {
        Self { is_true: self.is_false, is_false: self.is_true, is_null: self.is_null }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let (one, two) = (self.is_true || self.is_null, other.is_true || other.is_null);
        Self {
            is_true: self.is_true && other.is_true,
            is_false: self.is_false || other.is_false,
            is_null: one && two && (self.is_null || other.is_null),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

/// What is known of the columns of some rows.
pub(crate) trait Known {
    /// What a comparison may be.
    fn compared(&self, column: &str, operator: Operator, value: &Literal) -> Truth;
    /// What IS NULL may be.
    fn null(&self, column: &str) -> Truth;
}

/// Whether there may be a row for which all filters hold.
pub(crate) fn may_hold(filters: &[Filter], known: &impl Known) -> bool {
    filters.iter().fold(Truth::TRUE, |all, filter| all.and(truth(filter, known))).is_true
}

fn truth(filter: &Filter, known: &impl Known) -> Truth {
    match filter {
        Filter::Compare { column, operator, value } => known.compared(column, *operator, value),
        Filter::In { column, values, negated } => {
            let equal = |value| known.compared(column, Operator::Eq, value);
            let any = values.iter().fold(Truth::FALSE, |any, value| any.or(equal(value)));
            if *negated { any.not() } else { any }
        }
        Filter::Between { column, low, high, negated } => {
            let above = known.compared(column, Operator::GtEq, low);
            let both = above.and(known.compared(column, Operator::LtEq, high));
            if *negated { both.not() } else { both }
        }
        Filter::IsNull { column, negated } => {
            let null = known.null(column);
            if *negated { null.not() } else { null }
        }
        Filter::And(all) => all.iter().fold(Truth::TRUE, |all, filter| all.and(truth(filter, known))),
        Filter::Or(any) => any.iter().fold(Truth::FALSE, |any, filter| any.or(truth(filter, known))),
        Filter::Not(inner) => truth(inner, known).not(),
    }
}
