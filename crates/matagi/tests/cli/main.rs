//! The real binary, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cases;
mod contract;
mod help;
mod hostile;
mod interrupt;
mod lakes;
mod takeovers;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A user with an empty home, no lake, no reference data and an English locale.
struct World {
    dir: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the folders above it.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the world")).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matagi"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in ["MATAGI_LAKE", "XDG_STATE_HOME", "XDG_DATA_HOME", "LC_ALL", "NO_COLOR", "MATAGI_LOG"] {
            command.env_remove(variable);
        }
        command.env("HOME", self.path("home")).env("LANG", "C.UTF-8").env("COLUMNS", "100");
        command.env("MATAGI_REFERENCE", self.path("home/no-reference.db"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().expect("the binary starts"))
    }

    /// Runs with these bytes on standard input.
    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything; that is for the test to judge.
        let _ignored = stdin.write_all(input);
        drop(stdin);
        ran(&child.wait_with_output().unwrap())
    }

    /// Starts with pipes on all three streams.
    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    /// Rows of every table of a lake.
    fn rows(&self, lake: &str) -> u64 {
        let sql = "SELECT count(*) AS n FROM (SELECT event_uid FROM auth UNION ALL SELECT event_uid FROM iam \
                   UNION ALL SELECT event_uid FROM saas UNION ALL SELECT event_uid FROM email) AS everything";
        let ran = self.run(&["query", sql, "--lake", lake, "--format", "json"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran.json()[0]["n"].as_u64().expect("a count")
    }
}

fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

impl Ran {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Asserts the exit status and shows both streams if it is another.
    #[track_caller]
    fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error says all of this.
    #[track_caller]
    fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not said:\n{}", self.stderr);
        }
        self
    }
}

/// Records of the unified audit log as JSON lines: ordinary sign-ins of one user, all different.
fn audit_lines(records: std::ops::Range<u32>) -> String {
    let mut lines = String::new();
    for number in records {
        let (minute, second) = (number / 60 % 60, number % 60);
        let (day, hour) = (1 + number / 86_400 % 28, number / 3_600 % 24);
        writeln!(
            lines,
            "{{\"CreationTime\":\"2024-05-{day:02}T{hour:02}:{minute:02}:{second:02}\",\
             \"Id\":\"00000000-0000-4000-8000-{number:012}\",\"Operation\":\"UserLoggedIn\",\
             \"OrganizationId\":\"11111111-2222-4333-8444-555555555555\",\"RecordType\":15,\"ResultStatus\":\"Success\",\
             \"UserKey\":\"anna\",\"UserType\":0,\"Version\":1,\"Workload\":\"AzureActiveDirectory\",\
             \"ClientIP\":\"192.0.2.1\",\"UserId\":\"anna@example.org\",\"ObjectId\":\"app\",\"ApplicationId\":\"app\",\
             \"ErrorNumber\":\"0\"}}"
        )
        .unwrap();
    }
    lines
}

/// A rule that hides mail and sends it away: what a first hunt must find.
const HOSTILE_RULE: &str = concat!(
    r#"{"CreationTime":"2024-05-20T03:12:44","Id":"99999999-0000-4000-8000-000000000001","Operation":"New-InboxRule","#,
    r#""OrganizationId":"11111111-2222-4333-8444-555555555555","RecordType":1,"ResultStatus":"True","UserKey":"anna","#,
    r#""UserType":2,"Version":1,"Workload":"Exchange","ClientIP":"203.0.113.77:51234","UserId":"anna@example.org","#,
    r#""ObjectId":"EURPR01\\anna\\.","ExternalAccess":false,"OrganizationName":"example.onmicrosoft.com","#,
    r#""OriginatingServer":"SRV","Parameters":[{"Name":"Name","Value":"."},{"Name":"SubjectOrBodyContainsWords","#,
    r#""Value":"invoice;payment;wire"},{"Name":"MoveToFolder","Value":"RSS Feeds"},{"Name":"MarkAsRead","Value":"True"},"#,
    r#"{"Name":"StopProcessingRules","Value":"True"}],"SessionId":"5c0f0c1c-1111-4222-8333-444444444444"}"#,
    "\n"
);

/// The repository's root.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
