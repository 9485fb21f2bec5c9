//! The employees, and what the policies say about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use sqlx::Connection;
use tempfile::TempDir;
use tidegate_connect::{
    FileContent, FileSource, NetworkPolicy, ParquetContent, Relation, Settings, SourceType,
};
use tidegate_policy::{
    Applied, Comparison, DateUnit, Effect, Expr, Function, Mask, MaskedBy, PolicyRef, Resolved, Value,
};

use crate::{
    Connected, GovernedRelation, InMemory, OnFailure, ParquetRows, QueryError, Rows, column_type, open_rows,
};

/// A row of the fixture.
#[derive(Clone, Debug)]
pub(super) struct Employee {
    pub(super) id: i64,
    pub(super) region: Option<&'static str>,
    pub(super) dept: &'static str,
    pub(super) salary: i64,
    pub(super) ssn: String,
    pub(super) note: String,
    /// Days since 1970-01-01.
    pub(super) hired: i32,
    pub(super) inner: String,
}

/// Eight who are seen, ten who are not.
pub(super) fn employees() -> Vec<Employee> {
    let mut all = Vec::new();
    for place in 0..18_i64 {
        let seen = place % 2 == 0 && place < 16;
        let id = place + 1;
        all.push(Employee {
            id,
            region: if seen {
                Some("EU")
            } else if place < 14 {
                Some("US")
            } else {
                None
            },
            dept: ["sales", "lab", "it"][place as usize % 3],
            salary: if seen { 10_000 + id * 7 } else { 100 },
            ssn: format!("{:03}-{:02}-{:04}", 100 + id, 10 + id, 7_000 + id),
            note: if seen { (id * 10).to_string() } else { format!("SECRET-{id}") },
            hired: 15_000 + id as i32 * 37,
            inner: if seen { format!("b{id}") } else { format!("SECRET-b{id}") },
        });
    }
    all
}

/// Who asks, by how the policy is written. All but the last two see the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// `region = 'EU'`
    Eu,
    /// Unknown, not false, for hidden rows.
    Unknown,
    /// `region LIKE 'E%'`
    Like,
    /// `lower(region) = 'eu'`
    Called,
    /// Sees no row.
    Nobody,
    /// Sees everything.
    Everybody,
}

impl Caller {
    pub(super) const UNDER_POLICY: [Self; 5] =
        [Self::Eu, Self::Unknown, Self::Like, Self::Called, Self::Nobody];

    pub(super) fn sees(self, region: Option<&str>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nobody => false,
            _ => region == Some("EU"),
        }
    }

    fn filter(self) -> Option<Expr> {
        let region =
            || Box::new(Expr::Column { name: "region".into(), kind: tidegate_policy::ColumnType::Text });
        let equal = |left: Box<Expr>, text: &str| Expr::Compare {
            operator: Comparison::Equal,
            left,
            right: Box::new(Expr::Literal(Value::Text(text.into()))),
        };
        Some(match self {
            Self::Everybody => return None,
            Self::Eu => equal(region(), "EU"),
            Self::Nobody => equal(region(), "nowhere"),
            Self::Like => Expr::Like { value: region(), pattern: "E%".into(), negated: false },
            Self::Called => {
                equal(Box::new(Expr::Call { function: Function::Lower, argument: region() }), "eu")
            }
            Self::Unknown => Expr::Or(vec![
                equal(region(), "EU"),
                Expr::Compare {
                    operator: Comparison::Equal,
                    left: region(),
                    right: Box::new(Expr::Literal(Value::Null)),
                },
            ]),
        })
    }
}

/// The relation on one kind of source.
pub(super) struct Fixture {
    pub(super) name: &'static str,
    pub(super) rows: Arc<dyn Rows>,
    _directory: Option<TempDir>,
}

pub(super) const POLICY: PolicyRef = PolicyRef { id: 7, version: 3 };

impl Fixture {
    pub(super) fn has_struct(&self) -> bool {
        self.rows.schema().field_with_name("s").is_ok()
    }

    /// The relation under the policy of a caller.
    pub(super) fn governed(&self, caller: Caller) -> GovernedRelation {
        let resolved = if caller == Caller::Everybody { Resolved::open() } else { self.resolved(caller) };
        GovernedRelation { rows: Arc::clone(&self.rows), resolved: Arc::new(resolved), hash: Arc::new(hash) }
    }

    fn resolved(&self, caller: Caller) -> Resolved {
        let schema = self.rows.schema();
        let mut resolved = Resolved::open();
        resolved.filter = caller.filter();
        let mut masks = BTreeMap::new();
        for (name, mask) in [
            ("ssn", Mask::Partial { mask_char: '*', visible_prefix: 0, visible_suffix: 4 }),
            ("salary", Mask::Null),
            ("hired", Mask::DateTruncation(DateUnit::Year)),
        ] {
            let kind = column_type(schema.field_with_name(name).unwrap().data_type());
            masks.insert(name.to_owned(), MaskedBy { mask, kind, policy: POLICY, rule: 1 });
        }
        resolved.masks = masks;
        resolved.policies = vec![Applied { policy: POLICY, rule: 1, effect: Effect::Filtered }];
        resolved
    }
}

pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut all = [7; 32];
    for (place, byte) in bytes.iter().enumerate() {
        all[place % 32] ^= byte.rotate_left(3);
    }
    all
}

/// All employees in one batch.
pub(super) fn batch(with_struct: bool) -> RecordBatch {
    let all = employees();
    let texts = |of: &dyn Fn(&Employee) -> Option<String>| -> ArrayRef {
        Arc::new(all.iter().map(of).collect::<StringArray>())
    };
    let mut fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("region", DataType::Utf8, true),
        Field::new("dept", DataType::Utf8, false),
        Field::new("salary", DataType::Int64, false),
        Field::new("ssn", DataType::Utf8, false),
        Field::new("note", DataType::Utf8, true),
        Field::new("hired", DataType::Date32, true),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(all.iter().map(|employee| employee.id).collect::<Int64Array>()),
        texts(&|employee| employee.region.map(str::to_owned)),
        texts(&|employee| Some(employee.dept.to_owned())),
        Arc::new(all.iter().map(|employee| employee.salary).collect::<Int64Array>()),
        texts(&|employee| Some(employee.ssn.clone())),
        texts(&|employee| Some(employee.note.clone())),
        Arc::new(Date32Array::from(all.iter().map(|employee| employee.hired).collect::<Vec<_>>())),
    ];
    if with_struct {
        let inner = Fields::from(vec![Field::new("b", DataType::Utf8, true)]);
        fields.push(Field::new("s", DataType::Struct(inner.clone()), true));
        columns.push(Arc::new(StructArray::new(
            inner,
            vec![texts(&|employee| Some(employee.inner.clone()))],
            None,
        )));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// A batch as two.
fn halves(batch: &RecordBatch) -> Vec<RecordBatch> {
    let half = batch.num_rows() / 2;
    vec![batch.slice(0, half), batch.slice(half, batch.num_rows() - half)]
}

pub(super) fn memory() -> Fixture {
    memory_of(&batch(true))
}

/// Who says of a source that fails no more than that it does.
pub(super) fn unnamed() -> OnFailure {
    Arc::new(|_| QueryError::unavailable())
}

/// Any rows in memory.
pub(super) fn memory_of(batch: &RecordBatch) -> Fixture {
    let rows = InMemory::new(batch.schema(), halves(batch));
    Fixture { name: "memory", rows: Arc::new(rows), _directory: None }
}

/// In memory, with departments and notes in dictionaries.
pub(super) fn dictionary() -> Fixture {
    let plain = batch(true);
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in plain.schema().fields().iter().zip(plain.columns()) {
        if ["dept", "note"].contains(&field.name().as_str()) {
            fields.push(Field::new(field.name(), kind.clone(), field.is_nullable()));
            columns.push(cast(column, &kind).unwrap());
        } else {
            fields.push(Field::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let halves = vec![batch.slice(0, 9), batch.slice(9, batch.num_rows() - 9)];
    let rows = InMemory::new(batch.schema(), halves);
    Fixture { name: "memory, with a dictionary", rows: Arc::new(rows), _directory: None }
}

/// What a caller may see, as a relation of its own.
pub(super) fn of_copy(copy: &[RecordBatch]) -> Fixture {
    let schema = copy.first().map_or_else(|| batch(true).schema(), RecordBatch::schema);
    let rows = copy.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    Fixture { name: "a copy", rows: Arc::new(InMemory::new(schema, rows)), _directory: None }
}

pub(super) async fn parquet(pushdown: bool) -> Fixture {
    parquet_of(&batch(true), pushdown).await
}

/// Any rows in a file of Parquet, of several row groups.
pub(super) async fn parquet_of(batch: &RecordBatch, pushdown: bool) -> Fixture {
    let reading = if pushdown { Reading::PushedDown } else { Reading::Served };
    parquet_file(&parquet_bytes(batch, 3), reading).await.unwrap().0
}

/// A file of Parquet with row groups of so many rows.
pub(super) fn parquet_bytes(batch: &RecordBatch, rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// How a file of Parquet is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As members' files are.
    Served,
    /// The same, and rows are filtered while columns are decoded.
    PushedDown,
    /// By the reader of data sources.
    PageByPage,
}

/// A file of Parquet as a relation, and the file itself.
pub(super) async fn parquet_file(
    bytes: &[u8],
    reading: Reading,
) -> Result<(Fixture, Arc<ParquetContent>), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("emp.parquet");
    std::fs::write(&path, bytes).unwrap();
    let mut settings = Settings::new(SourceType::Parquet);
    settings.file = Some(FileSource { name: "emp.parquet".to_owned(), content: FileContent::Local(path) });
    let opened = tidegate_connect::open(settings, &NetworkPolicy::default()).await;
    let source = opened.map_err(|error| error.to_string())?;
    let relation = Relation::new("main", "emp");
    let content = source.parquet(&relation).ok_or("it is not to be read by row groups")?;
    let plain = Connected::open(Arc::clone(&source), relation.clone(), Some(18), unnamed()).await.unwrap();
    let rows: Arc<dyn Rows> = match reading {
        Reading::Served => open_rows(source, relation, Some(18), unnamed()).await.unwrap(),
        Reading::PushedDown => {
            let rows = ParquetRows::new(Arc::clone(&content), plain).unwrap();
            Arc::new(rows.with_pushdown_filters(true))
        }
        Reading::PageByPage => Arc::new(plain),
    };
    let name = match reading {
        Reading::Served => "parquet",
        Reading::PushedDown => "parquet, filters pushed down",
        Reading::PageByPage => "parquet, page by page",
    };
    Ok((Fixture { name, rows, _directory: Some(directory) }, content))
}

/// A file of Parquet as people's files are read: by its driver, which leaves out row groups.
pub(super) async fn served_parquet() -> Fixture {
    let (batch, directory) = (batch(true), tempfile::tempdir().unwrap());
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
    let file = std::fs::File::create(directory.path().join("emp.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    connected("parquet, by its driver", SourceType::Parquet, "emp.parquet", directory).await
}

async fn connected(name: &'static str, kind: SourceType, file: &str, directory: TempDir) -> Fixture {
    let mut settings = Settings::new(kind);
    let content = FileContent::Local(directory.path().join(file));
    settings.file = Some(FileSource { name: file.to_owned(), content });
    let opened = opened(name, settings, &NetworkPolicy::default()).await;
    Fixture { _directory: Some(directory), ..opened }
}

/// The only relation of a source.
pub(super) async fn opened(name: &'static str, settings: Settings, network: &NetworkPolicy) -> Fixture {
    let source = tidegate_connect::open(settings, network).await.unwrap();
    let discovered = source.discover(None).await.unwrap();
    let schema = &discovered.schemas[0];
    let table = &schema.tables[0];
    let relation = match &schema.name[..] {
        "" => Relation { schema: None, table: table.name.clone() },
        name => Relation::new(name, table.name.clone()),
    };
    let rows = open_rows(source, relation, Some(18), unnamed()).await.unwrap();
    Fixture { name, rows, _directory: None }
}

pub(super) async fn csv() -> Fixture {
    csv_of(&batch(false)).await
}

/// Any rows in a file of CSV, whose types are inferred.
pub(super) async fn csv_of(batch: &RecordBatch) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(directory.path().join("emp.csv")).unwrap();
    datafusion::arrow::csv::Writer::new(file).write(batch).unwrap();
    connected("csv", SourceType::Csv, "emp.csv", directory).await
}

pub(super) async fn sqlite() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("emp.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(
        "create table emp (id integer primary key, region text, dept text not null, salary integer not null, ssn text not null, \
         note text, hired date)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    for employee in employees() {
        sqlx::query("insert into emp values ($1, $2, $3, $4, $5, $6, date('1970-01-01', $7))")
            .bind(employee.id)
            .bind(employee.region)
            .bind(employee.dept)
            .bind(employee.salary)
            .bind(employee.ssn)
            .bind(employee.note)
            .bind(format!("+{} days", employee.hired))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
    connected("sqlite", SourceType::Sqlite, "emp.db", directory).await
}

/// A table of SQLite made by these statements.
pub(super) async fn sqlite_of(statements: Vec<String>) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("emp.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    connected("sqlite", SourceType::Sqlite, "emp.db", directory).await
}

/// Every kind that needs no server.
pub(super) async fn all() -> Vec<Fixture> {
    vec![
        memory(),
        parquet(false).await,
        parquet(true).await,
        served_parquet().await,
        csv().await,
        sqlite().await,
    ]
}
