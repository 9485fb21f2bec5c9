use proptest::prelude::*;
use tidegate_domain::LanguageTag;

use super::*;

fn built_in() -> Templates {
    Templates::load(None).unwrap()
}

/// A directory with one file in it, as an operator would make it.
fn overriding(name: &str, source: &str) -> (tempfile::TempDir, Result<Templates, TemplateError>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), source).unwrap();
    let templates = Templates::load(Some(directory.path()));
    (directory, templates)
}

fn mistake(name: &str, source: &str) -> String {
    let (directory, templates) = overriding(name, source);
    let message = templates.unwrap_err().to_string();
    message.replace(&directory.path().display().to_string(), "mails")
}

/// A start takes them for granted.
#[test]
fn the_built_in_mails_pass_what_those_of_an_operator_are_checked_for() {
    let mut languages = Languages::default();
    let english = include_str!("../../../domain/messages/en.json");
    languages.add(LanguageTag::parse("en-gb").unwrap(), english).unwrap();
    assert!(languages.is_changed());
    Templates::load_in(None, Arc::new(languages), &Brand::default()).unwrap();
}

#[test]
fn the_built_in_mails_are_under_review() {
    let templates = built_in();
    for template in Template::ALL {
        let mail = templates.render(template, &template.sample("Ada Lovelace")).unwrap();
        let shown = format!("Subject: {}\n\n{}\n==== HTML ====\n{}", mail.subject, mail.text, mail.html);
        insta::assert_snapshot!(template.as_str(), shown);
    }
}

#[test]
fn the_built_in_mails_in_swahili_are_under_review() {
    let templates = built_in();
    for template in Template::ALL {
        let sample = in_language(template.sample("Ada Lovelace"), "sw-KE");
        let mail = templates.render(template, &sample).unwrap();
        assert!(mail.html.starts_with("<!doctype html>\n<html lang=\"sw-KE\">"), "{}", mail.html);
        assert!(
            mail.text.starts_with(if template.may_name_recipient() {
                "Habari Ada Lovelace,"
            } else {
                "Habari,\n"
            }),
            "{}",
            mail.text
        );
        insta::assert_snapshot!(
            format!("{}_sw", template.as_str()),
            format!("Subject: {}\n\n{}", mail.subject, mail.text)
        );
    }
}

#[test]
fn a_time_in_a_mail_is_in_words_with_its_zone() {
    for template in [Template::PasswordChanged, Template::EmailChanged, Template::CredentialMade] {
        let mail = built_in().render(template, &template.sample("")).unwrap();
        for text in [mail.text, mail.html] {
            assert!(text.contains("31 January 2026 at 09:30 UTC") && !text.contains("T09:30"), "{text}");
        }
    }
}

#[test]
fn mails_have_the_installations_colours_and_support_address() {
    let brand = Brand {
        accent: tidegate_domain::Colour::parse("#5b2a86").unwrap(),
        support: Some("help@example.com".to_owned()),
        ..Brand::default()
    };
    let templates = Templates::load_in(None, Arc::default(), &brand).unwrap();
    let mail = templates.render(Template::PasswordReset, &Template::PasswordReset.sample("Ada")).unwrap();
    assert!(mail.html.contains("background-color: #5b2a86; color: #ffffff"), "{}", mail.html);
    assert!(mail.html.contains("Questions: help@example.com"), "{}", mail.html);
    assert!(mail.text.ends_with("Questions: help@example.com\n"), "{}", mail.text);
}

#[test]
fn a_text_message_is_in_the_recipients_language() {
    let context = json!({"product": "Riven", "code": "493027", "minutes": 10, "language": "sw"});
    let text = built_in().render_sms(SmsTemplate::Code, &context).unwrap();
    assert_eq!(
        text.expose(),
        "493027 ni msimbo wako wa Riven. Utaisha baada ya dakika 10. Usimpe mtu mwingine."
    );
}

#[test]
fn a_lifetime_under_a_minute_is_told_in_seconds() {
    let said = |seconds: u64| {
        let minutes = crate::minutes(std::time::Duration::from_secs(seconds));
        let context = json!({"product": "Riven", "code": "493027", "minutes": minutes});
        built_in().render_sms(SmsTemplate::Code, &context).unwrap().expose().to_owned()
    };
    assert!(said(45).contains("It expires in 45 seconds."), "{}", said(45));
    assert!(said(1).contains("It expires in 1 second."), "{}", said(1));
    assert!(said(60).contains("It expires in 1 minute."), "{}", said(60));
    let (_directory, templates) = overriding("sms_code.txt", "{{ code }} for {{ minutes }} minutes");
    let minutes = crate::minutes(std::time::Duration::from_secs(600));
    let text = templates
        .unwrap()
        .render_sms(SmsTemplate::Code, &json!({"code": "493027", "minutes": minutes}))
        .unwrap();
    assert_eq!(text.expose(), "493027 for 10 minutes");
}

#[test]
fn a_text_message_is_one_line_with_its_code() {
    let context = json!({"product": "Riven", "code": "493027", "minutes": 10});
    let text = built_in().render_sms(SmsTemplate::Code, &context).unwrap();
    assert_eq!(text.expose(), "493027 is your Riven code. It expires in 10 minutes. Do not share it.");
    let (_directory, templates) = overriding("sms_code.txt", "{{ product }}:\n{{ code }}\n");
    let text = templates.unwrap().render_sms(SmsTemplate::Code, &context).unwrap();
    assert_eq!(text.expose(), "Riven: 493027");
    let error = built_in().render_sms(SmsTemplate::Code, &json!({"code": "493027"})).unwrap_err().to_string();
    assert!(error.starts_with("sms_code.txt, line 1: ") && !error.contains("493027"), "{error}");
}

#[test]
fn a_text_message_that_takes_two_is_a_mistake() {
    let long = format!("{{{{ code }}}}{}", "a".repeat(153));
    for (source, found) in [
        (long.as_str(), "takes 161 of the 160 characters of one message"),
        ("Riven’s code: {{ code }}", "`’` is not in the alphabet of text messages (GSM 7 bit)"),
        ("Hi {{ display_name }}, {{ code }}", "`display_name` is not known"),
        ("{{ minutes", "syntax error"),
        ("  \n", "says nothing"),
        ("Your {{ product }} code expires in {{ minutes }} minutes.", "does not contain `code`"),
    ] {
        let said = mistake("sms_code.txt", source);
        assert!(said.starts_with("mails/sms_code.txt") && said.contains(found), "{said}");
    }
    assert!(overriding("sms_code.txt", long.trim_end_matches("a")).1.is_ok());
    assert!(overriding("sms_code.txt", &long[..long.len() - 1]).1.is_ok());
}

#[test]
fn names_lead_back_to_their_templates() {
    for template in Template::ALL {
        assert_eq!(Template::from_name(template.as_str()), Some(template));
    }
    assert_eq!(Template::from_name("sign_up"), None);
    for template in SmsTemplate::ALL {
        assert_eq!(SmsTemplate::from_name(template.as_str()), Some(template));
    }
    assert_eq!(SmsTemplate::from_name("sign_up_code"), None);
}

#[test]
fn no_built_in_mail_loads_anything_from_elsewhere() {
    for template in Template::ALL {
        let html = built_in().render(template, &template.sample("Ada")).unwrap().html;
        for loader in ["<img", "src=", "url(", "<link", "<script", "@import"] {
            assert!(!html.contains(loader), "{}: {loader}", template.as_str());
        }
    }
}

#[test]
fn a_name_made_of_markup_stays_text() {
    let sample = Template::PasswordReset.sample("<script>alert(1)</script>");
    let mail = built_in().render(Template::PasswordReset, &sample).unwrap();
    assert!(
        mail.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !mail.html.contains("<script>"),
        "{}",
        mail.html
    );
    assert!(mail.text.contains("<script>alert(1)</script>"), "{}", mail.text);
}

#[test]
fn an_unconfirmed_address_gets_no_words_of_a_strangers_choosing() {
    for template in [Template::SignUpCode, Template::EmailChangeCode] {
        let mail = built_in().render(template, &template.sample("Win at http://evil.example")).unwrap();
        let said = [mail.subject, mail.text, mail.html].concat();
        assert!(!said.contains("evil"), "{}", template.as_str());
    }
}

#[test]
fn the_installations_name_is_tidegate_unless_given() {
    let mut context = Template::PasswordReset.sample("");
    let said = |context: &Value| built_in().render(Template::PasswordReset, context).unwrap().subject;
    context["product"] = json!("Rivergen");
    assert!(said(&context).contains("Rivergen"));
    context.as_object_mut().unwrap().remove("product");
    assert!(said(&context).contains("Tidegate"));
}

#[test]
fn an_operators_file_replaces_one_text_and_leaves_the_others() {
    let (_directory, templates) = overriding(
        "password_reset.txt",
        "\u{feff}Hi{% if display_name %} {{ display_name }}{% endif %}: {{ link }}\n",
    );
    let mail =
        templates.unwrap().render(Template::PasswordReset, &Template::PasswordReset.sample("Ada")).unwrap();
    let usual = built_in().render(Template::PasswordReset, &Template::PasswordReset.sample("Ada")).unwrap();
    assert_eq!(mail.text, "Hi Ada: https://id.example.com/reset?token=b0XyZt8aaQ\n");
    assert_eq!((mail.subject, mail.html), (usual.subject, usual.html));
}

#[test]
fn notes_and_hidden_files_beside_the_templates_are_left_alone() {
    for name in [".gitkeep", ".sign_up_code.txt.swp", "README", "ReadMe.md"] {
        assert!(overriding(name, "{{ broken").1.is_ok(), "{name}");
    }
}

#[test]
fn mistakes_are_found_at_start_with_file_and_line() {
    let mistakes = [
        mistake("sign_up_code.htm", "x"),
        mistake("signup_code.subject.txt", "x"),
        mistake("sign_up_code.html", "<p>\n{{ cod }}\n</p>"),
        mistake("sign_up_code.txt", "Your links\n\n{% if false %}\n{{ links }}{% endif %}"),
        mistake("password_reset.txt", "one\ntwo {{ link }\n"),
        mistake("password_reset.txt", "{% if display_name %}\n{{ link }}"),
        mistake("password_reset.html", "one\n{{ link|shout }}"),
        mistake("email_changed.txt", "one\ntwo\n{{ when.year.month }}"),
        mistake("email_changed.subject.txt", " {# nothing #} \n"),
        mistake("email_changed.subject.txt", "{{ display_name }}"),
    ];
    insta::assert_snapshot!(mistakes.join("\n"));
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let error = Templates::load(Some(Path::new("/nowhere/mails"))).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/mails: "), "{error}");
}

#[test]
fn a_file_that_is_not_text_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("sign_up_code.txt"), [0xff, 0xfe]).unwrap();
    let error = Templates::load(Some(directory.path())).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Unreadable { path, .. } if path.ends_with("sign_up_code.txt")),
        "{error}"
    );
}

#[test]
fn a_missing_value_is_an_error_that_quotes_no_other() {
    let error = built_in().render(Template::SignUpCode, &json!({"code": "493027"})).unwrap_err().to_string();
    assert!(error.starts_with("sign_up_code.txt, line "), "{error}");
    assert!(!error.contains("493027"), "{error}");
}

proptest! {
    #[test]
    fn no_name_breaks_out_of_the_subject(name in any::<String>()) {
        let (_directory, templates) = overriding("password_reset.subject.txt", "For {{ display_name }}");
        let mail = templates.unwrap().render(Template::PasswordReset, &Template::PasswordReset.sample(&name)).unwrap();
        prop_assert!(!mail.subject.chars().any(char::is_control));
    }
}
