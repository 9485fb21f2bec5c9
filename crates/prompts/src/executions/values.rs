//! Values that a question may name: those that its person sees in columns of text, looked up by governed queries.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use futures_util::{StreamExt, stream};
use lru::LruCache;
use tokio::time::{Instant, timeout};

use super::run::Task;
use crate::Prompts;
use crate::ports::{KnownValues, Purpose, QueryFailure, QueryRequest, RecordGroup, Relation, quoted};

/// Answers that a node remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);
/// For how long.
const FRESH: Duration = Duration::from_secs(300);
/// Relations that are looked into, and columns of each.
const RELATIONS: usize = 30;
const COLUMNS: usize = 12;
/// Values of a column: one that has more is no list of names.
const VALUES: usize = 2_000;
/// Values of all together.
const ALL: usize = 20_000;
/// Longest value, in bytes: longer ones are not what people type.
const LONGEST: usize = 100;
/// Longest time for all lookups of a question.
const PATIENCE: Duration = Duration::from_secs(3);
/// Lookups at the same time.
const AT_ONCE: usize = 2;

/// When values were looked up, and they.
type LookedUp = (Instant, Arc<Vec<KnownValues>>);

/// Values by what stands for all that decides what somebody sees: nobody gets those of another.
pub(crate) struct ValueCache(Mutex<LruCache<String, LookedUp>>);

impl ValueCache {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::sparse(REMEMBERED)))
    }

    fn get(&self, key: &str) -> Option<Arc<Vec<KnownValues>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, values) = all.get(key)?;
        (since.elapsed() < FRESH).then(|| Arc::clone(values))
    }

    fn put(&self, key: String, values: &Arc<Vec<KnownValues>>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.put(key, (Instant::now(), Arc::clone(values)));
    }
}

/// Whether a column holds text, by the name of its type.
fn is_text(type_name: &str) -> bool {
    let name = type_name.to_ascii_lowercase();
    ["char", "text", "string", "enum", "utf8", "clob"].iter().any(|word| name.contains(word))
}

/// What stands for the places of relations and columns, which values are known by: a discovery may change them.
fn places(relations: &[Relation]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for relation in relations {
        (&relation.source, &relation.schema, &relation.table).hash(&mut hasher);
        relation.columns.iter().for_each(|column| column.name.hash(&mut hasher));
    }
    hasher.finish()
}

impl Prompts {
    /// The values that the person sees in columns of text, as far as they can be looked up in a moment.
    pub(super) async fn known_values(&self, task: &Task, relations: &[Relation]) -> Arc<Vec<KnownValues>> {
        let (workspace, sources) = (task.new.workspace, &task.new.sources);
        let fingerprint = self.ports.queries.fingerprint(&task.actor, workspace, sources).await;
        let Ok(fingerprint) = fingerprint else { return Arc::default() };
        let key = fingerprint.map(|key| {
            let account = task.person.account;
            format!("{account} {key} {workspace:?} {}", places(relations))
        });
        if let Some(known) = key.as_deref().and_then(|key| self.values.get(key)) {
            return known;
        }
        let columns: Vec<(usize, usize)> = relations
            .iter()
            .take(RELATIONS)
            .enumerate()
            .flat_map(|(place, relation)| {
                let texts =
                    relation.columns.iter().enumerate().filter(|(_, column)| is_text(&column.type_name));
                texts.take(COLUMNS).map(move |(column, _)| (place, column))
            })
            .collect();
        let (mut found, mut count, group) = (Vec::new(), 0, RecordGroup::default());
        let lookups = stream::iter(columns)
            .map(|(relation, column)| self.lookup(task, &group, relations, relation, column))
            .buffered(AT_ONCE);
        let all = async {
            let mut lookups = std::pin::pin!(lookups);
            while let Some(known) = lookups.next().await {
                let Some(known) = known.filter(|known| count + known.values.len() <= ALL) else { continue };
                count += known.values.len();
                found.push(known);
            }
        };
        // What was found until then is used; it is only remembered when it is all.
        let is_all = timeout(PATIENCE, all).await.is_ok();
        let found = Arc::new(found);
        if let Some(key) = key.filter(|_| is_all) {
            self.values.put(key, &found);
        }
        found
    }

    /// The values of one column; none where it has too many, or cannot be read.
    async fn lookup(
        &self,
        task: &Task,
        group: &RecordGroup,
        relations: &[Relation],
        relation: usize,
        column: usize,
    ) -> Option<KnownValues> {
        let of = relations.get(relation)?;
        let name = quoted(&of.columns.get(column)?.name);
        let sql = format!(
            "select distinct {name} from {} where {name} is not null limit {}",
            of.quoted(),
            VALUES + 1
        );
        let purpose =
            Purpose::Lookup { execution: task.number, ip: task.ip, group: RecordGroup::clone(group) };
        let request = QueryRequest { purpose, ..task.request(sql, Vec::new()) };
        let values = self.texts(request).await.ok()?;
        (values.len() <= VALUES).then_some(KnownValues { relation, column, values })
    }

    /// The first column of a result as texts.
    async fn texts(&self, request: QueryRequest) -> Result<Vec<String>, QueryFailure> {
        let mut answer = self.ports.queries.run(request).await?;
        let mut texts = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            let batch = batch?;
            let Some(column) = batch.columns().first() else { continue };
            let mut keep = |text: Option<&str>| texts.extend(text.map(str::to_owned));
            match column.data_type() {
                DataType::Utf8 => column.as_string::<i32>().iter().for_each(&mut keep),
                DataType::LargeUtf8 => column.as_string::<i64>().iter().for_each(&mut keep),
                DataType::Utf8View => column.as_string_view().iter().for_each(&mut keep),
                _ => return Ok(Vec::new()),
            }
        }
        // Long ones count, so that a column of them is too many; but nobody types them.
        if texts.len() <= VALUES {
            texts.retain(|text| text.len() <= LONGEST);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_text_are_known_by_their_types() {
        for text in ["text", "character varying(20)", "VARCHAR", "Utf8", "enum('a','b')"] {
            assert!(is_text(text), "{text}");
        }
        for other in ["integer", "double precision", "timestamp", "bytea", "boolean"] {
            assert!(!is_text(other), "{other}");
        }
    }
}
