//! The command line as people read it: the book's page is made from the binary's own help.

use std::fmt::Write as _;
use std::fs;

use crate::{World, repository};

const HEAD: &str = "\
# Command line

<!-- Written from the program's own help by `MATAGI_UPDATE=1 cargo test -p matagi --test cli`. Do not edit. -->

Standard output carries data, standard error everything else. Exit status: 0 ran; 1 findings at or above `--fail-on`;
2 error; 130 stopped by Ctrl-C (what was committed is kept, the same command goes on from there).

Which lake a command works on: `--lake DIR`, else `MATAGI_LAKE`, else `lake` of the nearest `matagi.toml`; without any,
`matagi hunt PATH...` uses a temporary one and removes it.
";

/// Verbs of a help text, with the verbs below them: `[\"rules\", \"rules check\", ...]`.
fn verbs(world: &World, above: &[&str]) -> Vec<String> {
    let mut arguments = above.to_vec();
    arguments.push("--help");
    let help = world.run(&arguments).exits(0).stdout;
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let mut all = Vec::new();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let is_entry = line.starts_with("  ") && !line.starts_with("   ");
        let Some(verb) = line.split_whitespace().next().filter(|verb| is_entry && *verb != "help") else { continue };
        let mut path = above.to_vec();
        path.push(verb);
        all.push(path.join(" "));
        all.extend(verbs(world, &path));
    }
    all
}

fn page(world: &World) -> String {
    let mut page = HEAD.to_owned();
    for verb in std::iter::once(String::new()).chain(verbs(world, &[])) {
        let mut arguments: Vec<&str> = verb.split_whitespace().collect();
        arguments.push("--help");
        let help = world.run(&arguments).exits(0).stdout;
        let help = if verb.is_empty() { help } else { without_globals(&help) };
        let help: String = help.lines().fold(String::new(), |all, line| all + line.trim_end() + "\n");
        let level = if verb.contains(' ') { "###" } else { "##" };
        write!(page, "\n{level} {}\n\n```text\n{}\n```\n", format!("matagi {verb}").trim(), help.trim()).unwrap();
    }
    page
}

/// A verb's help without the options that every verb has: the page tells those once, on top.
fn without_globals(help: &str) -> String {
    let Some((own, rest)) = help.split_once("Global options:\n") else { return help.to_owned() };
    let examples = rest.split_once("\nExamples:").map(|(_, examples)| format!("Examples:{examples}"));
    own.to_owned() + &examples.unwrap_or_default()
}

#[test]
fn the_page_of_the_book_is_what_the_program_says() {
    let world = World::new();
    let page = page(&world);
    for verb in [
        "init",
        "ingest",
        "hunt",
        "incidents",
        "explain",
        "query",
        "rejects",
        "sources",
        "rules check",
        "rules list",
        "reference build",
        "serve",
        "synth",
        "synth score",
        "doctor",
        "report",
    ] {
        assert!(page.contains(&format!("# matagi {verb}\n")), "{verb} has no help");
    }
    let path = repository().join("docs/book/src/cli.md");
    if std::env::var_os("MATAGI_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/book/src/cli.md is stale: run `MATAGI_UPDATE=1 cargo test -p matagi --test cli`");
}

#[test]
fn the_overview_reads_well() {
    insta::assert_snapshot!(World::new().run(&["--help"]).exits(0).stdout);
}

#[test]
fn a_misspelt_verb_or_option_is_exit_2_and_says_so_on_stderr() {
    let world = World::new();
    let ran = world.run(&["hnut"]).exits(2).says(&["hunt"]);
    assert_eq!(ran.stdout, "");
    world.run(&["hunt", "--fail-onn", "high"]).exits(2).says(&["--fail-on"]);
    world.run(&["hunt", "x", "--fail-on", "awful"]).exits(2).says(&["informational, low, medium, high, critical"]);
    world.run(&["incidents", "--since", "yesterday"]).exits(2).says(&["is no time"]);
}
