//! How the tests are linked.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables what it builds for")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Each test is a start of their program. At a fixed address half a million of its places need not be written anew at each.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-arg-tests=-no-pie");
    }
}
