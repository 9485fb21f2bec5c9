//! Units of time that rows are grouped by, and the date that is meant.

use super::Reader;
use crate::dates::Unit;
use crate::draft::{Dimension, Slot, Why};
use crate::items::{Item, Mark};

impl Reader<'_> {
    /// "Per month", perhaps of a date: "per month of placed_on", "by placed_on per month".
    pub(super) fn period(&mut self, at: usize, item: &Item, unit: Unit) -> Result<usize, Why> {
        let items = self.items;
        if !self.is_further(at, item)
            && let Some(slot) = self.date_before()
        {
            self.draft.dimensions.pop();
            self.dated(slot)?;
        }
        self.draft.dimensions.push(Dimension::Period(unit));
        if let Some((slot, next)) = self.date_behind(at + 1) {
            self.dated(slot)?;
            return Ok(next);
        }
        // "By month and country".
        let and = matches!(items.get(at + 1).and_then(|item| item.mark.as_ref()), Some(Mark::And));
        let noun = items.get(at + 2).is_some_and(|item| item.mark.is_none() && item.values.is_empty());
        if and && noun { self.by(at + 1) } else { Ok(at + 1) }
    }

    /// "By placed_on" behind "per month": its date, not a group of its own. Answers the place behind it.
    pub(super) fn by_date(&mut self, at: usize) -> Result<Option<usize>, Why> {
        let Some(item) = self.items.get(at) else { return Ok(None) };
        let has_period = self.draft.dimensions.iter().any(|each| matches!(each, Dimension::Period(_)));
        if !has_period || !matches!(item.mark, Some(Mark::By)) || self.is_further(at, item) {
            return Ok(None);
        }
        let Some((slot, next)) = self.date_behind(at) else { return Ok(None) };
        self.dated(slot)?;
        Ok(Some(next))
    }

    /// Whether an item continues a list of groups ("and month", "and by placed_on").
    fn is_further(&self, at: usize, item: &Item) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.items.get(before));
        let first = item.text.split(' ').next().unwrap_or_default().to_lowercase();
        before.is_some_and(|before| matches!(before.mark, Some(Mark::And)))
            || self.vocabulary.has("and", &first)
    }

    /// The date that rows were to be grouped by last.
    fn date_before(&self) -> Option<Slot> {
        match self.draft.dimensions.last() {
            Some(Dimension::Column(slot)) if self.is_date(slot) => Some(slot.clone()),
            _ => None,
        }
    }

    /// The date behind an "of", "on" or "by" at a place, and the place behind it. One that a span follows is a condition of its own.
    fn date_behind(&self, place: usize) -> Option<(Slot, usize)> {
        let tie = self.items.get(place)?;
        let ties = matches!(tie.mark, Some(Mark::By | Mark::Ignore));
        if !ties || !tie.columns.is_empty() || !tie.tables.is_empty() {
            return None;
        }
        let (at, item) = self.next(place + 1)?;
        if item.mark.is_some() || !item.values.is_empty() {
            return None;
        }
        let (slot, next) = self.column_of(at, item)?;
        let spanned = matches!(self.next(next).and_then(|(_, item)| item.mark.as_ref()), Some(Mark::Span(_)));
        (self.is_date(&slot) && !spanned).then_some((slot, next))
    }

    pub(super) fn is_date(&self, slot: &Slot) -> bool {
        !slot.columns.is_empty()
            && slot.columns.iter().all(|named| self.kind(named).is_some_and(|column| column.kind.is_time()))
    }

    pub(super) fn dated(&mut self, slot: Slot) -> Result<(), Why> {
        self.whole_story(&slot)?;
        match self.draft.dated.replace(slot) {
            Some(other) => Err(Why::Unfit(other.words)),
            None => Ok(()),
        }
    }
}
