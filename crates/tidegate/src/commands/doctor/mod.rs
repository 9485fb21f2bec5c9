//! `tidegate doctor`

mod checks;

use serde_json::{Value, json};

use crate::cli::Doctor;
use crate::config::{Config, Loaded};
use crate::failure::{Failure, without_numbers};
use crate::output::Answer;
use crate::program::as_called;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Fine,
    /// Worth a look; serving works.
    Warning,
    /// Serving would fail, or be unsafe.
    Wrong,
}

/// One check.
#[derive(Debug)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Finding {
    fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name, verdict, detail: without_numbers(&detail.into()), advice: None }
    }

    /// What keeps a server from serving, or makes it unsafe, is never told without what to do about it.
    fn wrong(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Wrong, detail).advised(advice)
    }

    /// The same, with what to do about it.
    fn advised(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(without_numbers(&advice.into())), ..self }
    }

    /// What two of one check say, with the worse of their verdicts.
    fn and(self, other: Self) -> Self {
        let advice: Vec<String> = [self.advice, other.advice].into_iter().flatten().collect();
        Self {
            name: self.name,
            verdict: self.verdict.max(other.verdict),
            detail: format!("{}\n{}", self.detail, other.detail),
            advice: (!advice.is_empty()).then(|| advice.join("\n")),
        }
    }
}

/// Checks all there is to check. Nothing is made or changed but for a test file that is removed again, and one problem does not hide
/// another.
///
/// # Errors
/// Never: a problem is an answer here.
pub(super) async fn run(loaded: Result<Loaded, Failure>, command: &Doctor) -> Result<Answer, Failure> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => {
            let advice = "correct these settings; `tidegate config` lists all";
            return Ok(report(&[Finding::wrong("configuration", failure.message(), advice)], None, command));
        }
    };
    let findings = checks::all(&loaded).await;
    Ok(report(&findings, Some(&loaded), command))
}

fn report(findings: &[Finding], loaded: Option<&Loaded>, command: &Doctor) -> Answer {
    let good = findings.iter().all(|finding| finding.verdict != Verdict::Wrong);
    let mut lines: Vec<String> = findings.iter().map(line).collect();
    if let Some(loaded) = loaded {
        lines.extend(settings(loaded, command.all));
    }
    let checks: Value = findings.iter().map(json_of).collect();
    let json = json!({
        "ok": good,
        "checks": checks,
        "sources": loaded.map(|loaded| &loaded.sources),
        "configuration": loaded.map(|loaded| loaded.config.view()),
    });
    Answer { good, ..Answer::new(lines.join("\n"), json) }
}

/// The settings in force, below the checks: by default those that somebody has set, and how many limits development raises.
fn settings(loaded: &Loaded, all: bool) -> Vec<String> {
    let (mut shown, mut head) = (loaded.config.lines(), "\nEvery setting:");
    let mut raised = 0;
    if !all {
        let defaults = Config::default().lines();
        shown.retain(|line| !defaults.contains(line));
        let differing = shown.len();
        shown.retain(|line| !is_raised(loaded, line));
        raised = differing - shown.len();
        head = match differing {
            0 => "\nEvery setting has its default; `tidegate doctor --all` shows them.",
            _ => "\nSettings that differ from their defaults; `tidegate doctor --all` shows all:",
        };
    }
    let raised = (raised > 0).then(|| {
        format!("{raised} limits that nobody has set are a hundred times higher, because of `dev`; `dev_limits = true` keeps them")
    });
    let lines = shown.into_iter().chain(raised).map(|line| format!("  {line}"));
    std::iter::once(head.to_owned()).chain(lines).collect()
}

/// Whether a setting that differs from its default is a limit that nobody has set.
fn is_raised(loaded: &Loaded, line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.ends_with(".attempts") && loaded.is_default(key))
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Fine => '✓',
        Verdict::Warning => '!',
        Verdict::Wrong => '✗',
    };
    let advice = finding.advice.as_ref().map(|advice| format!("\n\u{2192} {advice}"));
    let detail = format!("{}{}", finding.detail, advice.unwrap_or_default());
    // Several lines stay in their column.
    let detail = detail.replace('\n', &format!("\n{:21}", ""));
    format!("{mark} {:<19}{detail}", finding.name)
}

fn json_of(finding: &Finding) -> Value {
    let status = match finding.verdict {
        Verdict::Fine => "ok",
        Verdict::Warning => "warning",
        Verdict::Wrong => "error",
    };
    let advice = finding.advice.as_deref().map(as_called);
    json!({"name": finding.name, "status": status, "detail": as_called(&finding.detail), "advice": advice})
}
