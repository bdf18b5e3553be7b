//! The documents name only what is there, and all that a user can reach is in them.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files documents may name, from the root of the project.
const FOLDERS: [&str; 11] =
    [".ci", "assets", "cloud", "demo", "docs", "edge", "firmware-configs", "fuzz", "scripts", "shared", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `folder`, as a path from the root; what was built or installed is left out.
fn files(folder: &str, found: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true if !["target", "node_modules"].iter().any(|left_out| path.ends_with(&format!("/{left_out}"))) => {
                files(&path, found);
            }
            true => {}
            false => found.push(path),
        }
    }
}

fn all_files() -> Vec<String> {
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| files(folder, &mut found));
    found
}

/// Path and text of every document.
fn documents() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    files("docs", &mut paths);
    paths.retain(|path| path.ends_with(".md"));
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// What stands between backticks, code blocks left out.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.lines()).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next()))
}

/// String literals of Rust code that come behind `before`.
fn literals<'a>(code: &'a str, before: &str) -> Vec<&'a str> {
    code.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A path from the root of the project, or the end of the path of some Rust file.
#[test]
fn every_file_that_a_document_names_is_there() {
    let files = all_files();
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for path in quoted(&text) {
            let first = path.split('/').next().unwrap_or_default();
            let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            let there = match path.contains('/') && FOLDERS.contains(&first) {
                true => root().join(path).exists(),
                false if path.ends_with(".rs") => files.iter().any(|file| file.ends_with(&format!("/{path}"))),
                false => true,
            };
            if plain && !there {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// `http/users::list_users` is the word `list_users` in a file whose path ends with `http/users.rs`,
/// `http/users/mod.rs` or, for what is no Rust, `http/users`.
#[test]
fn every_function_and_test_that_a_document_names_is_there() {
    let files = all_files();
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for name in quoted(&text) {
            let Some((place, word)) = name.rsplit_once("::").filter(|(_, word)| !word.contains(' ')) else { continue };
            let place = place.replace("::", "/");
            let ends = [format!("/{place}.rs"), format!("/{place}/mod.rs"), format!("/{place}")];
            let candidates = files.iter().filter(|file| ends.iter().any(|end| format!("/{file}").ends_with(end)));
            if !candidates.into_iter().any(|file| has_word(&read(file), word)) {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Method and path of every `.route(…)` of a router.
fn routes(router: &str) -> Vec<String> {
    let dense: String = router.split_whitespace().collect();
    let mut found = Vec::new();
    for route in dense.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once('"').unwrap();
        for method in ["get", "post", "put", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                found.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

#[test]
fn every_endpoint_is_in_the_api_guide() {
    let guide = read("docs/api.md");
    let told: BTreeSet<&str> = quoted(&guide).into_iter().collect();
    let all: Vec<String> =
        ["cloud/src/http/mod.rs", "edge/src/panel/mod.rs"].iter().flat_map(|file| routes(&read(file))).collect();
    assert!(all.len() > 40, "{all:?}");
    let untold: Vec<_> = all.iter().filter(|route| !told.contains(route.as_str())).collect();
    assert!(untold.is_empty(), "{untold:#?}");
}

#[test]
fn every_setting_of_the_cloud_is_in_the_guide_to_operation() {
    let guide = read("docs/operations.md");
    let code = read("cloud/src/config.rs");
    let code = code.split("#[cfg(test)]").next().unwrap();
    let settings: BTreeSet<&str> =
        ["get(\"", "env(\"", "parse(\""].iter().flat_map(|call| literals(code, call)).collect();
    assert!(settings.contains("JWT_SECRET") && settings.contains("LOG_FORMAT"), "{settings:?}");
    let untold: Vec<_> = settings.iter().filter(|name| !has_word(&guide, name)).collect();
    assert!(untold.is_empty(), "{untold:#?}");
}

#[test]
fn every_metric_is_in_the_guide_to_operation() {
    let guide = read("docs/operations.md");
    let mut metrics: BTreeSet<String> = literals(&read("edge/src/panel/metrics.rs"), "family(&mut text, \"")
        .iter()
        .map(|name| format!("riverwatts_edge_{name}"))
        .collect();
    for file in all_files().iter().filter(|file| file.starts_with("cloud/src/")) {
        let code = read(file);
        for call in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
            metrics.extend(literals(&code, call).into_iter().map(str::to_owned));
        }
    }
    assert!(metrics.len() > 8, "{metrics:?}");
    let untold: Vec<_> = metrics.iter().filter(|name| !has_word(&guide, name)).collect();
    assert!(untold.is_empty(), "{untold:#?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for (document, text) in documents() {
        let folder = root().join(&document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
