//! What is said of a value that is written wrongly: its key, its line, and how to write it.

use super::Desk;

#[test]
fn each_mistake_in_a_file_has_its_line() {
    let text = "# A comment\nproduct = ''\n\n[http]\ndeadline = 0\nmax_body = 'x'\n";
    let complaint = Desk::file(text).complaint_with_lines();
    let told: Vec<&str> = complaint.lines().collect();
    assert_eq!(
        told.first(),
        Some(
            &"http.max_body: must be a whole number, 0 or greater, not text; for example `max_body = 1048576` (in t.toml, line 6)"
        )
    );
    assert!(told.len() == 3 && told[1].ends_with("line 2)") && told[2].ends_with("line 5)"), "{complaint}");
    let text = text.replace("max_body = 'x'", "cors_origins = [\n  'https://a.example',\n  'b',\n]");
    let complaint = Desk::file(&text).complaint_with_lines();
    let lines: Vec<&str> =
        complaint.lines().filter_map(|line| line.rsplit_once("line ")).map(|(_, line)| line).collect();
    assert_eq!(lines, ["2)", "5)", "6)"], "{complaint}");
    let complaint = |text: &str| Desk::file(text).complaint_with_lines();
    for (text, said) in [
        (
            "[http]\n[mail.smtp]\nhost = 'a'",
            "mail.smtp.from: is missing; its table requires it (in t.toml, line 2)",
        ),
        ("[[previous_peppers]]\nid = 'a'\nkeys = 'b'", "(in t.toml, line 3)"),
        ("phone.countries = [\n'KE',\n'Kenya']", "(in t.toml, line 3)"),
        // Of keys that are given together, the line of the one that is there.
        (
            "[mail.smtp]\nhost = 'a.example'\nfrom = 'a@b.cd'\nusername = 'u'",
            "mail.smtp: username and password must be given together (in t.toml, line 4)",
        ),
        (
            "[pgwire]\nconnections = 3\ntls_key = 'k'",
            "pgwire: tls_cert and tls_key are set together (in t.toml, line 3)",
        ),
        (
            "[sms.twilio]\naccount_sid = 'AC1'\nfrom = 'RIVEN'\napi_key_sid = 'SK1'",
            "api_key_secret: must be given together with api_key_sid (in t.toml, line 4)",
        ),
        (
            "[pgwire]\nidle_timeout = 9\nconnections = 0",
            "pgwire: connections must be at least 1 (in t.toml, line 3)",
        ),
        ("ingestiq = { password = { min_length = 'x' } }", "(in t.toml, line 1)"),
    ] {
        // What follows names the variable of a secret that is missing.
        assert!(complaint(text).contains(said), "{}", complaint(text));
    }
    // Variables have no lines, also beside a file.
    let desk = Desk::file("[http]\nmax_body = 4096").variable("TIDEGATE_HTTP__DEADLINE", "soon");
    assert!(
        desk.complaint_with_lines().ends_with("(in TIDEGATE_HTTP__DEADLINE)"),
        "{}",
        desk.complaint_with_lines()
    );
}

#[test]
fn a_path_that_only_a_shell_understands_is_refused() {
    for (text, key) in [
        ("data_dir = '~/tg'", "data_dir"),
        ("database = 'sqlite:~/tg/t.db'", "database"),
        ("languages_dir = '~/tg'", "languages_dir"),
        ("[mail]\ntemplates_dir = '~tg'", "mail.templates_dir"),
        ("[storage]\ndirectory = '~'", "storage.directory"),
    ] {
        let complaint = Desk::file(text).complaint();
        let told = complaint.starts_with(&format!("{key}: write the whole path in the place of \"~"));
        assert!(told && complaint.contains("\": ~ is the shell's (in t.toml)"), "{complaint}");
    }
    for (text, key, why) in [
        ("data_dir = '$HOME/tg'", "data_dir", "variables are the shell's"),
        ("data_dir = '/srv/${NAME}/tg'", "data_dir", "variables are the shell's"),
        ("data_dir = '%h/tg'", "data_dir", "% is for units of systemd"),
        ("database = 'sqlite:$HOME/t.db'", "database", "variables are the shell's"),
        ("[storage]\ndirectory = '${FILES}'", "storage.directory", "variables are the shell's"),
    ] {
        let complaint = Desk::file(text).complaint();
        let begins = format!("{key}: write the whole path in the place of \"");
        assert!(complaint.starts_with(&begins), "{complaint}");
        assert!(complaint.contains(&format!("\": {why} (in t.toml)")), "{complaint}");
    }
    for path in ["./$HOME/tg", "./%h", "%home/tg", "a%h", "/srv/a$b"] {
        let text = format!("data_dir = '{path}'");
        assert_eq!(Desk::file(&text).load().config.data_dir.to_str(), Some(path));
    }
    let mut desk = Desk::new();
    desk.global.data_dir = Some("~/tg".into());
    assert!(desk.complaint().ends_with("~ is the shell's (in --data-dir)"), "{}", desk.complaint());
    assert_eq!(Desk::file("data_dir = './~/tg'").load().config.data_dir.to_str(), Some("./~/tg"));
}

#[test]
fn an_unknown_key_or_a_wrong_kind_of_value_hides_no_other_mistake() {
    let text = "lissten = 'x'\nproduct = ''\n[http]\ndeadline = 'soon'\nmax_body = 'x'\nuploads = 1\n\
        [mail.smtp]\nhots = 'a'\nfrom = 'a@b.cd'\n[ingestiq.password]\nmin_length = 'x'";
    let complaint = Desk::file(text).complaint_with_lines();
    let mut lines: Vec<&str> =
        complaint.lines().filter_map(|line| line.rsplit_once("line ")).map(|(_, line)| line).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1)", "11)", "2)", "4)", "5)", "6)", "8)"], "{complaint}");
    // The host is not missing: it is misspelt.
    assert!(!complaint.contains("is missing"), "{complaint}");
    // Nor what was taken out.
    let pepper = "[[previous_peppers]]\nid = 3\nkey = 'an example of what is at least 32 characters long'";
    let complaint = Desk::file(pepper).complaint_with_lines();
    assert!(complaint.lines().count() == 1 && complaint.ends_with("line 2)"), "{complaint}");
    // The table that is left empty was not meant to be text.
    let complaint = Desk::file("[database]\nhost = 'x'\n[riven.password]\nmin_length = 1").complaint();
    assert!(complaint.lines().all(|line| line.contains(": unknown key; ")), "{complaint}");
}

#[test]
fn a_value_without_quotes_is_told_with_its_key_and_how_to_write_it() {
    for (text, said) in [
        (
            "listen = '127.0.0.1:1'\npublic_url = https://id.example.org",
            "t.toml, line 2: public_url: text needs quotes; for example `public_url = \"https://id.example.com\"`",
        ),
        (
            "[mail.smtp]\nhost = smtp.example.org",
            "t.toml, line 2: mail.smtp.host: text needs quotes; for example `host = ",
        ),
        (
            "master_key = hunter2",
            "t.toml, line 1: master_key: text needs quotes; for example `master_key = \"tgmk1_",
        ),
        (
            "dev = yes",
            "t.toml, line 1: dev: must be true or false, in small letters; for example `dev = false`",
        ),
        ("dev = True", "t.toml, line 1: dev: must be true or false"),
        (
            "[http]\ncors_origins = https://a.example",
            "t.toml, line 2: http.cors_origins: a list needs brackets",
        ),
        (
            "[http]\ndeadline = soon",
            "t.toml, line 2: http.deadline: must be a number; for example `deadline = 30`",
        ),
        ("colour = blue", "t.toml, line 1: colour: this is no value: text needs quotes"),
        ("product = 'Example", "t.toml, line 1: product: the closing quote is missing"),
        ("product = \"Example # 1\ndev = true", "t.toml, line 1: product: the closing quote is missing"),
        ("product = \"an \\escape\"", "t.toml, line 1: product: invalid escape"),
        ("= 2", "t.toml, line 1: invalid key"),
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.starts_with(said), "{text}: {complaint}");
        assert!(!complaint.contains("hunter2") && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn a_unit_is_told_with_the_number_that_it_comes_to() {
    for (text, said) in [
        (
            "[http]\ndeadline = '30s'",
            "http.deadline: \"30s\" is no number: it counts seconds, without a unit and without quotes: `deadline = 30`",
        ),
        ("[http]\ndeadline = '2 minutes'", "`deadline = 120`"),
        ("[http]\ndeadline = 5m", "t.toml, line 2: http.deadline: \"5m\" is no number: it counts seconds"),
        ("[http]\ndeadline = '30'", "http.deadline: must be a number, without quotes: `deadline = 30`"),
        ("[http]\nmax_body = '2MiB'", "`max_body = 2097152`"),
        ("[http]\nmax_body = 10MB", "`max_body = 10000000`"),
        ("[riven]\ntoken_lifetime = '30d'", "`token_lifetime = 2592000`"),
        ("[rivergen.limits.sign_in_by_ip]\nwindow = '15min'", "`window = 900`"),
        (
            "[rivergen.limits.sign_in_by_ip]\nattempts = '5/min'",
            "a limit is written as `attempts = 5` and `window = 60`, in seconds",
        ),
        ("[http]\ndeadline = 1.5", "must be a whole number, 0 or greater, not a number with a fraction"),
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.contains(said), "{text}: {complaint}");
    }
    let desk = Desk::new().variable("TIDEGATE_HTTP__DEADLINE", "30s");
    assert!(
        desk.complaint().ends_with("`deadline = 30` (in TIDEGATE_HTTP__DEADLINE)"),
        "{}",
        desk.complaint()
    );
}

#[test]
fn a_table_and_a_value_are_not_taken_for_one_another() {
    for (text, said) in [
        (
            "[product]\nx = 1",
            "product: must be text, not a table; for example `product = \"Tidegate\"` (in t.toml, line 1)",
        ),
        ("[public_url]\nx = 1", "for example `public_url = \"https://id.example.com\"` (in t.toml, line 1)"),
        ("http = true", "http: must be a table, not true or false; for example `[http]` (in t.toml, line 1)"),
        (
            "[rivergen.limits]\nsign_in_by_ip = 30",
            "must be a table, not a number; for example `sign_in_by_ip = { attempts = 5, window = 900 }` (in t.toml, line 2)",
        ),
        ("previous_master_keys = 'hunter2'", "must be a list: "),
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.contains(said) && !complaint.contains("hunter2"), "{text}: {complaint}");
    }
}

#[test]
fn what_stands_twice_is_told_with_the_line_of_the_first_whatever_its_value() {
    for (text, said) in [
        (
            "[browser]\nsign_up = true\nsign_up = false",
            "t.toml, line 3: browser.sign_up stands twice, first in line 2: remove one",
        ),
        (
            "# [rivergen]\n[rivergen] # one\naccess_token_lifetime = 60\n\naccess_token_lifetime = 70",
            "t.toml, line 5: rivergen.access_token_lifetime stands twice, first in line 3: remove one",
        ),
        ("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'", "line 2: listen stands twice, first in line 1"),
        (
            "phone.countries = ['KE']\nphone.countries = []",
            "line 2: phone.countries stands twice, first in line 1",
        ),
        (
            "[[previous_peppers]]\nid = 'a'\n[[previous_peppers]]\nid = 'b'\nid = 'c'",
            "line 5: previous_peppers.id stands twice, first in line 4",
        ),
        (
            "[http]\ndeadline = 3\n[log]\n[http]\nmax_body = 4096",
            "t.toml, line 4: the table [http] stands twice, first in line 1: put its keys in one place",
        ),
        // The number is right, and the line is not.
        ("http = 1\nhttp.deadline = 3", "t.toml, line 2: http.deadline: dotted key `http`"),
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.contains(said) && complaint.lines().count() == 1, "{text}: {complaint}");
    }
}

#[test]
fn a_file_of_another_format_is_told_as_such() {
    for text in [
        "listen: \"x\"",
        "http:\n  deadline: 30",
        "public_url: https://a.example/?b=c",
        "{\n\"listen\": \"x\"\n}",
        "id,name\n1,hunter2",
        "hunter2",
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.starts_with("t.toml, line 1: this line is not KEY = VALUE"), "{text}: {complaint}");
        assert!(complaint.contains("TOML, not as YAML") && !complaint.contains("hunter2"), "{complaint}");
    }
    // In a list it is the list that is written wrongly.
    let complaint = Desk::file("[http]\ncors_origins = [\n  https://a.example,\n]").complaint_with_lines();
    assert!(!complaint.contains("KEY = VALUE"), "{complaint}");
}

#[test]
fn a_list_that_was_given_as_text_is_shown_as_a_list_of_it() {
    for (text, said) in [
        ("[http]\ntrusted_proxies = '10.0.0.1'", "for example `trusted_proxies = [\"10.0.0.1\"]`"),
        (
            "[http]\ncors_origins = 'https://a.example, https://b.example'",
            "for example `cors_origins = [\"https://a.example\", \"https://b.example\"]`",
        ),
        ("phone.countries = 'KE'", "for example `countries = [\"KE\"]`"),
        // Nothing is there to show.
        ("[http]\ntrusted_proxies = ''", "for example `trusted_proxies = []`"),
    ] {
        let complaint = Desk::file(text).complaint_with_lines();
        assert!(complaint.contains(said), "{text}: {complaint}");
    }
    // A list of secrets is not repeated.
    let complaint = Desk::file("previous_master_keys = 'hunter2'").complaint_with_lines();
    assert!(!complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn a_port_that_does_not_exist_is_told_with_those_that_do() {
    let mail = |port: &str| format!("[mail.smtp]\nhost = 'a.example'\nfrom = 'a@b.cd'\nport = {port}");
    for (text, said) in [
        (
            mail("99999"),
            "mail.smtp.port: is out of range: must be a whole number from 1 to 65535; for example `port = 587`",
        ),
        (mail("-1"), "must be a whole number from 1 to 65535"),
        (mail("0"), "mail.smtp: port must be from 1 to 65535"),
        (
            "listen = '127.0.0.1:99999'".to_owned(),
            "[::]:8080: a port is from 1 to 65535, or 0 for a free one",
        ),
        (
            "[pgwire]\nlisten = '127.0.0.1:99999'".to_owned(),
            "pgwire.listen: \"127.0.0.1:99999\" is not an address",
        ),
        (
            "[pgwire]\nlisten = '127.0.0.1:99999'".to_owned(),
            ": a port is from 1 to 65535, or 0 for a free one",
        ),
        (
            "public_url = 'https://id.example.com:99999'".to_owned(),
            "public_url: \"https://id.example.com:99999\" has a port that there is not: ports are from 1 to 65535",
        ),
        (
            "links.sign_in = 'https://app.example.com:70000/sign-in'".to_owned(),
            "links.sign_in: \"https://app.example.com:70000/sign-in\" has a port that there is not",
        ),
        ("[pgwire]\nlisten = '5432'".to_owned(), ": write 127.0.0.1:5432 for this machine alone"),
        (
            "[rivergen.limits.sign_in_by_ip]\nattempts = -1\nwindow = 1".to_owned(),
            "must be a whole number from 0 to 4294967295",
        ),
    ] {
        let complaint = Desk::file(&text).complaint_with_lines();
        assert!(complaint.contains(said), "{text}: {complaint}");
    }
    // The end of an address is no port.
    Desk::file("public_url = 'http://[::1]'").load();
    // Every listener takes this machine by its name.
    let config =
        Desk::file("[pgwire]\nlisten = 'localhost:5432'\nallow_plain_on_loopback = true").load().config;
    assert_eq!(config.pgwire.listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:5432"));
}

#[test]
fn a_table_in_two_pairs_of_brackets_is_told_to_need_one() {
    for (text, table) in
        [("[[http]]\ndeadline = 3", "http"), ("[[mail.smtp]]\nhost = 'a'\nfrom = 'a@b.cd'", "mail.smtp")]
    {
        let complaint = Desk::file(text).complaint();
        let told = format!(
            "{table}: is one table, and no list of them: write it in one pair of brackets, `[{table}]`"
        );
        assert!(complaint.starts_with(&told), "{complaint}");
    }
}

#[test]
fn what_is_wrong_with_the_domain_of_passkeys_is_said_of_its_own_key() {
    let complaint = Desk::file("[passkeys]\nrelying_party_id = 'https://id.example.com'").complaint();
    assert!(
        complaint.starts_with("passkeys.relying_party_id: \"https://id.example.com\" is no domain name")
            && complaint.ends_with("(in t.toml)"),
        "{complaint}"
    );
    let complaint =
        Desk::file("public_url = 'https://id.example.com'\n[passkeys]\norigins = ['https://a.example']");
    assert!(complaint.complaint().starts_with("passkeys.origins: "), "{}", complaint.complaint());
}

#[test]
fn a_variable_with_the_name_of_a_table_is_told_those_of_its_keys() {
    let complaint = Desk::new().variable("TIDEGATE_LOG", "debug").complaint();
    let told =
        "log: is a table, whose keys have variables of their own: TIDEGATE_LOG__FILTER, TIDEGATE_LOG__FORMAT";
    assert!(complaint.starts_with(told), "{complaint}");
    let complaint = Desk::new().variable("TIDEGATE_MAIL__SMTP", "smtp.example.com").complaint();
    assert!(complaint.contains("TIDEGATE_MAIL__SMTP__"), "{complaint}");
}
