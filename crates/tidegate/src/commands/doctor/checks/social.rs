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
    let base = config.expected_url();
    let base = base.trim_end_matches('/');
    let callback = format!("{base}/api/v1/auth/oauth/{name}/callback");
    let registered = provider.redirect_uri().unwrap_or(&callback);
    match provider.check().await {
        Ok(()) => {
            // The hosted page offers every provider, and comes back at an address of its own.
            let detail = format!(
                "{}: register {registered} there, and {base}/sign-in/with/{name}/callback for the sign-in page",
                provider.title()
            );
            Finding::new(NAME, Verdict::Fine, detail)
        }
        Err(error) => {
            let advice = format!("check [social] for {name}, and that this machine reaches the provider");
            Finding::wrong(NAME, format!("{}: {error}", provider.title()), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn set_up(base_url: &str) -> Config {
        let github =
            json!({ "github": { "client_id": "a", "client_secret": "hunter2", "base_url": base_url } });
        Config { social: serde_json::from_value(github).unwrap(), ..Config::default() }
    }

    #[tokio::test]
    async fn each_provider_is_asked_and_what_to_register_is_said() {
        assert_eq!(providers(&Config::default()).await.len(), 0);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 1_024];
            let _ = stream.read(&mut read).await.unwrap();
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        let found = providers(&set_up(&address)).await.remove(0);
        answering.await.unwrap();
        let register = "GitHub: register http://127.0.0.1:8080/api/v1/auth/oauth/github/callback there, and \
                        http://127.0.0.1:8080/sign-in/with/github/callback for the sign-in page";
        assert_eq!((found.verdict, found.detail.as_str()), (Verdict::Fine, register));

        // Nobody listens there any more.
        let found = providers(&set_up(&address)).await.remove(0);
        assert_eq!(found.verdict, Verdict::Wrong);
        assert!(found.detail.starts_with("GitHub: profile: the provider cannot be reached"), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
