//! What `tidegate user show` says of the limits that keep an account out.

use serde_json::{Value, json};
use tidegate_domain::Timestamp;
use tidegate_identity::operator::accounts::AccountDetails;
use tidegate_kernel::kept_out::{KeptOut, KeptOutBy};

use crate::config::Config;
use crate::installation::is_served_with_raised_limits;

/// A line for each limit that keeps it out just now, and what ends it.
pub(super) fn kept_out_text(found: &AccountDetails, now: Timestamp, config: &Config) -> String {
    let login = found.summary.shown_login().unwrap_or_default();
    let line = |kept: &KeptOut| {
        let end = if kept.by.is_of_account() {
            format!("`tidegate user unlock {login}`")
        } else {
            format!("it ends by itself; see {} in the configuration", kept.limit)
        };
        format!("\nKept out: {}, until {} ({end})", what(kept), clock(kept.until, now))
    };
    let lines: String = found.kept_out.iter().map(line).collect();
    // A server without a configuration is likely one of development, whose limits this command cannot know.
    let is_known = config.dev || is_served_with_raised_limits(config);
    let may_differ = !lines.is_empty() && !is_known && config.public_url.is_none();
    let note = "\n  (by the limits that hold without --dev: a server started with --dev has a hundred times as much)";
    if may_differ { lines + note } else { lines }
}

/// The same for programs.
pub(super) fn kept_out_json(kept: &KeptOut) -> Value {
    json!({
        "reason": kept.by.as_str(),
        "ip": kept.client.map(|client| client.to_string()),
        "limit": kept.limit,
        "until": kept.until.iso_seconds(),
        "ends_with_unlock": kept.by.is_of_account(),
    })
}

fn what(kept: &KeptOut) -> String {
    let done = match kept.by {
        KeptOutBy::WrongPasswords => "wrong passwords",
        KeptOutBy::WrongCodes => "wrong codes",
        KeptOutBy::SignIns => "too many sign-ins to this account",
        KeptOutBy::SignInsOfNetwork => "too many sign-ins, to any account,",
        KeptOutBy::WrongCodesOfNetwork => "wrong codes, for any account,",
    };
    match (kept.client, kept.by) {
        (Some(client), _) => format!("{done} from {client}"),
        (None, KeptOutBy::SignIns) => done.to_owned(),
        (None, _) => format!("{done}, on networks that it has not signed in from"),
    }
}

/// The time alone where it is today's: `09:25:39Z`.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.iso_seconds(), now.iso_seconds());
    match (at.split_once('T'), now.split_once('T')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_told_where_it_is_another_one() {
        let at = Timestamp::from_seconds;
        assert_eq!(clock(at(3_661), at(60)), "01:01:01Z");
        assert_eq!(clock(at(86_400), at(60)), "1970-01-02T00:00:00Z");
    }

    #[test]
    fn who_is_kept_out_by_what_is_told() {
        let kept = |by, client: Option<&str>| KeptOut {
            by,
            client: client.map(|client| client.parse().unwrap()),
            limit: "x".to_owned(),
            until: Timestamp::from_seconds(0),
        };
        for (kept, told) in [
            (kept(KeptOutBy::WrongPasswords, Some("127.0.0.1")), "wrong passwords from 127.0.0.1"),
            (
                kept(KeptOutBy::WrongPasswords, None),
                "wrong passwords, on networks that it has not signed in from",
            ),
            (kept(KeptOutBy::SignIns, None), "too many sign-ins to this account"),
            (kept(KeptOutBy::SignInsOfNetwork, Some("::1")), "too many sign-ins, to any account, from ::1"),
        ] {
            assert_eq!(what(&kept), told);
        }
    }
}
