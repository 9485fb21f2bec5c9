//! Every use case of a signed-in caller, read from the source: what it asks for first, and who has it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use tidegate_domain::id::DatabaseId;
use tidegate_domain::{Permission, PermissionSet, Role, Scopes};
use tidegate_http::contracts;
use tidegate_kernel::grant::{Binding, permissions};

/// The feature crates whose use cases act for signed-in callers.
const FEATURES: [&str; 7] = [
    "../identity/src",
    "../brokerage/src",
    "../oauth/src",
    "../storage/src",
    "../catalog/src",
    "../policies/src",
    "../prompts/src",
];

/// What stands for more than one permission in the source.
const CHOSEN: [(&str, &[Permission]); 1] =
    [("managing(login)", &[Permission::ManageMembers, Permission::ManagePrograms])];

/// The text of every source file in a folder.
pub(crate) fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The public functions that take an actor, and what their first statement asks for.
fn use_cases() -> BTreeMap<String, Vec<Permission>> {
    let mut files = Vec::new();
    for feature in FEATURES {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(feature), &mut files);
    }
    let mut found = BTreeMap::new();
    for function in files.iter().flat_map(|file| file.split("\n    pub ").skip(1)) {
        let function = function.trim_start_matches("async ");
        let Some((head, body)) =
            function.strip_prefix("fn ").and_then(|function| function.split_once(" {\n"))
        else {
            continue;
        };
        if !head.contains("actor: &Actor") {
            continue;
        }
        let name = head.split(['(', '<']).next().unwrap().to_owned();
        // What is counted for an account before its use case runs is given the use case's permission.
        if head.contains("permission: Permission") {
            continue;
        }
        let first = body.split(';').next().unwrap();
        let asked: Vec<Permission> = Permission::ALL
            .iter()
            .copied()
            .filter(|one| first.contains(&format!("Permission::{one:?}")))
            .collect();
        found.insert(name, if asked.is_empty() { of_helper(&files, first) } else { asked });
    }
    found
}

/// What a helper asks for in its own first statement, where a use case begins with one.
fn of_helper(files: &[String], first: &str) -> Vec<Permission> {
    if let Some((_, chosen)) = CHOSEN.iter().find(|(text, _)| first.contains(text)) {
        return chosen.to_vec();
    }
    let Some((_, call)) = first.split_once("self.") else { return Vec::new() };
    let helper = format!("async fn {}", call.split('(').next().unwrap());
    let Some((_, rest)) = files.iter().find_map(|file| file.split_once(&helper)) else { return Vec::new() };
    let first = rest.split_once(" {\n").map_or("", |(_, body)| body.split(';').next().unwrap());
    let chosen = CHOSEN.iter().find(|(text, _)| first.contains(text)).map(|(_, chosen)| chosen.to_vec());
    chosen.unwrap_or_else(|| {
        Permission::ALL
            .iter()
            .copied()
            .filter(|one| first.contains(&format!("Permission::{one:?}")))
            .collect()
    })
}

/// A token's role and binding, as a letter each.
fn holders() -> Vec<(char, Role, Binding)> {
    let database = DatabaseId(uuid::Uuid::nil());
    vec![
        ('O', Role::Owner, Binding::Database(database)),
        ('A', Role::Admin, Binding::Database(database)),
        ('D', Role::Developer, Binding::Database(database)),
        ('V', Role::Viewer, Binding::Database(database)),
        ('F', Role::Frontend, Binding::Unbound),
        ('E', Role::Frontend, Binding::EndUser(database)),
    ]
}

fn who(asked: &[Permission], powers: PermissionSet) -> String {
    let may = |role, binding| {
        let granted = permissions(role, &Scopes::Full, binding, powers);
        asked.iter().all(|permission| granted.contains(*permission))
    };
    holders()
        .into_iter()
        .map(|(letter, role, binding)| if may(role, binding) { letter } else { '-' })
        .collect()
}

#[test]
fn every_use_case_of_a_signed_in_caller_authorizes_in_its_first_statement() {
    let use_cases = use_cases();
    assert!(use_cases.len() >= 25, "{use_cases:?}");
    for (name, asked) in &use_cases {
        assert!(!asked.is_empty(), "{name} asks for no permission in its first statement");
    }
    // And none is left that nothing asks for: one's own password is a condition within changing an account, and
    // others' tokens within revoking one of the organization.
    for permission in Permission::ALL {
        let used = use_cases.values().flatten().any(|asked| asked == permission);
        let within =
            [Permission::SetOwnPassword, Permission::ReadOwnToken, Permission::RevokeOrganizationTokens]
                .contains(permission);
        assert!(used || within, "nothing asks for {permission:?}");
    }
}

#[test]
fn no_use_case_of_a_signed_in_caller_begins_an_anonymous_unit_of_work() {
    let mut files = Vec::new();
    for feature in FEATURES {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(feature), &mut files);
    }
    for function in files.iter().flat_map(|file| file.split("\n    pub ").skip(1)) {
        let (head, rest) = function.split_once(" {\n").unwrap_or_default();
        let body = rest.split("\n    }\n").next().unwrap();
        let acts = head.contains("actor: &Actor");
        assert!(!(acts && body.contains("self.begin(")), "{head} begins a unit of work of nobody");
    }
}

#[test]
fn who_may_what_is_as_it_was_reviewed() {
    let mut table =
        String::from("O owner, A admin, D developer, V viewer, F frontend, E end user of a database\n\n");
    write!(table, "{:32}{:52}", "use case", "permission").unwrap();
    for contract in contracts() {
        write!(table, "{:16}", contract.id.as_str()).unwrap();
    }
    let mut lines = vec![table.trim_end().to_owned()];
    for (name, asked) in use_cases() {
        let names: Vec<&str> = asked.iter().map(|permission| permission.as_str()).collect();
        let mut line = format!("{name:32}{:52}", names.join(", "));
        for contract in contracts() {
            write!(line, "{:16}", who(&asked, (contract.profile)().permissions)).unwrap();
        }
        lines.push(line.trim_end().to_owned());
    }
    insta::assert_snapshot!("who-may-what", lines.join("\n"));
}
