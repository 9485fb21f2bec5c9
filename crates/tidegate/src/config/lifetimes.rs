//! Lifetimes that are longer than what they belong to, and end with it. They refuse nothing; the start and `tidegate doctor` name them.

use std::time::Duration;

use tidegate_domain::ContractProfile;

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
}
