//! One file per command.

mod backup;
mod client;
mod config;
mod consents;
mod copy;
mod doctor;
mod jobs;
mod kept_out;
mod keys;
mod lost_files;
mod migrate;
mod no_backup;
mod openapi;
mod org;
mod org_storage;
mod outbox;
mod passwords;
mod query;
mod registration_token;
mod restore;
mod serve;
mod source;
mod tokens;
mod user;

use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command, Operate};
use crate::config::{Config, Flags, Loaded, Reader, load};
use crate::data_dir::refuse_other_than_directory;
use crate::failure::Failure;
use crate::installation::{is_served_with_raised_limits, naming_the_server};
use crate::logging;
use crate::output::Answer;

/// Does what the command line says. No answer means that everything was said already.
///
/// # Errors
/// Why it could not.
pub(crate) fn run(cli: Cli) -> Result<Option<Answer>, Failure> {
    let global = cli.global;
    // Commands log what goes wrong; what they did is their answer.
    let prepare = |flags: &Flags, filter: &str| -> Result<Loaded, Failure> {
        let loaded = load(&global, flags)?;
        logging::start(&loaded.config, filter)?;
        Ok(loaded)
    };
    let quiet = |reader| prepare(&Flags { reader, ..Flags::default() }, logging::OF_COMMANDS);
    match cli.command {
        Command::Serve(flags) => {
            // Before the configuration is read: what follows may take less time, and has to wait for it.
            let metrics = serve::PreparedMetrics::begin();
            let lifted = flags.lifted;
            let flags =
                Flags { listen: flags.listen, dev: flags.dev, limits: flags.limits, ..Flags::default() };
            let loaded = prepare(&flags, logging::OF_SERVERS)?;
            // As many threads as cores: the runtime's own default.
            let runtime = runtime(&mut Builder::new_multi_thread())?;
            runtime
                .block_on(serve::serve(&loaded, &global, lifted, metrics))
                .map_err(|failure| hinted(failure, &loaded))?;
            // A request that outlived the deadline for stopping is not waited for.
            runtime.shutdown_background();
            Ok(None)
        }
        Command::Operate(command) => {
            let mut loaded = quiet(Reader::Command)?;
            if is_served_with_raised_limits(&loaded.config) {
                loaded = load(&global, &Flags { raised: true, reader: Reader::Command, ..Flags::default() })?;
            }
            operate(&loaded.config, command, global.json).map_err(|failure| hinted(failure, &loaded))
        }
        Command::Doctor(command) => block_on(doctor::run(quiet(Reader::Server), &command)),
        Command::Config => Ok(Some(config::run())),
        Command::Openapi(command) => openapi::run(&command).map(Some),
    }
}

/// What is done in an installation.
fn operate(config: &Config, command: Operate, as_json: bool) -> Result<Option<Answer>, Failure> {
    if config.uses_data_dir() {
        refuse_other_than_directory(&config.data_dir)?;
    }
    match command {
        Operate::Org(command) => block_on(org::run(config, command)),
        Operate::User(command) => block_on(user::run(config, command)),
        Operate::Client(command) => block_on(client::run(config, *command)),
        Operate::Source(command) => block_on(source::run(config, command)),
        Operate::Query(command) => block_on(query::run(config, command, as_json)),
        Operate::Outbox(command) => block_on(outbox::run(config, command)),
        Operate::Jobs(command) => block_on(jobs::run(config, command)),
        Operate::Keys(command) => block_on(keys::run(config, command)),
        Operate::Migrate(command) => block_on(migrate::run(config, &command)),
        Operate::Backup(command) => block_on(backup::run(config, &command)),
        Operate::Restore(command) => block_on(restore::run(config, &command)),
        Operate::Copy(command) => block_on(copy::run(config, command)),
    }
}

/// With what may be the reason, where the database is what was not found.
fn hinted(failure: Failure, loaded: &Loaded) -> Failure {
    if !failure.code().starts_with("database") {
        return failure;
    }
    naming_the_server(&loaded.config, failure).hinted(&loaded.database_hints())
}

/// Runs a command to its end. It answers nothing where it has printed everything.
fn block_on<T: Into<Option<Answer>>>(
    command: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<Answer>, Failure> {
    let runtime = runtime(&mut Builder::new_current_thread())?;
    let answer = runtime.block_on(async {
        serve::survive_large_files()?;
        command.await
    });
    runtime.shutdown_background();
    answer.map(Into::into)
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime cannot start: {error}")))
}
