//! Days and spans that a question names, from the templates of the vocabulary.

use crate::vocabulary::Vocabulary;
use crate::words::Word;
use jiff::ToSpan;
use jiff::civil::Date;

/// Units in which time is grouped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// From the first day up to, not including, another; either may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: Option<Date>,
    pub(crate) end: Option<Date>,
    /// The question named no year: the latest that has begun was taken.
    pub(crate) year_assumed: bool,
}

/// What a template's marks were filled with.
#[derive(Debug, Clone, Default)]
struct Filled {
    number: Option<i32>,
    unit: Option<Unit>,
    month: Option<i8>,
    year: Option<i16>,
    day: Option<i8>,
    quarter: Option<i8>,
    weekday: Option<i8>,
    points: Vec<Point>,
}

/// A named day or span, before it is put into "since" or "between".
#[derive(Debug, Clone)]
struct Point {
    meaning: String,
    filled: Box<Filled>,
    /// A month, year or day of a month alone: needs a preposition.
    bare: bool,
}

/// Reads spans at a place in the words.
pub(crate) struct Calendar<'a> {
    vocabulary: &'a Vocabulary,
    today: Date,
    points: Vec<(String, Vec<String>)>,
    spans: Vec<(String, Vec<String>)>,
}

impl Unit {
    /// The unit with this name in the vocabulary's file.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// Its name in SQL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The first day of the unit that a day lies in. Weeks begin on Monday.
    fn first(self, of: Date) -> Option<Date> {
        match self {
            Self::Day => Some(of),
            Self::Week => of.checked_sub(i32::from(of.weekday().to_monday_zero_offset()).days()).ok(),
            Self::Month => Some(of.first_of_month()),
            Self::Quarter => Date::new(of.year(), (of.month() - 1) / 3 * 3 + 1, 1).ok(),
            Self::Year => Some(of.first_of_year()),
        }
    }

    /// A day moved by units.
    fn shift(self, from: Date, by: i32) -> Option<Date> {
        match self {
            Self::Day => from.checked_add(by.days()),
            Self::Week => from.checked_add(by.weeks()),
            Self::Month => from.checked_add(by.months()),
            Self::Quarter => from.checked_add(by.checked_mul(3)?.months()),
            Self::Year => from.checked_add(by.years()),
        }
        .ok()
    }
}

impl Range {
    /// Whether the words name a span, but not which.
    pub(crate) fn is_unclear(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    fn closed(start: Date, end: Date) -> Self {
        Self { start: Some(start), end: Some(end), year_assumed: false }
    }

    /// The years it covers, if it begins and ends with a year.
    pub(crate) fn years(&self) -> Option<(Option<i16>, Option<i16>)> {
        let first = |day: Date| (day == day.first_of_year()).then(|| day.year());
        let start = match self.start {
            Some(day) => Some(first(day)?),
            None => None,
        };
        let end = match self.end {
            Some(day) => Some(first(day)?),
            None => None,
        };
        Some((start, end))
    }
}

impl<'a> Calendar<'a> {
    /// A calendar for a day.
    pub(crate) fn new(vocabulary: &'a Vocabulary, today: Date) -> Self {
        Self { vocabulary, today, points: vocabulary.lines("point"), spans: vocabulary.lines("span") }
    }

    /// The longest span that begins at the first of the words, and how many words it takes.
    pub(crate) fn span(&self, words: &[Word]) -> Option<(usize, Range)> {
        let mut best: Option<(usize, Range)> = None;
        for (meaning, templates) in &self.spans {
            for template in templates {
                let mut filled = Filled::default();
                let Some(length) = self.fill(template, words, &mut filled, true) else { continue };
                let Some(range) = self.range(meaning, &filled) else { continue };
                if best.as_ref().is_none_or(|(longest, _)| length > *longest) {
                    best = Some((length, range));
                }
            }
        }
        best
    }

    /// Fills a template from the words; answers how many it took.
    fn fill(&self, template: &str, words: &[Word], filled: &mut Filled, points: bool) -> Option<usize> {
        let mut at = 0;
        for part in template.split(' ') {
            let rest = words.get(at..)?;
            at += match part.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                None => (rest.first()?.plain == part).then_some(1)?,
                Some("point") if points => self.point(rest, filled, false)?,
                Some("longpoint") if points => self.point(rest, filled, true)?,
                Some("iso") => iso(rest, filled)?,
                Some(mark) => self.mark(mark, &rest.first()?.plain, filled)?,
            };
        }
        Some(at)
    }

    fn point(&self, words: &[Word], filled: &mut Filled, long: bool) -> Option<usize> {
        let mut best: Option<(usize, Point)> = None;
        for (meaning, templates) in &self.points {
            for template in templates {
                let mut inner = Filled::default();
                let Some(length) = self.fill(template, words, &mut inner, false) else { continue };
                let bare = matches!(meaning.as_str(), "month" | "year");
                if !(long && bare) && best.as_ref().is_none_or(|(longest, _)| length > *longest) {
                    best = Some((length, Point { meaning: meaning.clone(), filled: Box::new(inner), bare }));
                }
            }
        }
        let (length, point) = best?;
        filled.points.push(point);
        Some(length)
    }

    fn mark(&self, mark: &str, word: &str, filled: &mut Filled) -> Option<usize> {
        let number =
            |section: &str| self.vocabulary.meaning(section, word).and_then(|text| text.parse::<i8>().ok());
        match mark {
            "n" => filled.number = Some(self.number(word).filter(|count| (1..=10_000).contains(count))?),
            "unit" => filled.unit = Some(Unit::named(self.vocabulary.meaning("unit of time", word)?)?),
            "month" => filled.month = Some(number("month")?),
            "weekday" => filled.weekday = Some(number("weekday")?),
            "ordinal" => filled.quarter = Some(number("ordinal")?),
            "year" => filled.year = Some(year(word)?),
            "day" => filled.day = Some(day(word)?),
            "quarter" => {
                filled.quarter =
                    Some(word.strip_prefix('q')?.parse().ok().filter(|each| (1..=4).contains(each))?)
            }
            _ => return None,
        }
        Some(1)
    }

    fn number(&self, word: &str) -> Option<i32> {
        word.parse().ok().or_else(|| self.vocabulary.meaning("number", word)?.parse().ok())
    }

    fn range(&self, meaning: &str, filled: &Filled) -> Option<Range> {
        let tomorrow = self.today.tomorrow().ok()?;
        let counted = |from: Date, sign: i32| filled.unit?.shift(from, sign * filled.number.unwrap_or(1));
        let range = match meaning {
            "rolling" => Range::closed(counted(tomorrow, -1)?, tomorrow),
            "unclear" => Range { start: None, end: None, year_assumed: false },
            "coming" => Range::closed(self.today, counted(self.today, 1)?),
            "next" => self.relative(filled.unit?, 1)?,
            "ago" if filled.unit == Some(Unit::Day) => {
                let there = counted(self.today, -1)?;
                Range::closed(there, there.tomorrow().ok()?)
            }
            _ => self.around(meaning, filled)?,
        };
        let empty = matches!((range.start, range.end), (Some(start), Some(end)) if start >= end);
        (!empty).then_some(range)
    }

    /// What is said with a named day or span: in it, since, before, between two.
    fn around(&self, meaning: &str, filled: &Filled) -> Option<Range> {
        let mut points = filled.points.iter();
        let point = points.next()?;
        let first = self.at(point, None)?;
        Some(match meaning {
            "point" => first,
            "since" => Range { end: None, ..first },
            "after" => Range { start: first.end, end: None, ..first },
            "before" => Range { start: None, end: first.start, ..first },
            "until" => Range { start: None, ..first },
            "between" => {
                let second = points.next()?;
                let end = self.at(second, None)?;
                // "Between January and March 2025": the second year holds for the first.
                let first = if first.year_assumed && !end.year_assumed {
                    self.at(point, Some(end.start?.year()))?
                } else {
                    first
                };
                if point.bare != second.bare && (point.meaning == "year" || second.meaning == "year") {
                    return None;
                }
                Range {
                    start: first.start,
                    end: end.end,
                    year_assumed: first.year_assumed || end.year_assumed,
                }
            }
            _ => return None,
        })
    }

    fn relative(&self, unit: Unit, by: i32) -> Option<Range> {
        let start = unit.shift(unit.first(self.today)?, by)?;
        Some(Range::closed(start, unit.shift(start, 1)?))
    }

    /// The days of a point. A month or day without a year is the latest that has begun.
    fn at(&self, point: &Point, year: Option<i16>) -> Option<Range> {
        let filled = &point.filled;
        let of_year = |year: i16| -> Option<(Date, Unit)> {
            Some(match (filled.month, filled.day) {
                (Some(month), Some(day)) => (Date::new(year, month, day).ok()?, Unit::Day),
                (Some(month), None) => (Date::new(year, month, 1).ok()?, Unit::Month),
                _ => return None,
            })
        };
        let span = |(start, unit): (Date, Unit)| Some(Range::closed(start, unit.shift(start, 1)?));
        match point.meaning.as_str() {
            "date" | "month of year" => span(of_year(filled.year?)?),
            "date without year" | "month" => {
                let this = self.today.year();
                let taken = match year {
                    Some(year) => of_year(year)?,
                    None => of_year(this)
                        .filter(|(start, _)| *start <= self.today)
                        .or_else(|| of_year(this - 1))?,
                };
                span(taken).map(|range| Range { year_assumed: year.is_none(), ..range })
            }
            "quarter of year" => span((date_of(filled.year?, filled.quarter? * 3 - 2)?, Unit::Quarter)),
            "year" => span((date_of(filled.year?, 1)?, Unit::Year)),
            "yesterday" => self.relative(Unit::Day, -1),
            "today" => self.relative(Unit::Day, 0),
            "tomorrow" => self.relative(Unit::Day, 1),
            "previous" => self.relative(filled.unit?, -1),
            "current" => self.relative(filled.unit?, 0),
            "weekday" => {
                let back =
                    (self.today.weekday().to_monday_one_offset() - filled.weekday? + 6).rem_euclid(7) + 1;
                self.relative(Unit::Day, -i32::from(back))
            }
            _ => None,
        }
    }
}

fn date_of(year: i16, month: i8) -> Option<Date> {
    Date::new(year, month, 1).ok()
}

fn year(word: &str) -> Option<i16> {
    (word.len() == 4).then(|| word.parse().ok()).flatten().filter(|year| (1800..=2200).contains(year))
}

fn day(word: &str) -> Option<i8> {
    let digits = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    (digits.len() <= 2).then(|| digits.parse().ok()).flatten().filter(|day| (1..=31).contains(day))
}

/// A date as ISO 8601 writes it: its three numbers are three words.
fn iso(words: &[Word], filled: &mut Filled) -> Option<usize> {
    let [first, second, third, ..] = words else { return None };
    if second.plain.len() != 2 || third.plain.len() != 2 {
        return None;
    }
    filled.year = Some(year(&first.plain)?);
    filled.month = second.plain.parse().ok().filter(|month| (1..=12).contains(month));
    filled.day = Some(day(&third.plain)?);
    filled.month.map(|_| 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;
    use jiff::civil::date;

    /// A Wednesday.
    const WEDNESDAY: Date = date(2025, 6, 18);

    fn span(text: &str) -> Option<(String, String)> {
        let english = Vocabulary::english();
        let words = words::question(text, english);
        let (length, range) = Calendar::new(english, WEDNESDAY).span(&words)?;
        assert_eq!(length, words.len(), "{text}");
        let day = |day: Option<Date>| day.map_or(String::new(), |day| day.to_string());
        Some((day(range.start), day(range.end)))
    }

    #[test]
    fn spans_people_write() {
        for (text, start, end) in [
            ("last month", "2025-05-01", "2025-06-01"),
            ("in 2024", "2024-01-01", "2025-01-01"),
            ("last quarter", "2025-01-01", "2025-04-01"),
            ("this week", "2025-06-16", "2025-06-23"),
            ("since March", "2025-03-01", ""),
            ("since August", "2024-08-01", ""),
            ("in the last 7 days", "2025-06-12", "2025-06-19"),
            ("in the past three months", "2025-03-19", "2025-06-19"),
            ("yesterday", "2025-06-17", "2025-06-18"),
            ("for tomorrow", "2025-06-19", "2025-06-20"),
            ("before 2024", "", "2024-01-01"),
            ("after 2015", "2016-01-01", ""),
            ("in 2020 or later", "2020-01-01", ""),
            ("between 1 April and 30 April 2025", "2025-04-01", "2025-05-01"),
            ("between January and March 2025", "2025-01-01", "2025-04-01"),
            ("from 2025-01-15 to 2025-02-01", "2025-01-15", "2025-02-02"),
            ("in Q1 2025", "2025-01-01", "2025-04-01"),
            ("in the third quarter of 2024", "2024-07-01", "2024-10-01"),
            ("on June 2nd 2025", "2025-06-02", "2025-06-03"),
            ("last Monday", "2025-06-16", "2025-06-17"),
            ("last Wednesday", "2025-06-11", "2025-06-12"),
            ("next month", "2025-07-01", "2025-08-01"),
            ("in the past week", "2025-06-12", "2025-06-19"),
            ("in the last week", "", ""),
        ] {
            assert_eq!(span(text), Some((start.to_owned(), end.to_owned())), "{text}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_none() {
        for text in [
            "on 31 June 2025",
            "on 2025-02-30",
            "between 2025 and 2024",
            "in the last 99999999999 days",
            "may",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
