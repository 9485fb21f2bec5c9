//! Passwords that commands read or generate.

use std::io::Read;

use tidegate_domain::id::AccountId;
use tidegate_domain::{Entropy, Password, PasswordRule};
use tidegate_kernel::settings::DeliveryMode;

use crate::failure::Failure;

/// Characters of a password that is made here: 25 of 59, of every kind, are 146 bits.
const PASSWORD_LENGTH: usize = 25;
/// Longest password read from standard input, in bytes: more than any contract takes.
const LONGEST_INPUT: u64 = 16 * 1024;

/// The first line, without its end.
pub(super) fn read_password(input: impl Read) -> Result<Password, Failure> {
    let mut text = String::new();
    input.take(LONGEST_INPUT).read_to_string(&mut text).map_err(|error| {
        Failure::new("input", format!("the password cannot be read from standard input: {error}"))
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Password::new(line)),
        _ => Err(Failure::new(
            "input",
            "standard input contains no password; write it there as one line, or omit the flag",
        )),
    }
}

/// A password of every kind of character, none of them easily taken for another, or of meaning to a shell, in a form or in an address. It
/// begins with a letter or a digit: what begins with a hyphen is an option to programs.
pub(super) fn make_password(rule: &PasswordRule, entropy: &dyn Entropy) -> Password {
    const KINDS: [&[u8]; 4] = [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"abcdefghijkmnopqrstuvwxyz", b"23456789", b"-_"];
    let all: Vec<u8> = KINDS.concat();
    let length = PASSWORD_LENGTH.max(rule.min_length);
    loop {
        let text: String = (0..length).filter_map(|_| pick(&all, entropy)).collect();
        let has_all = KINDS.iter().all(|kind| text.bytes().any(|c| kind.contains(&c)));
        // Drawing anew, unlike putting the missing kind somewhere, leaves all passwords equally likely.
        if has_all && text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Password::new(text);
        }
    }
}

/// What became of the account that had the address before without having confirmed it; empty where there was none.
pub(super) fn what_was_evicted(evicted: Option<AccountId>) -> String {
    evicted.map_or_else(String::new, |account| {
        let id = account.0;
        format!(
            "\nThe account {id} had this address without having confirmed it. It has lost the address, and was deleted if it had no other: \
             see `tidegate user show {id}`."
        )
    })
}

/// What becomes of a password that an account was made with: nothing tells its owner of it.
pub(super) fn how_to_hand_over(mail: DeliveryMode) -> &'static str {
    match mail {
        DeliveryMode::Off => {
            "No mail was sent: give the password to its owner yourself. To let them choose one by a mailed link, set [mail.smtp] \
             first."
        }
        DeliveryMode::Send => {
            "No mail was sent: give the password to its owner yourself. Or let them choose one: \"forgot password\" of your \
             application (RiverGen: POST /api/v1/auth/forgot-password) mails them a link."
        }
        DeliveryMode::Keep => {
            "No mail was sent: give the password to its owner yourself. Or let them choose one: \"forgot password\" of your \
             application (RiverGen: POST /api/v1/auth/forgot-password) writes them a mail with a link. In development mode it is kept: \
             `tidegate outbox list` has its number, and `tidegate outbox show NUMBER` the link."
        }
    }
}

fn pick(from: &[u8], entropy: &dyn Entropy) -> Option<char> {
    let index = entropy.below(u32::try_from(from.len()).ok()?);
    from.get(usize::try_from(index).ok()?).map(|c| char::from(*c))
}

#[cfg(test)]
mod tests {
    use tidegate_crypto::SystemEntropy;

    use super::*;

    #[test]
    fn a_made_password_satisfies_any_rule_of_kinds() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 128,
            upper: true,
            lower: true,
            digit: true,
            symbol: true,
        };
        for _ in 0..100 {
            let password = make_password(&rule, &SystemEntropy);
            assert_eq!(rule.check(&password), Ok(()));
            assert_eq!(password.expose().len(), PASSWORD_LENGTH);
            // `curl -d password=...` sends it as it is, and no program takes it for an option.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(password.expose().chars().all(is_plain), "{}", password.expose());
            assert!(!password.expose().starts_with(['-', '_']), "{}", password.expose());
        }
    }

    #[test]
    fn a_typed_password_is_the_first_line_spaces_included() {
        let read = |text: &str| read_password(text.as_bytes()).map(|password| password.expose().to_owned());
        assert_eq!(read(" two words \r\n").unwrap(), " two words ");
        assert_eq!(read("no end").unwrap(), "no end");
        assert!(read("").is_err() && read("\n").is_err());
    }
}
