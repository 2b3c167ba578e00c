//! Every file of a family is in the family's list, and every name in the list has its file.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Problem;
use super::rust_text::RustText;

/// Families of one file each: the folder, and how many folders deep below it the files lie.
const FAMILIES: [(&str, usize); 3] =
    [("crates/sources/src/formats", 0), ("crates/detect/src/analytics", 1), ("crates/report/src/sections", 0)];

pub fn check(sources: &BTreeMap<String, String>) -> Vec<Problem> {
    FAMILIES.iter().flat_map(|&(folder, depth)| check_family(sources, folder, depth)).collect()
}

fn check_family(sources: &BTreeMap<String, String>, folder: &str, depth: usize) -> Vec<Problem> {
    let files = members(sources, folder, depth);
    if files.is_empty() {
        return Vec::new();
    }
    let crate_folder = folder.split("/src/").next().unwrap_or(folder);
    let mut lists = sources.iter().filter(|(file, _)| file.starts_with(crate_folder));
    let Some((list, listed)) = lists.find_map(|(file, text)| Some((file, in_list(text)?))) else {
        return vec![Problem::new(folder, 0, "has files, but the crate has no list `ALL`")];
    };
    let missing = files.difference(&listed).map(|name| format!("`{name}` is in {folder}, but not in `ALL`"));
    let orphans = listed.difference(&files).map(|name| format!("`ALL` names `{name}`, which is not in {folder}"));
    missing.chain(orphans).map(|what| Problem::new(list, 0, what)).collect()
}

/// Names of the files at this depth; a module with a folder of its own counts once.
fn members(sources: &BTreeMap<String, String>, folder: &str, depth: usize) -> BTreeSet<String> {
    let below = sources.keys().filter_map(|file| file.strip_prefix(folder)?.strip_prefix('/'));
    let names = below.filter_map(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        let name = parts.get(depth)?;
        match (parts.len() - depth, name.strip_suffix(".rs")) {
            (1, Some(stem)) => Some(stem.to_owned()),
            (2, None) if parts.last() == Some(&"mod.rs") => Some((*name).to_owned()),
            _ => None,
        }
    });
    names.filter(|name| !["mod", "tests"].contains(&name.as_str())).collect()
}

/// The modules that the lists of a file name: `&formats::m365_audit::M365Audit` is `m365_audit`. `None` where there is
/// no `ALL`; `PARTS` and `FOLLOWING` beside it count as well.
fn in_list(text: &str) -> Option<BTreeSet<String>> {
    let parsed = RustText::new(text);
    let mut names = None;
    for (start, line) in parsed.code.iter().enumerate() {
        let declaration = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let is_list = ["static ALL:", "const ALL:"].iter().any(|head| declaration.starts_with(head));
        let is_beside = ["static PARTS:", "static FOLLOWING:"].iter().any(|head| declaration.starts_with(head));
        if is_list || (names.is_some() && is_beside) {
            names.get_or_insert_with(BTreeSet::new).extend(entries(&parsed, start));
        }
    }
    names
}

fn entries(parsed: &RustText, start: usize) -> Vec<String> {
    let item: Vec<&str> = parsed.item(start).filter_map(|index| Some(parsed.code.get(index)?.as_str())).collect();
    let item = item.join("\n");
    let values = item.split_once('=').map_or("", |(_, values)| values);
    let entries = values.split([',', '[', ']', ';']).map(|entry| entry.trim().trim_start_matches('&'));
    let module = |entry: &str| {
        let parts: Vec<&str> = entry.split("::").map(str::trim).collect();
        parts.iter().rev().nth(1).map(|&module| module.to_owned())
    };
    entries.filter_map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|&(file, text)| (file.to_owned(), text.to_owned())).collect();
        check(&sources).into_iter().map(|problem| problem.what).collect()
    }

    const LIST: &str =
        "pub static ALL: &[&dyn Source] = &[\n    // &formats::old::Old,\n    &formats::a::A,\n    &b::B,\n];\n";

    #[test]
    fn list_and_folder_agree() {
        let files = [
            ("crates/sources/src/lib.rs", LIST),
            ("crates/sources/src/formats/a.rs", ""),
            ("crates/sources/src/formats/a/columns.rs", ""),
            ("crates/sources/src/formats/b/mod.rs", ""),
            ("crates/sources/src/formats/mod.rs", ""),
        ];
        assert!(problems(&files).is_empty(), "{:?}", problems(&files));
    }

    #[test]
    fn what_is_missing_on_either_side_is_named() {
        let files = [
            ("crates/sources/src/lib.rs", LIST),
            ("crates/sources/src/formats/a.rs", ""),
            ("crates/sources/src/formats/c.rs", ""),
        ];
        let found = problems(&files);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("`c` is in") && found[1].contains("names `b`"), "{found:?}");
    }

    #[test]
    fn analytics_lie_one_folder_deeper() {
        let list = "pub static ALL: &[&dyn Analytic] = &[&mailbox::new_place::NewPlace];\n";
        let good =
            [("crates/detect/src/analytics/mod.rs", list), ("crates/detect/src/analytics/mailbox/new_place.rs", "")];
        assert!(problems(&good).is_empty());
        let bad = [("crates/detect/src/analytics/mod.rs", list), ("crates/detect/src/analytics/mailbox/other.rs", "")];
        assert_eq!(problems(&bad).len(), 2);
    }

    #[test]
    fn a_family_without_a_list_is_found() {
        assert_eq!(problems(&[("crates/report/src/sections/a.rs", "")]).len(), 1);
    }
}
