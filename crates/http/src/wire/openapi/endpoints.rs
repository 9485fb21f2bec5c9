//! Endpoints with their descriptions, which are made only when they are asked for: they are large, and most servers are never asked.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
// What `#[utoipa::path]` implements, by the only path at which it is published: an update of utoipa may move it.
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::Path;
use utoipa::openapi::path::Paths;
use utoipa::openapi::{Components, Info, OpenApi};
use utoipa_axum::PathItemExt;

use crate::wire::safe;
use crate::wire::state::App;

/// The endpoints of a contract, without a prefix.
#[derive(Default)]
pub(crate) struct Endpoints(Vec<Endpoint>);

/// An endpoint and what describes it.
pub(crate) struct Endpoint {
    path: String,
    /// None where another endpoint's handler answers for it.
    handler: Option<MethodRouter<App>>,
    /// None where it answers for others, which are described.
    describe: Option<fn(&mut Paths, &mut Components)>,
}

impl Endpoint {
    /// A handler with what `#[utoipa::path]` says of it; made by [`routes!`](crate::wire::openapi::endpoints::routes).
    pub(crate) fn new<D, H, T>(handler: H) -> Self
    where
        D: Path + Tags<'static> + SchemaReferences,
        H: Handler<T, App>,
        T: 'static,
    {
        let on = |router: MethodRouter<App>, method: &utoipa::openapi::HttpMethod| {
            router.on(method.to_method_filter(), handler.clone())
        };
        Self {
            path: D::path(),
            handler: Some(D::methods().iter().fold(MethodRouter::new(), on)),
            describe: Some(describe::<D>),
        }
    }
}

impl Endpoints {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// With these as well.
    pub(crate) fn routes(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.0.extend(endpoints);
        self
    }

    /// With these as well, which act for `GET` because their contract published them so: see [`safe::acting`].
    pub(crate) fn acting(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let acting =
            |endpoint: Endpoint| Endpoint { handler: endpoint.handler.map(safe::acting), ..endpoint };
        self.routes(endpoints.into_iter().map(acting))
    }

    /// With those of a part of the contract.
    pub(crate) fn merge(self, part: Self) -> Self {
        self.routes(part.0)
    }

    /// With these, whose parameter has slashes in it: a router cannot tell what comes behind it. `handler` does, at `route`.
    pub(crate) fn behind(
        mut self,
        route: &str,
        handler: MethodRouter<App>,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Self {
        let described = endpoints.into_iter().map(|endpoint| Endpoint { handler: None, ..endpoint });
        self.0.extend(described);
        self.0.push(Endpoint { path: route.to_owned(), handler: Some(handler), describe: None });
        self
    }

    /// Their routes below `prefix`. Nested routers would do the same, and cost every request another box and a new address.
    pub(crate) fn into_router(self, prefix: &str) -> Router<App> {
        let route = |router: Router<App>, Endpoint { path, handler, .. }| match (path.as_str(), handler) {
            (_, None) => router,
            ("" | "/", Some(handler)) if prefix.is_empty() => router.route("/", handler),
            ("" | "/", Some(handler)) => router.route(prefix, handler),
            (path, Some(handler)) => router.route(&format!("{prefix}{path}"), handler),
        };
        self.0.into_iter().fold(Router::new(), route)
    }

    /// Their description.
    pub(crate) fn into_openapi(self) -> OpenApi {
        let (mut paths, mut components) = (Paths::new(), Components::new());
        let described = self.0.iter().filter_map(|endpoint| endpoint.describe);
        described.for_each(|describe| describe(&mut paths, &mut components));
        let mut document = OpenApi::new(Info::default(), paths);
        document.components = Some(components);
        document
    }
}

fn describe<D: Path + Tags<'static> + SchemaReferences>(paths: &mut Paths, components: &mut Components) {
    let mut operation = D::operation();
    let tags = D::tags();
    if !tags.is_empty() {
        operation.tags.get_or_insert_default().extend(tags.into_iter().map(str::to_owned));
    }
    paths.add_path_operation(D::path(), D::methods(), operation);
    let mut schemas = Vec::new();
    D::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

/// The endpoints of handlers that have `#[utoipa::path]`.
macro_rules! routes {
    ($($($part:ident)::+),+ $(,)?) => {
        [$($crate::wire::openapi::endpoints::Endpoint::new::<
            $crate::wire::openapi::endpoints::description!([] $($part)::+),
            _,
            _,
        >($($part)::+)),+]
    };
}

/// The type in which `#[utoipa::path]` describes a handler: it stands beside it.
macro_rules! description {
    ([$($module:ident)*] $handler:ident) => {
        ::utoipa_axum::paste! { $($module::)* [<__path_ $handler>] }
    };
    ([$($module:ident)*] $next:ident :: $($rest:tt)+) => {
        $crate::wire::openapi::endpoints::description!([$($module)* $next] $($rest)+)
    };
}

pub(crate) use {description, routes};
