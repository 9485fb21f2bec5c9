//! Rate limits, shared by all nodes.

use tidegate_database::{Result, Unit, execute, fetch_one, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::limit::{Limit, LimitStatus};

/// Rate limits of a unit of work.
pub struct Limits<'u>(pub(crate) &'u mut Unit);

impl Limits<'_> {
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
        execute!(
            self.0,
            "insert into rate_limit_buckets (bucket, count, resets_at) values ($1, 1, $3)
             on conflict (bucket) do update set
                count = case when rate_limit_buckets.resets_at <= $2 then 1 else rate_limit_buckets.count + 1 end,
                resets_at = excluded.resets_at",
            bucket,
            now.micros(),
            now.plus(limit.window).micros(),
        )?;
        Ok(())
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

    /// Takes back an attempt that turned out not to count.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refund(&mut self, bucket: &[u8]) -> Result<()> {
        execute!(
            self.0,
            "update rate_limit_buckets set count = count - 1 where bucket = $1 and count > 0",
            bucket,
        )?;
        Ok(())
    }

    /// Forgets what was counted in a bucket.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn clear(&mut self, bucket: &[u8]) -> Result<()> {
        execute!(self.0, "delete from rate_limit_buckets where bucket = $1", bucket)?;
        Ok(())
    }

    /// Removes buckets whose window is over; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        execute!(
            self.0,
            "delete from rate_limit_buckets where bucket in
                (select bucket from rate_limit_buckets where resets_at <= $1 order by resets_at, bucket limit $2)",
            now.micros(),
            at_most,
        )
    }
}
