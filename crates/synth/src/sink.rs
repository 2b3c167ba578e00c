//! The export files: wrappers, pages, duplicates, encodings.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use matagi_model::Time;

use crate::audit::{self, Wrapper, is_audited, user_name};
use crate::company::{Company, ZONE_US};
use crate::dice::Dice;
use crate::entra;
use crate::event::{Event, What};
use crate::exchange::{self, RULE_COLUMNS, Rule, TRACE_COLUMNS};
use crate::pieces::{Field, Id, JapaneseDate, Number, put};
use crate::plan::{SynthError, WrittenFile};

/// The audit log as `Search-UnifiedAuditLog | Export-Csv` gives it.
const AUDIT_CSV: &str = "audit/UnifiedAuditLog.csv";
/// Its newer part again, as the Microsoft Extractor Suite gives it.
const AUDIT_JSON: &str = "audit/UAL-MicrosoftExtractorSuite.json";
const SIGN_INS: &str = "entra/SignInLogs.json";
const NON_INTERACTIVE: &str = "entra/NonInteractiveSignInLogs.json";
const DIRECTORY: &str = "entra/AuditLogs.json";
const TRACE: &str = "exchange/MessageTrace.csv";
const RULES: &str = "exchange/InboxRules.csv";

/// Bytes collected before a file is written to.
const BUFFER_BYTES: usize = 256 << 10;
/// Records of a page of Graph.
const PAGE_RECORDS: u64 = 1_000;
/// Rows of the audit export that come again, per thousand: windows overlap and commands are tried twice.
const REPEATED_PER_MILLE: u64 = 180;
/// Rows that may come again; old ones do not.
const RECENT_ROWS: usize = 48;

/// One file being written.
struct Output {
    name: &'static str,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    records: u64,
}

impl Output {
    fn create(folder: &Path, name: &'static str) -> Result<Self, SynthError> {
        let path = folder.join(name);
        let created = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create(&path));
        match created {
            Ok(file) => {
                Ok(Self { name, path, file: BufWriter::with_capacity(BUFFER_BYTES, file), bytes: 0, records: 0 })
            }
            Err(source) => Err(SynthError::Write { path, source }),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SynthError> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| SynthError::Write { path: self.path.clone(), source })
    }

    fn close(mut self) -> Result<WrittenFile, SynthError> {
        self.file.flush().map_err(|source| SynthError::Write { path: self.path, source })?;
        Ok(WrittenFile { name: self.name, bytes: self.bytes, records: self.records })
    }
}

/// A file of JSON arrays, one a page, with nothing between them: what tools that append pages leave behind.
struct Pages {
    output: Output,
    in_page: u64,
}

impl Pages {
    fn create(folder: &Path, name: &'static str) -> Result<Self, SynthError> {
        Ok(Self { output: Output::create(folder, name)?, in_page: 0 })
    }

    fn put(&mut self, object: &[u8]) -> Result<(), SynthError> {
        if self.in_page == PAGE_RECORDS {
            self.output.put(b"\n]")?;
            self.in_page = 0;
        }
        self.output.put(if self.in_page == 0 { b"[\n" } else { b",\n" })?;
        self.in_page += 1;
        self.output.records += 1;
        self.output.put(object)
    }

    fn close(mut self) -> Result<WrittenFile, SynthError> {
        if self.output.records == 0 {
            self.output.put(b"[")?;
        }
        self.output.put(b"\n]\n")?;
        self.output.close()
    }
}

/// Which rows of the audit export a window has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    /// Rows in it.
    pub(crate) count: u64,
    /// Rows written so far.
    pub(crate) index: u64,
}

/// All files of an export.
pub(crate) struct Sink<'a> {
    company: &'a Company,
    audit_csv: Output,
    audit_json: Option<Pages>,
    csv_until: Time,
    json_from: Time,
    sign_ins: Pages,
    non_interactive: Pages,
    directory: Pages,
    trace: Output,
    rules: Output,
    /// Rows that may be repeated, a ring.
    recent: Vec<Vec<u8>>,
    dice: Dice,
    record: Vec<u8>,
    wrapped: Vec<u8>,
    /// Window of the audit export that is being written.
    pub(crate) window: Window,
}

impl<'a> Sink<'a> {
    /// Creates the files. With `is_padded`, the whole audit log goes into one CSV file.
    pub(crate) fn create(company: &'a Company, folder: &Path, is_padded: bool) -> Result<Self, SynthError> {
        let part = |tenths: u32| company.midnight(company.days * tenths / 10);
        if is_padded {
            // A plan without padding may have written here before.
            match std::fs::remove_file(folder.join(AUDIT_JSON)) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SynthError::Write { path: folder.join(AUDIT_JSON), source });
                }
                _ => {}
            }
        }
        let mut sink = Self {
            company,
            audit_csv: Output::create(folder, AUDIT_CSV)?,
            audit_json: if is_padded { None } else { Some(Pages::create(folder, AUDIT_JSON)?) },
            csv_until: if is_padded { Time(i64::MAX) } else { part(8) },
            json_from: part(6),
            sign_ins: Pages::create(folder, SIGN_INS)?,
            non_interactive: Pages::create(folder, NON_INTERACTIVE)?,
            directory: Pages::create(folder, DIRECTORY)?,
            trace: Output::create(folder, TRACE)?,
            rules: Output::create(folder, RULES)?,
            recent: Vec::with_capacity(RECENT_ROWS),
            dice: Dice::of([company.seed, 6, 0, 0]),
            record: Vec::new(),
            wrapped: Vec::new(),
            window: Window::default(),
        };
        let columns = [
            "RecordType",
            "CreationDate",
            "UserIds",
            "Operations",
            "AuditData",
            "ResultIndex",
            "ResultCount",
            "Identity",
            "IsValid",
            "ObjectState",
        ];
        sink.audit_csv.put("\u{feff}".as_bytes())?;
        exchange::row(columns, &mut sink.wrapped);
        sink.audit_csv.put(&sink.wrapped)?;
        sink.trace.put(&[0xff, 0xfe])?;
        sink.wrapped.clear();
        exchange::row(TRACE_COLUMNS, &mut sink.wrapped);
        sink.put_trace(0)?;
        sink.wrapped.clear();
        exchange::row(RULE_COLUMNS, &mut sink.wrapped);
        sink.rules.put(&sink.wrapped)?;
        Ok(sink)
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        let pages = [&self.sign_ins, &self.non_interactive, &self.directory].map(|pages| pages.output.bytes);
        let json = self.audit_json.as_ref().map_or(0, |pages| pages.output.bytes);
        self.audit_csv.bytes + json + self.trace.bytes + self.rules.bytes + pages.iter().sum::<u64>()
    }

    /// Writes the records of an event.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), SynthError> {
        if is_audited(self.company, event) {
            self.audit(event)?;
        }
        self.record.clear();
        self.wrapped.clear();
        match &event.what {
            What::SignIn(sign_in) => {
                entra::sign_in(self.company, event, sign_in, &mut self.record);
                let pages = if sign_in.is_interactive { &mut self.sign_ins } else { &mut self.non_interactive };
                pages.put(&self.record)
            }
            What::Directory(change) => {
                entra::directory_audit(self.company, event, change, &mut self.record);
                self.directory.put(&self.record)
            }
            What::Send(sent) => {
                let rows = exchange::sent(self.company, event, sent, &mut self.wrapped);
                self.put_trace(rows)
            }
            What::Receive { number } => {
                let rows = exchange::received(self.company, event, *number, &mut self.wrapped);
                self.put_trace(rows)
            }
            What::Arrive(arrived) => {
                let rows = exchange::arrived(self.company, event, arrived, &mut self.wrapped);
                self.put_trace(rows)
            }
            _ => Ok(()),
        }
    }

    fn put_trace(&mut self, rows: u64) -> Result<(), SynthError> {
        self.record.clear();
        exchange::utf16(&self.wrapped, &mut self.record);
        self.trace.records += rows;
        self.trace.put(&self.record)
    }

    fn audit(&mut self, event: &Event) -> Result<(), SynthError> {
        self.record.clear();
        let wrapper = audit::record(self.company, event, &mut self.record);
        self.window.index += 1;
        if event.time < self.csv_until {
            self.audit_row(event, wrapper)?;
        }
        if event.time >= self.json_from {
            self.audit_object(event, wrapper)?;
        }
        Ok(())
    }

    fn audit_row(&mut self, event: &Event, wrapper: Wrapper) -> Result<(), SynthError> {
        let (out, user) = (&mut self.wrapped, user_name(self.company, event));
        out.clear();
        put!(
            out,
            "\"",
            wrapper.record_type,
            "\",\"",
            JapaneseDate(event.time),
            "\",",
            Field(user.as_bytes()),
            ",\"",
            wrapper.operation
        );
        put!(
            out,
            "\",",
            Field(&self.record),
            ",\"",
            Number(self.window.index),
            "\",\"",
            Number(self.window.count.max(self.window.index))
        );
        put!(out, "\",\"", Id(event.id), "\",\"True\",\"Unchanged\"\r\n");
        self.audit_csv.put(&self.wrapped)?;
        self.audit_csv.records += 1;
        self.remember();
        if self.dice.chance(REPEATED_PER_MILLE) {
            let again = usize::try_from(self.dice.below(self.recent.len() as u64)).expect("an index fits");
            self.audit_csv.put(&self.recent[again])?;
            self.audit_csv.records += 1;
        }
        Ok(())
    }

    /// Keeps every fourth row, for repeating.
    fn remember(&mut self) {
        if self.recent.len() < RECENT_ROWS {
            self.recent.push(self.wrapped.clone());
        } else if self.dice.chance(250) {
            let old = usize::try_from(self.dice.below(RECENT_ROWS as u64)).expect("an index fits");
            self.recent[old].clone_from(&self.wrapped);
        }
    }

    fn audit_object(&mut self, event: &Event, wrapper: Wrapper) -> Result<(), SynthError> {
        let Some(pages) = &mut self.audit_json else { return Ok(()) };
        let (out, user) = (&mut self.wrapped, user_name(self.company, event).replace('\\', "\\\\"));
        out.clear();
        // PowerShell writes dates as milliseconds of UTC.
        let milliseconds = event.time.0.unsigned_abs() / 1_000;
        put!(
            out,
            "{\"RecordType\":\"",
            wrapper.record_type,
            "\",\"CreationDate\":\"\\/Date(",
            Number(milliseconds),
            ")\\/\",\"UserIds\":\""
        );
        put!(out, user.as_str(), "\",\"Operations\":\"", wrapper.operation, "\",\"AuditData\":");
        out.extend_from_slice(&self.record);
        put!(
            out,
            ",\"ResultIndex\":",
            Number(self.window.index),
            ",\"ResultCount\":",
            Number(self.window.count.max(self.window.index))
        );
        put!(out, ",\"Identity\":\"", Id(event.id), "\",\"IsValid\":true,\"ObjectState\":\"Unchanged\"}");
        pages.put(out)
    }

    /// Writes the inbox rules and closes all files.
    pub(crate) fn close(mut self, rules: &[Rule]) -> Result<Vec<WrittenFile>, SynthError> {
        for (priority, rule) in (1..).zip(rules) {
            self.wrapped.clear();
            rule.put(priority, &mut self.wrapped);
            self.rules.put(&self.wrapped)?;
            self.rules.records += 1;
        }
        let mut files = vec![self.audit_csv.close()?];
        if let Some(pages) = self.audit_json {
            files.push(pages.close()?);
        }
        for pages in [self.sign_ins, self.non_interactive, self.directory] {
            files.push(pages.close()?);
        }
        files.push(self.trace.close()?);
        files.push(self.rules.close()?);
        Ok(files)
    }
}

/// Hour of the day in Japan, 0 to 23.
pub(crate) fn hour(time: Time) -> i64 {
    time.plus_us(ZONE_US).0.rem_euclid(Time::DAY_US) / Time::HOUR_US
}
