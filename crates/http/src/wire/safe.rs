//! Methods that are safe have no effects (RFC 9110 section 9.2.1), whatever looks at a link.
//!
//! A call that comes by a safe method begins no unit of work that writes: the kernel refuses it. The few endpoints that act for `GET`,
//! because their contract or protocol published them so, are declared with [`acting`]; their `HEAD` is answered here and reaches no handler.

use axum::Extension;
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::routing::MethodRouter;

use crate::wire::state::App;

/// That the endpoint acts for `GET`.
#[derive(Clone, Copy)]
struct ActsForGet;

/// An endpoint that acts for `GET`. `HEAD`, which programs send that look at links, is answered 200; nothing is read or done.
pub(crate) fn acting(endpoint: MethodRouter<App>) -> MethodRouter<App> {
    endpoint.route_layer(Extension(ActsForGet)).head(looked_at)
}

/// The same for a handler.
pub(crate) fn acting_get<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    acting(axum::routing::get(handler))
}

async fn looked_at() -> StatusCode {
    StatusCode::OK
}

/// Whether a request may have no effect.
pub(crate) fn only_looks(parts: &Parts) -> bool {
    let acts_for_get = parts.extensions.get::<ActsForGet>().is_some();
    parts.method.is_safe() && !(acts_for_get && parts.method == Method::GET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(method: Method, declared: bool) -> bool {
        let mut request = axum::http::Request::builder().method(method).body(()).unwrap();
        if declared {
            request.extensions_mut().insert(ActsForGet);
        }
        only_looks(&request.into_parts().0)
    }

    #[test]
    fn a_safe_method_looks_but_for_get_where_the_endpoint_is_declared_to_act() {
        for method in [Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert!(looks(method.clone(), false) && looks(method, true));
        }
        assert!(looks(Method::GET, false) && !looks(Method::GET, true));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!looks(method.clone(), false) && !looks(method, true));
        }
    }
}
