//! What a mail server says, made fit for a log.
//!
//! Servers quote what they were sent: a spam filter the link it blocked, a confused one the sign-in line. So a reply
//! may carry a one-time code, a reset token or the mail password, none of which may reach a log or the outbox table.

use tidegate_domain::Secret;

use crate::OutgoingMail;

/// Characters of a reply that are kept.
const MAX_REPLY: usize = 300;
/// Shortest run of characters that may be a code or token. One-time codes have six digits.
const MIN_TOKEN: usize = 6;
/// From here on a run without a digit is too long for an ordinary word.
const LONG_TOKEN: usize = 16;

const HIDDEN: &str = "[hidden]";

/// `reply` on one line, without `secrets` and without what looks like a code or token from `mail`.
pub(crate) fn redacted(reply: &str, secrets: &[Secret], mail: Option<&OutgoingMail>) -> String {
    let mut text = reply.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets {
        text = text.replace(secret.expose(), HIDDEN);
    }
    if let Some(mail) = mail {
        text = without_tokens(&text, mail);
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REPLY).collect()
}

fn without_tokens(text: &str, mail: &OutgoingMail) -> String {
    let mut kept = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !is_token_char(c)) {
        let run = piece.trim_end_matches(|c| !is_token_char(c));
        if is_token(run) && is_quoted_from(run, mail) {
            kept.push_str(HIDDEN);
            kept.push_str(piece.strip_prefix(run).unwrap_or_default());
        } else {
            kept.push_str(piece);
        }
    }
    kept
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_token(run: &str) -> bool {
    run.len() >= MIN_TOKEN && (run.len() >= LONG_TOKEN || run.bytes().any(|b| b.is_ascii_digit()))
}

fn is_quoted_from(run: &str, mail: &OutgoingMail) -> bool {
    let rendered = &mail.rendered;
    [&rendered.subject, &rendered.text, &rendered.html].iter().any(|part| part.contains(run))
}

#[cfg(test)]
mod tests {
    use tidegate_domain::Timestamp;

    use super::*;
    use crate::Rendered;

    fn mail() -> OutgoingMail {
        OutgoingMail {
            to: "ada@example.com".to_owned(),
            idempotency_key: "1".to_owned(),
            rendered: Rendered {
                subject: "Reset your password".to_owned(),
                text: "Code 493027, link https://id.example.com/reset?token=b0-Xy_Zt8aa".to_owned(),
                html: String::new(),
            },
            date: Timestamp::default(),
        }
    }

    #[test]
    fn a_spam_filter_that_quotes_the_link_does_not_leak_the_token() {
        let reply =
            "5.7.1 Blocked: (https://id.example.com/reset?token=b0-Xy_Zt8aa), see RFC5321; code \"493027\"";
        assert_eq!(
            redacted(reply, &[], Some(&mail())),
            "5.7.1 Blocked: (https://id.example.com/reset?token=[hidden]), see RFC5321; code \"[hidden]\""
        );
    }

    #[test]
    fn passwords_are_hidden_wherever_they_are_quoted() {
        let secrets = [Secret::new("hunter2")];
        assert_eq!(redacted("bad 'hunter2'", &secrets, None), "bad '[hidden]'");
    }

    #[test]
    fn a_reply_is_one_bounded_line() {
        let reply = format!("first\r\nsecond\u{1b}[31m {}", "x".repeat(1_000));
        let line = redacted(&reply, &[], None);
        assert!(line.starts_with("first second [31m xxx"), "{line}");
        assert_eq!(line.chars().count(), MAX_REPLY);
    }
}
