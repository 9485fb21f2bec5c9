//! Superlatives and top lists.

use super::Reader;
use crate::draft::{Ask, Metric, Slot, Why};
use crate::items::{Aggregate, Direction, Item, Mark};
use crate::schema::Kind;

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
        if let Some(Mark::Number(_)) = next.mark {
            self.draft.top = Some(direction);
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
                self.draft.aggregate =
                    Some(if direction == Direction::Desc { Aggregate::Max } else { Aggregate::Min });
                self.draft.measure = Some(slot);
            }
            return Ok(end);
        }
        if self.draft.top.is_some() || next.tables.is_empty() {
            return Err(unfit());
        }
        self.draft.top = Some(direction);
        Ok(at + 1)
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
