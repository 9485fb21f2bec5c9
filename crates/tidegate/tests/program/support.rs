//! One installation in a directory of its own, and the program run in it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, TestDatabase};

/// How long something is waited for that never takes as long, on any machine: whoever waits in vain says for what, instead of holding up all
/// tests until they are cut off without a word.
pub(crate) const GUARD: Duration = Duration::from_secs(120);

/// A password every contract accepts.
pub(crate) const PASSWORD: &str = "Correct1horse!";

/// A directory in which nothing was ever done.
pub(crate) struct Installation {
    directory: TempDir,
    database: Option<TestDatabase>,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A serving process; killed when dropped.
pub(crate) struct Server {
    process: Child,
    out: BufReader<ChildStdout>,
    log: PathBuf,
    ready: String,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

impl Fixture for Installation {
    async fn prepare(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(TestDatabase::empty(engine).await),
        };
        Self { directory: tempfile::tempdir().unwrap(), database }
    }
}

impl Installation {
    /// One on SQLite.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), database: None }
    }

    /// One whose database lies where the test reaches it, past the program, on either engine.
    pub(crate) async fn with_database(engine: Engine) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), database: Some(TestDatabase::empty(engine).await) }
    }

    /// The database of one made [so](Self::with_database).
    pub(crate) fn database(&self) -> &TestDatabase {
        self.database.as_ref().expect("a database of the test's own")
    }

    /// Where the program is run.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where its accounts are.
    pub(crate) fn database_url(&self) -> DatabaseUrl {
        match &self.database {
            Some(database) => database.url(),
            None => DatabaseUrl::Sqlite(self.path().join("tidegate-data/tidegate.db")),
        }
    }

    /// A file in it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// The program, about to be run in an environment of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.about_to_run(env!("CARGO_BIN_EXE_tidegate"), arguments)
    }

    /// A Python script that lies beside these tests, likewise. It is told where the program is.
    #[expect(clippy::disallowed_methods, reason = "Python is found by the variable that scripts/test sets")]
    pub(crate) fn python(&self, script: &str, arguments: &[&str]) -> Command {
        let python = std::env::var("TIDEGATE_TEST_PYTHON")
            .expect("TIDEGATE_TEST_PYTHON must name a Python: run scripts/test");
        self.python_of(&python, script, arguments)
    }

    /// The same with another Python.
    pub(crate) fn python_of(&self, python: &str, script: &str, arguments: &[&str]) -> Command {
        let script = format!("{}/tests/program/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut command = self.about_to_run(python, &[&[script.as_str()], arguments].concat());
        command.env("TIDEGATE", env!("CARGO_BIN_EXE_tidegate")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Another program, likewise.
    pub(crate) fn command_of(&self, program: &str) -> Command {
        let mut command = self.about_to_run(program, &[]);
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    #[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
    fn about_to_run(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        // Hashes that cost little.
        command.env("TIDEGATE_PASSWORD_HASH__COST", "4");
        match self.database.as_ref().map(TestDatabase::url) {
            None => {}
            Some(DatabaseUrl::Sqlite(path)) => {
                command.env("TIDEGATE_DATABASE", format!("sqlite:{}", path.display()));
            }
            Some(DatabaseUrl::Postgres(url)) => {
                command.env("TIDEGATE_DATABASE", url);
            }
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.command(arguments))
    }

    /// Runs a command that must succeed; answers what it printed.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out.trim_end().to_owned()
    }

    /// Begins an installation without serving: an organization Beginning and its owner.
    pub(crate) fn begin(&self) {
        self.output(&["org", "create", "--new", "--name", "Beginning", "--root-email", "root@begin.example"]);
    }

    /// Runs a command with `--json`; answers its one JSON value.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Runs a command with `input` on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Said {
        Said::to(&mut self.command(arguments), input)
    }

    /// Runs a Python script likewise.
    pub(crate) fn run_python(&self, script: &str, arguments: &[&str], input: &str) -> Said {
        Said::to(&mut self.python(script, arguments), input)
    }

    /// Serves on a free port until told to stop.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, |_| {})
    }

    /// The same, with a say in how it is started.
    pub(crate) fn serve_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Server {
        let log = self.path().join("log");
        let listen: &[&str] =
            if arguments.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut command = self.command(&[&["serve"], listen, arguments].concat());
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let Some((out, ready)) = first_line(out) else {
            drop(process.kill());
            panic!(
                "it did not say within {GUARD:?} that it is ready: {}",
                std::fs::read_to_string(&log).unwrap()
            );
        };
        let base = ready.split_once("http://").map(|(_, address)| address.trim_end_matches(['\n', '"', '}']));
        let Some(base) = base else {
            panic!("not ready: {ready:?} {:?} {}", process.wait(), std::fs::read_to_string(&log).unwrap());
        };
        let base = format!("http://{base}");
        let http = reqwest::Client::builder().read_timeout(GUARD).build().unwrap();
        Server { process, out, log, ready, base, http }
    }
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// The same, of a command that is told `input`.
    fn to(command: &mut Command, input: &str) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        process.wait_with_output().unwrap().into()
    }

    /// The one JSON value on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<std::process::Output> for Said {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Server {
    /// The line that said that it is ready.
    pub(crate) fn ready_line(&self) -> &str {
        &self.ready
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Sees that the log has that, or waits until it does: its lines are written beside what they tell of.
    #[track_caller]
    pub(crate) fn logs(&self, told: &str) {
        let has = || self.log().contains(told).then_some(());
        assert!(looked_for(has).is_some(), "the log has no {told:?}: {}", self.log());
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    /// The value of a metric, such as `tidegate_connections_closed_total{reason="share"}`; 0 before it is first counted.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text =
            self.http.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.http.post(format!("{}{path}", self.base)).json(&body)).await
    }

    /// Signs up through the RiverGen contract.
    pub(crate) async fn sign_up(&self, email: &str) -> (u16, Value) {
        self.post("/api/v1/auth/signup", json!({"email": email, "password": PASSWORD, "display_name": "Ada"}))
            .await
    }

    /// Signs in through the IngestIQ contract.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> (u16, Value) {
        self.post("/api/v2/auth/login", json!({"email": email, "password": password})).await
    }

    /// The most memory it ever held, in KiB, without the pages of its own program: a build for tests has many.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        kib("VmHWM:") - kib("RssFile:")
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; answers its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        match ended(&mut self.process) {
            Some(status) => status.code(),
            None => {
                drop(self.process.kill());
                panic!("it did not end within {GUARD:?}: {}", self.log());
            }
        }
    }

    /// Stops it as a supervisor does.
    pub(crate) fn stop(self) {
        self.stop_and_tell();
    }

    /// The same; answers everything it wrote, to standard output and to standard error.
    pub(crate) fn stop_and_tell(mut self) -> String {
        self.signal(Signal::TERM);
        assert_eq!(self.wait(), Some(0), "{}", self.log());
        assert!(!self.log().contains("in time"), "{}", self.log());
        let mut told = self.ready.clone();
        self.out.read_to_string(&mut told).unwrap();
        told + &self.log()
    }

    /// Ends it in the middle of whatever it does, as a power failure would.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait(), None);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What a process says first.
fn first_line(mut out: BufReader<ChildStdout>) -> Option<(BufReader<ChildStdout>, String)> {
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        drop(give.send((out, line)));
    });
    take.recv_timeout(GUARD).ok()
}

/// How a process ended; none where it does not.
fn ended(process: &mut Child) -> Option<ExitStatus> {
    looked_for(|| process.try_wait().unwrap())
}

/// What is found within [`GUARD`].
fn looked_for<T>(mut find: impl FnMut() -> Option<T>) -> Option<T> {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while waited < GUARD {
        if let Some(found) = find() {
            return Some(found);
        }
        thread::sleep(LOOK_AGAIN);
        waited += LOOK_AGAIN;
    }
    None
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}
