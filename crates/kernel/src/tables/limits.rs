//! Rate limits, shared by all nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidegate_database::{
    MOST_ROWS, Result, StoreError, Unit, fetch_one, fetch_optional, fetch_rows, prune, put_off, put_off_rows,
    rows,
};
use tidegate_domain::Timestamp;
use tidegate_domain::limit::{Limit, LimitStatus};

/// What an attempt does to a bucket that there is.
const COUNT: &str = "on conflict (bucket) do update set
        count = case when rate_limit_buckets.resets_at <= $1 then excluded.count
                else rate_limit_buckets.count + excluded.count end,
        resets_at = case when rate_limit_buckets.resets_at <= $1 then excluded.resets_at
                    else rate_limit_buckets.resets_at end
     returning bucket, count, resets_at";

/// The name of a bucket.
pub type BucketName = [u8; 32];

/// What buckets hold, and until when.
pub type Counts = HashMap<BucketName, (i64, Timestamp)>;

/// Attempts to be counted in a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    /// Its name.
    pub bucket: BucketName,
    /// What it is held against.
    pub limit: Limit,
    /// How many.
    pub times: i64,
}

/// Rate limits of a unit of work.
pub struct Limits<'u>(pub(crate) &'u mut Unit);

impl Limits<'_> {
    /// Counts attempts in buckets, all in one statement, and returns the statuses in their order. A window begins with its first
    /// attempt. Rows are locked in the order of their keys, so that no two units wait for each other.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_all(&mut self, attempts: &[Attempts], now: Timestamp) -> Result<Vec<LimitStatus>> {
        let counts = self.add_all(attempts, now).await?;
        let status = |attempts: &Attempts| {
            let (count, resets_at) =
                counts.get(&attempts.bucket).ok_or(StoreError::Unreadable("rate_limit_buckets.count"))?;
            Ok(attempts.limit.judge(*count, *resets_at))
        };
        attempts.iter().map(status).collect()
    }

    /// Counts attempts in buckets as [`Limits::count_all`] does, and returns what the buckets hold with all of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_all(&mut self, attempts: &[Attempts], now: Timestamp) -> Result<Counts> {
        let mut sorted: Vec<&Attempts> = attempts.iter().collect();
        sorted.sort_by_key(|attempts| attempts.bucket);
        let mut counted = HashMap::with_capacity(sorted.len());
        // A bucket stands in a statement once.
        for same in
            sorted.chunk_by(|one, other| one.bucket == other.bucket).collect::<Vec<_>>().chunks(MOST_ROWS)
        {
            let found = fetch_rows!(
                self.0,
                (Vec<u8>, i64, i64),
                rows("insert into rate_limit_buckets (bucket, count, resets_at) values", 1, 3, same.len(), COUNT),
                [now.micros()],
                same,
                same => [
                    same.first().map(|attempts| attempts.bucket.to_vec()),
                    same.iter().map(|attempts| attempts.times).sum::<i64>(),
                    same.first().map(|attempts| now.plus(attempts.limit.window).micros()),
                ],
            )?;
            for (bucket, count, resets_at) in found {
                let bucket = BucketName::try_from(bucket)
                    .map_err(|_| StoreError::Unreadable("rate_limit_buckets.bucket"))?;
                counted.insert(bucket, (count, Timestamp::from_micros(resets_at)));
            }
        }
        Ok(counted)
    }

    /// Counts `times` attempts in a bucket and returns its status. The window begins with the first attempt.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(
        &mut self,
        bucket: &[u8],
        limit: Limit,
        times: i64,
        now: Timestamp,
    ) -> Result<LimitStatus> {
        let (count, resets_at) = fetch_one!(
            self.0,
            (i64, i64),
            "insert into rate_limit_buckets (bucket, count, resets_at) values ($1, $4, $3)
             on conflict (bucket) do update set
                count = case when rate_limit_buckets.resets_at <= $2 then excluded.count
                        else rate_limit_buckets.count + excluded.count end,
                resets_at = case when rate_limit_buckets.resets_at <= $2 then excluded.resets_at
                            else rate_limit_buckets.resets_at end
             returning count, resets_at",
            bucket,
            now.micros(),
            now.plus(limit.window).micros(),
            times,
        )?;
        Ok(limit.judge(count, Timestamp::from_micros(resets_at)))
    }

    /// Counts a failure of several in a row. The window begins anew with each of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fail(&mut self, bucket: &[u8], limit: Limit, now: Timestamp) -> Result<()> {
        put_off!(
            self.0,
            "insert into rate_limit_buckets (bucket, count, resets_at) values ($1, 1, $3)
             on conflict (bucket) do update set
                count = case when rate_limit_buckets.resets_at <= $2 then 1 else rate_limit_buckets.count + 1 end,
                resets_at = excluded.resets_at",
            bucket,
            now.micros(),
            now.plus(limit.window).micros(),
        )
    }

    /// The status that one more attempt would have in a bucket; none where nothing is counted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next(&mut self, bucket: &[u8], limit: Limit, now: Timestamp) -> Result<Option<LimitStatus>> {
        let row = fetch_optional!(
            self.0,
            (i64, i64),
            "select count, resets_at from rate_limit_buckets where bucket = $1 and resets_at > $2",
            bucket,
            now.micros(),
        )?;
        Ok(row.map(|(count, resets_at)| {
            limit.judge(count.saturating_add(1), Timestamp::from_micros(resets_at))
        }))
    }

    /// Takes back one attempt in each of the buckets: it turned out not to count.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refund_all(&mut self, buckets: &[BucketName]) -> Result<()> {
        let different: BTreeSet<&BucketName> = buckets.iter().collect();
        let once: Vec<_> = different.into_iter().map(|bucket| (*bucket, 1)).collect();
        self.take_back(&once).await
    }

    /// Takes back so many attempts in each of the buckets, and no more than there are. Rows are locked in the order of their keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take_back(&mut self, attempts: &[(BucketName, i64)]) -> Result<()> {
        let mut sums: BTreeMap<BucketName, i64> = BTreeMap::new();
        for (bucket, times) in attempts {
            *sums.entry(*bucket).or_default() += times;
        }
        let sums: Vec<(BucketName, i64)> = sums.into_iter().collect();
        for some in sums.chunks(MOST_ROWS) {
            put_off_rows!(
                self.0,
                // An update of several rows locks them in whatever order it finds them; an insert in the order of its values. Where
                // there is nothing to take back it leaves a row of a window that is over.
                &rows(
                    "insert into rate_limit_buckets (bucket, count, resets_at) values",
                    0,
                    3,
                    some.len(),
                    "on conflict (bucket) do update set
                        count = case when rate_limit_buckets.count > excluded.count
                                then rate_limit_buckets.count - excluded.count else 0 end
                     where rate_limit_buckets.count > 0",
                ),
                [],
                some,
                (bucket, times) => [bucket.as_slice(), *times, 0_i64],
            )?;
        }
        Ok(())
    }

    /// Forgets what was counted in a bucket.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn clear(&mut self, bucket: &[u8]) -> Result<()> {
        put_off!(self.0, "delete from rate_limit_buckets where bucket = $1", bucket)
    }

    /// Removes buckets whose window is over; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "rate_limit_buckets",
            "bucket",
            "where resets_at <= $1 order by resets_at, bucket limit $2",
            now.micros(),
            at_most,
        )
    }
}
