//! Whether the other identity providers answer, and what is to be registered at each.

use std::sync::Arc;

use tidegate_federation::{Federation, Provider};

use super::{Finding, Verdict};
use crate::clock::SystemClock;
use crate::config::Config;

const NAME: &str = "social sign-in";

/// One finding for each provider that is set up; none where none is.
pub(super) async fn providers(config: &Config) -> Vec<Finding> {
    let federation = match Federation::new(&config.social, Arc::new(SystemClock)) {
        Ok(federation) => federation,
        Err(error) => return vec![Finding::wrong(NAME, format!("social.{error}"), "correct [social]")],
    };
    let mut findings = Vec::new();
    for provider in federation.providers() {
        findings.push(ask(config, provider).await);
    }
    findings
}

async fn ask(config: &Config, provider: &Provider) -> Finding {
    let name = provider.name();
    let callback =
        format!("{}/api/v1/auth/oauth/{name}/callback", config.expected_url().trim_end_matches('/'));
    let registered = provider.redirect_uri().unwrap_or(&callback);
    match provider.check().await {
        Ok(()) => {
            let detail = format!("{}: register {registered} there", provider.title());
            Finding::new(NAME, Verdict::Fine, detail)
        }
        Err(error) => {
            let advice = format!("check [social] for {name}, and that this machine reaches the provider");
            Finding::wrong(NAME, format!("{}: {error}", provider.title()), advice)
        }
    }
}
