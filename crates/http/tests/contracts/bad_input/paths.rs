//! Addresses and queries that are not what they should be.

use axum::http::Method;
use tidegate_domain::ContractId;
use tidegate_testkit::on_both_engines;

use super::Target;
use crate::routes::{self, assert_envelope};
use crate::watch::row_counts;

on_both_engines! {
    async fn the_number_of_a_session_is_a_number(target: Target) {
        let before = row_counts(&target.app).await;
        let routes = routes::all();
        let route = routes.iter().find(|route| route.path.contains("{session_id}")).unwrap();
        let path = |id: &str| route.path.replace("{session_id}", id);
        for id in ["x", "1x", "1.5", "0x1", "1e3", "%00", "%ff", "%zz", "%", "9223372036854775808", "%2e%2e", "1%2f2", "'--", "null"] {
            let answer = target.request_to(route, &path(id)).send().await;
            route.assert_refused(&answer, (422, "VALIDATION_ERROR"), id);
        }
        for id in ["0", "-1", "-9223372036854775808", "9223372036854775807", "999999", "+999999", "00999999"] {
            let answer = target.request_to(route, &path(id)).send().await;
            route.assert_refused(&answer, (404, "SESSION_NOT_FOUND"), id);
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_query_says_what_it_may(target: Target) {
        let routes = routes::all();
        let route = routes.iter().find(|route| route.path.ends_with("/auth/login-history")).unwrap();
        for query in [
            "limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1&limit=2", "limit=%00", "limit=%ff",
            "limit=9223372036854775808", "offset=-1", "offset=x", "offset=9223372036854775808", "filter=x", "filter=",
            "filter=SUCCESS", "filter=success&filter=failure", "filter=%00", "limit=%zz",
        ] {
            let answer = target.request_to(route, &format!("{}?{query}", route.path)).send().await;
            route.assert_refused(&answer, (422, "VALIDATION_ERROR"), query);
        }
        for query in ["", "&&&", "x=%ff", "x=%zz&%zz=x", "limit=100&offset=9223372036854775807", "Limit=0", "x=1&x=2"] {
            let answer = target.request_to(route, &format!("{}?{query}", route.path)).send().await;
            answer.assert_status(200);
        }
    }

    async fn a_query_where_none_is_asked_for_changes_nothing(target: Target) {
        for route in routes::all() {
            let path = format!("{}?%ff=%zz&&x=1", route.sample_path());
            let answer = target.app.client().request(route.method.clone(), &path).send().await;
            route.assert_listed(&answer, "a query");
        }
    }

    async fn unknown_paths_are_not_found_in_the_contracts_words(target: Target) {
        for (contract, prefix, code) in [
            (ContractId::RIVERGEN, "/api/v1", "RESOURCE_NOT_FOUND"),
            (ContractId::INGESTIQ, "/api/v2", "NOT_FOUND"),
            (ContractId::CROSSING_MINDS, "/v1", "PATH_NOT_FOUND"),
            (ContractId::CROSSING_MINDS, "/accounts/x", "PATH_NOT_FOUND"),
            (ContractId::CROSSING_MINDS, "/login/x", "PATH_NOT_FOUND"),
            (ContractId::RIVEN, "/api/v1/account/x", ""),
            (ContractId::RIVEN, "/api/v1/login/x", ""),
        ] {
            for path in ["", "/", "//", "/x", "/auth", "/auth//login", "/auth/login/x", "/auth/%6cogin", "/%zz", "/%ff", "/%00",
                "/auth%2flogin", "/auth/login;x", "/AUTH/LOGIN", "/..%2f..%2fhealthz", "/./auth/login", "/\u{24}{x}"]
            {
                for method in [Method::GET, Method::POST, Method::DELETE] {
                    let answer = target.app.client().request(method, &format!("{prefix}{path}")).send().await;
                    answer.assert_error(404, code);
                    assert_envelope(contract, &answer);
                    // The words of Crossing Minds are the contract's.
                    let points = answer.text.contains("/docs lists");
                    assert_eq!(points, contract != ContractId::CROSSING_MINDS, "{}", answer.text);
                }
            }
        }
    }

    async fn a_method_a_route_does_not_answer_is_refused_and_the_right_ones_named(target: Target) {
        let before = row_counts(&target.app).await;
        let routes = routes::all();
        for route in &routes {
            let answered = |method: &Method| routes.iter().any(|one| one.path == route.path && one.method == *method);
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS,
                Method::from_bytes(b"BREW").unwrap()]
            {
                // The name of an object takes the rest of the path, whatever it ends with.
                let is_name = method == Method::DELETE && route.path.starts_with("/api/v1/storage/objects/");
                if answered(&method) || is_name {
                    continue;
                }
                let answer = target.app.client().request(method, &route.sample_path()).send().await;
                route.assert_refused(&answer, (405, "METHOD_NOT_ALLOWED"), "another method");
                assert!(answer.header("allow").contains(route.method.as_str()), "{:?}", answer.headers);
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }
}
