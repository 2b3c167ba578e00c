//! YAML under limits: rules come from the internet and are read as hostile text.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

/// Bytes of one file; the largest public rule has about 20 KB.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;
/// Collections within collections; rules need six.
const DEPTH_MAX: usize = 24;
/// Scalars and collections of one file.
const NODES_MAX: usize = 50_000;
/// Aliases of one file: rules have none or a few, bombs live of them.
const ALIASES_MAX: usize = 64;
/// Nodes that aliases may stand for, together.
const ALIAS_NODES_MAX: usize = 20_000;
/// Rules in one file.
const DOCUMENTS_MAX: usize = 512;
/// Characters of a message about YAML; the parser quotes the text.
const MESSAGE_CHARS_MAX: usize = 300;

/// The documents of a text, as values. Empty documents are skipped.
///
/// # Errors
/// Why it is not YAML that we read, with line and column.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    let mut options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_documents: DOCUMENTS_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        // `no` and `on` are words in a rule, as YAML 1.2 has it.
        strict_booleans: true,
        // `0755` and `1_000` mean what they look like.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    options.alias_limits.max_total_replayed_events = ALIAS_NODES_MAX;
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| format!("not valid YAML: {error}").chars().take(MESSAGE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_documents_are_several_rules() {
        assert_eq!(documents("a: 1\n---\nb: no\n").unwrap().len(), 2);
        assert_eq!(documents("b: no").unwrap()[0]["b"], "no");
        assert!(documents("").unwrap().is_empty());
    }

    #[test]
    fn alias_bomb_is_refused() {
        let mut levels = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
        for level in 1..9 {
            let below = level - 1;
            let items = vec![format!("*a{below}"); 7].join(", ");
            levels.push(format!("a{level}: &a{level} [{items}]"));
        }
        assert!(documents(&levels.join("\n")).is_err());
    }

    #[test]
    fn deep_yaml_is_refused() {
        let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
        assert!(documents(&deep).is_err());
        let blocks: Vec<String> = (0..200).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
        assert!(documents(&blocks.join("\n")).is_err());
    }

    #[test]
    fn a_key_twice_is_an_error_with_its_place() {
        let error = documents("a: 1\na: 2\n").unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    }
}
