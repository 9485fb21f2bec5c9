//! Attempts that come at the same time are counted together.
//!
//! What a network does is counted in one row, which whoever counts locks until it is durable. One by one, the requests of a network would
//! stand in line for it, with a few trips to the database each. So one unit at a time counts what begins with the same row, for all who
//! came while the one before it was under way. Each is judged as if they had come one after another: not one more gets through.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_database::{MOST_ROWS, OnCommit, Result, Store, StoreError, Unit};
use tidegate_domain::Timestamp;
use tidegate_domain::limit::LimitStatus;
use tokio::runtime::Handle;

use crate::KernelTables;
use crate::node::together::Together;
use crate::tables::limits::{Attempts, BucketName, Counts};

/// A bucket that was counted is none.
const UNREADABLE: StoreError = StoreError::Unreadable("rate_limit_buckets.count");

/// Counts for the requests of one node.
#[derive(Clone)]
pub(crate) struct Counting {
    store: Store,
    counts: Arc<Together<AskedCount, Judged>>,
    refunds: Arc<Together<Vec<BucketName>, ()>>,
}

/// Attempts of one request, all of which are counted or none.
struct AskedCount {
    attempts: Vec<Attempts>,
    now: Timestamp,
}

/// What became of them.
pub(crate) struct Judged {
    /// In their order. Where one exceeds its limit, none is counted.
    pub(crate) statuses: Vec<LimitStatus>,
    /// What is counted.
    pub(crate) taken: ProvisionalCount,
}

/// What is counted of a request, and taken back unless it is kept: also where the request is given up half-way.
pub(crate) struct ProvisionalCount {
    counting: Counting,
    buckets: Vec<BucketName>,
}

impl Counting {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, counts: Together::new(), refunds: Together::new() }
    }

    /// What is counted already.
    pub(crate) fn taken(&self, buckets: Vec<BucketName>) -> ProvisionalCount {
        ProvisionalCount { counting: self.clone(), buckets }
    }

    /// Counts each of `attempts`, or none where one of them exceeds its limit. No unit of the caller's may be open.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn count(&self, attempts: Vec<Attempts>, now: Timestamp) -> Result<Judged> {
        let Some(first) = attempts.first() else {
            return Ok(Judged { statuses: Vec::new(), taken: self.taken(Vec::new()) });
        };
        let (key, counting) = (first.bucket, self.clone());
        let serve = move |asked| counting.clone().serve(asked);
        self.counts.ask(key, AskedCount { attempts, now }, serve).await
    }

    async fn serve(self, asked: Vec<AskedCount>) -> Vec<Result<Judged>> {
        match self.count_once(&asked).await {
            Ok(standings) => standings.into_iter().map(Ok).collect(),
            Err(error) if asked.len() == 1 => vec![Err(error)],
            // What failed may be about one of them: a row that another unit holds for too long.
            Err(_) => {
                let counting = &self;
                let one_by_one = asked.chunks(1).map(|one| async move {
                    let standing = counting.count_once(one).await?.pop();
                    standing.ok_or(UNREADABLE)
                });
                join_all(one_by_one).await
            }
        }
    }

    async fn count_once(&self, asked: &[AskedCount]) -> Result<Vec<Judged>> {
        let mut attempts = asked.iter().flat_map(|one| &one.attempts);
        let first = attempts.next().map(|first| first.bucket);
        let asked: Vec<&AskedCount> = asked.iter().collect();
        let judged = if attempts.all(|attempts| Some(attempts.bucket) == first) {
            match self.count_in_one(self.store.begin_single().await?, &asked).await {
                // The server closed the connection meanwhile. A unit that begins replaces it; that anything was counted is unlikely.
                Err(StoreError::Unavailable(_)) => {
                    self.count_in_one(self.store.begin().await?, &asked).await?
                }
                judged => judged?,
            }
        } else {
            self.count_in_several(&asked).await?
        };
        let standing = |(one, statuses): (&AskedCount, Vec<LimitStatus>)| {
            let is_counted = !is_refused(&statuses);
            let buckets = one.attempts.iter().filter(|_| is_counted).map(|attempts| attempts.bucket);
            Judged { taken: self.taken(buckets.collect()), statuses }
        };
        Ok(asked.into_iter().zip(judged).map(standing).collect())
    }

    /// Counts in one bucket. It may be counted too high for a moment: it is over its limit anyway.
    async fn count_in_one(&self, mut unit: Unit, asked: &[&AskedCount]) -> Result<Vec<Vec<LimitStatus>>> {
        let judged = add(&mut unit, asked).await?;
        let refused: Vec<(BucketName, i64)> = asked
            .iter()
            .zip(&judged)
            .filter(|(_, statuses)| is_refused(statuses))
            .flat_map(|(one, _)| one.attempts.iter().map(|attempts| (attempts.bucket, attempts.times)))
            .collect();
        if !refused.is_empty() {
            unit.limits().take_back(&refused).await?;
        }
        unit.commit().await?;
        Ok(judged)
    }

    /// Counts in several buckets. Of those that are over their limit nothing is written, not for a moment: the wider networks are others',
    /// too, and callers choose the names of some.
    async fn count_in_several(&self, asked: &[&AskedCount]) -> Result<Vec<Vec<LimitStatus>>> {
        let mut all: Vec<(&AskedCount, Option<Vec<LimitStatus>>)> =
            asked.iter().map(|one| (*one, None)).collect();
        loop {
            let open: Vec<&AskedCount> =
                all.iter().filter(|(_, judged)| judged.is_none()).map(|(one, _)| *one).collect();
            if open.is_empty() {
                break;
            }
            let mut unit = self.store.begin().await?;
            let judged = add(&mut unit, &open).await?;
            let all_pass = !judged.iter().any(|statuses| is_refused(statuses));
            if all_pass {
                unit.commit().await?;
            } else {
                drop(unit);
            }
            // Those that pass are counted without the others.
            let slots = all.iter_mut().map(|(_, slot)| slot).filter(|slot| slot.is_none());
            for (slot, statuses) in slots.zip(judged) {
                *slot = (all_pass || is_refused(&statuses)).then_some(statuses);
            }
        }
        Ok(all.into_iter().filter_map(|(_, judged)| judged).collect())
    }

    /// Takes back one attempt in each of the buckets. No unit of the caller's may be open.
    async fn take_back(&self, buckets: Vec<BucketName>) -> Result<()> {
        let Some(key) = buckets.first().copied() else { return Ok(()) };
        let counting = self.clone();
        let serve = move |asked: Vec<Vec<BucketName>>| {
            let counting = counting.clone();
            async move {
                let done = counting.take_back_once(&asked).await;
                vec![done; asked.len()]
            }
        };
        self.refunds.ask(key, buckets, serve).await
    }

    async fn take_back_once(&self, asked: &[Vec<BucketName>]) -> Result<()> {
        let all: Vec<(BucketName, i64)> = asked.iter().flatten().map(|bucket| (*bucket, 1)).collect();
        let different: HashSet<&BucketName> = asked.iter().flatten().collect();
        if different.len() <= MOST_ROWS {
            match take_back_in(self.store.begin_single().await?, &all).await {
                // As above.
                Err(StoreError::Unavailable(_)) => {}
                done => return done,
            }
        }
        take_back_in(self.store.begin().await?, &all).await
    }
}

async fn take_back_in(mut unit: Unit, all: &[(BucketName, i64)]) -> Result<()> {
    unit.limits().take_back(all).await?;
    unit.commit().await
}

/// Adds the attempts of all to what is counted; answers the statuses of each.
async fn add(unit: &mut Unit, asked: &[&AskedCount]) -> Result<Vec<Vec<LimitStatus>>> {
    let all: Vec<Attempts> = asked.iter().flat_map(|one| one.attempts.iter().copied()).collect();
    let now = asked.iter().map(|one| one.now).max().unwrap_or_default();
    let counts = unit.limits().add_all(&all, now).await?;
    judge(asked, &counts)
}

fn is_refused(statuses: &[LimitStatus]) -> bool {
    statuses.iter().any(|status| status.exceeded)
}

/// The statuses of each, as if they had come one after another. `counts` are what the buckets hold with all of them.
fn judge(asked: &[&AskedCount], counts: &Counts) -> Result<Vec<Vec<LimitStatus>>> {
    let mut standing: HashMap<BucketName, i64> =
        counts.iter().map(|(bucket, (count, _))| (*bucket, *count)).collect();
    let mut add = |attempts: &Attempts, times: i64| {
        let count = standing.entry(attempts.bucket).or_default();
        *count += times;
        *count
    };
    for attempts in asked.iter().flat_map(|one| &one.attempts) {
        add(attempts, -attempts.times);
    }
    let mut judged = Vec::with_capacity(asked.len());
    for one in asked {
        for attempts in &one.attempts {
            add(attempts, attempts.times);
        }
        let mut statuses = Vec::with_capacity(one.attempts.len());
        for attempts in &one.attempts {
            let (_, resets_at) = counts.get(&attempts.bucket).ok_or(UNREADABLE)?;
            statuses.push(attempts.limit.judge(add(attempts, 0), *resets_at));
        }
        if is_refused(&statuses) {
            for attempts in &one.attempts {
                add(attempts, -attempts.times);
            }
        }
        judged.push(statuses);
    }
    Ok(judged)
}

impl ProvisionalCount {
    /// It stays counted.
    pub(crate) fn keep(&mut self) {
        self.buckets.clear();
    }

    pub(crate) fn buckets(&self) -> &[BucketName] {
        &self.buckets
    }

    /// Takes it back.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn give_back(mut self) -> Result<()> {
        self.counting.take_back(std::mem::take(&mut self.buckets)).await
    }
}

impl OnCommit for ProvisionalCount {
    fn committed(&mut self) {
        self.keep();
    }
}

impl Drop for ProvisionalCount {
    fn drop(&mut self) {
        if self.buckets.is_empty() {
            return;
        }
        // Without a runtime the process is ending; the window ends by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        // The task holds what it needs and no `ProvisionalCount`: a runtime that is ending drops the task at once, and with a `ProvisionalCount` in it that
        // would be the next one to be spawned, without end.
        let (counting, buckets) = (self.counting.clone(), std::mem::take(&mut self.buckets));
        runtime.spawn(async move {
            if let Err(error) = counting.take_back(buckets).await {
                tracing::warn!(%error, "an attempt that did not fail stays counted as one");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::limit::Limit;

    use super::*;

    fn one(buckets: &[u8], most: u32) -> AskedCount {
        let attempts = |name: &u8| Attempts { bucket: [*name; 32], limit: Limit::new(most, 60), times: 1 };
        AskedCount { attempts: buckets.iter().map(attempts).collect(), now: Timestamp::default() }
    }

    /// Who gets through, where each bucket holds so many with all of them.
    fn passed(asked: &[AskedCount], counts: &[(u8, i64)]) -> Vec<bool> {
        let end = Timestamp::from_seconds(60);
        let counts = counts.iter().map(|(name, count)| ([*name; 32], (*count, end))).collect();
        let asked: Vec<&AskedCount> = asked.iter().collect();
        judge(&asked, &counts).unwrap().iter().map(|statuses| !is_refused(statuses)).collect()
    }

    #[test]
    fn as_many_get_through_as_one_after_another() {
        // Three were counted before these four.
        assert_eq!(
            passed(&[one(&[1], 5), one(&[1], 5), one(&[1], 5), one(&[1], 5)], &[(1, 7)]),
            [true, true, false, false]
        );
    }

    #[test]
    fn what_is_refused_for_one_bucket_takes_no_place_in_another() {
        // The second one is over its own limit: the third has its place in the network's.
        let asked = [one(&[1, 2], 2), one(&[1, 3], 2), one(&[1, 4], 2), one(&[1, 5], 2)];
        assert_eq!(passed(&asked, &[(1, 4), (2, 1), (3, 9), (4, 1), (5, 1)]), [true, false, true, false]);
    }

    #[test]
    fn what_is_counted_twice_is_judged_with_both() {
        assert_eq!(passed(&[one(&[1, 1], 1), one(&[1], 1)], &[(1, 3)]), [false, true]);
    }

    #[test]
    fn a_bucket_that_is_not_there_is_an_error() {
        assert!(judge(&[&one(&[1], 5)], &Counts::new()).is_err());
    }
}
