//! Columns of a table, and which conditions CQL decides by its primary key alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use super::types::{self, Type};
use crate::filter::{Filter, Literal, Operator};
use crate::wire::server::Work;

/// The longest bytes that a part of a primary key can have.
const LONGEST_KEY: usize = 65_535;

/// Columns and the values that they are equal to.
type Equalities = Vec<(String, Vec<u8>)>;

/// A column and its bounds: operators with values.
type Range = (String, Vec<(&'static str, Vec<u8>)>);

/// A table whose columns are known.
pub(crate) struct Plan {
    pub(super) schema: SchemaRef,
    types: HashMap<String, Type>,
    /// Columns of the partition key, and those that order the rows of a partition, both in their order.
    partition: Vec<String>,
    clustering: Vec<String>,
}

/// A column as the system's tables have it.
pub(super) struct Found {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) position: i32,
    pub(super) type_name: String,
}

impl Found {
    /// Key columns come first.
    pub(super) fn rank(&self) -> u8 {
        match self.kind.as_str() {
            "partition_key" => 0,
            "clustering" => 1,
            _ => 2,
        }
    }
}

/// A name in a query.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What filters come to as conditions of CQL.
#[derive(Default)]
pub(super) struct Conditions {
    parts: Vec<String>,
    values: Vec<Vec<u8>>,
    /// For each filter whether it is among them.
    pub(super) applied: Vec<bool>,
}

impl Plan {
    pub(super) fn of(found: Vec<Found>) -> Self {
        let of_kind = |kind: &str| {
            found
                .iter()
                .filter(|found| found.kind == kind)
                .map(|found| found.name.clone())
                .collect::<Vec<_>>()
        };
        let (partition, clustering) = (of_kind("partition_key"), of_kind("clustering"));
        let types: HashMap<String, Type> =
            found.iter().map(|found| (found.name.clone(), types::named(&found.type_name))).collect();
        let fields: Vec<Field> = found
            .iter()
            .map(|found| {
                let metadata = HashMap::from([("native".to_owned(), found.type_name.clone())]);
                let data_type = types::named(&found.type_name).data_type();
                Field::new(&found.name, data_type, found.rank() > 0).with_metadata(metadata)
            })
            .collect();
        Self { schema: Arc::new(Schema::new(fields)), types, partition, clustering }
    }

    /// The conditions that CQL decides by the primary key alone: equality on every column of the partition key, then on the first of those
    /// that order it, and a range on the next one. A column takes one equality, or ranges, not both.
    pub(super) fn conditions(&self, filters: &[Filter]) -> Conditions {
        let mut equal: BTreeMap<String, (Vec<u8>, usize)> = BTreeMap::new();
        let mut ranges: Vec<(usize, Range)> = Vec::new();
        // Equalities of an AND count together or not at all, so those of each filter are kept apart until it is seen whether all fit.
        let mut wanted: Vec<Option<Equalities>> = Vec::new();
        for (index, filter) in filters.iter().enumerate() {
            wanted.push(self.equalities(filter));
            ranges.extend(self.range(filter).map(|range| (index, range)));
        }
        let is_key = |name: &String| self.partition.contains(name) || self.clustering.contains(name);
        for (index, pairs) in wanted.iter().enumerate() {
            let Some(pairs) = pairs else { continue };
            let mut names: Vec<&String> = pairs.iter().map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            if names.len() == pairs.len()
                && names.iter().all(|name| is_key(name) && !equal.contains_key(*name))
            {
                equal.extend(pairs.iter().map(|(name, value)| (name.clone(), (value.clone(), index))));
            }
        }
        self.chosen(filters.len(), &equal, ranges, &wanted)
    }

    fn chosen(
        &self,
        count: usize,
        equal: &BTreeMap<String, (Vec<u8>, usize)>,
        ranges: Vec<(usize, Range)>,
        wanted: &[Option<Equalities>],
    ) -> Conditions {
        let mut chosen = Conditions { applied: vec![false; count], ..Conditions::default() };
        if !self.partition.iter().all(|name| equal.contains_key(name)) {
            return chosen;
        }
        let prefix: Vec<&String> =
            self.clustering.iter().take_while(|name| equal.contains_key(*name)).collect();
        let usable = |name: &String| self.partition.contains(name) || prefix.contains(&name);
        for (index, pairs) in wanted.iter().enumerate() {
            let Some(pairs) = pairs.as_ref().filter(|pairs| !pairs.is_empty()) else { continue };
            let all = pairs
                .iter()
                .all(|(name, _)| usable(name) && equal.get(name).is_some_and(|(_, by)| *by == index));
            if let Some(applied) = chosen.applied.get_mut(index) {
                *applied = all;
            }
        }
        // A filter that cannot be applied as a whole takes its equalities with it; without them the key may be incomplete.
        let holds =
            |name: &String| equal.get(name).is_some_and(|(_, by)| chosen.applied.get(*by) == Some(&true));
        if !self.partition.iter().all(holds) {
            chosen.applied.fill(false);
            return chosen;
        }
        let fixed: Vec<&String> =
            self.partition.iter().chain(prefix.iter().copied().take_while(|name| holds(name))).collect();
        for name in &fixed {
            chosen.parts.push(format!("{} = ?", identifier(name)));
            chosen.values.extend(equal.get(*name).map(|(value, _)| value.clone()));
        }
        for (index, applied) in chosen.applied.iter_mut().enumerate() {
            *applied &= wanted
                .get(index)
                .is_some_and(|pairs| pairs.iter().flatten().all(|(name, _)| fixed.contains(&name)));
        }
        let next = self.clustering.get(fixed.len() - self.partition.len());
        let mut taken = (false, false);
        for (index, (column, parts)) in ranges {
            let low = parts.iter().any(|(word, _)| word.starts_with('>'));
            let high = parts.iter().any(|(word, _)| word.starts_with('<'));
            if Some(&column) != next || low && taken.0 || high && taken.1 {
                continue;
            }
            taken = (taken.0 || low, taken.1 || high);
            for (word, value) in parts {
                chosen.parts.push(format!("{} {word} ?", identifier(&column)));
                chosen.values.push(value);
            }
            if let Some(applied) = chosen.applied.get_mut(index) {
                *applied = true;
            }
        }
        chosen
    }

    /// The equalities that a filter consists of.
    fn equalities(&self, filter: &Filter) -> Option<Equalities> {
        match filter {
            Filter::Compare { column, operator: Operator::Eq, value } => {
                Some(vec![(column.clone(), self.encoded(column, value)?)])
            }
            Filter::And(all) if !all.is_empty() => {
                let parts: Option<Vec<_>> = all.iter().map(|part| self.equalities(part)).collect();
                Some(parts?.concat())
            }
            _ => None,
        }
    }

    /// The bounds that a filter consists of.
    fn range(&self, filter: &Filter) -> Option<Range> {
        let ordered = |column: &str| self.types.get(column).is_some_and(Type::is_ordered_alike);
        match filter {
            Filter::Compare { column, operator, value } if operator.is_range() && ordered(column) => {
                Some((column.clone(), vec![(operator.as_sql(), self.encoded(column, value)?)]))
            }
            Filter::Between { column, low, high, negated: false } if ordered(column) => {
                let parts = vec![(">=", self.encoded(column, low)?), ("<=", self.encoded(column, high)?)];
                Some((column.clone(), parts))
            }
            _ => None,
        }
    }

    fn encoded(&self, column: &str, value: &Literal) -> Option<Vec<u8>> {
        let bytes = self.types.get(column)?.encoded(value)?;
        // The server refuses longer keys, and empty ones of a partition.
        (!bytes.is_empty() && bytes.len() <= LONGEST_KEY).then_some(bytes)
    }

    pub(super) fn query(&self, keyspace: &str, work: &Work<Self>) -> (String, Vec<Vec<u8>>) {
        let mut names: Vec<String> =
            work.schema.fields().iter().map(|field| identifier(field.name())).collect();
        if names.is_empty() {
            names.extend(self.partition.first().map(|name| identifier(name)));
        }
        let table = identifier(&work.relation.table);
        let mut query = format!("SELECT {} FROM {}.{table}", names.join(", "), identifier(keyspace));
        let chosen = self.conditions(&work.filters);
        if !chosen.parts.is_empty() {
            query.push_str(&format!(" WHERE {}", chosen.parts.join(" AND ")));
        }
        // It has no limit of zero and none above this.
        if let Some(limit) = work.limit.filter(|limit| i32::try_from(*limit).is_ok_and(|limit| limit > 0)) {
            query.push_str(&format!(" LIMIT {limit}"));
        }
        (query, chosen.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let column = |name: &str, kind: &str, position, type_name: &str| Found {
            table: "t".to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            position,
            type_name: type_name.to_owned(),
        };
        Plan::of(vec![
            column("a", "partition_key", 0, "int"),
            column("b", "partition_key", 1, "text"),
            column("c", "clustering", 0, "int"),
            column("d", "clustering", 1, "timestamp"),
            column("v", "regular", -1, "text"),
        ])
    }

    fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
        Filter::Compare { column: column.to_owned(), operator, value }
    }

    fn eq(column: &str, value: i64) -> Filter {
        compare(column, Operator::Eq, Literal::Int(value))
    }

    #[test]
    fn only_conditions_on_the_key_cross() {
        let b = compare("b", Operator::Eq, Literal::Utf8("x".to_owned()));
        let v = compare("v", Operator::Eq, Literal::Utf8("x".to_owned()));
        let cases = [
            (vec![eq("a", 1)], vec![false], ""),
            (vec![eq("a", 1), b.clone()], vec![true, true], "\"a\" = ? AND \"b\" = ?"),
            (vec![eq("a", 1), b.clone(), v], vec![true, true, false], "\"a\" = ? AND \"b\" = ?"),
            (vec![Filter::And(vec![eq("a", 1), b.clone()])], vec![true], "\"a\" = ? AND \"b\" = ?"),
            (vec![Filter::And(vec![eq("a", 1), b.clone(), eq("v", 1)])], vec![false], ""),
            (vec![eq("a", 1), eq("a", 2), b.clone()], vec![true, false, true], "\"a\" = ? AND \"b\" = ?"),
            (
                vec![
                    eq("a", 1),
                    b.clone(),
                    compare("c", Operator::Gt, Literal::Int(1)),
                    compare("c", Operator::LtEq, Literal::Int(5)),
                ],
                vec![true; 4],
                "\"a\" = ? AND \"b\" = ? AND \"c\" > ? AND \"c\" <= ?",
            ),
            (
                vec![eq("a", 1), b.clone(), compare("d", Operator::Gt, Literal::Timestamp(0))],
                vec![true, true, false],
                "\"a\" = ? AND \"b\" = ?",
            ),
            (
                vec![eq("a", 1), b.clone(), eq("c", 1), compare("d", Operator::Gt, Literal::Timestamp(0))],
                vec![true; 4],
                "\"a\" = ? AND \"b\" = ? AND \"c\" = ? AND \"d\" > ?",
            ),
            (
                vec![eq("a", 1), b, compare("c", Operator::NotEq, Literal::Int(1))],
                vec![true, true, false],
                "\"a\" = ? AND \"b\" = ?",
            ),
        ];
        for (filters, applied, text) in cases {
            let chosen = plan().conditions(&filters);
            assert_eq!(
                (chosen.applied, chosen.parts.join(" AND ")),
                (applied, text.to_owned()),
                "{filters:?}"
            );
        }
    }
}
