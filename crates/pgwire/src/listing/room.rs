//! What one statement about catalogs may use: steps, memory, depth. Whoever may ask anything at all may ask this, so nothing of it grows with
//! what is written but within these numbers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regex::{Regex, RegexBuilder};

use super::datum::Datum;
use crate::protocol::problem::Problem;

/// Expressions and rows that are worked out for one statement at most.
const STEPS: u64 = 20_000_000;
/// Bytes of all values that are held at the same time.
const BYTES: usize = 256 << 20;
/// Expressions and queries within each other.
const DEEPEST: usize = 1_000;
/// Bytes of a compiled regular expression, how many of them are kept, and the steps that compiling one costs.
const PATTERN: usize = 1 << 18;
const PATTERNS: usize = 16;
const COMPILING: usize = 5_000;
/// Bytes of a text that are searched for one step.
const SEARCHED: usize = 64;
/// Longest text that is searched: nothing ends a search before its own end, and each byte may cost as much as the pattern is long.
const LONGEST_SEARCHED: usize = 16 * 1024;
/// Longest regular expression. It is read as a whole before its compiled size is looked at, and takes many times its length for that.
const LONGEST_PATTERN: usize = 8 * 1024;

/// What is left for a statement.
pub(super) struct Room {
    steps: Cell<u64>,
    bytes: Cell<usize>,
    depth: Cell<usize>,
    patterns: RefCell<HashMap<(String, bool), Rc<Regex>>>,
    /// Set when nobody waits for the answer any more.
    halt: Arc<AtomicBool>,
}

fn too_much() -> Problem {
    Problem::new("54000", "The statement about catalogs asks for too much.")
        .hint("Name the relation that is meant.")
}

fn within(length: usize, most: usize) -> Result<(), Problem> {
    if length <= most { Ok(()) } else { Err(too_much()) }
}

/// Refuses a pattern of `LIKE` that is too long; it becomes a regular expression of at most twice its length and a little more.
pub(super) fn is_short_enough(pattern: &str) -> Result<(), Problem> {
    within(pattern.len(), LONGEST_PATTERN / 2 - 8)
}

impl Room {
    pub(super) fn new(halt: Arc<AtomicBool>) -> Self {
        Self {
            steps: Cell::new(STEPS),
            bytes: Cell::new(BYTES),
            depth: Cell::new(0),
            patterns: RefCell::default(),
            halt,
        }
    }

    /// Counts steps.
    pub(super) fn steps(&self, count: usize) -> Result<(), Problem> {
        if self.halt.load(Ordering::Relaxed) {
            return Err(Problem::cancelled());
        }
        let left = self.steps.get().checked_sub(u64::try_from(count).unwrap_or(u64::MAX));
        self.steps.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(too_much)
    }

    /// Counts bytes of values that are held.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Problem> {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(too_much)
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.get()
    }

    /// All that was charged since then is gone.
    pub(super) fn restore(&self, left: usize) {
        self.bytes.set(left);
    }

    /// Does something that is within something else.
    pub(super) fn deeper<T>(&self, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        let depth = self.depth.get();
        if depth >= DEEPEST {
            return Err(Problem::new("54000", "The statement about catalogs is nested too deeply."));
        }
        self.depth.set(depth + 1);
        let done = work();
        self.depth.set(depth);
        done
    }

    /// Whether a regular expression is found in a text; null where either is.
    pub(super) fn matches(
        &self,
        text: &Datum,
        pattern: &Datum,
        is_blind: bool,
        negated: bool,
    ) -> Result<Datum, Problem> {
        let (Some(text), Some(pattern)) = (text.text(), pattern.text()) else { return Ok(Datum::Null) };
        within(text.len(), LONGEST_SEARCHED)?;
        within(pattern.len(), LONGEST_PATTERN)?;
        let pattern = self.pattern(pattern, is_blind)?;
        self.steps(text.len() / SEARCHED)?;
        Ok((pattern.is_match(&text) != negated).into())
    }

    fn pattern(&self, pattern: String, is_blind: bool) -> Result<Rc<Regex>, Problem> {
        let key = (pattern, is_blind);
        if let Some(known) = self.patterns.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        self.steps(COMPILING)?;
        let made = RegexBuilder::new(&key.0).case_insensitive(is_blind).size_limit(PATTERN).build();
        let made = made.map_err(|_| Problem::new("22000", "A regular expression cannot be read."))?;
        let made = Rc::new(made);
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() >= PATTERNS {
            patterns.clear();
        }
        patterns.insert(key, Rc::clone(&made));
        Ok(made)
    }
}
