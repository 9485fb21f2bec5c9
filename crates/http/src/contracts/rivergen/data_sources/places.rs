//! Where fields belong that are sent at the top of a data source and are none of it.

use tidegate_catalog::sources::source::is_option;

use super::requests::CredentialsBody;
use crate::wire::unknown::fields_of;

/// There is one password, which is the tunnel's, too.
const SSH_PASSWORD: &str = "ssh_password";

/// What credentials are called elsewhere.
const ALSO: [(&str, &str); 11] = [
    ("user", "username"),
    ("user_name", "username"),
    ("login", "username"),
    ("pass", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("token", "oauth_token"),
    ("access_token", "oauth_token"),
    (SSH_PASSWORD, "password"),
    ("private_key", "ssh_private_key"),
    ("passphrase", "ssh_passphrase"),
];

/// The credential that is meant by that name.
fn credential(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let also = ALSO.iter().find(|(also, _)| *also == name);
    match also {
        Some((_, credential)) => Some((*credential).to_owned()),
        None => fields_of::<CredentialsBody>().into_iter().find(|known| *known == name),
    }
}

/// How a field is sent that is the credential `meant`.
fn sent_as(name: &str, meant: &str) -> String {
    match name.eq_ignore_ascii_case(SSH_PASSWORD) {
        true => format!("send it as {meant}, with which a tunnel signs in where there is no ssh_private_key"),
        false => format!("send it as {meant}"),
    }
}

/// Where a field belongs that is sent with credentials, when a data source is made or they are changed.
pub(super) fn of_credentials(name: &str) -> Option<String> {
    if name == "credentials" {
        return Some("send its fields at the top: {\"username\": ..., \"password\": ...}".to_owned());
    }
    let credential = credential(name).map(|credential| sent_as(name, &credential));
    credential.or_else(|| option(name).map(|place| format!("it is no secret: {place} of the data source")))
}

fn option(name: &str) -> Option<String> {
    is_option(name).then(|| format!("send it as metadata.{name}"))
}

/// Where a field belongs of a data source that is made.
pub(super) fn of_new(name: &str) -> Option<String> {
    let credential = credential(name).map(|credential| sent_as(name, &format!("credentials.{credential}")));
    credential.or_else(|| option(name))
}

/// Where a field belongs of a change.
pub(super) fn of_change(name: &str) -> Option<String> {
    if name == "credentials" || credential(name).is_some() {
        let path = "/api/v1/data-sources/{data_source_id}/credentials";
        return Some(format!("credentials are changed by PATCH {path}"));
    }
    option(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_options_have_their_places() {
        for (name, place) in [
            ("username", "send it as credentials.username"),
            ("User", "send it as credentials.username"),
            ("pwd", "send it as credentials.password"),
            ("warehouse", "send it as credentials.warehouse"),
            ("ssl_mode", "send it as metadata.ssl_mode"),
        ] {
            assert_eq!(of_new(name).as_deref(), Some(place));
        }
        for name in ["credentials", "password", "user"] {
            assert!(of_change(name).unwrap().starts_with("credentials are changed by PATCH "), "{name}");
        }
        assert_eq!(of_change("ssl_mode").as_deref(), Some("send it as metadata.ssl_mode"));
        assert_eq!((of_new("hostt"), of_change("frobnicate")), (None, None));
        assert!(of_credentials("credentials").unwrap().starts_with("send its fields at the top: "));
        assert_eq!(of_credentials("pwd").as_deref(), Some("send it as password"));
        assert_eq!(of_credentials("rotate"), None);
        let option = "it is no secret: send it as metadata.ssl_ca of the data source";
        assert_eq!(of_credentials("ssl_ca").as_deref(), Some(option));
        assert!(
            of_credentials("ssh_password").unwrap().starts_with("send it as password, with which a tunnel")
        );
    }

    #[test]
    fn other_names_are_those_of_credentials() {
        let known = fields_of::<CredentialsBody>();
        for (also, credential) in ALSO {
            assert!(known.contains(&credential.to_owned()) && !known.contains(&also.to_owned()), "{also}");
        }
    }
}
