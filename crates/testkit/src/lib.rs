//! What Tidegate is tested with: private databases on both engines, a clock and randomness under the test's control,
//! and the whole application in process.
//!
//! ```text
//! on_both_engines! {
//!     async fn a_person_signs_up_and_reads_their_profile(app: TestApp) {
//!         let ada = app.sign_up_rivergen_verified("ada@example.com").await;
//!         let me = app.get("/api/v1/auth/me").bearer(&ada.access_token).send().await;
//!         me.assert_status(200);
//!     }
//! }
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test, and the kit is what reads the test's environment"
)]

#[cfg(feature = "app")]
mod app;
mod browser;
#[cfg(feature = "app")]
mod client;
mod clock;
#[cfg(feature = "clouds")]
pub mod clouds;
mod concurrently;
mod database;
mod engine;
mod entropy;
mod eventually;
#[cfg(feature = "app")]
mod factors;
#[cfg(feature = "app")]
mod files;
#[cfg(feature = "app")]
mod mail;
#[cfg(feature = "app")]
mod news;
#[cfg(feature = "app")]
mod organizations;
#[cfg(feature = "app")]
mod parts;
#[cfg(feature = "app")]
mod passkeys;
#[cfg(feature = "app")]
mod people;
#[cfg(feature = "app")]
mod riven;
#[cfg(feature = "app")]
pub mod social;
#[cfg(feature = "app")]
mod unwritable;

#[cfg(feature = "app")]
pub use app::{Builder, Node, PUBLIC_URL, TestApp};
pub use browser::Browser;
#[cfg(feature = "app")]
pub use client::{Answer, Client, Request};
pub use clock::{FakeClock, WallClock};
pub use concurrently::concurrently;
pub use database::{Held, MIGRATIONS, TestDatabase};
pub use engine::{Engine, Fixture, run};
pub use entropy::SeededEntropy;
pub use eventually::eventually;
#[cfg(feature = "app")]
pub use factors::Authenticator;
#[cfg(feature = "app")]
pub use files::TestFiles;
#[cfg(feature = "app")]
pub use parts::vault;
#[cfg(feature = "app")]
pub use people::{Newcomer, PASSWORD, Person};
#[cfg(feature = "app")]
pub use riven::{PhonePerson, application};
#[cfg(feature = "app")]
pub use tidegate_broker::testing as stub_broker;
#[cfg(feature = "app")]
pub use tidegate_crypto::webauthn::software;
