//! `tidegate jobs`

use serde_json::{Value, json};
use tidegate_kernel::Kernel;
use tidegate_kernel::jobs::repository::JobRow;

use crate::cli::{DeadJob, Jobs, JobsList};
use crate::config::Config;
use crate::failure::{Failure, without_numbers};
use crate::output::{Answer, table};
use crate::wiring::{Purpose, open};

pub(super) async fn run(config: &Config, command: Jobs) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let kernel = &opened.kernel;
    let answer = match command {
        Jobs::List(command) => list(kernel, &command).await,
        Jobs::Retry(DeadJob { number }) => settled(kernel.retry_job(number).await?, number, "is tried again"),
        Jobs::Drop(DeadJob { number }) => settled(kernel.drop_job(number).await?, number, "is removed"),
    };
    opened.close().await;
    answer
}

async fn list(kernel: &Kernel, command: &JobsList) -> Result<Answer, Failure> {
    let jobs = kernel.list_jobs(command.state.map(|state| state.as_str()), command.limit.into()).await?;
    let json = jobs.iter().map(json_of).collect();
    if jobs.is_empty() {
        return Ok(Answer::new("There are no such jobs.", json));
    }
    let rows: Vec<[String; 7]> = jobs
        .iter()
        .map(|job| {
            [
                job.number.to_string(),
                job.state.clone(),
                job.attempts.to_string(),
                job.name.clone(),
                job.created_at().iso_seconds(),
                job.run_at().iso_seconds(),
                job.last_error.as_deref().map(without_numbers).unwrap_or_default(),
            ]
        })
        .collect();
    let heads = ["NUMBER", "STATE", "ATTEMPTS", "JOB", "CREATED", "NEXT OR DEAD SINCE", "LAST ERROR"];
    Ok(Answer::new(table(heads, &rows), json))
}

fn settled(done: bool, number: i64, what: &str) -> Result<Answer, Failure> {
    if done {
        return Ok(Answer::new(format!("Job {number} {what}."), json!({ "number": number })));
    }
    Err(Failure::new(
        "not_dead",
        format!("job {number} is not dead or does not exist; see `tidegate jobs list --state dead`"),
    ))
}

/// Without the payload: it may be sealed.
fn json_of(job: &JobRow) -> Value {
    json!({
        "number": job.number,
        "name": job.name,
        "state": job.state,
        "scheduled": job.scheduled,
        "dedupe_key": job.dedupe_key,
        "attempts": job.attempts,
        "created_at": job.created_at().iso_seconds(),
        "run_at": job.run_at().iso_seconds(),
        "leased_until": (job.state == "running").then(|| job.leased_until().iso_seconds()),
        "last_error": job.last_error.as_deref().map(without_numbers),
    })
}
