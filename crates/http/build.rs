//! How the tests are linked.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables what it builds for")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Each test is a start of their program. At a fixed address half a million of its places need not be written anew at each.
    // musl's programs are linked with -static-pie, which does not go with it.
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-tests=-no-pie");
    }
}
