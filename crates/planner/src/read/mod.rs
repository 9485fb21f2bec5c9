//! Reads items from left to right into a draft. Every item is used or the question is refused: nothing is passed over in silence.

mod compare;
mod nouns;
mod periods;
mod rank;

use crate::draft::{Ask, Dimension, Draft, Filter, Slot, Span, Test, Why};
use crate::items::{Direction, Item, Mark};
use crate::lexicon::{ColumnRef, Lexicon, TableRef};
use crate::schema::{Column, Kind, Schema};
use crate::vocabulary::Vocabulary;

/// Reads one question.
pub(crate) struct Reader<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) lexicon: &'a Lexicon,
    items: &'a [Item],
    draft: Draft,
    /// "Most": the next table is counted.
    most: Option<Direction>,
    /// A "that are" stood before.
    part: bool,
}

impl<'a> Reader<'a> {
    /// A reader of these items.
    pub(crate) fn new(
        schema: &'a Schema,
        vocabulary: &'a Vocabulary,
        lexicon: &'a Lexicon,
        items: &'a [Item],
    ) -> Self {
        Self { schema, vocabulary, lexicon, items, draft: Draft::default(), most: None, part: false }
    }

    /// Reads all items.
    pub(crate) fn read(mut self) -> Result<Draft, Why> {
        let unknown: Vec<String> =
            self.items.iter().filter(|item| item.is_unknown()).map(|item| item.text.clone()).collect();
        if !unknown.is_empty() {
            return Err(Why::Unknown(unknown));
        }
        self.draft.which = self.items.iter().take(2).any(|item| matches!(item.mark, Some(Mark::Which)));
        let mut at = 0;
        while let Some(item) = self.items.get(at) {
            if let Some(corrected) = &item.corrected {
                self.draft.assumptions.push(format!("\"{}\" was read as \"{corrected}\"", item.text));
            }
            at = self.step(at, item)?;
        }
        match self.most {
            Some(_) => Err(Why::Unfit("most".to_owned())),
            None => {
                self.size();
                Ok(self.draft)
            }
        }
    }

    /// Uses the item at a place; answers the place of the next.
    fn step(&mut self, at: usize, item: &Item) -> Result<usize, Why> {
        let Some(mark) = &item.mark else { return self.noun(at, item) };
        match mark {
            Mark::Copula => self.part = self.part || !self.draft.tables.is_empty(),
            Mark::Ignore | Mark::With | Mark::Which | Mark::Did | Mark::Any | Mark::And => {
                if !item.columns.is_empty() || !item.tables.is_empty() {
                    return self.noun(at, item);
                }
                self.bound_share(item)?;
            }
            Mark::New if item.values.is_empty() => self.draft.new = true,
            Mark::Count => return self.count(at),
            Mark::CountAfter => self.count_before(at, item)?,
            Mark::CountDistinct => self.asks(Ask::Distinct, item)?,
            Mark::Share => self.asks(Ask::Share, item)?,
            Mark::Aggregate(aggregate) => return self.aggregate(at, item, *aggregate),
            Mark::Superlative(direction) => return self.superlative(at, item, *direction),
            Mark::Most(direction) => return self.mosts(at, *direction),
            Mark::Common(direction) => return self.common(at, item, *direction),
            Mark::Top(direction) => self.draft.top = Some(*direction),
            Mark::Measured(direction, names) => return self.measured(at, item, *direction, names),
            Mark::Compare(operator, names) => return self.compare(at, item, None, operator, names),
            Mark::Number(number) => return self.number(at, item, number),
            Mark::Unit(unit) => self.draft.units.push(unit.clone()),
            Mark::By => return self.by(at),
            Mark::Each => return self.each(at, item),
            Mark::Period(unit) => return self.period(at, item, *unit),
            Mark::Span(range) => self.draft.spans.push(Span {
                range: *range,
                slot: None,
                part: self.part,
                words: item.text.clone(),
            }),
            Mark::Not => return self.not(at, item),
            Mark::Or | Mark::New | Mark::CompareAfter(_) => return Err(Why::Unfit(item.text.clone())),
        }
        Ok(at + 1)
    }

    /// The place and item of the next one from here that carries something.
    fn next(&self, mut at: usize) -> Option<(usize, &'a Item)> {
        while let Some(item) = self.items.get(at) {
            if !item.is_soft() {
                return Some((at, item));
            }
            at += 1;
        }
        None
    }

    /// The item before that carries something.
    fn before(&self, at: usize) -> Option<&'a Item> {
        self.items.get(..at)?.iter().rev().find(|item| !item.is_soft())
    }

    /// "How many": of a table, or of a column that holds numbers ("number of seats").
    fn count(&mut self, at: usize) -> Result<usize, Why> {
        if let Some((place, item)) = self.next(at + 1)
            && item.tables.is_empty()
            && item.mark.is_none()
            && self.is_measure(item)
        {
            if self.draft.aggregate.is_none() && !self.is_additive(&item.text) {
                return Err(Why::Ambiguous(item.text.clone()));
            }
            self.draft.aggregate.get_or_insert(crate::items::Aggregate::Sum);
            return self.noun(place, item);
        }
        if self.draft.aggregate.is_some() || self.draft.ask != Ask::Rows {
            return Err(Why::Unfit("number of".to_owned()));
        }
        self.draft.ask = Ask::Count;
        Ok(at + 1)
    }

    /// What is asked is said once: "how many in Berlin and how many in Munich" are two questions.
    fn asks(&mut self, ask: Ask, item: &Item) -> Result<(), Why> {
        if self.draft.ask != Ask::Rows {
            return Err(Why::Unfit(item.text.clone()));
        }
        self.draft.ask = ask;
        Ok(())
    }

    /// "Returned in Germany": what a preposition adds behind the part of a share says of which rows it is the part. Where another table
    /// stands between ("returned by customers in Germany"), it may as well belong to the part.
    fn bound_share(&mut self, item: &Item) -> Result<(), Why> {
        let has_part = self.part && self.draft.filters.iter().any(|filter| filter.part);
        if self.draft.ask != Ask::Share
            || !has_part
            || !self.vocabulary.has("bound", &item.text.to_lowercase())
        {
            return Ok(());
        }
        let subject = self.draft.tables.first().map(|table| table.table);
        if self.draft.tables.iter().any(|table| Some(table.table) != subject) {
            return Err(Why::Ambiguous("share".to_owned()));
        }
        self.part = false;
        Ok(())
    }

    /// "How many" behind its noun, where a language has it there: of the only table so far. What comes next is not what is counted.
    fn count_before(&mut self, at: usize, item: &Item) -> Result<(), Why> {
        let is_table = self.before(at).is_some_and(|noun| noun.mark.is_none() && !noun.tables.is_empty());
        if !is_table
            || self.draft.tables.len() != 1
            || self.draft.aggregate.is_some()
            || self.draft.ask != Ask::Rows
        {
            return Err(Why::Unfit(item.text.clone()));
        }
        self.draft.ask = Ask::Count;
        Ok(())
    }

    /// "Total" and the like, unless it is the name of a column here.
    fn aggregate(
        &mut self,
        at: usize,
        item: &Item,
        aggregate: crate::items::Aggregate,
    ) -> Result<usize, Why> {
        let follows = self.measure_follows(at + 1);
        if !item.columns.is_empty() && !follows {
            // "Total orders": their number, or the sum of a column of that name?
            if self.next(at + 1).is_some_and(|(_, next)| next.mark.is_none() && !next.tables.is_empty()) {
                return Err(Why::Ambiguous(item.text.clone()));
            }
            return self.noun(at, item);
        }
        if self.draft.aggregate.is_some() || self.draft.ask != Ask::Rows {
            return Err(Why::Unfit(item.text.clone()));
        }
        self.draft.aggregate = Some(aggregate);
        Ok(at + 1)
    }

    /// Whether a measure, perhaps behind its table or a value, comes next.
    fn measure_follows(&self, from: usize) -> bool {
        let mut at = from;
        for _ in 0..4 {
            let Some((place, item)) = self.next(at) else { return false };
            if self.is_measure(item) && !matches!(item.mark, Some(Mark::By))
                || matches!(item.mark, Some(Mark::Count))
            {
                return true;
            }
            if item.mark.is_some() {
                return false;
            }
            at = place + 1;
        }
        false
    }

    fn each(&mut self, at: usize, item: &Item) -> Result<usize, Why> {
        let (place, noun) = self.next(at + 1).ok_or_else(|| Why::Unfit(item.text.clone()))?;
        let (dimension, next) = self.dimension(place, noun)?;
        self.draft.dimensions.push(dimension);
        Ok(next)
    }

    /// "By", "per": dimensions, or the measure of a "top".
    fn by(&mut self, at: usize) -> Result<usize, Why> {
        let mut place = at + 1;
        let ranked = (self.draft.top.is_some() || self.draft.limit.is_some()) && self.draft.metric.is_none();
        if ranked {
            return self.rank_by(place);
        }
        if let Some(next) = self.by_date(at)? {
            return Ok(next);
        }
        loop {
            let (found, item) = self.next(place).ok_or_else(|| Why::Unfit("by".to_owned()))?;
            let (dimension, next) = self.dimension(found, item)?;
            if matches!(dimension, Dimension::Table(_)) && (self.is_agent(at) || self.is_told(item, next)) {
                return Err(Why::Ambiguous(item.text.clone()));
            }
            self.draft.dimensions.push(dimension);
            place = next;
            // A further one follows "and" or a comma, if it is a noun that no value or comparison follows.
            let and = matches!(
                self.items.get(place).and_then(|item| item.mark.as_ref()),
                Some(Mark::And | Mark::By)
            );
            let Some((further, item)) = self.next(place + usize::from(and)) else { return Ok(place) };
            let noun = item.mark.is_none()
                && item.values.is_empty()
                && (!item.tables.is_empty() || !item.columns.is_empty());
            if !and || !noun {
                return Ok(place);
            }
            place = further;
        }
    }

    /// Whether a "by" at a place names who did it ("paid by"), not a group. "Per" never does.
    fn is_agent(&self, at: usize) -> bool {
        let before = at
            .checked_sub(1)
            .and_then(|before| self.items.get(before))
            .map(|item| item.text.to_lowercase())
            .unwrap_or_default();
        self.vocabulary.phrases("agent ending").iter().any(|ending| before.ends_with(ending.as_str()))
    }

    /// "Orders by customers from Italy": those who did it, where what follows says which of them.
    fn is_told(&self, item: &Item, next: usize) -> bool {
        let rest = self.items.get(next..).unwrap_or_default();
        let records = self.draft.aggregate.is_none() && self.draft.measure.is_none();
        let follower = rest.iter().find(|each| !matches!(each.mark, Some(Mark::Ignore)));
        records
            && item.plural
            && follower.is_some_and(|each| match each.mark {
                Some(Mark::Which | Mark::Copula | Mark::With) => true,
                Some(_) => false,
                None => !each.values.is_empty(),
            })
    }

    fn dimension(&self, at: usize, item: &Item) -> Result<(Dimension, usize), Why> {
        if let Some(Mark::Period(unit)) = item.mark {
            return Ok((Dimension::Period(unit), at + 1));
        }
        if item.mark.is_some() && item.columns.is_empty() && item.tables.is_empty() {
            return Err(Why::Unfit(item.text.clone()));
        }
        if let Some((slot, next)) = self.column_of(at, item) {
            return Ok((Dimension::Column(slot), next));
        }
        match self.table(item)? {
            Some(table) => Ok((Dimension::Table(table), at + 1)),
            None => Err(Why::Unfit(item.text.clone())),
        }
    }

    /// The one table that an item names.
    fn table(&self, item: &Item) -> Result<Option<TableRef>, Why> {
        let Some(least) = item.tables.iter().map(|each| each.weight).min() else { return Ok(None) };
        let mut best = item.tables.iter().filter(|each| each.weight == least);
        match (best.next(), best.next()) {
            (Some(one), None) => Ok(Some(one.clone())),
            _ => Err(Why::Ambiguous(item.text.clone())),
        }
    }

    /// A column, alone or behind its table ("order total").
    fn column_of(&self, at: usize, item: &Item) -> Option<(Slot, usize)> {
        let slot = |columns: Vec<ColumnRef>, words: String| Slot { columns, words };
        if item.tables.is_empty() && !item.columns.is_empty() {
            return Some((slot(item.columns.clone(), item.text.clone()), at + 1));
        }
        let (place, next) = (at + 1, self.items.get(at + 1)?);
        if next.mark.is_some() && !matches!(next.mark, Some(Mark::Aggregate(_))) || !next.tables.is_empty() {
            return None;
        }
        let own: Vec<ColumnRef> = next
            .columns
            .iter()
            .filter(|column| item.tables.iter().any(|table| table.table == column.column.table))
            .cloned()
            .collect();
        (!own.is_empty()).then(|| (slot(own, format!("{} {}", item.text, next.text)), place + 1))
    }

    fn kind(&self, named: &ColumnRef) -> Option<&'a Column> {
        self.schema.column(named.column)
    }

    fn any(&self, item: &Item, fits: impl Fn(&Column) -> bool) -> bool {
        item.columns.iter().any(|named| self.kind(named).is_some_and(&fits))
    }

    fn is_measure(&self, item: &Item) -> bool {
        self.any(item, |column| column.kind.is_number())
    }

    /// The slot with only the columns that fit.
    fn only(&self, slot: Slot, fits: impl Fn(Kind) -> bool) -> Slot {
        let columns = slot
            .columns
            .into_iter()
            .filter(|named| self.kind(named).is_some_and(|column| fits(column.kind)))
            .collect();
        Slot { columns, ..slot }
    }

    /// Whether a phrase names something that adds up.
    pub(crate) fn is_additive(&self, phrase: &str) -> bool {
        is_additive(self.vocabulary, phrase)
    }

    fn filter(&mut self, slot: Slot, test: Test, negated: bool) {
        self.draft.filters.push(Filter { slot, test, negated, part: self.part, noun: false });
    }
}

/// Whether a phrase names something that adds up.
pub(crate) fn is_additive(vocabulary: &Vocabulary, phrase: &str) -> bool {
    crate::words::split(phrase)
        .iter()
        .any(|word| vocabulary.has("additive", &vocabulary.singular(&word.to_lowercase())))
}
