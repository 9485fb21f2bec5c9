//! Files that nobody here wrote: those that other programs' packages carry (`scripts/requirements-files.txt`, `requirements-crates.txt`).
//!
//! Each is read, or refused with a reason; `refused.txt` has the reasons, and `docs/sources.md` the count. Of Parquet files every value is
//! compared with what DuckDB finds, which is another program with another library.

mod values;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tidegate_connect::{
    ErrorCode, FileContent, FileSource, Relation, Scan, Settings, Source, SourceError, SourceType, open,
};

use crate::servers::here;

/// Parquet files that DuckDB reads and that are refused here, by the ends of their names, and why that is right.
const REFUSED_HERE: &[(&str, &str)] = &[
    (
        "/data/nation.dict-malformed.parquet",
        "two columns are longer than its end says, by the head of a page; nothing is read beyond what a column announces",
    ),
    (
        "/data/dict-page-offset-zero.parquet",
        "of a version of its writer that was never released; a list in it has another type than the format's",
    ),
];
/// Parquet files that are read here and that DuckDB refuses, and why that is right.
const REFUSED_THERE: &[(&str, &str)] = &[];
/// Columns of Parquet files that are other values here than in DuckDB, as the end of the file's name and the column's, and why that is right.
const OTHER_VALUES: &[(&str, &str, &str)] = &[];
/// Differences of one file that are told.
const TOLD: usize = 5;

/// A file, and its name from the folder of all of them on.
struct Foreign {
    kind: SourceType,
    path: PathBuf,
    name: String,
}

impl Foreign {
    async fn open(&self) -> Result<Arc<dyn Source>, SourceError> {
        let mut settings = Settings::new(self.kind);
        let name = self.path.file_name().unwrap().to_string_lossy().into_owned();
        settings.file = Some(FileSource { name, content: FileContent::Local(self.path.clone()) });
        settings.query_timeout = Duration::from_secs(60);
        open(settings, &here()).await
    }
}

/// Where `scripts/setup` puts them; more than one folder if somebody says so.
fn folders() -> Vec<PathBuf> {
    let folders = std::env::var("TIDEGATE_TEST_FILES").unwrap_or_default();
    folders.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect()
}

/// Whether these are the files that `scripts/setup` fetches, of which what is written here speaks.
fn are_the_fetched_ones() -> bool {
    matches!(folders().as_slice(), [one] if one.join("requirements.txt").is_file())
}

/// Every file of a known type, each content once.
fn foreign_files() -> Vec<Foreign> {
    let mut found = Vec::new();
    for root in folders() {
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if path.is_dir() {
                    open.push(path);
                } else if let Some(kind) = kind_of(&path) {
                    let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                    found.push(Foreign { kind, path, name });
                }
            }
        }
    }
    found.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    let mut seen = HashSet::new();
    found.retain(|file| {
        let content = std::fs::read(&file.path).unwrap();
        seen.insert((file.kind, digest(&SHA256, &content).as_ref().to_vec()))
    });
    found
}

fn kind_of(path: &Path) -> Option<SourceType> {
    match path.extension()?.to_str()? {
        "csv" | "tsv" => Some(SourceType::Csv),
        "json" | "jsonl" | "ndjson" => Some(SourceType::Json),
        "parquet" => Some(SourceType::Parquet),
        "xlsx" | "xls" | "xlsb" | "ods" | "xlsm" => Some(SourceType::Excel),
        "xml" => Some(SourceType::Xml),
        _ => None,
    }
}

/// Discovers a file's tables and reads every row of them.
async fn read(file: &Foreign) -> Result<(), SourceError> {
    let source = file.open().await?;
    for table in &source.discover(None).await?.schemas[0].tables {
        let mut stream = source.scan(Scan::all(Relation::new("main", &table.name))).await?;
        let mut count = 0;
        while let Some(batch) = stream.next().await {
            count += batch?.num_rows();
        }
        assert_eq!(table.row_count, Some(count as i64), "{}", file.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_programs_are_read_or_refused_with_a_reason() {
    let mut counts = BTreeMap::<SourceType, [usize; 2]>::new();
    let mut refused = String::from(
        "# Files that nobody here wrote and that are refused, and why. TIDEGATE_TEST_WRITE=1 writes this anew.\n",
    );
    for file in foreign_files() {
        let outcome = read(&file).await;
        let [read, all] = counts.entry(file.kind).or_default();
        *all += 1;
        let Err(error) = outcome else {
            *read += 1;
            continue;
        };
        assert_eq!(error.code, ErrorCode::Query, "{}: {error}", file.name);
        assert!(
            !error.message.contains("cannot be read") || !error.detail.contains("panic"),
            "{}: {error:?}",
            file.name
        );
        println!("refused {}: {} ({})", file.name, error.message, error.detail);
        refused.push_str(&format!("{}\n    {}\n", file.name, error.message));
    }
    if are_the_fetched_ones() {
        assert_is_written("tests/sources/others/refused.txt", |_| refused.clone());
        assert_is_written("../../docs/sources.md", |page| with_counts(page, &counts));
    }
}

/// The page of sources with how many of these files there are.
fn with_counts(page: &str, counts: &BTreeMap<SourceType, [usize; 2]>) -> String {
    let said = page.lines().find(|line| line.starts_with("Files that nobody here wrote: ")).unwrap();
    let [read, all] = counts.values().fold([0, 0], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
    let each = counts.iter().map(|(kind, [read, all])| format!("`{kind}` {read} of {all}"));
    let each = each.collect::<Vec<_>>().join(", ");
    let refused = all - read;
    let found = format!(
        "Files that nobody here wrote: of {all}, {read} are read and {refused} refused with a reason ({each})."
    );
    page.replace(said, &found)
}

/// That a file of the repository says what it should; `TIDEGATE_TEST_WRITE=1` writes it.
fn assert_is_written(name: &str, made: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let said = std::fs::read_to_string(&path).unwrap();
    let made = made(&said);
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    assert_eq!(said, made, "TIDEGATE_TEST_WRITE=1 writes {name} anew");
}

/// What a reader finds in a file.
struct Found {
    names: Vec<String>,
    rows: usize,
    columns: Vec<Vec<String>>,
}

impl Found {
    fn empty(names: Vec<String>) -> Self {
        let columns = vec![Vec::new(); names.len()];
        Self { names, rows: 0, columns }
    }

    fn add(&mut self, batch: &RecordBatch) {
        assert_eq!(batch.num_columns(), self.columns.len());
        self.rows += batch.num_rows();
        for (values, array) in self.columns.iter_mut().zip(batch.columns()) {
            values.extend((0..batch.num_rows()).map(|row| values::text(array.as_ref(), row)));
        }
    }
}

/// All rows of a Parquet file, after its last column alone, of half of the rows, was seen to be the same.
async fn found_here(file: &Foreign) -> Result<Found, SourceError> {
    let source = file.open().await?;
    let discovered = source.discover(None).await?;
    let table = &discovered.schemas[0].tables[0];
    let names = table.columns.iter().map(|column| column.name.clone()).collect();
    let mut found = Found::empty(names);
    let mut stream = source.scan(Scan::all(Relation::new("main", &table.name))).await?;
    while let Some(batch) = stream.next().await {
        found.add(&batch?);
    }
    let Some(last) = found.names.last() else { return Ok(found) };
    let mut part = Found::empty(vec![last.clone()]);
    let scan = Scan {
        projection: Some(part.names.clone()),
        limit: Some(found.rows / 2),
        ..Scan::all(Relation::new("main", &table.name))
    };
    let mut stream = source.scan(scan).await?;
    while let Some(batch) = stream.next().await {
        part.add(&batch?);
    }
    // Of two columns of one name the first is meant.
    let place = found.names.iter().position(|name| name == last).unwrap();
    assert_eq!(part.columns[0], found.columns[place][..found.rows / 2], "{}: {last} alone", file.name);
    Ok(found)
}

/// DuckDB, in a process that ends with the test.
struct Duckdb {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Duckdb {
    fn start() -> Self {
        let python = std::env::var("TIDEGATE_TEST_PYTHON")
            .expect("TIDEGATE_TEST_PYTHON must name a Python with duckdb: run scripts/test");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sources/others/duckdb_values.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    /// What DuckDB finds, or why it refuses a file.
    fn found(&mut self, file: &Foreign) -> Result<Found, String> {
        writeln!(self.input, "{}", json!(file.path.to_str().unwrap())).unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        let bytes = self.output.read_line(&mut line).unwrap();
        assert!(bytes > 0, "{}: Python ended; see above why", file.name);
        let said: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = said["error"].as_str() {
            return Err(error.to_owned());
        }
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        Ok(Found {
            names: texts(&said["names"]),
            rows: said["rows"].as_u64().unwrap() as usize,
            columns: said["columns"].as_array().unwrap().iter().map(texts).collect(),
        })
    }
}

impl Drop for Duckdb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What differs, of which some is told. `used` gets the numbers of the exceptions that were needed.
fn differences(file: &Foreign, here: &Found, there: &Found, used: &mut HashSet<usize>) -> Vec<String> {
    if (&here.names, here.rows) != (&there.names, there.rows) {
        let said = |found: &Found| format!("{} rows of {:?}", found.rows, found.names);
        return vec![format!("{}: {} here, {} in DuckDB", file.name, said(here), said(there))];
    }
    let mut differ = Vec::new();
    for (name, (here, there)) in here.names.iter().zip(here.columns.iter().zip(&there.columns)) {
        let here = values::short(here);
        let Some(place) =
            (0..here.len().max(there.len())).find(|place| here.get(*place) != there.get(*place))
        else {
            continue;
        };
        let mut exceptions = OTHER_VALUES.iter();
        match exceptions.position(|(end, column, _)| file.name.ends_with(end) && name == column) {
            Some(exception) => {
                used.insert(exception);
            }
            None => differ.push(format!(
                "{}: {name}, value or block {place}: {:?} here, {:?} in DuckDB",
                file.name,
                here.get(place),
                there.get(place)
            )),
        }
    }
    differ.truncate(TOLD);
    differ
}

/// The number of the exception that a file is.
fn exception(list: &[(&str, &str)], file: &Foreign) -> Option<usize> {
    list.iter().position(|(end, _)| file.name.ends_with(end))
}

// Two programs with no code in common read every Parquet file, and find the same columns, rows and values.
#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_of_other_programs_have_the_values_that_duckdb_finds() {
    let files: Vec<_> = foreign_files().into_iter().filter(|file| file.kind == SourceType::Parquet).collect();
    if files.is_empty() {
        return;
    }
    let mut duckdb = Duckdb::start();
    let mut wrong = Vec::new();
    let mut same = 0;
    let (mut only_there, mut only_here, mut others) = (HashSet::new(), HashSet::new(), HashSet::new());
    for file in &files {
        match (found_here(file).await, duckdb.found(file)) {
            (Ok(here), Ok(there)) => {
                let differ = differences(file, &here, &there, &mut others);
                same += usize::from(differ.is_empty());
                wrong.extend(differ);
            }
            (Err(error), Ok(_)) => match exception(REFUSED_HERE, file) {
                Some(exception) => {
                    only_there.insert(exception);
                }
                None => wrong.push(format!("{}: refused here: {error} ({})", file.name, error.detail)),
            },
            (Ok(_), Err(error)) => match exception(REFUSED_THERE, file) {
                Some(exception) => {
                    only_here.insert(exception);
                }
                None => wrong.push(format!("{}: DuckDB refuses it: {error}", file.name)),
            },
            (Err(_), Err(_)) => {}
        }
    }
    println!("{same} of {} Parquet files are the same", files.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    if are_the_fetched_ones() {
        assert!(files.len() > 250, "{} Parquet files are less than were fetched", files.len());
        let used = (only_there.len(), only_here.len(), others.len());
        let listed = (REFUSED_HERE.len(), REFUSED_THERE.len(), OTHER_VALUES.len());
        assert_eq!(used, listed, "an exception is for nothing");
    }
}
