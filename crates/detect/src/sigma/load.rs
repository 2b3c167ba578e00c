//! Files and folders of rules.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::compile::{self, CompiledRule};
use super::rule::SigmaRule;
use super::yaml::FILE_BYTES_MAX;
use super::{Refused, RuleSet, yaml};

/// Folders within folders.
const FOLDER_DEPTH_MAX: usize = 16;
/// Files of one folder of rules: ten times the largest public collection.
const FILES_MAX: usize = 50_000;

/// Loads what lies below `path`.
pub(super) fn load(path: &Path) -> (RuleSet, Vec<Refused>) {
    let mut set = RuleSet::default();
    let mut refused = Vec::new();
    let mut files = Vec::new();
    collect(path, 0, &mut files, &mut refused);
    files.sort();
    for file in files {
        let shown = file.to_string_lossy().replace('\\', "/");
        match read(&file) {
            Ok(text) => refused.extend(add(&mut set, &shown, &text)),
            Err(reason) => refused.push(Refused { path: shown, id: None, reason }),
        }
    }
    refused.sort();
    (set, refused)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, refused: &mut Vec<Refused>) {
    let mut refuse = |reason: String| {
        refused.push(Refused { path: path.to_string_lossy().replace('\\', "/"), id: None, reason });
    };
    if files.len() >= FILES_MAX {
        return refuse(format!("more than {FILES_MAX} files"));
    }
    if !path.is_dir() {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if depth == 0 || extension.eq_ignore_ascii_case("yml") || extension.eq_ignore_ascii_case("yaml") {
            files.push(path.to_path_buf());
        }
        return;
    }
    if depth > FOLDER_DEPTH_MAX {
        return refuse(format!("more than {FOLDER_DEPTH_MAX} folders deep"));
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return refuse(format!("cannot be read: {error}")),
    };
    for entry in entries.flatten() {
        // A linked folder may lead in a circle; a linked file is read.
        let is_linked_folder = entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir();
        if !is_linked_folder {
            collect(&entry.path(), depth + 1, files, refused);
        }
    }
}

fn read(file: &Path) -> Result<String, String> {
    let opened = fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "`take` bounds it")]
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

/// Adds the documents of one text.
pub(super) fn add(set: &mut RuleSet, path: &str, text: &str) -> Vec<Refused> {
    let documents = match yaml::documents(text) {
        Ok(documents) if documents.is_empty() => {
            return vec![Refused { path: path.to_owned(), id: None, reason: "holds no rule".to_owned() }];
        }
        Ok(documents) => documents,
        Err(reason) => return vec![Refused { path: path.to_owned(), id: None, reason }],
    };
    let mut refused = Vec::new();
    for document in documents {
        if let Err(reason) = add_document(&mut set.rules, path, &document) {
            let id = document.get("id").and_then(Value::as_str).map(str::to_owned);
            refused.push(Refused { path: path.to_owned(), id, reason });
        }
    }
    refused
}

fn add_document(rules: &mut BTreeMap<String, Arc<CompiledRule>>, path: &str, document: &Value) -> Result<(), String> {
    let rule = SigmaRule::read(path, document)?;
    if let Some(other) = rules.get(&rule.id) {
        return Err(format!("its id is already that of {}", other.rule.path));
    }
    let compiled = compile::compile(rule)?;
    rules.insert(compiled.rule.id.clone(), Arc::new(compiled));
    Ok(())
}
