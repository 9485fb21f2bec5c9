//! Superlatives and top lists.

use super::Reader;
use crate::draft::{Ask, Metric, Slot, Why};
use crate::items::{Aggregate, Direction, Item, Mark};
use crate::lexicon::{ColumnRef, NAME};
use crate::schema::{ColumnId, Kind};

impl Reader<'_> {
    /// "Highest", "lowest": of a column, or the end of a list that "by" will order.
    pub(super) fn superlative(&mut self, at: usize, item: &Item, direction: Direction) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        let (place, next) = self.next(at + 1).ok_or_else(unfit)?;
        let subject = !self.draft.tables.is_empty() || !self.draft.free.is_empty();
        if let Some(Mark::Aggregate(aggregate)) = next.mark
            && self.measure_follows(place + 1)
        {
            let (further, measure) = self.next(place + 1).ok_or_else(unfit)?;
            let (slot, end) = self.column_of(further, measure).ok_or_else(unfit)?;
            if !subject || self.draft.metric.is_some() {
                return Err(unfit());
            }
            self.draft.metric =
                Some((Metric::Aggregate(aggregate, self.only(slot, Kind::is_number)), direction));
            return Ok(end);
        }
        let sized = !subject && self.vocabulary.has("size", &item.text.to_lowercase());
        if let Some(Mark::Number(_)) = next.mark {
            (self.draft.top, self.draft.sized) = (Some(direction), sized);
            return Ok(at + 1);
        }
        if let Some((slot, end)) = self.column_of(place, next).filter(|(slot, _)| self.is_ordered(slot)) {
            let slot = self.only(slot, |kind| kind.is_number() || kind.is_time());
            if subject {
                if self.draft.metric.is_some() {
                    return Err(unfit());
                }
                self.draft.metric = Some((Metric::Extreme(slot), direction));
            } else {
                if self.draft.aggregate.is_some()
                    || self.draft.measure.is_some()
                    || self.draft.ask != Ask::Rows
                {
                    return Err(unfit());
                }
                // "Highest salary teacher" asks for who has it.
                let names_row = |after: &Item| after.mark.is_none() && !after.tables.is_empty();
                if self.draft.metric.is_none() && self.items.get(end).is_some_and(names_row) {
                    self.draft.metric = Some((Metric::Extreme(slot), direction));
                    return Ok(end);
                }
                self.draft.aggregate =
                    Some(if direction == Direction::Desc { Aggregate::Max } else { Aggregate::Min });
                self.draft.measure = Some(slot);
            }
            return Ok(end);
        }
        if self.draft.top.is_some() || next.tables.is_empty() {
            return Err(unfit());
        }
        (self.draft.top, self.draft.sized) = (Some(direction), sized);
        Ok(at + 1)
    }

    /// "Largest order": the record of the greatest amount, where its table has one. Of several amounts none is guessed.
    pub(super) fn size(&mut self) {
        let draft = &self.draft;
        let (Some(direction), true, true) = (draft.top, draft.sized, draft.metric.is_none()) else { return };
        let plain = draft.ask == Ask::Rows
            && draft.aggregate.is_none()
            && draft.measure.is_none()
            && draft.having.is_none()
            && draft.free.is_empty()
            && draft.dimensions.is_empty();
        let table =
            draft.tables.first().filter(|table| plain && table.via.is_none()).map(|table| table.table);
        let Some((column, words)) = table.and_then(|table| self.amount(table)) else { return };
        self.draft.assumptions.push(format!("the size is {words}"));
        let slot = Slot { columns: vec![ColumnRef { column, weight: NAME }], words };
        self.draft.metric = Some((Metric::Extreme(slot), direction));
    }

    /// The only amount of a table whose rows lie in time, and its name.
    fn amount(&self, table: usize) -> Option<(ColumnId, String)> {
        let found = self.schema.table(table)?;
        let mut amounts = found.columns.iter().enumerate().filter(|(_, column)| {
            let name = crate::words::name(&column.name).join(" ");
            column.kind.is_number() && !found.is_key(&column.name) && self.is_additive(&name)
        });
        let (Some((place, amount)), None) = (amounts.next(), amounts.next()) else { return None };
        let names = crate::words::name_lemmas(&amount.name, self.vocabulary);
        let sized = names.iter().any(|word| self.vocabulary.has("size", word));
        let timed = found.columns.iter().any(|column| column.kind.is_time());
        (sized && timed).then(|| (ColumnId { table, column: place }, amount.name.clone()))
    }

    fn is_ordered(&self, slot: &Slot) -> bool {
        slot.columns.iter().any(|named| {
            self.kind(named).is_some_and(|column| column.kind.is_number() || column.kind.is_time())
        })
    }

    /// "The most orders": the next table is counted.
    pub(super) fn mosts(&mut self, at: usize, direction: Direction) -> Result<usize, Why> {
        if self.draft.metric.is_some()
            || self.most.is_some()
            || self.draft.tables.is_empty() && self.draft.free.is_empty()
        {
            return Err(Why::Unfit("most".to_owned()));
        }
        self.most = Some(direction);
        Ok(at + 1)
    }

    /// "The most common subject": groups of a column, ranked by their rows.
    pub(super) fn common(&mut self, at: usize, item: &Item, direction: Direction) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        let (place, next) = self.next(at + 1).ok_or_else(unfit)?;
        let (slot, end) = self.column_of(place, next).ok_or_else(unfit)?;
        if self.draft.metric.is_some() || !self.draft.dimensions.is_empty() {
            return Err(unfit());
        }
        let table = match self.table(next)? {
            Some(table) => Some(table),
            None => match slot.columns.as_slice() {
                [one] => Some(crate::lexicon::TableRef { table: one.column.table, via: None, weight: 0 }),
                _ => None,
            },
        };
        let table = table.ok_or_else(|| Why::Ambiguous(next.text.clone()))?;
        self.draft.plural = self.items.get(end.saturating_sub(1)).is_some_and(|last| last.plural);
        self.draft.metric = Some((Metric::CountOf(table), direction));
        self.draft.free.push(slot);
        Ok(end)
    }

    /// "Cheapest", "heaviest": the smallest of a measure ("cheapest price"), or rows in its order.
    pub(super) fn measured(
        &mut self,
        at: usize,
        item: &Item,
        direction: Direction,
        names: &[String],
    ) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        if !item.columns.is_empty() && self.draft.tables.is_empty() && self.next(at + 1).is_none() {
            return self.noun(at, item);
        }
        if let Some((place, next)) = self.next(at + 1)
            && let Some((slot, end)) = self.column_of(place, next)
            && let Ok(meant) = self.named(names, &item.text)
        {
            let columns: Vec<_> = slot
                .columns
                .iter()
                .filter(|named| meant.columns.iter().any(|other| other.column == named.column))
                .cloned()
                .collect();
            if !columns.is_empty() && self.draft.aggregate.is_none() && self.draft.tables.is_empty() {
                self.draft.aggregate =
                    Some(if direction == Direction::Desc { Aggregate::Max } else { Aggregate::Min });
                self.draft.measure = Some(Slot { columns, words: slot.words });
                return Ok(end);
            }
        }
        if self.draft.metric.is_some() {
            return Err(unfit());
        }
        self.draft.metric = Some((Metric::Named(names.to_vec()), direction));
        Ok(at + 1)
    }

    /// What a top list is ordered by, after "by".
    pub(super) fn rank_by(&mut self, at: usize) -> Result<usize, Why> {
        let unfit = || Why::Unfit("by".to_owned());
        let (place, item) = self.next(at).ok_or_else(unfit)?;
        let direction = self.draft.top.unwrap_or(Direction::Desc);
        match item.mark {
            Some(Mark::Count) => {
                self.most = Some(direction);
                Ok(place + 1)
            }
            Some(Mark::Aggregate(aggregate)) if self.measure_follows(place + 1) => {
                let (further, measure) = self.next(place + 1).ok_or_else(unfit)?;
                let (slot, end) =
                    self.column_of(further, measure).ok_or_else(|| Why::Unfit(measure.text.clone()))?;
                self.draft.metric =
                    Some((Metric::Aggregate(aggregate, self.only(slot, Kind::is_number)), direction));
                Ok(end)
            }
            _ => {
                let (slot, end) = self.column_of(place, item).ok_or_else(|| Why::Unfit(item.text.clone()))?;
                let slot = self.only(slot, |kind| kind.is_number() || kind.is_time());
                if slot.columns.is_empty() {
                    return Err(Why::Unfit(item.text.clone()));
                }
                self.draft.metric = Some((Metric::By(slot), direction));
                Ok(end)
            }
        }
    }
}
