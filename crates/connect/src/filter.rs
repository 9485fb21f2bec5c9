//! Conditions that may cross to a source: comparisons of a column with a value, which cannot fail and tell nothing about
//! rows they do not select.

/// A condition on columns of one relation. A comparison with NULL is unknown, as in SQL.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Compare { column: String, operator: Operator, value: Literal },
    In { column: String, values: Vec<Literal>, negated: bool },
    Between { column: String, low: Literal, high: Literal, negated: bool },
    IsNull { column: String, negated: bool },
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
}

/// How a column is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Operator {
    /// As SQL writes it.
    pub fn as_sql(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }

    /// The one that holds where this one does not.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::LtEq => Self::Gt,
            Self::Gt => Self::LtEq,
            Self::GtEq => Self::Lt,
        }
    }

    /// Whether it compares for order.
    pub fn is_range(self) -> bool {
        !matches!(self, Self::Eq | Self::NotEq)
    }
}

/// A value of a column's own Arrow type.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Boolean(bool),
    /// Of any signed integer type.
    Int(i64),
    /// Of any unsigned integer type.
    UInt(u64),
    /// `unscaled * 10^-scale`.
    Decimal {
        unscaled: i128,
        scale: i8,
    },
    Utf8(String),
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01, in UTC for columns with a zone.
    Timestamp(i64),
}

impl Filter {
    /// Calls `visit` for each comparison in it, with the column, whether order matters, and its values.
    pub(crate) fn leaves<'a>(&'a self, visit: &mut impl FnMut(&'a str, bool, &[&'a Literal])) {
        match self {
            Self::Compare { column, operator, value } => visit(column, operator.is_range(), &[value]),
            Self::In { column, values, .. } => visit(column, false, &values.iter().collect::<Vec<_>>()),
            Self::Between { column, low, high, .. } => visit(column, true, &[low, high]),
            Self::IsNull { column, .. } => visit(column, false, &[]),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|filter| filter.leaves(visit)),
            Self::Not(filter) => filter.leaves(visit),
        }
    }

    /// Whether it holds for no row in which this column is NULL. Not all such filters are told.
    pub(crate) fn leaves_out_null(&self, name: &str) -> bool {
        match self {
            Self::Compare { column, .. }
            | Self::In { column, negated: false, .. }
            | Self::Between { column, .. }
            | Self::IsNull { column, negated: true } => column == name,
            Self::And(all) => all.iter().any(|filter| filter.leaves_out_null(name)),
            Self::Or(any) => !any.is_empty() && any.iter().all(|filter| filter.leaves_out_null(name)),
            Self::In { .. } | Self::IsNull { .. } | Self::Not(_) => false,
        }
    }
}

/// Writes a filter as SQL. `column` and `value` give the text of either, the column's also by whether it is compared for order;
/// parameters are the caller's business.
pub(crate) fn to_sql(
    filter: &Filter,
    column: &impl Fn(&str, bool) -> String,
    value: &mut impl FnMut(&str, &Literal) -> String,
) -> String {
    match filter {
        Filter::Compare { column: name, operator, value: literal } => {
            format!("({} {} {})", column(name, operator.is_range()), operator.as_sql(), value(name, literal))
        }
        // No server accepts an empty list. NULL is in none, and not in an empty one.
        Filter::In { values, negated, .. } if values.is_empty() => {
            if *negated {
                "(1 = 1)".to_owned()
            } else {
                "(1 = 0)".to_owned()
            }
        }
        Filter::In { column: name, values, negated } => {
            let list: Vec<String> = values.iter().map(|literal| value(name, literal)).collect();
            let not = if *negated { "NOT " } else { "" };
            format!("({} {not}IN ({}))", column(name, false), list.join(", "))
        }
        Filter::Between { column: name, low, high, negated } => {
            let not = if *negated { "NOT " } else { "" };
            let low = value(name, low);
            let high = value(name, high);
            format!("({} {not}BETWEEN {low} AND {high})", column(name, true))
        }
        Filter::IsNull { column: name, negated } => {
            format!("({} IS {}NULL)", column(name, false), if *negated { "NOT " } else { "" })
        }
        Filter::And(all) => joined(all, " AND ", "(1 = 1)", column, value),
        Filter::Or(any) => joined(any, " OR ", "(1 = 0)", column, value),
        Filter::Not(inner) => format!("(NOT {})", to_sql(inner, column, value)),
    }
}

fn joined(
    filters: &[Filter],
    word: &str,
    none: &str,
    column: &impl Fn(&str, bool) -> String,
    value: &mut impl FnMut(&str, &Literal) -> String,
) -> String {
    if filters.is_empty() {
        return none.to_owned();
    }
    let parts: Vec<String> = filters.iter().map(|filter| to_sql(filter, column, value)).collect();
    format!("({})", parts.join(word))
}

/// A decimal as text, exactly.
pub(crate) fn decimal_text(unscaled: i128, scale: i8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    let Ok(scale) = usize::try_from(scale) else {
        return format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_written_with_its_values_apart() {
        let filter = Filter::And(vec![
            Filter::Compare { column: "a".into(), operator: Operator::GtEq, value: Literal::Int(1) },
            Filter::Not(Box::new(Filter::In {
                column: "b\"".into(),
                values: vec![Literal::Utf8("x".into()), Literal::Utf8("'".into())],
                negated: false,
            })),
            Filter::Or(vec![]),
            Filter::Between {
                column: "c".into(),
                low: Literal::Date(1),
                high: Literal::Date(2),
                negated: true,
            },
            Filter::IsNull { column: "d".into(), negated: true },
        ]);
        let mut count = 0;
        let text = to_sql(&filter, &|name, _| format!("<{name}>"), &mut |_, _| {
            count += 1;
            format!("${count}")
        });
        assert_eq!(
            text,
            "((<a> >= $1) AND (NOT (<b\"> IN ($2, $3))) AND (1 = 0) AND (<c> NOT BETWEEN $4 AND $5) AND (<d> IS NOT NULL))"
        );
    }

    #[test]
    fn a_filter_may_leave_no_row_without_a_value() {
        let compare = |column: &str| Filter::Compare {
            column: column.into(),
            operator: Operator::NotEq,
            value: Literal::Int(1),
        };
        let null = |negated| Filter::IsNull { column: "a".into(), negated };
        let among = |negated| Filter::In { column: "a".into(), values: vec![], negated };
        let between = Filter::Between {
            column: "a".into(),
            low: Literal::Int(1),
            high: Literal::Int(2),
            negated: true,
        };
        for (filter, none) in [
            (compare("a"), true),
            (compare("b"), false),
            (null(true), true),
            (null(false), false),
            (among(false), true),
            // NULL is not in an empty list, and is not said to be outside of it either.
            (among(true), false),
            (between, true),
            (Filter::Not(Box::new(null(true))), false),
            (Filter::And(vec![compare("b"), compare("a")]), true),
            (Filter::And(vec![]), false),
            (Filter::Or(vec![compare("b"), compare("a")]), false),
            (Filter::Or(vec![null(true), compare("a")]), true),
            (Filter::Or(vec![]), false),
        ] {
            assert_eq!(filter.leaves_out_null("a"), none, "{filter:?}");
        }
    }

    #[test]
    fn decimals_are_exact_text() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12345, 2), "123.45");
        assert_eq!(decimal_text(7, 0), "7");
        assert_eq!(decimal_text(7, -2), "700");
        assert_eq!(decimal_text(i128::MIN, 0), "-170141183460469231731687303715884105728");
    }
}
