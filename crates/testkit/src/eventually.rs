//! Waiting for what happens elsewhere.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits before it takes "not yet" for "never": a guard against one that hangs, half as long as that of nextest.
const PATIENCE: Duration = Duration::from_mins(5);

/// Asks again until `probe` answers something; the only way a test waits.
///
/// # Panics
/// After five minutes, saying `what` did not happen.
pub async fn eventually<T, F, Probe>(what: &str, mut probe: Probe) -> T
where
    F: Future<Output = Option<T>>,
    Probe: FnMut() -> F,
{
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "did not happen within {PATIENCE:?}: {what}");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = eventually("the third time", || {
            asked += 1;
            std::future::ready((asked == 3).then_some(asked))
        })
        .await;
        assert_eq!(answer, 3);
    }
}
