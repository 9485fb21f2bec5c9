//! The contracts that are served, and all that is made of the list.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use serde::de::IgnoredAny;
use serde_json::Value;
use tidegate_domain::{ContractId, ContractProfiles};
use tower::ServiceExt;

use crate::contracts::{crossing_minds, ingestiq, riven, rivergen};
use crate::wire::cors::with_cors;
use crate::wire::elsewhere::ServedElsewhere;
use crate::wire::not_found::{not_found, nothing_here};
use crate::wire::openapi::merged;
use crate::wire::state::App;

pub use crate::contracts::{Configuration, Contract, Mount, UnknownPaths};

/// Every contract that is served.
static CONTRACTS: [&Contract; 4] =
    [&rivergen::CONTRACT, &ingestiq::CONTRACT, &crossing_minds::CONTRACT, &riven::CONTRACT];

/// Every contract that is served.
pub fn contracts() -> &'static [&'static Contract] {
    &CONTRACTS
}

/// The contract of that name.
pub fn contract(id: ContractId) -> Option<&'static Contract> {
    contracts().iter().copied().find(|contract| contract.id == id)
}

/// The profiles of an installation that configures none.
pub fn contract_profiles() -> ContractProfiles {
    contracts().iter().map(|contract| (contract.profile)()).collect()
}

/// The description of all contracts: schemas of the same name get the contract's name as a prefix.
pub fn openapi() -> Value {
    merged(contracts().iter().map(|contract| (contract.id.as_str(), contract.openapi())))
}

/// The routes of all contracts, and what answers where there is none: the contract whose path it is, or no contract.
pub(crate) fn router(app: &App) -> Router<App> {
    let mut router = Router::new();
    let mut claims = Vec::new();
    for contract in contracts() {
        for mount in contract.mounts {
            router = router.merge((contract.routes)(contract, mount.prefix, app));
            let unknown = (contract.unknown)(app).with_state(app.clone());
            claims.extend(mount.claims().into_iter().map(|path| (path, unknown.clone())));
        }
    }
    // What lies deeper comes first: two contracts may share a prefix.
    claims.sort_by_key(|(path, _)| Reverse(path.len()));
    // Below everything else, what is no contract's.
    claims
        .push((String::new(), with_cors(Router::new().fallback(nothing_here), app).with_state(app.clone())));
    let claims: Arc<[(String, Router)]> = claims.into();
    router.fallback(move |request: Request| unknown(Arc::clone(&claims), request))
}

/// The paths that are described at `/docs`, as patterns, each below every prefix of its contract.
static DESCRIBED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let operations =
        serde_json::from_str::<BTreeMap<String, IgnoredAny>>(include_str!("ops/operations.json"));
    let mut described: Vec<String> = operations.unwrap_or_default().into_keys().collect();
    for contract in contracts() {
        let paths = (contract.endpoints)().into_openapi().paths.paths;
        for mount in contract.mounts {
            described.extend(paths.keys().map(|path| format!("{}{path}", mount.prefix)));
        }
    }
    described
});

async fn unknown(claims: Arc<[(String, Router)]>, mut request: Request) -> Response {
    if let Some(elsewhere) = ServedElsewhere::of(request.uri().path(), &DESCRIBED) {
        request.extensions_mut().insert(elsewhere);
    }
    let path = request.uri().path();
    let is_below =
        |claim: &str| path.strip_prefix(claim).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match claims.iter().find(|(claim, _)| is_below(claim)) {
        Some((_, unknown)) => match unknown.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => not_found().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_contract_has_a_name_of_its_own_and_its_profile_that_name() {
        let names: BTreeSet<&str> = contracts().iter().map(|contract| contract.id.as_str()).collect();
        assert_eq!(names.len(), contracts().len());
        for known in contracts() {
            assert_eq!((known.profile)().contract, known.id);
            assert_eq!(contract(known.id).unwrap().title, known.title);
        }
        assert!(contract(ContractId::new("klingon")).is_none());
    }

    #[test]
    fn each_unknown_path_is_one_contracts_at_most() {
        let mut claims = BTreeSet::new();
        for claim in contracts().iter().flat_map(|contract| contract.mounts).flat_map(Mount::claims) {
            assert!(!claim.is_empty(), "what is unknown at the root is outside of every contract");
            assert!(claims.insert(claim.clone()), "{claim}");
        }
    }
}
