//! How a command fails.

use std::process::ExitCode;

use serde_json::{Value, json};
use tidegate_database::{Refusal, StoreError};
use tidegate_kernel::Fault;

use crate::config::Mistake;
use crate::program::as_called;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable, for programs.
    code: &'static str,
    /// What to say, and what to do about it.
    message: String,
    /// What to do about it, where that is said apart.
    advice: Option<String>,
    usage: bool,
}

impl Failure {
    /// A failure with a stable code.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: without_numbers(&message.into()), advice: None, usage: false }
    }

    /// A failure that says what to do about it.
    pub(crate) fn advised(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(code, what).advise(advice)
    }

    /// The same, with something to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        let advice = without_numbers(&advice.into());
        self.message = format!("{}; {advice}", self.message);
        self.advice = Some(advice);
        self
    }

    /// The same, with what may be the reason.
    pub(crate) fn hinted(mut self, hints: &[String]) -> Self {
        for hint in hints {
            self.message = format!("{}\nhint: {hint}", self.message);
        }
        self
    }

    /// A mistake in the configuration.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new("configuration", message)
    }

    /// Mistakes in the configuration, or on the command line when flags alone made them.
    pub(crate) fn mistakes(mistakes: Vec<Mistake>) -> Self {
        let usage = !mistakes.is_empty() && mistakes.iter().all(|mistake| mistake.from_flag);
        let lines: Vec<String> = mistakes.into_iter().map(|mistake| mistake.text).collect();
        let code = if usage { "usage" } else { "configuration" };
        Self { usage, ..Self::new(code, lines.join("\n")) }
    }

    /// A mistake on the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new("usage", message) }
    }

    /// A defect, ours or the machine's.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", message)
    }

    /// The same, said of `what`.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What to say, and what to do about it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// For programs.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, and apart from it what to do about it, where that is known.
    pub(crate) fn parts(&self) -> (&str, Option<&str>) {
        let advice = self.advice.as_deref();
        let what = advice.and_then(|advice| self.message.strip_suffix(advice)?.strip_suffix("; "));
        (what.unwrap_or(&self.message), advice.filter(|_| what.is_some()))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let advice = self.advice.as_deref().map(as_called);
        json!({"error": {"code": self.code, "message": as_called(&self.message), "advice": advice}})
    }

    /// 1, or 2 when the command line was wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

/// A message without the system's numbers: `No such file or directory (os error 2)`.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    kept
}

/// Fails for what is wrong with a database, if something is.
///
/// # Errors
/// That, with what to do about it.
pub(crate) fn refuse(reason: Option<Refusal>) -> Result<(), Failure> {
    reason.map_or(Ok(()), |refusal| Err(StoreError::from(refusal).into()))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Refused(refusal) => {
                return Self::advised(refusal.code, refusal.what, refusal.advice);
            }
            StoreError::Damaged { said, advice } => {
                let what = format!("the database is damaged: {said}");
                return Self::advised("database_damaged", what, advice);
            }
            StoreError::Lost { what, advice } => return Self::advised("database_lost", what, advice),
            StoreError::Unavailable(_) => "database_unavailable",
            StoreError::Address(_) => "database_address",
            StoreError::Migration(_) => "database_schema",
            StoreError::Unreadable(_) | StoreError::Database(_) => "database",
        };
        let advice = error.advice().map(without_numbers);
        Self { advice, ..Self::new(code, error.to_string()) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::RateLimited { .. } => "rate_limited",
            Fault::Busy { .. } => "busy",
            Fault::QuotaExceeded(_) => "quota_exceeded",
            Fault::Forbidden(_) => "forbidden",
            Fault::StepUpRequired => "step_up_required",
            Fault::SessionEnded => "session_ended",
            Fault::MailNotConfigured => "mail_not_configured",
            Fault::SmsNotConfigured => "sms_not_configured",
            Fault::Unavailable(_) => "database_unavailable",
            Fault::Internal(_) => "internal",
        };
        let failure = Self::new(code, fault.to_string());
        // On its way here the advice was lost.
        if failure.message.starts_with("the database is damaged") {
            return failure.advise("`tidegate doctor` reads all of it, and says what to do");
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use tidegate_database::Reason;

    use super::*;

    #[test]
    fn a_failure_says_what_is_wrong_and_what_to_do_without_numbers_of_the_system() {
        let error = std::io::Error::from_raw_os_error(2);
        let failure = Failure::advised("x", format!("a.toml: {error}, b.toml: {error}"), "create them");
        let text = "a.toml: No such file or directory, b.toml: No such file or directory; create them";
        assert_eq!(failure.message(), text);
        assert_eq!(failure.parts().1, Some("create them"));
        assert_eq!(failure.json()["error"]["advice"], "create them");
        assert_eq!(Failure::new("x", "y").parts(), ("y", None));
        // Of a database: what it said, and what to do.
        let (what, advice) =
            ("no right (code 42501)".to_owned(), Some("grant it (twice); or not".to_owned()));
        let failure = Failure::from(StoreError::Database(Reason { what, advice }));
        assert_eq!(
            failure.parts(),
            ("the database failed: no right (code 42501)", Some("grant it (twice); or not"))
        );
        let failure = Failure::from(StoreError::Unavailable("no connection became free in time".into()));
        assert_eq!(failure.parts().1, None);
    }
}
