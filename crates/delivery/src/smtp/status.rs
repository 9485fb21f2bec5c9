//! What a refusal is about. The first digit says only whether the server would say the same again at once; the enhanced status
//! code (RFC 3463, and the IANA registry of RFC 5248) says whom it concerns.

use super::Stage;

/// Whom a refusal (5xx) concerns, hence what may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    /// The recipient: no mailbox, or none any more. No later attempt helps.
    Recipient,
    /// The message: too large, or not wanted. No later attempt helps.
    Message,
    /// The sender: not allowed to relay, SPF, DKIM, a used-up quota. Its operator can correct that while the mail waits.
    Sender,
    /// The state of a system or a mailbox, which passes.
    Passing,
}

/// An enhanced status code without its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Enhanced {
    subject: u16,
    detail: u16,
}

/// Words of servers that send no enhanced status code, about the sender.
const ABOUT_SENDER: [&str; 10] = [
    "relay",
    "spf",
    "dkim",
    "dmarc",
    "sender",
    "authenticat",
    "blocklist",
    "blacklist",
    "block list",
    "rate limit",
];

/// Words of servers that want a sign-in, whatever code they put before them.
const ABOUT_SIGN_IN: [&str; 6] =
    ["relay", "authentication", "authenticate first", "not authenticated", "not logged in", "log in"];

/// Whether a reply asks for a sign-in, by its words.
pub(super) fn asks_to_sign_in(text: &str) -> bool {
    let text = text.to_lowercase();
    // What is said of mail that was checked, or of credentials that were sent, is another matter.
    let is_of_mail = ["unauthenticated", "spf", "dkim", "dmarc"].iter().any(|word| text.contains(word));
    !is_of_mail && ABOUT_SIGN_IN.iter().any(|word| text.contains(word))
}

/// Whether a refusal (5xx) of a sender may be that nobody is signed in, or an account that may not send for it.
pub(super) fn may_be_about_sign_in(text: &str) -> bool {
    match enhanced(text) {
        // 54, 57, 60 and 64 are Microsoft's: no relaying, not signed in, not for this sender, of no tenant.
        Some(Enhanced { subject: 7, detail }) => {
            matches!(detail, 54 | 57 | 60 | 64) || (detail <= 1 && !is_of_a_list(text))
        }
        Some(Enhanced { subject: 0 | 5, .. }) | None => asks_to_sign_in(text),
        Some(_) => false,
    }
}

/// Whether a server says that the sender or its network is on a list.
fn is_of_a_list(text: &str) -> bool {
    let text = text.to_lowercase();
    ["list", "block", "spam", "reputation"].iter().any(|word| text.contains(word))
}

/// Reads a refusal with the reply code `code`, whose text is `text`.
pub(super) fn concerns(stage: Stage, code: u16, text: &str) -> Concerns {
    let by_stage = match stage {
        Stage::Recipient => Concerns::Recipient,
        Stage::Content => Concerns::Message,
        Stage::Greeting | Stage::Encryption | Stage::SignIn | Stage::Sender => Concerns::Sender,
    };
    if by_stage == Concerns::Sender {
        return by_stage;
    }
    match enhanced(text) {
        Some(Enhanced { subject: 1, detail }) => match detail {
            // 90 is Microsoft's for a daily limit.
            7 | 8 | 90 => Concerns::Sender,
            _ => Concerns::Recipient,
        },
        Some(Enhanced { subject: 2, detail }) => match detail {
            2 => Concerns::Passing,
            3 => Concerns::Message,
            _ => Concerns::Recipient,
        },
        Some(Enhanced { subject: 3, detail }) => match detail {
            3 | 4 => Concerns::Message,
            _ => Concerns::Passing,
        },
        Some(Enhanced { subject: 4, detail }) => match detail {
            // No such host, no such mailbox (Microsoft), a loop.
            1 | 4 | 6 => Concerns::Recipient,
            // "Congestion", which Google says of a daily quota.
            5 => Concerns::Sender,
            _ => Concerns::Passing,
        },
        Some(Enhanced { subject: 6, .. }) => Concerns::Message,
        Some(Enhanced { subject: 7, detail }) => match detail {
            2 | 13 | 17 | 18 => Concerns::Recipient,
            // "Not authorized": after the content, it is the verdict on the content.
            0 | 1 if by_stage == Concerns::Message => Concerns::Message,
            _ => Concerns::Sender,
        },
        // RFC 5321 section 4.5.3.1.10: a full mailbox or too many recipients.
        None if code == 552 && by_stage == Concerns::Recipient => Concerns::Passing,
        None => {
            let text = text.to_lowercase();
            let is_about_sender =
                ABOUT_SENDER.iter().any(|word| text.contains(word)) || asks_to_sign_in(&text);
            if is_about_sender && by_stage == Concerns::Recipient { Concerns::Sender } else { by_stage }
        }
        Some(_) if by_stage == Concerns::Recipient && asks_to_sign_in(text) => Concerns::Sender,
        Some(_) => by_stage,
    }
}

/// The enhanced status code a reply begins with: `5.7.1 Relay access denied`, or `[5.7.1]` and the like further on.
fn enhanced(text: &str) -> Option<Enhanced> {
    text.split_ascii_whitespace().take(8).find_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_digit());
        let mut parts = word.split('.');
        let class = parts.next()?;
        let mut number = || parts.next().filter(|part| (1..=3).contains(&part.len()))?.parse().ok();
        let (subject, detail) = (number()?, number()?);
        (class == "5" && subject <= 7 && parts.next().is_none()).then_some(Enhanced { subject, detail })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_sorted_by_whom_it_concerns() {
        use Concerns::{Message, Passing, Recipient, Sender};
        use Stage::Content;
        let rcpt = Stage::Recipient;
        for (stage, code, text, concerned) in [
            (rcpt, 550, "5.1.1 No such user here", Recipient),
            (rcpt, 550, "5.1.10 Recipient not found", Recipient),
            (rcpt, 550, "5.1.8 Sender address rejected: Domain not found", Sender),
            (rcpt, 550, "5.1.90 Your message can't be sent: daily limit reached", Sender),
            (rcpt, 550, "5.2.1 The account is disabled", Recipient),
            (rcpt, 552, "5.2.2 Mailbox full", Passing),
            (rcpt, 550, "5.3.2 System not accepting network messages", Passing),
            (Content, 552, "5.3.4 Message too big", Message),
            (rcpt, 550, "5.4.1 Recipient address rejected: Access denied", Recipient),
            (rcpt, 550, "5.4.4 Invalid domain", Recipient),
            (Content, 550, "5.4.5 Daily user sending limit exceeded", Sender),
            (rcpt, 554, "5.7.1 <ada@example.com>: Relay access denied", Sender),
            (rcpt, 550, "5.7.1 Unable to relay", Sender),
            (Content, 554, "5.7.1 Blocked as spam", Message),
            (rcpt, 550, "5.7.23 SPF validation failed", Sender),
            (Content, 550, "5.7.26 This mail is unauthenticated", Sender),
            (Content, 550, "5.7.25 The IP address has no PTR record", Sender),
            (rcpt, 525, "5.7.13 User account disabled", Recipient),
            (rcpt, 550, "5.7.17 Mailbox owner has changed", Recipient),
            (Content, 550, "5.6.7 Non-ASCII addresses not permitted", Message),
            (rcpt, 550, "5.5.0 Requested action not taken: mailbox unavailable", Recipient),
            (rcpt, 550, "5.0.0 Refused", Recipient),
            (rcpt, 550, "[5.7.64] TenantAttribution; Relay Access Denied", Sender),
            (rcpt, 550, "relay not permitted", Sender),
            (rcpt, 550, "No such user", Recipient),
            (rcpt, 552, "Mailbox full", Passing),
            (Content, 554, "Rejected", Message),
            (rcpt, 550, "host 10.5.7.1 says no", Recipient),
            (Stage::Sender, 553, "5.7.1 Sender address not owned by you", Sender),
            (rcpt, 503, "5.5.1 Error: authentication required", Sender),
            (rcpt, 503, "Please log in first", Sender),
        ] {
            assert_eq!(concerns(stage, code, text), concerned, "{code} {text}");
        }
    }

    #[test]
    fn a_refusal_that_a_sign_in_may_help_is_told_from_others() {
        for (text, may_help) in [
            ("5.7.1 <ada@example.com>: Relay access denied", true),
            ("5.7.0 Authentication required", true),
            ("5.7.1 Sender address rejected: not owned by user ada", true),
            ("[5.7.64] TenantAttribution; Relay Access Denied", true),
            ("5.7.60 Client does not have permissions to send as this sender", true),
            ("5.5.1 Error: authentication required", true),
            ("relay not permitted", true),
            ("Please log in first", true),
            ("5.7.1 Service unavailable; client host is on a block list", false),
            ("5.7.23 SPF validation failed", false),
            ("5.7.26 This mail is unauthenticated", false),
            ("5.4.5 Daily user sending quota exceeded", false),
            ("5.1.8 Sender address rejected: Domain not found", false),
            ("sender domain fails DMARC authentication", false),
        ] {
            assert_eq!(may_be_about_sign_in(text), may_help, "{text}");
        }
        assert!(asks_to_sign_in("4.7.1 <ada@example.com>: Relay access denied"));
        assert!(!asks_to_sign_in("4.7.1 Greylisting in action, please come back later"));
    }
}
