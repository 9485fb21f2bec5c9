//! Tables, columns and values, and what "not" makes of them.

use super::Reader;
use crate::draft::{Ask, Slot, Span, Test, Why};
use crate::items::{Item, Mark};
use crate::lexicon::{ColumnRef, NAME, TableRef};
use crate::schema::{ColumnId, Kind};
use crate::values::Hit;

impl Reader<'_> {
    /// An item that is no phrase of the vocabulary.
    pub(super) fn noun(&mut self, at: usize, item: &Item) -> Result<usize, Why> {
        if item.act && item.tables.is_empty() && item.columns.is_empty() {
            return Ok(at + 1);
        }
        if let Some((slot, next)) =
            self.column_of(at, item).filter(|(slot, next)| *next > at + 1 && self.joins_on(slot, *next))
        {
            if let Some(table) = self.table(item)? {
                self.mention(table, item);
            }
            return self.column(next, slot, false);
        }
        if let Some(table) = self.table(item)? {
            return self.entity(at, item, table);
        }
        let next = self.items.get(at + 1).and_then(|next| next.mark.as_ref());
        let is_date = self.is_dated(item);
        // "Opened and closed in May": both in May?
        if is_date
            && matches!(next, Some(Mark::And | Mark::Or))
            && self.items.get(at + 2).is_some_and(|other| other.mark.is_none() && self.is_dated(other))
        {
            return Err(Why::Unfit(item.text.clone()));
        }
        let dated = is_date && matches!(next, Some(Mark::Span(_) | Mark::Period(_)));
        if !item.values.is_empty() && !dated {
            return self.value(at, item, None, false);
        }
        let slot = Slot { columns: item.columns.clone(), words: item.text.clone() };
        self.column(at + 1, slot, item.denied)
    }

    /// Whether an item is the name of a date.
    fn is_dated(&self, item: &Item) -> bool {
        item.columns
            .iter()
            .any(|named| named.weight == NAME && self.kind(named).is_some_and(|column| column.kind.is_time()))
    }

    /// Whether a table and a column of it are one phrase: not where the column is a condition of its own ("students grade 7").
    fn joins_on(&self, slot: &Slot, next: usize) -> bool {
        let number = matches!(
            self.items.get(next).and_then(|item| item.mark.as_ref()),
            Some(Mark::Number(_) | Mark::Compare(..) | Mark::Span(_))
        );
        let fact = slot.columns.iter().all(|named| {
            self.kind(named).is_some_and(|column| column.kind.is_time() || column.kind == Kind::Boolean)
        });
        !number && !fact
    }

    fn mention(&mut self, table: TableRef, item: &Item) {
        if self.draft.tables.is_empty() {
            self.draft.plural = item.plural;
        }
        if !self.draft.tables.iter().any(|known| known.table == table.table && known.via == table.via) {
            self.draft.tables.push(table);
        }
    }

    /// A table: what is asked for, what is counted, or one row of it ("patient 42").
    fn entity(&mut self, at: usize, item: &Item, table: TableRef) -> Result<usize, Why> {
        // "How many orders and customers": one of them would be passed over in silence.
        if self.is_second(at) {
            return Err(Why::Unfit(item.text.clone()));
        }
        if let Some(direction) = self.most.take() {
            self.draft.metric = Some((crate::draft::Metric::CountOf(table), direction));
            return Ok(at + 1);
        }
        let number = self.items.get(at + 1).and_then(|next| match &next.mark {
            Some(Mark::Number(number)) => Some(number.clone()),
            _ => None,
        });
        let unit = self.items.get(at + 2).is_some_and(|after| matches!(after.mark, Some(Mark::Unit(_))));
        // Where numbers stand behind their noun, it is how many, not which.
        let counts = self.vocabulary.has("grammar", "number behind noun");
        if let Some(number) = number.filter(|number| {
            !unit && !counts && !item.plural && number.bytes().all(|digit| digit.is_ascii_digit())
        }) {
            self.mention(table.clone(), item);
            self.draft.ids.push((table, number));
            return Ok(at + 2);
        }
        self.mention(table, item);
        Ok(at + 1)
    }

    /// Whether an "and" ties what stands at a place to a table before it.
    fn is_second(&self, at: usize) -> bool {
        let mut before = self
            .items
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .filter(|item| !matches!(item.mark, Some(Mark::Ignore)));
        before.next().is_some_and(|item| matches!(item.mark, Some(Mark::And)))
            && before.next().is_some_and(|item| item.mark.is_none() && !item.tables.is_empty())
    }

    /// "Accounts created in May": of the dates of several tables, that of the table named just before.
    fn of_table_before(&self, next: usize, slot: Slot) -> Slot {
        let before = next.checked_sub(1).and_then(|at| self.before(at)).filter(|item| item.mark.is_none());
        let Some(before) = before else { return slot };
        let is_time = |named: &ColumnRef| self.kind(named).is_some_and(|column| column.kind.is_time());
        let own: Vec<ColumnRef> = slot
            .columns
            .iter()
            .filter(|named| before.tables.iter().any(|table| table.table == named.column.table))
            .cloned()
            .collect();
        if own.is_empty() || !slot.columns.iter().all(is_time) { slot } else { Slot { columns: own, ..slot } }
    }

    /// Whether a span of time comes next.
    fn is_spanned(&self, next: usize) -> bool {
        matches!(self.next(next).and_then(|(_, item)| item.mark.as_ref()), Some(Mark::Span(_)))
    }

    /// Whether a unit of time stands right behind a date that is asked for nothing else.
    fn is_of_period(&self, next: usize, slot: &Slot) -> bool {
        let follows = matches!(self.items.get(next).map(|item| &item.mark), Some(Some(Mark::Period(_))));
        let is_measure = self.draft.aggregate.is_some() && self.draft.measure.is_none();
        follows && !is_measure && self.is_date(slot)
    }

    /// Only the dates, or else only what holds years.
    fn time_of(&self, slot: &Slot) -> Slot {
        let timed = self.only(slot.clone(), Kind::is_time);
        if timed.columns.is_empty() {
            return self.years(self.only(slot.clone(), |kind| kind == Kind::Integer));
        }
        timed
    }

    /// A column: what follows it decides.
    pub(super) fn column(&mut self, next: usize, slot: Slot, denied: bool) -> Result<usize, Why> {
        let slot = self.of_table_before(next, slot);
        // "Unpaid in May": not paid then, or of May and never paid?
        if denied && self.is_spanned(next) {
            return Err(Why::Unfit(slot.words));
        }
        // "Closed per week": the weeks in which they were.
        if !denied && self.is_of_period(next, &slot) {
            self.dated(slot)?;
            return Ok(next);
        }
        let numeric =
            slot.columns.iter().any(|named| self.kind(named).is_some_and(|column| column.kind.is_number()));
        let follower = self.next(next);
        match follower.map(|(place, item)| (place, item, item.mark.as_ref())) {
            Some((place, item, Some(Mark::Compare(operator, names)))) if numeric && names.is_empty() => {
                return self.compare(place, item, Some(slot), operator, names);
            }
            Some((place, _, Some(Mark::Number(number))))
                if numeric && !self.counts(place + 1) && !self.may_be_year(&slot, number) =>
            {
                let slot = self.only(slot, Kind::is_number);
                self.filter(slot, Test::Compare("=".to_owned(), number.clone()), false);
                return Ok(place + 1);
            }
            Some((place, item, Some(Mark::Span(range)))) if place == next || !numeric => {
                if let Some((low, high)) = numbers(&item.text).filter(|_| numeric) {
                    let slot = self.only(slot, Kind::is_number);
                    self.filter(slot, Test::Between(low, high), false);
                    return Ok(place + 1);
                }
                let timed = self.time_of(&slot);
                if !timed.columns.is_empty() {
                    self.whole_story(&timed)?;
                    self.draft.spans.push(Span {
                        range: *range,
                        slot: Some(timed),
                        part: self.part,
                        words: item.text.clone(),
                    });
                    return Ok(place + 1);
                }
            }
            Some((place, item, None)) if !item.values.is_empty() && item.tables.is_empty() => {
                let shared = shared(&slot.columns, &item.values);
                if !shared.is_empty() {
                    return self.value(place, item, Some(shared), false);
                }
            }
            _ => {}
        }
        self.bare_column(next, slot, denied)
    }

    /// Only columns that hold years.
    fn years(&self, slot: Slot) -> Slot {
        let columns = slot
            .columns
            .into_iter()
            .filter(|named| {
                self.kind(named)
                    .is_some_and(|column| crate::words::name(&column.name).iter().any(|word| word == "year"))
            })
            .collect();
        Slot { columns, ..slot }
    }

    /// "Logged in yesterday" is not what a column "last login" knows.
    pub(super) fn whole_story(&self, slot: &Slot) -> Result<(), Why> {
        let asked = slot.words.to_lowercase();
        let partial =
            |word: &String| self.vocabulary.has("one of many", word) && !asked.contains(word.as_str());
        let names = slot.columns.iter().filter_map(|named| self.kind(named));
        match names.flat_map(|column| crate::words::name(&column.name)).any(|word| partial(&word)) {
            true => Err(Why::Ambiguous(slot.words.clone())),
            false => Ok(()),
        }
    }

    /// "Total 2024": a year as likely as an amount.
    fn may_be_year(&self, slot: &Slot, number: &str) -> bool {
        let year = number.len() == 4 && number.parse::<u32>().is_ok_and(|year| (1900..=2100).contains(&year));
        year && self.years(slot.clone()).columns.is_empty()
    }

    /// Whether what comes next is counted or compared, so that a number before it is not a column's.
    fn counts(&self, at: usize) -> bool {
        self.next(at).is_some_and(|(_, item)| matches!(item.mark, Some(Mark::CompareAfter(_))))
    }

    /// A column that nothing is compared with: a measure, a fact, or a column to show or group by.
    fn bare_column(&mut self, next: usize, slot: Slot, denied: bool) -> Result<usize, Why> {
        let kind = |reader: &Self, fits: fn(Kind) -> bool| {
            slot.columns.iter().any(|named| reader.kind(named).is_some_and(|column| fits(column.kind)))
        };
        if let Some(direction) = self.most.take() {
            self.draft.metric =
                Some((crate::draft::Metric::Extreme(self.only(slot, Kind::is_number)), direction));
            return Ok(next);
        }
        if kind(self, Kind::is_number) && !matches!(self.draft.ask, Ask::Distinct) {
            let slot = self.only(slot, Kind::is_number);
            return match &self.draft.measure {
                // "Orders with a discount" asks for a condition that is not said.
                None if self.draft.ask == Ask::Rows
                    && !(self.had(next) && self.draft.aggregate.is_none()) =>
                {
                    self.draft.measure = Some(slot);
                    Ok(next)
                }
                _ => Err(Why::Unfit(slot.words)),
            };
        }
        if kind(self, |kind| kind == Kind::Boolean) {
            let slot = self.only(slot, |kind| kind == Kind::Boolean);
            self.filter(slot, if denied { Test::False } else { Test::True }, false);
            return Ok(next);
        }
        if kind(self, Kind::is_time) && self.draft.ask != Ask::Distinct {
            return self.fact(next, slot, denied);
        }
        self.draft.free.push(slot);
        Ok(next)
    }

    /// Whether the column that ends before this place stands behind "with" or "have", and behind what it describes.
    fn had(&self, next: usize) -> bool {
        let before = self.items.get(..next.saturating_sub(1)).unwrap_or_default().iter().rev();
        let mark = before.map(|item| item.mark.as_ref()).find(|mark| !matches!(mark, Some(Mark::Ignore)));
        matches!(mark, Some(Some(Mark::With))) && !self.draft.tables.is_empty()
    }

    /// A date without a span: whether it is there, or, of one row, to be shown.
    fn fact(&mut self, next: usize, slot: Slot, denied: bool) -> Result<usize, Why> {
        let slot = self.only(slot, Kind::is_time);
        let of_row =
            self.next(next).is_some_and(|(_, item)| !item.tables.is_empty() || !item.values.is_empty());
        if self.draft.aggregate.is_some() && self.draft.measure.is_none() && !denied {
            self.draft.measure = Some(slot);
        } else if self.draft.which && self.draft.tables.is_empty() && of_row && !denied {
            self.draft.free.push(slot);
        } else {
            self.filter(slot, if denied { Test::Null } else { Test::NotNull }, false);
        }
        Ok(next)
    }

    /// One value, or several of one column ("Berlin or Munich").
    pub(super) fn value(
        &mut self,
        at: usize,
        item: &Item,
        within: Option<Vec<ColumnRef>>,
        negated: bool,
    ) -> Result<usize, Why> {
        let columns = |hits: &[Hit]| -> Vec<ColumnId> { hits.iter().map(|hit| hit.column).collect() };
        let allowed: Option<Vec<ColumnId>> =
            within.map(|columns| columns.iter().map(|named| named.column).collect());
        let mut hits: Vec<Hit> = item
            .values
            .iter()
            .filter(|hit| allowed.as_ref().is_none_or(|allowed| allowed.contains(&hit.column)))
            .cloned()
            .collect();
        let (mut next, mut words) = (at + 1, item.text.clone());
        while let Some((place, further)) = self.further_value(next) {
            let more: Vec<Hit> =
                further.values.iter().filter(|hit| columns(&hits).contains(&hit.column)).cloned().collect();
            if more.is_empty() {
                break;
            }
            let kept = columns(&more);
            hits.retain(|hit| kept.contains(&hit.column));
            hits.extend(more);
            words = format!("{words}, {}", further.text);
            next = place + 1;
        }
        // "East building": the column's name behind its value.
        if let Some((place, follower)) =
            self.next(next).filter(|(place, _)| allowed.is_none() && *place == next)
        {
            let kept: Vec<ColumnId> =
                shared(&follower.columns, &hits).iter().map(|named| named.column).collect();
            if !kept.is_empty() && follower.mark.is_none() && follower.tables.is_empty() {
                hits.retain(|hit| kept.contains(&hit.column));
                next = place + 1;
            }
        }
        let mut ids: Vec<ColumnId> = columns(&hits);
        ids.sort();
        ids.dedup();
        let slot = Slot {
            columns: ids.into_iter().map(|column| ColumnRef { column, weight: NAME }).collect(),
            words,
        };
        let test = Test::Values(hits.into_iter().map(|hit| (hit.column, hit.value)).collect());
        self.filter(slot, test, negated);
        if let Some(filter) = self.draft.filters.last_mut() {
            filter.noun = item.plural;
        }
        Ok(next)
    }

    /// A further value of a list. Other words between two of them are none: "from Germany to France".
    fn further_value(&self, at: usize) -> Option<(usize, &Item)> {
        let first = self.items.get(at)?;
        let tied = matches!(first.mark, Some(Mark::Or | Mark::And));
        let (place, item) = if tied { self.next(at + 1)? } else { (at, first) };
        (!item.values.is_empty() && item.mark.is_none() && item.tables.is_empty()).then_some((place, item))
    }

    /// What "not", "no" or "without" denies.
    pub(super) fn not(&mut self, at: usize, item: &Item) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        let (place, denied) = self.next(at + 1).ok_or_else(unfit)?;
        if matches!(denied.mark, Some(Mark::By)) {
            return self.not(place, item);
        }
        if denied.mark.is_some() && denied.tables.is_empty() && denied.columns.is_empty() {
            return Err(unfit());
        }
        if !denied.tables.is_empty() {
            let table = self.table(denied)?.ok_or_else(unfit)?;
            self.draft.without.push(table);
            return Ok(place + 1);
        }
        let follows = self
            .next(place + 1)
            .filter(|(_, follower)| !follower.tables.is_empty() && follower.mark.is_none());
        if let Some((_, follower)) = follows
            && let Some(table) = self.between(denied, follower)?
        {
            self.draft.without.push(table);
            return self.next(place + 1).map(|(place, _)| place + 1).ok_or_else(unfit);
        }
        // "Not delivered in May": not then, or of May and never delivered?
        let timed =
            denied.columns.iter().any(|named| self.kind(named).is_some_and(|column| column.kind.is_time()));
        if timed && self.is_spanned(place + 1) {
            return Err(Why::Unfit(denied.text.clone()));
        }
        if !denied.values.is_empty() {
            return self.value(place, denied, None, true);
        }
        self.not_column(place, denied)
    }

    fn not_column(&mut self, place: usize, denied: &Item) -> Result<usize, Why> {
        let slot = Slot { columns: denied.columns.clone(), words: denied.text.clone() };
        let subject = self.draft.tables.first().map(|table| table.table);
        let elsewhere =
            !slot.columns.is_empty() && slot.columns.iter().all(|named| Some(named.column.table) != subject);
        let timed = self.only(slot.clone(), Kind::is_time);
        if !timed.columns.is_empty() {
            // "Never ordered": the rows of the table that has the date.
            if let ([one], true, true) = (timed.columns.as_slice(), elsewhere, subject.is_some()) {
                // Where rows may lack the date ("never logged in"), no row is one thing and rows without it another.
                let tells =
                    self.schema.table(one.column.table).is_some_and(crate::schema::Table::tells_nulls);
                if tells && self.kind(one).is_some_and(|column| column.nullable) {
                    return Err(Why::Unfit(slot.words));
                }
                self.draft.without.push(TableRef { table: one.column.table, via: None, weight: NAME });
            } else {
                self.filter(timed, if denied.denied { Test::NotNull } else { Test::Null }, false);
            }
            return Ok(place + 1);
        }
        let facts = self.only(slot.clone(), |kind| kind == Kind::Boolean);
        if !facts.columns.is_empty() {
            self.filter(facts, Test::False, denied.denied);
            return Ok(place + 1);
        }
        let shown = self.only(slot.clone(), |_| true);
        let nullable =
            shown.columns.iter().all(|named| self.kind(named).is_some_and(|column| column.nullable));
        let valued = self.next(place + 1).is_some_and(|(_, item)| {
            matches!(item.mark, Some(Mark::Number(_) | Mark::Compare(..))) || !item.values.is_empty()
        });
        if !nullable || valued {
            return Err(Why::Unfit(slot.words));
        }
        self.filter(shown, Test::Null, false);
        Ok(place + 1)
    }

    /// "Not enrolled in any course": the table named like the verb that ties the subject to the other.
    fn between(&self, verb: &Item, other: &Item) -> Result<Option<TableRef>, Why> {
        let (Some(subject), Some(other)) = (self.draft.tables.first(), self.table(other)?) else {
            return Ok(None);
        };
        let Some(stem) =
            verb.text.to_lowercase().strip_suffix("ed").map(str::to_owned).filter(|stem| stem.len() > 3)
        else {
            return Ok(None);
        };
        let refers = |at: usize, to: usize| {
            let keys = self.schema.table(at).map(|table| table.foreign_keys.as_slice()).unwrap_or_default();
            keys.iter().any(|key| self.schema.find(&key.table) == Some(to))
        };
        let mut found = (0..self.schema.tables.len()).filter(|at| {
            let name = self.schema.table(*at).map(|table| table.name().to_lowercase()).unwrap_or_default();
            name.starts_with(&stem) && refers(*at, subject.table) && refers(*at, other.table)
        });
        match (found.next(), found.next()) {
            (Some(table), None) => Ok(Some(TableRef { table, via: None, weight: NAME })),
            _ => Ok(None),
        }
    }
}

/// The columns that a value stands in.
fn shared(columns: &[ColumnRef], hits: &[Hit]) -> Vec<ColumnRef> {
    columns.iter().filter(|named| hits.iter().any(|hit| hit.column == named.column)).cloned().collect()
}

/// The two numbers of "between 1900 and 2000", which may be years and, behind a column of numbers, are not.
fn numbers(text: &str) -> Option<(String, String)> {
    let words = crate::words::split(text);
    match words.as_slice() {
        [_, low, _, high] if low.parse::<i32>().is_ok() && high.parse::<i32>().is_ok() => {
            Some((low.clone(), high.clone()))
        }
        _ => None,
    }
}
