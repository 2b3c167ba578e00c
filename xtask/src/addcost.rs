//! `cargo xtask addcost FROM..TO`: what did adding this cost, in files touched?

use anyhow::{Context, Result};

use crate::workspace::{Workspace, has_extension};
use crate::{Args, print};

pub fn run(workspace: &Workspace, mut args: Args) -> Result<bool> {
    let range = args.positional().context("which change? for example `cargo xtask addcost main..add-a-source`")?;
    args.finish()?;
    anyhow::ensure!(range.contains("..") && !range.starts_with('-'), "`{range}` is no range of revisions: FROM..TO");
    let changed = workspace.output("git", &["diff", "--name-status", "--no-renames", &range, "--"])?;
    print(&table(&changed));
    Ok(true)
}

/// The files with what happened to each; generated and lock files are told apart, because nobody writes them.
fn table(changed: &str) -> String {
    let mut lines = Vec::new();
    let mut by_hand = 0;
    for line in changed.lines() {
        let Some((status, file)) = line.split_once('\t') else { continue };
        let what = match status.chars().next() {
            Some('A') => "new",
            Some('D') => "deleted",
            _ => "edited",
        };
        let is_generated = has_extension(file, &["lock", "snap"]) || file == crate::docs::SCHEMA_PAGE;
        by_hand += usize::from(!is_generated);
        lines.push(format!("{what:<8} {file}{}\n", if is_generated { "  (generated)" } else { "" }));
    }
    lines.push(format!("{by_hand} files by hand, {} in all\n", lines.len()));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_cost_nothing() {
        let changed = "A\tcrates/sources/src/formats/flow_csv.rs\nM\tcrates/sources/src/lib.rs\nM\tCargo.lock\n";
        assert!(table(changed).ends_with("2 files by hand, 3 in all\n"), "{}", table(changed));
        assert!(table(changed).starts_with("new      crates/sources/src/formats/flow_csv.rs\n"));
    }
}
