//! Each code of an error, and what to do about it: said where an operation answers it, and listed once for all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What the codes that operations list mean, and what to do. A test compares this with the descriptions, which other tests compare
/// with the answers.
const ADVICE: &[(&str, &str)] = &[
    ("application_exists", "Choose another name, or use the application that has it."),
    (
        "application_has_no_secret",
        "A public client proves itself with PKCE alone: there is nothing to regenerate.",
    ),
    ("application_not_found", "List the applications again: it was deleted, or is another organization's."),
    ("invalid_client", "Check the `client_id`: the application may be revoked or deleted."),
    (
        "invalid_redirect_uri",
        "Send one of the redirect URIs that the application is registered with, character by character; only the port of a loopback \
         address may be another.",
    ),
    ("invalid_request", "Read the message: a parameter is missing or malformed."),
    ("invalid_scope", "Ask for scopes that the application is registered for."),
    ("invalid_target", "Send a `resource` that the operator has configured, or none."),
    (
        "organization_access_denied",
        "Check the organization's number, and whether the account is a member of it, or an admin, whichever is needed.",
    ),
    (
        "token_creation_failed",
        "Read the message: the account is no member of the organization, or there are too many tokens; revoke some.",
    ),
    ("token_not_found", "List the tokens again: it was revoked, or is another's."),
    ("unauthorized_client", "Register the application for the grant type `authorization_code`."),
    ("ACCOUNTS_FETCH_FAILED", "A defect here: report it with the `x-request-id` of the answer."),
    (
        "too_many_applications",
        "Delete applications that nobody uses, or ask the operator for a higher quota.",
    ),
    ("ACCOUNT_ALREADY_VERIFIED", "Sign in: there is nothing to verify."),
    ("ACCOUNT_NOT_FOUND", "Check the address, name or id; the account may have been deleted."),
    (
        "ACCOUNT_NOT_VERIFIED",
        "Have the person confirm the address: the code or link was mailed, and can be mailed again.",
    ),
    ("ACTIVATION_CODE_DOES_NOT_MATCH", "Ask for the code again, or send a new mail. Older codes are void."),
    (
        "ACTIVATION_TOKEN_EXPIRED",
        "Sign in again on that device, and trust it within the time that the answer says.",
    ),
    (
        "AUTHENTICATION_COMPLETION_FAILED",
        "The passkey is right: the account may not sign in here. Ask the operator.",
    ),
    ("AUTHENTICATION_START_FAILED", "Sign in another way: the operator has not set up passkeys."),
    ("BAD_REQUEST", "Read the message: it names what is malformed, is missing or does not go together."),
    ("CHALLENGE_NOT_FOUND", "Begin the ceremony again: its challenge is used or too old."),
    ("CHANGE_PASSWORD_FAILED", "The account has no password yet: set the first one by \"forgot password\"."),
    (
        "CONFLICT",
        "Read the message: delete what is not needed or ask the operator for a higher quota; what is over stays as it is.",
    ),
    ("CREDENTIAL_DELETION_FAILED", "A defect here: report it with the `x-request-id` of the answer."),
    ("CREDENTIAL_LISTING_FAILED", "A defect here: report it with the `x-request-id` of the answer."),
    ("CREDENTIAL_NOT_FOUND", "List the passkeys again: it was removed, or is another account's."),
    (
        "DATABASE_NOT_FOUND",
        "Check the database's id; it may have been deleted, or be another organization's.",
    ),
    ("DATABASE_NOT_READY", "Wait for the seconds of `Retry-After`, then send the same request."),
    ("DEVICE_LIST_ERROR", "A defect here: report it with the `x-request-id` of the answer."),
    ("DEVICE_NOT_FOUND", "List the devices again: it was removed, or is another account's."),
    ("DEVICE_REMOVE_ERROR", "A defect here: report it with the `x-request-id` of the answer."),
    ("DUPLICATED_ACCOUNT", "Choose another address or name, or use the account that has it."),
    ("DUPLICATED_DB_NAME", "Choose another name, or use the database that has it."),
    ("EMAIL_ALREADY_TAKEN", "Choose another address."),
    ("EMAIL_ALREADY_VERIFIED", "Sign in: there is nothing to verify."),
    ("EMAIL_EXISTS", "Sign in with the address, or reset its password."),
    (
        "EMAIL_NOT_VERIFIED",
        "Have the person sign in through RiverGen: a code is mailed, and the temporary token of the answer goes with it.",
    ),
    ("EMAIL_OTP_ALREADY_ENABLED", "Codes by mail are on: nothing is to be set up."),
    ("EMAIL_TAKEN", "Sign in with the address, or reset its password."),
    ("EMAIL_UPDATE_REQUEST_FAILED", "It is the account's address already: there is nothing to change."),
    ("EMAIL_UPDATE_VERIFY_FAILED", "Request the change of address first, or again."),
    (
        "FORBIDDEN",
        "Do not try again with this token: the message says which scope, role or contract it takes.",
    ),
    ("HISTORY_FETCH_FAILED", "A defect here: report it with the `x-request-id` of the answer."),
    (
        "IDEMPOTENCY_CONFLICT",
        "Use a new `Idempotency-Key` for another body; repeat a request with the same key and the same body.",
    ),
    (
        "INCORRECT_ACCOUNT",
        "The account is not managed by you: the owner's, or an accepted one of another organization's.",
    ),
    ("INCORRECT_JWT_TOKEN", "Refresh the token once; if that fails, sign in again."),
    (
        "INCORRECT_PASSWORD",
        "Have the person type it again, or reset it. Accounts that may not sign in here are answered likewise.",
    ),
    ("INCORRECT_REFRESH_TOKEN", "Sign in again: the token is unknown, or its session has ended."),
    ("INSUFFICIENT_ROLE", "Do not try again with this token: its role or binding does not reach this."),
    ("INTERNAL_ERROR", "A defect here: report it with the `x-request-id` of the answer."),
    ("INTERNAL_SERVER_ERROR", "A defect here: report it with the `x-request-id` of the answer."),
    ("INVALID_ACTIVATION_TOKEN", "Sign in again on that device for a new activation token; each works once."),
    (
        "INVALID_ASSERTION",
        "Begin the sign-in with the passkey again; check that the page is on an allowed origin.",
    ),
    (
        "INVALID_ATTESTATION",
        "Begin the registration of the passkey again; check that the page is on an allowed origin.",
    ),
    ("INVALID_BACKUP_CODE", "Have the person use another backup code: each works once."),
    (
        "INVALID_CODE",
        "Have the person type the code that the app shows now. Check that the phone's clock is right.",
    ),
    ("INVALID_CREDENTIAL", "Sign in another way: the passkey is not one of this account."),
    (
        "INVALID_CREDENTIALS",
        "Have the person type them again, or reset the password. Accounts that may not sign in here are answered likewise.",
    ),
    ("INVALID_CURRENT_PASSWORD", "Have the person type the present password again, or reset it."),
    ("INVALID_MFA_CODE", "Have the person type the newest code, or a backup code. Each works once."),
    ("INVALID_OTP", "Have the person type the newest code again; after five wrong ones, send another."),
    ("INVALID_PASSWORD", "Have the person choose a password that keeps the rules that the message names."),
    (
        "INVALID_PROVIDER",
        "Offer the person another way: there is no such provider, or the operator has not set it up.",
    ),
    (
        "INVALID_REFRESH_TOKEN",
        "Sign in again: the token was used before, is unknown, or its session has ended.",
    ),
    ("INVALID_REQUEST", "Ask for a method that the account has: the sign-in's answer lists them."),
    ("INVALID_TEMPORARY_TOKEN", "Begin again with the sign-in: the token is used or too old."),
    ("INVALID_TOKEN", "Ask for a new link or code; an access or refresh token: sign in again."),
    ("KEY_NOT_FOUND", "The key was deleted, or is another program's: nothing is to be done."),
    ("LOGOUT_FAILED", "The session had ended already: forget its tokens."),
    ("MFA_METHOD_NOT_FOUND", "Show the account's methods again: it does not have this one."),
    ("MFA_NOT_ENABLED", "Set up a second factor first."),
    ("MFA_REQUIRED", "Send the second factor as well: a code, or a backup code."),
    ("MISSING_AUTHORIZATION_CODE", "Begin the sign-in by the provider again: its answer has no code."),
    ("NO_CREDENTIALS", "Sign in another way: the account has no passkey."),
    ("NO_DATABASE_SELECTED", "Sign in with `db_id`: the operation is about the token's database."),
    ("NO_PENDING_SETUP", "Begin the set-up again: there is none, or it took too long."),
    (
        "OAUTH_AUTHORIZATION_FAILED",
        "See `details.reason`. Begin the sign-in by the provider again, or offer the person another way.",
    ),
    ("OTP_EXPIRED", "Send another code."),
    ("PAYLOAD_TOO_LARGE", "Send less: the message says how much may be sent."),
    ("NOT_FOUND", "Check the name, the number or the path: it was deleted, or is another organization's."),
    (
        "PERMISSION_DENIED",
        "Do not try again with this token: the message says which scope, role or contract it takes.",
    ),
    ("PROFILE_UPDATE_FAILED", "Store less in the profile."),
    (
        "QUOTA_EXCEEDED",
        "Delete what is not needed; the message names the quota, which the operator can raise.",
    ),
    ("RATE_LIMITED", "Wait for the seconds of `Retry-After`."),
    ("RATE_LIMIT_OVERFLOW", "Wait for the seconds of `Retry-After`."),
    ("REFRESH_TOKEN_EXPIRED", "Sign in again."),
    (
        "REQUEST_ENTITY_TOO_LARGE",
        "Send a smaller file, or delete files that are not needed: the message says how much may be stored, which the operator can raise.",
    ),
    ("REQUEST_TIMEOUT", "Send the body faster, or in smaller parts."),
    ("REGISTRATION_COMPLETION_FAILED", "Begin the registration again; the message says what was wrong."),
    (
        "REGISTRATION_START_FAILED",
        "Remove a passkey, or verify an e-mail address first; or the operator has not set up passkeys. The message says which.",
    ),
    ("SERVER_ERROR", "A defect here: report it with the `x-request-id` of the answer."),
    (
        "SERVER_UNAVAILABLE",
        "Wait for the seconds of `Retry-After`, then send the same request. Without `Retry-After` the server is not set up for this: \
         tell its operator.",
    ),
    (
        "SERVICE_UNAVAILABLE",
        "Wait for the seconds of `Retry-After`, then send the same request. Without `Retry-After` the server is not set up for this: \
         tell its operator.",
    ),
    ("SESSIONS_FETCH_FAILED", "A defect here: report it with the `x-request-id` of the answer."),
    ("SESSION_NOT_FOUND", "List the sessions again: it has ended, or is another account's."),
    ("SETUP_FAILED", "Add and verify the address or phone first."),
    ("SMS_OTP_ALREADY_ENABLED", "Codes by text message are on: nothing is to be set up."),
    (
        "SOCIAL_LOGIN_FAILED",
        "See `details.reason`. Begin the sign-in by the provider again, or offer the person another way.",
    ),
    (
        "SOCIAL_SIGNUP_FAILED",
        "See `details.reason`. Sign in if the person has an account; else begin again, or offer another way.",
    ),
    (
        "STEP_UP_REQUIRED",
        "Have the person prove who they are at `/api/v1/auth/step-up`, then send the same request.",
    ),
    (
        "TOKEN_EXPIRED",
        "An access token: refresh it once. A link or a refresh token: ask for a new one, or sign in again.",
    ),
    ("TOO_MANY_ATTEMPTS", "Wait for the seconds of `Retry-After`, then send another code."),
    ("TOO_MANY_REQUESTS", "Wait for the seconds of `Retry-After`."),
    ("TOTP_ALREADY_ENABLED", "Choose another name for the app, or remove the one that has it."),
    ("UNAUTHORIZED", "Send an access token; refresh it once if it is refused, then sign in again."),
    ("UNSUPPORTED_MEDIA_TYPE", "Send the `Content-Type` that the message names, without `Content-Encoding`."),
    ("USER_NOT_FOUND", "The account was deleted: forget its tokens."),
    ("VALIDATION_ERROR", "Correct the field that `details` names. The same request fails again."),
    ("WRONG_DATA_TYPE", "Correct the fields that `error_data.query` names. The same request fails again."),
];

/// Codes that every path can answer, so that no operation lists them.
const ANYWHERE: &[(&str, &str, &str)] = &[
    ("METHOD_NOT_ALLOWED", "405", "Use a method that the header `Allow` names."),
    ("NOT_FOUND", "404", "Check the path."),
    ("PATH_NOT_FOUND", "404", "Check the path."),
    ("RESOURCE_NOT_FOUND", "404", "Check the path."),
];

/// The codes that the description of an answer begins its parts with: `A, B: why; C`.
pub(super) fn of(description: &str) -> impl Iterator<Item = &str> {
    description.split(['\n', ';']).flat_map(|part| {
        let list = part.split_once(':').map_or(part, |(list, _)| list);
        list.split(", ").map(str::trim).filter(|word| is_code(word))
    })
}

fn is_code(word: &str) -> bool {
    let is_of = |letter: fn(&u8) -> bool| word.bytes().all(|c| letter(&c) || c.is_ascii_digit() || c == b'_');
    word.len() > 4 && (is_of(u8::is_ascii_uppercase) || word.contains('_') && is_of(u8::is_ascii_lowercase))
}

/// What to do about a code.
fn advice(code: &str) -> Option<&'static str> {
    let anywhere = ANYWHERE.iter().map(|(code, _, advice)| (*code, *advice));
    ADVICE.iter().copied().chain(anywhere).find(|(known, _)| *known == code).map(|(_, advice)| advice)
}

/// Adds to the descriptions of an operation's answers what to do about each code.
pub(super) fn explain(operation: &mut Value) {
    let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (_, answer) in answers.into_iter().flatten() {
        explain_answer(answer);
    }
}

/// The same, of one answer.
pub(super) fn explain_answer(answer: &mut Value) {
    let Some(Value::String(description)) = answer.get_mut("description") else { return };
    let lines: Vec<String> =
        of(description).filter_map(|code| Some(format!("- `{code}`: {}", advice(code)?))).collect();
    if !lines.is_empty() {
        *description = format!("{description}\n\n{}", lines.join("\n"));
    }
}

/// A table of all codes that the description's operations answer, with their statuses.
pub(super) fn table(paths: &serde_json::Map<String, Value>, components: &Value) -> String {
    let mut statuses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (code, status) in listed(paths, components) {
        statuses.entry(code).or_default().insert(status);
    }
    for (code, status, _) in ANYWHERE {
        statuses.entry(code).or_default().insert(status);
    }
    let rows = statuses.iter().map(|(code, statuses)| {
        let statuses: Vec<&str> = statuses.iter().copied().collect();
        format!("| `{code}` | {} | {} |\n", statuses.join(", "), advice(code).unwrap_or_default())
    });
    format!("| Code | Status | What to do |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// Every code that an operation lists, with the status of its answer.
fn listed<'d>(
    paths: &'d serde_json::Map<String, Value>,
    components: &'d Value,
) -> impl Iterator<Item = (&'d str, &'d str)> {
    let operations = paths.values().filter_map(Value::as_object).flat_map(|item| item.values());
    let answers = operations.filter_map(|operation| operation.get("responses")?.as_object()).flatten();
    answers.flat_map(|(status, answer)| {
        let reference = answer.get("$ref").and_then(Value::as_str);
        let referred =
            reference.and_then(|reference| components.pointer(reference.strip_prefix("#/components")?));
        let description = referred.unwrap_or(answer).get("description").and_then(Value::as_str);
        description.into_iter().flat_map(of).map(move |code| (code, status.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn every_code_that_an_operation_lists_is_explained_and_no_other() {
        let all = registry::openapi();
        let paths = all["paths"].as_object().unwrap();
        let listed: BTreeSet<&str> = listed(paths, &all["components"]).map(|(code, _)| code).collect();
        let explained: BTreeSet<&str> = ADVICE.iter().map(|(code, _)| *code).collect();
        let missing: Vec<_> = listed.difference(&explained).collect();
        assert!(missing.is_empty(), "add what to do about these to ADVICE: {missing:?}");
        let unused: Vec<_> = explained.difference(&listed).collect();
        assert!(unused.is_empty(), "no operation answers these: {unused:?}");
        assert_eq!(explained.len(), ADVICE.len(), "a code is explained twice");
    }

    #[test]
    fn codes_are_told_from_the_words_around_them() {
        let of = |text| super::of(text).collect::<Vec<_>>();
        assert_eq!(
            of("WRONG_DATA_TYPE: a body that is not JSON; NO_DATABASE_SELECTED"),
            ["WRONG_DATA_TYPE", "NO_DATABASE_SELECTED"]
        );
        assert_eq!(of("INVALID_OTP, FORBIDDEN"), ["INVALID_OTP", "FORBIDDEN"]);
        assert_eq!(of("A document of more than 10 MB"), [""; 0]);
        assert_eq!(of("No JSON"), [""; 0]);
    }
}
