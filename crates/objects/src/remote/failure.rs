//! Why a store did not do what it was asked to, and which setting to look at.

use std::fmt;

use reqwest::StatusCode;

/// Longest part of a store's own words that is told.
const WORDS: usize = 200;

/// Why a store did not do what it was asked to. The text is for the operator: it names the setting to look at.
#[derive(Debug)]
pub(crate) enum StoreFailure {
    /// It answers that it does not.
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// What the store calls it; empty where it does not say.
        code: String,
        /// The store's words for it.
        words: String,
    },
    /// It answers what no store does.
    Senseless(String),
    /// It does not answer.
    Silent(String),
}

impl StoreFailure {
    /// From an answer. Azure names the error in a header, too, which answers to HEAD have nothing else beside.
    pub(super) fn refused(status: StatusCode, header: Option<&str>, body: &str) -> Self {
        let code = between(body, "Code").or(header).unwrap_or_default();
        // Azure's have more lines, of the request.
        let words = between(body, "Message").and_then(|words| words.lines().next()).unwrap_or_default();
        let told = |text: &str| text.chars().filter(|one| !one.is_control()).take(WORDS).collect::<String>();
        Self::Refused { status, code: told(code), words: told(words) }
    }

    /// Whether the bucket is what is missing.
    pub(super) fn lacks_bucket(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if matches!(code.as_str(), "NoSuchBucket" | "ContainerNotFound"))
    }

    /// Whether trying again cannot help before somebody changes a setting here, or what the key may do there.
    pub(crate) fn is_of_settings(&self) -> bool {
        let Self::Refused { status, .. } = self else { return false };
        self.lacks_bucket()
            || status.is_redirection()
            || matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || self.advice() == REGION
            || self.advice() == BUCKET_NAME
    }

    /// What to look at.
    fn advice(&self) -> &'static str {
        let Self::Refused { status, code, .. } = self else {
            return "check storage.endpoint, and that this machine reaches it";
        };
        match code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" => "check storage.bucket: make the bucket first",
            "InvalidBucketName" | "InvalidResourceName" => BUCKET_NAME,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => REGION,
            "RequestTimeTooSkewed" => "set the clock of this machine",
            "AccessDenied" | "AuthorizationPermissionMismatch" | "AllAccessDisabled" => {
                "check what the key of storage.access_key_id may do with storage.bucket: read, write, delete and list"
            }
            _ if status.is_redirection() => REGION,
            _ if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                "check storage.access_key_id and storage.secret_access_key, and what that key may do with storage.bucket"
            }
            _ if status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS => {
                "see how the provider is, and check storage.endpoint"
            }
            _ => "check storage.endpoint and storage.bucket",
        }
    }
}

const REGION: &str = "check storage.region and storage.endpoint: the bucket is elsewhere";
const BUCKET_NAME: &str = "check storage.bucket: the store takes no such name";

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, code, words } => {
                write!(f, "the store answers {status}")?;
                for part in [code, words].into_iter().filter(|part| !part.is_empty()) {
                    write!(f, ", {}", part.trim_end_matches('.'))?;
                }
            }
            Self::Senseless(what) => write!(f, "the store answers what is no answer of one: {what}")?,
            Self::Silent(what) => write!(f, "the store cannot be reached: {what}")?,
        }
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for StoreFailure {}

/// What the first element of that name holds.
fn between<'t>(xml: &'t str, element: &str) -> Option<&'t str> {
    let (_, after) = xml.split_once(&format!("<{element}>"))?;
    after.split_once(&format!("</{element}>")).map(|(inside, _)| inside.trim())
}

#[cfg(test)]
mod tests {
    use object_store::Error;

    use super::super::http::generic;
    use super::*;
    use crate::ObjectsError;

    fn told(status: u16, header: Option<&str>, body: &str) -> (bool, String) {
        let failure = StoreFailure::refused(StatusCode::from_u16(status).unwrap(), header, body);
        let source = Box::new(failure);
        let error = match status {
            403 => Error::PermissionDenied { path: "a".to_owned(), source },
            _ => Error::Generic { store: "object store", source },
        };
        match ObjectsError::from(error) {
            ObjectsError::Misconfigured(text) => (true, text),
            other => (false, other.to_string()),
        }
    }

    #[test]
    fn each_failure_names_the_setting_to_look_at() {
        let error = |code: &str| {
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.\n</Message></Error>")
        };
        for (status, code, is_of_settings, setting) in [
            (403, "SignatureDoesNotMatch", true, "storage.access_key_id and storage.secret_access_key"),
            (403, "InvalidAccessKeyId", true, "storage.access_key_id and storage.secret_access_key"),
            (403, "AuthorizationFailure", true, "storage.access_key_id and storage.secret_access_key"),
            (403, "AuthenticationFailed", true, "storage.access_key_id and storage.secret_access_key"),
            (403, "AccessDenied", true, "may do with storage.bucket"),
            (403, "RequestTimeTooSkewed", true, "the clock"),
            (404, "NoSuchBucket", true, "storage.bucket"),
            (404, "ContainerNotFound", true, "storage.bucket"),
            (400, "InvalidBucketName", true, "storage.bucket"),
            (400, "AuthorizationHeaderMalformed", true, "storage.region"),
            (301, "PermanentRedirect", true, "storage.region"),
            (500, "InternalError", false, "storage.endpoint"),
            (503, "SlowDown", false, "storage.endpoint"),
            (405, "", false, "storage.endpoint"),
        ] {
            let (found, text) = told(status, None, &error(code));
            assert_eq!(found, is_of_settings, "{status} {code}: {text}");
            assert!(text.contains(code) && text.contains(setting), "{status} {code}: {text}");
            assert!(!text.contains('\n') && !text.contains('<'), "{text}");
        }
        // An answer to HEAD has no body.
        let (is_of_settings, text) = told(404, Some("ContainerNotFound"), "");
        assert!(is_of_settings && text.contains("storage.bucket"), "{text}");
        let (is_of_settings, text) = told(403, None, "");
        assert!(is_of_settings && text.starts_with("the store answers 403 Forbidden; check "), "{text}");
    }

    #[test]
    fn who_is_no_store_and_who_is_silent_is_told() {
        for failure in [StoreFailure::Senseless("a page".to_owned()), StoreFailure::Silent("gone".to_owned())]
        {
            let error = ObjectsError::from(generic(failure));
            assert!(
                matches!(&error, ObjectsError::Unavailable(text) if text.contains("storage.endpoint")),
                "{error}"
            );
        }
    }
}
