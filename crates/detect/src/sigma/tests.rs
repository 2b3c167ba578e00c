use super::*;

#[test]
fn builtin_loads() {
    let mut set = RuleSet::default();
    let mut refused = Vec::new();
    for (path, text) in embedded::RULES {
        refused.extend(set.add(path, text));
    }
    assert_eq!(refused, Vec::new());
    assert_eq!(set.unmapped(), BTreeMap::new());
    for (table, columns) in set.tables_and_columns() {
        println!("{} {columns:?}", table.name());
    }
    for rule in set.rules.values() {
        for t in &rule.targets {
            if t.columns.contains("raw") || t.operations.is_none() {
                println!(
                    "{} {} raw={} ops={:?}",
                    t.table.name(),
                    rule.rule.path,
                    t.columns.contains("raw"),
                    t.operations.as_ref().map(|o| o.len())
                );
            }
        }
    }
}
