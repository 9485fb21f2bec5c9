//! The design system: what every hosted page is made of. `/dev/design` shows all of it.
//!
//! A part is a type with a template of its own in `templates/parts`. It escapes what it is given, so that pages put parts in as
//! they are.

use std::borrow::Cow;

use askama::Template;
use tidegate_domain::password::Requirement;
use tidegate_domain::{Catalogue, PasswordRule};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Info,
    Success,
    Warning,
    Error,
}

/// How prominent a button or link is. A page has one primary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Primary,
    Secondary,
    Danger,
}

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Text,
    Email,
    Password,
    Code,
}

/// A sentence that is not to be missed.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/alert.html")]
pub(crate) struct Alert {
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

/// The button that sends a form.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/button.html")]
pub(crate) struct Button {
    pub(crate) rank: Rank,
    pub(crate) label: String,
}

/// A link that looks like a button.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/link.html")]
pub(crate) struct LinkButton {
    pub(crate) rank: Rank,
    pub(crate) label: String,
    pub(crate) href: String,
}

/// A question that is answered by a tick.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/check.html")]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) is_checked: bool,
}

/// A field with its label, hint and errors.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) kind: FieldKind,
    /// What password managers and phones may fill in (HTML, section "Autofill").
    pub(crate) autocomplete: &'static str,
    pub(crate) value: String,
    pub(crate) hint: Option<String>,
    pub(crate) problem: Option<String>,
    /// The sentence before the rules.
    pub(crate) rules_title: String,
    /// The requirements of a new password, shown before it is typed.
    pub(crate) rules: Vec<RuleLine>,
    /// The button that shows what is typed; the served script adds it.
    pub(crate) reveal: Option<Reveal>,
    pub(crate) is_required: bool,
    pub(crate) is_focused: bool,
}

/// One rule of a password.
#[derive(Clone, Debug)]
pub(crate) struct RuleLine {
    /// What the served script knows it by.
    pub(crate) name: String,
    pub(crate) number: String,
    pub(crate) text: String,
    /// Whether what was sent breaks it.
    pub(crate) is_broken: bool,
}

/// What the button on a password field says.
#[derive(Clone, Debug)]
pub(crate) struct Reveal {
    pub(crate) text: String,
    pub(crate) label: String,
}

/// Fields and the button that sends them.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/form.html")]
pub(crate) struct Form {
    pub(crate) action: Cow<'static, str>,
    pub(crate) hidden: Vec<(&'static str, String)>,
    /// Whose password is asked for: password managers store the new one under this name.
    pub(crate) username: Option<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) checks: Vec<Check>,
    pub(crate) button: Button,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Whether screen readers say it at once.
    const fn is_urgent(self) -> bool {
        matches!(self, Self::Error)
    }
}

impl Rank {
    const fn class(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Danger => "danger",
        }
    }
}

impl FieldKind {
    const fn input_type(self) -> &'static str {
        match self {
            Self::Text | Self::Code => "text",
            Self::Email => "email",
            Self::Password => "password",
        }
    }

    /// The keyboard that phones show.
    const fn input_mode(self) -> Option<&'static str> {
        match self {
            Self::Code => Some("numeric"),
            Self::Email => Some("email"),
            Self::Text | Self::Password => None,
        }
    }
}

impl Field {
    /// A required field without anything else.
    pub(crate) fn new(name: &'static str, label: &str, kind: FieldKind, autocomplete: &'static str) -> Self {
        Self {
            name,
            label: label.to_owned(),
            kind,
            autocomplete,
            value: String::new(),
            hint: None,
            problem: None,
            rules_title: String::new(),
            rules: Vec::new(),
            reveal: None,
            is_required: true,
            is_focused: false,
        }
    }

    /// The field for a new password, with the rules it is under and those of them that `broken` names.
    pub(crate) fn new_password(words: &Catalogue, rule: &PasswordRule, broken: &[Requirement]) -> Self {
        let rules: Vec<RuleLine> = rule
            .requirements()
            .into_iter()
            .map(|requirement| (broken.contains(&requirement), requirement))
            .filter(|(is_broken, requirement)| *is_broken || is_worth_saying(*requirement))
            .map(|(is_broken, requirement)| RuleLine { is_broken, ..RuleLine::of(words, requirement) })
            .collect();
        let missing: Vec<String> =
            rules.iter().filter(|rule| rule.is_broken).map(|rule| rule.text.clone()).collect();
        let problem = (!missing.is_empty())
            .then(|| words.fill("page.reset.problem", &[("missing", &listed(words, &missing))]));
        let reveal = Reveal {
            text: words.text("page.password.show").to_owned(),
            label: words.text("page.password.show_label").to_owned(),
        };
        Self {
            rules_title: words.text("page.reset.rules").to_owned(),
            rules,
            problem,
            reveal: Some(reveal),
            is_focused: true,
            ..Self::new("new_password", words.text("page.reset.label"), FieldKind::Password, "new-password")
        }
    }

    /// The ids of what explains the field.
    fn described_by(&self) -> Option<String> {
        let parts = [
            ("problem", self.problem.is_some()),
            ("hint", self.hint.is_some()),
            ("rules", !self.rules.is_empty()),
        ];
        let ids: Vec<String> = parts
            .iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(part, _)| format!("{}-{part}", self.name))
            .collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

/// Whether a rule is shown before it is broken. A maximum that no typed password reaches is not.
const fn is_worth_saying(requirement: Requirement) -> bool {
    match requirement {
        Requirement::MaxLength(most) => most < 100,
        _ => true,
    }
}

impl RuleLine {
    fn of(words: &Catalogue, requirement: Requirement) -> Self {
        let (key, number) = requirement.message();
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        Self {
            name: key.trim_start_matches("rule.").to_owned(),
            text: words.fill(key, &[("count", &number)]),
            number,
            is_broken: false,
        }
    }
}

/// Several things as people say them: "a, b and c".
pub(crate) fn listed(words: &Catalogue, things: &[String]) -> String {
    match things.split_last() {
        Some((last, others)) if !others.is_empty() => {
            words.fill("page.list", &[("list", &others.join(", ")), ("last", last)])
        }
        _ => things.concat(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::{Languages, Password};

    use super::*;

    fn rule() -> PasswordRule {
        PasswordRule { min_length: 8, max_length: 128, upper: true, lower: false, digit: true, symbol: false }
    }

    #[test]
    fn a_new_password_shows_its_rules_before_they_are_broken_and_marks_them_after() {
        let languages = Languages::default();
        let words = languages.of(None);
        let before = Field::new_password(words, &rule(), &[]).render().unwrap();
        assert!(
            before.contains("<li data-rule=\"min_length\" data-number=\"8\">at least 8 characters</li>"),
            "{before}"
        );
        assert!(before.contains("aria-describedby=\"new_password-rules\""), "{before}");
        assert!(!before.contains("role=\"alert\"") && !before.contains("aria-invalid"), "{before}");

        let weak = rule().check(&Password::new("abcdefgh")).unwrap_err();
        let after = Field::new_password(words, &rule(), &weak.missing).render().unwrap();
        assert!(
            after.contains("The password must have an upper-case letter (A-Z) and a digit (0-9)."),
            "{after}"
        );
        assert!(after.contains("aria-describedby=\"new_password-problem new_password-rules\""), "{after}");
        assert_eq!(after.matches("class=\"broken\"").count(), 2, "{after}");
    }

    #[test]
    fn whatever_a_part_is_given_is_text() {
        let hostile = "\"><script>alert(1)</script>";
        let form = Form {
            action: "/x".into(),
            hidden: vec![("token", hostile.to_owned())],
            username: Some(hostile.to_owned()),
            fields: vec![Field {
                value: hostile.to_owned(),
                hint: Some(hostile.to_owned()),
                problem: Some(hostile.to_owned()),
                ..Field::new("name", hostile, FieldKind::Text, "name")
            }],
            checks: vec![Check { name: "yes", label: hostile.to_owned(), is_checked: true }],
            button: Button { rank: Rank::Primary, label: hostile.to_owned() },
        };
        let html = form.render().unwrap();
        assert!(!html.contains("<script"), "{html}");
        let link = LinkButton { rank: Rank::Primary, label: hostile.to_owned(), href: hostile.to_owned() };
        let alert = Alert { tone: Tone::Error, text: hostile.to_owned() };
        assert!(!(link.render().unwrap() + &alert.render().unwrap()).contains("<script"));
    }
}
