//! Kafka: topics are relations. What is read ends where the topic did when the reading began, so that it ends at all.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use arrow_schema::SchemaRef;

use crate::discovered::{Column, Discovered, Schema, Table, TableKind};
use crate::error::{ErrorCode, SourceError, quoted};
use crate::filter::Filter;
use crate::network::NetworkPolicy;
use crate::network::tls::{Tls, TlsMode};
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::Relation;
use crate::wire::scram::{Hash, Scram};
use crate::wire::server::{Driver, Out, Work};
use crate::wire::{Endpoint, not_signed_in};

mod plan;
mod records;
mod wire;

use plan::{Format, Plan, Position, Sample};
use records::{Batches, Next};
use wire::{EARLIEST, LATEST, Metadata, Wire};

/// The one schema.
const SCHEMA: &str = "main";
/// Messages from which the columns are learned, and partitions they are taken from.
const SAMPLE: usize = 1_000;
const SAMPLED: usize = 8;
/// Topics that discovery looks into; of others it tells the name.
const LOOKED_INTO: usize = 200;
/// Brokers connected to at once.
const MOST_BROKERS: usize = 50;

/// A cluster, reached by one of its brokers.
pub(crate) struct Kafka {
    endpoint: Endpoint,
    settings: Settings,
    mechanism: &'static str,
    format: Format,
    range: Range,
    unfit: Unfit,
}

/// What of every topic is read. Times are in milliseconds since 1970-01-01, ends are not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start_offset: Option<i64>,
    end_offset: Option<i64>,
    start_time: Option<i64>,
    end_time: Option<i64>,
}

impl Range {
    fn of(settings: &Settings) -> Result<Self, SourceError> {
        let offset = |name: &str| match settings.metadata.get(name) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => value.as_i64().filter(|offset| *offset >= 0).map(Some).ok_or_else(|| {
                SourceError::connection(format!("metadata.{name} must be a whole number from 0 on."))
            }),
        };
        let time = |name: &str| {
            let moment = settings.option(name)?.map(|text| {
                text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| {
                    SourceError::connection(format!(
                        "metadata.{name} must be a time such as 2024-01-31T00:00:00Z."
                    ))
                })
            });
            moment.transpose()
        };
        Ok(Self {
            start_offset: offset("start_offset")?,
            end_offset: offset("end_offset")?,
            start_time: time("start_time")?,
            end_time: time("end_time")?,
        })
    }

    fn holds(&self, timestamp: Option<i64>) -> bool {
        let from = self.start_time.is_none_or(|start| timestamp.is_some_and(|timestamp| timestamp >= start));
        let to = self.end_time.is_none_or(|end| timestamp.is_some_and(|timestamp| timestamp < end));
        from && to
    }
}

/// Connections to the brokers that were needed.
pub(crate) struct Conn {
    first: Wire,
    leaders: HashMap<(String, u16), Wire>,
}

/// A part of a topic that is read, from one offset to before another.
struct Part {
    partition: i32,
    leader: (String, u16),
    from: i64,
    to: i64,
}

const MECHANISMS: [&str; 5] = ["auto", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
/// What `auto` takes, the best first. The last shows the password to whoever listens, so it is taken within TLS alone.
const PREFERRED: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

impl Kafka {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let endpoint = Endpoint::open(settings, policy).await?;
        // Of each broker anew, by its own name; here to say at once what is wrong with the settings.
        Tls::from_the_start(settings, &endpoint.host, TlsMode::Disable)?;
        Ok(Self {
            mechanism: settings.choice("sasl_mechanism", &MECHANISMS)?,
            format: Format::parse(settings.choice("value_format", &["auto", "json", "text", "binary"])?),
            range: Range::of(settings)?,
            unfit: Unfit::of(settings)?,
            settings: settings.clone(),
            endpoint,
        })
    }

    /// A connection to a broker, signed in. Brokers name one another; each address is checked like the first.
    async fn broker(&self, host: &str, port: u16) -> Result<Wire, SourceError> {
        let signs_in =
            self.endpoint.credentials.password.is_some() || self.endpoint.credentials.oauth_token.is_some();
        let mut mechanism = match self.mechanism {
            "auto" if self.endpoint.credentials.oauth_token.is_some() => "OAUTHBEARER",
            "auto" => "SCRAM-SHA-512",
            given => given,
        };
        for _ in 0..2 {
            let tls = Tls::from_the_start(&self.settings, host, TlsMode::Disable)?;
            // As PLAIN shows a password to whoever listens, this shows the token (RFC 7628, section 4).
            if self.mechanism == "auto" && mechanism == "OAUTHBEARER" && tls.is_none() {
                return Err(unknown_mechanism());
            }
            let mut wire = Wire::new(self.endpoint.stream(host, port, tls.as_ref()).await?);
            if !signs_in {
                return Ok(wire);
            }
            match wire.handshake(mechanism).await? {
                Ok(()) => {
                    self.sign_in(&mut wire, mechanism).await.map_err(|error| self.redacted(error))?;
                    return Ok(wire);
                }
                // A broker that does not have it closes the connection.
                Err(known) if self.mechanism == "auto" => {
                    let usable = PREFERRED.into_iter().find(|name| {
                        known.iter().any(|known| known == name) && (*name != "PLAIN" || tls.is_some())
                    });
                    mechanism =
                        usable.filter(|_| mechanism != "OAUTHBEARER").ok_or_else(unknown_mechanism)?;
                }
                Err(_) => return Err(unknown_mechanism()),
            }
        }
        Err(unknown_mechanism())
    }

    fn redacted(&self, mut error: SourceError) -> SourceError {
        error.detail = self.endpoint.credentials.redact(&error.detail);
        error
    }

    async fn sign_in(&self, wire: &mut Wire, mechanism: &str) -> Result<(), SourceError> {
        let credentials = &self.endpoint.credentials;
        let hash = match mechanism {
            "OAUTHBEARER" => {
                let token = credentials.oauth_token.as_ref().ok_or_else(not_signed_in)?;
                let message =
                    zeroize::Zeroizing::new(format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", token.expose()));
                // A broker that does not like the token says why instead of nothing.
                let answer = wire.authenticate(message.as_bytes()).await?;
                return if answer.is_empty() { Ok(()) } else { Err(not_signed_in()) };
            }
            "SCRAM-SHA-256" => Some(Hash::Sha256),
            "SCRAM-SHA-512" => Some(Hash::Sha512),
            _ => None,
        };
        let user = self.endpoint.username.as_deref().ok_or_else(not_signed_in)?;
        let password = credentials.password.as_ref().ok_or_else(not_signed_in)?.expose();
        let Some(hash) = hash else {
            let message = zeroize::Zeroizing::new(format!("\0{user}\0{password}"));
            return wire.authenticate(message.as_bytes()).await.map(|_| ());
        };
        let mut scram = Scram::new(hash, user, password)?;
        let answer = wire.authenticate(scram.first().as_bytes()).await?;
        let last = scram.last(&answer)?;
        scram.verify(&wire.authenticate(last.as_bytes()).await?)
    }

    /// The parts of a topic that are to be read.
    async fn parts(
        &self,
        conn: &mut Conn,
        topic: &str,
        filters: &[Filter],
    ) -> Result<Vec<Part>, SourceError> {
        let Metadata { brokers, topics } = conn.first.metadata(Some(topic)).await?;
        let found = topics.into_iter().find(|found| found.name == topic);
        let found =
            found.ok_or_else(|| SourceError::changed(format!("There is no topic {}.", quoted(topic))))?;
        wire::checked(found.error, topic)?;
        let mut of_leader: BTreeMap<(String, u16), Vec<i32>> = BTreeMap::new();
        for (partition, leader) in found.partitions {
            if !plan::concerns(filters, partition) {
                continue;
            }
            let broker = brokers.iter().find(|(id, ..)| *id == leader);
            let (_, host, port) = broker.ok_or_else(|| {
                SourceError::connection(format!("The partition {partition} of the topic has no leader."))
            })?;
            of_leader.entry((host.clone(), *port)).or_default().push(partition);
        }
        if of_leader.len() > MOST_BROKERS {
            return Err(SourceError::query(format!(
                "The topic is spread over more than {MOST_BROKERS} brokers."
            )));
        }
        let (low, high) = plan::bounds(filters);
        let mut parts = Vec::new();
        for (leader, partitions) in of_leader {
            let wire = self.leader(conn, &leader).await?;
            let first: HashMap<i32, i64> =
                wire.offsets(topic, &partitions, EARLIEST).await?.into_iter().collect();
            let last: HashMap<i32, i64> =
                wire.offsets(topic, &partitions, LATEST).await?.into_iter().collect();
            let begun: HashMap<i32, i64> = match self.range.start_time {
                Some(time) => wire.offsets(topic, &partitions, time.max(0)).await?.into_iter().collect(),
                None => HashMap::new(),
            };
            for partition in partitions {
                let at = |found: &HashMap<i32, i64>| found.get(&partition).copied();
                let end = at(&last).ok_or_else(wire::garbled)?;
                // Where nothing is as late as the start, there is no such offset.
                let begin = at(&begun).map_or(0, |offset| if offset < 0 { end } else { offset });
                let from = at(&first).ok_or_else(wire::garbled)?.max(begin).max(low);
                let from = from.max(self.range.start_offset.unwrap_or(0));
                let to = end.min(high).min(self.range.end_offset.unwrap_or(i64::MAX));
                parts.push(Part { partition, leader: leader.clone(), from, to });
            }
        }
        parts.sort_by_key(|part| part.partition);
        Ok(parts)
    }

    async fn leader<'c>(
        &self,
        conn: &'c mut Conn,
        leader: &(String, u16),
    ) -> Result<&'c mut Wire, SourceError> {
        if !conn.leaders.contains_key(leader) {
            let wire = self.broker(&leader.0, leader.1).await?;
            conn.leaders.insert(leader.clone(), wire);
        }
        conn.leaders.get_mut(leader).ok_or_else(wire::garbled)
    }

    /// What the first messages of some partitions are, and how many there are at all.
    async fn sampled(&self, conn: &mut Conn, topic: &str) -> Result<(Sample, i64), SourceError> {
        let parts = self.parts(conn, topic, &[]).await?;
        let count = parts.iter().map(|part| (part.to - part.from).max(0)).fold(0, i64::saturating_add);
        let mut sample = Sample::new();
        let mut left = SAMPLE;
        for part in parts.iter().filter(|part| part.from < part.to).take(SAMPLED) {
            let answer =
                self.leader(conn, &part.leader).await?.fetch(topic, part.partition, part.from).await?;
            let mut batches = Batches::new(wire::fetched(&answer, topic)?);
            while let Some(next) = batches.next()? {
                let Next::Batch(batch) = next else { continue };
                for message in batch.messages().take(left) {
                    sample.add(&message?);
                    left -= 1;
                }
            }
        }
        Ok((sample, count))
    }
}

fn unknown_mechanism() -> SourceError {
    SourceError::new(
        ErrorCode::Authentication,
        "The server has none of the ways to sign in that may be used: SCRAM, or OAUTHBEARER and PLAIN within TLS. Name one in \
         sasl_mechanism to use it anyway.",
    )
}

/// Appends the messages of a batch that are wanted; says how many are still wanted.
async fn append(
    kafka: &Kafka,
    work: &Work<Plan>,
    part: &Part,
    batch: &records::Batch,
    out: &mut Out,
    mut left: usize,
) -> Result<usize, SourceError> {
    for message in batch.messages() {
        let message = message?;
        let timestamp = message.timestamp.and_then(|millis| millis.checked_mul(1_000));
        let position = Position { partition: part.partition, offset: message.offset, timestamp };
        let within = (part.from..part.to).contains(&message.offset) && kafka.range.holds(message.timestamp);
        let wanted =
            within && work.filters.iter().all(|filter| plan::satisfies(filter, position) == Some(true));
        if !wanted || left == 0 {
            continue;
        }
        let members = work.plan.members(&work.schema, message.value)?;
        for (index, field) in work.schema.fields().iter().enumerate() {
            work.plan.cell(field, position, &message, &members, |cell| out.append(index, cell))?;
        }
        out.end_row().await?;
        left -= 1;
    }
    Ok(left)
}

#[async_trait::async_trait]
impl Driver for Kafka {
    type Conn = Conn;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn connect(&self, _: Duration) -> Result<Conn, SourceError> {
        let mut first = self.broker(&self.endpoint.host, self.endpoint.port).await?;
        first.ping().await?;
        Ok(Conn { first, leaders: HashMap::new() })
    }

    async fn is_alive(&self, conn: &mut Conn) -> bool {
        // Leaders that do not answer any more are connected to again.
        for (leader, mut wire) in std::mem::take(&mut conn.leaders) {
            if wire.ping().await.is_ok() {
                conn.leaders.insert(leader, wire);
            }
        }
        conn.first.ping().await.is_ok()
    }

    async fn probe(
        &self,
        conn: &mut Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some_and(|query| !query.eq_ignore_ascii_case("metadata")) {
            return Err(SourceError::query("The only test query of Kafka is metadata."));
        }
        let Metadata { brokers, topics } = conn.first.metadata(None).await?;
        let topics = topics.iter().filter(|topic| !topic.internal).count();
        // Brokers do not tell their version.
        Ok((Some("Apache Kafka".to_owned()), Some(format!("{} brokers, {topics} topics", brokers.len()))))
    }

    async fn discover(&self, conn: &mut Conn, schema: Option<&str>) -> Result<Discovered, SourceError> {
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Ok(Discovered::default());
        }
        let Metadata { topics, .. } = conn.first.metadata(None).await?;
        let readable = topics.into_iter().filter(|topic| !topic.internal && topic.error == 0);
        let mut names: Vec<String> = readable.map(|topic| topic.name).collect();
        names.sort();
        let mut tables = Vec::new();
        for (at, name) in names.into_iter().enumerate() {
            let mut table = Table {
                name,
                kind: TableKind::Collection,
                row_count: None,
                comment: None,
                columns: Vec::new(),
            };
            if at < LOOKED_INTO {
                let (sample, count) = self.sampled(conn, &table.name).await?;
                table.row_count = Some(count);
                let plan = sample.plan(self.format, self.unfit);
                let fields = plan.schema.fields().iter().enumerate();
                let columns = fields.map(|(at, field)| {
                    let mut column = Column::plain(field.name(), crate::files::type_name(field), at + 1);
                    column.nullable = field.is_nullable();
                    column
                });
                table.columns = columns.collect();
            }
            tables.push(table);
        }
        if tables.is_empty() {
            return Ok(Discovered::default());
        }
        Ok(Discovered { schemas: vec![Schema { name: SCHEMA.to_owned(), tables }] })
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Plan, SourceError> {
        if relation.schema.as_deref().is_some_and(|schema| schema != SCHEMA) {
            return Err(SourceError::changed(format!("There is no topic {}.", quoted(&relation.table))));
        }
        let (sample, _) = self.sampled(conn, &relation.table).await?;
        Ok(sample.plan(self.format, self.unfit))
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, _: &Plan, filters: &[Filter]) -> Vec<bool> {
        filters.iter().map(plan::is_of_positions).collect()
    }

    async fn read(&self, conn: &mut Conn, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        let topic = &work.relation.table;
        let mut left = work.limit.unwrap_or(usize::MAX);
        for part in self.parts(conn, topic, &work.filters).await? {
            let mut at = part.from;
            while at < part.to && left > 0 {
                let answer = self.leader(conn, &part.leader).await?.fetch(topic, part.partition, at).await?;
                let mut batches = Batches::new(wire::fetched(&answer, topic)?);
                while let Some(next) = batches.next()? {
                    at = match next {
                        Next::Skipped(next) => next.max(at),
                        Next::Batch(batch) => {
                            // A batch may begin before the offset asked for, but does not end before it.
                            let unread = Part { from: at, leader: part.leader.clone(), ..part };
                            left = append(self, work, &unread, &batch, out, left).await?;
                            batch.next.max(at)
                        }
                    };
                }
            }
        }
        Ok(())
    }

    async fn abandon(&self, conn: Conn) {
        // Brokers keep nothing of who reads without a group.
        drop(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_offsets_or_times() {
        let mut settings = Settings::new(crate::SourceType::Kafka);
        assert_eq!(Range::of(&settings).unwrap(), Range::default());
        settings.metadata.insert("start_time".to_owned(), "1970-01-01T00:00:01Z".into());
        settings.metadata.insert("end_offset".to_owned(), 5.into());
        let range = Range::of(&settings).unwrap();
        assert_eq!((range.start_time, range.end_offset), (Some(1_000), Some(5)));
        assert!(range.holds(Some(1_000)) && !range.holds(Some(999)) && !range.holds(None));
        settings.metadata.insert("end_offset".to_owned(), (-5).into());
        assert!(Range::of(&settings).is_err());
        settings.metadata.insert("end_offset".to_owned(), serde_json::Value::Null);
        settings.metadata.insert("end_time".to_owned(), "yesterday".into());
        assert!(Range::of(&settings).is_err());
    }
}
