//! Parameters by which other providers call what has another name here. They are ignored, as all are that are not known (RFC 6749 sections 3.1
//! and 3.2), and the log names them: whoever sends them believes that they count. `docs/guides/applications.md` has the names here.

use tidegate_kernel::noted;

/// The API that the access token is to be for, as Auth0 calls it.
pub(super) const AT_TOKEN: &[&str] = &["audience"];
/// The same, what Google has for refresh tokens, and Auth0 for the page on which people make an account.
pub(super) const AT_AUTHORIZE: &[&str] = &["audience", "access_type", "screen_hint"];
/// Where the person is sent afterwards, as Auth0, Keycloak until its version 18 and Cognito call it.
pub(super) const AT_LOGOUT: &[&str] = &["returnTo", "redirect_uri", "logout_uri"];

/// Has the log name those of `foreign` that were sent.
pub(super) fn note(foreign: &[&str], is_sent: impl Fn(&str) -> bool) {
    noted::ignored(foreign.iter().filter(|name| is_sent(name)).map(|name| (*name).to_owned()).collect());
}

/// The same of names and values.
pub(super) fn note_in(pairs: &[(String, String)], foreign: &[&str]) {
    note(foreign, |name| pairs.iter().any(|(known, _)| known == name));
}
