//! The table, and the same as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Measured;
use crate::machine::median;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    work: String,
    /// Where the accounts were.
    store: &'static str,
    value: f64,
    unit: &'static str,
    budget: Option<Budget>,
    /// The best of the five other servers, measured elsewhere on such a machine, or the one compared with in this run: see
    /// docs/benchmarks.md.
    peer: String,
    /// Median and 99th percentile, in milliseconds.
    latency: Option<(f64, f64)>,
    /// CPU time the server spent on an answer.
    cpu: Option<Duration>,
    note: String,
    compared: Option<Compared>,
}

/// The same work of Tidegate and of a peer, measured in turns in one run.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// The peer with its version.
    pub(crate) peer: String,
    /// Of the values.
    pub(crate) unit: &'static str,
    /// Or else less is.
    pub(crate) is_more_better: bool,
    /// One a round.
    pub(crate) ours: Vec<f64>,
    /// The peer's, one a round.
    pub(crate) theirs: Vec<f64>,
}

impl Compared {
    /// How many times better Tidegate was in each round, the least first.
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.theirs);
        let mut ratios: Vec<f64> = pairs
            .map(|(ours, theirs)| if self.is_more_better { ours / theirs } else { theirs / ours })
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    /// The least, the middle and the greatest of the ratios.
    fn spread(&self) -> [f64; 3] {
        let ratios = self.ratios();
        let end = |ratio: Option<&f64>| ratio.copied().unwrap_or_default();
        [end(ratios.first()), median(ratios.clone()), end(ratios.last())]
    }

    fn note(&self) -> String {
        let [least, _, most] = self.spread();
        let value = |values: &[f64]| quantity(median(values.to_vec()), self.unit);
        let (ours, theirs) = (value(&self.ours), value(&self.theirs));
        match self.ours.len() {
            1 => format!("{ours} to {theirs}"),
            rounds => format!("{ours} to {theirs}, medians; {least:.2} x to {most:.2} x in {rounds} rounds"),
        }
    }

    fn json(&self) -> Value {
        let [least, middle, most] = self.spread();
        json!({
            "peer": self.peer,
            "unit": self.unit,
            "more_is_better": self.is_more_better,
            "tidegate": self.ours,
            "other": self.theirs,
            "ratio": { "min": least, "median": middle, "max": most },
        })
    }
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Budget {
    AtLeast(f64),
    AtMost(f64),
}

impl Budget {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {}", quantity(least, unit)),
            Self::AtMost(most) => format!("<= {}", quantity(most, unit)),
        }
    }
}

impl Row {
    pub(crate) fn new(work: impl Into<String>, store: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            work: work.into(),
            store,
            value,
            unit,
            budget: None,
            peer: String::new(),
            latency: None,
            cpu: None,
            note: String::new(),
            compared: None,
        }
    }

    /// How many times better Tidegate was than a peer: the middle one of the rounds.
    pub(crate) fn compared(work: impl Into<String>, store: &'static str, compared: Compared) -> Self {
        let [_, middle, _] = compared.spread();
        let row = Self::new(work, store, middle, "x").peer(compared.peer.clone()).note(compared.note());
        Self { compared: Some(compared), ..row }
    }

    /// Answers a second under a closed loop.
    pub(crate) fn throughput(
        work: impl Into<String>,
        store: &'static str,
        (measured, cpu): &(Measured, Duration),
    ) -> Self {
        let row = Self::new(work, store, measured.per_second(), "/s").latency(measured);
        Self { cpu: Some(*cpu), ..row }
    }

    pub(crate) fn latency(mut self, measured: &Measured) -> Self {
        self.latency = Some((measured.percentile(50.0), measured.percentile(99.0)));
        self
    }

    pub(crate) fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    pub(crate) fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Adds to the note.
    pub(crate) fn more(mut self, notes: &[&str]) -> Self {
        for note in notes {
            self.note.push_str("; ");
            self.note.push_str(note);
        }
        self
    }

    /// None where there is no budget.
    fn is_met(&self) -> Option<bool> {
        self.budget.map(|budget| budget.is_met(self.value))
    }

    fn cells(&self) -> [String; 9] {
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let latency = self.latency.map(|(p50, p99)| format!("{p50:.2} / {p99:.2}")).unwrap_or_default();
        [
            self.work.clone(),
            self.store.to_owned(),
            quantity(self.value, self.unit),
            self.budget.map(|budget| budget.text(self.unit)).unwrap_or_default(),
            verdict.to_owned(),
            self.peer.clone(),
            latency,
            self.cpu.map(|cpu| cpu.as_micros().to_string()).unwrap_or_default(),
            self.note.clone(),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let (at_least, at_most) = match self.budget {
            Some(Budget::AtLeast(least)) => (Some(least), None),
            Some(Budget::AtMost(most)) => (None, Some(most)),
            None => (None, None),
        };
        json!({
            "work": self.work,
            "store": self.store,
            "value": self.value,
            "unit": self.unit,
            "at_least": at_least,
            "at_most": at_most,
            "met": self.is_met(),
            "p50_ms": self.latency.map(|(p50, _)| p50),
            "p99_ms": self.latency.map(|(_, p99)| p99),
            "cpu_us": self.cpu.map(|cpu| cpu.as_secs_f64() * 1e6),
            "note": self.note,
            "compared": self.compared.as_ref().map(Compared::json),
        })
    }
}

/// All rows as a Markdown table, its columns lined up.
pub(crate) fn table(rows: &[Row]) -> String {
    let heads = ["Work", "Store", "Measured", "Budget", "", "Best peer", "p50 / p99 ms", "CPU us", "Note"];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [3; 9];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    lines
        .iter()
        .map(|line| {
            let cells: Vec<String> =
                line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("| {} |\n", cells.join(" | "))
        })
        .collect()
}

fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "/s" if value >= 100.0 => format!("{}/s", thousands(value)),
        "/s" => format!("{value:.2}/s"),
        "" => format!("{value:.2}"),
        "x" => format!("{value:.2} x"),
        "MB" | "ms" if value >= 10.0 => format!("{value:.0} {unit}"),
        _ => format!("{value:.1} {unit}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_budget_was_met() {
        let row = Row::new("me", "SQLite", 24_999.6, "/s").budget(Budget::AtLeast(25_000.0)).peer("5,580/s");
        assert_eq!(row.cells()[2..6], ["25,000/s", ">= 25,000/s", "MISSED", "5,580/s"]);
        assert_eq!(Row::new("start", "", 9.96, "ms").budget(Budget::AtMost(50.0)).cells()[4], "met");
    }

    #[test]
    fn a_comparison_says_how_far_its_rounds_lie_apart() {
        let compared = |is_more_better| Compared {
            peer: "other 1.0".to_owned(),
            unit: "/s",
            is_more_better,
            ours: vec![300.0, 200.0, 400.0],
            theirs: vec![100.0, 100.0, 100.0],
        };
        let row = Row::compared("me", "SQLite", compared(true));
        let cells = row.cells();
        assert_eq!((cells[2].as_str(), cells[5].as_str()), ("3.00 x", "other 1.0"));
        assert_eq!(cells[8], "300/s to 100/s, medians; 2.00 x to 4.00 x in 3 rounds");
        assert_eq!(row.json()["compared"]["ratio"], json!({ "min": 2.0, "median": 3.0, "max": 4.0 }));
        // Where less is better, four times less is four times better.
        assert_eq!(compared(false).spread(), [0.25, 100.0 / 300.0, 0.5]);
    }
}
