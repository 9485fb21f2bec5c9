//! A client of the contract, of no vendor's make: `riven.py`.

use serde_json::Value;
use tidegate_testkit::{eventually, on_both_engines};

use super::{WITHOUT_LIMITS, profile};
use crate::support::{Installation, Said, Server};

/// Runs one of the script's stories to its end; answers what it printed.
pub(super) fn tell(here: &Installation, server: &Server, story: &str, who: &[&str]) -> String {
    let mut script = here.python("riven/riven.py", &[&[server.base.as_str(), story], who].concat());
    let said = Said::of(&mut script);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{story} of {who:?}: {}\n{}", said.err, server.log());
    said.out
}

/// Walks through the whole contract; answers what nobody else must have learned.
pub(super) async fn walk(here: &Installation, server: &Server, phone: &str, slash: &str) -> Value {
    let secrets: Value = serde_json::from_str(&tell(here, server, "apply", &[phone, slash])).unwrap();
    let token = secrets["token"].as_str().unwrap();
    eventually("the account is active", async || {
        let (status, answer) = profile(server, token).await;
        assert_eq!(status, 200, "{answer}");
        (answer["data"]["status"] == "ACTIVE").then_some(())
    })
    .await;
    tell(here, server, "return", &[phone, slash, token]);
    secrets
}

on_both_engines! {
    async fn a_client_registers_opens_an_account_submits_documents_and_comes_back(here: Installation) {
        here.write("tidegate.toml", WITHOUT_LIMITS);
        let server = here.serve(&["--dev"]);
        for (phone, slash) in [("+254712345678", ""), ("+254110345679", "/")] {
            walk(&here, &server, phone, slash).await;
        }
        server.stop();
    }
}
