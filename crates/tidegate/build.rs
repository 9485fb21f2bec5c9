//! How the program is linked.
//!
//! With `TIDEGATE_LINK_MAP`, an absolute path, LLD writes there which function lies where in the program. `scripts/order-functions` needs it:
//! the program is stripped of its symbols, and in a build that keeps them functions have other names.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables what it builds for")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The functions that lie beside one another in the program: `scripts/order-functions` writes it.
const ORDER: &str = "functions.order";
/// Where to write the map of the program.
const MAP: &str = "TIDEGATE_LINK_MAP";
/// The target whose linker is LLD unless somebody chooses another, since Rust 1.90.
const LINKED_WITH_LLD: &str = "x86_64-unknown-linux-gnu";
/// The first version of the GNU C library that starts programs whose relative relocations are packed.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={ORDER}");
    println!("cargo:rerun-if-env-changed={MAP}");
    // There are some 280,000 relocations, which each start reads: packed they are a hundredth of the size. By the idle memory, 7 MB.
    if starts_packed_programs() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // What a server runs is a tenth of the program and lay all over it. By the idle memory, 22 MB.
    if variable("PROFILE") == "release" && is_linked_with_lld() {
        let order = Path::new(&variable("CARGO_MANIFEST_DIR")).join(ORDER);
        let mut arguments = vec![
            "--no-warn-symbol-ordering".to_owned(),
            format!("--symbol-ordering-file={}", order.display()),
        ];
        let map = variable(MAP);
        if !map.is_empty() {
            arguments.extend(["--no-demangle".to_owned(), format!("-Map={map}")]);
        }
        for argument in arguments {
            println!("cargo:rustc-link-arg-bins=-Xlinker");
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}

/// Whether the program is for the machine that builds it, and starts there.
fn starts_packed_programs() -> bool {
    let is_gnu_linux =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    is_gnu_linux && variable("TARGET") == variable("HOST") && library_version() >= Some(PACKED_SINCE)
}

/// The version of this machine's C library, if it tells one.
fn library_version() -> Option<(u32, u32)> {
    let told = output("getconf", &["GNU_LIBC_VERSION"])?;
    let (major, minor) = told.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether nobody chose another linker than the compiler's own. Another one may not know what is asked of it here.
fn is_linked_with_lld() -> bool {
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let is_chosen = env::var_os("RUSTC_LINKER").is_some() || flags.contains("link") || flags.contains("-Z");
    let has_lld = || {
        let sysroot = PathBuf::from(output(&variable("RUSTC"), &["--print", "sysroot"])?);
        Some(sysroot.join("lib/rustlib").join(LINKED_WITH_LLD).join("bin/gcc-ld/ld.lld").is_file())
    };
    variable("TARGET") == LINKED_WITH_LLD && !is_chosen && has_lld() == Some(true)
}

/// What a command prints, without the end of the line.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let told = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
