//! Organizations do not meet: whatever a member of one tries on what is another's, the answer is the one for what
//! does not exist, and nothing changes.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::Entropy;
use tidegate_domain::id::DatabaseId;
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, SeededEntropy, TestApp, on_both_engines};

const ORGANIZATIONS: u32 = 10;
/// Of each organization.
const ACCOUNTS: usize = 10;
/// Tried on each engine, each on something real and on something invented. The seed is fixed, so that a failure
/// comes back.
const ATTEMPTS: usize = 400;
const SEED: u64 = 20_260_105;

/// An organization with people, programs, keys and databases.
struct Tenant {
    owner: Person,
    /// One of each role, bound to the database `scratch`. They are who tries.
    members: Vec<Attacker>,
    emails: Vec<String>,
    programs: Vec<String>,
    /// Ids and texts.
    keys: Vec<(String, String)>,
    /// Ids and names; the first is called the same everywhere.
    databases: Vec<(String, String)>,
    /// Anonymous sessions resolved in them.
    sessions: Vec<String>,
}

/// Somebody who tries what is not theirs to do.
struct Attacker {
    role: &'static str,
    who: Person,
    /// A database of their own organization, to which they are bound.
    database: String,
    /// A program of their own organization.
    program: String,
}

/// What is tried on: things of another organization, or things of the same looks that do not exist.
struct Target {
    email: String,
    program: String,
    key: String,
    key_text: String,
    database: String,
    database_name: String,
    session: String,
    user: u32,
    refresh_token: String,
    /// Another organization's in either case: somebody found it in a log, and tries it on the database below.
    stolen_token: String,
    /// The attacker's own, which is not the stolen token's; or one that does not exist.
    own_database: String,
}

/// Method, path, body, and a token in place of the attacker's own.
type Asked = (Method, String, Value, Option<String>);

/// A way to try, and how it ends for a manager: with this status and name of an error.
type Way = (&'static str, (u16, &'static str), fn(&Attacker, &Target) -> Asked);

fn asked(method: Method, path: &str, body: Value) -> Asked {
    (method, format!("/v1/{path}/"), body, None)
}

const WAYS: [Way; 20] = [
    ("rename a person", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::PATCH, "accounts/individual", json!({"email": at.email, "first_name": "Eve"}))
    }),
    ("set a person's password", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::PATCH, "accounts/individual", json!({"email": at.email, "password": "Stolen1horse!"}))
    }),
    ("delete a person", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::DELETE, "accounts/individual", json!({"email": at.email}))
    }),
    ("describe a program", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::PATCH, "accounts/service", json!({"name": at.program, "metadata": {"x": 1}}))
    }),
    ("set a program's password", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::PATCH, "accounts/service", json!({"name": at.program, "password": "Stolen1horse!"}))
    }),
    ("delete a program", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::DELETE, "accounts/service", json!({"name": at.program}))
    }),
    ("make a key for a program", (404, "ACCOUNT_NOT_FOUND"), |_, at| {
        asked(Method::POST, "accounts/service/keys", json!({"name": at.program}))
    }),
    ("delete a key", (404, "KEY_NOT_FOUND"), |_, at| {
        asked(Method::DELETE, &format!("accounts/service/keys/{}", at.key), Value::Null)
    }),
    ("sign in to a database", (404, "DATABASE_NOT_FOUND"), |by, at| {
        log_in(by, json!({"db_id": at.database}))
    }),
    ("sign in to a database by its name", (404, "DATABASE_NOT_FOUND"), |by, at| {
        log_in(by, json!({"db_name": at.database_name}))
    }),
    ("sign in to one's own database under another's name", (404, "DATABASE_NOT_FOUND"), |by, at| {
        log_in(by, json!({"db_id": by.database, "db_name": at.database_name}))
    }),
    ("refresh into a database", (404, "DATABASE_NOT_FOUND"), |by, at| {
        refresh(&by.who.refresh_token, json!({"db_id": at.database}))
    }),
    ("refresh into a database by its name", (404, "DATABASE_NOT_FOUND"), |by, at| {
        refresh(&by.who.refresh_token, json!({"db_name": at.database_name}))
    }),
    ("refresh a stolen token into one's own database", (404, "DATABASE_NOT_FOUND"), |_, at| {
        refresh(&at.stolen_token, json!({"db_id": at.own_database}))
    }),
    ("show a refresh token where a token is wanted", (401, "INCORRECT_JWT_TOKEN"), |_, at| {
        let (method, path, body, _) = asked(Method::GET, "organizations/current/accounts", Value::Null);
        (method, path, body, Some(at.refresh_token.clone()))
    }),
    ("guess a person's password", (401, "INCORRECT_PASSWORD"), |_, at| {
        asked(Method::POST, "login/individual", json!({"email": at.email, "password": "Guessed1horse!"}))
    }),
    ("guess an owner's password", (401, "INCORRECT_PASSWORD"), |_, at| {
        asked(Method::POST, "login/root", json!({"email": at.email, "password": "Guessed1horse!"}))
    }),
    ("guess a program's password", (401, "INCORRECT_PASSWORD"), |_, at| {
        asked(Method::POST, "login/service", json!({"name": at.program, "password": "Guessed1horse!"}))
    }),
    ("sign in one's own program with a key", (401, "INCORRECT_PASSWORD"), |by, at| {
        asked(Method::POST, "login/service", json!({"name": by.program, "password": at.key_text}))
    }),
    // To oneself it is a session like any other: that it is resolved elsewhere does not show, nor this there.
    ("resolve a session", (200, ""), |_, at| {
        asked(Method::POST, &format!("sessions/{}/resolve", at.session), json!({"user_id": 5}))
    }),
];

/// Looks for what other users resolved.
const LISTING: Way = ("list a user's sessions", (200, ""), |_, at| {
    asked(Method::POST, "resolved-sessions", json!({"users_id": [at.user]}))
});

fn log_in(by: &Attacker, more: Value) -> Asked {
    let (kind, key) = if by.who.email.contains('@') { ("individual", "email") } else { ("service", "name") };
    let mut body = json!({key: by.who.email, "password": PASSWORD});
    tidegate_domain::text::merge(&mut body, &more);
    asked(Method::POST, &format!("login/{kind}"), body)
}

fn refresh(token: &str, more: Value) -> Asked {
    let mut body = json!({"refresh_token": token});
    tidegate_domain::text::merge(&mut body, &more);
    asked(Method::POST, "login/refresh-token", body)
}

impl Target {
    /// Something of each kind of the victim's.
    fn of(victim: &Tenant, by: &Attacker, chance: &dyn Entropy) -> Self {
        let (key, key_text) = pick(&victim.keys, chance).clone();
        // All but the first, whose name the attacker's organization has as well.
        let (database, database_name) = pick(&victim.databases[1..], chance).clone();
        let token = &pick(&victim.members, chance).who.refresh_token;
        Self {
            email: pick(&victim.emails, chance).clone(),
            program: pick(&victim.programs, chance).clone(),
            key,
            key_text,
            database,
            database_name,
            session: pick(&victim.sessions, chance).clone(),
            user: 42,
            refresh_token: token.clone(),
            stolen_token: token.clone(),
            own_database: by.database.clone(),
        }
    }

    /// The same, of nobody's.
    fn invented(real: &Self, chance: &dyn Entropy) -> Self {
        let (at, number) = (FROM, chance.below(1_000_000));
        Self {
            email: format!("nobody{number}@example.com"),
            program: format!("program {number}"),
            key: DatabaseId(chance.uuid(at)).opaque(),
            key_text: format!("tgk_{}", reversed(&real.key_text)),
            database: DatabaseId(chance.uuid(at)).opaque(),
            database_name: format!("films of nobody {number}"),
            session: chance.uuid(at).to_string(),
            user: 4_000_000_000,
            refresh_token: format!("tgr_{}", reversed(&real.refresh_token)),
            stolen_token: real.stolen_token.clone(),
            own_database: DatabaseId(chance.uuid(at)).opaque(),
        }
    }

    /// An answer about this, with what it is about left out.
    fn without_key(&self, answer: &Answer) -> String {
        let keys =
            [&self.email, &self.program, &self.key, &self.database, &self.database_name, &self.own_database];
        keys.into_iter().fold(answer.text.clone(), |text, key| text.replace(key.as_str(), "…"))
    }
}

const FROM: tidegate_domain::Timestamp = tidegate_testkit::FakeClock::START;

fn reversed(token: &str) -> String {
    token.split_once('_').unwrap().1.chars().rev().collect()
}

fn pick<'a, T>(among: &'a [T], chance: &dyn Entropy) -> &'a T {
    let length = u32::try_from(among.len()).unwrap();
    &among[usize::try_from(chance.below(length)).unwrap()]
}

impl Tenant {
    async fn make(app: &TestApp, number: u32, chance: &dyn Entropy) -> Self {
        let owner = app.provision(&format!("root{number}@example.com")).await;
        let ask = |method: Method, path: &str, body: Value, token: &str| {
            app.client().request(method, &format!("/v1/{path}/")).bearer(token).json(&body)
        };
        let (manager, unverified) = (format!("ada{number}@example.com"), format!("new{number}@example.com"));
        let mut people =
            vec![("root", owner.clone()), ("manager", app.add_individual(&owner, &manager, "manager").await)];
        app.create_individual(&owner, &unverified, "backend").await.assert_status(200);
        let mut programs = Vec::new();
        for role in ["backend", "demo_viewer", "frontend"] {
            let name = format!("{role} {number}");
            people.push((role, app.add_service(&owner, &name, role).await));
            programs.push(name);
        }
        let mut keys = Vec::new();
        for one in 0..4 {
            let name = format!("keyed {number} {one}");
            let body = json!({"name": name, "role": "backend", "metadata": {"of": number}});
            ask(Method::POST, "accounts/service", body, &owner.access_token).send().await.assert_status(200);
            let body = json!({"name": name});
            let made = ask(Method::POST, "accounts/service/keys", body, &owner.access_token).send().await;
            made.assert_status(200);
            keys.push((made.text_at("id"), made.text_at("key")));
            programs.push(name);
        }
        let mut databases = Vec::new();
        for name in ["films".to_owned(), format!("films of {number}"), format!("scratch of {number}")] {
            databases.push((app.add_database(&owner, &name).await, name));
        }
        let metadata = json!({"metadata": {"secret": format!("of {number}")}});
        let changed = ask(Method::PATCH, "organizations/current", metadata, &owner.access_token).send().await;
        changed.assert_status(200);
        let mut sessions = Vec::new();
        for (id, _) in &databases[..2] {
            let session = chance.uuid(FROM).to_string();
            let bound = app.bound(&owner, json!({"db_id": id})).await;
            let path = format!("sessions/{session}/resolve");
            let resolved = ask(Method::POST, &path, json!({"user_id": 42}), &bound.access_token).send().await;
            resolved.assert_status(200);
            sessions.push(session);
        }
        let scratch = &databases[2].0;
        let mut members = Vec::new();
        for (role, who) in people {
            let mut fields = json!({"db_id": scratch});
            if role == "frontend" {
                let own =
                    json!({"frontend_user_id": 7, "frontend_session_id": chance.uuid(FROM).to_string()});
                tidegate_domain::text::merge(&mut fields, &own);
            }
            let who = app.bound(&who, fields).await;
            members.push(Attacker { role, who, database: scratch.clone(), program: programs[0].clone() });
        }
        let emails = vec![owner.email.clone(), manager, unverified];
        assert_eq!(emails.len() + programs.len(), ACCOUNTS);
        Self { owner, members, emails, programs, keys, databases, sessions }
    }

    /// Everything its owner sees, and whether everybody is still signed in.
    async fn seen(&self, app: &TestApp) -> Vec<String> {
        let mut seen = Vec::new();
        for path in ["organizations/current/accounts", "databases", "organizations/current"] {
            let answer = app.get(&format!("/v1/{path}/")).bearer(&self.owner.access_token).send().await;
            seen.push(answer.assert_status(200).text.clone());
        }
        for (id, name) in &self.databases {
            let bound = app.bound(&self.owner, json!({"db_id": id})).await;
            let answer = app.get("/v1/databases/current/").bearer(&bound.access_token).send().await;
            seen.push(answer.assert_status(200).text.clone());
            // In their own, they resolve what they like.
            if !name.starts_with("scratch") {
                let listing = app.post("/v1/resolved-sessions/").bearer(&bound.access_token).json(&json!({}));
                seen.push(listing.send().await.assert_status(200).text.clone());
            }
        }
        for Attacker { who, .. } in &self.members {
            let answer = app.post("/v1/login/jwt/").bearer(&who.access_token).send().await;
            seen.push(answer.assert_status(200).text.clone());
            let (_, path, body, _) = refresh(&who.refresh_token, json!({}));
            let answer = app.post(&path).json(&body).send().await;
            answer.assert_status(200);
            seen.push(format!("{} {}", answer.text_at("refresh_token"), answer.text_at("database.id")));
        }
        seen
    }
}

async fn ask(app: &TestApp, by: &Attacker, (method, path, body, token): Asked) -> Answer {
    let request =
        app.client().request(method, &path).bearer(token.as_deref().unwrap_or(&by.who.access_token));
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await
}

/// Somebody, and an organization that is not theirs.
fn pair<'t>(tenants: &'t [Tenant], chance: &dyn Entropy) -> (&'t Attacker, &'t Tenant) {
    let (ours, further) = (chance.below(ORGANIZATIONS), 1 + chance.below(ORGANIZATIONS - 1));
    let theirs = (ours + further) % ORGANIZATIONS;
    let [ours, theirs] = [ours, theirs].map(|number| &tenants[usize::try_from(number).unwrap()]);
    (pick(&ours.members, chance), theirs)
}

async fn tenants(app: &TestApp, chance: &dyn Entropy) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for number in 0..ORGANIZATIONS {
        tenants.push(Tenant::make(app, number, chance).await);
    }
    tenants
}

async fn seen(app: &TestApp, tenants: &[Tenant]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for tenant in tenants {
        all.push(tenant.seen(app).await);
    }
    all
}

on_both_engines! {
    async fn what_is_anothers_answers_like_what_does_not_exist_and_stays_as_it_is(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let chance = SeededEntropy::new(SEED);
        let chance: &dyn Entropy = &chance;
        let tenants = tenants(&app, chance).await;
        let before = seen(&app, &tenants).await;
        let mails = app.sql_count("select count(*) from outbox_messages").await;
        // Each sees its own and nothing else.
        for (number, of) in before.iter().enumerate() {
            for other in (0..tenants.len()).filter(|other| *other != number) {
                for secret in tenants[other].emails.iter().chain(&tenants[other].programs) {
                    assert!(!of[0].contains(&format!("\"{secret}\"")), "{number} sees {secret}");
                }
            }
        }

        let ways: Vec<Way> = WAYS.into_iter().chain([LISTING]).collect();
        let (mut tried, mut as_managers) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..ATTEMPTS {
            let (by, victim) = pair(&tenants, chance);
            let (name, expected, way) = *pick(&ways, chance);
            let real = Target::of(victim, by, chance);
            let invented = Target::invented(&real, chance);
            let answers = [ask(&app, by, way(by, &real)).await, ask(&app, by, way(by, &invented)).await];
            let told = format!("a {} of {:?} tries to {name}: {answers:#?}", by.role, by.database);
            let [real_answer, invented_answer] = &answers;
            assert_eq!(real_answer.status, invented_answer.status, "{told}");
            assert_eq!(real.without_key(real_answer), invented.without_key(invented_answer), "{told}");
            assert_eq!(kinds(real_answer), kinds(invented_answer), "{told}");
            if matches!(by.role, "root" | "manager") {
                assert_eq!((real_answer.status, real_answer.code()), expected, "{told}");
                as_managers.insert(name);
            }
            tried.insert((name, by.role));
        }
        assert_eq!(as_managers.len(), ways.len(), "not everything was tried by a manager: {as_managers:?}");
        assert!(tried.len() > 3 * ways.len(), "few roles tried few things: {tried:?}");

        let after = seen(&app, &tenants).await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after);
        }
        assert_eq!(
            app.sql_count("select count(*) from outbox_messages").await,
            mails,
            "somebody was written to"
        );
    }

    // The one thing an organization learns of the others: a name is the installation's, so it must be told that it
    // is taken.
    async fn that_a_name_is_taken_is_all_that_is_told_of_it(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let chance = SeededEntropy::new(SEED + 1);
        let chance: &dyn Entropy = &chance;
        let mut two = Vec::new();
        for number in 0..2 {
            two.push(Tenant::make(&app, number, chance).await);
        }
        let before = seen(&app, &two).await;
        let mails = app.sql_count("select count(*) from outbox_messages").await;
        let mut hints = BTreeSet::new();
        for by in &two[0].members {
            // Whose the name is shows neither: a colleague's is refused in the same words.
            for victim in [&two[1], &two[0]] {
                let people = victim.emails.iter().map(|email| ("individual", "email", email));
                let programs = victim.programs.iter().map(|name| ("service", "name", name));
                for (kind, key, name) in people.chain(programs) {
                    let body = json!({key: name, "role": "manager", "password": PASSWORD});
                    let path = format!("accounts/{kind}");
                    let answer = ask(&app, by, asked(Method::POST, &path, body)).await;
                    if !matches!(by.role, "root" | "manager") {
                        answer.assert_error(403, "INSUFFICIENT_ROLE");
                        continue;
                    }
                    answer.assert_error(400, "DUPLICATED_ACCOUNT");
                    let hint = answer.text_at("error_data.hint");
                    let told = json!({
                        "error_code": 42, "error_name": "DuplicatedError",
                        "message": format!("The account {name} is duplicated"),
                        "error_data": {"type": "account", "key": name, "name": "DUPLICATED_ACCOUNT", "hint": hint},
                    });
                    assert_eq!(answer.body, told);
                    hints.insert((kind, hint));
                }
            }
        }
        // A database's name is its organization's alone.
        let name = &two[1].databases[1].1;
        app.add_database(&two[0].owner, name).await;
        let after = seen(&app, &two).await;
        assert_eq!(before[1], after[1]);
        assert_eq!(before[0][0], after[0][0], "nobody was made");
        assert_eq!(hints.len(), 2, "one for people and one for programs: {hints:?}");
        assert_eq!(
            app.sql_count("select count(*) from outbox_messages").await,
            mails,
            "somebody was written to"
        );
    }
}

/// The names of an answer's headers.
fn kinds(answer: &Answer) -> BTreeSet<String> {
    answer.headers.keys().map(ToString::to_string).collect()
}
