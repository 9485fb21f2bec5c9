//! Parts that statements of every shape are made of: conditions, groups, outputs, labels.

use super::Shaper;
use crate::dates::Unit;
use crate::draft::{Dimension, Filter, Slot, Why};
use crate::items::Aggregate;
use crate::joins::{self, NoWay};
use crate::lexicon::TableRef;
use crate::schema::{Column, ColumnId, Kind, Table};
use crate::statement::{Chosen, quote};
use crate::vocabulary::Vocabulary;

/// The groups of a statement.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: Vec<String>,
    period: Option<usize>,
}

impl Groups {
    /// " per ..." for the summary.
    pub(super) fn words(&self) -> String {
        if self.names.is_empty() { String::new() } else { format!(" per {}", self.names.join(" and ")) }
    }
}

/// The columns that call a row by its name: one, or first and last name.
pub(super) fn labels(table: &Table, vocabulary: &Vocabulary) -> Vec<usize> {
    let named = |label: &str| {
        table.columns.iter().position(|column| {
            column.kind == Kind::Text && crate::words::name(&column.name).join(" ") == label
        })
    };
    let own = crate::words::name_lemmas(table.name(), vocabulary).join(" ");
    let single = vocabulary
        .phrases("label")
        .into_iter()
        .find_map(|label| named(&label).or_else(|| named(&format!("{own} {label}"))));
    if let Some(at) = single {
        return vec![at];
    }
    let parts = vocabulary.lines("label parts");
    parts
        .iter()
        .find_map(|(_, parts)| parts.iter().map(|part| named(part)).collect::<Option<Vec<_>>>())
        .unwrap_or_default()
}

/// The word for an aggregate.
pub(super) fn word(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Sum => "sum",
        Aggregate::Avg => "average",
        Aggregate::Min => "minimum",
        Aggregate::Max => "maximum",
        Aggregate::Median => "median",
    }
}

impl Shaper<'_> {
    pub(super) fn assume(&mut self, words: String) {
        self.statement.reading.assumptions.push(words);
    }

    pub(super) fn summary(&mut self, what: String) {
        let filters = &self.statement.reading.filters;
        self.statement.reading.summary = if filters.is_empty() {
            format!("{what}.")
        } else {
            format!("{what}, where {}.", filters.join(" and "))
        };
    }

    /// Selects an expression; answers its place, from 1.
    pub(super) fn output(&mut self, sql: String, name: &str) -> usize {
        let taken = |name: &str| {
            self.statement.select.iter().any(|each| each.ends_with(&format!(" AS {}", quote(name))))
        };
        let mut unique = name.to_owned();
        let mut next = 2;
        while taken(&unique) {
            unique = format!("{name}_{next}");
            next += 1;
        }
        self.statement.select.push(format!("{sql} AS {}", quote(&unique)));
        self.statement.select.len()
    }

    pub(super) fn all_columns(&mut self) {
        let base = self.statement.base;
        let count = self.context.schema.table(base).map_or(0, |table| table.columns.len());
        for column in 0..count {
            let chosen = Chosen { id: ColumnId { table: base, column }, way: Vec::new() };
            let (sql, name) = (self.statement.column(&chosen), self.statement.words(&chosen));
            self.output(sql, &name);
        }
    }

    /// Selects the key and the name of a table's rows; answers their SQL.
    fn key_and_label(&mut self, table: usize, way: &[joins::Edge]) -> Vec<String> {
        let Some(found) = self.context.schema.table(table) else { return Vec::new() };
        let keys = found.primary_key.iter().filter_map(|key| found.position(key));
        let mut columns: Vec<usize> = keys.collect();
        columns.extend(labels(found, self.context.vocabulary));
        columns.dedup();
        let mut parts = Vec::new();
        for column in columns {
            let chosen = Chosen { id: ColumnId { table, column }, way: way.to_vec() };
            let (sql, name) = (self.statement.column(&chosen), self.statement.words(&chosen));
            self.output(sql.clone(), &name);
            parts.push(sql);
        }
        parts
    }

    /// Selects the key and the name of the base's rows.
    pub(super) fn label_columns(&mut self, table: usize) {
        self.key_and_label(table, &[]);
    }

    /// Selects the key and the name of another table's rows; answers its name.
    pub(super) fn table_columns(&mut self, table: &TableRef) -> Result<String, Why> {
        self.grouped_by(table).map(|(_, name)| name)
    }

    /// Selects the key and the name of a table's rows; answers their SQL and the table's name.
    pub(super) fn grouped_by(&mut self, table: &TableRef) -> Result<(Vec<String>, String), Why> {
        let name = self.statement.name_of(table.table);
        let way = self.statement.way(table.table, table.via).map_err(|why| match why {
            NoWay::None => Why::Unfit(name.clone()),
            NoWay::Several => Why::Ambiguous(name.clone()),
        })?;
        self.statement.cost += u32::try_from(way.len()).unwrap_or(0);
        let parts = self.key_and_label(table.table, &way);
        if parts.is_empty() { Err(Why::Unfit(name)) } else { Ok((parts, name)) }
    }

    /// Groups by the dimensions.
    pub(super) fn dimensions(&mut self) -> Result<Groups, Why> {
        let mut groups = Groups::default();
        for dimension in &self.draft.dimensions {
            match dimension {
                // "Average discount per order": each order, or all of them?
                Dimension::Table(table) if table.table == self.statement.base && table.via.is_none() => {
                    return Err(Why::Ambiguous(self.statement.name_of(table.table)));
                }
                Dimension::Table(table) => {
                    let (parts, name) = self.grouped_by(table)?;
                    self.statement.group.extend(parts);
                    groups.names.push(name);
                }
                Dimension::Column(slot) => {
                    let chosen = self.statement.choose(slot)?;
                    let (sql, name) = (self.statement.column(&chosen), self.statement.words(&chosen));
                    self.output(sql.clone(), &name);
                    self.statement.group.push(sql);
                    groups.names.push(name);
                }
                Dimension::Period(unit) => {
                    let place = self.period(*unit)?;
                    if groups.period.replace(place).is_some() {
                        return Err(Why::Unfit(unit.name().to_owned()));
                    }
                    groups.names.push(unit.name().to_owned());
                }
            }
        }
        Ok(groups)
    }

    fn period(&mut self, unit: Unit) -> Result<usize, Why> {
        let of_span = self.draft.spans.first().and_then(|span| span.slot.as_ref());
        let chosen = match self.draft.dated.as_ref().or(of_span) {
            Some(slot) => self.spanned(slot)?,
            None => self.date(unit.name())?,
        };
        if !self.statement.kind(&chosen).is_time() {
            return Err(Why::Unfit(unit.name().to_owned()));
        }
        let sql = self.statement.period(&chosen, unit).ok_or_else(|| Why::Unfit(unit.name().to_owned()))?;
        if unit == Unit::Week {
            self.assume("weeks begin on Monday".to_owned());
        }
        // Rows without the date are in no unit.
        if self.leaves_out(&chosen) {
            let column = self.statement.column(&chosen);
            self.statement.conditions.push(format!("{column} IS NOT NULL"));
        }
        self.statement.group.push(sql.clone());
        Ok(self.output(sql, unit.name()))
    }

    /// Time in its order, other groups by what was computed last, greatest first.
    pub(super) fn group_order(&mut self, groups: &Groups) {
        if self.statement.group.is_empty() {
            return;
        }
        let last = self.statement.select.len();
        match groups.period {
            Some(place) => self.statement.order.push(format!("{place} ASC NULLS LAST")),
            None => self.statement.order.push(format!("{last} DESC NULLS LAST")),
        }
        let rest = (1..last)
            .filter(|place| Some(*place) != groups.period)
            .map(|place| format!("{place} ASC NULLS LAST"));
        self.statement.order.extend(rest);
    }

    /// Rows in the order of their key, so that the same question has the same answer.
    pub(super) fn key_order(&mut self) {
        let base = self.statement.base;
        let Some(table) = self.context.schema.table(base) else { return };
        for column in table.primary_key.iter().filter_map(|key| table.position(key)) {
            let chosen = Chosen { id: ColumnId { table: base, column }, way: Vec::new() };
            let sql = self.statement.column(&chosen);
            self.statement.order.push(format!("{sql} ASC NULLS LAST"));
        }
    }

    /// An aggregate of a column and its name.
    pub(super) fn aggregated(&mut self, aggregate: Aggregate, chosen: &Chosen) -> (String, String) {
        let (column, name) = (self.statement.column(chosen), self.statement.words(chosen));
        match aggregate {
            Aggregate::Sum => (format!("sum({column})"), format!("sum_{name}")),
            Aggregate::Avg => (format!("avg(CAST({column} AS DOUBLE))"), format!("average_{name}")),
            Aggregate::Min => (format!("min({column})"), format!("min_{name}")),
            Aggregate::Max => (format!("max({column})"), format!("max_{name}")),
            Aggregate::Median => (format!("median(CAST({column} AS DOUBLE))"), format!("median_{name}")),
        }
    }

    /// Adds the conditions of the draft that are wanted. Tables that were only mentioned must be tied to the base.
    pub(super) fn conditions(&mut self, wanted: fn(&Filter) -> bool) -> Result<(), Why> {
        let draft = self.draft;
        for table in &draft.tables {
            self.mentioned(table)?;
        }
        for filter in draft.filters.iter().filter(|filter| wanted(filter)) {
            let (sql, words) = self.condition(filter)?;
            self.statement.conditions.push(sql);
            self.statement.reading.filters.push(words);
        }
        for span in &draft.spans {
            let chosen = match span.slot.as_ref().or(draft.dated.as_ref()) {
                Some(slot) => self.spanned(slot)?,
                None => self.date(&span.words)?,
            };
            let (sql, words) =
                self.statement.within(&chosen, &span.range).ok_or_else(|| Why::Unfit(span.words.clone()))?;
            self.statement.conditions.push(sql);
            self.assume(format!("\"{}\" is {words}", span.words));
            self.statement.reading.filters.push(words);
        }
        for (table, number) in &draft.ids {
            self.id(table, number)?;
        }
        Ok(())
    }

    /// The date that a span is of by its words. "Tickets created last week" is not about the account that a ticket is of, though accounts alone
    /// have a date of that name: the date of another table is meant where that is named, or where the rows have none.
    fn spanned(&mut self, slot: &Slot) -> Result<Chosen, Why> {
        let chosen = self.statement.choose(slot)?;
        let (base, table) = (self.statement.base, chosen.id.table);
        let named = table == base || self.draft.tables.iter().any(|each| each.table == table);
        let mut dates = if named { Vec::new() } else { self.dates(base) };
        if dates.is_empty() {
            return Ok(chosen);
        }
        // Whatever was created was so on its own day, by whatever name.
        if self.context.vocabulary.has("creation", &slot.words.to_lowercase())
            && let Some(own) = self.own_date(base)
        {
            let name = self.context.schema.column(own).map_or("", |column| column.name.as_str());
            self.assume(format!("\"{}\" is told by {name}", slot.words));
            return Ok(Chosen { id: own, way: Vec::new() });
        }
        dates.push(chosen.id);
        Err(Why::Undated(slot.words.clone(), dates))
    }

    fn mentioned(&mut self, table: &TableRef) -> Result<(), Why> {
        let name = self.statement.name_of(table.table);
        let way = self.statement.way(table.table, table.via).map_err(|why| match why {
            NoWay::None => Why::Unfit(name.clone()),
            NoWay::Several => Why::Ambiguous(name),
        })?;
        self.statement.cost += u32::try_from(way.len()).unwrap_or(0);
        if way.iter().any(|edge| joins::is_optional(self.context.schema, *edge)) {
            self.statement.alias(&way);
        }
        Ok(())
    }

    /// One condition in SQL and in words.
    pub(super) fn condition(&mut self, filter: &Filter) -> Result<(String, String), Why> {
        let chosen = self.statement.choose(&filter.slot)?;
        Ok(self.statement.test(&chosen, &filter.test, filter.negated))
    }

    /// The row with this key.
    fn id(&mut self, table: &TableRef, number: &str) -> Result<(), Why> {
        let unfit = || Why::Unfit(number.to_owned());
        let way = self.statement.way(table.table, table.via).map_err(|_| unfit())?;
        let found = self.context.schema.table(table.table).ok_or_else(unfit)?;
        let [key] = found.primary_key.as_slice() else { return Err(unfit()) };
        let column = found.position(key).ok_or_else(unfit)?;
        let chosen = Chosen { id: ColumnId { table: table.table, column }, way };
        if self.statement.kind(&chosen) != Kind::Integer {
            return Err(unfit());
        }
        let sql = self.statement.column(&chosen);
        let mark = self.statement.bind_number(number);
        self.statement.conditions.push(format!("{sql} = {mark}"));
        self.statement.reading.filters.push(format!("{key} is {number}"));
        Ok(())
    }

    /// The date that is meant when none is named: the base's own, or that of the record its rows are parts of.
    pub(super) fn date(&mut self, words: &str) -> Result<Chosen, Why> {
        let base = self.statement.base;
        // "Customers in May": those who came then, or those who were there?
        if !self.draft.new && self.is_lasting(base) && self.draft.metric.is_none() {
            return Err(Why::Undated(words.to_owned(), self.dates(base)));
        }
        if let Some(column) = self.own_date(base) {
            self.assume(format!(
                "the date is {}",
                self.context.schema.column(column).map_or("", |column| column.name.as_str())
            ));
            let chosen = Chosen { id: column, way: Vec::new() };
            self.leaves_out(&chosen);
            return Ok(chosen);
        }
        if self
            .context
            .schema
            .table(base)
            .is_some_and(|table| table.columns.iter().any(|column| column.kind.is_time()))
        {
            return Err(Why::Undated(words.to_owned(), self.dates(base)));
        }
        let mut parents = joins::edges(self.context.schema, base)
            .filter(|edge| joins::belongs(self.context.schema, *edge))
            .filter_map(|edge| {
                let parent = joins::target(self.context.schema, edge)?;
                let record = joins::edges(self.context.schema, parent).next().is_some();
                record.then(|| self.own_date(parent)).flatten().map(|column| (edge, column))
            });
        match (parents.next(), parents.next()) {
            (Some((edge, column)), None) => {
                let (table, name) = (
                    self.statement.name_of(column.table),
                    self.context.schema.column(column).map_or("", |column| column.name.as_str()),
                );
                self.statement.reading.assumptions.push(format!("the date is {table}.{name}"));
                self.statement.cost += 1;
                Ok(Chosen { id: column, way: vec![edge] })
            }
            _ => Err(Why::Unfit(words.to_owned())),
        }
    }

    /// Whether rows of a table last, such as customers: others refer to them, and they belong to none.
    fn is_lasting(&self, table: usize) -> bool {
        let schema = self.context.schema;
        let belongs = joins::edges(schema, table).any(|edge| joins::belongs(schema, edge));
        !belongs && (0..schema.tables.len()).any(|other| !joins::between(schema, other, table).is_empty())
    }

    /// Whether rows of the base lie in time, or are parts of such that do.
    pub(super) fn happens(&self) -> bool {
        let timed = |table: usize| {
            self.context
                .schema
                .table(table)
                .is_some_and(|found| found.columns.iter().any(|column| column.kind.is_time()))
        };
        let record = |edge| {
            joins::target(self.context.schema, edge).is_some_and(|parent| {
                timed(parent) && joins::edges(self.context.schema, parent).next().is_some()
            })
        };
        timed(self.statement.base) || joins::edges(self.context.schema, self.statement.base).any(record)
    }

    /// Says that rows without a date are left out, where there may be such.
    fn leaves_out(&mut self, chosen: &Chosen) -> bool {
        let column = self.context.schema.column(chosen.id).filter(|column| column.nullable);
        let Some(column) = column else { return false };
        let words = format!("rows without {} are left out", column.name);
        if !self.statement.reading.assumptions.contains(&words) {
            self.assume(words);
        }
        true
    }

    /// Whether a word of a column's name is in a section of the vocabulary.
    fn says(&self, column: &Column, section: &str) -> bool {
        crate::words::name(&column.name).iter().any(|word| self.context.vocabulary.has(section, word))
    }

    /// The dates of a table that a span may be of.
    fn dates(&self, table: usize) -> Vec<ColumnId> {
        let columns = self.context.schema.table(table).map(|found| found.columns.as_slice());
        let columns = columns.unwrap_or_default().iter().enumerate();
        columns
            .filter(|(_, column)| column.kind.is_time() && !self.says(column, "private date"))
            .map(|(place, _)| ColumnId { table, column: place })
            .collect()
    }

    /// The only date that every row has; of a table that has none such, its only date, if rows are not dated by an exception ("cancelled at").
    fn own_date(&self, table: usize) -> Option<ColumnId> {
        let found = self.context.schema.table(table)?;
        // Rows that hold for a time belong to no single day.
        if found.columns.iter().any(|column| column.kind.is_time() && self.says(column, "interval end")) {
            return None;
        }
        let dates = self.dates(table);
        let column = |id: &ColumnId| found.columns.get(id.column);
        let always: Vec<ColumnId> =
            dates.iter().copied().filter(|id| column(id).is_some_and(|column| !column.nullable)).collect();
        match (always.as_slice(), dates.as_slice()) {
            ([one], _) => Some(*one),
            ([], [one]) => column(one)
                .is_some_and(|column| {
                    !self.says(column, "exception date") && !self.says(column, "one of many")
                })
                .then_some(*one),
            _ => None,
        }
    }

    /// A unit that stands alone ("in minutes") must be that of a column that is used.
    pub(super) fn check_units(&self) -> Result<(), Why> {
        for unit in &self.draft.units {
            let used = self.context.lexicon.of_unit(unit).iter().any(|column| {
                let name = self.context.schema.column(*column).map_or("", |column| column.name.as_str());
                self.statement
                    .reading
                    .columns
                    .contains(&format!("{}.{name}", self.statement.name_of(column.table)))
            });
            if !used {
                return Err(Why::Unfit(unit.clone()));
            }
        }
        Ok(())
    }
}
