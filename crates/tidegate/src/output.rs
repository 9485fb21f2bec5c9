//! What is printed, and where: answers on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::logging;
use crate::program::as_called;

/// What a command has to say besides its answer.
static AFTERWORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What a command answers, for people and for programs.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// Whether the news is good; a bad report is an answer too.
    pub(crate) good: bool,
}

impl Answer {
    /// Good news.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, good: true }
    }

    /// Prints it in the form asked for.
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            print_json(&self.json);
        } else {
            print_line(&as_called(&self.text));
        }
    }
}

/// Prints one JSON value.
pub(crate) fn print_json(value: &Value) {
    print_line(&value.to_string());
}

/// Prints a line. A reader that went away, as `head` does, is no failure of ours.
pub(crate) fn print_line(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", line.trim_end()).and_then(|()| out.flush());
}

/// Prints bytes as they are. False when the reader went away.
pub(crate) fn print_bytes(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Prints a line while something else goes on: a reader that does not read keeps nothing waiting.
pub(crate) fn print_line_aside(line: String) {
    // Without a thread there is nothing left to print with, and the work goes on.
    drop(std::thread::Builder::new().name("print".to_owned()).spawn(move || {
        // A reader of the line finds in the log what came before it.
        logging::flush();
        print_line(&line);
    }));
}

/// Tells a person something on standard error: in order with the log, once there is one.
pub(crate) fn tell(line: &str) {
    let line = as_called(line);
    if !logging::write_line(&line) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// Keeps a line that is to be told after the answer.
pub(crate) fn tell_afterwards(line: &str) {
    AFTERWORDS.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
}

/// Tells what was kept, now that the answer is printed.
pub(crate) fn tell_afterwords() {
    let lines = std::mem::take(&mut *AFTERWORDS.lock().unwrap_or_else(PoisonError::into_inner));
    for line in lines {
        tell(&line);
    }
}

/// A spinner on a terminal, nothing elsewhere.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar =
        ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

/// Columns, as wide as what is in them.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    columns(&heads.map(str::to_owned), rows.iter().map(<[String; N]>::as_slice))
}

/// The same of as many columns as there are heads.
pub(crate) fn columns<'r>(heads: &[String], rows: impl Iterator<Item = &'r [String]>) -> String {
    let printable = |cells: &[String]| cells.iter().map(|cell| printable(cell)).collect::<Vec<_>>();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(printable(heads));
    table.add_rows(rows.map(printable));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Untrusted text, without characters that control a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_a_mail_servers_words_cannot_steer_the_terminal() {
        let rows =
            [["1".to_owned(), "ada@example.com".to_owned()], ["22".to_owned(), "550 \u{1b}[2Jno".to_owned()]];
        assert_eq!(
            table(["NUMBER", "ERROR"], &rows),
            "NUMBER  ERROR\n1       ada@example.com\n22      550  [2Jno"
        );
    }
}
