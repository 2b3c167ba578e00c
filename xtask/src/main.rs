//! The project's own chores: `cargo xtask VERB`.

mod addcost;
mod bench;
mod docs;
mod reference;
mod tidy;
mod workspace;

use std::io::Write;
use std::process::ExitCode;

use workspace::Workspace;

const HELP: &str = "\
cargo xtask VERB

  tidy                         hold the rules of the house: edges, budgets, lists, limits, licences, texts, words
  reference [OPTIONS]          fetch the pinned packages of reference data and build the local file
      --optional               when something is missing, warn and exit 0
      --offline                use only what is in the cache
      --update-lock            take today's packages and rewrite xtask/reference.lock.toml
      --download-only          fetch and unpack, build nothing
      --cache DIR              where packages are kept (default: matagi/reference below the user's cache folder)
      --out FILE               where the local file goes (default: where matagi looks for it)
      --matagi FILE            an already built matagi (default: built with the profile `fast`)
  docs [--check]               write the generated pages of the book, or say which are out of date
  addcost FROM..TO             files that a change touched, to see what adding something costs
  bench mailbox [OPTIONS]      time and memory of a whole hunt on a synthetic export
      --size-mb N              size of the export in megabytes (default 100)
      --matagi FILE            an already built matagi (default: built with the profile `fast`)
      --keep                   leave the evidence and the lake where they are
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<bool> {
    let mut args = Args(args.to_vec());
    let verb = args.positional();
    let workspace = Workspace::find()?;
    match verb.as_deref() {
        Some("tidy") => args.finish().and_then(|()| tidy::run(&workspace)),
        Some("reference") => reference::run(&workspace, args),
        Some("docs") => docs::run(&workspace, args),
        Some("addcost") => addcost::run(&workspace, args),
        Some("bench") => bench::run(&workspace, args),
        Some("help" | "--help" | "-h") | None => {
            print(HELP);
            Ok(true)
        }
        Some(other) => anyhow::bail!("there is no verb `{other}`; `cargo xtask help` lists them"),
    }
}

/// Data, to standard output.
fn print(text: &str) {
    // Whoever closed the pipe has read enough.
    let _closed = std::io::stdout().write_all(text.as_bytes());
}

/// A line for the person who waits, to standard error.
fn say(line: &str) {
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// What is left of the command line.
struct Args(Vec<String>);

impl Args {
    /// Takes `--name` away and says whether it was there.
    fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|arg| arg != name);
        self.0.len() < before
    }

    /// Takes `--name VALUE` or `--name=VALUE` away.
    fn value(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(at) = self.0.iter().position(|arg| arg == name || arg.strip_prefix(name).is_some_and(is_assigned))
        else {
            return Ok(None);
        };
        let arg = self.0.remove(at);
        if let Some((_, value)) = arg.split_once('=') {
            return Ok(Some(value.to_owned()));
        }
        anyhow::ensure!(at < self.0.len(), "{name} needs a value");
        Ok(Some(self.0.remove(at)))
    }

    /// Takes the first argument that is no option away.
    fn positional(&mut self) -> Option<String> {
        let at = self.0.iter().position(|arg| !arg.starts_with("--"))?;
        Some(self.0.remove(at))
    }

    /// Nothing may be left: a misspelt option must not pass in silence.
    fn finish(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "unknown arguments: {}", self.0.join(" "));
        Ok(())
    }
}

fn is_assigned(rest: &str) -> bool {
    rest.starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Args {
        Args(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_stand_anywhere() {
        let mut args = args("mailbox --size-mb 12 --keep --matagi=x");
        assert_eq!(args.value("--size-mb").unwrap().as_deref(), Some("12"));
        assert_eq!(args.value("--matagi").unwrap().as_deref(), Some("x"));
        assert!(args.flag("--keep") && !args.flag("--keep"));
        assert_eq!(args.positional().as_deref(), Some("mailbox"));
        args.finish().unwrap();
    }

    #[test]
    fn what_is_misspelt_is_said() {
        assert!(args("--optionl").finish().is_err());
        assert!(args("--size-mb").value("--size-mb").is_err());
        assert_eq!(args("--size-mbx 3").value("--size-mb").unwrap(), None);
    }
}
