//! What connections say: the same again, or a story whose next request depends on the last answer.

use serde_json::{Value, json};

use crate::Result;
use crate::load::Client;
use crate::wire::{Answer, get, post};

/// The password of all accounts here.
pub(crate) const PASSWORD: &str = "Correct1horse";

/// The address of the `number`-th seeded account.
pub(crate) fn email(number: u64) -> String {
    format!("person{number}@example.com")
}

/// A contract, as far as its paths and words go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    Rivergen,
    Ingestiq,
}

impl Contract {
    pub(crate) fn base(self) -> &'static str {
        match self {
            Self::Rivergen => "/api/v1",
            Self::Ingestiq => "/api/v2",
        }
    }

    /// Reads the tokens of a sign-in or a refresh: access, refresh.
    pub(crate) fn tokens(self, answer: &Value) -> Result<(String, String)> {
        let text = |pointer: &str| {
            let text = answer.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {answer}"))
        };
        Ok(match self {
            Self::Rivergen => (text("/data/access_token")?, text("/data/refresh_token")?),
            Self::Ingestiq => (text("/accessToken")?, text("/refreshToken")?),
        })
    }

    pub(crate) fn sign_in(self, email: &str) -> Vec<u8> {
        post(&format!("{}/auth/login", self.base()), &json!({ "email": email, "password": PASSWORD }))
    }

    fn refresh(self, token: &str) -> Vec<u8> {
        let name = match self {
            Self::Rivergen => "refresh_token",
            Self::Ingestiq => "refreshToken",
        };
        post(&format!("{}/auth/refresh", self.base()), &json!({ name: token }))
    }
}

/// Requests that need no state, in turn.
pub(crate) struct InTurn {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl InTurn {
    /// A client that asks for `path`, without a token or with each of `tokens` in turn.
    pub(crate) fn get(path: &str, tokens: &[String]) -> Self {
        let requests = match tokens {
            [] => vec![get(path, None)],
            tokens => tokens.iter().map(|token| get(path, Some(token))).collect(),
        };
        Self { requests, next: 0 }
    }
}

impl Client for InTurn {
    fn request(&mut self) -> Option<&[u8]> {
        let place = self.next % self.requests.len();
        self.next += 1;
        self.requests.get(place).map(Vec::as_slice)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

/// Walks a chain of refresh tokens, each the child of the one before.
pub(crate) struct Refreshing {
    contract: Contract,
    request: Vec<u8>,
}

impl Refreshing {
    pub(crate) fn new(contract: Contract, refresh_token: &str) -> Self {
        Self { contract, request: contract.refresh(refresh_token) }
    }
}

impl Client for Refreshing {
    fn request(&mut self) -> Option<&[u8]> {
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        let (_, refresh_token) = self.contract.tokens(&answer.json(200)?)?;
        self.request = self.contract.refresh(&refresh_token);
        Ok(())
    }
}

/// Signs in one seeded account after another, in an order without a pattern.
pub(crate) struct SigningIn {
    contract: Contract,
    accounts: u64,
    random: Random,
    request: Vec<u8>,
}

impl SigningIn {
    pub(crate) fn new(contract: Contract, accounts: u64, seed: u64) -> Self {
        Self { contract, accounts, random: Random(seed), request: Vec::new() }
    }
}

impl Client for SigningIn {
    fn request(&mut self) -> Option<&[u8]> {
        self.request = self.contract.sign_in(&email(self.random.below(self.accounts)));
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

/// Signs up one new person after another (RiverGen).
pub(crate) struct SigningUp {
    who: String,
    count: u64,
    request: Vec<u8>,
}

impl SigningUp {
    /// `who` must be another one for every client that ever signs up at the same server.
    pub(crate) fn new(who: String) -> Self {
        Self { who, count: 0, request: Vec::new() }
    }
}

impl Client for SigningUp {
    fn request(&mut self) -> Option<&[u8]> {
        self.count += 1;
        let email = format!("{}-{}@new.example.com", self.who, self.count);
        let body = json!({ "email": email, "password": PASSWORD, "display_name": "Somebody New" });
        self.request = post("/api/v1/auth/signup", &body);
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(201)
    }
}

/// SplitMix64: repeatable, and good enough to spread requests over accounts.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
