//! The order in which people use the operations.

/// Ends of paths, from the first request of a newcomer to the last. What is not listed comes before operations' routes.
const FLOW: &[&str] = &[
    "/auth/signup",
    "/auth/register",
    "/auth/enter-phone",
    "/accounts/individual",
    "/auth/verify-otp",
    "/auth/verify-email",
    "/auth/confirm-code",
    "/auth/resend-signup-otp",
    "/accounts/verify",
    "/accounts/resend-verification-code",
    "/auth/login",
    "/login/send-code",
    "/login/verify-code",
    "/login/individual",
    "/login/service",
    "/login/root",
    "/auth/refresh",
    "/login/refresh-token",
    "/login/jwt",
    "/auth/me",
    "/auth/me/profile",
    "/auth/me/email/request",
    "/auth/me/email/verify",
    "/auth/login-history",
    "/account/create",
    "/account/kyc",
    "/account/profile",
    "/sessions",
    "/sessions/{session_id}",
    "/auth/change-password",
    "/auth/forgot-password",
    "/auth/reset-password",
    "/accounts/individual/send-reset-password-email",
    "/accounts/individual/reset",
    "/auth/logout",
    "/auth/logout-all",
    "/logout",
    "/organizations/current",
    "/organizations/current/accounts",
    "/organizations/accounts",
    "/accounts/service",
    "/accounts/service/keys",
    "/accounts/service/keys/{key_id}",
    "/accounts",
    "/databases",
    "/databases/current",
    "/databases/current/status",
    "/sessions/{session_id}/resolve",
    "/resolved-sessions",
];

/// Operations' routes, which stand last.
const LAST: &[&str] = &[
    "/health",
    "/healthz",
    "/readyz",
    "/metrics",
    "/oauth/par",
    "/oauth/authorize",
    "/oauth/token",
    "/oauth/token/revoke",
    "/oauth/introspect",
    "/oauth/userinfo",
    "/oauth/register",
    "/oauth/register/{client_id}",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/openapi/{contract}.json",
];

/// The place of a path; the longest end that is listed counts.
pub(super) fn rank(path: &str) -> usize {
    let find = |list: &[&str]| {
        let ends = list.iter().enumerate().filter(|(_, end)| path.ends_with(*end));
        ends.max_by_key(|(_, end)| end.len()).map(|(place, _)| place)
    };
    match (find(LAST), find(FLOW)) {
        (Some(place), _) => FLOW.len() + 1 + place,
        (None, Some(place)) => place,
        (None, None) => FLOW.len(),
    }
}
