//! Rules are read, and checked against the relations they are about.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tidegate_database::Unit;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::text::nearest;
use tidegate_kernel::Fault;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_policy::{PolicyType, Relation, RuleError, RuleKind, RuleType};

use super::error::PolicyRefusal;
use super::lacking::{ReadAttributes, of_quotes};
use super::native::declared;
use super::places::{of_elsewhere, of_place, of_schema};
use super::policy::{NewRule, Targets};
use crate::hooks::{KnownPlaces, KnownRelation, KnownSource, SourceRelations};
use crate::work::Acting;

/// How many points of a name may end its source or its schema: each is another look for tables.
const MOST_POINTS: usize = 3;

/// Most warnings that are told.
const MOST_WARNINGS: usize = 200;

/// Data sources that a policy is about.
struct Scope {
    sources: Vec<KnownSource>,
    /// Whether it names them, so that each of them is meant.
    is_named: bool,
}

impl Acting<'_> {
    /// Refuses rules that mean nothing or could not be enforced. Answers what is right but does less, or other, than it says.
    pub(super) async fn check_rules(
        &mut self,
        kind: PolicyType,
        rules: &[NewRule],
        workspace: Option<i64>,
        targets: &[Targets],
    ) -> Outcome<Vec<String>, PolicyRefusal> {
        let organization = self.grant.organization();
        let known = self.app.sources.sources(&mut self.unit, organization).await?;
        let scope = scope_of(known, workspace, targets);
        let mut warnings = Vec::new();
        let mut called = Called::default();
        let mut attributes = ReadAttributes::default();
        for (place, rule) in rules.iter().enumerate() {
            if !kind.has(rule.kind) {
                let (policy, rule) = (kind.as_str(), rule.kind.as_str());
                return refuse(PolicyRefusal::WrongRule { place, policy, rule });
            }
            let bad = |error: RuleError| PolicyRefusal::BadRule { place, error };
            let read = match read(rule) {
                Ok(read) => read,
                Err(error) => return refuse(bad(error)),
            };
            let (sources, rule) = (self.app.sources.as_ref(), (rule.kind, &read));
            let told = check(&mut self.unit, (sources, organization), &scope, &mut called, rule).await?;
            match told {
                Ok(told) => warnings.extend(told.into_iter().map(|text| format!("rules[{place}]: {text}"))),
                Err(error) => return refuse(bad(error)),
            }
            warnings.extend(of_quotes(place, &read));
            attributes.note(place, &read);
        }
        warnings.extend(self.lacking(&attributes).await?);
        warnings.truncate(MOST_WARNINGS);
        Ok(warnings)
    }
}

/// The meaning of a rule.
fn read(rule: &NewRule) -> Result<RuleKind, RuleError> {
    let wrong = || RuleError { field: "rule_config".to_owned(), message: "must be an object".to_owned() };
    let config: Map<String, Value> = serde_json::from_str(rule.config.as_str()).map_err(|_| wrong())?;
    RuleKind::parse(rule.kind, &config)
}

/// Assignments are alternatives: only if each of them names a data source are others not meant.
fn scope_of(known: Vec<KnownSource>, workspace: Option<i64>, targets: &[Targets]) -> Scope {
    let is_named = !targets.is_empty() && targets.iter().all(|targets| targets.data_source.is_some());
    let is_meant = |source: &KnownSource| match (is_named, targets.is_empty(), workspace) {
        (true, ..) => targets.iter().any(|targets| targets.data_source == Some(source.number)),
        (false, true, Some(workspace)) => source.workspace == workspace,
        _ => true,
    };
    Scope { sources: known.into_iter().filter(is_meant).collect(), is_named }
}

/// Names that are no tables' and looked for among data sources and schemas, while a policy's rules are checked: each is a look at all tables.
const MOST_PLACES: usize = 10;

/// Most columns of relations that are remembered while a policy's rules are checked.
const MOST_COLUMNS: usize = 200_000;

/// Relations by the names in rules, in small letters: the rules of a policy are often about the same.
#[derive(Default)]
struct Called {
    relations: HashMap<String, Vec<KnownRelation>>,
    columns: usize,
    /// Names of all of them, once one is called that there is not.
    tables: Option<Vec<String>>,
    /// What was looked for among data sources and schemas.
    places: HashMap<String, KnownPlaces>,
}

impl Called {
    /// The tables of what is called so among data sources and schemas that the policy is about. None where it was not looked for.
    async fn places(
        &mut self,
        unit: &mut Unit,
        (sources, organization): (&dyn SourceRelations, OrganizationId),
        scope: &Scope,
        name: &str,
    ) -> Result<Option<&KnownPlaces>, Fault> {
        if !self.places.contains_key(name) && self.places.len() < MOST_PLACES {
            let mut places = sources.places(unit, organization, name).await?;
            places.tables.retain(|place| scope.sources.iter().any(|source| source.number == place.source));
            self.places.insert(name.to_owned(), places);
        }
        Ok(self.places.get(name))
    }

    fn remember(&mut self, table: String, found: Vec<KnownRelation>) {
        let columns = found.iter().map(|relation| relation.columns.len()).sum::<usize>();
        if self.columns + columns > MOST_COLUMNS {
            self.relations.clear();
            self.columns = 0;
        }
        self.columns += columns;
        self.relations.insert(table, found);
    }
}

type Checked = Result<Vec<String>, RuleError>;

async fn check(
    unit: &mut Unit,
    (sources, organization): (&dyn SourceRelations, OrganizationId),
    scope: &Scope,
    called: &mut Called,
    (kind, rule): (RuleType, &RuleKind),
) -> Result<Checked, Fault> {
    let (schema, table) = rule.place();
    let Some(table) = table.filter(|table| *table != "*") else {
        let Some(schema) = schema.filter(|schema| *schema != "*") else { return Ok(Ok(Vec::new())) };
        let places = called.places(unit, (sources, organization), scope, schema).await?;
        // Of more than were looked at, the schema may be one.
        let whole = places.filter(|places| places.is_whole);
        let told = whole.and_then(|places| of_schema(schema, kind.does(), &places.tables));
        return Ok(Ok(told.into_iter().collect()));
    };
    // Of other names the store does not know all capitals.
    let name = if table.is_ascii() { table.to_ascii_lowercase() } else { table.to_owned() };
    if !called.relations.contains_key(&name) {
        let found = relations_called(unit, sources, organization, table).await?;
        called.remember(name.clone(), found);
    }
    if called.relations.get(&name).is_none_or(Vec::is_empty) && called.tables.is_none() {
        called.tables = Some(sources.tables(unit, organization).await?);
    }
    let known = called.relations.get(&name).map(Vec::as_slice).unwrap_or_default();
    let meant =
        |relation: &&KnownRelation| scope.sources.iter().any(|source| source.number == relation.source);
    let found: Vec<Relation> =
        known.iter().filter(meant).map(declared).filter(|relation| rule.concerns(relation)).collect();
    let elsewhere = of_elsewhere(table, kind.does(), (known.iter().find(meant), known.first()));
    let mut judged = judge(scope, rule, table, &found);
    if let Ok(told) = &mut judged
        && found.is_empty()
    {
        let places = called.places(unit, (sources, organization), scope, table).await?;
        let misplaced = places.and_then(|places| of_place(table, kind.does(), &places.tables));
        let misplaced = misplaced.or(elsewhere);
        let tables = called.tables.iter().flatten().map(String::as_str);
        told.push(misplaced.unwrap_or_else(|| of_no_table(table, kind.does(), nearest(table, tables))));
    }
    Ok(judged)
}

/// A rule that is about nothing yet. It is kept: rules may be written before their tables are discovered.
fn of_no_table(table: &str, does: &str, nearest: Option<&str>) -> String {
    let near = nearest.filter(|near| !near.eq_ignore_ascii_case(table));
    let hint = near.map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
    format!(
        "no table \"{table}\" is known{hint} Until there is one, this rule {does} nothing; it holds as soon as there is one."
    )
}

fn judge(scope: &Scope, rule: &RuleKind, table: &str, found: &[Relation]) -> Checked {
    let mut told = Vec::new();
    let mut first = None;
    let mut fits = 0;
    for relation in found {
        match rule.check(relation) {
            Ok(note) => {
                fits += 1;
                told.extend(note);
            }
            Err(error) => {
                told.push(format!(
                    "does not fit {} of data source {}, which it denies: {}",
                    relation.table, relation.source, error.message
                ));
                first.get_or_insert(error);
            }
        }
    }
    if let Some(error) = first.filter(|_| scope.is_named || fits == 0) {
        return Err(error);
    }
    let lacking: Vec<&KnownSource> = scope
        .sources
        .iter()
        .filter(|source| !found.iter().any(|relation| relation.source == source.number))
        .collect();
    if scope.is_named
        && let Some(source) = lacking.iter().find(|source| source.is_discovered)
    {
        let message = format!("data source {} has no table {table}", source.number);
        return Err(RuleError { field: "rule_config.table".to_owned(), message });
    }
    if !found.is_empty() && scope.is_named && !lacking.is_empty() {
        told.push(
            "not all of its data sources were discovered, so that the rule is checked when they are read"
                .into(),
        );
    }
    told.dedup();
    Ok(told)
}

/// Discovered relations that a rule may call so: the name may have its schema before it, or a point in itself.
pub(crate) async fn relations_called(
    unit: &mut Unit,
    sources: &dyn SourceRelations,
    organization: OrganizationId,
    table: &str,
) -> Result<Vec<KnownRelation>, Fault> {
    let mut known = sources.relations(unit, organization, table).await?;
    for (place, _) in table.match_indices('.').take(MOST_POINTS) {
        if let Some(rest) = table.get(place + 1..).filter(|rest| !rest.is_empty()) {
            known.extend(sources.relations(unit, organization, rest).await?);
        }
    }
    Ok(known)
}
