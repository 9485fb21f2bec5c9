//! People who use the server all at once, and remember what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::installation::{Installation, Server};

/// Connections of each kind. All who sign up together are fewer than the passwords that may wait to be hashed.
const OF_EACH_KIND: usize = 6;
const PASSWORD: &str = "Correct1horse";

/// Tells the people of one server from those of the next.
static CROWDS: AtomicU32 = AtomicU32::new(0);

/// Everybody.
pub(crate) struct People {
    crowd: u32,
    newcomers: Vec<Newcomers>,
    regulars: Vec<Regular>,
}

/// People under way.
pub(crate) struct Load {
    crowd: u32,
    newcomers: JoinSet<Newcomers>,
    regulars: JoinSet<Regular>,
}

/// The contract people sign up through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contract {
    Rivergen,
    Ingestiq,
}

/// People who sign up, one after another.
struct Newcomers {
    name: String,
    contract: Contract,
    sign_ups: Vec<SignUp>,
    /// How many of them were looked for after a kill.
    found: usize,
}

/// Somebody who signed up or tried to.
struct SignUp {
    email: String,
    /// What they were answered, if they were.
    answer: Option<Value>,
    /// Mails promised to them.
    mails: usize,
}

/// Somebody who refreshes a session over and over.
struct Regular {
    email: String,
    refresh_token: String,
    /// Refreshes answered.
    refreshed: i64,
}

/// Talks to a server.
#[derive(Clone)]
struct Talk {
    http: reqwest::Client,
    base: String,
}

impl Talk {
    fn to(server: &Server) -> Self {
        Self { http: reqwest::Client::new(), base: server.base.clone() }
    }

    /// The whole answer; none when the server is gone before all of it arrived.
    async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let response = self.http.post(format!("{}{path}", self.base)).json(body).send().await.ok()?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap()))
    }

    /// An answer that must come, with `status`.
    async fn expect(&self, status: u16, path: &str, body: &Value) -> Value {
        let (found, answer) = self.post(path, body).await.expect("a server that answers");
        assert_eq!(found, status, "{path} {body}: {answer}");
        answer
    }

    async fn sign_in(&self, contract: Contract, email: &str) -> Value {
        let path = format!("{}/auth/login", contract.base());
        self.expect(200, &path, &json!({ "email": email, "password": PASSWORD })).await
    }

    /// None when the server is gone.
    async fn refresh(&self, refresh_token: &str) -> Option<String> {
        let body = json!({ "refreshToken": refresh_token });
        let (status, answer) = self.post("/api/v2/auth/refresh", &body).await?;
        assert_eq!(status, 200, "{answer}");
        Some(text(&answer, "/refreshToken"))
    }
}

impl Contract {
    fn base(self) -> &'static str {
        match self {
            Self::Rivergen => "/api/v1",
            Self::Ingestiq => "/api/v2",
        }
    }

    async fn sign_up(self, talk: &Talk, email: &str) -> Option<(u16, Value)> {
        match self {
            // Whoever is not answered tries again with the same key.
            Self::Rivergen => {
                let body = json!({ "email": email, "password": PASSWORD, "idempotency_key": email });
                talk.post("/api/v1/auth/signup", &body).await
            }
            Self::Ingestiq => {
                let body = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
                talk.post("/api/v2/auth/register", &body).await
            }
        }
    }

    /// Mails that signing up causes.
    fn mails(self) -> usize {
        match self {
            Self::Rivergen => 1,
            Self::Ingestiq => 0,
        }
    }
}

impl People {
    /// A crowd that the server does not know yet; its regulars sign up.
    pub(crate) async fn come(server: &Server) -> Self {
        let crowd = CROWDS.fetch_add(1, Ordering::Relaxed);
        let newcomers = [Contract::Rivergen, Contract::Ingestiq].into_iter().flat_map(|contract| {
            (0..OF_EACH_KIND).map(move |place| Newcomers {
                name: format!("{contract:?}-{place}").to_lowercase(),
                contract,
                sign_ups: Vec::new(),
                found: 0,
            })
        });
        let mut regulars = Vec::new();
        for place in 0..OF_EACH_KIND {
            let email = format!("regular-{place}@crowd{crowd}.example");
            let (status, answer) = Contract::Ingestiq.sign_up(&Talk::to(server), &email).await.unwrap();
            assert_eq!(status, 201, "{answer}");
            regulars.push(Regular { email, refresh_token: text(&answer, "/refreshToken"), refreshed: 0 });
        }
        Self { crowd, newcomers: newcomers.collect(), regulars }
    }

    /// Sends everybody to the server.
    pub(crate) fn busy(self, server: &Server) -> Load {
        let mut load = Load { crowd: self.crowd, newcomers: JoinSet::new(), regulars: JoinSet::new() };
        for newcomers in self.newcomers {
            load.newcomers.spawn(newcomers.sign_up(Talk::to(server), self.crowd));
        }
        for regular in self.regulars {
            load.regulars.spawn(regular.stay(Talk::to(server)));
        }
        load
    }

    /// Looks for everything anybody was told, and goes on with it.
    ///
    /// # Panics
    /// When something is missing.
    pub(crate) async fn find_everything(&mut self, here: &Installation, server: &Server) {
        let talk = Talk::to(server);
        let known: BTreeSet<String> =
            here.database.sql_texts("select value from identifiers").await.into_iter().collect();
        let mut mails: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for mail in here.outbox() {
            mails.entry(text(&mail, "/to")).or_default().push(mail);
        }
        for newcomers in &mut self.newcomers {
            for sign_up in &newcomers.sign_ups {
                let here = known.contains(&sign_up.email);
                let promised = if here { sign_up.mails.max(newcomers.contract.mails()) } else { 0 };
                assert!(here || sign_up.answer.is_none(), "{} is not there", sign_up.email);
                assert_eq!(mails.get(&sign_up.email).map_or(0, Vec::len), promised, "{}", sign_up.email);
            }
            newcomers.go_on(&talk, &mails).await;
        }
        for regular in &mut self.regulars {
            // The one they hold, whether or not the server had exchanged it when it was killed, and the next one.
            for _ in 0..2 {
                regular.refresh_token = talk.refresh(&regular.refresh_token).await.unwrap();
            }
        }
    }

    /// Looks for anything done that nobody was told.
    ///
    /// # Panics
    /// When there is something.
    pub(crate) async fn did_only_what_was_answered(&self, here: &Installation) {
        let theirs = format!("value like '%@crowd{}.example'", self.crowd);
        let done = here.database.sql_texts(&format!("select value from identifiers where {theirs}")).await;
        let answered = self
            .newcomers
            .iter()
            .flat_map(|newcomers| &newcomers.sign_ups)
            .filter(|sign_up| sign_up.answer.is_some())
            .map(|sign_up| &sign_up.email);
        let answered: BTreeSet<&String> = answered.chain(self.regulars.iter().map(|r| &r.email)).collect();
        assert_eq!(done.iter().collect::<BTreeSet<_>>(), answered);
        for Regular { email, refreshed, .. } in &self.regulars {
            let query = format!(
                "select count(*) from refresh_tokens t join sessions s on s.id = t.session_id
                 join identifiers i on i.account_id = s.account_id where i.value = '{email}'"
            );
            assert_eq!(here.database.sql_count(&query).await, refreshed + 1, "{email}");
        }
    }
}

impl Load {
    /// Lets everybody go on until the server is gone.
    ///
    /// # Panics
    /// When somebody was answered what they should not have been.
    pub(crate) async fn until_nobody_answers(self) -> People {
        let newcomers = self.newcomers.join_all().await;
        let regulars = self.regulars.join_all().await;
        // Otherwise nothing was tested.
        assert!(newcomers.iter().any(|newcomers| newcomers.sign_ups.len() > newcomers.found));
        assert!(regulars.iter().any(|regular| regular.refreshed > 0));
        People { crowd: self.crowd, newcomers, regulars }
    }
}

impl Newcomers {
    async fn sign_up(mut self, talk: Talk, crowd: u32) -> Self {
        loop {
            let email = format!("{}-{}@crowd{crowd}.example", self.name, self.sign_ups.len());
            let answered = self.contract.sign_up(&talk, &email).await;
            let mut sign_up = SignUp { email, answer: None, mails: 0 };
            if let Some((status, answer)) = answered {
                assert_eq!(status, 201, "{answer}");
                sign_up.mails = self.contract.mails();
                sign_up.answer = Some(answer);
            }
            let gone = sign_up.answer.is_none();
            self.sign_ups.push(sign_up);
            if gone {
                return self;
            }
        }
    }

    /// Does the next step with every account that is new.
    async fn go_on(&mut self, talk: &Talk, mails: &BTreeMap<String, Vec<Value>>) {
        for (place, sign_up) in self.sign_ups.iter_mut().enumerate().skip(self.found) {
            let SignUp { email, answer, mails: promised } = sign_up;
            match (self.contract, &answer) {
                (Contract::Rivergen, None) => {
                    // Trying again with the same key works, whether or not it had been done already.
                    let (status, again) = self.contract.sign_up(talk, email).await.unwrap();
                    assert_eq!(status, 201, "{again}");
                    (*answer, *promised) = (Some(again), 1);
                }
                (Contract::Rivergen, Some(answer)) if place % 2 == 0 => {
                    let code = text(&mails[email][0], "/code");
                    let token = text(answer, "/data/temporary_token");
                    let body = json!({ "temporary_token": token, "otp_code": code });
                    talk.expect(200, "/api/v1/auth/verify-otp", &body).await;
                }
                (Contract::Rivergen, Some(_)) => {
                    let answer = talk.sign_in(self.contract, email).await;
                    assert_eq!(answer["data"]["email_verification_required"], true, "{answer}");
                    *promised += 1;
                }
                (Contract::Ingestiq, None) => {
                    // The contract has no such key: either it was done, or it can be done now.
                    let (status, again) = self.contract.sign_up(talk, email).await.unwrap();
                    assert!(status == 201 || status == 409, "{again}");
                    *answer = Some(talk.sign_in(self.contract, email).await);
                }
                (Contract::Ingestiq, Some(answer)) => {
                    talk.sign_in(self.contract, email).await;
                    talk.refresh(&text(answer, "/refreshToken")).await.unwrap();
                }
            }
        }
        self.found = self.sign_ups.len();
    }
}

impl Regular {
    async fn stay(mut self, talk: Talk) -> Self {
        while let Some(refresh_token) = talk.refresh(&self.refresh_token).await {
            self.refresh_token = refresh_token;
            self.refreshed += 1;
        }
        self
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}
