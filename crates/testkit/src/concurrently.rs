//! Many things at once.

use std::sync::Arc;

use tokio::sync::Barrier;

/// Starts `count` tasks, lets all of them go at the same moment, and answers what each answered, in order.
///
/// # Panics
/// When one of them does.
pub async fn concurrently<T, F, Work>(count: usize, work: Work) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    Work: Fn(usize) -> F,
{
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let (start, work) = (Arc::clone(&start), work(number));
            tokio::spawn(async move {
                start.wait().await;
                work.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        answers.push(task.await.expect("a concurrent task"));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everybody_starts_before_anybody_ends_and_answers_keep_their_order() {
        let all = Arc::new(Barrier::new(20));
        let answers = concurrently(20, |number| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
                number
            }
        })
        .await;
        assert_eq!(answers, (0..20).collect::<Vec<_>>());
    }
}
