//! Access tokens that the application did not hand out.

use tidegate_crypto::{KeyRing, SigningAlgorithm, SigningKey};
use tidegate_domain::{AccessClaims, Timestamp};
use tidegate_kernel::KernelTables;
use tidegate_testkit::{PUBLIC_URL, SeededEntropy, TestApp, vault};

/// The installation's own signing key, as somebody with its database and its master key has it.
pub(crate) async fn stolen_key(app: &TestApp) -> KeyRing {
    let keys = app.store().read().await.unwrap().keys().all().await.unwrap();
    let key = keys
        .iter()
        .find(|key| key.retired_at.is_none() && key.signs_access_tokens())
        .expect("a key that signs");
    let algorithm = SigningAlgorithm::from_name(&key.algorithm).unwrap();
    let created_at = Timestamp::from_micros(key.created_at);
    KeyRing::new(SigningKey::open(&vault(), &key.kid, algorithm, created_at, &key.sealed).unwrap(), vec![])
}

/// A key of somebody else's installation.
pub(crate) fn foreign_key(app: &TestApp) -> KeyRing {
    let key = SigningKey::generate(SigningAlgorithm::Es256, app.now(), &SeededEntropy::new(666)).unwrap();
    KeyRing::new(key, vec![])
}

/// What a token of the application says.
pub(crate) async fn claims_of(app: &TestApp, token: &str) -> AccessClaims {
    stolen_key(app).await.verify(token, PUBLIC_URL, app.now()).unwrap()
}

/// The token with some claims changed, rightly signed.
pub(crate) async fn reworded(app: &TestApp, token: &str, change: impl FnOnce(&mut AccessClaims)) -> String {
    let mut claims = claims_of(app, token).await;
    change(&mut claims);
    stolen_key(app).await.sign(&claims).unwrap().expose().to_owned()
}
