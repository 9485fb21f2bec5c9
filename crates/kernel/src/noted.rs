//! What the log says of a request beside its answer, whichever error it became on its way: the configuration key of the limit that it met, and
//! what is wrong with its credential or its body, and which fields of it were ignored. Clients are told none of it.

use std::cell::RefCell;
use std::time::Duration;

use tidegate_crypto::TokenFault;
use tidegate_domain::Timestamp;

tokio::task_local! {
    static NOTED: RefCell<Noted>;
}

/// Access tokens that live for less are of little use: clients refresh them all the time.
pub const SHORT_LIFE: Duration = Duration::from_secs(60);

/// What was noted of a request, the last of each kind, and all fields.
#[derive(Debug, Default)]
pub struct Noted {
    /// The limit that it met.
    pub limit: Option<String>,
    /// Why a credential of it does not count.
    pub refused: Option<CredentialFault>,
    /// The fields of its body that were ignored: names that are no secret, and how many there are besides.
    pub ignored: Vec<String>,
}

/// Why a credential does not count: a term of the standards or of the contracts, and what is wrong with it. Each is one short line, and has
/// nothing in it that a client chose, except for what a key of ours has signed and for sizes. `docs/operations.md` lists them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// There is no usable header `Authorization`.
    #[error("authorization: {0}")]
    Authorization(&'static str),
    /// An access token that is no right JWT of this installation.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// It was right once.
    #[error("{term}: expired {ago} s ago{life}")]
    Expired {
        /// Which of its times.
        term: &'static str,
        /// In seconds.
        ago: u64,
        /// How long it was good for, where that is so short that it may be the reason; else nothing.
        life: String,
    },
    /// The session that the token stands for.
    #[error("session: {0}")]
    Session(&'static str),
    /// What the scopes of a token do not give.
    #[error("scope: {0}")]
    Scope(String),
    /// A token that an application asks about.
    #[error("introspection: {0}")]
    Introspection(&'static str),
    /// An opaque access token.
    #[error("opaque token: {0}")]
    Opaque(&'static str),
    /// A personal access token.
    #[error("personal access token: {0}")]
    Personal(&'static str),
    /// A refresh token.
    #[error("refresh token: {0}")]
    Refresh(&'static str),
    /// The cookie of the hosted pages.
    #[error("cookie: {0}")]
    Cookie(&'static str),
    /// What binds a form of the hosted pages to its browser.
    #[error("form: {0}")]
    Form(&'static str),
    /// A proof of possession (RFC 9449).
    #[error("dpop: {0}")]
    Dpop(String),
    /// An application.
    #[error("client: {0}")]
    Client(&'static str),
    /// The secret of an application.
    #[error("client_secret: {0}")]
    ClientSecret(&'static str),
    /// How an application authenticates.
    #[error("client authentication: {presented}, registered is {registered}{advice}", advice = if_public(.presented))]
    ClientAuthentication {
        /// What it presents.
        presented: &'static str,
        /// The method that it is registered with.
        registered: &'static str,
    },
    /// The token by which an application registers itself, or manages its registration (RFC 7591, RFC 7592).
    #[error("registration token: {0}")]
    Registration(&'static str),
    /// An assertion by which an application authenticates (RFC 7523).
    #[error("client_assertion: {0}")]
    Assertion(String),
    /// A key by which a program signs in.
    #[error("service key: {0}")]
    ServiceKey(&'static str),
    /// A password.
    #[error("password: {0}")]
    Password(&'static str),
    /// A phone number by which somebody would sign in.
    #[error("phone: {0}")]
    Phone(&'static str),
    /// The stored hash of a password. It is kept: what is noted after it only follows from it.
    #[error("password: {0}")]
    StoredPassword(&'static str),
    /// An authorization code.
    #[error("authorization code: {0}")]
    Code(&'static str),
    /// The code that a device polls with.
    #[error("device_code: {0}")]
    DeviceCode(&'static str),
    /// The token that goes with a mailed code, or with a sign-in that waits.
    #[error("temporary token: {0}")]
    Temporary(&'static str),
    /// A code that was mailed or texted.
    #[error("one-time code: {0}")]
    OneTimeCode(&'static str),
    /// What an account with a second factor shows.
    #[error("second factor: {0}")]
    SecondFactor(String),
    /// What a mail brought besides: an activation code, or the token of a link.
    #[error("{term}: {why}")]
    Mailed {
        /// Which of them.
        term: &'static str,
        /// Why it is none.
        why: &'static str,
    },
    /// Where a request comes from that asks for what only operators are shown.
    #[error("operators: {0}")]
    Operators(&'static str),
    /// A body that did not come whole.
    #[error("body: {0}")]
    Body(String),
}

/// What to do about an application that proves nothing, if it is none that can.
fn if_public(presented: &str) -> &'static str {
    if presented == "none" {
        "; if it can keep no secret: tidegate client change CLIENT_ID --auth-method none"
    } else {
        ""
    }
}

impl CredentialFault {
    /// That its time was over at `at`.
    pub fn expired(term: &'static str, at: Timestamp, now: Timestamp) -> Self {
        Self::Expired { term, ago: now.since(at).as_secs(), life: String::new() }
    }

    /// The same of an access token. One that was good for less than [`SHORT_LIFE`] was perhaps configured in another unit than seconds.
    pub fn expired_token(issued: Timestamp, at: Timestamp, now: Timestamp) -> Self {
        let lived = at.since(issued);
        let life = if lived.is_zero() || lived >= SHORT_LIFE {
            String::new()
        } else {
            format!("; it lived for {} s", lived.as_secs())
        };
        Self::Expired { term: "exp", ago: now.since(at).as_secs(), life }
    }
}

/// Does the work of a request; answers besides what was noted of it.
pub async fn noting<F: Future>(request: F) -> (F::Output, Noted) {
    let noted = async {
        let output = request.await;
        (output, NOTED.with(RefCell::take))
    };
    NOTED.scope(RefCell::default(), noted).await
}

/// Notes that the request met the limit of that key.
pub fn limit(key: impl FnOnce() -> String) {
    // Workers and commands note nothing.
    let _ = NOTED.try_with(|noted| noted.borrow_mut().limit = Some(key()));
}

/// Notes why a credential of the request does not count.
pub fn refused(fault: CredentialFault) {
    let _ = NOTED.try_with(|noted| {
        let mut noted = noted.borrow_mut();
        if !matches!(noted.refused, Some(CredentialFault::StoredPassword(_))) {
            noted.refused = Some(fault);
        }
    });
}

/// The same where nothing more telling was noted: of a credential that can be one of two kinds.
pub fn refused_otherwise(fault: CredentialFault) {
    let _ = NOTED.try_with(|noted| {
        noted.borrow_mut().refused.get_or_insert(fault);
    });
}

/// Notes that these fields of the request's body were ignored.
pub fn ignored(fields: Vec<String>) {
    let _ = NOTED.try_with(|noted| noted.borrow_mut().ignored.extend(fields));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_has_what_was_noted_last_of_it_and_nothing_of_others() {
        let first = noting(async {
            limit(|| "rivergen.limits.sign_in_by_ip".to_owned());
            refused(CredentialFault::Session("unknown"));
            tokio::task::yield_now().await;
            refused(CredentialFault::Session("ended"));
        });
        let (((), first), ((), second)) =
            tokio::join!(first, noting(async { tokio::task::yield_now().await }));
        assert_eq!(first.limit.as_deref(), Some("rivergen.limits.sign_in_by_ip"));
        assert_eq!(first.refused, Some(CredentialFault::Session("ended")));
        assert!(second.limit.is_none() && second.refused.is_none());
        let ((), third) = noting(async {
            refused(CredentialFault::Session("ended"));
            refused_otherwise(CredentialFault::Session("unknown"));
        })
        .await;
        assert_eq!(third.refused, Some(CredentialFault::Session("ended")));
        let ((), fourth) = noting(async {
            ignored(vec!["role".to_owned()]);
            ignored(vec!["id".to_owned(), "2 more".to_owned()]);
        })
        .await;
        assert_eq!(fourth.ignored, ["role", "id", "2 more"]);
        let ((), fifth) = noting(async {
            refused(CredentialFault::StoredPassword("cannot be verified"));
            refused(CredentialFault::Password("wrong"));
        })
        .await;
        assert_eq!(fifth.refused, Some(CredentialFault::StoredPassword("cannot be verified")));
        // Outside of a request.
        refused(CredentialFault::Session("ended"));
    }

    #[test]
    fn a_fault_begins_with_its_term() {
        let at = Timestamp::from_seconds;
        assert_eq!(CredentialFault::expired("exp", at(100), at(190)).to_string(), "exp: expired 90 s ago");
        let token = |issued| CredentialFault::expired_token(at(issued), at(100), at(102)).to_string();
        assert_eq!(token(85), "exp: expired 2 s ago; it lived for 15 s");
        assert_eq!(token(40), "exp: expired 2 s ago", "a minute is no mistake");
        assert_eq!(token(101), "exp: expired 2 s ago", "it never lived");
        assert_eq!(CredentialFault::from(TokenFault::Signature).to_string(), "signature: wrong");
        assert_eq!(CredentialFault::Opaque("unknown").to_string(), "opaque token: unknown");
    }
}
