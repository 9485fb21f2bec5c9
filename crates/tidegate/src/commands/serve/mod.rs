//! `tidegate serve`

mod announce;
mod background;
mod connections;
mod moved;
mod places;
mod postgres;
mod stopping;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tidegate_database::Store;
use tidegate_http::{App, HttpSettings, Surface};
use tidegate_objects::Objects;
use tokio::net::TcpListener;
use tokio::time::timeout;

use self::announce::{announce, serves_outbox};
pub(crate) use self::announce::{base_url, below_a_path, is_secure, unnamed_proxy};
pub(super) use self::background::PreparedMetrics;
use self::background::{Background, install_metrics};
use self::connections::{ConnectionLimits, Connections, raise_descriptor_limit};
pub(crate) use self::moved::is_this_machine;
use self::moved::warn_of_new_url;
use self::postgres::{Bound, Postgres};
pub(crate) use self::postgres::{RENEW, check_tls, untimely_certificate};
use self::stopping::StopSignals;
pub(super) use self::stopping::survive_large_files;
use super::lost_files::missed_meanwhile;
use crate::cli::{GlobalFlags, Lifted};
use crate::config::{Config, Loaded};
use crate::failure::{Failure, without_numbers};
use crate::opening::{lock, lock_existing};
use crate::spilling;
use crate::wiring::{Opened, Purpose, open, refuse_unusable_directory, wrong_with_directory};

/// How long requests that were accepted may take to finish once the process stops.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long the database may take to let go.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Serves until the process is stopped.
///
/// # Errors
/// What keeps it from serving, and what to do about it.
pub(super) async fn serve(
    loaded: &Loaded,
    global: &GlobalFlags,
    lifted: Lifted,
    metrics: PreparedMetrics,
) -> Result<(), Failure> {
    let config = &loaded.config;
    stopping::ignore_hangups()?;
    survive_large_files()?;
    // First: a second server started by mistake must not touch the first one's database, and is told of the directory, not of the port.
    let locked = lock_existing(config)?;
    let listener = bind(config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::internal(format!("the listen address cannot be read: {error}")))?;
    let postgres = Bound::new(config).await?;
    refuse_unusable(config)?;
    // Let go of last: by then nothing is written.
    let mut serving = match locked {
        Some(locked) => Some(locked),
        None => lock(config)?,
    };
    if let Some(serving) = &mut serving {
        serving.note_address(address, config);
    }
    let opened = open(config, &Purpose::Serve { url: base_url(address), lifted }).await?;
    let settings = HttpSettings { serves_outbox: serves_outbox(address), ..config.http_settings() };
    let (surface, metrics) = surface(&opened, settings, metrics).await?;
    let signals = StopSignals::install()?;
    let background = Background::start(&opened, metrics);
    let limits = ConnectionLimits::from(&config.http).within(raise_descriptor_limit());
    let postgres = postgres.map(|bound| bound.start(config, &opened)).transpose()?;
    warn_of_new_url(config, &opened).await;
    opened.look_at_database(config);
    ask_store(&opened);
    announce(loaded, address, global);
    answer(listener, surface, limits, signals, postgres).await;
    stop(opened, background).await;
    drop(serving);
    Ok(())
}

/// What is refused before an installation is made: who mistyped a name gets no new one.
fn refuse_unusable(config: &Config) -> Result<(), Failure> {
    spilling::check(config)?;
    refuse_unusable_directory(config)?;
    // The built-in ones are whole.
    if config.mail.templates_dir.is_some() {
        config.templates()?;
    }
    config.password_hasher().map(drop)
}

/// What is served, put together while `prepared` is still made, and the metrics.
async fn surface(
    opened: &Opened,
    settings: HttpSettings,
    prepared: PreparedMetrics,
) -> Result<(Surface, PrometheusHandle), Failure> {
    let app = App::new(opened.features(), settings, None);
    let surface = Surface::new(app.clone());
    let metrics = install_metrics(prepared).await?;
    app.show_metrics(metrics.clone());
    Ok((surface, metrics))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::advised(
            "cannot_listen",
            format!("cannot listen on {address}: {error}"),
            listen_advice(&error),
        )
    })
}

/// What to do where an address cannot be listened on.
pub(crate) fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already; stop it, or choose another address with --listen (port 0 takes a free \
             one)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher port with --listen, and a proxy in front"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; --listen 0.0.0.0:PORT listens on all addresses"
        }
        _ => "choose another address with --listen",
    }
}

/// Looks at the directory of files and for those in it, or asks the store whether it is there. What is not is told, and keeps nobody from
/// signing in.
fn ask_store(opened: &Opened) {
    let objects = opened.storage.objects().clone();
    if let Err(error) = objects.look_at_directory() {
        let (what, advice) = wrong_with_directory(objects.directory(), &error);
        // A store over the network answers downloads without it.
        let cannot = if objects.is_local() { "uploaded or read" } else { "uploaded" };
        tracing::warn!("files cannot be {cannot}: {}; {advice}", without_numbers(&what));
        if objects.is_local() {
            return;
        }
    }
    let kernel = Arc::clone(&opened.kernel);
    tokio::spawn(async move {
        if objects.is_local() {
            warn_of_missed(&kernel.store, &objects).await;
        } else if let Err(error) = objects.check().await {
            tracing::error!("files cannot be uploaded or read: {error}. `tidegate doctor` tries it again");
        }
    });
}

/// Warns of files that the database names and the directory has not: a database may be served with another data directory than before.
async fn warn_of_missed(store: &Store, objects: &Objects) {
    // That the database does not answer is told of the database.
    let Ok(missed) = missed_meanwhile(store, objects).await else { return };
    if missed.is_empty() {
        return;
    }
    tracing::warn!(
        "{}; copy them to {} (`cp -a FROM/. TO/`) from where they were or from FILE.files of a backup, or name their directory in \
         storage.directory",
        missed.text().replace('\n', "; "),
        objects.directory().display()
    );
}

/// Answers requests until the first signal, then finishes those accepted.
async fn answer(
    listener: TcpListener,
    surface: Surface,
    limits: ConnectionLimits,
    mut signals: StopSignals,
    postgres: Option<Postgres>,
) {
    let connections = Connections::new(surface, limits);
    // Returns with the listener closed: what is not accepted by now goes to another node, or to the next start.
    connections.accept(listener, signals.wait()).await;
    tracing::info!(
        seconds = LAST_REQUESTS.as_secs(),
        "stopping: finishing open requests, accepting no new connections"
    );
    let impatient = tokio::spawn(async move {
        signals.wait().await;
        stopping::exit_at_once();
    });
    let clients_gone = async {
        if let Some(postgres) = postgres {
            postgres.stop(LAST_REQUESTS).await;
        }
    };
    let (is_finished, ()) = tokio::join!(connections.finish(LAST_REQUESTS), clients_gone);
    if !is_finished {
        tracing::warn!("some requests did not finish in time and were cancelled");
    }
    impatient.abort();
}

async fn stop(opened: Opened, background: Background) {
    background.stop().await;
    if timeout(LAST_WRITES, opened.close()).await.is_err() {
        tracing::warn!("the database did not close in time");
    }
    tracing::info!("stopped");
}
