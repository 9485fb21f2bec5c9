//! TPC-H: its data, its queries, and other engines that run them.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::Result;
use crate::server::private;

/// Its relations, each in a file of that name.
pub(crate) const RELATIONS: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

const QUERIES: &str = include_str!("queries.sql");
const PEERS: &str = include_str!("peers.py");

/// The 22 queries, in their order; relations are in braces.
pub(crate) fn queries() -> Vec<String> {
    let lines: Vec<&str> = QUERIES.lines().filter(|line| !line.starts_with("--")).collect();
    let text = lines.join("\n");
    text.split(';').map(str::trim).filter(|query| !query.is_empty()).map(str::to_owned).collect()
}

/// A query with something in place of each relation.
pub(crate) fn over(query: &str, relation: impl Fn(&str) -> String) -> String {
    let mut parts = query.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        text.push_str(&relation(name));
        text.push_str(rest);
    }
    text
}

/// Writes the relations as Parquet files into `folder`, by the generator beside that Python.
pub(crate) fn generate(python: &Path, scale: f64, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let generator = python.with_file_name("tpchgen-cli");
    let mut command = private(&generator);
    command.args(["parquet", "--quiet", "--overwrite", "--scale-factor", &scale.to_string(), "--output-dir"]);
    let output = command.arg(folder).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", generator.display(), String::from_utf8_lossy(&output.stderr)).into())
}

/// What a query came to.
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    pub(crate) rows: u64,
}

/// DuckDB and plain DataFusion, in a process of theirs.
pub(crate) struct Peers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Of each engine.
    pub(crate) versions: Value,
}

impl Peers {
    /// Starts them over the Parquet files of a folder.
    pub(crate) fn start(python: &Path, folder: &Path) -> Result<Self> {
        let mut command = private(python);
        command.args(["-B", "-c", PEERS]).arg(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let mut peers = Self { child, to, from: BufReader::new(from), versions: Value::Null };
        peers.versions = peers.hear()?;
        Ok(peers)
    }

    /// Runs a query on `DuckDB` or `DataFusion`.
    pub(crate) fn run(&mut self, engine: &str, sql: &str) -> Result<Ran> {
        writeln!(self.to, "{}", json!({ "engine": engine, "sql": sql }))?;
        self.to.flush()?;
        let said = self.hear()?;
        let (seconds, rows) =
            (said.get("seconds").and_then(Value::as_f64), said.get("rows").and_then(Value::as_u64));
        match seconds.zip(rows) {
            Some((seconds, rows)) => Ok(Ran { seconds, rows }),
            None => Err(format!("{engine}: {said}").into()),
        }
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err("the other engines ended; see above".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_22_queries_and_each_names_its_relations() {
        let queries = queries();
        assert_eq!(queries.len(), 22);
        for query in &queries {
            let named = over(query, |name| {
                assert!(RELATIONS.contains(&name), "{name}");
                format!("<{name}>")
            });
            assert!(named.contains('<') && !named.contains(['{', '}', ';']), "{named}");
        }
    }

    #[test]
    fn a_relation_is_replaced_wherever_it_is_named() {
        assert_eq!(
            over("select 1 from {a} x, {b} y", |name| format!("({name})")),
            "select 1 from (a) x, (b) y"
        );
        assert_eq!(over("select 1", str::to_owned), "select 1");
    }
}
