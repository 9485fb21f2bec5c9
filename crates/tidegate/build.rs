//! How the program is linked.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables what it builds for")]

use std::env;
use std::process::Command;

/// The first version of the GNU C library that starts programs whose relative relocations are packed.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // There are some 280,000 relocations, which each start reads: packed they are a hundredth of the size. By the idle memory, 7 MB.
    if starts_packed_programs() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the program is for the machine that builds it, and starts there.
fn starts_packed_programs() -> bool {
    let is_gnu_linux = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    is_gnu_linux && env::var("TARGET") == env::var("HOST") && library_version() >= Some(PACKED_SINCE)
}

fn is(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|found| found == value)
}

/// The version of this machine's C library, if it tells one.
fn library_version() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
