//! Every dependency may be used under a licence of the allow list in `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Problem;

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate", alias = "name")]
    name: String,
    allow: Vec<String>,
}

pub fn check(metadata: &serde_json::Value, deny: &str) -> Result<Vec<Problem>> {
    let deny: Deny = toml::from_str(deny).context("deny.toml")?;
    let allowed: BTreeSet<&str> = deny.licenses.allow.iter().map(String::as_str).collect();
    let exceptions: BTreeMap<&str, &[String]> =
        deny.licenses.exceptions.iter().map(|one| (one.name.as_str(), one.allow.as_slice())).collect();
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut problems = Vec::new();
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        let (name, version, licence) = (text("name"), text("version"), text("license"));
        let own = exceptions.get(name).copied().unwrap_or_default();
        let is_good = |id: &str| allowed.contains(id) || own.iter().any(|licence| licence == id);
        if satisfied(licence, &is_good) != Some(true) {
            let shown = if licence.is_empty() { "no licence" } else { licence };
            problems.push(Problem::new(
                "deny.toml",
                0,
                format!("{name} {version} is under {shown}, which is not allowed"),
            ));
        }
    }
    Ok(problems)
}

/// Whether one of the ways to satisfy an SPDX expression is allowed; `None` when it cannot be read.
///
/// `A / B` is how old packages write `A OR B`.
fn satisfied(expression: &str, is_good: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, is_good };
    let result = parser.any()?;
    parser.tokens.is_empty().then_some(result)
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    is_good: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &str) -> bool {
        let is_there = self.tokens.first() == Some(&wanted);
        if is_there {
            self.tokens = self.tokens.split_first().map_or(&[], |(_, rest)| rest);
        }
        is_there
    }

    /// `all OR all ...`
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.take("OR") {
            result |= self.all()?;
        }
        Some(result)
    }

    /// `one AND one ...`: AND binds closer than OR.
    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.take("AND") {
            result &= self.one()?;
        }
        Some(result)
    }

    /// `( any )`, or a licence with or without its exception.
    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let result = self.any()?;
            return self.take(")").then_some(result);
        }
        let (id, rest) = self.tokens.split_first()?;
        if ["AND", "OR", "WITH", ")"].contains(id) {
            return None;
        }
        self.tokens = rest;
        if !self.take("WITH") {
            return Some((self.is_good)(id));
        }
        let (exception, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some((self.is_good)(&format!("{id} WITH {exception}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> Option<bool> {
        satisfied(expression, &|id| {
            ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].contains(&id)
        })
    }

    #[test]
    fn expressions_are_understood() {
        assert_eq!(allowed("MIT OR GPL-3.0"), Some(true));
        assert_eq!(allowed("MIT AND GPL-3.0"), Some(false));
        assert_eq!(allowed("GPL-3.0 OR MIT AND Apache-2.0"), Some(true));
        assert_eq!(allowed("(GPL-3.0 OR MIT) AND Unicode-3.0"), Some(true));
        assert_eq!(allowed("Apache-2.0 WITH LLVM-exception"), Some(true));
        assert_eq!(allowed("MIT WITH LLVM-exception"), Some(false));
        assert_eq!(allowed("GPL-2.0 / MIT"), Some(true));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for expression in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", "MIT)"] {
            assert_eq!(allowed(expression), None, "{expression}");
        }
    }

    #[test]
    fn a_forbidden_dependency_is_named() {
        let deny = "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"odd\", allow = [\"Zlib\"] }]\n";
        let metadata = serde_json::json!({"packages": [
            {"name": "good", "version": "1.0.0", "license": "MIT", "source": "registry"},
            {"name": "odd", "version": "1.0.0", "license": "Zlib", "source": "registry"},
            {"name": "bad", "version": "2.0.0", "license": "GPL-3.0-only", "source": "registry"},
            {"name": "none", "version": "3.0.0", "license": null, "source": "registry"},
            {"name": "ours", "version": "0.1.0", "license": "Apache-2.0", "source": null},
        ]});
        let found = check(&metadata, deny).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].what.starts_with("bad 2.0.0 is under GPL-3.0-only"), "{found:?}");
        assert!(found[1].what.starts_with("none 3.0.0 is under no licence"), "{found:?}");
    }
}
