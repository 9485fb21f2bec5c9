//! Conditions for servers whose comparisons are not the engine's: what a server is told holds for every row for which the filter does,
//! and perhaps for more. The engine applies the filter itself.
//!
//! Nothing that is wider stays so under NOT. So NOT is brought down to the comparisons first, by the rules that hold with NULL, too:
//! the rows for which `NOT (a AND b)` is true are those for which `NOT a` or `NOT b` is.

use crate::filter::{Filter, Literal, Operator};

/// A condition on one column. None of them is negated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaf<'f> {
    Compare(Operator, &'f Literal),
    In(&'f [Literal]),
    /// Both ends included.
    Within(&'f Literal, &'f Literal),
    /// Neither end included.
    Outside(&'f Literal, &'f Literal),
    Null,
    NotNull,
}

/// The language of a server.
pub(crate) trait Language {
    type Said;

    /// What holds wherever the condition is true; none where nothing is known to.
    fn leaf(&self, column: &str, leaf: Leaf<'_>) -> Option<Self::Said>;

    /// All of at least one.
    fn all(&self, parts: Vec<Self::Said>) -> Self::Said;

    /// Any of at least one.
    fn any(&self, parts: Vec<Self::Said>) -> Self::Said;
}

/// What holds wherever a filter is true; none where nothing is known to.
pub(crate) fn wider<L: Language>(language: &L, filter: &Filter) -> Option<L::Said> {
    said(language, filter, false)
}

fn said<L: Language>(language: &L, filter: &Filter, negated: bool) -> Option<L::Said> {
    match filter {
        Filter::Not(inner) => said(language, inner, !negated),
        Filter::And(parts) if !negated => all(language, parts, negated),
        Filter::Or(parts) if negated => all(language, parts, negated),
        Filter::And(parts) | Filter::Or(parts) => any(language, parts, negated),
        Filter::Compare { column, operator, value } => {
            let operator = if negated { operator.opposite() } else { *operator };
            language.leaf(column, Leaf::Compare(operator, value))
        }
        // All but a few: a server that leaves those out spares little.
        Filter::In { negated: not, .. } if *not != negated => None,
        Filter::In { column, values, .. } => language.leaf(column, Leaf::In(values)),
        Filter::Between { column, low, high, negated: not } => {
            let leaf = if *not == negated { Leaf::Within(low, high) } else { Leaf::Outside(low, high) };
            language.leaf(column, leaf)
        }
        Filter::IsNull { column, negated: not } => {
            language.leaf(column, if *not == negated { Leaf::Null } else { Leaf::NotNull })
        }
    }
}

/// Without those of which nothing can be said more rows are left.
fn all<L: Language>(language: &L, parts: &[Filter], negated: bool) -> Option<L::Said> {
    let parts: Vec<L::Said> = parts.iter().filter_map(|part| said(language, part, negated)).collect();
    if parts.is_empty() { None } else { Some(language.all(parts)) }
}

/// Without one of them rows would be missing.
fn any<L: Language>(language: &L, parts: &[Filter], negated: bool) -> Option<L::Said> {
    let parts: Vec<L::Said> =
        parts.iter().map(|part| said(language, part, negated)).collect::<Option<_>>()?;
    if parts.is_empty() { None } else { Some(language.any(parts)) }
}

/// The parts of which all must hold.
pub(crate) fn conjuncts(filters: &[Filter]) -> Vec<&Filter> {
    let mut found = Vec::new();
    for filter in filters {
        match filter {
            Filter::And(parts) => found.extend(conjuncts(parts)),
            other => found.push(other),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says nothing of the column `dark`.
    struct Words;

    impl Language for Words {
        type Said = String;

        fn leaf(&self, column: &str, leaf: Leaf<'_>) -> Option<String> {
            let word = match leaf {
                Leaf::Compare(operator, _) => operator.as_sql(),
                Leaf::In(_) => "in",
                Leaf::Within(..) => "within",
                Leaf::Outside(..) => "outside",
                Leaf::Null => "null",
                Leaf::NotNull => "not null",
            };
            (column != "dark").then(|| format!("{column} {word}"))
        }

        fn all(&self, parts: Vec<String>) -> String {
            format!("({})", parts.join(" and "))
        }

        fn any(&self, parts: Vec<String>) -> String {
            format!("({})", parts.join(" or "))
        }
    }

    fn compare(column: &str, operator: Operator) -> Filter {
        Filter::Compare { column: column.into(), operator, value: Literal::Int(1) }
    }

    #[test]
    fn what_cannot_be_said_makes_a_condition_wider_and_never_narrower() {
        let [a, b, dark] = ["a", "b", "dark"].map(|column| compare(column, Operator::Lt));
        let not = |filter: Filter| Filter::Not(Box::new(filter));
        let within = |negated| Filter::Between {
            column: "c".into(),
            low: Literal::Int(1),
            high: Literal::Int(2),
            negated,
        };
        let null = |negated| Filter::IsNull { column: "d".into(), negated };
        let among = |negated| Filter::In { column: "e".into(), values: vec![Literal::Int(1)], negated };
        for (filter, words) in [
            (Filter::And(vec![a.clone(), dark.clone()]), Some("(a <)")),
            (Filter::Or(vec![a.clone(), dark.clone()]), None),
            (not(Filter::And(vec![a.clone(), dark.clone()])), None),
            (not(Filter::Or(vec![a.clone(), dark.clone()])), Some("(a >=)")),
            (not(Filter::And(vec![a.clone(), not(b.clone())])), Some("(a >= or b <)")),
            (not(not(Filter::Or(vec![a.clone(), b.clone()]))), Some("(a < or b <)")),
            (not(within(false)), Some("c outside")),
            (not(within(true)), Some("c within")),
            (within(true), Some("c outside")),
            (not(null(false)), Some("d not null")),
            (not(null(true)), Some("d null")),
            (among(true), None),
            (not(among(true)), Some("e in")),
            (Filter::And(vec![]), None),
            (Filter::Or(vec![]), None),
        ] {
            assert_eq!(wider(&Words, &filter).as_deref(), words, "{filter:?}");
        }
    }

    #[test]
    fn conjuncts_are_found_inside_one_another() {
        let [a, b, c] = ["a", "b", "c"].map(|column| compare(column, Operator::Eq));
        let nested = Filter::And(vec![a.clone(), Filter::And(vec![b.clone()])]);
        assert_eq!(conjuncts(&[nested, c.clone()]), [&a, &b, &c]);
    }
}
