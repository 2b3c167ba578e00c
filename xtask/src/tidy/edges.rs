//! Which crate may know which, and which heavy library belongs to whom.

use std::collections::BTreeMap;

use super::Problem;

/// The table of architecture: a crate, and the crates that it may depend on.
const EDGES: [(&str, &[&str]); 8] = [
    ("model", &[]),
    ("sources", &["model"]),
    ("lake", &["model"]),
    ("report", &["model"]),
    ("detect", &["model"]),
    ("synth", &["model"]),
    ("server", &["model", "lake", "detect", "report"]),
    ("matagi", &["model", "sources", "lake", "detect", "report", "server", "synth"]),
];

/// Libraries that only some crates may name, because they are slow to build or would let the wrong crate do the work.
const HEAVY: [(&str, &[&str]); 9] = [
    ("datafusion", &["lake"]),
    ("object_store", &["lake"]),
    ("parquet", &["lake", "matagi"]),
    ("rusqlite", &["lake"]),
    ("ballista", &["lake"]),
    ("axum", &["server"]),
    ("tokio", &["lake", "server", "matagi"]),
    ("clap", &["matagi"]),
    ("miette", &["matagi"]),
];

const HINT: &str = "a new edge needs a decision in docs/adr/ and a line in xtask/src/tidy/edges.rs";

pub fn check(manifests: &BTreeMap<String, String>) -> Vec<Problem> {
    manifests.iter().flat_map(|(file, text)| check_one(file, text)).collect()
}

fn check_one(file: &str, text: &str) -> Vec<Problem> {
    let name = file.split('/').nth(1).unwrap_or_default();
    let Some((_, allowed)) = EDGES.iter().find(|(crate_name, _)| *crate_name == name) else {
        return vec![Problem::new(file, 0, format!("crate `{name}` is not in the table of architecture; {HINT}"))];
    };
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => return vec![Problem::new(file, 0, format!("is no TOML: {error}"))],
    };
    let mut problems = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(dependencies) = table.get(section).and_then(toml::Value::as_table) else { continue };
        for (dependency, value) in dependencies {
            let line = line_of(text, dependency);
            if let Some(other) = dependency.strip_prefix("matagi-")
                && !allowed.contains(&other)
            {
                problems.push(Problem::new(file, line, format!("`{name}` may not depend on `{other}`; {HINT}")));
            }
            // A test may look at what the crate wrote with any tool.
            let owners = HEAVY.iter().find(|(library, _)| library == dependency).map(|(_, owners)| *owners);
            if section != "dev-dependencies" && owners.is_some_and(|owners| !owners.contains(&name)) {
                problems.push(Problem::new(file, line, format!("`{dependency}` is not for `{name}`; {HINT}")));
            }
            if value.get("workspace").is_none() {
                let what = format!("`{dependency}` has its own version: put it into [workspace.dependencies]");
                problems.push(Problem::new(file, line, what));
            }
        }
    }
    problems
}

fn line_of(text: &str, dependency: &str) -> usize {
    let is_it = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    text.lines().position(is_it).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, text: &str) -> Vec<String> {
        let manifests = BTreeMap::from([(format!("crates/{name}/Cargo.toml"), text.to_owned())]);
        check(&manifests).into_iter().map(|problem| format!("{}: {}", problem.line, problem.what)).collect()
    }

    #[test]
    fn the_table_is_kept() {
        let good = "[dependencies]\nmatagi-model.workspace = true\ndatafusion.workspace = true\n";
        assert!(problems("lake", good).is_empty());
        assert!(problems("server", "[dependencies]\nmatagi-lake.workspace = true\n").is_empty());
    }

    #[test]
    fn a_forbidden_edge_is_named_with_its_line() {
        let found = problems("detect", "[dependencies]\nmatagi-model.workspace = true\nmatagi-lake.workspace = true\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("3: `detect` may not depend on `lake`; a new edge needs"), "{found:?}");
        assert_eq!(problems("sources", "[dev-dependencies]\nmatagi-lake.workspace = true\n").len(), 1);
    }

    #[test]
    fn heavy_libraries_have_owners() {
        assert_eq!(problems("report", "[dependencies]\ntokio.workspace = true\n").len(), 1);
        assert!(problems("report", "[dev-dependencies]\ntokio.workspace = true\n").is_empty());
    }

    #[test]
    fn versions_stand_in_one_place() {
        assert_eq!(problems("model", "[dependencies]\nserde = \"1\"\n").len(), 1);
        assert_eq!(problems("model", "[dependencies]\nserde = { workspace = true }\n").len(), 0);
    }

    #[test]
    fn a_crate_that_nobody_drew_is_refused() {
        assert_eq!(problems("utils", "[dependencies]\n").len(), 1);
    }
}
