//! Rotation of refresh tokens.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::time::{optional_seconds, seconds};

/// How a contract's refresh tokens live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshPolicy {
    /// Lifetime of a refresh token. It ends with its session at the latest.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub lifetime: Duration,
    /// How long a replaced refresh token still gets the newest token of its session: the answer may have been lost, or
    /// a tab is slow.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub grace: Duration,
    /// Where refresh tokens are not replaced: a new one is issued beside the old one when its remaining lifetime is at
    /// most this.
    #[serde(with = "optional_seconds", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub renewed_within: Option<Duration>,
}

/// What is known of a refresh token that was presented.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// When the token itself expires.
    pub expires_at: Timestamp,
    /// When it was exchanged for its child, if it was.
    pub rotated_at: Option<Timestamp>,
    /// Whether its session was ended.
    pub session_revoked: bool,
}

/// What to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exchange it for its child.
    Rotate,
    /// Answer with the newest of its descendants.
    Repeat,
    /// A replaced token was replayed: end the session.
    Replayed,
    /// It is past its lifetime.
    Expired,
    /// Its session has ended.
    Revoked,
}

/// What to do with one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepVerdict {
    /// Answer with the token itself.
    Keep,
    /// Answer with its child, and leave it good.
    Renew,
    /// It is past its lifetime.
    Expired,
    /// Its session has ended.
    Revoked,
}

impl RefreshPolicy {
    /// Judges a token presented `now` where tokens are kept.
    pub fn judge_kept(&self, token: Presented, now: Timestamp) -> KeepVerdict {
        if token.session_revoked {
            KeepVerdict::Revoked
        } else if token.expires_at <= now {
            KeepVerdict::Expired
        } else if self.renewed_within.is_some_and(|last| token.expires_at < now.plus(last)) {
            KeepVerdict::Renew
        } else {
            KeepVerdict::Keep
        }
    }

    /// Judges a token presented `now` (RFC 9700 section 4.14.2). The time promised to a superseded token does not depend on
    /// what became of its child meanwhile, nor on its own age.
    pub fn judge(&self, token: Presented, now: Timestamp) -> Verdict {
        if token.session_revoked {
            return Verdict::Revoked;
        }
        match token.rotated_at {
            Some(at) if now.since(at) > self.grace => Verdict::Replayed,
            Some(_) => Verdict::Repeat,
            None if token.expires_at <= now => Verdict::Expired,
            None => Verdict::Rotate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn rotated() -> RefreshPolicy {
        RefreshPolicy { lifetime: 30 * DAY, grace: Duration::from_secs(30), renewed_within: None }
    }

    fn kept() -> RefreshPolicy {
        RefreshPolicy { lifetime: 60 * DAY, grace: Duration::ZERO, renewed_within: Some(7 * DAY) }
    }

    fn token() -> Presented {
        Presented { expires_at: at(1_000), rotated_at: None, session_revoked: false }
    }

    #[test]
    fn a_lost_answer_is_repeated_for_thirty_seconds() {
        let policy = rotated();
        let rotated = Presented { rotated_at: Some(at(100)), ..token() };
        assert_eq!(policy.judge(token(), at(100)), Verdict::Rotate);
        assert_eq!(policy.judge(rotated, at(130)), Verdict::Repeat);
        assert_eq!(policy.judge(rotated, at(131)), Verdict::Replayed);
    }

    #[test]
    fn a_token_that_expires_within_the_grace_is_repeated_all_the_same() {
        let policy = rotated();
        let last = Presented { rotated_at: Some(at(990)), ..token() };
        assert_eq!(policy.judge(last, at(1_010)), Verdict::Repeat);
    }

    #[test]
    fn the_end_of_the_session_outranks_everything_and_age_outranks_rotation() {
        let policy = rotated();
        assert_eq!(policy.judge(Presented { session_revoked: true, ..token() }, at(1)), Verdict::Revoked);
        assert_eq!(policy.judge(token(), at(1_000)), Verdict::Expired);
    }

    #[test]
    fn a_replay_is_noticed_even_after_the_token_expired() {
        let policy = rotated();
        let old = Presented { rotated_at: Some(at(100)), ..token() };
        assert_eq!(policy.judge(old, at(2_000)), Verdict::Replayed);
    }

    #[test]
    fn a_kept_token_answers_with_itself_until_its_last_week_and_is_never_a_replay() {
        let policy = kept();
        let day = |day: i64| at(day * 86_400);
        let presented = Presented { expires_at: day(60), ..token() };
        assert_eq!(policy.judge_kept(presented, day(53)), KeepVerdict::Keep);
        assert_eq!(policy.judge_kept(presented, day(54)), KeepVerdict::Renew);
        let renewed = Presented { rotated_at: Some(day(54)), ..presented };
        assert_eq!(policy.judge_kept(renewed, day(59)), KeepVerdict::Renew);
        assert_eq!(policy.judge_kept(presented, day(60)), KeepVerdict::Expired);
        assert_eq!(
            policy.judge_kept(Presented { session_revoked: true, ..presented }, day(1)),
            KeepVerdict::Revoked
        );
    }
}
