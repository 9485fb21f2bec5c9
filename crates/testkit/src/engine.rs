//! One story, both engines.

use tokio::runtime::Builder;

use crate::TestDatabase;

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// The one that `TIDEGATE_TEST_POSTGRES` names.
    Postgres,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// The engines a story runs on.
pub trait Fixture: Sized {
    /// A fresh one, its database its own.
    fn prepare(engine: Engine) -> impl Future<Output = Self>;
}

impl Fixture for Engine {
    async fn prepare(engine: Engine) -> Self {
        engine
    }
}

impl Fixture for TestDatabase {
    async fn prepare(engine: Engine) -> Self {
        Self::create(engine).await
    }
}

/// Tells a story on one engine, on a runtime of two threads. [`on_both_engines!`](crate::on_both_engines) calls it.
pub fn run<T: Fixture, F: Future<Output = ()>>(engine: Engine, story: impl FnOnce(T) -> F) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { story(T::prepare(engine).await).await });
}

/// Turns each `async fn name(fixture: Fixture)` into a module `name` with the tests `sqlite` and `postgres`.
///
/// The argument is anything that implements [`Fixture`]: an [`Engine`], a [`TestDatabase`], the whole application.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($fixture:ident: $kind:ty) $story:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn story($fixture: $kind) $story

            #[test]
            fn sqlite() {
                $crate::run($crate::Engine::Sqlite, story);
            }

            #[test]
            fn postgres() {
                $crate::run($crate::Engine::Postgres, story);
            }
        }
    )+};
}

/// Turns each `async fn name(fixture: Fixture)` into a test of that name on one engine: for what only it does.
///
/// ```text
/// on_one_engine! { Engine::Postgres;
///     async fn other_nodes_hear(app: TestApp) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_one_engine {
    ($engine:expr; $($(#[$meta:meta])* async fn $name:ident($fixture:ident: $kind:ty) $story:block)+) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            async fn story($fixture: $kind) $story

            $crate::run($engine, story);
        }
    )+};
}
