//! Whoever asks may have a small stack: one that overflows ends the process, and every other query with it.

use tokio::runtime::Builder;

use super::fixture::{self, Caller};
use super::{ask, engine, rows};
use crate::Code;

/// Parentheses in each other, each with a chain of so many operators.
fn nested(levels: usize, operators: usize) -> String {
    let chain = " + 1".repeat(operators);
    let sum = (0..levels).fold("id".to_owned(), |within, _| format!("({within}{chain})"));
    format!("select {sum} from emp order by id limit 1")
}

// What the engine has was made on the stack of whoever asked first.
#[test]
fn a_first_query_that_is_as_deep_as_may_be_comes_from_a_small_stack() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .unwrap();
    let asked = async {
        let (engine, fixture) = (engine(), fixture::memory());
        let answer = ask(&engine, &fixture, Caller::Eu, &nested(10, 98)).await;
        assert_eq!(rows(&answer.unwrap(), false), [["981"]]);
        // No chain of it is too long.
        let error = ask(&engine, &fixture, Caller::Eu, &nested(30, 400)).await.unwrap_err();
        assert_eq!(error.code, Code::LimitMemory, "{error:?}");
        assert!(error.message.contains("within each other"), "{error:?}");
    };
    runtime.block_on(async { tokio::spawn(asked).await.unwrap() });
}
