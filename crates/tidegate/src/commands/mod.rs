//! One file per command.

mod doctor;
mod jobs;
mod keys;
mod migrate;
mod openapi;
mod org;
mod outbox;
mod passwords;
mod serve;
mod user;

use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};
use crate::config::{Flags, Loaded, load};
use crate::failure::Failure;
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
    let quiet = || prepare(&Flags::default(), "warn");
    match cli.command {
        Command::Serve(flags) => {
            let flags = Flags { listen: flags.listen, dev: flags.dev, limits: flags.limits };
            let loaded = prepare(&flags, "info")?;
            // As many threads as cores: the runtime's own default.
            let runtime = runtime(&mut Builder::new_multi_thread())?;
            runtime.block_on(serve::serve(&loaded.config, &global))?;
            // A request that outlived the deadline for stopping is not waited for.
            runtime.shutdown_background();
            Ok(None)
        }
        Command::Org(command) => block_on(org::run(&quiet()?.config, command)),
        Command::User(command) => block_on(user::run(&quiet()?.config, command)),
        Command::Outbox(command) => block_on(outbox::run(&quiet()?.config, command)),
        Command::Jobs(command) => block_on(jobs::run(&quiet()?.config, command)),
        Command::Keys(command) => block_on(keys::run(&quiet()?.config, command)),
        Command::Migrate(command) => block_on(migrate::run(&quiet()?.config, &command)),
        Command::Doctor => block_on(doctor::run(quiet())),
        Command::Openapi(command) => openapi::run(&command).map(Some),
    }
}

fn block_on(command: impl Future<Output = Result<Answer, Failure>>) -> Result<Option<Answer>, Failure> {
    let runtime = runtime(&mut Builder::new_current_thread())?;
    let answer = runtime.block_on(command);
    runtime.shutdown_background();
    answer.map(Some)
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime cannot start: {error}")))
}
