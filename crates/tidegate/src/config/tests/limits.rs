//! Limits: the keys that a refused request names to the operator, and what development raises.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, ApplicationId, ChallengeId, OrganizationId};
use tidegate_domain::{EmailAddress, PhoneNumber};
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::limit_key::of_contract;
use tidegate_kernel::throttle::Counted;
use uuid::Uuid;

use super::{Config, Desk};
use crate::config::load::Flags;
use crate::config::schema::{Kept, Schema};

/// The place of each kind in [`every_kind`]: a new one does not compile before it is here, and is missed before it is there.
fn number(counted: &Counted<'_>) -> usize {
    match counted {
        Counted::SignUpByIp => 0,
        Counted::SignInByIp => 1,
        Counted::SignInByLogin(_) => 2,
        Counted::FailedSignIn(_) => 3,
        Counted::FailedPasswordByLogin(_) => 4,
        Counted::FailedPasswordFromKnownNetwork(_) => 5,
        Counted::FailedCodeByNetwork => 6,
        Counted::FailedCodeByAccount(_) => 7,
        Counted::FailedCodeOfChallenge(_) => 8,
        Counted::FailedPhoneCode(_) => 9,
        Counted::FailedPhoneCodeFromKnownNetwork(_) => 10,
        Counted::Factor(CountedFactor::WrongInARow(..)) => 11,
        Counted::Factor(CountedFactor::WrongInARowFromKnownNetwork(..)) => 12,
        Counted::Factor(CountedFactor::WrongFromKnownNetwork(_)) => 13,
        Counted::Factor(CountedFactor::Sent(..)) => 14,
        Counted::PasskeyChallengesByIp => 15,
        Counted::SocialRequestsByIp => 16,
        Counted::SocialSignInByIp => 17,
        Counted::ForgotPasswordByIp => 18,
        Counted::ForgotPasswordByEmail(_) => 19,
        Counted::ResendByAccount(_) => 20,
        Counted::MailsByEmail(_) => 21,
        Counted::NoticesByAccount(_) => 22,
        Counted::EmailChangeByAccount(_) => 23,
        Counted::EmailChangeByEmail(_) => 24,
        Counted::CodesAtOnceByPhone(_) => 25,
        Counted::CodesByPhone(_) => 26,
        Counted::CodesByIp => 27,
        Counted::RegistrationsByPrefix(_) => 28,
        Counted::PasswordsSetByAccount(_) => 29,
        Counted::PasswordsSetByOrganization(_) => 30,
        Counted::PasswordsSetByNetwork => 31,
        Counted::Client(CountedClient::FailedByNetwork) => 32,
        Counted::Client(CountedClient::FailedSecret(_)) => 33,
        Counted::Client(CountedClient::Codes(_)) => 34,
        Counted::Client(CountedClient::DeviceRequests) => 35,
        Counted::Client(CountedClient::UserCodesByAccount(_)) => 36,
        Counted::Client(CountedClient::UserCodesByNetwork) => 37,
        Counted::Client(CountedClient::UserCodes) => 38,
        Counted::Client(CountedClient::Registrations) => 39,
        Counted::MessagesByRecipient(_) => 40,
        Counted::MessagesByNetwork => 41,
        Counted::MessagesByAccount(_) => 42,
        Counted::MessagesByOrganization(_) => 43,
    }
}

/// What can be counted, each once.
fn every_kind<'a>(login: &'a LoginName, email: &'a EmailAddress, phone: &'a PhoneNumber) -> Vec<Counted<'a>> {
    let (account, organization) = (AccountId(Uuid::nil()), OrganizationId(Uuid::nil()));
    let (factor, client) = (Counted::Factor, Counted::Client);
    vec![
        Counted::SignUpByIp,
        Counted::SignInByIp,
        Counted::SignInByLogin(login),
        Counted::FailedSignIn(login),
        Counted::FailedPasswordByLogin(login),
        Counted::FailedPasswordFromKnownNetwork(login),
        Counted::FailedCodeByNetwork,
        Counted::FailedCodeByAccount(account),
        Counted::FailedCodeOfChallenge(ChallengeId(Uuid::nil())),
        Counted::FailedPhoneCode(login),
        Counted::FailedPhoneCodeFromKnownNetwork(login),
        factor(CountedFactor::WrongInARow(account, FactorUse::SignIn)),
        factor(CountedFactor::WrongInARowFromKnownNetwork(account, FactorUse::SignIn)),
        factor(CountedFactor::WrongFromKnownNetwork(account)),
        factor(CountedFactor::Sent(account, FactorUse::SignIn)),
        Counted::PasskeyChallengesByIp,
        Counted::SocialRequestsByIp,
        Counted::SocialSignInByIp,
        Counted::ForgotPasswordByIp,
        Counted::ForgotPasswordByEmail(email),
        Counted::ResendByAccount(account),
        Counted::MailsByEmail(email),
        Counted::NoticesByAccount(account),
        Counted::EmailChangeByAccount(account),
        Counted::EmailChangeByEmail(email),
        Counted::CodesAtOnceByPhone(phone),
        Counted::CodesByPhone(phone),
        Counted::CodesByIp,
        Counted::RegistrationsByPrefix(phone),
        Counted::PasswordsSetByAccount(account),
        Counted::PasswordsSetByOrganization(organization),
        Counted::PasswordsSetByNetwork,
        client(CountedClient::FailedByNetwork),
        client(CountedClient::FailedSecret(ApplicationId(Uuid::nil()))),
        client(CountedClient::Codes(account)),
        client(CountedClient::DeviceRequests),
        client(CountedClient::UserCodesByAccount(account)),
        client(CountedClient::UserCodesByNetwork),
        client(CountedClient::UserCodes),
        client(CountedClient::Registrations),
        Counted::MessagesByRecipient(""),
        Counted::MessagesByNetwork,
        Counted::MessagesByAccount(account),
        Counted::MessagesByOrganization(organization),
    ]
}

/// Why a limit that was met has no key: nobody can change it.
const FIXED: &str = "none: five wrong codes, which is not configurable";

#[test]
fn every_key_that_a_429_names_is_a_key() {
    let keys: BTreeSet<String> = Schema::new().unwrap().keys().iter().map(|key| key.join(".")).collect();
    let email = EmailAddress::parse("ada@example.com").unwrap();
    let (login, phone) =
        (LoginName::from(email.clone()), PhoneNumber::from_stored("+254712345678".to_owned()));
    let kinds = every_kind(&login, &email, &phone);
    assert!(kinds.iter().map(number).eq(0..kinds.len()));
    let settings = Desk::new().load().config.identity_settings("http://here").unwrap();
    let profiles = settings.contracts.iter().chain([&settings.browser, &settings.oauth.profile]);
    let mut named = 0;
    for profile in profiles {
        let contract = profile.contract.as_str();
        let limits = serde_json::to_value(&profile.limits).unwrap();
        let of_requests = ["anonymous_requests", "authenticated_requests", "requests_by_organization"];
        let of_requests = of_requests.map(|name| of_contract(contract, name));
        for key in kinds.iter().map(|counted| counted.limit_key(contract)).chain(of_requests) {
            if keys.contains(&key) || key == FIXED {
                named += 1;
                continue;
            }
            // A limit that this contract does not have, and nobody can give it, is met by no request.
            let name = key
                .strip_prefix(&of_contract(contract, ""))
                .unwrap_or_else(|| panic!("there is no key {key}"));
            assert_eq!(limits.get(name), Some(&Json::Null), "there is no key {key}");
        }
    }
    assert!(named > 150, "{named}");
    // What features count by themselves.
    for key in metered_keys() {
        assert!(keys.contains(&key), "there is no key {key}");
    }
}

/// The keys that the source of features gives to [`Kernel::meter`](tidegate_kernel::Kernel::meter).
fn metered_keys() -> Vec<String> {
    let source = include_str!("../../../../brokerage/src/brokerage.rs");
    let keys = source.split("let key = \"").skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned());
    let keys: Vec<String> = keys.collect();
    assert!(!keys.is_empty(), "the brokerage counts nothing");
    keys
}

/// The limits of a configuration: the attempts of each that there is, and whether development keeps it.
fn attempts(config: &Config) -> Vec<(String, u64, Kept)> {
    let (schema, written) = (Schema::new().unwrap(), config.written().unwrap());
    let keys = schema.keys();
    let limits = keys.iter().filter_map(|path| {
        let kept = schema.find(path)?.limit()?;
        let attempts = written.pointer(&format!("/{}/attempts", path.join("/")))?.as_u64()?;
        Some((path.join("."), attempts, kept))
    });
    limits.collect()
}

#[test]
fn development_raises_every_limit_a_hundredfold_but_those_that_are_kept() {
    let with = |dev: bool, limits: bool| {
        let mut desk = Desk::new();
        desk.flags = Flags { dev, limits, ..Flags::default() };
        desk.load().config
    };
    // Of a command beside such a server, which is in all else as ever.
    let mut desk = Desk::new();
    desk.flags = Flags { raised: true, ..Flags::default() };
    let beside = desk.load().config;
    assert!(attempts(&beside) == attempts(&with(true, false)) && !beside.dev);
    let plain = attempts(&with(false, false));
    assert!(plain == attempts(&with(true, true)), "with --limits they are as ever");
    assert!(plain.len() > 40, "{}", plain.len());
    let mut kept = Vec::new();
    for ((key, before, is_kept), (_, raised, _)) in plain.iter().zip(attempts(&with(true, false))) {
        if is_kept.0 {
            kept.push(key.as_str());
        }
        assert_eq!(raised, before * if is_kept.0 { 1 } else { 100 }, "{key}");
    }
    // Against guessing, for which a developer has no use either.
    assert!(
        kept.contains(&"failed_passwords_by_account") && kept.contains(&"failed_codes_by_account"),
        "{kept:?}"
    );
    assert!(kept.len() < 12, "{kept:?}");
    assert!(!kept.iter().any(|key| key.contains("sign_in_by") || key.contains("sign_up_by")), "{kept:?}");
}
