//! The whole application in process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tidegate_broker::sandbox::SandboxConfig;
use tidegate_broker::{Alpaca, AlpacaConfig, Wait};
use tidegate_brokerage::{BrokerChoice, Brokerage};
use tidegate_crypto::{HashPool, MasterKey, PasswordHasher, PasswordScheme, PoolSize, Vault};
use tidegate_database::Store;
use tidegate_delivery::sms::Receipts;
use tidegate_delivery::{MailProvider, RetryPolicy, SmsConfig, SmsProvider, SmsProviders, Templates};
use tidegate_domain::phone::TextLimits;
use tidegate_domain::{Clock, Entropy, OauthRules, Timestamp};
use tidegate_federation::{ClientDocuments, Federation, SocialConfig};
use tidegate_http::{App, Features, HttpSettings};
use tidegate_identity::Identity;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_kernel::{Kernel, Parts, Settings};
use tidegate_oauth::Oauth;

use crate::{Client, Engine, FakeClock, Fixture, Request, SeededEntropy, TestDatabase};

/// The issuer of every test's tokens.
pub const PUBLIC_URL: &str = "https://id.example.com";

/// The cheapest bcrypt there is: tests are about rules, not about the hash's strength.
const SCHEME: PasswordScheme = PasswordScheme::Bcrypt { cost: 4 };

/// The application on a database of its own, under the test's clock and chance.
pub struct TestApp {
    /// Tells the application the time.
    pub clock: Arc<FakeClock>,
    /// Where it keeps everything.
    pub database: TestDatabase,
    entropy: Arc<SeededEntropy>,
    node: Node,
    settings: Settings,
    http: HttpSettings,
    templates: Arc<dyn Fn() -> Templates + Send + Sync>,
    outside: Outside,
}

/// Who is talked to beside mail servers, and how passwords are hashed; the same for every node.
#[derive(Clone)]
struct Outside {
    scheme: PasswordScheme,
    pool: PoolSize,
    /// Where salts come from, if not from where all chance comes from.
    salts: Option<Arc<dyn Entropy>>,
    sms: Option<SmsConfig>,
    broker: Option<AlpacaConfig>,
    social: SocialConfig,
    /// Whether clients publish their keys and documents on this machine, and not on the internet.
    local_clients: bool,
}

impl Default for Outside {
    fn default() -> Self {
        let (pool, social) = (PoolSize { threads: 2, queue: 1_000 }, SocialConfig::default());
        Self { scheme: SCHEME, pool, salts: None, sms: None, broker: None, social, local_clients: false }
    }
}

impl Outside {
    fn sms(&self) -> SmsProviders {
        match &self.sms {
            Some(config) => SmsProviders::from_config(config).expect("providers"),
            None => SmsProviders::new(vec![SmsProvider::Outbox]),
        }
    }

    fn receipts(&self) -> Receipts {
        Receipts::new(self.sms.as_ref().unwrap_or(&SmsConfig::default())).expect("receipts")
    }

    fn broker(&self, clock: &Arc<FakeClock>) -> BrokerChoice {
        match &self.broker {
            Some(config) => {
                let alpaca = Alpaca::new(config, clock.clone()).expect("a broker");
                BrokerChoice::Alpaca(alpaca.with_wait(Arc::new(NoWait)))
            }
            None => BrokerChoice::Sandbox(SandboxConfig::default()),
        }
    }
}

/// Retries at once: the clock under test would not move meanwhile.
struct NoWait;

impl Wait for NoWait {
    fn wait(&self, _: Duration) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// One process of an installation.
pub struct Node {
    /// Its kernel.
    pub kernel: Arc<Kernel>,
    /// Its use cases.
    pub identity: Arc<Identity>,
    /// Its use cases of brokerage.
    pub brokerage: Arc<Brokerage>,
    /// Its use cases of applications.
    pub oauth: Arc<Oauth>,
    /// Its store, past the use cases.
    pub store: Store,
    router: Router,
}

/// An application to be.
pub struct Builder {
    engine: Engine,
    settings: Settings,
    http: HttpSettings,
    provider: Option<MailProvider>,
    outside: Outside,
    is_alone: bool,
}

impl Fixture for TestApp {
    async fn prepare(engine: Engine) -> Self {
        Self::start(engine).await
    }
}

impl TestApp {
    /// An application with the contracts' defaults, whose mails stay readable.
    pub async fn start(engine: Engine) -> Self {
        Self::builder(engine).start().await
    }

    /// An application with other settings.
    pub fn builder(engine: Engine) -> Builder {
        Builder {
            engine,
            settings: settings(),
            http: HttpSettings::default(),
            provider: Some(MailProvider::Outbox),
            outside: Outside::default(),
            is_alone: false,
        }
    }

    /// Another process of the same installation: its own memory, the same database, keys and clock.
    pub async fn another_node(&self) -> Node {
        let parts = parts(&self.clock, &self.entropy, &self.settings, (self.templates)(), &self.outside);
        Node::start(self.database.open().await, parts, Some(MailProvider::Outbox), &self.http).await
    }

    /// The kernel.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.node.kernel
    }

    /// The use cases.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.node.identity
    }

    /// The use cases of brokerage.
    pub fn brokerage(&self) -> &Arc<Brokerage> {
        &self.node.brokerage
    }

    /// The use cases of applications.
    pub fn oauth(&self) -> &Arc<Oauth> {
        &self.node.oauth
    }

    /// The store, past the use cases.
    pub fn store(&self) -> &Store {
        &self.node.store
    }

    /// The router, to be served on a real port.
    pub fn router(&self) -> Router {
        self.node.router.clone()
    }

    /// A router with other settings of HTTP.
    pub fn router_with(&self, http: HttpSettings, metrics: Option<PrometheusHandle>) -> Router {
        let Node { kernel, identity, brokerage, oauth, .. } = &self.node;
        router(kernel, identity, brokerage, oauth, http, metrics)
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Another process of the same installation, with other settings.
    pub async fn another_node_with(&self, change: impl FnOnce(&mut Settings)) -> Node {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let parts = parts(&self.clock, &self.entropy, &settings, (self.templates)(), &self.outside);
        Node::start(self.database.open().await, parts, Some(MailProvider::Outbox), &self.http).await
    }

    /// Another process of the same installation, configured to hash new passwords in another way.
    pub async fn another_node_hashing(&self, scheme: PasswordScheme) -> Node {
        let outside = Outside { scheme, ..self.outside.clone() };
        let parts = parts(&self.clock, &self.entropy, &self.settings, (self.templates)(), &outside);
        Node::start(self.database.open().await, parts, Some(MailProvider::Outbox), &self.http).await
    }

    /// A client at the usual address.
    pub fn client(&self) -> Client {
        self.node.client()
    }

    /// Runs SQL past the application, committed at once; answers how many rows changed.
    pub async fn sql(&self, statements: &str) -> u64 {
        self.database.sql(statements).await
    }

    /// The number that a query answers.
    pub async fn sql_count(&self, query: &str) -> i64 {
        self.database.sql_count(query).await
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.client().request(Method::GET, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.client().request(Method::POST, path)
    }

    /// A PUT request.
    pub fn put(&self, path: &str) -> Request {
        self.client().request(Method::PUT, path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: &str) -> Request {
        self.client().request(Method::PATCH, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> Request {
        self.client().request(Method::DELETE, path)
    }
}

impl Node {
    async fn start(store: Store, to_be: PartsToBe, mail: Option<MailProvider>, http: &HttpSettings) -> Self {
        let parts = Parts {
            store: store.clone(),
            clock: to_be.clock,
            entropy: to_be.entropy,
            vault: to_be.vault,
            mail,
            sms: to_be.sms,
            receipts: to_be.receipts,
            templates: to_be.templates,
            retry: RetryPolicy::default(),
            settings: to_be.settings,
        };
        let kernel = Kernel::start(parts).await.expect("the kernel");
        let identity = Identity::start(Arc::clone(&kernel), to_be.passwords, to_be.federation);
        let brokerage = Brokerage::start(Arc::clone(&kernel), to_be.broker);
        let oauth = Oauth::start_with(Arc::clone(&kernel), to_be.client_documents);
        let router = router(&kernel, &identity, &brokerage, &oauth, http.clone(), None);
        Self { kernel, identity, brokerage, oauth, store, router }
    }

    /// A client of this node at the usual address.
    pub fn client(&self) -> Client {
        Client::new(self.router.clone(), IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)))
    }
}

fn router(
    kernel: &Arc<Kernel>,
    identity: &Arc<Identity>,
    brokerage: &Arc<Brokerage>,
    oauth: &Arc<Oauth>,
    http: HttpSettings,
    metrics: Option<PrometheusHandle>,
) -> Router {
    let features = Features {
        kernel: Arc::clone(kernel),
        identity: Arc::clone(identity),
        brokerage: Arc::clone(brokerage),
        oauth: Arc::clone(oauth),
    };
    tidegate_http::router(App::new(features, http, metrics))
}

impl Builder {
    /// Changes the settings of the use cases.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Changes the settings of HTTP.
    pub fn http(mut self, change: impl FnOnce(&mut HttpSettings)) -> Self {
        change(&mut self.http);
        self
    }

    /// Hashes passwords so many at a time, the others waiting. Each hash waits for its salt from `salts`.
    pub fn hash_pool(mut self, pool: PoolSize, salts: Arc<dyn Entropy>) -> Self {
        self.outside.pool = pool;
        self.outside.salts = Some(salts);
        self
    }

    /// Sends mails through `provider`.
    pub fn mail(mut self, provider: MailProvider) -> Self {
        self.settings.mail = DeliveryMode::Send;
        self.provider = Some(provider);
        self
    }

    /// Has no way to send mails.
    pub fn mail_off(mut self) -> Self {
        self.settings.mail = DeliveryMode::Off;
        self.provider = None;
        self
    }

    /// Sends text messages as `config` says.
    pub fn sms(mut self, config: SmsConfig) -> Self {
        self.settings.sms = DeliveryMode::Send;
        self.outside.sms = Some(config);
        self
    }

    /// Has no way to send text messages.
    pub fn sms_off(self) -> Self {
        self.settings(|settings| settings.sms = DeliveryMode::Off)
    }

    /// Opens brokerage accounts as `config` says, and retries at once.
    pub fn broker(mut self, config: AlpacaConfig) -> Self {
        self.outside.broker = Some(config);
        self
    }

    /// Has these providers sign in.
    pub fn social(mut self, config: SocialConfig) -> Self {
        self.outside.social = config;
        self
    }

    /// In a database of its own on PostgreSQL, too: see [`TestApp::run_out_of_room`].
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// Has clients publish their keys and documents on this machine.
    pub fn local_clients(mut self) -> Self {
        self.outside.local_clients = true;
        self
    }

    /// Switches every rate limit off.
    pub fn without_limits(self) -> Self {
        self.settings(|settings| {
            for profile in settings.contracts.iter_mut() {
                profile.limits = tidegate_domain::contract::Limits::default();
            }
            Arc::make_mut(&mut settings.browser).limits = tidegate_domain::contract::Limits::default();
            settings.texts =
                TextLimits { by_phone_at_once: None, by_phone: None, by_ip: None, by_prefix: None };
            settings.failed_passwords_by_account = None;
            settings.failed_codes_by_network = None;
            settings.messages = tidegate_domain::limit::MessageLimits::NONE;
            settings.audit.attempts_by_network = None;
            settings.brokerage_by_account = None;
            let rules = settings.oauth.rules.clone();
            settings.set_oauth(OauthRules {
                failed_clients_by_network: None,
                failed_secrets_by_client: None,
                codes_by_account: None,
                device_requests_by_network: None,
                user_codes_by_account: None,
                user_codes_by_network: None,
                user_codes: None,
                anonymous_requests: None,
                ..rules
            });
        })
    }

    /// Starts it.
    pub async fn start(self) -> TestApp {
        let clock = Arc::new(FakeClock::new());
        let entropy = Arc::new(SeededEntropy::default());
        let database = if self.is_alone {
            TestDatabase::create_alone(self.engine).await
        } else {
            TestDatabase::create(self.engine).await
        };
        let templates: Arc<dyn Fn() -> Templates + Send + Sync> =
            Arc::new(|| Templates::load(None).expect("the embedded templates"));
        let parts = parts(&clock, &entropy, &self.settings, templates(), &self.outside);
        let node = Node::start(database.open().await, parts, self.provider, &self.http).await;
        let Self { settings, http, outside, .. } = self;
        TestApp { clock, database, entropy, node, settings, http, templates, outside }
    }
}

/// The defaults, but for the budgets of passwords set: stories set more in an instant than managers do in a minute.
fn settings() -> Settings {
    Settings {
        passwords_set_by_account: None,
        passwords_set_by_organization: None,
        passwords_set_by_network: None,
        ..Settings::new(PUBLIC_URL, DeliveryMode::Keep, tidegate_http::contract_profiles())
    }
}

/// What every node of an installation has alike.
struct PartsToBe {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    vault: Vault,
    passwords: HashPool,
    sms: SmsProviders,
    receipts: Receipts,
    broker: BrokerChoice,
    federation: Federation,
    client_documents: ClientDocuments,
    templates: Templates,
    settings: Settings,
}

fn parts(
    clock: &Arc<FakeClock>,
    entropy: &Arc<SeededEntropy>,
    settings: &Settings,
    templates: Templates,
    outside: &Outside,
) -> PartsToBe {
    let hasher = PasswordHasher::new(outside.scheme, None, Vec::new()).expect("a hasher");
    PartsToBe {
        clock: clock.clone(),
        entropy: entropy.clone(),
        vault: vault(),
        passwords: HashPool::start(hasher, outside.salts.clone().unwrap_or(entropy.clone()), outside.pool)
            .expect("a hash pool"),
        sms: outside.sms(),
        receipts: outside.receipts(),
        broker: outside.broker(clock),
        federation: Federation::new(&outside.social, clock.clone()).expect("providers"),
        client_documents: match outside.local_clients {
            true => ClientDocuments::of_this_machine(),
            false => ClientDocuments::new(false),
        },
        templates,
        settings: settings.clone(),
    }
}

/// The vault of every test: under a master key made from a seed of its own, so that all nodes have the same.
pub fn vault() -> Vault {
    Vault::new(MasterKey::generate(&SeededEntropy::new(1)), Vec::new()).expect("a vault")
}
