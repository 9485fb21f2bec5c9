//! One SELECT as it grows: joins as they are needed, conditions, bound values, and the words that explain it.

use crate::answer::{Parameter, Plan, Reading};
use crate::dates::{Range, Unit};
use crate::draft::{Slot, Test, Why};
use crate::joins::{self, Edge, NoWay};
use crate::lexicon::TableRef;
use crate::schema::{ColumnId, Kind, Schema};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A column that was chosen, and the way to its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) id: ColumnId,
    pub(crate) way: Vec<Edge>,
}

/// A SELECT under construction, from one base table.
#[derive(Clone)]
pub(crate) struct Statement<'a> {
    pub(crate) schema: &'a Schema,
    zone: &'a TimeZone,
    pub(crate) base: usize,
    /// Roles that the question named: they decide between ways.
    roles: Vec<TableRef>,
    mentioned: Vec<usize>,
    joined: Vec<(Vec<Edge>, String)>,
    parameters: Vec<Parameter>,
    pub(crate) select: Vec<String>,
    pub(crate) conditions: Vec<String>,
    pub(crate) group: Vec<String>,
    pub(crate) having: Option<String>,
    pub(crate) order: Vec<String>,
    pub(crate) limit: Option<u32>,
    /// Only the number of its rows is asked.
    pub(crate) counted: bool,
    pub(crate) reading: Reading,
    /// What choices so far cost: part names, words of comments, long ways.
    pub(crate) cost: u32,
}

impl<'a> Statement<'a> {
    /// A statement on a table.
    pub(crate) fn new(schema: &'a Schema, zone: &'a TimeZone, base: usize, mentioned: &[TableRef]) -> Self {
        let mut statement = Self {
            schema,
            zone,
            base,
            roles: mentioned.iter().filter(|table| table.via.is_some()).cloned().collect(),
            mentioned: mentioned.iter().map(|table| table.table).collect(),
            joined: Vec::new(),
            parameters: Vec::new(),
            select: Vec::new(),
            conditions: Vec::new(),
            group: Vec::new(),
            having: None,
            order: Vec::new(),
            limit: None,
            counted: false,
            reading: Reading::default(),
            cost: 0,
        };
        statement.reading.tables.push(statement.name_of(base));
        statement
    }

    /// The name of a table.
    pub(crate) fn name_of(&self, table: usize) -> String {
        self.schema.table(table).map_or(String::new(), |table| table.name().to_owned())
    }

    /// The way from the base to a table.
    pub(crate) fn way(&self, table: usize, via: Option<Edge>) -> Result<Vec<Edge>, NoWay> {
        let role = self.roles.iter().find(|role| role.table == table).and_then(|role| role.via);
        joins::way(self.schema, self.base, table, via.or(role.filter(|_| table != self.base)))
    }

    /// The one column that a phrase means here.
    pub(crate) fn choose(&mut self, slot: &Slot) -> Result<Chosen, Why> {
        let mut best: Vec<(u32, Chosen)> = Vec::new();
        let mut several = false;
        for named in &slot.columns {
            match self.way(named.column.table, None) {
                Ok(way) => {
                    let length = u32::try_from(way.len()).unwrap_or(u32::MAX / 8);
                    best.push((named.weight * 4 + length, Chosen { id: named.column, way }));
                }
                Err(NoWay::Several) => several = true,
                Err(NoWay::None) => {}
            }
        }
        let least = best.iter().map(|(cost, _)| *cost).min();
        let Some(least) = least else {
            return Err(if several {
                Why::Ambiguous(slot.words.clone())
            } else {
                Why::Unfit(slot.words.clone())
            });
        };
        best.retain(|(cost, _)| *cost == least);
        if best.len() > 1 {
            let mentioned = self.mentioned.clone();
            best.retain(|(_, chosen)| mentioned.contains(&chosen.id.table));
        }
        match best.as_slice() {
            [(cost, chosen)] => {
                self.cost += cost;
                Ok(chosen.clone())
            }
            _ => Err(Why::Ambiguous(slot.words.clone())),
        }
    }

    /// The name that a table has in the statement; joins it first if it is not yet there.
    pub(crate) fn alias(&mut self, way: &[Edge]) -> String {
        let Some((last, before)) = way.split_last() else { return self.name_of(self.base) };
        if let Some((_, alias)) = self.joined.iter().find(|(known, _)| known == way) {
            return alias.clone();
        }
        let from = self.alias(before);
        let target = joins::target(self.schema, *last).unwrap_or(self.base);
        let mut alias = self.name_of(target);
        while alias == self.name_of(self.base) || self.joined.iter().any(|(_, known)| *known == alias) {
            alias = format!("{alias}_{}", self.joined.len() + 2);
        }
        let name = self.name_of(target);
        if !self.reading.tables.contains(&name) {
            self.reading.tables.push(name);
        }
        let on = self.schema.table(last.0).and_then(|table| table.foreign_keys.get(last.1));
        let pairs = on.map(|key| {
            key.columns
                .iter()
                .zip(&key.references)
                .map(|(left, right)| format!("{from}.{left} = {alias}.{right}"))
                .collect::<Vec<_>>()
        });
        self.reading.joins.push(pairs.unwrap_or_default().join(" and "));
        if joins::is_optional(self.schema, *last) {
            self.reading.assumptions.push(format!("rows of {from} without {alias} are left out"));
        }
        self.joined.push((way.to_vec(), alias.clone()));
        alias
    }

    /// A column in SQL.
    pub(crate) fn column(&mut self, chosen: &Chosen) -> String {
        let alias = self.alias(&chosen.way);
        let name = self.schema.column(chosen.id).map_or("", |column| column.name.as_str());
        let words = format!("{}.{name}", self.name_of(chosen.id.table));
        if !self.reading.columns.contains(&words) {
            self.reading.columns.push(words);
        }
        format!("{}.{}", quote(&alias), quote(name))
    }

    /// A column in SQL, of the type that its source declares: where the engine reads what is in it, it is cast. What is no date fails then.
    fn typed(&mut self, chosen: &Chosen) -> String {
        let column = self.column(chosen);
        match self.schema.column(chosen.id).filter(|found| found.untyped).map(|found| found.kind) {
            Some(Kind::Date) => format!("CAST(CAST({column} AS VARCHAR) AS DATE)"),
            Some(Kind::Timestamp | Kind::Instant) => format!("CAST(CAST({column} AS VARCHAR) AS TIMESTAMP)"),
            Some(Kind::Boolean) => format!("CAST({column} AS BOOLEAN)"),
            _ => column,
        }
    }

    /// A column's name.
    pub(crate) fn words(&self, chosen: &Chosen) -> String {
        self.schema.column(chosen.id).map_or(String::new(), |column| column.name.clone())
    }

    /// What a column holds.
    pub(crate) fn kind(&self, chosen: &Chosen) -> Kind {
        self.schema.column(chosen.id).map_or(Kind::Other, |column| column.kind)
    }

    /// Binds a value.
    pub(crate) fn bind(&mut self, value: Parameter) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    /// Binds a number, of the column's kind where it is whole.
    pub(crate) fn bind_number(&mut self, number: &str) -> String {
        let value = match number.parse::<i64>() {
            Ok(whole) => Parameter::Integer(whole),
            Err(_) => Parameter::Decimal(number.to_owned()),
        };
        self.bind(value)
    }

    /// A condition that a test makes of a column, and its words.
    pub(crate) fn test(&mut self, chosen: &Chosen, test: &Test, negated: bool) -> (String, String) {
        let (column, name) = (self.column(chosen), self.words(chosen));
        match test {
            Test::Values(values) => {
                let values: Vec<&String> =
                    values.iter().filter(|(id, _)| *id == chosen.id).map(|(_, value)| value).collect();
                self.values(&column, &name, &values, negated)
            }
            Test::Compare(operator, number) => {
                let mark = self.bind_number(number);
                (format!("{column} {operator} {mark}"), format!("{name} {operator} {number}"))
            }
            Test::Between(low, high) => {
                let (from, to) = (self.bind_number(low), self.bind_number(high));
                (format!("{column} BETWEEN {from} AND {to}"), format!("{name} from {low} to {high}"))
            }
            Test::True => (format!("{} = TRUE", self.typed(chosen)), format!("{name} is true")),
            Test::False => (format!("{} = FALSE", self.typed(chosen)), format!("{name} is false")),
            Test::Null => (format!("{column} IS NULL"), format!("{name} is empty")),
            Test::NotNull => (format!("{column} IS NOT NULL"), format!("{name} is not empty")),
        }
    }

    fn values(&mut self, column: &str, name: &str, values: &[&String], negated: bool) -> (String, String) {
        let marks: Vec<String> =
            values.iter().map(|value| self.bind(Parameter::Text((*value).clone()))).collect();
        let words = format!(
            "{name} is {}{}",
            if negated { "not " } else { "" },
            values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" or ")
        );
        let sql = match (marks.as_slice(), negated) {
            ([one], false) => format!("{column} = {one}"),
            ([one], true) => format!("({column} IS DISTINCT FROM {one})"),
            (_, false) => format!("{column} IN ({})", marks.join(", ")),
            (_, true) => format!("({column} NOT IN ({}) OR {column} IS NULL)", marks.join(", ")),
        };
        (sql, words)
    }

    /// The condition that a column lies in a span.
    pub(crate) fn within(&mut self, chosen: &Chosen, range: &Range) -> Option<(String, String)> {
        let (column, name, kind) = (self.typed(chosen), self.words(chosen), self.kind(chosen));
        let mut parts = Vec::new();
        if kind.is_number() {
            let (start, end) = range.years()?;
            parts.extend(
                start.map(|year| format!("{column} >= {}", self.bind(Parameter::Integer(year.into())))),
            );
            parts
                .extend(end.map(|year| format!("{column} < {}", self.bind(Parameter::Integer(year.into())))));
        } else {
            for (day, operator) in [(range.start, ">="), (range.end, "<")] {
                if let Some(day) = day {
                    let bound = self.moment(day, kind)?;
                    parts.push(format!("{column} {operator} {}", self.bind(bound)));
                }
            }
        }
        let words = match (range.start, range.end) {
            (Some(start), Some(end)) => format!("{name} from {start} to before {end}"),
            (Some(start), None) => format!("{name} from {start} on"),
            (None, Some(end)) => format!("{name} before {end}"),
            (None, None) => return None,
        };
        (!parts.is_empty()).then(|| (parts.join(" AND "), words))
    }

    /// The first moment of a day, as a column of a kind has it.
    fn moment(&self, day: Date, kind: Kind) -> Option<Parameter> {
        Some(match kind {
            Kind::Date => Parameter::Date(day.to_string()),
            Kind::Timestamp => Parameter::Timestamp(format!("{day}T00:00:00")),
            Kind::Instant => {
                Parameter::Instant(day.to_zoned(self.zone.clone()).ok()?.timestamp().to_string())
            }
            _ => return None,
        })
    }

    /// The first day of the unit that a column lies in. None for a point in time if the person's zone has no name that SQL knows.
    pub(crate) fn period(&mut self, chosen: &Chosen, unit: Unit) -> Option<String> {
        let mut column = self.typed(chosen);
        if self.kind(chosen) == Kind::Instant {
            let zone = self.zone.iana_name()?.replace('\'', "''");
            column = format!("{column} AT TIME ZONE '{zone}'");
        }
        Some(format!("CAST(date_trunc('{}', {column}) AS DATE)", unit.name()))
    }

    /// A table in SQL.
    pub(crate) fn table_sql(&self, table: usize) -> String {
        let path = self.schema.table(table).map(|table| table.path.as_slice()).unwrap_or_default();
        path.iter().map(|part| quote(part)).collect::<Vec<_>>().join(".")
    }

    /// The FROM clause: the base and its joins; `outer`, the base and the rows of another table that belong to it, if there are any.
    fn from(&self, keyword: &str) -> String {
        let named = |table: usize, alias: &str| {
            let sql = self.table_sql(table);
            if self.schema.table(table).is_some_and(|found| found.path.len() == 1)
                && self.name_of(table) == alias
            {
                sql
            } else {
                format!("{sql} AS {}", quote(alias))
            }
        };
        let mut from = format!("FROM {}", named(self.base, &self.name_of(self.base)));
        for (way, alias) in &self.joined {
            let Some((last, before)) = way.split_last() else { continue };
            let left = self
                .joined
                .iter()
                .find(|(known, _)| known == before)
                .map_or_else(|| self.name_of(self.base), |(_, alias)| alias.clone());
            let Some(key) = self.schema.table(last.0).and_then(|table| table.foreign_keys.get(last.1)) else {
                continue;
            };
            let target = joins::target(self.schema, *last).unwrap_or(self.base);
            let on: Vec<String> = key
                .columns
                .iter()
                .zip(&key.references)
                .map(|(mine, other)| {
                    format!("{}.{} = {}.{}", quote(&left), quote(mine), quote(alias), quote(other))
                })
                .collect();
            from.push_str(&format!("\n{keyword} {} ON {}", named(target, alias), on.join(" AND ")));
        }
        from
    }

    /// The statement. `outer` keeps rows of joined tables that no row of the base belongs to.
    pub(crate) fn plan(mut self, outer: bool) -> Plan {
        let mut sql = format!(
            "SELECT {}\n{}",
            self.select.join(", "),
            self.from(if outer { "RIGHT JOIN" } else { "JOIN" })
        );
        for (word, parts, between) in [("WHERE", &self.conditions, " AND "), ("GROUP BY", &self.group, ", ")]
        {
            if !parts.is_empty() {
                sql.push_str(&format!("\n{word} {}", parts.join(between)));
            }
        }
        if let Some(having) = &self.having {
            sql.push_str(&format!("\nHAVING {having}"));
        }
        if !self.order.is_empty() {
            sql.push_str(&format!("\nORDER BY {}", self.order.join(", ")));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!("\nLIMIT {limit}"));
        }
        if self.counted {
            sql = format!("SELECT count(*) AS \"count\"\nFROM (\n{sql}\n) AS \"groups\"");
        }
        self.reading.assumptions.dedup();
        Plan { sql, parameters: self.parameters, reading: self.reading }
    }
}

/// A name in SQL, whatever it contains.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
