//! Writes the file: to a temporary name beside it, synced, then renamed, so that readers see the old one or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use maxminddb::{PathElement, Reader, WithinOptions};
use rusqlite::{Connection, Transaction, params};
use serde::Deserialize;

use super::ranges::{self, Range};
use super::{FORMAT, PackageInfo, Part, RELAY_NETWORKS, ReferenceError};

/// Ranges of one part; five times what the internet has today. Bounds memory at about 150 MB.
pub const REFERENCE_RANGES_MAX: usize = 3_000_000;
/// Bytes of an MMDB or JSON file, which are read into memory.
pub const REFERENCE_FILE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of a name or a notice that is kept; the rest is cut.
pub const REFERENCE_TEXT_BYTES_MAX: usize = 32 << 10;

pub(super) const NETWORK_HOSTING: &str = "hosting";
pub(super) const NETWORK_MICROSOFT: &str = "microsoft";
pub(super) const NETWORK_RELAY: &str = "relay";

/// How a warning list is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Its networks belong to this kind.
    Network(&'static str),
    /// Its words are kept under the list's own name.
    Words,
}

/// The warning lists that we keep, by the name of their folder.
// tidy: table - one line a list
#[rustfmt::skip]
static LISTS: &[(&str, Use)] = &[
    ("vpn-ipv4", Use::Network(NETWORK_HOSTING)),
    ("vpn-ipv6", Use::Network(NETWORK_HOSTING)),
    ("amazon-aws", Use::Network(NETWORK_HOSTING)),
    ("google-gcp", Use::Network(NETWORK_HOSTING)),
    ("ovh-cluster", Use::Network(NETWORK_HOSTING)),
    // The service's own addresses. The lists of the whole cloud (microsoft-azure) stay out: their ranges are rented to
    // anybody. Microsoft's autonomous systems are known without a list.
    ("microsoft-office365-ip", Use::Network(NETWORK_MICROSOFT)),
    ("microsoft-office365-cn", Use::Network(NETWORK_MICROSOFT)),
    ("zscaler", Use::Network(NETWORK_RELAY)),
    ("icloud-private-relay", Use::Network(NETWORK_RELAY)),
    ("akamai", Use::Network("content-delivery")),
    ("cloudflare", Use::Network("content-delivery")),
    ("fastly", Use::Network("content-delivery")),
    ("stackpath", Use::Network("content-delivery")),
    ("public-dns-v4", Use::Network("public-dns")),
    ("public-dns-v6", Use::Network("public-dns")),
    ("sinkholes", Use::Network("sinkhole")),
    ("censys-scanning", Use::Network("scanner")),
    ("shodan-scanning", Use::Network("scanner")),
    ("shadowserver", Use::Network("scanner")),
    ("onyphe-scanner", Use::Network("scanner")),
    ("smtp-sending-ips", Use::Network("mail-provider")),
    ("google-gmail-sending-ips", Use::Network("mail-provider")),
    ("disposable-email", Use::Words),
    ("dynamic-dns", Use::Words),
    ("url-shortener", Use::Words),
    ("link-in-bio", Use::Words),
    ("lots-project", Use::Words),
    ("parking-domain-ns", Use::Words),
    ("public-ipfs-gateways", Use::Words),
    ("automated-malware-analysis", Use::Words),
    ("security-provider-blogpost", Use::Words),
    ("bank-website", Use::Words),
    ("microsoft", Use::Words),
    ("microsoft-office365", Use::Words),
    ("second-level-tlds", Use::Words),
    ("tranco10k", Use::Words),
    ("university_domains", Use::Words),
    ("whats-my-ip", Use::Words),
];

/// Clusters whose names we keep: those that a report may mention.
pub(super) const CLUSTERS: [&str; 6] = ["threat-actor", "ransomware", "tool", "stealer", "botnet", "backdoor"];

const SCHEMA: &str = "
CREATE TABLE package (name TEXT PRIMARY KEY, part TEXT NOT NULL, version TEXT NOT NULL, date TEXT NOT NULL,
                      licence TEXT NOT NULL, notice TEXT NOT NULL, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE asn (first BLOB PRIMARY KEY, last BLOB NOT NULL, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE as_name (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE country (first BLOB PRIMARY KEY, last BLOB NOT NULL, code TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE network (kind TEXT NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, PRIMARY KEY (kind, first)) WITHOUT ROWID;
CREATE TABLE word (list TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (list, word)) WITHOUT ROWID;
CREATE TABLE technique (id TEXT PRIMARY KEY, name TEXT NOT NULL, tactics TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE known_name (alias TEXT NOT NULL, kind TEXT NOT NULL, canonical TEXT NOT NULL,
                         PRIMARY KEY (alias, kind, canonical)) WITHOUT ROWID;
";

/// What an input gave.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Added {
    /// Rows kept.
    pub rows: u64,
    /// Records refused because they could not be read.
    pub rejected: u64,
    /// Date of the data, `YYYY-MM-DD`, where the file says it.
    pub date: String,
}

/// Makes the file. Dropped before [`ReferenceBuilder::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct ReferenceBuilder {
    connection: Connection,
    temporary: tempfile::TempPath,
    out: PathBuf,
    /// Networks by kind; the lists of one kind overlap, so they are cut together at the end.
    networks: BTreeMap<&'static str, Vec<Range>>,
}

impl ReferenceBuilder {
    /// Begins a new file that will stand at `out`.
    pub fn create(out: &Path) -> Result<Self, ReferenceError> {
        let builder = Self::begin(out)?;
        builder.connection.execute_batch(SCHEMA)?;
        builder.connection.pragma_update(None, "user_version", FORMAT)?;
        Ok(builder)
    }

    /// Begins with what stands at `out`, without one part of it. Where nothing stands there, with nothing.
    pub fn replace(out: &Path, part: Part) -> Result<Self, ReferenceError> {
        if super::Reference::open(out)?.is_none() {
            return Self::create(out);
        }
        let builder = Self::begin(out)?;
        let source = Connection::open(out)?;
        let mut connection = builder.connection;
        rusqlite::backup::Backup::new(&source, &mut connection)?.run_to_completion(
            4096,
            std::time::Duration::ZERO,
            None,
        )?;
        let sql = match part {
            Part::Asn => "DELETE FROM asn; DELETE FROM as_name;",
            Part::Country => "DELETE FROM country;",
            Part::Lists => "DELETE FROM network; DELETE FROM word;",
            Part::Names => "DELETE FROM known_name;",
            Part::Attack => "DELETE FROM technique;",
        };
        connection.execute_batch(sql)?;
        connection.execute("DELETE FROM package WHERE part = ?1", params![part.word()])?;
        Ok(Self { connection, ..builder })
    }

    fn begin(out: &Path) -> Result<Self, ReferenceError> {
        let file_error = |source| ReferenceError::File { path: out.to_owned(), source };
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(file_error)?;
        let temporary = tempfile::Builder::new()
            .prefix(".reference-")
            .suffix(".tmp")
            .tempfile_in(folder)
            .map_err(file_error)?
            .into_temp_path();
        let connection = Connection::open(&temporary)?;
        // Nobody sees the file before it is whole: a crash leaves a temporary file, never half a reference.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Self { connection, temporary, out: out.to_owned(), networks: BTreeMap::new() })
    }

    /// Writes down where a part came from.
    pub fn add_package(&mut self, part: Part, package: &PackageInfo) -> Result<(), ReferenceError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO package (name, part, version, date, licence, notice, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                cut(&package.name),
                part.word(),
                cut(&package.version),
                cut(&package.date),
                cut(&package.licence),
                cut(&package.notice),
                i64::try_from(package.rows).unwrap_or(i64::MAX)
            ],
        )?;
        Ok(())
    }

    /// Adds a file of addresses, CSV or MMDB by its content, to [`Part::Asn`] or [`Part::Country`].
    pub fn add_addresses(&mut self, part: Part, file: &Path) -> Result<Added, ReferenceError> {
        let mut input = BufReader::with_capacity(1 << 16, open(file)?);
        let head = input.fill_buf().map_err(|source| ReferenceError::File { path: file.to_owned(), source })?;
        // An MMDB begins with its search tree, which is binary; CSV never holds a zero byte.
        let is_mmdb = head.contains(&0);
        let added = match (part, is_mmdb) {
            (Part::Asn, true) => self.add_asn_mmdb(file)?,
            (Part::Asn, false) => self.add_asn_csv(&mut [&mut input])?,
            (Part::Country, true) => self.add_country_mmdb(file)?,
            (Part::Country, false) => self.add_country_csv(&mut [&mut input])?,
            (Part::Lists | Part::Names | Part::Attack, _) => Added::default(),
        };
        if added.rows == 0 {
            let reason = format!("no line or record holds a range of addresses, {} were refused", added.rejected);
            return Err(ReferenceError::Input { path: file.to_owned(), expected: "a table of addresses", reason });
        }
        Ok(added)
    }

    /// Adds `first,last,number[,name]` or `network,number[,name]`, of one or several files.
    pub fn add_asn_csv(&mut self, inputs: &mut [&mut dyn BufRead]) -> Result<Added, ReferenceError> {
        let mut names = BTreeMap::new();
        let mut taken = Taken::default();
        for input in inputs {
            taken.csv(*input, &mut |fields| {
                let number: u32 = fields.first()?.trim().trim_start_matches("AS").parse().ok()?;
                if let Some(name) = fields.get(1).filter(|name| !name.trim().is_empty()) {
                    names.entry(number).or_insert_with(|| cut(name.trim()).to_owned());
                }
                Some(number)
            })?;
        }
        self.write_asn(taken, &names)
    }

    /// Adds an MMDB whose records hold `autonomous_system_number`.
    pub fn add_asn_mmdb(&mut self, file: &Path) -> Result<Added, ReferenceError> {
        let mut names = BTreeMap::new();
        let mut taken = Taken::default();
        taken.mmdb(file, &mut |record| {
            let number: u32 = record.decode_path(&[PathElement::Key("autonomous_system_number")]).ok()??;
            let name: Option<String> =
                record.decode_path(&[PathElement::Key("autonomous_system_organization")]).ok().flatten();
            if let Some(name) = name {
                names.entry(number).or_insert_with(|| cut(&name).to_owned());
            }
            Some(number)
        })?;
        self.write_asn(taken, &names)
    }

    /// Adds `first,last,code` or `network,code`, of one or several files.
    pub fn add_country_csv(&mut self, inputs: &mut [&mut dyn BufRead]) -> Result<Added, ReferenceError> {
        let mut taken = Taken::default();
        for input in inputs {
            taken.csv(*input, &mut |fields| country(fields.first()?))?;
        }
        self.write_country(taken)
    }

    /// Adds an MMDB whose records hold `country_code` or `country.iso_code`.
    pub fn add_country_mmdb(&mut self, file: &Path) -> Result<Added, ReferenceError> {
        let mut taken = Taken::default();
        taken.mmdb(file, &mut |record| {
            let flat: Option<&str> = record.decode_path(&[PathElement::Key("country_code")]).ok().flatten();
            let nested =
                || record.decode_path(&[PathElement::Key("country"), PathElement::Key("iso_code")]).ok().flatten();
            country(flat.or_else(nested)?)
        })?;
        self.write_country(taken)
    }

    fn write_asn(&mut self, taken: Taken, names: &BTreeMap<u32, String>) -> Result<Added, ReferenceError> {
        let transaction = self.connection.transaction()?;
        let rows = write_ranges(
            &transaction,
            "INSERT INTO asn (first, last, number) VALUES (?1, ?2, ?3)",
            taken.ranges,
            &|number| rusqlite::types::Value::from(number),
        )?;
        {
            let mut insert = transaction.prepare("INSERT OR REPLACE INTO as_name (number, name) VALUES (?1, ?2)")?;
            for (number, name) in names {
                insert.execute(params![number, name])?;
            }
        }
        transaction.commit()?;
        Ok(Added { rows, rejected: taken.rejected, date: taken.date })
    }

    fn write_country(&mut self, taken: Taken) -> Result<Added, ReferenceError> {
        let transaction = self.connection.transaction()?;
        let rows = write_ranges(
            &transaction,
            "INSERT INTO country (first, last, code) VALUES (?1, ?2, ?3)",
            taken.ranges,
            &|code| rusqlite::types::Value::from(country_text(code)),
        )?;
        transaction.commit()?;
        Ok(Added { rows, rejected: taken.rejected, date: taken.date })
    }

    /// Adds a MISP warning list (`list.json`) by the name of its folder; one that we have no use for gives no rows.
    pub fn add_warning_list(&mut self, name: &str, file: &Path) -> Result<Added, ReferenceError> {
        let Some((_, usage)) = LISTS.iter().find(|(list, _)| *list == name) else { return Ok(Added::default()) };
        let warning: WarningList = json(file, "a warning list")?;
        let version = warning.version.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut added = Added { date: date_in(&version), ..Added::default() };
        match *usage {
            Use::Network(kind) => {
                let ranges = self.networks.entry(kind).or_default();
                for text in warning.list {
                    match ranges::parse_network(&text) {
                        Some((first, last)) => ranges.push(Range { first, last, value: 0 }),
                        None => added.rejected += 1,
                    }
                    limit(ranges.len())?;
                    added.rows += 1;
                }
                added.rows -= added.rejected;
            }
            Use::Words => {
                let transaction = self.connection.transaction()?;
                {
                    let mut insert = transaction.prepare("INSERT OR IGNORE INTO word (list, word) VALUES (?1, ?2)")?;
                    for text in warning.list {
                        let word = text.trim().trim_matches('.').to_lowercase();
                        added.rows += insert.execute(params![name, cut(&word)])? as u64;
                    }
                }
                transaction.commit()?;
            }
        }
        Ok(added)
    }

    /// Adds the names of a MISP galaxy cluster (`threat-actor.json`) as names of this kind.
    pub fn add_galaxy(&mut self, kind: &str, file: &Path) -> Result<Added, ReferenceError> {
        let cluster: Cluster = json(file, "a galaxy cluster")?;
        let mut added = Added::default();
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare("INSERT OR IGNORE INTO known_name (alias, kind, canonical) VALUES (?1, ?2, ?3)")?;
            for value in cluster.values {
                let main = value.value.trim();
                if main.is_empty() {
                    added.rejected += 1;
                    continue;
                }
                let synonyms = value.meta.map(|meta| meta.synonyms).unwrap_or_default();
                for alias in std::iter::once(main).chain(synonyms.iter().map(String::as_str)) {
                    added.rows += insert.execute(params![cut(&alias.trim().to_lowercase()), kind, cut(main)])? as u64;
                }
            }
        }
        transaction.commit()?;
        Ok(added)
    }

    /// Adds the ATT&CK techniques of a look-up file (`attack-patterns-lookup-*.json`).
    pub fn add_attack(&mut self, file: &Path) -> Result<Added, ReferenceError> {
        let patterns: AttackPatterns = json(file, "a table of ATT&CK techniques")?;
        let mut added =
            Added { date: patterns.metadata.extracted_at.get(..10).unwrap_or_default().to_owned(), ..Added::default() };
        // A sub-technique's own name says little without its parent's.
        let parents: BTreeMap<&str, &str> =
            patterns.attack_patterns.iter().map(|one| (one.external_id.as_str(), one.name.as_str())).collect();
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare("INSERT OR REPLACE INTO technique (id, name, tactics) VALUES (?1, ?2, ?3)")?;
            for one in &patterns.attack_patterns {
                if one.revoked || one.deprecated || one.external_id.is_empty() {
                    added.rejected += 1;
                    continue;
                }
                let parent = one.external_id.split_once('.').and_then(|(parent, _)| parents.get(parent));
                let name = parent.map_or_else(|| one.name.clone(), |parent| format!("{parent}: {}", one.name));
                insert.execute(params![cut(&one.external_id), cut(&name), cut(&one.tactics.join(","))])?;
                added.rows += 1;
            }
        }
        transaction.commit()?;
        Ok(added)
    }

    /// Makes the file visible under its name.
    pub fn finish(mut self) -> Result<(), ReferenceError> {
        let relays = self.networks.entry(NETWORK_RELAY).or_default();
        relays.extend(
            RELAY_NETWORKS
                .iter()
                .filter_map(|text| ranges::parse_network(text).map(|(first, last)| Range { first, last, value: 0 })),
        );
        let transaction = self.connection.transaction()?;
        for (kind, ranges) in std::mem::take(&mut self.networks) {
            let mut insert =
                transaction.prepare("INSERT OR REPLACE INTO network (kind, first, last) VALUES (?1, ?2, ?3)")?;
            for range in ranges::flatten(ranges) {
                insert.execute(params![kind, range.first.to_be_bytes(), range.last.to_be_bytes()])?;
            }
        }
        transaction.commit()?;
        self.connection.execute_batch("ANALYZE; VACUUM;")?;
        let Self { connection, temporary, out, .. } = self;
        connection.close().map_err(|(_, error)| error)?;
        let file_error = |source| ReferenceError::File { path: out.clone(), source };
        File::open(&temporary).and_then(|file| file.sync_all()).map_err(file_error)?;
        temporary.persist(&out).map_err(|error| file_error(error.error))?;
        Ok(())
    }
}

/// Ranges as they are collected, before they are cut.
#[derive(Debug, Default)]
struct Taken {
    ranges: Vec<Range>,
    rejected: u64,
    date: String,
}

impl Taken {
    /// Reads lines; `value` gets the fields behind the range.
    fn csv(
        &mut self,
        input: &mut dyn BufRead,
        value: &mut dyn FnMut(&[String]) -> Option<u32>,
    ) -> Result<(), ReferenceError> {
        let mut over = Ok(());
        ranges::lines(input, &mut |line| {
            let Some(line) = line.map(str::trim) else { return self.rejected += 1 };
            if line.is_empty() || line.starts_with('#') || over.is_err() {
                return;
            }
            let fields = ranges::csv_fields(line);
            match csv_range(&fields).and_then(|(first, last, rest)| Some(Range { first, last, value: value(rest)? })) {
                Some(range) => self.ranges.push(range),
                None => self.rejected += 1,
            }
            over = limit(self.ranges.len());
        })
        .map_err(|source| ReferenceError::File { path: PathBuf::from("the table"), source })?;
        over
    }

    /// Reads every network of an MMDB.
    fn mmdb(
        &mut self,
        file: &Path,
        value: &mut dyn FnMut(&maxminddb::LookupResult<'_, Vec<u8>>) -> Option<u32>,
    ) -> Result<(), ReferenceError> {
        let bad = |error: maxminddb::MaxMindDbError| ReferenceError::Input {
            path: file.to_owned(),
            expected: "an MMDB",
            reason: error.to_string(),
        };
        check_size(file)?;
        let reader = Reader::open_readfile(file).map_err(bad)?;
        self.date = date_of_epoch(reader.metadata().build_epoch);
        for record in reader.networks(WithinOptions::default()).map_err(bad)? {
            let Ok(record) = record else {
                self.rejected += 1;
                continue;
            };
            let Some((network, value)) = record.network().ok().zip(value(&record)) else {
                self.rejected += 1;
                continue;
            };
            let (first, last) = (ranges::number(network.network()), ranges::number(network.broadcast()));
            self.ranges.push(Range { first: as_ipv4(first), last: as_ipv4(last), value });
            limit(self.ranges.len())?;
        }
        Ok(())
    }
}

/// An MMDB keeps IPv4 at `::/96`, we at `::ffff:0:0/96`.
fn as_ipv4(number: u128) -> u128 {
    if number <= u128::from(u32::MAX) { number | 0xffff_0000_0000 } else { number }
}

/// The range at the head of the fields, and the fields behind it.
fn csv_range(fields: &[String]) -> Option<(u128, u128, &[String])> {
    let first = fields.first()?;
    if first.contains('/') {
        let (first, last) = ranges::parse_network(first)?;
        return Some((first, last, fields.get(1..)?));
    }
    let (first, last) = (ranges::parse_address(first)?, ranges::parse_address(fields.get(1)?)?);
    (first <= last).then_some((first, last, fields.get(2..)?))
}

fn write_ranges(
    transaction: &Transaction<'_>,
    sql: &str,
    ranges: Vec<Range>,
    value: &dyn Fn(u32) -> rusqlite::types::Value,
) -> Result<u64, ReferenceError> {
    let mut insert = transaction.prepare(sql)?;
    let mut rows = 0;
    for range in ranges::flatten(ranges) {
        insert.execute(params![range.first.to_be_bytes(), range.last.to_be_bytes(), value(range.value)])?;
        rows += 1;
    }
    Ok(rows)
}

/// Two letters as a number, so that ranges of all parts have one form.
fn country(code: &str) -> Option<u32> {
    let [a, b] = code.trim().as_bytes() else { return None };
    let is_code = a.is_ascii_alphabetic() && b.is_ascii_alphabetic();
    is_code.then(|| u32::from(a.to_ascii_uppercase()) << 8 | u32::from(b.to_ascii_uppercase()))
}

fn country_text(code: u32) -> String {
    code.to_be_bytes().iter().skip(2).map(|&byte| char::from(byte)).collect()
}

fn limit(ranges: usize) -> Result<(), ReferenceError> {
    if ranges <= REFERENCE_RANGES_MAX {
        return Ok(());
    }
    Err(ReferenceError::Limit { what: "the number of address ranges", limit: format!("{REFERENCE_RANGES_MAX} ranges") })
}

fn open(file: &Path) -> Result<File, ReferenceError> {
    File::open(file).map_err(|source| ReferenceError::File { path: file.to_owned(), source })
}

fn check_size(file: &Path) -> Result<(), ReferenceError> {
    let bytes = open(file)?.metadata().map_err(|source| ReferenceError::File { path: file.to_owned(), source })?.len();
    if bytes <= REFERENCE_FILE_BYTES_MAX {
        return Ok(());
    }
    Err(ReferenceError::Limit {
        what: "the size of a reference file",
        limit: format!("{REFERENCE_FILE_BYTES_MAX} bytes"),
    })
}

fn json<T: serde::de::DeserializeOwned>(file: &Path, expected: &'static str) -> Result<T, ReferenceError> {
    check_size(file)?;
    let input = io::Read::take(BufReader::new(open(file)?), REFERENCE_FILE_BYTES_MAX);
    serde_json::from_reader(input).map_err(|error| ReferenceError::Input {
        path: file.to_owned(),
        expected,
        reason: error.to_string(),
    })
}

/// The text up to the limit, cut at a character.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REFERENCE_TEXT_BYTES_MAX)).unwrap_or_default()
}

/// The date in a version such as `20251223` or `2.3.2026061719`; empty where there is none.
pub(super) fn date_in(version: &str) -> String {
    let dated = |digits: &str| {
        let (year, month, day) = (digits.get(..4)?, digits.get(4..6)?, digits.get(6..8)?);
        let is_date =
            ("1990".."2200").contains(&year) && ("01"..="12").contains(&month) && ("01"..="31").contains(&day);
        is_date.then(|| format!("{year}-{month}-{day}"))
    };
    let mut numbers = version.split(|char: char| !char.is_ascii_digit()).filter(|digits| digits.len() >= 8);
    numbers.find_map(dated).unwrap_or_default()
}

/// The day of a Unix time in seconds, `YYYY-MM-DD`.
fn date_of_epoch(seconds: u64) -> String {
    let us = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(matagi_model::Time::SECOND_US));
    let text = us.and_then(|us| matagi_model::Time(us).rfc3339()).unwrap_or_default();
    text.get(..10).unwrap_or_default().to_owned()
}

#[derive(Deserialize)]
struct WarningList {
    #[serde(default)]
    version: Option<serde_json::Value>,
    #[serde(default)]
    list: Vec<String>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    values: Vec<ClusterValue>,
}

#[derive(Deserialize)]
struct ClusterValue {
    #[serde(default)]
    value: String,
    #[serde(default)]
    meta: Option<ClusterMeta>,
}

#[derive(Deserialize)]
struct ClusterMeta {
    #[serde(default)]
    synonyms: Vec<String>,
}

#[derive(Deserialize)]
struct AttackPatterns {
    #[serde(rename = "_metadata", default)]
    metadata: AttackMetadata,
    attack_patterns: Vec<AttackPattern>,
}

#[derive(Default, Deserialize)]
struct AttackMetadata {
    #[serde(default)]
    extracted_at: String,
}

#[derive(Deserialize)]
struct AttackPattern {
    #[serde(default)]
    external_id: String,
    name: String,
    #[serde(default)]
    tactics: Vec<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    deprecated: bool,
}
