//! Top lists, groups with a condition, and shares.

use super::Shaper;
use crate::dates::Range;
use crate::draft::{Ask, Dimension, Metric, Slot, Why};
use crate::items::{Aggregate, Direction};
use crate::lexicon::TableRef;
use crate::statement::Chosen;

impl Shaper<'_> {
    /// Rows or groups in the order of a measure.
    pub(super) fn ranked(&mut self) -> Result<(), Why> {
        let draft = self.draft;
        let Some((metric, direction)) = &draft.metric else { return Err(Why::Nothing) };
        let base = self.statement.base;
        let own = draft.free.is_empty() && draft.tables.first().is_some_and(|table| table.table == base);
        match metric {
            Metric::Named(names) if own => {
                let chosen = self.named(names)?;
                if *direction == Direction::Desc && names.iter().any(|name| name == "@date") {
                    self.until_today(&chosen)?;
                }
                self.ordered_rows(&chosen, *direction)
            }
            Metric::By(slot) | Metric::Extreme(slot) if own => {
                let chosen = self.of_base(slot)?;
                self.ordered_rows(&chosen, *direction)
            }
            Metric::CountOf(table) => self.ranked_groups(
                table.via.is_some(),
                |shaper| {
                    Ok((
                        "count(*)".to_owned(),
                        "count".to_owned(),
                        format!("number of {}", shaper.statement.name_of(base)),
                    ))
                },
                *direction,
            ),
            Metric::Aggregate(aggregate, slot) if !own => self.ranked_by(slot, *aggregate, *direction),
            Metric::By(slot) if super::adds_up(self.context, slot) => {
                self.assume(format!("{} is added up", slot.words));
                self.ranked_by(slot, Aggregate::Sum, *direction)
            }
            Metric::Extreme(slot) if !super::adds_up(self.context, slot) => {
                let aggregate = if *direction == Direction::Desc { Aggregate::Max } else { Aggregate::Min };
                self.ranked_by(slot, aggregate, *direction)
            }
            Metric::By(slot) | Metric::Extreme(slot) | Metric::Aggregate(_, slot) => {
                Err(Why::Ambiguous(slot.words.clone()))
            }
            Metric::Named(names) => Err(Why::Unfit(names.join(" "))),
        }
    }

    /// The last appointment is none of those to come, unless the question says when. What may be no date is not compared.
    fn until_today(&mut self, chosen: &Chosen) -> Result<(), Why> {
        let unfit = || Why::Unfit("most recent".to_owned());
        let untyped = self.context.schema.column(chosen.id).is_some_and(|column| column.untyped);
        if untyped || !self.draft.spans.is_empty() {
            return Ok(());
        }
        let tomorrow = self.context.today.tomorrow().map_err(|_| unfit())?;
        let range = Range { start: None, end: Some(tomorrow), year_assumed: false };
        let (sql, words) = self.statement.within(chosen, &range).ok_or_else(unfit)?;
        self.statement.conditions.push(sql);
        self.statement.reading.filters.push(words);
        Ok(())
    }

    /// The column of the base that a superlative means by its own words.
    fn named(&mut self, names: &[String]) -> Result<Chosen, Why> {
        if names.iter().any(|name| name == "@date") {
            return self.date("most recent");
        }
        let base = self.statement.base;
        let found = |name: &String| {
            self.context.lexicon.find(name).map(|found| found.columns.clone()).unwrap_or_default()
        };
        let mut columns: Vec<_> = names
            .iter()
            .flat_map(found)
            .filter(|named| named.column.table == base && named.weight < crate::lexicon::COMMENT)
            .collect();
        columns.sort_by_key(|named| (named.column, named.weight));
        columns.dedup_by_key(|named| named.column);
        let slot = Slot { columns, words: names.join(" or ") };
        let chosen = self.statement.choose(&slot)?;
        let kind = self.statement.kind(&chosen);
        if kind.is_number() || kind.is_time() { Ok(chosen) } else { Err(Why::Unfit(slot.words)) }
    }

    /// The slot's column of the base.
    fn of_base(&mut self, slot: &Slot) -> Result<Chosen, Why> {
        let base = self.statement.base;
        let columns = slot.columns.iter().filter(|named| named.column.table == base).cloned().collect();
        self.statement.choose(&Slot { columns, words: slot.words.clone() })
    }

    fn ordered_rows(&mut self, chosen: &Chosen, direction: Direction) -> Result<(), Why> {
        self.all_columns();
        self.conditions(|_| true)?;
        let column = self.statement.column(chosen);
        // Rows without the measure are neither first nor last.
        self.statement.conditions.push(format!("{column} IS NOT NULL"));
        self.statement.order.push(format!("{column} {} NULLS LAST", sql(direction)));
        self.key_order();
        self.limited();
        let (name, words) = (self.statement.name_of(self.statement.base), self.statement.words(chosen));
        self.summary(format!("Lists {name} with the {} {words}", word(direction)));
        Ok(())
    }

    fn limited(&mut self) {
        self.statement.limit = self.draft.limit.or(Some(1));
        if self.draft.limit.is_none() {
            self.assume("one row is asked for; others may be equal to it".to_owned());
        }
    }

    fn ranked_by(&mut self, slot: &Slot, aggregate: Aggregate, direction: Direction) -> Result<(), Why> {
        let chosen = self.of_base(slot)?;
        self.ranked_groups(
            false,
            |shaper| {
                let (sql, name) = shaper.aggregated(aggregate, &chosen);
                Ok((
                    sql,
                    name,
                    format!("{} of {}", super::parts::word(aggregate), shaper.statement.words(&chosen)),
                ))
            },
            direction,
        )
    }

    /// Groups by the subject, ranked by what is computed of each.
    fn ranked_groups(
        &mut self,
        role: bool,
        computed: impl FnOnce(&mut Self) -> Result<(String, String, String), Why>,
        direction: Direction,
    ) -> Result<(), Why> {
        if role {
            return Err(Why::Unfit("role".to_owned()));
        }
        let subject = self.subject()?;
        self.conditions(|_| true)?;
        let (sql_text, name, words) = computed(self)?;
        let place = self.output(sql_text, &name);
        self.statement.order.push(format!("{place} {} NULLS LAST", sql(direction)));
        self.statement.order.extend((1..place).map(|each| format!("{each} ASC NULLS LAST")));
        self.limited();
        self.summary(format!("Ranks {subject} by {words}, {} first", word(direction)));
        Ok(())
    }

    /// Groups by what the question is about: a column ("which country") or a table.
    fn subject(&mut self) -> Result<String, Why> {
        if let Some(slot) = self.draft.free.first() {
            let chosen = self.statement.choose(slot)?;
            let (column, name) = (self.statement.column(&chosen), self.statement.words(&chosen));
            self.output(column.clone(), &name);
            self.statement.group.push(column);
            return Ok(name);
        }
        let table: TableRef = self.draft.tables.first().cloned().ok_or(Why::Nothing)?;
        if table.table == self.statement.base {
            return Err(Why::Unfit(self.statement.name_of(table.table)));
        }
        let (parts, name) = self.grouped_by(&table)?;
        self.statement.group.extend(parts);
        Ok(name)
    }

    /// Groups with so many rows of another table. Answers whether groups without any belong to the answer.
    pub(super) fn having(&mut self) -> Result<bool, Why> {
        let draft = self.draft;
        let Some((operator, number, counted)) = &draft.having else { return Err(Why::Nothing) };
        let none_fits =
            matches!(operator.as_str(), "<" | "<=") || (operator == "=" && number.parse() == Ok(0));
        let plain = draft.filters.is_empty() && draft.spans.is_empty() && draft.free.is_empty();
        if none_fits && !plain || counted.via.is_some() {
            return Err(Why::Unfit(format!("{operator} {number}")));
        }
        let subject = self.subject()?;
        self.conditions(|_| true)?;
        let base = self.statement.base;
        let key =
            self.context.schema.table(base).and_then(|table| table.position(table.primary_key.first()?));
        let count = match key.filter(|_| none_fits) {
            Some(column) => {
                let sql = self
                    .statement
                    .column(&Chosen { id: crate::schema::ColumnId { table: base, column }, way: Vec::new() });
                format!("count({sql})")
            }
            None if none_fits => return Err(Why::Unfit(format!("{operator} {number}"))),
            None => "count(*)".to_owned(),
        };
        let place = self.output(count.clone(), "count");
        let mark = self.statement.bind_number(number);
        self.statement.having = Some(format!("{count} {operator} {mark}"));
        let verb = if draft.ask == Ask::Count {
            self.statement.counted = true;
            "Counts"
        } else {
            self.statement.order.push(format!("{place} DESC NULLS LAST"));
            self.statement.order.extend((1..place).map(|each| format!("{each} ASC NULLS LAST")));
            "Lists"
        };
        let name = self.statement.name_of(base);
        self.summary(format!("{verb} {subject} with a number of {name} {operator} {number}"));
        Ok(none_fits)
    }

    /// The part of the rows that a condition holds for, or that each group has, in percent.
    pub(super) fn share(&mut self) -> Result<(), Why> {
        let draft = self.draft;
        if draft.having.is_some()
            || draft.metric.is_some()
            || draft.top.is_some()
            || !draft.ids.is_empty()
            || draft.aggregate.is_some()
            || draft.spans.iter().any(|span| span.part && span.slot.is_some())
        {
            return Err(Why::Unfit("share".to_owned()));
        }
        let groups = self.dimensions()?;
        let parts: Vec<_> = draft.filters.iter().filter(|filter| filter.part).collect();
        let timed = draft.dimensions.iter().any(|dimension| matches!(dimension, Dimension::Period(_)));
        if !draft.dimensions.is_empty() && draft.filters.iter().any(|filter| !filter.part) {
            return Err(Why::Ambiguous("share".to_owned()));
        }
        self.conditions(|filter| !filter.part)?;
        if parts.is_empty() {
            if draft.dimensions.is_empty() || timed {
                return Err(Why::Unfit("share".to_owned()));
            }
            self.output("CAST(count(*) AS DOUBLE) * 100 / sum(count(*)) OVER ()".to_owned(), "percent");
        } else {
            let mut conditions = Vec::new();
            for filter in parts {
                let (sql, words) = self.condition(filter)?;
                conditions.push(sql);
                self.assume(format!("the part is what has {words}"));
            }
            let holds = conditions.join(" AND ");
            self.output(
                format!("CAST(count(CASE WHEN {holds} THEN 1 END) AS DOUBLE) * 100 / NULLIF(count(*), 0)"),
                "percent",
            );
        }
        self.group_order(&groups);
        let name = self.statement.name_of(self.statement.base);
        self.summary(format!("Takes the share of {name} in percent{}", groups.words()));
        Ok(())
    }
}

fn sql(direction: Direction) -> &'static str {
    if direction == Direction::Desc { "DESC" } else { "ASC" }
}

fn word(direction: Direction) -> &'static str {
    if direction == Direction::Desc { "greatest" } else { "least" }
}
