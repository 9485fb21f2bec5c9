//! From a draft to a statement: which table the rows come from, and what is selected of them.

mod parts;
mod rank;
mod without;

use crate::answer::Plan;
use crate::draft::{Ask, Dimension, Draft, Filter, Metric, Slot, Test, Why};
use crate::items::Aggregate;
use crate::lexicon::Lexicon;
use crate::read::is_additive;
use crate::schema::{Kind, Schema};
use crate::statement::Statement;
use crate::vocabulary::Vocabulary;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What shaping needs beside the draft.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) lexicon: &'a Lexicon,
    pub(crate) zone: &'a TimeZone,
    pub(crate) today: Date,
}

/// What kind of rows a question asks for.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Rows,
    Count,
    Distinct,
    Share,
    Having,
    Ranked,
    Aggregate(Aggregate),
    /// Columns of the rows that an id or name picks.
    Lookup,
}

/// The statement that a draft asks for.
pub(crate) fn shape(context: Context<'_>, draft: &Draft) -> Result<Plan, Why> {
    let shape = kind(context, draft)?;
    check(draft, &shape)?;
    one_value_each(draft)?;
    let mut bases = bases(context, draft, &shape)?;
    bases.sort_unstable();
    bases.dedup();
    let mut answers: Vec<(u32, Plan)> = Vec::new();
    let mut first: Option<Why> = None;
    for base in bases {
        let statement = Statement::new(context.schema, context.zone, base, &draft.tables);
        let shaper = Shaper { context, draft, statement };
        match shaper.build(&shape) {
            // Of measures in several tables the whole name is meant; that one is nearer to a date or group makes it no likelier.
            Ok((cost, plan)) => answers.push((weight(draft, &shape, base).unwrap_or(cost), plan)),
            Err(why) => {
                first.get_or_insert(why);
            }
        }
    }
    let Some(least) = answers.iter().map(|(cost, _)| *cost).min() else {
        return Err(first.unwrap_or(Why::Nothing));
    };
    answers.retain(|(cost, _)| *cost == least);
    match (answers.pop(), answers.is_empty()) {
        (Some((_, mut plan)), true) => {
            plan.reading.assumptions.splice(0..0, draft.assumptions.iter().cloned());
            Ok(plan)
        }
        _ => Err(Why::Ambiguous(measure(draft).map_or_else(String::new, |slot| slot.words.clone()))),
    }
}

/// How well the measure is named by its column in a table, where the shape has a measure.
fn weight(draft: &Draft, shape: &Shape, base: usize) -> Option<u32> {
    let slot = matches!(shape, Shape::Aggregate(_) | Shape::Ranked).then(|| measure(draft)).flatten()?;
    slot.columns.iter().filter(|named| named.column.table == base).map(|named| named.weight).min()
}

fn measure(draft: &Draft) -> Option<&Slot> {
    match &draft.metric {
        Some((Metric::Aggregate(_, slot) | Metric::By(slot) | Metric::Extreme(slot), _)) => Some(slot),
        _ => draft.measure.as_ref().or(draft.free.first()),
    }
}

/// What the draft asks for. One thing at a time: what does not fit beside it is a reason to refuse.
fn kind(context: Context<'_>, draft: &Draft) -> Result<Shape, Why> {
    if draft.ask == Ask::Share {
        return Ok(Shape::Share);
    }
    if draft.having.is_some() {
        return Ok(Shape::Having);
    }
    if draft.metric.is_some() {
        return Ok(Shape::Ranked);
    }
    if draft.top.is_some() {
        return Err(Why::Unfit("top".to_owned()));
    }
    match draft.ask {
        Ask::Distinct => return Ok(Shape::Distinct),
        Ask::Count => return Ok(Shape::Count),
        Ask::Rows | Ask::Share => {}
    }
    if let Some(slot) = &draft.measure {
        return match draft.aggregate {
            Some(aggregate) => Ok(Shape::Aggregate(aggregate)),
            None if draft.dimensions.is_empty() && picks(context, draft) => Ok(Shape::Lookup),
            None if adds_up(context, slot) && narrowed(draft) => Ok(Shape::Aggregate(Aggregate::Sum)),
            None => Err(Why::Ambiguous(slot.words.clone())),
        };
    }
    if draft.aggregate.is_some() {
        return Err(Why::Unfit("of what".to_owned()));
    }
    if !draft.free.is_empty() {
        return Ok(Shape::Lookup);
    }
    if let (Some((picked, _)), true) = (draft.ids.first(), draft.dimensions.is_empty()) {
        // "Appointments of patient 42" are rows, "the carrier of shipment 77" is one.
        let rows = draft.tables.first().is_some_and(|first| {
            first.table != picked.table
                && crate::joins::way(context.schema, first.table, picked.table, picked.via).is_ok()
        });
        return Ok(if rows { Shape::Rows } else { Shape::Lookup });
    }
    match draft.dimensions.iter().find_map(|each| measured(context, each)) {
        // "Products by price": in its order, or how many of each price?
        Some(slot) => Err(Why::Ambiguous(slot.words.clone())),
        None if draft.dimensions.is_empty() => Ok(Shape::Rows),
        None => Ok(Shape::Count),
    }
}

/// The numbers that rows are to be grouped by, where these measure something: such are seldom the same twice, as grades and stars are.
fn measured<'d>(context: Context<'_>, dimension: &'d Dimension) -> Option<&'d Slot> {
    let Dimension::Column(slot) = dimension else { return None };
    let measures = |id: crate::schema::ColumnId| {
        context.schema.column(id).is_some_and(|column| {
            matches!(column.kind, Kind::Decimal | Kind::Double)
                || column.kind.is_number()
                    && (context.lexicon.has_unit(id)
                        || is_additive(context.vocabulary, &crate::words::name(&column.name).join(" ")))
        })
    };
    (!slot.columns.is_empty() && slot.columns.iter().all(|named| measures(named.column))).then_some(slot)
}

/// Whether something beside the measure is asked, so that a sum is meant and not each value.
fn narrowed(draft: &Draft) -> bool {
    !draft.dimensions.is_empty() || !draft.spans.is_empty() || !draft.filters.is_empty()
}

/// Whether an id, or a value in the column that calls rows by name, picks rows.
fn picks(context: Context<'_>, draft: &Draft) -> bool {
    let named = |column: crate::schema::ColumnId| {
        context
            .schema
            .table(column.table)
            .is_some_and(|table| parts::labels(table, context.vocabulary).contains(&column.column))
    };
    !draft.ids.is_empty()
        || draft.filters.iter().any(|filter| {
            matches!(filter.test, Test::Values(_))
                && !filter.negated
                && !filter.slot.columns.is_empty()
                && filter.slot.columns.iter().all(|each| {
                    named(each.column)
                        || draft.measure.as_ref().is_some_and(|measure| {
                            measure.columns.iter().all(|own| own.column.table != each.column.table)
                        })
                })
                && filter.slot.columns.iter().any(|each| {
                    draft
                        .measure
                        .iter()
                        .chain(&draft.free)
                        .flat_map(|slot| &slot.columns)
                        .any(|own| own.column.table == each.column.table)
                })
        })
}

/// Whether sums of the slot's columns mean something: by the phrase or by the names.
fn adds_up(context: Context<'_>, slot: &Slot) -> bool {
    is_additive(context.vocabulary, &slot.words)
        || slot.columns.iter().all(|named| {
            context.schema.column(named.column).is_some_and(|column| {
                is_additive(context.vocabulary, &crate::words::name(&column.name).join(" "))
            })
        })
}

/// Refuses two values that one column would have at once: "from Germany to France", "cancelled tickets that are open".
fn one_value_each(draft: &Draft) -> Result<(), Why> {
    let mut asked: Vec<&Filter> = Vec::new();
    let given =
        draft.filters.iter().filter(|filter| matches!(filter.test, Test::Values(_)) && !filter.negated);
    for filter in given {
        if asked.iter().any(|other| other.slot.columns == filter.slot.columns) {
            return Err(Why::Unfit(filter.slot.words.clone()));
        }
        asked.push(filter);
    }
    Ok(())
}

/// Refuses what does not go together.
fn check(draft: &Draft, shape: &Shape) -> Result<(), Why> {
    let unfit = |words: &str| Err(Why::Unfit(words.to_owned()));
    if draft.new
        && draft.spans.is_empty()
        && !draft.dimensions.iter().any(|each| matches!(each, Dimension::Period(_)))
    {
        return unfit("new");
    }
    if !draft.without.is_empty()
        && (!matches!(shape, Shape::Rows | Shape::Count)
            || draft.without.len() > 1
            || draft.spans.iter().any(|span| span.slot.is_none()))
    {
        return unfit("without");
    }
    if draft.spans.len() > 1 {
        return unfit(&draft.spans.get(1).map_or_else(String::new, |span| span.words.clone()));
    }
    if let Some(slot) = draft
        .free
        .first()
        .filter(|_| !matches!(shape, Shape::Distinct | Shape::Ranked | Shape::Lookup | Shape::Having))
    {
        return unfit(&slot.words);
    }
    if let Some(slot) = draft.free.get(1).filter(|_| *shape != Shape::Lookup) {
        return unfit(&slot.words);
    }
    if let Some(slot) =
        draft.measure.as_ref().filter(|_| !matches!(shape, Shape::Aggregate(_) | Shape::Lookup))
    {
        return unfit(&slot.words);
    }
    // "How many customers have more than 5 orders" counts the groups.
    let asks_rows = draft.ask == Ask::Rows || *shape == Shape::Having && draft.ask == Ask::Count;
    if matches!(shape, Shape::Ranked | Shape::Having)
        && (!draft.dimensions.is_empty() || !asks_rows || draft.aggregate.is_some())
    {
        return unfit("top of groups");
    }
    if draft.limit.is_some() && !matches!(shape, Shape::Ranked | Shape::Rows) {
        return unfit(&draft.limit.map_or_else(String::new, |limit| limit.to_string()));
    }
    if draft.plural && draft.limit.is_none() && *shape == Shape::Ranked {
        return unfit("how many of them");
    }
    Ok(())
}

/// The tables whose rows may be what is counted, added up or listed.
fn bases(context: Context<'_>, draft: &Draft, shape: &Shape) -> Result<Vec<usize>, Why> {
    let of = |slot: &Slot| slot.columns.iter().map(|named| named.column.table).collect::<Vec<_>>();
    let subject = || match draft.tables.first() {
        Some(table) => Ok(vec![table.table]),
        None => draft
            .filters
            .iter()
            .find(|filter| {
                matches!(filter.test, Test::Values(_))
                    && filter.noun
                    && !filter.negated
                    && !draft.which
                    && !is_name(context, &filter.slot)
            })
            .map(|filter| of(&filter.slot))
            .ok_or(Why::Nothing),
    };
    match (shape, &draft.metric, &draft.having) {
        (Shape::Having, _, Some((_, _, table))) => Ok(vec![table.table]),
        (Shape::Ranked, Some((metric, _)), _) => match metric {
            Metric::CountOf(table) => Ok(vec![table.table]),
            Metric::Aggregate(_, slot) | Metric::By(slot) | Metric::Extreme(slot) => Ok(of(slot)),
            Metric::Named(_) => subject(),
        },
        (Shape::Aggregate(_), _, _) => Ok(draft.measure.as_ref().map(of).unwrap_or_default()),
        (Shape::Distinct, _, _) if draft.tables.is_empty() => {
            draft.free.first().map(of).ok_or(Why::Unfit("different".to_owned()))
        }
        (Shape::Lookup, _, _) => {
            if let Some((table, _)) = draft.ids.first() {
                return Ok(vec![table.table]);
            }
            if draft.free.is_empty() && draft.measure.is_none() {
                return subject();
            }
            let _ = context;
            Ok(draft.measure.iter().chain(draft.free.first()).flat_map(of).collect())
        }
        _ => subject(),
    }
}

/// Whether values may be names of rows that others refer to. "Toys" are then no rows of their own: how many categories are called so is not asked.
fn is_name(context: Context<'_>, slot: &Slot) -> bool {
    let schema = context.schema;
    slot.columns.iter().any(|named| {
        let table = named.column.table;
        let names =
            schema.table(table).map(|found| parts::labels(found, context.vocabulary)).unwrap_or_default();
        names.contains(&named.column.column)
            && (0..schema.tables.len()).any(|other| !crate::joins::between(schema, other, table).is_empty())
    })
}

/// Builds one statement from one base.
struct Shaper<'a> {
    context: Context<'a>,
    draft: &'a Draft,
    statement: Statement<'a>,
}

impl Shaper<'_> {
    fn build(mut self, shape: &Shape) -> Result<(u32, Plan), Why> {
        let mut outer = false;
        match shape {
            Shape::Rows => self.rows()?,
            Shape::Count => self.count()?,
            Shape::Distinct => self.distinct()?,
            Shape::Share => self.share()?,
            Shape::Having => outer = self.having()?,
            Shape::Ranked => self.ranked()?,
            Shape::Aggregate(aggregate) => self.aggregate(*aggregate)?,
            Shape::Lookup => self.lookup()?,
        }
        self.check_units()?;
        Ok((self.statement.cost, self.statement.plan(outer)))
    }

    /// All columns of the rows.
    fn rows(&mut self) -> Result<(), Why> {
        if self.draft.filters.is_empty()
            && self.draft.spans.is_empty()
            && self.draft.without.is_empty()
            && self.draft.ids.is_empty()
            && self.draft.tables.len() > 1
        {
            return Err(Why::Unfit(
                self.statement.name_of(self.draft.tables.get(1).map_or(0, |table| table.table)),
            ));
        }
        self.all_columns();
        self.conditions(|_| true)?;
        self.without()?;
        self.key_order();
        self.statement.limit = self.draft.limit;
        let name = self.statement.name_of(self.statement.base);
        self.summary(format!("Lists {name}"));
        Ok(())
    }

    fn count(&mut self) -> Result<(), Why> {
        let groups = self.dimensions()?;
        self.conditions(|_| true)?;
        self.without()?;
        self.output("count(*)".to_owned(), "count");
        self.group_order(&groups);
        let name = self.statement.name_of(self.statement.base);
        self.summary(format!("Counts {name}{}", groups.words()));
        Ok(())
    }

    fn distinct(&mut self) -> Result<(), Why> {
        let slot = self.draft.free.first().ok_or(Why::Unfit("different".to_owned()))?;
        let chosen = self.statement.choose(slot)?;
        let groups = self.dimensions()?;
        self.conditions(|_| true)?;
        let column = self.statement.column(&chosen);
        let name = self.statement.words(&chosen);
        self.output(format!("count(DISTINCT {column})"), &format!("distinct_{name}"));
        self.group_order(&groups);
        self.summary(format!("Counts different values of {name}{}", groups.words()));
        Ok(())
    }

    fn aggregate(&mut self, aggregate: Aggregate) -> Result<(), Why> {
        let slot = self.draft.measure.as_ref().ok_or(Why::Nothing)?;
        let slot = Slot {
            columns: slot
                .columns
                .iter()
                .filter(|named| named.column.table == self.statement.base)
                .cloned()
                .collect(),
            ..slot.clone()
        };
        if aggregate == Aggregate::Avg && self.averages_sums(&slot) {
            return Err(Why::Ambiguous(slot.words));
        }
        let chosen = self.statement.choose(&slot)?;
        let kind = self.statement.kind(&chosen);
        if kind.is_time() && !matches!(aggregate, Aggregate::Min | Aggregate::Max)
            || matches!(kind, Kind::Text | Kind::Other | Kind::Boolean)
        {
            return Err(Why::Unfit(slot.words));
        }
        let groups = self.dimensions()?;
        self.conditions(|_| true)?;
        let (sql, name) = self.aggregated(aggregate, &chosen);
        self.output(sql, &name);
        if self.draft.aggregate.is_none() {
            // Sums that nobody asked for: only of tables whose rows are events in time, so not of prices in a list.
            if !self.happens() {
                return Err(Why::Ambiguous(slot.words));
            }
            self.assume(format!("{} is added up", self.statement.words(&chosen)));
        }
        self.group_order(&groups);
        self.summary(format!(
            "Takes the {} of {}{}",
            parts::word(aggregate),
            self.statement.words(&chosen),
            groups.words()
        ));
        Ok(())
    }

    /// "Average revenue per month", "average weight per shipment": of each record, or of what months and shipments have in sum? Not where
    /// the question names the record ("average order total per month").
    fn averages_sums(&self, slot: &Slot) -> bool {
        let draft = self.draft;
        if draft.tables.iter().any(|table| table.table == self.statement.base) {
            return false;
        }
        let vocabulary = self.context.vocabulary;
        let earned = crate::words::split(&slot.words)
            .iter()
            .any(|word| vocabulary.has("earned", &vocabulary.singular(&word.to_lowercase())));
        draft.dimensions.iter().any(|dimension| match dimension {
            Dimension::Period(_) => earned,
            Dimension::Table(table) => {
                let found = self.context.schema.table(table.table);
                earned || found.is_some_and(|found| parts::labels(found, vocabulary).is_empty())
            }
            Dimension::Column(_) => false,
        })
    }

    /// Columns of the rows that an id or a name picks.
    fn lookup(&mut self) -> Result<(), Why> {
        let base = self.statement.base;
        let shown: Vec<&Slot> = self.draft.free.iter().chain(&self.draft.measure).collect();
        let own = self.draft.tables.first().is_some_and(|table| table.table == base);
        if !shown.is_empty() && !own && !picks(self.context, self.draft) {
            return Err(Why::Unfit(shown.first().map_or_else(String::new, |slot| slot.words.clone())));
        }
        if !self.draft.dimensions.is_empty() {
            return Err(Why::Unfit("per".to_owned()));
        }
        let mut names = Vec::new();
        for slot in shown {
            let chosen = self.statement.choose(slot)?;
            let (column, name) = (self.statement.column(&chosen), self.statement.words(&chosen));
            self.output(column, &name);
            names.push(name);
        }
        let other = self.draft.tables.iter().find(|table| table.table != base).cloned();
        match other.filter(|_| names.is_empty()) {
            Some(table) => names.push(self.table_columns(&table)?),
            None if names.is_empty() => self.all_columns(),
            None => {
                self.label_columns(base);
            }
        }
        self.conditions(|_| true)?;
        self.key_order();
        let name = self.statement.name_of(base);
        self.summary(format!(
            "Shows {} of {name}",
            if names.is_empty() { "everything".to_owned() } else { names.join(", ") }
        ));
        Ok(())
    }
}
