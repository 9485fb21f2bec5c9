//! Lifetimes that are longer than what they belong to, and end with it, and those that were probably meant in another unit than seconds. They
//! refuse nothing; the start and `tidegate doctor` name them.

use std::time::Duration;

use serde_json::Value;
use tidegate_domain::ContractProfile;
use tidegate_kernel::noted::SHORT_LIFE;

use super::Config;

/// A lifetime and its key.
type Lifetime = (String, Duration);

impl Config {
    /// What is told of each of them.
    pub(crate) fn cut_lifetimes(&self) -> Vec<String> {
        let (oauth, browser) = (&self.oauth, &self.browser);
        let own = |key: &str, lifetime: Duration| (key.to_owned(), lifetime);
        let refresh = own("oauth.refresh_token_lifetime", oauth.refresh_token_lifetime);
        let session = own("oauth.session_lifetime", oauth.session_lifetime);
        let mut pairs = vec![
            (own("oauth.access_token_lifetime", oauth.access_token_lifetime), refresh.clone()),
            (refresh, session),
            (own("browser.idle_timeout", browser.idle_timeout), own("browser.lifetime", browser.lifetime)),
        ];
        pairs.extend(self.contracts.iter().flat_map(of_profile));
        pairs
            .into_iter()
            .filter(|(life, bound)| life.1 > bound.1)
            .map(|(life, bound)| told(&life, &bound))
            .collect()
    }

    /// What is told of each that is shorter than is of use.
    pub(crate) fn short_lifetimes(&self) -> Vec<String> {
        let mut short = Vec::new();
        find_short("", &self.written().unwrap_or_default(), &mut short);
        short
    }
}

/// Looks through all settings: one that is added is found by its name.
fn find_short(key: &str, value: &Value, short: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        let dot = if key.is_empty() { "" } else { "." };
        fields.iter().for_each(|(name, value)| find_short(&format!("{key}{dot}{name}"), value, short));
        return;
    }
    let Some(seconds) = value.as_u64().filter(|seconds| (1..shortest(key)).contains(seconds)) else { return };
    short.push(format!(
        "{key} is {seconds} seconds: where minutes were meant, write {}, for hours {}, for days {}",
        seconds * 60,
        seconds * 3_600,
        seconds * 24 * 3_600
    ));
}

/// The seconds below which a setting is of little use; 0 for what is no lifetime, or may be of any length. A lifetime of 0 is refused, or turns
/// something off.
fn shortest(key: &str) -> u64 {
    let name = key.rsplit('.').next().unwrap_or(key);
    match (key, name) {
        // What programs make and use at once.
        ("oauth.pushed_request_lifetime" | "oauth.dpop_proof_lifetime", _) => 10,
        ("oauth.code_lifetime", _) => 30,
        (_, "access_token_lifetime" | "id_token_lifetime" | "token_lifetime") => SHORT_LIFE.as_secs(),
        // What somebody reads and types.
        (_, "code_lifetime" | "device_code_lifetime" | "email_link_lifetime" | "reset_lifetime") => 60,
        _ if key.contains(".codes.") => 60,
        // How long somebody stays signed in.
        ("browser.idle_timeout" | "trusted_devices.max_age", _) => 300,
        _ if name.ends_with("lifetime") => 300,
        // What is kept for days.
        ("audit.keep" | "audit.keep_without_account" | "oauth.registration.unused_for", _)
        | (_, "sliding_up_to" | "keep_checks" | "keep_deleted" | "keep_evaluations" | "keep_executions") => {
            600
        }
        _ => 0,
    }
}

/// The lifetimes of a contract, each with the one that bounds it: tokens end with their session.
fn of_profile(profile: &ContractProfile) -> Vec<(Lifetime, Lifetime)> {
    let of = |key: &str, lifetime: Duration| (format!("{}.{key}", profile.contract), lifetime);
    let lifetime = of("session.lifetime", profile.session.lifetime);
    let remembered = of("session.remembered_lifetime", profile.session.remembered_lifetime);
    let longest = if remembered.1 > lifetime.1 { remembered.clone() } else { lifetime.clone() };
    let mut pairs = vec![
        (of("access_token_lifetime", profile.access_token_lifetime), longest.clone()),
        (of("refresh.lifetime", profile.refresh.lifetime), longest),
    ];
    if let Some(most) = profile.session.sliding_up_to {
        let most = of("session.sliding_up_to", most);
        pairs.extend([(lifetime, most.clone()), (remembered, most)]);
    }
    pairs
}

fn told((key, lifetime): &Lifetime, (bound, most): &Lifetime) -> String {
    let of_people = if key == "oauth.access_token_lifetime" {
        ", but for tokens in an application's own name"
    } else {
        ""
    };
    format!(
        "{key} is {} seconds, and {bound} {}: the shorter one counts{of_people}",
        lifetime.as_secs(),
        most.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Duration = Duration::from_secs(999_999_999_999);

    fn cut(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config.cut_lifetimes()
    }

    #[test]
    fn of_lifetimes_as_they_are_nothing_is_told() {
        assert_eq!(cut(|_| {}), [] as [&str; 0]);
    }

    #[test]
    fn a_lifetime_that_ends_with_what_it_belongs_to_is_told_with_the_bound() {
        let tokens = cut(|config| {
            for profile in config.contracts.iter_mut() {
                profile.access_token_lifetime = AGES;
                profile.refresh.lifetime = AGES;
            }
            config.oauth.access_token_lifetime = AGES;
        });
        for line in [
            "rivergen.access_token_lifetime is 999999999999 seconds, and rivergen.session.remembered_lifetime 2592000: the shorter one \
             counts",
            "ingestiq.refresh.lifetime is 999999999999 seconds, and ingestiq.session.lifetime 604800: the shorter one counts",
            "oauth.access_token_lifetime is 999999999999 seconds, and oauth.refresh_token_lifetime 2592000: the shorter one counts, but \
             for tokens in an application's own name",
        ] {
            assert!(tokens.iter().any(|told| told == line), "{line}: {tokens:?}");
        }
        assert_eq!(tokens.len(), 7, "{tokens:?}");
        let sessions = cut(|config| {
            for profile in config.contracts.iter_mut() {
                profile.session.lifetime = AGES;
            }
            config.oauth.refresh_token_lifetime = AGES;
            config.browser.idle_timeout = AGES;
        });
        let keys: Vec<&str> = sessions.iter().filter_map(|told| told.split(' ').next()).collect();
        assert_eq!(keys.len(), 4, "RiverGen's sessions are not extended, and may be as long: {keys:?}");
        for key in [
            "oauth.refresh_token_lifetime",
            "browser.idle_timeout",
            "ingestiq.session.lifetime",
            "crossing_minds.session.lifetime",
        ] {
            assert!(keys.contains(&key), "{key}: {keys:?}");
        }
    }

    fn short(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config.short_lifetimes()
    }

    #[test]
    fn a_lifetime_that_was_meant_in_another_unit_is_told_with_what_to_write() {
        assert_eq!(short(|_| {}), [] as [&str; 0]);
        let minutes = short(|config| {
            for profile in config.contracts.iter_mut() {
                profile.access_token_lifetime = Duration::from_secs(15);
            }
        });
        assert_eq!(minutes.len(), 3, "{minutes:?}");
        let told = "rivergen.access_token_lifetime is 15 seconds: where minutes were meant, write 900, for hours 54000, for days 1296000";
        assert!(minutes.iter().any(|line| line == told), "{minutes:?}");
        let others = short(|config| {
            config.riven.token_lifetime = Duration::from_secs(30);
            config.riven.code_lifetime = Duration::from_secs(10);
            config.oauth.code_lifetime = Duration::from_secs(10);
            config.oauth.refresh_token_lifetime = Duration::from_secs(30);
            config.browser.idle_timeout = Duration::from_secs(30);
            config.trusted_devices.max_age = Duration::from_secs(30);
            config.audit.keep = Duration::from_secs(400);
            // As the conformance of some asks for, and as short as it may well be.
            config.oauth.pushed_request_lifetime = Duration::from_secs(30);
            config.oauth.access_token_lifetime = SHORT_LIFE;
            config.oauth.refresh_grace = Duration::from_secs(1);
        });
        let mut keys: Vec<&str> = others.iter().filter_map(|told| told.split(' ').next()).collect();
        keys.sort_unstable();
        let expected = [
            "audit.keep",
            "browser.idle_timeout",
            "oauth.code_lifetime",
            "oauth.refresh_token_lifetime",
            "riven.code_lifetime",
            "riven.token_lifetime",
            "trusted_devices.max_age",
        ];
        assert_eq!(keys, expected);
    }
}
