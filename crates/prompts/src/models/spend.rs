//! What models cost an organization.

use jiff::tz::TimeZone;
use tidegate_database::{Result, Unit, execute, fetch_one};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;

/// Costs of a unit of work.
pub struct Spend<'u>(pub(crate) &'u mut Unit);

/// The month of UTC that an instant is in, since the year 0.
pub(super) fn month_of(instant: Timestamp) -> i64 {
    let instant = jiff::Timestamp::from_microsecond(instant.micros()).unwrap_or_default();
    let date = instant.to_zoned(TimeZone::UTC).date();
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

impl Spend<'_> {
    /// Adds to what a month cost; answers the sum.
    pub(super) async fn add(
        &mut self,
        organization: OrganizationId,
        month: i64,
        micros: i64,
        input_tokens: i64,
        output_tokens: i64,
    ) -> Result<i64> {
        execute!(
            self.0,
            "insert into model_spend (organization_id, month, micros, input_tokens, output_tokens)
             values ($1, $2, $3, $4, $5)
             on conflict (organization_id, month) do update set micros = model_spend.micros + excluded.micros,
                input_tokens = model_spend.input_tokens + excluded.input_tokens,
                output_tokens = model_spend.output_tokens + excluded.output_tokens",
            organization.0,
            month,
            micros,
            input_tokens,
            output_tokens,
        )?;
        let (sum,) = fetch_one!(
            self.0,
            (i64,),
            "select micros from model_spend where organization_id = $1 and month = $2",
            organization.0,
            month,
        )?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_utc() {
        let month = |text| month_of(Timestamp::from_rfc3339(text).unwrap());
        assert_eq!(month("2026-01-01T00:00:00Z"), 2026 * 12);
        assert_eq!(month("2025-12-31T23:59:59Z"), month("2026-01-01T00:00:00Z") - 1);
        assert_eq!(month("2026-02-01T00:30:00+01:00"), month("2026-01-31T12:00:00Z"));
    }
}
