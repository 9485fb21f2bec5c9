//! What differs in the contracts: a table for each that the registry of contracts lists, with the numbers of its profile.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tidegate_domain::{ContractId, ContractProfile, ContractProfiles};
use tidegate_http::{Configuration, Contract, contracts};

use super::Config;

/// The profiles of the contracts that are configured by them.
#[derive(Clone, Debug)]
pub(crate) struct Contracts(Vec<ContractProfile>);

impl Default for Contracts {
    fn default() -> Self {
        Self(configurable().map(|contract| (contract.profile)()).collect())
    }
}

fn configurable() -> impl Iterator<Item = &'static Contract> {
    contracts().iter().copied().filter(|contract| contract.configuration == Configuration::Profile)
}

impl Contracts {
    /// The profile of a contract, where that is how it is configured.
    pub(crate) fn of(&self, contract: ContractId) -> Option<&ContractProfile> {
        self.iter().find(|profile| profile.contract == contract)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ContractProfile> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ContractProfile> {
        self.0.iter_mut()
    }

    /// The tables, by name.
    pub(super) fn written(&self) -> serde_json::Result<Value> {
        let tables =
            self.iter().map(|profile| Ok((profile.contract.to_string(), serde_json::to_value(profile)?)));
        tables.collect::<serde_json::Result<Map<_, _>>>().map(Value::Object)
    }
}

impl<'de> Deserialize<'de> for Contracts {
    /// Reads the contracts' tables of a whole configuration and leaves the rest to others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tables)
    }
}

struct Tables;

impl<'de> Visitor<'de> for Tables {
    type Value = Contracts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<Contracts, A::Error> {
        let mut profiles = Contracts::default();
        while let Some(name) = tables.next_key::<String>()? {
            match profiles.iter_mut().find(|profile| profile.contract.as_str() == name) {
                Some(profile) => *profile = tables.next_value::<ContractProfile>()?.configured(profile),
                None => {
                    let IgnoredAny = tables.next_value()?;
                }
            }
        }
        Ok(profiles)
    }
}

impl Config {
    /// The profile of every contract that is served.
    pub(crate) fn contract_profiles(&self) -> ContractProfiles {
        let profile = |contract: &&Contract| match self.contracts.of(contract.id) {
            Some(profile) => profile.clone(),
            None if contract.id == ContractId::RIVEN => self.riven.profile(),
            None => (contract.profile)(),
        };
        contracts().iter().map(profile).collect()
    }
}
