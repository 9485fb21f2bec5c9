//! The table of jobs.

use std::time::Duration;

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional, prune};
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;
use uuid::Uuid;

use crate::changes;
use crate::jobs::claim::Claim;

/// The jobs of a unit of work.
pub struct Jobs<'u>(pub(crate) &'u mut Unit);

/// A job to be enqueued; made by [`crate::Kernel::job`].
#[derive(Clone, Debug)]
pub struct NewJob {
    pub(crate) id: Uuid,
    pub(crate) name: &'static str,
    pub(crate) dedupe_key: Option<String>,
    pub(crate) account: Option<AccountId>,
    pub(crate) payload: Vec<u8>,
    pub(crate) sealed: bool,
    pub(crate) run_at: Timestamp,
    pub(crate) created_at: Timestamp,
}

impl NewJob {
    /// Is left out while a job of that name and key is pending, which runs at the earlier time of both.
    #[must_use]
    pub fn once_for(self, key: impl Into<String>) -> Self {
        Self { dedupe_key: Some(key.into()), ..self }
    }

    /// Is deleted with that account.
    #[must_use]
    pub fn about(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Runs then, not at once.
    #[must_use]
    pub fn at(self, run_at: Timestamp) -> Self {
        Self { run_at, ..self }
    }
}

/// A job in the table.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct JobRow {
    /// The integer shown on the command line.
    pub number: i64,
    pub(crate) id: Uuid,
    /// Which job.
    pub name: String,
    /// At most one pending job of its name has it.
    pub dedupe_key: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) sealed: bool,
    /// Whether it is the one row of a job that runs by schedule.
    pub scheduled: bool,
    /// `pending`, `running` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    claims: i64,
    run_at: i64,
    leased_until: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    created_at: i64,
}

impl JobRow {
    /// Key.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Which claim of it was the last.
    pub const fn claim(&self) -> Claim {
        Claim(self.claims)
    }

    /// When it runs next; of a dead one, when it was given up.
    pub const fn run_at(&self) -> Timestamp {
        Timestamp::from_micros(self.run_at)
    }

    /// Until when a worker holds it; in the past when none does.
    pub const fn leased_until(&self) -> Timestamp {
        Timestamp::from_micros(self.leased_until)
    }

    /// When it was enqueued.
    pub const fn created_at(&self) -> Timestamp {
        Timestamp::from_micros(self.created_at)
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Settlement<'a> {
    /// Done: the row goes.
    Done,
    /// It failed and is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// Why it failed.
        error: &'a str,
    },
    /// A scheduled job did its work.
    Next {
        /// When it runs again.
        at: Timestamp,
    },
    /// It was stopped before its end: it is as if this attempt had not been made.
    Released {
        /// When it runs again.
        at: Timestamp,
    },
    /// It failed permanently.
    Dead {
        /// When it was given up.
        at: Timestamp,
        /// Why.
        error: &'a str,
    },
}

macro_rules! columns {
    () => {
        "number, id, name, dedupe_key, payload, sealed, scheduled, state, attempts, claims, run_at, leased_until, last_error,
         created_at"
    };
}

impl Jobs<'_> {
    /// Enqueues a job. Commit it with what wants it. Answers the number of the job that waits: of this one, or of the one
    /// with its dedupe key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn enqueue(&mut self, new: &NewJob) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into jobs (id, name, dedupe_key, account_id, payload, sealed, scheduled, state, attempts, claims, run_at,
                leased_until, created_at)
             values ($1, $2, $3, $4, $5, $6, false, 'pending', 0, 0, $7, 0, $8)
             on conflict (name, dedupe_key) where state = 'pending' and dedupe_key is not null
             do update set run_at = case when excluded.run_at < jobs.run_at then excluded.run_at else jobs.run_at end
             returning number",
            new.id,
            new.name,
            new.dedupe_key.as_deref(),
            new.account.map(|account| account.0),
            new.payload.as_slice(),
            new.sealed,
            new.run_at.micros(),
            new.created_at.micros(),
        )?;
        self.0.note(changes::JOBS);
        Ok(number)
    }

    /// Whether a job with that dedupe key waits or runs.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_under_way(&mut self, name: &str, dedupe_key: &str) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from jobs where name = $1 and dedupe_key = $2 and state in ('pending', 'running') limit 1",
            name,
            dedupe_key,
        )?;
        Ok(row.is_some())
    }

    /// Adds the one row of a scheduled job, unless it is there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn schedule(&mut self, new: &NewJob) -> Result<()> {
        execute!(
            self.0,
            "insert into jobs (id, name, payload, sealed, scheduled, state, attempts, claims, run_at, leased_until, created_at)
             values ($1, $2, $3, false, true, 'pending', 0, 0, $4, 0, $5) on conflict do nothing",
            new.id,
            new.name,
            new.payload.as_slice(),
            new.run_at.micros(),
            new.created_at.micros(),
        )?;
        self.0.note(changes::JOBS);
        Ok(())
    }

    /// The jobs that have a row for their schedule.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn scheduled(&mut self) -> Result<Vec<String>> {
        let rows = fetch_all!(self.0, (String,), "select name from jobs where scheduled")?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// The names of jobs that can be claimed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due(&mut self, now: Timestamp) -> Result<Vec<String>> {
        let rows = fetch_all!(
            self.0,
            (String,),
            "select distinct name from jobs where state <> 'dead' and run_at <= $1 and leased_until <= $1",
            now.micros(),
        )?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Jobs that run, or are held, later than `horizon`: those that wait for their time, and those of a node whose clock is ahead.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn beyond(&mut self, horizon: Timestamp, at_most: i64) -> Result<Vec<JobRow>> {
        fetch_all!(
            self.0,
            JobRow,
            concat!(
                "select ",
                columns!(),
                " from jobs where (scheduled and run_at > $1) or (state = 'running' and leased_until > $1)
                 order by number limit $2"
            ),
            horizon.micros(),
            at_most,
        )
    }

    /// Has a job run, and its lease end, no later than given. Nothing changes when another worker has claimed it since.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bring_forward(
        &mut self,
        row: &JobRow,
        run_at: Timestamp,
        leased_until: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update jobs set run_at = case when run_at > $3 then $3 else run_at end,
                leased_until = case when leased_until > $4 then $4 else leased_until end
             where id = $1 and claims = $2 and state <> 'dead'",
            row.id,
            row.claims,
            run_at.micros(),
            leased_until.micros(),
        )?;
        Ok(())
    }

    /// Claims up to `at_most` due jobs of a name for `lease`: no other worker gets them in that time. One whose worker died
    /// is due when its lease runs out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(
        &mut self,
        name: &str,
        now: Timestamp,
        lease: Duration,
        at_most: i64,
    ) -> Result<Vec<JobRow>> {
        let mut jobs = fetch_all!(
            self.0,
            JobRow,
            concat!(
                "update jobs set state = 'running', leased_until = $2, attempts = attempts + 1, claims = claims + 1
                 where state <> 'dead' and run_at <= $1 and leased_until <= $1 and id in
                    (select id from jobs
                     where name = $4 and state <> 'dead' and run_at <= $1 and leased_until <= $1
                     order by run_at, number limit $3)
                 returning ",
                columns!()
            ),
            now.micros(),
            now.plus(lease).micros(),
            at_most,
            name,
        )?;
        jobs.sort_by_key(|job| job.number);
        Ok(jobs)
    }

    /// Holds a claimed job until then. False when another worker has taken it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn renew(&mut self, id: Uuid, claim: Claim, until: Timestamp) -> Result<bool> {
        let renewed = execute!(
            self.0,
            "update jobs set leased_until = $3 where id = $1 and claims = $2 and state = 'running'",
            id,
            claim.0,
            until.micros(),
        )?;
        Ok(renewed == 1)
    }

    /// Notes what became of an attempt. False when another worker has taken the job, or it is gone: nothing changes then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settle(&mut self, id: Uuid, claim: Claim, settlement: Settlement<'_>) -> Result<bool> {
        let settled = match settlement {
            Settlement::Done => return self.finish(id, claim).await,
            Settlement::Again { at, error } => {
                let again = execute!(
                    self.0,
                    "update jobs set state = 'pending', run_at = $3, leased_until = 0, last_error = $4
                     where id = $1 and claims = $2 and state = 'running' and not exists
                        (select 1 from jobs other where other.name = jobs.name and other.dedupe_key = jobs.dedupe_key
                            and other.state = 'pending')",
                    id,
                    claim.0,
                    at.micros(),
                    error,
                )?;
                if again == 0 {
                    // The same was enqueued meanwhile, and does its work.
                    return self.finish(id, claim).await;
                }
                again
            }
            Settlement::Released { at } => {
                let released = execute!(
                    self.0,
                    "update jobs set state = 'pending', run_at = $3, leased_until = 0, attempts = attempts - 1
                     where id = $1 and claims = $2 and state = 'running' and not exists
                        (select 1 from jobs other where other.name = jobs.name and other.dedupe_key = jobs.dedupe_key
                            and other.state = 'pending')",
                    id,
                    claim.0,
                    at.micros(),
                )?;
                self.0.note(changes::JOBS);
                if released == 0 {
                    // The same was enqueued meanwhile, and does its work.
                    return self.finish(id, claim).await;
                }
                released
            }
            Settlement::Next { at } => execute!(
                self.0,
                "update jobs set state = 'pending', run_at = $3, leased_until = 0, attempts = 0, last_error = null
                 where id = $1 and claims = $2 and state = 'running'",
                id,
                claim.0,
                at.micros(),
            )?,
            Settlement::Dead { at, error } => execute!(
                self.0,
                "update jobs set state = 'dead', run_at = $3, leased_until = 0, last_error = $4
                 where id = $1 and claims = $2 and state = 'running'",
                id,
                claim.0,
                at.micros(),
                error,
            )?,
        };
        Ok(settled == 1)
    }

    async fn finish(&mut self, id: Uuid, claim: Claim) -> Result<bool> {
        let finished = execute!(
            self.0,
            "delete from jobs where id = $1 and claims = $2 and state = 'running'",
            id,
            claim.0
        )?;
        Ok(finished == 1)
    }

    /// Gives a dead job another life; where the same was enqueued again since, that one is left to run. False when there is
    /// no dead job of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revive(&mut self, number: i64, now: Timestamp) -> Result<bool> {
        let revived = execute!(
            self.0,
            "update jobs set state = 'pending', attempts = 0, run_at = $2
             where number = $1 and state = 'dead' and not exists
                (select 1 from jobs other where other.name = jobs.name and other.dedupe_key = jobs.dedupe_key
                    and other.state = 'pending')",
            number,
            now.micros(),
        )?;
        self.0.note(changes::JOBS);
        if revived == 0 {
            return self.bury(number).await;
        }
        Ok(true)
    }

    /// Removes a dead job. False when there is no dead job of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bury(&mut self, number: i64) -> Result<bool> {
        Ok(execute!(self.0, "delete from jobs where number = $1 and state = 'dead'", number)? == 1)
    }

    /// The newest jobs, of one state or of all, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&mut self, state: Option<&str>, limit: i64) -> Result<Vec<JobRow>> {
        fetch_all!(
            self.0,
            JobRow,
            concat!(
                "select ",
                columns!(),
                " from jobs where state = $1 or $1 = '' order by number desc limit $2"
            ),
            state.unwrap_or_default(),
            limit,
        )
    }

    /// How many jobs of each name and state there are, without those that run by schedule.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn depth(&mut self) -> Result<Vec<(String, String, i64)>> {
        fetch_all!(
            self.0,
            (String, String, i64),
            "select name, state, count(*) from jobs where not scheduled group by name, state",
        )
    }

    /// Deletes the jobs about an account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_of(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from jobs where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes jobs that were given up before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "jobs",
            "id",
            "where state = 'dead' and run_at < $1 order by run_at limit $2",
            before.micros(),
            at_most,
        )
    }
}
