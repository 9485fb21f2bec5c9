//! `tidegate keys`

use serde_json::{Value, json};
use tidegate_crypto::SigningAlgorithm;
use tidegate_domain::Timestamp;
use tidegate_kernel::Kernel;
use tidegate_kernel::signing_keys::{KeyInfo, KeyUse};

use crate::cli::{Keys, KeysRotate};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::wiring::{Purpose, open};

pub(super) async fn run(config: &Config, command: Keys) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = match command {
        Keys::List => list(&opened.kernel).await,
        Keys::Rotate(command) => rotate(&opened.kernel, &command).await,
    };
    opened.close().await;
    answer
}

async fn list(kernel: &Kernel) -> Result<Answer, Failure> {
    let keys = kernel.list_signing_keys().await?;
    let rows: Vec<[String; 6]> = keys
        .iter()
        .map(|key| {
            [
                key.kid.clone(),
                key.algorithm.clone(),
                signs(key).to_owned(),
                state(key).to_owned(),
                key.created_at.iso_seconds(),
                key.verifies_until.map_or_else(|| "-".to_owned(), Timestamp::iso_seconds),
            ]
        })
        .collect();
    let text = table(["KEY", "ALGORITHM", "SIGNS", "STATE", "CREATED", "VERIFIES UNTIL"], &rows);
    Ok(Answer::new(text, keys.iter().map(json_of).collect()))
}

async fn rotate(kernel: &Kernel, command: &KeysRotate) -> Result<Answer, Failure> {
    let algorithm: SigningAlgorithm = command.algorithm.into();
    let name = algorithm.as_str();
    if command.id_tokens && algorithm == kernel.signing_algorithm() {
        return Err(Failure::usage(format!(
            "the key of access tokens signs ID tokens with {name}, too: leave out --id-tokens to replace it"
        )));
    }
    let key = match (command.id_tokens, command.revoke) {
        (true, revoke) => kernel.rotate_id_token_key(algorithm, revoke).await?,
        (false, true) => kernel.revoke_signing_keys(algorithm).await?,
        (false, false) => kernel.rotate_signing_key(algorithm).await?,
    };
    let older = match (key.signs, command.revoke) {
        (KeyUse::AccessTokens, true) => "Tokens of older keys are refused from now on.",
        (KeyUse::AccessTokens, false) => "Tokens of older keys stay valid until they expire.",
        (KeyUse::IdTokens, true) => "Older keys of that kind are published no more.",
        (KeyUse::IdTokens, false) => {
            "Older keys of that kind are published until the last token has expired."
        }
    };
    let role = match key.signs {
        KeyUse::AccessTokens => "is the signing key".to_owned(),
        KeyUse::IdTokens => format!("signs ID tokens of applications that ask for {name}"),
    };
    let text = format!("Key {} ({name}) {role} now. {older}", key.kid);
    Ok(Answer::new(text, json_of(&key)))
}

const fn signs(key: &KeyInfo) -> &'static str {
    match key.signs {
        KeyUse::AccessTokens => "access_tokens",
        KeyUse::IdTokens => "id_tokens",
    }
}

fn state(key: &KeyInfo) -> &'static str {
    if key.retired_at.is_none() { "signing" } else { "retired" }
}

fn json_of(key: &KeyInfo) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "signs": signs(key),
        "state": state(key),
        "created_at": key.created_at.iso_seconds(),
        "retired_at": key.retired_at.map(Timestamp::iso_seconds),
        "verifies_until": key.verifies_until.map(Timestamp::iso_seconds),
    })
}
