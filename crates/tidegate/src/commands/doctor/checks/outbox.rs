//! Messages that were tried and not sent.

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};

const NAME: &str = "outbox";
/// Errors that are told; the list has all.
const TOLD: usize = 3;
/// One more than are told says that there are others.
pub(super) const ASKED_FOR: i64 = 4;

/// What keeps messages from being sent: the state, the error and how many have both.
pub(super) fn unsent(found: &[(String, String, i64)]) -> Finding {
    if found.is_empty() {
        return Finding::new(NAME, Fine, "no message is dead, or waits after a try that failed");
    }
    let told = found.iter().take(TOLD);
    let mut lines: Vec<String> =
        told.map(|(state, reason, messages)| format!("{messages} {state}: {reason}")).collect();
    if found.len() > TOLD {
        lines.push("and others".to_owned());
    }
    Finding::new(NAME, Warning, lines.join("\n")).advised(
        "correct what is named; `tidegate outbox list` has each message. Pending ones are then sent by themselves, or at \
         once with `tidegate outbox retry NUMBER`, as dead ones are",
    )
}
