//! What the log says once an hour, however often it happens.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tidegate_domain::Timestamp;

/// Texts that are said in an hour: any client can invent some.
const MOST: usize = 50;
/// Seconds after which they are said again.
const WINDOW: i64 = 3_600;

/// The texts of this hour.
#[derive(Debug, Default)]
pub(crate) struct Hourly(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    hour: i64,
    texts: HashSet<String>,
}

impl Hourly {
    /// Whether the text is said: for the first time in this hour, and as one of not too many.
    pub(crate) fn is_first(&self, text: &str, now: Timestamp) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.seconds().div_euclid(WINDOW);
        if hour != said.hour {
            *said = Said { hour, texts: HashSet::new() };
        }
        said.texts.len() < MOST && said.texts.insert(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_said_once_an_hour_and_not_more_than_so_many() {
        let hourly = Hourly::default();
        let at = Timestamp::from_seconds;
        assert!(hourly.is_first("https://app.example.com", at(10)));
        assert!(!hourly.is_first("https://app.example.com", at(3_599)));
        assert!(hourly.is_first("https://app.example.com", at(3_600)));
        let invented =
            (0..1_000).filter(|n| hourly.is_first(&format!("https://{n}.example"), at(3_601))).count();
        assert_eq!(invented, MOST - 1);
        assert!(hourly.is_first("https://other.example.com", at(7_200)));
    }
}
