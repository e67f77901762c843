//! What keeps the tree as `docs/architecture.md` and `docs/style.md` say it is.
//!
//! Crate arrows, owners of heavy libraries, `//!` heads, file sizes, paths named in docs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use plimsoll_tests::paths::{files, root};

/// Lines a source file may have (style rule D4).
const LINES_MAX: usize = 500;
/// Columns a line of Rust may have (style rule D4).
const COLUMNS_MAX: usize = 100;

struct CrateRule {
    may_use: BTreeSet<String>,
    sole_user_of: BTreeSet<String>,
}

/// Reads the crate table of `docs/architecture.md`.
fn crate_rules() -> BTreeMap<String, CrateRule> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let names = |cell: &str| {
        cell.split(',')
            .map(|name| name.trim().trim_matches('`').to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    };
    let mut rules = BTreeMap::new();
    let table = text.split("## Crates").nth(1).unwrap().split("\n## ").next().unwrap();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let inside = line.trim().trim_start_matches('|').strip_suffix('|').unwrap_or(line);
        let cells: Vec<&str> = inside.split('|').collect();
        assert_eq!(cells.len(), 4, "crate table row has four cells: {line}");
        let name = cells[0].trim().trim_matches('`').to_owned();
        let rule = CrateRule { may_use: names(cells[2]), sole_user_of: names(cells[3]) };
        rules.insert(name, rule);
    }
    assert!(rules.len() > 5, "the crate table was found");
    rules
}

/// Names of the normal dependencies in a manifest: plain `[dependencies]` only.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[dependencies") || line.contains(".dependencies]");
        } else if inside {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let rules = crate_rules();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        seen.insert(name.clone());
        let Some(rule) = rules.get(&name) else {
            wrong.push(format!("crates/{name} is not in the crate table"));
            continue;
        };
        for dependency in dependencies(&folder.join("Cargo.toml")) {
            if let Some(other) = dependency.strip_prefix("plimsoll-")
                && !rule.may_use.contains(other)
            {
                wrong.push(format!("crates/{name} uses {other}, which the table forbids"));
            }
            for (owner, owned) in &rules {
                if owned.sole_user_of.contains(&dependency) && *owner != name {
                    wrong.push(format!("crates/{name} uses {dependency}, which {owner} owns"));
                }
            }
        }
    }
    for name in rules.keys().filter(|name| !seen.contains(*name)) {
        wrong.push(format!("the crate table has {name}, which is not under crates/"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rust_file_says_what_it_owns() {
    let wrong: Vec<_> = files(&root(), &[".rs"])
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(wrong.is_empty(), "files without a //! head: {wrong:#?}");
}

#[test]
fn files_stay_short_and_narrow() {
    let mut wrong = Vec::new();
    for path in files(&root(), &[".rs", ".ts", ".tsx", ".css", ".py"]) {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{}: {lines} lines, {LINES_MAX} allowed", path.display()));
        }
        if path.extension().is_some_and(|ending| ending == "rs") {
            for (index, line) in text.lines().enumerate() {
                let columns = line.chars().count();
                if columns > COLUMNS_MAX {
                    wrong.push(format!("{}:{}: {columns} columns", path.display(), index + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Paths in backquotes that start with a top-level folder must exist.
#[test]
fn paths_named_in_docs_exist() {
    let root = root();
    let tops = ["crates/", "schemas/", "bench/", "tests/", "docs/", ".ci/", ".cargo/"];
    let mut wrong = Vec::new();
    for page in files(&root, &[".md"]) {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = tops.iter().any(|top| word.starts_with(top))
                && !word.contains(['<', '*', '{', ' ', '\n', '$']);
            if is_path && !root.join(word.trim_end_matches('/')).exists() {
                wrong.push(format!("{} names {word}", page.display()));
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let folder = page.parent().unwrap();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                wrong.push(format!("{} links to {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing is left undone in a comment: known weaknesses are pages in `docs/gaps/`.
#[test]
fn nothing_is_left_undone_in_comments() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), "#[ignore"];
    let mut wrong = Vec::new();
    for path in files(&root(), &[".rs", ".ts", ".tsx", ".py", ".sh"]) {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The top level holds what the project says it holds.
#[test]
fn the_top_level_is_as_agreed() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "clippy.toml",
        "rustfmt.toml",
        "rust-toolchain.toml",
        "crates",
        "schemas",
        "bench",
        "tests",
        "docs",
        "target",
        "plimsoll-data",
    ];
    let wrong: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !allowed.contains(&name.as_str()))
        .collect();
    assert!(wrong.is_empty(), "unexpected at the top level: {wrong:?}");
}
