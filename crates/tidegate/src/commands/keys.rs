//! `tidegate keys`

use serde_json::{Value, json};
use tidegate_crypto::SigningAlgorithm;
use tidegate_domain::Timestamp;
use tidegate_kernel::Kernel;
use tidegate_kernel::signing_keys::KeyInfo;

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
    let rows: Vec<[String; 5]> = keys
        .iter()
        .map(|key| {
            [
                key.kid.clone(),
                key.algorithm.clone(),
                state(key).to_owned(),
                key.created_at.iso_seconds(),
                key.verifies_until.map_or_else(|| "-".to_owned(), Timestamp::iso_seconds),
            ]
        })
        .collect();
    let text = table(["KEY", "ALGORITHM", "STATE", "CREATED", "VERIFIES UNTIL"], &rows);
    Ok(Answer::new(text, keys.iter().map(json_of).collect()))
}

async fn rotate(kernel: &Kernel, command: &KeysRotate) -> Result<Answer, Failure> {
    let algorithm: SigningAlgorithm = command.algorithm.into();
    let (key, older) = if command.revoke {
        (kernel.revoke_signing_keys(algorithm).await?, "Tokens of older keys are refused from now on.")
    } else {
        let key = kernel.rotate_signing_key(algorithm).await?;
        (key, "Tokens of older keys stay valid until they expire.")
    };
    let role = match algorithm {
        SigningAlgorithm::Rs256 => "signs ID tokens of applications that ask for RS256",
        SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => "is the signing key",
    };
    let text = format!("Key {} ({}) {role} now. {older}", key.kid, key.algorithm);
    Ok(Answer::new(text, json_of(&key)))
}

fn state(key: &KeyInfo) -> &'static str {
    if key.retired_at.is_none() { "signing" } else { "retired" }
}

fn json_of(key: &KeyInfo) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": state(key),
        "created_at": key.created_at.iso_seconds(),
        "retired_at": key.retired_at.map(Timestamp::iso_seconds),
        "verifies_until": key.verifies_until.map(Timestamp::iso_seconds),
    })
}
