//! `tidegate migrate`

use serde_json::json;

use crate::cli::Migrate;
use crate::config::Config;
use crate::copied::tell_of_copy;
use crate::failure::Failure;
use crate::installation::refuse_missing;
use crate::opening::{MissingStore, begin, open_store};
use crate::output::Answer;

pub(super) async fn run(config: &Config, command: &Migrate) -> Result<Answer, Failure> {
    let missing = if command.new { MissingStore::Create } else { MissingStore::Refuse };
    let store = open_store(config, missing).await?;
    let answer = async {
        if !command.new {
            refuse_missing(config, &store).await?;
        }
        tell_of_copy(config, &store).await?;
        if command.check {
            check(store.pending_migrations().await.map_err(Failure::from))
        } else {
            begin(config, &store).await.map(applied)
        }
    }
    .await;
    store.close().await;
    answer
}

fn check(pending: Result<usize, Failure>) -> Result<Answer, Failure> {
    let pending = pending?;
    let text = match pending {
        0 => "The schema is up to date.".to_owned(),
        n => format!("{n} migration(s) pending: run `tidegate migrate`."),
    };
    Ok(Answer { good: pending == 0, ..Answer::new(text, json!({"pending": pending})) })
}

fn applied(count: usize) -> Answer {
    let text = match count {
        0 => "The schema is up to date.".to_owned(),
        n => format!("{n} migration(s) applied. The schema is up to date."),
    };
    Answer::new(text, json!({"applied": count}))
}
