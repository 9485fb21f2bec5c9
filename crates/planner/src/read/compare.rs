//! Comparisons with numbers.

use super::Reader;
use crate::draft::{Slot, Test, Why};
use crate::items::{Item, Mark};
use crate::lexicon::ColumnRef;
use crate::schema::Kind;

impl Reader<'_> {
    /// "More than 5 ...", with the column before it if one was named.
    pub(super) fn compare(
        &mut self,
        at: usize,
        item: &Item,
        column: Option<Slot>,
        operator: &str,
        names: &[String],
    ) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        let (place, low) = self.number_at(at + 1).ok_or_else(unfit)?;
        if operator == "between" {
            let and = self
                .next(place + 1)
                .filter(|(_, item)| matches!(item.mark, Some(Mark::And)))
                .ok_or_else(unfit)?;
            let (end, high) = self.number_at(and.0 + 1).ok_or_else(unfit)?;
            let (slot, next) = self.compared(end + 1, item, column, names)?;
            self.filter(slot, Test::Between(low, high), false);
            return Ok(next);
        }
        if column.is_none()
            && names.is_empty()
            && let Some((next, counted)) = self.next(place + 1)
            && !counted.tables.is_empty()
            && self.column_of(next, counted).is_none()
        {
            return self.having(next, counted, operator, low);
        }
        let (slot, next) = self.compared(place + 1, item, column, names)?;
        self.filter(slot, Test::Compare(operator.to_owned(), low), false);
        Ok(next)
    }

    fn having(&mut self, at: usize, counted: &Item, operator: &str, number: String) -> Result<usize, Why> {
        let table = self.table(counted)?.ok_or_else(|| Why::Unfit(counted.text.clone()))?;
        let whole = !number.contains('.');
        if self.draft.having.is_some()
            || !whole
            // "Cities of customers with more than 3 orders": whose orders are counted is not said.
            || self.draft.tables.len() + self.draft.free.len() != 1
            || self.draft.tables.first().is_some_and(|first| first.table == table.table)
        {
            return Err(Why::Unfit(counted.text.clone()));
        }
        self.draft.having = Some((operator.to_owned(), number, table));
        Ok(at + 1)
    }

    fn number_at(&self, at: usize) -> Option<(usize, String)> {
        let (place, item) = self.next(at)?;
        match &item.mark {
            Some(Mark::Number(number)) => Some((place, number.clone())),
            _ => None,
        }
    }

    /// The column that is compared: named before, named after, by the comparison, or by the unit.
    fn compared(
        &self,
        at: usize,
        item: &Item,
        column: Option<Slot>,
        names: &[String],
    ) -> Result<(Slot, usize), Why> {
        let unit = self.items.get(at).and_then(|after| match &after.mark {
            Some(Mark::Unit(unit)) => Some((unit.clone(), after.text.clone())),
            _ => None,
        });
        let next = at + usize::from(unit.is_some());
        let of_unit = |slot: Slot| match &unit {
            None => Ok(slot),
            Some((unit, text)) => self.in_unit(slot, unit, text),
        };
        if let Some(slot) = column {
            return Ok((of_unit(self.only(slot, Kind::is_number))?, next));
        }
        if !names.is_empty() {
            let slot = self.named(names, &item.text)?;
            return Ok((of_unit(slot)?, next));
        }
        if let Some(after) =
            self.items.get(next).filter(|after| self.is_measure(after) || !after.tables.is_empty())
            && let Some((slot, end)) = self.column_of(next, after)
        {
            let slot = self.only(slot, Kind::is_number);
            if !slot.columns.is_empty() {
                return Ok((slot, end));
            }
        }
        match unit {
            Some((unit, text)) => {
                let columns = self
                    .lexicon
                    .of_unit(&unit)
                    .iter()
                    .map(|column| ColumnRef { column: *column, weight: 0 })
                    .collect();
                self.nearby(Slot { columns, words: text }).map(|slot| (slot, next))
            }
            None => Err(Why::Unfit(item.text.clone())),
        }
    }

    /// Columns of the table that is asked about, or else of any.
    fn nearby(&self, slot: Slot) -> Result<Slot, Why> {
        let subject = self.draft.tables.first().map(|table| table.table);
        let own: Vec<ColumnRef> =
            slot.columns.iter().filter(|named| Some(named.column.table) == subject).cloned().collect();
        match (own.len(), slot.columns.is_empty()) {
            (0, false) => Ok(slot),
            (1, _) => Ok(Slot { columns: own, ..slot }),
            (_, true) => Err(Why::Unfit(slot.words)),
            _ => Err(Why::Ambiguous(slot.words)),
        }
    }

    /// Columns by the names that a comparison or superlative carries ("longer": duration, length, distance).
    pub(super) fn named(&self, names: &[String], words: &str) -> Result<Slot, Why> {
        let mut columns: Vec<ColumnRef> = Vec::new();
        for name in names {
            for named in self.lexicon.find(name).map(|found| found.columns.as_slice()).unwrap_or_default() {
                if named.weight < crate::lexicon::COMMENT
                    && !columns.iter().any(|known| known.column == named.column)
                {
                    columns.push(named.clone());
                }
            }
        }
        columns.retain(|named| {
            self.kind(named).is_some_and(|column| column.kind.is_number() || column.kind.is_time())
        });
        if columns.is_empty() {
            return Err(Why::Unfit(words.to_owned()));
        }
        // Each of the names is as good as the others: two of one table are two readings.
        columns.iter_mut().for_each(|named| named.weight = 0);
        Ok(Slot { columns, words: words.to_owned() })
    }

    /// The slot's columns in this unit. A column whose unit is not known is taken to be in it only if there is no other with it.
    fn in_unit(&self, slot: Slot, unit: &str, text: &str) -> Result<Slot, Why> {
        let known = self.lexicon.of_unit(unit);
        let own: Vec<ColumnRef> =
            slot.columns.iter().filter(|named| known.contains(&named.column)).cloned().collect();
        let money = matches!(unit, "euro" | "dollar");
        match own.is_empty() {
            false if !money => Ok(Slot { columns: own, ..slot }),
            _ if money => Ok(slot),
            _ => Err(Why::Unfit(text.to_owned())),
        }
    }

    /// A number that no column or table took: how many rows, or the first part of "5 or more".
    pub(super) fn number(&mut self, at: usize, item: &Item, number: &str) -> Result<usize, Why> {
        let unfit = || Why::Unfit(item.text.clone());
        if let Some(Mark::CompareAfter(operator)) =
            self.items.get(at + 1).and_then(|after| after.mark.clone())
        {
            let (place, counted) = self.next(at + 2).ok_or_else(unfit)?;
            if let Some((slot, next)) = self.column_of(place, counted).filter(|_| self.is_measure(counted)) {
                let slot = self.only(slot, Kind::is_number);
                self.filter(slot, Test::Compare(operator, number.to_owned()), false);
                return Ok(next);
            }
            return self.having(place, counted, &operator, number.to_owned());
        }
        if let Some(next) = self.with_exactly(at, number)? {
            return Ok(next);
        }
        let follower = self.next(at + 1).map(|(_, item)| item);
        let ranks = follower.is_some_and(|item| {
            matches!(
                item.mark,
                Some(
                    Mark::Superlative(_)
                        | Mark::Measured(..)
                        | Mark::Most(_)
                        | Mark::Top(_)
                        | Mark::Common(_)
                )
            )
        });
        let top = matches!(
            self.before(at).and_then(|before| before.mark.as_ref()),
            Some(Mark::Top(_) | Mark::Superlative(_) | Mark::Measured(..))
        );
        let counted = follower
            .is_some_and(|item| item.mark.is_none() && (!item.tables.is_empty() || !item.columns.is_empty()));
        // "The last 30 minutes" are no thirty rows.
        let measured = matches!(self.items.get(at + 1).map(|after| &after.mark), Some(Some(Mark::Unit(_))));
        let limit = number.parse().ok().filter(|limit| (1..=100_000).contains(limit));
        if measured || self.draft.limit.is_some() || !(ranks || top || counted) || limit.is_none() {
            return Err(unfit());
        }
        self.draft.limit = limit;
        Ok(at + 1)
    }

    /// "With 10 seats", "with 3 orders": exactly so many.
    fn with_exactly(&mut self, at: usize, number: &str) -> Result<Option<usize>, Why> {
        let before = self
            .items
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .find(|item| !matches!(item.mark, Some(Mark::Ignore)));
        let with =
            before.is_some_and(|item| matches!(item.mark, Some(Mark::With))) && !self.draft.tables.is_empty();
        let Some((place, counted)) = self.next(at + 1).filter(|(_, item)| with && item.mark.is_none()) else {
            return Ok(None);
        };
        if let Some((slot, next)) =
            self.column_of(place, counted).filter(|_| counted.tables.is_empty() && self.is_measure(counted))
        {
            let slot = self.only(slot, Kind::is_number);
            self.filter(slot, Test::Compare("=".to_owned(), number.to_owned()), false);
            return Ok(Some(next));
        }
        self.having(place, counted, "=", number.to_owned()).map(Some)
    }
}
