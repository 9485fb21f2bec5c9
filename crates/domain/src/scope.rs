//! Scopes: what a token may do at most. One vocabulary for personal access tokens and OAuth.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::permission::Permission as P;
use crate::permission::PermissionSet;

/// What a session that its owner signed in to says for a scope: no limit. It is in no vocabulary, so nobody can ask for it.
const FULL: &str = "full";

const READ: PermissionSet = PermissionSet::of(&[
    P::ReadOwnToken,
    P::ReadOwnAccount,
    P::ReadOrganization,
    P::ReadDatabases,
    P::UseBoundDatabase,
    P::ReadOwnFiles,
    P::ReadBrokerageAccount,
    P::ReadDataSources,
    P::ReadPrompts,
]);

const WRITE: PermissionSet = PermissionSet::of(&[
    P::ReadOwnToken,
    P::ChangeOwnProfile,
    P::ChangeBoundDatabase,
    P::ResolveOwnSession,
    P::ResolveSessions,
    P::ManageOwnFiles,
    P::ManageDataSources,
    P::ManagePrompts,
]);

const ACCOUNTS_READ: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ReadMembers]);
const SECURITY_READ: PermissionSet = PermissionSet::of(&[
    P::ReadOwnToken,
    P::ReadOwnSessions,
    P::ReadOwnFactors,
    P::ReadOwnTokens,
    P::ReadOrganizationTokens,
]);
const ORGANIZATION_READ: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ReadOrganization]);
const ORGANIZATION_WRITE: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ManageOrganization]);
const DATABASES_READ: PermissionSet =
    PermissionSet::of(&[P::ReadOwnToken, P::ReadDatabases, P::UseBoundDatabase]);
const DATABASES_WRITE: PermissionSet =
    PermissionSet::of(&[P::ReadOwnToken, P::ManageDatabases, P::ChangeBoundDatabase]);
const OWN_CLAIMS: PermissionSet = PermissionSet::of(&[P::ReadOwnClaims]);
const DATA_READ: PermissionSet =
    PermissionSet::of(&[P::ReadOwnToken, P::ReadOwnFiles, P::ReadDataSources, P::ReadPrompts]);
const DATA_WRITE: PermissionSet = PermissionSet::of(&[
    P::ReadOwnToken,
    P::ManageOwnFiles,
    P::ManageDataSources,
    P::AdministerDataSources,
    P::ManagePrompts,
    P::AdministerPrompts,
]);
/// Rows come out of data sources with this one alone.
const DATA_QUERY: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::QueryData, P::ReadPrompts]);
const POLICIES_READ: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ReadPolicies]);
const POLICIES_WRITE: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ManagePolicies]);
const BROKERAGE_READ: PermissionSet = PermissionSet::of(&[P::ReadOwnToken, P::ReadBrokerageAccount]);

const ADMIN: PermissionSet = READ
    .union(WRITE)
    .union(ACCOUNTS_READ)
    .union(SECURITY_READ)
    .union(ORGANIZATION_WRITE)
    .union(DATABASES_WRITE)
    .union(DATA_WRITE)
    .union(POLICIES_READ)
    .union(POLICIES_WRITE)
    .union(DATA_QUERY)
    .union(OWN_CLAIMS);

const NONE: PermissionSet = PermissionSet::NONE;

/// The vocabulary: every scope that can be asked for, and the permissions it gives. What a scope does not name is denied, and
/// [`PermissionSet::FULL_SCOPE_ONLY`] is given by none.
///
/// Those of OpenID Connect (Core sections 5.4 and 11) say what an ID token and the userinfo endpoint tell; `openid` gives the
/// permission to ask there, the others give none.
const VOCABULARY: [(&str, PermissionSet); 20] = [
    ("read", READ),
    ("write", WRITE),
    ("admin", ADMIN),
    ("accounts:read", ACCOUNTS_READ),
    ("security:read", SECURITY_READ),
    ("organization:read", ORGANIZATION_READ),
    ("organization:write", ORGANIZATION_WRITE),
    ("databases:read", DATABASES_READ),
    ("databases:write", DATABASES_WRITE),
    ("brokerage:read", BROKERAGE_READ),
    ("data:read", DATA_READ),
    ("data:write", DATA_WRITE),
    ("data:query", DATA_QUERY),
    ("policies:read", POLICIES_READ),
    ("policies:write", POLICIES_WRITE),
    ("openid", OWN_CLAIMS),
    ("profile", NONE),
    ("email", NONE),
    ("phone", NONE),
    ("offline_access", NONE),
];

/// The scopes of OpenID Connect: sign-ins at other applications ask for them, tokens of people and organizations have no use for them.
const OPENID: [&str; 5] = ["openid", "profile", "email", "phone", "offline_access"];

/// One scope: text of the form of RFC 6749 section 3.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Cow<'static, str>);

/// What tokens may do at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// Whatever the role may do.
    Full,
    /// What these scopes give: nothing, where there is none. Each is named once, in the order in which it was asked for.
    Limited(Vec<Scope>),
}

/// Why scopes cannot be asked for. The text repeats no more of what was sent than a name that has the form of a scope and is not
/// longer than the longest that there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// None at all.
    #[error("at least one scope is required")]
    Empty,
    /// Not of the form of RFC 6749 section 3.3.
    #[error("a scope is printable ASCII without spaces, quotes and backslashes")]
    Malformed,
    /// Longer than any that there is.
    #[error("unknown scope; no scope has so many characters")]
    TooLong,
    /// Several with something else between them than they have there.
    #[error(
        "several scopes in one name: a text has one space between them and nothing else, a list has each by itself"
    )]
    Joined,
    /// One of OpenID Connect, where those mean nothing.
    #[error("a scope of OpenID Connect is no scope of a token")]
    OfOpenId,
    /// Not in the vocabulary.
    #[error("unknown scope {name}; the nearest one is {nearest}")]
    Unknown {
        /// Its name.
        name: String,
        /// The one that is the most like it.
        nearest: &'static str,
    },
}

impl Scope {
    /// Every scope that can be asked for.
    pub fn known() -> impl Iterator<Item = &'static str> {
        VOCABULARY.iter().map(|(name, _)| *name)
    }

    /// Those that a personal access token can have: all but those of OpenID Connect.
    pub fn of_tokens() -> impl Iterator<Item = &'static str> {
        Self::known().filter(|name| !OPENID.contains(name))
    }

    /// The scope to ask for where this permission is needed: one that reads, before one that writes, before one that lets rows out,
    /// before the wide ones; of those the one that gives least. None where no scope gives it.
    pub fn giving(permission: P) -> Option<&'static str> {
        let width = |name: &str| match name.rsplit_once(':') {
            Some((_, "read")) => 0,
            Some((_, "write")) => 1,
            Some(_) => 2,
            None => 3,
        };
        let given = VOCABULARY.iter().filter(|(_, given)| {
            given.contains(permission) && !PermissionSet::FULL_SCOPE_ONLY.contains(permission)
        });
        given.min_by_key(|(name, given)| (width(name), given.iter().count())).map(|(name, _)| *name)
    }

    /// Whether it is one of OpenID Connect.
    pub fn is_openid(&self) -> bool {
        OPENID.contains(&self.as_str())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it gives; nothing, if it is not in the vocabulary.
    pub fn permissions(&self) -> PermissionSet {
        let known = VOCABULARY.iter().find(|(name, _)| *name == self.0);
        known.map_or(PermissionSet::NONE, |(_, permissions)| *permissions)
    }

    fn requested(name: &str, nearest: Nearest) -> Result<Self, ScopeError> {
        let known = VOCABULARY.iter().find(|(known, _)| *known == name);
        match known {
            Some((known, _)) => Ok(Self(Cow::Borrowed(known))),
            None if is_joined(name) => Err(ScopeError::Joined),
            None if !is_scope_token(name) => Err(ScopeError::Malformed),
            // Comparing costs more the longer it is, and no scope is so long.
            None if name.len() > LONGEST => Err(ScopeError::TooLong),
            None => Err(ScopeError::Unknown { name: name.to_owned(), nearest: nearest(name) }),
        }
    }

    /// Of a token or a row: what another version wrote is kept, and gives nothing here. The word for no limit is not kept: it
    /// means that alone, and must not be left alone when others are taken away.
    fn stored(name: &str) -> Option<Self> {
        let known = VOCABULARY.iter().find(|(known, _)| *known == name);
        match known {
            Some((known, _)) => Some(Self(Cow::Borrowed(known))),
            None if name == FULL || !is_scope_token(name) => None,
            None => Some(Self(Cow::Owned(name.to_owned()))),
        }
    }
}

/// Whether a name is a list with a separator that scopes do not have: one of its parts is a scope.
fn is_joined(name: &str) -> bool {
    let parts = || name.trim().split([' ', ',', ';', '|', '+']);
    parts().any(|part| VOCABULARY.iter().any(|(known, _)| *known == part)) && parts().nth(1).is_some()
}

/// Finds the scope that a misspelled name was meant to be.
type Nearest = fn(&str) -> &'static str;

fn nearest_of_all(name: &str) -> &'static str {
    most_like(name, Scope::known())
}

fn nearest_of_tokens(name: &str) -> &'static str {
    most_like(name, Scope::of_tokens())
}

fn most_like(name: &str, scopes: impl Iterator<Item = &'static str>) -> &'static str {
    let name = name.to_ascii_lowercase();
    let likeness = scopes.map(|known| {
        let whole = strsim::jaro_winkler(&name, known);
        // The part after the colon may be all that was typed.
        let end = known.split_once(':').map_or(0.0, |(_, end)| strsim::jaro_winkler(&name, end));
        (known, whole.max(end), whole)
    });
    // Of `read` and those that end with it, `read`.
    let nearest = likeness.max_by(|one, other| one.1.total_cmp(&other.1).then(one.2.total_cmp(&other.2)));
    nearest.map(|(known, ..)| known).unwrap_or_default()
}

/// Length of the longest scope of the vocabulary, in bytes.
const LONGEST: usize = {
    let (mut longest, mut rest) = (0, VOCABULARY.as_slice());
    while let [(name, _), others @ ..] = rest {
        if name.len() > longest {
            longest = name.len();
        }
        rest = others;
    }
    longest
};

/// `scope-token` of RFC 6749 section 3.3.
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

impl Scopes {
    /// No scope: it gives nothing.
    pub const NONE: Self = Self::Limited(Vec::new());

    /// What a client asks for in a list.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn requested<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, ScopeError> {
        Self::read(names, nearest_of_all)
    }

    fn read<'n>(names: impl IntoIterator<Item = &'n str>, nearest: Nearest) -> Result<Self, ScopeError> {
        let mut scopes: Vec<Scope> = Vec::new();
        for name in names {
            let scope = Scope::requested(name, nearest)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() { Err(ScopeError::Empty) } else { Ok(Self::Limited(scopes)) }
    }

    /// What a person asks for when they make a personal access token: scopes of OpenID Connect are none of its.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn requested_for_token<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, ScopeError> {
        let scopes = Self::read(names, nearest_of_tokens)?;
        let is_openid = matches!(&scopes, Self::Limited(asked) if asked.iter().any(Scope::is_openid));
        if is_openid { Err(ScopeError::OfOpenId) } else { Ok(scopes) }
    }

    /// What a client asks for in one text, separated by single spaces (RFC 6749 section 3.3).
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() { Err(ScopeError::Empty) } else { Self::requested(text.split(' ')) }
    }

    /// Of a token or a row. `full` is no limit if it stands alone; what is malformed or unknown gives nothing.
    pub fn from_stored(text: &str) -> Self {
        if text == FULL {
            return Self::Full;
        }
        let mut scopes: Vec<Scope> = Vec::new();
        for scope in text.split(' ').filter_map(Scope::stored) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Self::Limited(scopes)
    }

    /// Whether there is no limit.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The permissions that they leave of a role's.
    pub fn permissions(&self) -> PermissionSet {
        match self {
            Self::Full => PermissionSet::ALL,
            Self::Limited(scopes) => scopes
                .iter()
                .fold(PermissionSet::NONE, |given, scope| given.union(scope.permissions()))
                .without(PermissionSet::FULL_SCOPE_ONLY),
        }
    }

    /// Their names; `full` where there is no limit.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (full, scopes) = match self {
            Self::Full => (Some(FULL), &[][..]),
            Self::Limited(scopes) => (None, scopes.as_slice()),
        };
        full.into_iter().chain(scopes.iter().map(Scope::as_str))
    }

    /// Whether the scope of that name is among them. It is not, where there is no limit: ask for permissions.
    pub fn contains(&self, name: &str) -> bool {
        matches!(self, Self::Limited(scopes) if scopes.iter().any(|scope| scope.as_str() == name))
    }

    /// Whether every scope of `other` is among these.
    pub fn contains_all(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Full, _) => true,
            (Self::Limited(_), Self::Full) => false,
            (Self::Limited(_), Self::Limited(others)) => {
                others.iter().all(|scope| self.contains(scope.as_str()))
            }
        }
    }

    /// The scopes of either, these first.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Limited(these), Self::Limited(others)) => {
                let added = others.iter().filter(|scope| !self.contains(scope.as_str()));
                Self::Limited(these.iter().chain(added).cloned().collect())
            }
            _ => Self::Full,
        }
    }

    /// These without those of `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Limited(scopes) => Self::Limited(
                scopes.iter().filter(|scope| !other.contains(scope.as_str())).cloned().collect(),
            ),
        }
    }

    /// The scopes of both, in the order of these.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Full, other) => other.clone(),
            (this, Self::Full) => this.clone(),
            (Self::Limited(scopes), other) => {
                Self::Limited(scopes.iter().filter(|scope| other.contains(scope.as_str())).cloned().collect())
            }
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{name}")?;
        }
        Ok(())
    }
}

/// As the claim `scope` (RFC 8693 section 4.2).
impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from_stored(&text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_scope_of_the_vocabulary_has_one_row_and_the_form_of_a_scope() {
        let names: BTreeSet<&str> = Scope::known().collect();
        assert_eq!(names.len(), VOCABULARY.len());
        assert!(names.iter().all(|name| is_scope_token(name) && *name != FULL), "{names:?}");
    }

    #[test]
    fn a_permission_is_given_by_a_scope_or_is_listed_as_given_by_none() {
        let given = VOCABULARY.iter().fold(PermissionSet::NONE, |all, (_, given)| all.union(*given));
        for permission in P::ALL {
            let only_full = PermissionSet::FULL_SCOPE_ONLY.contains(*permission);
            assert_ne!(given.contains(*permission), only_full, "{permission:?}");
        }
        // The widest scope gives all that any other does.
        assert_eq!(ADMIN, given);
    }

    #[test]
    fn the_scope_to_ask_for_is_the_narrowest_that_gives_the_permission() {
        for (permission, scope) in [
            (P::ReadDataSources, Some("data:read")),
            (P::ReadPrompts, Some("data:read")),
            (P::ManageDataSources, Some("data:write")),
            (P::QueryData, Some("data:query")),
            (P::ManagePolicies, Some("policies:write")),
            (P::ReadMembers, Some("accounts:read")),
            (P::ChangeOwnProfile, Some("write")),
            (P::ReadOwnClaims, Some("openid")),
            (P::ManageMembers, None),
        ] {
            assert_eq!(Scope::giving(permission), scope, "{permission:?}");
        }
        for permission in P::ALL {
            let given = Scope::giving(*permission).and_then(|name| Scopes::requested([name]).ok());
            let is_given = given.is_some_and(|scopes| scopes.permissions().contains(*permission));
            assert_ne!(is_given, PermissionSet::FULL_SCOPE_ONLY.contains(*permission), "{permission:?}");
        }
    }

    #[test]
    fn a_limited_token_makes_no_access_for_others_and_changes_no_credential() {
        let all = Scopes::requested(Scope::known()).unwrap().permissions();
        for permission in [
            P::ChangeOwnPassword,
            P::SetOwnPassword,
            P::ChangeOwnEmail,
            P::ManageOwnFactors,
            P::StepUp,
            P::EndOwnSessions,
            P::DeleteOwnAccount,
            P::ManageMembers,
            P::ManagePrograms,
            P::ManageProgramKeys,
            P::ManageApplications,
            P::AuthorizeApplications,
            P::ManageOwnTokens,
            P::RevokeOrganizationTokens,
        ] {
            assert!(!all.contains(permission), "{permission:?}");
        }
    }

    #[test]
    fn scopes_are_read_and_written() {
        let scopes = Scopes::parse("read accounts:read read").unwrap();
        assert_eq!(scopes.to_string(), "read accounts:read");
        assert_eq!(Scopes::from_stored("read accounts:read"), scopes);
        assert_eq!(serde_json::to_string(&scopes).unwrap(), "\"read accounts:read\"");
        assert_eq!(serde_json::from_str::<Scopes>("\"read accounts:read\"").unwrap(), scopes);
        assert_eq!((Scopes::Full.to_string().as_str(), Scopes::from_stored("full")), ("full", Scopes::Full));
    }

    #[test]
    fn what_is_unknown_cannot_be_asked_for_and_gives_nothing_where_it_is_stored() {
        for unknown in ["read fly", "full", "*"] {
            assert!(matches!(Scopes::parse(unknown), Err(ScopeError::Unknown { .. })), "{unknown}");
        }
        assert_eq!(Scopes::parse(""), Err(ScopeError::Empty));
        assert_eq!(Scopes::requested([]), Err(ScopeError::Empty));
        for malformed in
            [" ", " read", "read ", "read  write", "re\"ad", "re\\ad", "r\u{e9}ad", "read\twrite"]
        {
            assert_eq!(Scopes::parse(malformed), Err(ScopeError::Malformed), "{malformed:?}");
        }
        let stored = Scopes::from_stored("fly read  \u{e9}");
        assert_eq!(stored.to_string(), "fly read");
        assert_eq!(stored.permissions(), Scopes::parse("read").unwrap().permissions());
        for text in ["", "fly", "full fly", "full full", " full", "FULL", "*", "profile email phone"] {
            assert_eq!(Scopes::from_stored(text).permissions(), PermissionSet::NONE, "{text:?}");
        }
        assert_eq!(Scopes::from_stored("full read"), Scopes::parse("read").unwrap());
    }

    #[test]
    fn who_misspells_a_scope_is_told_the_nearest() {
        for (typed, meant) in [
            ("account:read", "accounts:read"),
            ("Read", "read"),
            ("data.query", "data:query"),
            ("query", "data:query"),
            ("Querry", "data:query"),
            ("writ", "write"),
            ("policy:write", "policies:write"),
            ("databases", "databases:read"),
            ("organisation:read", "organization:read"),
            ("mail", "email"),
            ("open_id", "openid"),
            ("offline", "offline_access"),
        ] {
            let told = Scopes::requested(["read", typed]).unwrap_err().to_string();
            assert_eq!(told, format!("unknown scope {typed}; the nearest one is {meant}"));
        }
    }

    #[test]
    fn scopes_with_something_else_between_them_are_told_from_one_that_is_unknown() {
        for joined in
            ["openid,email", "openid, email", "read;fly", "read|write", "admin,security:read,accounts:read"]
        {
            assert_eq!(Scopes::parse(joined), Err(ScopeError::Joined), "{joined}");
        }
        for name in ["openid email", "openid,email", "read+write"] {
            assert_eq!(Scopes::requested([name]), Err(ScopeError::Joined), "{name}");
            assert_eq!(Scopes::requested_for_token([name]), Err(ScopeError::Joined), "{name}");
        }
        for unknown in ["fly,swim", ",", "read-write"] {
            assert!(matches!(Scopes::parse(unknown), Err(ScopeError::Unknown { .. })), "{unknown}");
        }
        assert_eq!(Scopes::requested(["read "]), Err(ScopeError::Malformed));
    }

    #[test]
    fn a_name_that_is_longer_than_any_scope_is_compared_with_none() {
        assert_eq!(LONGEST, VOCABULARY.iter().map(|(name, _)| name.len()).max().unwrap());
        let longest = "x".repeat(LONGEST);
        assert!(matches!(Scopes::requested([longest.as_str()]), Err(ScopeError::Unknown { .. })));
        for length in [LONGEST + 1, 60_000] {
            let long = "x".repeat(length);
            assert_eq!(Scopes::requested([long.as_str()]), Err(ScopeError::TooLong), "{length}");
            // What another version stored stays.
            assert_eq!(Scopes::from_stored(&long).to_string(), long);
        }
    }

    #[test]
    fn no_scope_that_a_token_cannot_have_is_the_nearest() {
        for typed in ["opened", "e-mail", "profil", "offline"] {
            let Err(ScopeError::Unknown { nearest, .. }) = Scopes::requested_for_token([typed]) else {
                panic!("{typed}")
            };
            assert!(!OPENID.contains(&nearest), "{typed}: {nearest}");
        }
    }

    #[test]
    fn scopes_of_openid_connect_are_known_and_none_of_a_tokens() {
        let openid = Scopes::requested(OPENID).unwrap();
        assert_eq!(openid.permissions(), OWN_CLAIMS);
        assert_eq!(Scope::known().count(), Scope::of_tokens().count() + OPENID.len());
        assert!(Scope::of_tokens().all(|name| !OPENID.contains(&name)));
        assert_eq!(Scopes::requested_for_token(["read", "openid"]), Err(ScopeError::OfOpenId));
        assert_eq!(Scopes::requested_for_token(Scope::of_tokens()), Scopes::requested(Scope::of_tokens()));
    }

    #[test]
    fn sets_are_compared_by_scope() {
        let read = Scopes::parse("read").unwrap();
        let both = Scopes::parse("write read").unwrap();
        assert!(both.contains_all(&read) && !read.contains_all(&both) && read.contains_all(&Scopes::NONE));
        assert!(Scopes::Full.contains_all(&both) && !both.contains_all(&Scopes::Full));
        assert_eq!(both.intersection(&read), read);
        assert_eq!(both.without(&read), Scopes::parse("write").unwrap());
        assert_eq!(read.union(&both), Scopes::parse("read write").unwrap());
        assert_eq!((read.union(&Scopes::Full), Scopes::NONE.union(&read)), (Scopes::Full, read.clone()));
        assert_eq!(Scopes::Full.intersection(&both), both);
        assert_eq!(both.intersection(&Scopes::Full), both);
        assert_eq!(read.intersection(&Scopes::parse("write").unwrap()), Scopes::NONE);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_limits(text in "\\PC{0,60}") {
            let stored = Scopes::from_stored(&text);
            prop_assert_eq!(stored.is_full(), text == FULL);
            prop_assert_eq!(Scopes::from_stored(&stored.to_string()), stored.clone());
            if let Ok(requested) = Scopes::parse(&text) {
                prop_assert_eq!(requested, stored);
            }
        }

        #[test]
        fn more_scopes_never_give_less(some in prop::sample::subsequence(&VOCABULARY[..], 0..20), more in prop::sample::subsequence(&VOCABULARY[..], 0..20)) {
            let text = |rows: &[(&str, PermissionSet)]| rows.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
            let (few, many) = (text(&some), format!("{} {}", text(&some), text(&more)));
            prop_assert!(Scopes::from_stored(&many).permissions().contains_all(Scopes::from_stored(&few).permissions()));
        }
    }
}
