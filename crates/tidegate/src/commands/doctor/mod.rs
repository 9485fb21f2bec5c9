//! `tidegate doctor`

mod checks;

use serde_json::{Value, json};

use crate::config::Loaded;
use crate::failure::Failure;
use crate::output::Answer;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Finding {
    fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name, verdict, detail: detail.into() }
    }
}

/// Checks all there is to check. Nothing is made or changed, and one problem does not hide another.
///
/// # Errors
/// Never: a problem is an answer here.
pub(super) async fn run(loaded: Result<Loaded, Failure>) -> Result<Answer, Failure> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => {
            let finding = Finding::new("configuration", Verdict::Wrong, failure.message());
            return Ok(report(&[finding], None));
        }
    };
    let findings = checks::all(&loaded).await;
    Ok(report(&findings, Some(&loaded)))
}

fn report(findings: &[Finding], loaded: Option<&Loaded>) -> Answer {
    let good = findings.iter().all(|finding| finding.verdict != Verdict::Wrong);
    let mut lines: Vec<String> = findings.iter().map(line).collect();
    if let Some(loaded) = loaded {
        lines.push("\nIn force:".to_owned());
        lines.extend(loaded.config.lines().into_iter().map(|line| format!("  {line}")));
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

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Fine => '✓',
        Verdict::Warning => '!',
        Verdict::Wrong => '✗',
    };
    // Several lines stay in their column.
    let detail = finding.detail.replace('\n', &format!("\n{:21}", ""));
    format!("{mark} {:<19}{detail}", finding.name)
}

fn json_of(finding: &Finding) -> Value {
    let status = match finding.verdict {
        Verdict::Fine => "ok",
        Verdict::Warning => "warning",
        Verdict::Wrong => "error",
    };
    json!({"name": finding.name, "status": status, "detail": finding.detail})
}
