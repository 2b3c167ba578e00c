//! English and Japanese say the same: phrase files have the same keys and arguments, manuals the same commands.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::Problem;

/// Files `text/en.toml` and `text/ja.toml` in one folder.
pub fn phrases(texts: &BTreeMap<String, String>) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let english = texts.iter().filter_map(|(file, text)| Some((file.strip_suffix("/en.toml")?, text)));
    for (folder, en) in english {
        let file = format!("{folder}/ja.toml");
        let Some(ja) = texts.get(&file) else {
            problems.push(Problem::new(&file, 0, "is missing: there is an en.toml beside it"));
            continue;
        };
        let parse = |text: &str| -> Result<BTreeMap<String, String>> {
            let table: toml::Table = toml::from_str(text).with_context(|| format!("{folder} holds no TOML"))?;
            let mut flat = BTreeMap::new();
            flatten("", &toml::Value::Table(table), &mut flat);
            Ok(flat)
        };
        compare(&file, &parse(en)?, &parse(ja)?, &mut problems);
    }
    Ok(problems)
}

fn compare(file: &str, en: &BTreeMap<String, String>, ja: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    let keys: BTreeSet<&String> = en.keys().chain(ja.keys()).collect();
    for key in keys {
        let what = match (en.get(key), ja.get(key)) {
            (Some(_), None) => format!("`{key}` has no Japanese text"),
            (None, Some(_)) => format!("`{key}` has no English text"),
            (Some(en), Some(ja)) if en.trim().is_empty() != ja.trim().is_empty() => {
                format!("`{key}` is empty in one language")
            }
            (Some(en), Some(ja)) if arguments(en) != arguments(ja) => {
                format!("`{key}` has the arguments {:?} in English and {:?} in Japanese", arguments(en), arguments(ja))
            }
            _ => continue,
        };
        problems.push(Problem::new(file, 0, what));
    }
}

fn flatten(prefix: &str, value: &toml::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, flat);
            }
        }
        toml::Value::String(text) => {
            flat.insert(prefix.to_owned(), text.clone());
        }
        other => {
            flat.insert(prefix.to_owned(), other.to_string());
        }
    }
}

/// The names in braces.
fn arguments(text: &str) -> BTreeSet<&str> {
    let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    names.filter(|name| name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')).collect()
}

/// `X.md` and `X.ja.md`: the same headings, level by level, and the same blocks of code.
pub fn documents(texts: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, ja) in texts {
        let Some(stem) = file.strip_suffix(".ja.md") else { continue };
        let Some(en) = texts.get(&format!("{stem}.md")) else {
            problems.push(Problem::new(file, 0, format!("there is no {stem}.md")));
            continue;
        };
        let (en, ja) = (outline(en), outline(ja));
        if en.headings != ja.headings {
            let what = format!("has headings of the levels {:?}, English has {:?}", ja.headings, en.headings);
            problems.push(Problem::new(file, 0, what));
        }
        if en.blocks.len() != ja.blocks.len() {
            let what = format!("has {} blocks of code, English has {}", ja.blocks.len(), en.blocks.len());
            problems.push(Problem::new(file, 0, what));
        }
        let pairs = en.blocks.iter().zip(&ja.blocks).filter(|(en, ja)| en.1 != ja.1);
        problems.extend(
            pairs.map(|(_, (line, _))| Problem::new(file, *line, "this block of code differs from the English one")),
        );
    }
    problems
}

struct Outline {
    headings: Vec<usize>,
    /// The line on which a block begins, and its text.
    blocks: Vec<(usize, String)>,
}

fn outline(text: &str) -> Outline {
    let mut outline = Outline { headings: Vec::new(), blocks: Vec::new() };
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            if is_code {
                outline.blocks.push((index + 1, format!("{}\n", line.trim())));
            }
        } else if is_code {
            // What a block prints may be in the reader's language, after a mark; what it runs is the same.
            if let Some((_, block)) = outline.blocks.last_mut()
                && !line.trim_start().starts_with("# ")
            {
                block.push_str(line);
                block.push('\n');
            }
        } else if line.starts_with('#') {
            outline.headings.push(line.chars().take_while(|&char| char == '#').count());
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase_problems(en: &str, ja: &str) -> Vec<String> {
        let texts = BTreeMap::from([
            ("x/text/en.toml".to_owned(), en.to_owned()),
            ("x/text/ja.toml".to_owned(), ja.to_owned()),
        ]);
        phrases(&texts).unwrap().into_iter().map(|problem| problem.what).collect()
    }

    fn document_problems(en: &str, ja: &str) -> Vec<(usize, String)> {
        let texts =
            BTreeMap::from([("README.md".to_owned(), en.to_owned()), ("README.ja.md".to_owned(), ja.to_owned())]);
        documents(&texts).into_iter().map(|problem| (problem.line, problem.what)).collect()
    }

    #[test]
    fn phrases_have_the_same_keys_and_arguments() {
        let en = "[a]\nb = \"{user} did it\"\nc = \"C\"\n";
        assert!(phrase_problems(en, "[a]\nb = \"{user} がしました\"\nc = \"シー\"\n").is_empty());
        let found = phrase_problems(en, "[a]\nb = \"{ip} がしました\"\nd = \"ディー\"\n");
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_missing_language_is_found() {
        let texts = BTreeMap::from([("x/text/en.toml".to_owned(), String::new())]);
        assert_eq!(phrases(&texts).unwrap().len(), 1);
    }

    #[test]
    fn manuals_have_the_same_commands() {
        let en = "# Title\n\n```sh\nmake demo\n# prints\n```\n## More\n";
        assert!(document_problems(en, "# 題\n\n```sh\nmake demo\n# 表示\n```\n## 続き\n").is_empty());
        assert_eq!(document_problems(en, "# 題\n\n```sh\nmake test\n```\n## 続き\n")[0].0, 3);
        assert_eq!(document_problems(en, "# 題\n## 続き\n").len(), 1);
        assert_eq!(document_problems(en, "# 題\n```sh\nmake demo\n```\n").len(), 1);
    }
}
