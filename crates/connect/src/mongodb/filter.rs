//! Filters as aggregation expressions. Those compare whole values, where the query language looks into arrays, and are written so that they
//! are true exactly where SQL's condition is true.

use bson::{Bson, doc};

use super::columns::{Kind, Plan};
use crate::filter::{Filter, Literal, Operator};
use crate::rows::Unfit;

/// Whether a name can stand in an expression or a projection.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('$') && !name.contains(['.', '\0'])
}

/// The expression of a filter; none if it cannot be decided there as it would be here.
pub(super) fn expression(plan: &Plan, filter: &Filter) -> Option<Bson> {
    // A value that is read as NULL is something else to the server.
    if plan.unfit == Unfit::Null { None } else { condition(plan, filter, false) }
}

fn condition(plan: &Plan, filter: &Filter, negated: bool) -> Option<Bson> {
    match filter {
        Filter::Compare { column, operator, value } => compare(plan, column, *operator, value, negated),
        Filter::In { column, values, negated: not } => {
            let not = *not != negated;
            let (field, kind) = field(plan, column)?;
            if values.is_empty() {
                return Some(constant(not));
            }
            let values =
                values.iter().map(|value| literal(kind, value, false)).collect::<Option<Vec<Bson>>>()?;
            let within: Bson = doc! { "$in": [field.clone(), { "$literal": values }] }.into();
            let within = if not { doc! { "$not": [within] }.into() } else { within };
            Some(doc! { "$and": [is_null(&field, true), within] }.into())
        }
        Filter::Between { column, low, high, negated: not } => {
            let not = *not != negated;
            let low = compare(plan, column, Operator::GtEq, low, not)?;
            let high = compare(plan, column, Operator::LtEq, high, not)?;
            let word = if not { "$or" } else { "$and" };
            Some(doc! { word: [low, high] }.into())
        }
        Filter::IsNull { column, negated: not } => {
            let (field, _) = field(plan, column)?;
            Some(is_null(&field, *not != negated))
        }
        Filter::And(all) => joined(plan, all, negated, "$and", "$or"),
        Filter::Or(any) => joined(plan, any, negated, "$or", "$and"),
        Filter::Not(inner) => condition(plan, inner, !negated),
    }
}

fn joined(plan: &Plan, parts: &[Filter], negated: bool, word: &str, turned: &str) -> Option<Bson> {
    let parts = parts.iter().map(|part| condition(plan, part, negated)).collect::<Option<Vec<Bson>>>()?;
    let word = if negated { turned } else { word };
    Some(doc! { word: parts }.into())
}

fn constant(value: bool) -> Bson {
    doc! { "$literal": value }.into()
}

fn field(plan: &Plan, name: &str) -> Option<(Bson, Kind)> {
    let kind = plan.kinds.get(name).copied().filter(|_| is_plain(name))?;
    Some((Bson::String(format!("${name}")), kind))
}

/// Missing fields are NULL.
fn is_null(field: &Bson, negated: bool) -> Bson {
    let null = doc! { "$in": [{ "$type": field.clone() }, ["missing", "null", "undefined"]] };
    if negated { doc! { "$not": [null] }.into() } else { null.into() }
}

fn compare(plan: &Plan, column: &str, operator: Operator, value: &Literal, negated: bool) -> Option<Bson> {
    let (field, kind) = field(plan, column)?;
    let value = literal(kind, value, operator.is_range())?;
    let word = match (operator, negated) {
        (Operator::Eq, false) | (Operator::NotEq, true) => "$eq",
        (Operator::NotEq, false) | (Operator::Eq, true) => "$ne",
        (Operator::Lt, false) | (Operator::GtEq, true) => "$lt",
        (Operator::LtEq, false) | (Operator::Gt, true) => "$lte",
        (Operator::Gt, false) | (Operator::LtEq, true) => "$gt",
        (Operator::GtEq, false) | (Operator::Lt, true) => "$gte",
    };
    let compared = doc! { word: [field.clone(), { "$literal": value }] };
    Some(doc! { "$and": [is_null(&field, true), compared] }.into())
}

/// A value of the field's own type.
fn literal(kind: Kind, value: &Literal, ordered: bool) -> Option<Bson> {
    match (kind, value) {
        (Kind::Boolean, Literal::Boolean(value)) => Some(Bson::Boolean(*value)),
        (Kind::Int, Literal::Int(value)) => Some(Bson::Int64(*value)),
        (Kind::Text, Literal::Utf8(text)) => Some(Bson::String(text.clone())),
        (Kind::ObjectId, Literal::Utf8(text)) => {
            let id = bson::oid::ObjectId::parse_str(text).ok()?;
            (id.to_hex() == *text).then_some(Bson::ObjectId(id))
        }
        (Kind::Date, Literal::Timestamp(moment)) if moment % 1_000 == 0 => {
            Some(Bson::DateTime(bson::DateTime::from_millis(moment / 1_000)))
        }
        // The server orders bytes by their length first.
        (Kind::Bytes, Literal::Binary(bytes)) if !ordered => Some(super::wire::binary(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::raw::RawDocumentBuf;

    use super::*;
    use crate::mongodb::columns::Sample;

    fn plan(unfit: Unfit) -> Plan {
        let mut sample = Sample::default();
        let document = doc! { "a": 1, "s": "x", "f": 1.5, "x.y": 1, "b": super::super::wire::binary(&[1]) };
        sample.add(&RawDocumentBuf::from_bytes(document.to_vec().unwrap()).unwrap()).unwrap();
        sample.plan(unfit)
    }

    fn eq(column: &str, value: Literal) -> Filter {
        Filter::Compare { column: column.to_owned(), operator: Operator::Eq, value }
    }

    #[test]
    fn only_what_is_decided_alike_is_written() {
        let plan_of = plan(Unfit::Refuse);
        assert!(expression(&plan_of, &eq("a", Literal::Int(1))).is_some());
        assert!(expression(&plan_of, &eq("f", Literal::Int(1))).is_none());
        assert!(expression(&plan_of, &eq("x.y", Literal::Int(1))).is_none());
        assert!(expression(&plan_of, &eq("absent", Literal::Int(1))).is_none());
        let bytes =
            |operator| Filter::Compare { column: "b".to_owned(), operator, value: Literal::Binary(vec![1]) };
        assert!(expression(&plan_of, &bytes(Operator::Eq)).is_some());
        assert!(expression(&plan_of, &bytes(Operator::Lt)).is_none());
        assert!(expression(&plan(Unfit::Null), &eq("a", Literal::Int(1))).is_none());
    }

    #[test]
    fn negations_go_to_the_leaves_where_null_stays_unknown() {
        let inner = Filter::Or(vec![
            eq("a", Literal::Int(1)),
            Filter::IsNull { column: "s".to_owned(), negated: false },
        ]);
        let text = expression(&plan(Unfit::Refuse), &Filter::Not(Box::new(inner))).unwrap().to_string();
        assert!(text.starts_with("{ \"$and\": [{ \"$and\": [{ \"$not\": "), "{text}");
        assert!(text.contains("\"$ne\": [\"$a\", { \"$literal\": 1 }]"), "{text}");
        let none = Filter::In { column: "a".to_owned(), values: vec![], negated: true };
        assert_eq!(expression(&plan(Unfit::Refuse), &none), Some(constant(true)));
    }
}
