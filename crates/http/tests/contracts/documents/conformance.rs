//! `docs/conformance.md` names tests that exist.

use std::path::Path;

use super::repository;

/// The names in a page that stand for tests: `module::function`.
fn named(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2).filter(|word| {
        let is_path =
            |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        word.contains("::") && !word.ends_with("::") && is_path(word)
    })
}

/// Whether a file below `root` has the test of that name.
fn exists(root: &Path, name: &str) -> bool {
    let Some((modules, function)) = name.rsplit_once("::") else { return false };
    let path = root.join(modules.replace("::", "/"));
    let files = [path.with_extension("rs"), path.join("mod.rs")];
    let is_there = |text: String| text.contains(&format!("fn {function}("));
    files.iter().any(|file| std::fs::read_to_string(file).is_ok_and(is_there))
}

#[test]
fn every_test_that_the_page_of_conformance_names_exists() {
    let page = std::fs::read_to_string(repository().join("docs/conformance.md")).unwrap();
    let contracts = repository().join("crates/http/tests/contracts");
    let program = repository().join("crates/tidegate/tests/program");
    let mut count = 0;
    for name in named(&page) {
        count += 1;
        let is_there = match name.strip_prefix("program::") {
            Some(rest) => exists(&program, rest),
            None => exists(&contracts, name),
        };
        assert!(is_there, "docs/conformance.md names {name}, which is no test");
    }
    assert!(count > 30, "only {count} tests are named");
    assert!(!exists(&contracts, "oauth::logout::a_test_that_is_not_there"));
}
