//! Requests as people type them and as clients, scanners and browsers send them.

mod browsers;
mod cut_off;
mod expiries;
mod limit_keys;
mod refused_credentials;
mod repeats;
mod safe_methods;
mod typed;
mod wrong_paths;
