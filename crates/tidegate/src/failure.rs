//! How a command fails.

use std::process::ExitCode;

use serde_json::{Value, json};
use tidegate_database::StoreError;
use tidegate_kernel::Fault;

use crate::config::Mistake;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable, for programs.
    code: &'static str,
    /// What to say, and what to do about it.
    message: String,
    usage: bool,
}

impl Failure {
    /// A failure with a stable code.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), usage: false }
    }

    /// A mistake in the configuration.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new("configuration", message)
    }

    /// Mistakes in the configuration, or on the command line when flags alone made them.
    pub(crate) fn mistakes(mistakes: Vec<Mistake>) -> Self {
        let usage = !mistakes.is_empty() && mistakes.iter().all(|mistake| mistake.from_flag);
        let lines: Vec<String> = mistakes.into_iter().map(|mistake| mistake.text).collect();
        Self { code: if usage { "usage" } else { "configuration" }, message: lines.join("\n"), usage }
    }

    /// A mistake on the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: "usage", message: message.into(), usage: true }
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
    pub(crate) fn json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }

    /// 1, or 2 when the command line was wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) => "database_unavailable",
            StoreError::Address(_) => "database_address",
            StoreError::Migration(_) => "database_schema",
            StoreError::Unreadable(_) | StoreError::Database(_) => "database",
        };
        Self::new(code, error.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::RateLimited { .. } => "rate_limited",
            Fault::Busy { .. } => "busy",
            Fault::QuotaExceeded(_) => "quota_exceeded",
            Fault::Forbidden => "forbidden",
            Fault::StepUpRequired => "step_up_required",
            Fault::SessionEnded => "session_ended",
            Fault::MailNotConfigured => "mail_not_configured",
            Fault::SmsNotConfigured => "sms_not_configured",
            Fault::Unavailable(_) => "database_unavailable",
            Fault::Internal(_) => "internal",
        };
        Self::new(code, fault.to_string())
    }
}
