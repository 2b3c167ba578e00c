//! `cargo xtask bench mailbox`: a whole hunt on a synthetic export, with the time and memory that it took, beside DuckDB
//! reading, deduplicating and filtering the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{Args, print, say};

/// How often the peak of memory is read. The kernel keeps the peak, so that nothing before the last look is missed.
const LOOK_MS: u64 = 20;

pub fn run(workspace: &Workspace, mut args: Args) -> Result<bool> {
    let size_mb: u64 =
        args.value("--size-mb")?.map_or(Ok(100), |text| text.parse()).context("--size-mb takes a number")?;
    let matagi = args.value("--matagi")?.map(PathBuf::from);
    let is_kept = args.flag("--keep");
    let what = args.positional().context("bench what? `cargo xtask bench mailbox`")?;
    args.finish()?;
    anyhow::ensure!(what == "mailbox", "there is no benchmark `{what}`; there is `mailbox`");
    let matagi = matagi.map_or_else(|| workspace.matagi(), Ok)?;

    let dir = std::env::temp_dir().join(format!("matagi-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let measured = mailbox(&matagi, &dir, size_mb);
    if is_kept {
        say(&format!("kept: {}", dir.display()));
    } else if let Err(error) = fs::remove_dir_all(&dir) {
        say(&format!("warning: {} stays behind: {error}", dir.display()));
    }
    print(&measured?.table());
    Ok(true)
}

fn mailbox(matagi: &Path, dir: &Path, size_mb: u64) -> Result<Measured> {
    let (out, lake, hunt) = (dir.join("synth"), dir.join("lake"), dir.join("hunt.json"));
    say(&format!("writing about {size_mb} MB of evidence"));
    let mut synth = Command::new(matagi);
    synth.arg("synth").arg("--size-mb").arg(size_mb.to_string()).arg("--out").arg(&out).stdout(Stdio::null());
    let written = watch(&mut synth)?;
    say(&format!("written in {:.1} s; hunting", written.seconds));

    let mut command = Command::new(matagi);
    command.arg("hunt").arg(out.join("evidence")).arg("--lake").arg(&lake).args(["--format", "json", "--no-progress"]);
    command.stdout(fs::File::create(&hunt)?);
    let watched = watch(&mut command)?;
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&hunt)?).context("hunt prints JSON")?;
    let rows = document["inputs"].as_array().into_iter().flatten().filter_map(|input| input["rows"].as_u64()).sum();
    let count = |name: &str| document[name].as_array().map_or(0, Vec::len);
    let duckdb = beside_duckdb(&out.join("evidence"));
    Ok(Measured {
        bytes: folder_bytes(&out.join("evidence"))?,
        lake_bytes: folder_bytes(&lake)?,
        rows,
        findings: count("findings"),
        incidents: count("incidents"),
        watched,
        duckdb,
    })
}

struct Measured {
    bytes: u64,
    lake_bytes: u64,
    rows: u64,
    findings: usize,
    incidents: usize,
    watched: Watched,
    /// DuckDB on the same files; `None` where it is not installed.
    duckdb: Option<Watched>,
}

/// DuckDB with as many threads as there are processors.
fn beside_duckdb(evidence: &Path) -> Option<Watched> {
    const SCRIPT: &str = include_str!("bench_duckdb.py");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    say("DuckDB on the same files");
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).arg(evidence).arg(threads.to_string());
    let watched = watch(&mut python);
    if watched.is_err() {
        say("warning: DuckDB did not run; `python3 -m pip install duckdb==1.5.5` brings it");
    }
    watched.ok()
}

impl Measured {
    fn table(&self) -> String {
        let Self { bytes, lake_bytes, rows, findings, incidents, watched, duckdb } = self;
        let (mb, seconds) = (*bytes as f64 / 1e6, watched.seconds.max(f64::EPSILON));
        let beside = duckdb.as_ref().map_or("not installed".to_owned(), |duckdb| {
            format!("{:.1} s, {:.1} MB/s, {}", duckdb.seconds, mb / duckdb.seconds.max(f64::EPSILON), duckdb.peak())
        });
        let peak = watched.peak();
        format!(
            "evidence      {mb:.0} MB, {rows} rows\n\
             hunt          {seconds:.1} s\n\
             speed         {:.1} MB/s, {:.0} rows/s\n\
             peak memory   {peak}\n\
             lake          {:.0} MB\n\
             result        {findings} findings, {incidents} incidents\n\
             duckdb        {beside}\n",
            mb / seconds,
            *rows as f64 / seconds,
            *lake_bytes as f64 / 1e6,
        )
    }
}

struct Watched {
    seconds: f64,
    /// Peak of resident memory; unknown where there is no `/proc`.
    peak_kib: Option<u64>,
}

impl Watched {
    fn peak(&self) -> String {
        self.peak_kib.map_or("unknown".to_owned(), |kib| format!("{:.0} MB", kib as f64 * 1024.0 / 1e6))
    }
}

fn watch(command: &mut Command) -> Result<Watched> {
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let mut peak_kib = None;
    let status = loop {
        peak_kib = peak_of(&child).max(peak_kib);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    };
    // 1 means findings at or above --fail-on, which is a hunt that ran.
    anyhow::ensure!(matches!(status.code(), Some(0 | 1)), "{} failed ({status})", command.get_program().display());
    Ok(Watched { seconds: start.elapsed().as_secs_f64(), peak_kib })
}

fn peak_of(child: &Child) -> Option<u64> {
    peak_in(&fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?)
}

/// The peak in the kernel's words: `VmHWM:     12345 kB`.
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn folder_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_the_kernels_words() {
        assert_eq!(peak_in("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n"), Some(12_345));
        assert_eq!(peak_in("Name:\tkthread\n"), None);
    }

    #[test]
    fn a_failing_program_is_an_error_not_a_time() {
        assert!(watch(Command::new("sh").args(["-c", "exit 2"])).is_err());
        let watched = watch(Command::new("sh").args(["-c", "sleep 0.1"])).unwrap();
        assert!(watched.seconds >= 0.1);
    }
}
