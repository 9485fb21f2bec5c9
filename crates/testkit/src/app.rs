//! The whole application in process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use metrics_exporter_prometheus::PrometheusHandle;
use tidegate_broker::AlpacaConfig;
use tidegate_brokerage::Brokerage;
use tidegate_catalog::hooks::SourceFiles;
use tidegate_catalog::{Catalog, DataSettings};
use tidegate_crypto::{PasswordScheme, PoolSize};
use tidegate_database::Store;
use tidegate_delivery::{MailProvider, RetryPolicy, SmsConfig, Templates};
use tidegate_domain::phone::TextLimits;
use tidegate_domain::{Clock, Entropy, OauthRules, Timestamp};
use tidegate_federation::SocialConfig;
use tidegate_http::{App, Features, HttpSettings};
use tidegate_identity::Identity;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_kernel::{Kernel, Parts, Settings};
use tidegate_oauth::Oauth;
use tidegate_objects::StorageConfig;
use tidegate_policies::Policies;
use tidegate_prompts::prompts::Ports;
use tidegate_prompts::{PromptSettings, Prompts};
use tidegate_storage::{Storage, StorageLimits};

use crate::parts::{Outside, PartsToBe, parts};
use crate::{Client, Engine, FakeClock, Fixture, Request, SeededEntropy, TestDatabase};

/// The issuer of every test's tokens.
pub const PUBLIC_URL: &str = "https://id.example.com";

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
    /// Its use cases of files.
    pub storage: Arc<Storage>,
    /// Its use cases of data sources.
    pub catalog: Arc<Catalog>,
    /// Its use cases of policies.
    pub policies: Arc<Policies>,
    /// Its use cases of questions and queries.
    pub prompts: Arc<Prompts>,
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

    /// The use cases of files.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.node.storage
    }

    /// The directory that files are kept in.
    pub fn files_directory(&self) -> std::path::PathBuf {
        self.outside.files.path().join("files")
    }

    /// The use cases of questions and queries.
    pub fn prompts(&self) -> &Arc<Prompts> {
        &self.node.prompts
    }

    /// The use cases of policies.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.node.policies
    }

    /// The use cases of data sources.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.node.catalog
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
        router(self.node.features(), http, metrics)
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

    /// Another process of the same installation, after its master key was replaced: keys are made of seeds, and the one of every test of 1.
    pub async fn another_node_under(&self, current: u64, previous: &[u64]) -> Node {
        let outside = Outside { master_keys: (current, previous.to_vec()), ..self.outside.clone() };
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
        let storage = Storage::start(Arc::clone(&kernel), to_be.objects, to_be.storage_limits);
        let files = to_be.source_files.unwrap_or_else(|| tidegate_bridge::stored_files(&storage));
        let settings = tidegate_bridge::policy_settings(&to_be.data);
        let catalog = Catalog::start(Arc::clone(&kernel), to_be.data, files);
        tidegate_bridge::name_sources(&storage);
        let policies = Policies::start(Arc::clone(&kernel), settings, tidegate_bridge::known_relations());
        tidegate_bridge::govern_sources(&kernel, &catalog, &policies);
        let engine = tidegate_bridge::QueryEngine::new(Default::default(), Default::default());
        tidegate_bridge::simulate_queries(&kernel, &catalog, &policies, &engine);
        let ports = to_be
            .ports
            .unwrap_or_else(|| tidegate_bridge::prompt_ports(&kernel, &catalog, &policies, &engine));
        let prompts = Prompts::start(Arc::clone(&kernel), to_be.prompts, ports).expect("models");
        let features = Features {
            kernel: Arc::clone(&kernel),
            identity: Arc::clone(&identity),
            brokerage: Arc::clone(&brokerage),
            oauth: Arc::clone(&oauth),
            storage: Arc::clone(&storage),
            catalog: Arc::clone(&catalog),
            policies: Arc::clone(&policies),
            prompts: Arc::clone(&prompts),
        };
        let router = router(features, http.clone(), None);
        Self { kernel, identity, brokerage, oauth, storage, catalog, policies, prompts, store, router }
    }

    fn features(&self) -> Features {
        Features {
            kernel: Arc::clone(&self.kernel),
            identity: Arc::clone(&self.identity),
            brokerage: Arc::clone(&self.brokerage),
            oauth: Arc::clone(&self.oauth),
            storage: Arc::clone(&self.storage),
            catalog: Arc::clone(&self.catalog),
            policies: Arc::clone(&self.policies),
            prompts: Arc::clone(&self.prompts),
        }
    }

    /// A client of this node at the usual address.
    pub fn client(&self) -> Client {
        Client::new(self.router.clone(), IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)))
    }
}

fn router(features: Features, http: HttpSettings, metrics: Option<PrometheusHandle>) -> Router {
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

    /// Has clients publish their keys and documents on this machine.
    pub fn local_clients(mut self) -> Self {
        self.outside.local_clients = true;
        self
    }

    /// Keeps files as `config` says; uploads under way stay in the test's own directory.
    pub fn files(mut self, config: StorageConfig) -> Self {
        self.outside.storage = config;
        self
    }

    /// Limits files.
    pub fn file_limits(mut self, limits: StorageLimits) -> Self {
        self.outside.storage_limits = limits;
        self
    }

    /// Changes the settings of data sources.
    pub fn data(mut self, change: impl FnOnce(&mut DataSettings)) -> Self {
        change(&mut self.outside.data);
        self
    }

    /// Changes the settings of questions and queries.
    pub fn prompts(mut self, change: impl FnOnce(&mut PromptSettings)) -> Self {
        change(&mut self.outside.prompts);
        self
    }

    /// Has questions and queries stand on those, and not on the engine.
    pub fn prompt_ports(mut self, ports: Ports) -> Self {
        self.outside.ports = Some(ports);
        self
    }

    /// Has data sources find their files there, and not in the storage.
    pub fn source_files(mut self, files: Arc<dyn SourceFiles>) -> Self {
        self.outside.source_files = Some(files);
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
        let database = TestDatabase::create(self.engine).await;
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
